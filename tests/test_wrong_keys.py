"""Keys that Avito refuses: one attempt a minute whoever wants something, an alert, and with right ones all is well."""

from collections.abc import AsyncGenerator
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import select

from golub.alerts import AlertKind
from golub.clock import MINUTE, SECOND
from golub.fold import MarkRead
from golub.model import Chat, Message, OutgoingMessage, OutgoingState
from golub.outbox import queue
from tests import village
from tests.conftest import SteppedClock
from tests.promises import Figures
from tests.village import Village

pytestmark = pytest.mark.promise("P17")


@pytest.fixture
async def town(database_url: str, tmp_path: Path, clock: SteppedClock) -> AsyncGenerator[Village]:
    async with village.village(database_url, tmp_path, clock) as made:
        yield made


async def reply(town: Village, words: str) -> int:
    async with town.parts.store.write() as session:
        chat = (await session.scalars(select(Chat))).one()
        (queued,) = await queue(session, chat=chat, operator_id=None, text=words, client_key=words, now=town.clock())
        return queued.id


async def test_a_wrong_secret_costs_one_attempt_a_minute_and_is_told(town: Village, figures: Figures) -> None:
    await town.register()
    town.clock.step(SECOND)
    chat = town.sim.add_chat(town.seller)
    town.sim.buyer_says(chat, "Здравствуйте")
    await town.turn(MINUTE)
    await town.parts.alerts.run_once()
    assert await town.parts.alerts.list_open() == []

    town.seller.client_secret = "made-anew-at-avito"
    town.sim.expire_tokens(town.seller)
    town.sim.calls.clear()
    replies: list[int] = []
    for number in range(30):  # five minutes in which everybody wants something of Avito
        town.sim.buyer_says(chat, f"вопрос {number}")
        if number % 10 == 0:
            replies.append(await reply(town, f"ответ {number}"))
        async with town.parts.store.read() as session:
            row = (await session.scalars(select(Chat))).one()
        await town.parts.applier.submit(town.account_id, [MarkRead(row.id, row.last_message_id or 0)])
        await town.turn(10 * SECOND)
        await town.parts.outbox.run_once()
        await town.parts.alerts.run_once()
    attempts = [call.at for call in town.sim.calls if call.operation == "token"]
    closest = min((later - earlier for earlier, later in pairwise(attempts)), default=60.0)
    figures(
        minutes=5, attempts=len(attempts), closest_seconds=round(closest), others=len(town.sim.calls) - len(attempts)
    )
    assert 1 <= len(attempts) <= 6
    assert closest >= 60
    (alert,) = await town.parts.alerts.list_open()
    assert (alert.kind, alert.account_id) == (AlertKind.WRONG_KEYS, town.account_id)
    async with town.parts.store.read() as session:
        assert len(list(await session.scalars(select(Message.id)))) == 31  # receiving does not need the keys
        states = set(await session.scalars(select(OutgoingMessage.state)))
    assert states <= {OutgoingState.REJECTED, OutgoingState.QUEUED}

    await town.parts.accounts.connect(town.seller.client_id, town.seller.client_secret, only=town.account_id)
    await town.pass_time(10 * MINUTE, by=2 * MINUTE)
    await town.parts.alerts.run_once()
    assert await town.parts.alerts.list_open() == []
