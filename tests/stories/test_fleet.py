"""Two web and two worker processes on one PostgreSQL, one of each killed again and again (P14)."""

import asyncio
from collections import Counter
from pathlib import Path

import httpx2
import pytest
import stamina
from sqlalchemy import select

from golub.cli.people import create_operator
from golub.clock import now
from golub.errors import Unavailable
from golub.model import Chat, OutgoingMessage, OutgoingState, Role
from golub.outbox import queue
from golub.store import Store
from tests import processes
from tests.conftest import AtScale, StartGolub
from tests.postgres import OwnPostgres
from tests.promises import Figures
from tests.stories.fleet import Fleet, Reader, fleet
from tests.stories.panel import LOGIN, PASSWORD, sign_in

pytestmark = [pytest.mark.story, pytest.mark.anyio, pytest.mark.postgres]

RIGHT_WITHIN = 10.0  # seconds that a reader may be behind, a reconnection included


@pytest.mark.promise("P14")
async def test_killed_in_turn_they_lose_nothing_and_do_nothing_twice(
    tmp_path: Path, start_golub: StartGolub, own_postgres: OwnPostgres, at_scale: AtScale, seed: int, figures: Figures
) -> None:
    rounds, pause = at_scale(2, 30), at_scale(1, 7)
    async with fleet(tmp_path, start_golub, own_postgres.create(), seed=seed) as town:
        await create_operator(town.settings, LOGIN, "Вера", Role.SUPER_ADMIN, PASSWORD)
        async with httpx2.AsyncClient(
            base_url=town.url, headers={"Origin": town.url}, trust_env=False, timeout=10
        ) as client:
            assert (await sign_in(client)).status_code == 303
            reader = Reader(client, town.versions)
            reading = asyncio.create_task(reader.run())
            async with town.talking(60):
                for number in range(rounds):
                    await asyncio.sleep(pause)  # the time between two deaths
                    await write_replies(town, number)
                    await town.kill_one_of_each(number)
                await asyncio.sleep(pause)  # so that the last ones live for a while
            await town.applied(60)
            async with asyncio.timeout(RIGHT_WITHIN):
                while reader.known != await town.versions():  # noqa: ASYNC110 - the reader tells nobody
                    await asyncio.sleep(0.1)  # between two looks at the database
            reading.cancel()
        await town.end()
        verdict = await town.judge()
        sent = Counter(
            call.body["message"]["text"] for call in town.simulator.calls if call.operation == "postSendMessage"
        )
        states = await outgoing_states(town)
    figures(**verdict.figures, replies=sum(states.values()), posted=sum(sent.values()), reconnects=reader.connections)
    assert verdict.acked > 100
    assert (verdict.acked_missing, verdict.applied_twice) == (0, 0), verdict
    assert max(sent.values()) == 1, "a reply was sent twice"
    assert states[OutgoingState.SENT] > 0
    assert reader.connections > 1


async def write_replies(town: Fleet, number: int) -> None:
    """One to each chat, as the panel queues them."""
    store = Store(town.settings.database_url)
    for chat_id in await town.versions():
        await write(store, chat_id, f"Ответ {number} в чат {chat_id}")
    await store.close()


@stamina.retry(on=Unavailable, timeout=processes.PATIENCE)
async def write(store: Store, chat_id: int, text: str) -> None:
    """Once, however often it is tried."""
    async with store.write() as session:
        chat = await session.get_one(Chat, chat_id)
        await queue(session, chat=chat, operator_id=None, text=text, client_key=text, now=now())


@stamina.retry(on=Unavailable, timeout=processes.PATIENCE)
async def outgoing_states(town: Fleet) -> Counter[str]:
    store = Store(town.settings.database_url)
    async with store.read() as session:
        states = Counter(await session.scalars(select(OutgoingMessage.state)))
    await store.close()
    return states
