"""The log's second guard: what lets somebody in is masked wherever it stands. And stopping is no error."""

import asyncio
import json
import logging
from pathlib import Path

import pytest
import structlog
from sqlalchemy import event, select

from golub import logs
from golub.store import Store
from tests.guide.town import _logging

SECRET = "jsk6GgLujwvlvDEOnUhlLWQmdd1lvn3VXpnfMtO7OWo"


@pytest.mark.row(50)
@pytest.mark.parametrize("place", ["/webhook/avito", "/setup", "/enter", "/password"])
def test_neither_a_field_nor_an_errors_own_words_hold_a_secret(tmp_path: Path, place: str) -> None:
    with _logging(tmp_path):
        log = structlog.get_logger("golub.test")
        try:
            raise ValueError(f"cannot answer {place}/{SECRET}")
        except ValueError:
            log.exception("A request failed.", path=f"{place}/{SECRET}")
    written = (tmp_path / "logs" / "app.log").read_text()
    told = json.loads(written)
    assert told["path"] == f"{place}/***"
    assert f"ValueError: cannot answer {place}/***" in told["exception"]
    assert SECRET not in written


def test_receipts_are_lines_as_all_others_and_masked_as_they_are(tmp_path: Path) -> None:
    with _logging(tmp_path):
        logs.write_receipts("webhook received", ({"delivery": f"d{n}", "bytes": n} for n in range(3)))
        logs.write_receipts("webhook received", ())
        logs.write_receipts("webhook received", [{"delivery": f"/webhook/avito/{SECRET}", "bytes": 3}])
        structlog.get_logger(logs.RECEIPTS).info("webhook received", delivery="d4", bytes=4)
        logging.getLogger().setLevel("WARNING")
        logs.write_receipts("webhook received", [{"delivery": "d5", "bytes": 5}])
    told = [json.loads(line) for line in (tmp_path / "logs" / "app.log").read_text().splitlines()]
    assert [line["bytes"] for line in told] == [0, 1, 2, 3, 4]
    assert told[3]["delivery"] == "/webhook/avito/***"
    assert {(*line, line["level"], line["logger"], len(line["time"])) for line in told} == {
        ("time", "level", "event", "delivery", "bytes", "logger", "info", "golub.received", len(told[-1]["time"]))
    }


@pytest.mark.row(50)
def test_a_key_is_masked_wherever_it_stands_and_a_metric_is_not(tmp_path: Path) -> None:
    key = "golub_" + "0f" * 32
    with _logging(tmp_path):
        log = structlog.get_logger("golub.test")
        try:
            raise ValueError(f"cannot read Bearer {key}")
        except ValueError:
            log.exception(f"A request with {key} failed.", sent=key, cut=key[:20], metric="golub_delivered_total")
    written = (tmp_path / "logs" / "app.log").read_text()
    told = json.loads(written)
    assert (told["event"], told["sent"], told["cut"]) == ("A request with golub_*** failed.", "golub_***", "golub_***")
    assert "ValueError: cannot read Bearer golub_***" in told["exception"]
    assert told["metric"] == "golub_delivered_total"
    assert key[6:20] not in written


class Noting(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.noted: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.noted.append(record.getMessage())


async def test_a_loop_that_is_ended_while_its_connection_goes_back_leaves_no_traceback(
    tmp_path: Path, sqlite_url: str
) -> None:
    store, noting = Store(sqlite_url), Noting()

    async def turn() -> int | None:
        async with store.write() as session:
            return await session.scalar(select(1))

    doomed = asyncio.create_task(turn())
    event.listen(store._write.sync_engine, "reset", lambda *_: doomed.cancel())
    pool = logging.getLogger("sqlalchemy.pool")
    pool.addHandler(noting)
    with _logging(tmp_path):
        with pytest.raises(asyncio.CancelledError):
            await doomed
        assert await turn() == 1
        structlog.get_logger("golub.test").info("went on")
    pool.removeHandler(noting)
    await store.close()
    assert noting.noted == ["Exception during reset or similar"]
    (written,) = (tmp_path / "logs" / "app.log").read_text().splitlines()
    assert json.loads(written)["event"] == "went on"
