"""New chats in turn: who gets one, who does not and why, once each, however many look, on both databases."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy import select

from golub.clock import DAY, HOUR, MINUTE
from golub.fold import Close, HandOver, Snooze
from golub.model import Chat, Operator, OperatorAccount, Role
from golub.operators import LISTENS_EVERY
from golub.rota import PRESENT_FOR, Rota
from golub.simulator import Simulator
from golub.web.parts import Parts
from tests.conftest import ONE_DATABASE, SteppedClock
from tests.talk import Talk, add_account, parts_for


@pytest.fixture
async def parts(database_url: str, tmp_path: Path, clock: SteppedClock) -> AsyncGenerator[Parts]:
    async with (
        Simulator(clock=lambda: clock() / 1000, base_url="http://avito.test") as sim,
        parts_for(database_url, tmp_path, clock, sim) as parts,
    ):
        yield parts


@pytest.fixture
async def talk(parts: Parts, clock: SteppedClock) -> Talk:
    """Of an account that has given its chats in turn for a day."""
    return await add_account(parts, in_turn_since=clock() - DAY)


@pytest.fixture
def rota(parts: Parts, clock: SteppedClock) -> Rota:
    return Rota(parts.store, parts.applier, clock)


Hire = Callable[..., Awaitable[int]]


@pytest.fixture
def hire(parts: Parts) -> Hire:
    """A manager who has Golub open, unless told otherwise; returns his id."""

    async def hire(login: str, *, here: bool = True, role: Role = Role.MANAGER, **more: object) -> int:
        row = {"password_hash": "", "locale": "ru", "active": True, "created_at": parts.clock(), **more}
        async with parts.store.write() as session:
            operator = Operator(login=login, name=login, role=role, **row)
            session.add(operator)
        if here:
            await parts.operators.open_session(operator)
        return operator.id

    return hire


async def owners(parts: Parts, talk: Talk) -> dict[str, int | None]:
    async with parts.store.read() as session:
        found = await session.execute(select(Chat.avito_id, Chat.owner_id).where(Chat.account_id == talk.account.id))
        return {row.avito_id: row.owner_id for row in found}


async def close(parts: Parts, talk: Talk, chat: str) -> None:
    async with parts.store.read() as session:
        row = await session.get_one(Chat, talk.chats[chat])
    await parts.applier.submit(talk.account.id, [Close(row.id, row.version, parts.clock())])


async def test_chats_go_round(parts: Parts, talk: Talk, rota: Rota, hire: Hire) -> None:
    team = [await hire(name) for name in ("anna", "boris", "vera")]
    for number in range(6):
        await talk.says(f"c{number}", "Ещё продаёте?")
    await rota.run_once()
    assert await owners(parts, talk) == {f"c{number}": team[number % 3] for number in range(6)}
    await talk.says("c9", "Торг?")
    await rota.run_once()
    assert (await owners(parts, talk))["c9"] == team[0]


async def test_each_chat_is_given_once_however_many_look(
    parts: Parts, talk: Talk, clock: SteppedClock, hire: Hire
) -> None:
    team = {await hire(name) for name in ("anna", "boris")}
    for number in range(8):
        await talk.says(f"c{number}", "Ещё продаёте?")
    nodes = [Rota(parts.store, parts.applier, clock) for _ in range(3)]
    async with parts.live.subscribe() as batches:
        await asyncio.gather(*(node.run_once() for node in nodes))
        await asyncio.gather(*(node.run_once() for node in nodes))
        rung = [ring.version for ring in await anext(batches)]
    found = await owners(parts, talk)
    assert set(found.values()) == team
    assert rung == [2] * 8  # a message, and one owner: nobody was given a chat twice


@ONE_DATABASE
async def test_who_is_not_ready_gets_none_and_the_chat_waits_for_somebody(
    parts: Parts, talk: Talk, rota: Rota, hire: Hire, clock: SteppedClock
) -> None:
    other = await add_account(parts, 1002, "Сад")
    await hire("away", here=False)
    await hire("let-go", active=False)
    await hire("admin", role=Role.ADMIN)
    await hire("off-duty", work_days=str(1 + (clock() // DAY + 4) % 7))  # tomorrow's, by Moscow's noon
    narrow = await hire("elsewhere", every_account=False)
    full = await hire("full", chat_limit=1)
    await talk.says("old", "Здравствуйте")
    await rota.run_once()
    assert await owners(parts, talk) == {"old": full}
    async with parts.store.write() as session:
        session.add(OperatorAccount(operator_id=narrow, account_id=other.account.id))
    await talk.says("new", "Здравствуйте")
    await rota.run_once()
    assert await owners(parts, talk) == {"old": full, "new": None}

    await close(parts, talk, "old")  # room again
    await rota.run_once()
    assert (await owners(parts, talk))["new"] == full
    async with parts.store.write() as session:
        session.add(OperatorAccount(operator_id=narrow, account_id=talk.account.id))
    await talk.says("third", "Здравствуйте")
    await rota.run_once()
    assert (await owners(parts, talk))["third"] == narrow


@ONE_DATABASE
async def test_somebody_who_comes_gets_what_waited_and_who_goes_silent_gets_no_more(
    parts: Parts, talk: Talk, rota: Rota, hire: Hire, clock: SteppedClock
) -> None:
    anna = await hire("anna", here=False)
    await talk.says("first", "Здравствуйте")
    await rota.run_once()
    assert await owners(parts, talk) == {"first": None}
    secret, _ = await parts.operators.open_session(await parts.operators.get(anna))
    await rota.run_once()
    assert await owners(parts, talk) == {"first": anna}

    clock.step(PRESENT_FOR + 1)
    await talk.says("second", "Здравствуйте")
    await rota.run_once()
    assert (await owners(parts, talk))["second"] is None
    await parts.operators.find_session(secret)  # a page alone says nothing so often
    await rota.run_once()
    assert (await owners(parts, talk))["second"] is None
    await parts.operators.find_session(secret, touch_every=LISTENS_EVERY)  # as an open stream does
    await rota.run_once()
    assert (await owners(parts, talk))["second"] == anna
    clock.step(-HOUR)  # the clock was set back: what it says of sessions means nothing
    await talk.says("third", "Здравствуйте")
    await rota.run_once()
    assert (await owners(parts, talk))["third"] is None


@ONE_DATABASE
async def test_only_what_begins_to_wait_since_the_choice_is_given(
    parts: Parts, rota: Rota, hire: Hire, clock: SteppedClock
) -> None:
    pool = await add_account(parts, 1001, "Склад")
    turns = await add_account(parts, 1002, "Сад", in_turn_since=clock() - 30 * MINUTE)
    anna = await hire("anna")
    await pool.says("new", "Здравствуйте")
    await turns.says("older", "Здравствуйте", at=clock() - HOUR)
    await turns.says("new", "Здравствуйте", at=clock() - MINUTE)
    await turns.says("answered", "Здравствуйте", at=clock() - MINUTE)
    await turns.answers("answered", "Да")
    await rota.run_once()
    assert await owners(parts, pool) == {"new": None}
    assert await owners(parts, turns) == {"older": None, "new": anna, "answered": None}


@ONE_DATABASE
async def test_a_chat_that_goes_on_is_its_owners_if_he_is_ready_else_anothers(
    parts: Parts, talk: Talk, rota: Rota, hire: Hire, clock: SteppedClock
) -> None:
    anna = await hire("anna", chat_limit=1)
    boris = await hire("boris")
    await talk.says("hers", "Здравствуйте")
    await rota.run_once()
    assert await owners(parts, talk) == {"hers": anna}
    await close(parts, talk, "hers")
    await talk.says("hers", "И ещё вопрос")
    await rota.run_once()
    assert await owners(parts, talk) == {"hers": anna}  # though the turn was Boris's, and it is all she may have

    await close(parts, talk, "hers")
    clock.step(PRESENT_FOR + 1)
    await parts.operators.open_session(await parts.operators.get(boris))
    await talk.says("hers", "И последний", at=clock())
    await rota.run_once()
    assert await owners(parts, talk) == {"hers": boris}
    await talk.says("hers", "Забыл", at=clock() + 1000)
    await parts.operators.open_session(await parts.operators.get(anna))
    await rota.run_once()
    assert await owners(parts, talk) == {"hers": boris}  # it was not closed: nobody takes it from him


@ONE_DATABASE
async def test_what_a_person_decides_stands(parts: Parts, talk: Talk, rota: Rota, hire: Hire) -> None:
    anna, boris = await hire("anna"), await hire("boris")
    await talk.says("taken", "Здравствуйте")
    await talk.says("given-back", "Здравствуйте")
    await talk.says("snoozed", "Здравствуйте")
    async with parts.store.read() as session:
        snoozed = await session.get_one(Chat, talk.chats["snoozed"])
    now = parts.clock()
    await parts.applier.submit(
        talk.account.id,
        [
            HandOver(talk.chats["taken"], None, boris, now),
            HandOver(talk.chats["given-back"], None, anna, now),
            HandOver(talk.chats["given-back"], anna, None, now),
            Snooze(snoozed.id, snoozed.version, now + HOUR),
        ],
    )
    await rota.run_once()
    assert await owners(parts, talk) == {"taken": boris, "given-back": None, "snoozed": None}
    await talk.says("given-back", "Вы тут?")  # then it is as new
    await rota.run_once()
    assert (await owners(parts, talk))["given-back"] == anna
