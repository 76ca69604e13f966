"""`golub spool drain`: a dead node's deliveries reach the main database, once, and a live node's are left alone."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from typer.testing import CliRunner, Result

from golub.cli import cli
from golub.clock import DAY
from golub.drain import Drained, drain
from golub.errors import Conflict, NotFound, Rejected
from golub.housekeeping import Housekeeping
from golub.model import Delivery, DeliveryState, Message
from golub.settings import Settings
from golub.spool import Received, Spool
from golub.store import Store
from tests.conftest import SteppedClock
from tests.test_housekeeping import shop

pytestmark = pytest.mark.anyio


def hook(number: int) -> Received:
    value = {
        "id": f"m{number}", "chat_id": "u2i-1", "user_id": 1, "author_id": 2, "created": 1_700_000_000 + number,
        "type": "text", "chat_type": "u2i", "content": {"text": "hello"},
    }  # fmt: skip
    payload = {"id": str(number), "version": "v3.0.0", "timestamp": 1_700_000_000, "payload": {"type": "message"}}
    payload["payload"]["value"] = value  # type: ignore[index]
    body = json.dumps(payload).encode() if number % 10 else b"not json"
    return Received(number.to_bytes(16, "big"), 1_700_000_000_000 + number, 1, 1, "192.0.2.1", b"[]", body)


async def fill(folder: Path, clock: SteppedClock, numbers: range, *, again: int = 0) -> None:
    """`again` makes other deliveries of the same bodies."""
    spool = Spool(folder, quota=8 << 20, clock=clock)
    spool.start()
    await asyncio.gather(
        *(spool.put(replace(hook(number), id=(number + again).to_bytes(16, "big"))) for number in numbers)
    )
    spool.close()


async def counted(store: Store) -> tuple[int, int, int]:
    async with store.read() as session:
        deliveries = await session.scalar(select(func.count()).select_from(Delivery))
        messages = await session.scalar(select(func.count()).select_from(Message))
        bad = await session.scalar(select(func.count()).where(Delivery.state == DeliveryState.QUARANTINED))
    return deliveries or 0, messages or 0, bad or 0


async def test_a_dead_nodes_deliveries_are_applied_once(store: Store, clock: SteppedClock, tmp_path: Path) -> None:
    await shop(store)
    dead = tmp_path / "dead"
    await fill(dead, clock, range(1, 601))
    shares: list[float] = []
    assert await drain(dead, store, clock, lambda _, share: shares.append(share)) == Drained(600, 60)
    assert shares[-1] == 1.0
    assert await counted(store) == (600, 540, 60)
    assert await drain(dead, store, clock) == Drained(0, 0)
    await fill(dead, clock, range(601, 611))
    assert (await drain(dead, store, clock)).deliveries == 10
    assert await counted(store) == (610, 549, 61)


@pytest.mark.row(17)
@pytest.mark.promise("P29")
async def test_what_comes_again_after_its_delivery_was_removed_changes_nothing(
    store: Store, clock: SteppedClock, tmp_path: Path
) -> None:
    """Retention has taken the journal's rows, and each message is still there once, as it was."""

    async def messages() -> list[tuple[Any, ...]]:
        columns = Message.avito_id, Message.text, Message.version, Message.created_at
        async with store.read() as session:
            return [tuple(row) for row in await session.execute(select(*columns).order_by(Message.avito_id))]

    await shop(store)
    await fill(tmp_path / "spool", clock, range(1, 10))
    assert (await drain(tmp_path / "spool", store, clock)).deliveries == 9
    before = await messages()
    clock.step(91 * DAY)
    removed, _ = await Housekeeping(store, Settings(), clock).remove_old()
    assert removed["deliveries"] == 9
    await fill(tmp_path / "spool", clock, range(1, 10), again=1000)
    assert (await drain(tmp_path / "spool", store, clock)).deliveries == 9
    assert await messages() == before
    assert len(before) == 9


async def test_a_live_nodes_spool_is_refused(store: Store, clock: SteppedClock, tmp_path: Path) -> None:
    spool = Spool(tmp_path / "alive", quota=8 << 20, clock=clock)
    spool.start()
    await spool.put(hook(1))
    with pytest.raises(Conflict):
        await drain(tmp_path / "alive", store, clock)
    assert spool.pending == 1
    spool.close()


async def test_where_no_spool_or_no_database_is(store: Store, clock: SteppedClock, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no spool"):
        await drain(tmp_path / "nowhere", store, clock)
    assert not (tmp_path / "nowhere").exists()
    await fill(tmp_path / "dead", clock, range(1, 3))
    empty = Store(f"sqlite:///{tmp_path / 'empty.db'}")
    with pytest.raises(Rejected, match=r"start Golub \S+ on it once"):
        await drain(tmp_path / "dead", empty, clock)
    await empty.close()


def test_the_commands(database_url: str, clock: SteppedClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asyncio.run(fill(tmp_path / "dead", clock, range(1, 4)))
    monkeypatch.setenv("GOLUB_DATABASE_URL", database_url)
    monkeypatch.setenv("GOLUB_DATA_DIR", str(tmp_path))

    def golub(*words: str) -> Result:
        return CliRunner().invoke(cli, words)

    drained = golub("spool", "drain", str(tmp_path / "dead"))
    assert (drained.exit_code, "3 deliveries left the spool" in drained.stdout) == (0, True), drained.output
    assert "is empty" in golub("audit", "verify").stdout
    assert golub("operator", "add", "anna", "--password", "two words and more").exit_code == 0
    verified = golub("audit", "verify")
    assert verified.exit_code == 0, verified.output
    head = verified.stdout.split()[-1]
    assert head.startswith("1:")
    assert golub("audit", "verify", "--head", head).exit_code == 0
    assert golub("audit", "verify", "--head", f"1:{'0' * 64}").exit_code == 1
    assert golub("audit", "verify", "--head", "nonsense").exit_code == 2
