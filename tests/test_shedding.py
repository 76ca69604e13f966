"""Shedding never lies: what cannot be stored in time is refused, with 503 and Retry-After, within two seconds."""

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from golub import ingest as ingest_module
from golub import metrics
from golub import server as server_module
from golub.errors import Unavailable
from golub.spool import TokenEntry
from tests.conftest import SteppedClock
from tests.ingest.endpoint import PATH, Endpoint, opened
from tests.spool.opened import held

ENTRY = TokenEntry(b"h" * 32, 1, 1, None)


@pytest.mark.promise("P3")
async def test_what_a_lookup_took_is_missing_from_the_time_to_store(
    tmp_path: Path, clock: SteppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[float] = []

    async def take(endpoint: Endpoint, spent: float) -> None:
        """A request that came so many seconds ago."""
        try:
            await endpoint.ingest.take(ENTRY, "", "", [], b"{}", began=time.perf_counter() - spent)
        except Unavailable:
            refused.append(spent)

    async with opened(tmp_path, clock) as endpoint:
        async with held(endpoint.spool):
            await asyncio.gather(*(take(endpoint, spent) for spent in (0.0, 1.0)))
        assert refused == [1.0, 0.0]
        monkeypatch.setattr(ingest_module, "LEAST_DEADLINE", 60)  # for a machine may be slow
        await take(endpoint, 4.0)  # whose own body was so slow
        assert len(refused) == 2


@pytest.mark.promise("P3")
async def test_a_refusal_says_when_to_come_again(tmp_path: Path, clock: SteppedClock) -> None:
    async with opened(tmp_path, clock) as endpoint:
        with closing(sqlite3.connect(endpoint.spool.path, isolation_level=None)) as outsider:
            outsider.execute("BEGIN IMMEDIATE")
            refused = await endpoint.post()
            outsider.execute("ROLLBACK")
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")


async def test_one_connection_too_many_is_told_when_to_come_again(
    tmp_path: Path, clock: SteppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "CONNECTIONS", 64)
    before = metrics.REGISTRY.get_sample_value("golub_connections_refused_total") or 0.0
    async with opened(tmp_path, clock) as endpoint:
        idle = [await asyncio.open_connection("127.0.0.1", endpoint.server.port) for _ in range(64)]
        answer = await endpoint.raw(f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}".encode())
        for _, writer in idle:
            writer.close()
        head = answer.lower()
        assert head.startswith(b"http/1.1 503")
        assert b"retry-after: 1" in head
        assert endpoint.stored == []
    assert (metrics.REGISTRY.get_sample_value("golub_connections_refused_total") or 0.0) == before + 1
