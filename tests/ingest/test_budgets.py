"""How much is taken: of strangers little, of nobody more than there is room for or than can be stored in time."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from golub import ingest as ingest_module
from golub.ingest import BARE_RATE, Budget
from golub.spool import PUT_DEADLINE
from tests.conftest import SteppedClock
from tests.ingest.endpoint import BARE, OK, PATH, Endpoint, answer, opened


@pytest.mark.promise("P21")
async def test_the_bare_path_has_a_budget_and_tokens_do_not_pay_for_it(endpoint: Endpoint) -> None:
    """Row 14, and P21."""
    assert endpoint.ingest._bare_budget._rate == BARE_RATE
    endpoint.ingest._bare_budget = Budget(0, 3)  # without a refill, for a machine may be slow
    responses = [await endpoint.post(BARE) for _ in range(5)]
    assert [r.status_code for r in responses] == [200, 200, 200, 429, 429]
    assert responses[3].headers["retry-after"] == "1"
    assert len(endpoint.stored) == 3
    assert answer(await endpoint.post(PATH)) == OK


@pytest.mark.promise("P21")
async def test_the_bare_path_stops_when_too_much_of_it_waits(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest_module, "BARE_BYTES", 10_000)
    assert answer(await endpoint.post(BARE, b"x" * 10_000)) == OK
    assert (await endpoint.post(BARE)).status_code == 429
    assert answer(await endpoint.post(PATH)) == OK
    endpoint.spool.drained([one.id for one in endpoint.stored])
    assert answer(await endpoint.post(BARE)) == OK


def test_a_budget_refills() -> None:
    budget = Budget(1e9, 2)
    assert all(budget.take() for _ in range(1000))
    empty = Budget(0, 2)
    assert [empty.take() for _ in range(3)] == [True, True, False]


async def test_a_full_spool_says_503_and_stores_nothing(tmp_path: Path, clock: SteppedClock) -> None:
    async with opened(tmp_path, clock, quota=2000) as endpoint:
        assert answer(await endpoint.post(BARE, b"x" * 1000)) == OK
        response = await endpoint.post(BARE, b"x" * 1000)
        assert response.status_code == 503
        assert response.headers["retry-after"] == "1"
        assert len(endpoint.stored) == 1
        endpoint.spool.drained([one.id for one in endpoint.stored])
        assert answer(await endpoint.post(BARE, b"x" * 1000)) == OK


async def test_a_spool_that_is_too_slow_says_503_within_two_seconds(endpoint: Endpoint) -> None:
    assert PUT_DEADLINE < 2
    with closing(sqlite3.connect(endpoint.spool.path, isolation_level=None)) as outsider:
        outsider.execute("BEGIN IMMEDIATE")
        response = await endpoint.post()
        outsider.execute("ROLLBACK")
    assert response.status_code == 503
    assert answer(await endpoint.post()) == OK
