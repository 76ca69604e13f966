"""A buyer who was erased is nowhere in the database, stays away whoever tells of him again, and may begin anew."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from golub.audit import CONSOLE
from golub.buyers import erasing, traces
from golub.clock import DAY, HOUR, MINUTE
from golub.errors import Invalid, NotFound
from golub.fold import NoteWritten
from golub.index.question import ask
from golub.journal import Wanted
from golub.model import (
    Account,
    BlockedBuyer,
    BuyerNote,
    Chat,
    Delivery,
    DeliveryState,
    Draft,
    Erasure,
    ErasureState,
    ForgottenChat,
    Message,
    OutgoingMessage,
    OutgoingState,
    Replay,
    ReplayKind,
    Role,
    Table,
)
from golub.rebuild import rebuild
from golub.search import Narrowed, find
from golub.simulator import Chat as SimChat
from golub.web.keeping import files_of
from tests.conftest import SteppedClock
from tests.village import Village, village

BUYER = 777_123_456
TEXT = "Зеленый велосипед, звоните +7 903 111-22-33"


@pytest.fixture
async def town(database_url: str, tmp_path: Path, clock: SteppedClock) -> AsyncGenerator[Village]:
    async with village(database_url, tmp_path, clock) as made:
        await made.register()
        yield made


async def talk(town: Village, number: int = 3) -> list[SimChat]:
    """Two chats of one buyer, and one of another."""
    his = [town.sim.add_chat(town.seller, "Ириночка", buyer_id=BUYER) for _ in range(2)]
    other = town.sim.add_chat(town.seller, "Пётр")
    for chat in [*his, other]:
        for turn in range(number):
            town.sim.buyer_says(chat, TEXT if chat is not other else f"вопрос {turn}")
            town.clock.step(1000)
    await town.arrived()
    await town.work()
    return [*his, other]


async def row_of(town: Village, chat: SimChat) -> Chat | None:
    async with town.parts.store.read() as session:
        return await session.scalar(select(Chat).where(Chat.avito_id == chat.id))


async def chat_id(town: Village, chat: SimChat) -> int:
    found = await row_of(town, chat)
    assert found is not None
    return found.id


async def texts(town: Village) -> list[str]:
    async with town.parts.store.read() as session:
        return list(await session.scalars(select(Message.text).order_by(Message.id)))


async def begin(town: Village, chat: SimChat) -> int:
    return await town.parts.erasures.start(await chat_id(town, chat), str(BUYER), CONSOLE)


async def go_on(town: Village, erasure_id: int) -> Erasure:
    while (erasure := await town.parts.erasures.get(erasure_id)).state == ErasureState.RUNNING:
        await town.parts.erasures.run_once()
        town.clock.step(erasing.BREATH)
    return erasure


async def erase(town: Village, chat: SimChat) -> Erasure:
    return await go_on(town, await begin(town, chat))


async def everything(town: Village) -> str:
    """All that stands in all tables."""
    told: list[str] = []
    async with town.parts.store.read() as session:
        for table in Table.metadata.sorted_tables:
            for row in await session.execute(select(table)):
                told += [one.decode(errors="replace") if isinstance(one, bytes) else str(one) for one in row]
    return "\n".join(told)


async def deliveries(town: Village, *conditions: Any) -> list[Delivery]:
    async with town.parts.store.read() as session:
        return list(await session.scalars(select(Delivery).where(*conditions).order_by(Delivery.received_at)))


async def test_nothing_of_him_is_left_and_all_of_the_others_is(town: Village) -> None:
    parts = town.parts
    first, second, other = await talk(town)
    row = await chat_id(town, first)
    operator = await parts.operators.create("anna", "korova-na-lugu-7", name="Анна", role=Role.SUPER_ADMIN)
    await parts.applier.submit(
        town.account_id, [NoteWritten(row, operator.id, "key", "Тайная заметочка", town.clock())]
    )
    picture = town.sim.buyer_says(first, "", "image")
    town.sim.emit(town.seller, b'{"broken": "Irinochka", "user_id": %d' % BUYER)
    town.sim.emit(town.seller, b'{"broken": "Pyotr", "user_id": %d0' % BUYER)
    await town.arrived()
    async with parts.store.write() as session:
        where = {"account_id": town.account_id, "chat_id": row}
        session.add(OutgoingMessage(**where, client_key="k", text="Тайный ответик", state="sent", created_at=1))
        draft = {"text": "Тайный черновичок", "other_text": "", "pictures": [], "version": 1}
        session.add(Draft(chat_id=row, operator_id=operator.id, saved_at=town.clock(), **draft))
        session.add(BuyerNote(buyer_id=BUYER, text="Тайно торгуется", changed_at=1))
        session.add(BlockedBuyer(account_id=town.account_id, buyer_id=BUYER, reason=1, blocked_at=1))
        message = (await session.scalars(select(Message).where(Message.avito_id == picture.id))).one()
    replay_id = await parts.replays.start(ReplayKind.TRY, Wanted(), CONSOLE)
    async with parts.store.write() as session:
        change = ["00", town.account_id, second.id, picture.id, []]
        await session.execute(update(Replay).where(Replay.id == replay_id).values(changes=[change]))
    columns = {"type": message.type, "content": message.content, "account_id": message.account_id}
    kept = [parts.settings.data_dir / "media" / name[:2] / name for name in files_of(columns)]
    assert kept
    for path in kept:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"picture")
    traces_of_him = ["Ириночка", "Зеленый", "Тайн", "Irinochka", str(BUYER), first.id, second.id, picture.id]
    before = await everything(town)
    assert [trace for trace in traces_of_him if trace not in before] == []

    erasure = await erase(town, second)

    assert erasure.counts == {"chats": 2, "messages": 7, "deliveries": 8}
    after = await everything(town)
    assert [trace for trace in traces_of_him if trace in after.replace(f"{BUYER}0", "")] == []
    assert [path for path in kept if path.exists()] == []
    async with parts.store.read() as session:
        for word in ("велосипед", "Ириночка", "заметочка"):
            found = await find(session, ask(word), Narrowed(), None)
            assert (found.chats, found.hits) == ([], []), word
    assert await texts(town) == ["вопрос 0", "вопрос 1", "вопрос 2"]
    assert [trace for trace in ("Пётр", other.id, "Pyotr") if trace not in after] == []


async def test_neither_a_late_webhook_nor_a_sweep_nor_a_replay_nor_a_rebuild_brings_him_back(town: Village) -> None:
    his, _, _ = await talk(town)
    raw = [one.body for one in await deliveries(town)]
    unseen = town.sim.buyer_says(his, "Пришло раньше, и никто не видел", quiet=True, at=town.clock() // 1000 - 60)
    gone = next(message for message in town.sim.world.walk() if message.chat is his)
    await erase(town, his)
    for body in raw:
        town.sim.emit(town.seller, body)
    town.sim.edit(gone, "Правка стёртого")
    await town.arrived()
    await town.pass_time(10 * MINUTE, by=MINUTE)
    await town.parts.applier.replay([one.id for one in await deliveries(town)], also_discarded=True)
    assert await texts(town) == ["вопрос 0", "вопрос 1", "вопрос 2"]
    told = await everything(town)
    assert [trace for trace in ("Ириночка", "Зеленый", "Правка", his.id, unseen.id) if trace in told] == []
    assert {one.state for one in await deliveries(town)} == {DeliveryState.APPLIED, DeliveryState.ERASED}
    report = await asyncio.to_thread(rebuild, town.parts.store, town.clock())
    assert (report.is_good, report.faults) == (True, {})


@pytest.mark.parametrize("quiet", [False, True], ids=["webhook", "sweep"])
async def test_what_he_writes_later_begins_a_new_chat(quiet: bool, town: Village) -> None:
    his, _, _ = await talk(town)
    await erase(town, his)
    town.clock.step(2000)
    town.sim.buyer_says(his, "Я снова здесь", quiet=quiet)
    await town.arrived()
    await town.pass_time(10 * MINUTE, by=MINUTE)
    row = await row_of(town, his)
    assert row is not None
    assert (row.buyer_name, row.unread) == ("Ириночка", 1)
    assert await texts(town) == ["вопрос 0", "вопрос 1", "вопрос 2", "Я снова здесь"]
    report = await asyncio.to_thread(rebuild, town.parts.store, town.clock())
    assert (report.is_good, report.faults) == (True, {})


async def test_what_he_writes_in_the_second_of_the_last_erased_message_is_new(town: Village) -> None:
    his, _, _ = await talk(town, 1)
    async with town.parts.store.write() as session:
        last = (await session.scalars(select(Message.created_at).order_by(Message.id).limit(1))).one()
    await erase(town, his)
    town.sim.buyer_says(his, "В ту же секунду", at=last // 1000)
    await town.arrived()
    assert "В ту же секунду" in await texts(town)


async def test_a_message_from_the_future_shuts_nobody_out(town: Village) -> None:
    his, _, _ = await talk(town)
    async with town.parts.store.write() as session:
        await session.execute(update(Message).values(created_at=town.clock() + 3650 * DAY))
    await erase(town, his)
    town.clock.step(HOUR)
    town.sim.buyer_says(his, "Я снова здесь")
    await town.arrived()
    assert "Я снова здесь" in await texts(town)


async def test_it_goes_in_parts_is_stopped_and_goes_on(town: Village, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasing, "MESSAGES_AT_ONCE", 2)
    monkeypatch.setattr(traces, "WINDOW", 2)
    his, _, _ = await talk(town, 5)
    erasure_id = await begin(town, his)
    for _ in range(2):
        await town.parts.erasures.run_once()
        town.clock.step(erasing.BREATH)
    await town.parts.erasures.stop(erasure_id, CONSOLE)
    town.clock.step(HOUR)
    await town.parts.erasures.run_once()
    stopped = await town.parts.erasures.get(erasure_id)
    assert (stopped.state, stopped.counts) == (ErasureState.STOPPED, {"messages": 2})
    assert (await texts(town)).count(TEXT) == 8
    town.sim.buyer_says(his, "Пишу, пока меня стирают")
    await town.arrived()
    await town.parts.erasures.resume(erasure_id, CONSOLE)
    erasure = await go_on(town, erasure_id)
    assert erasure.counts == {"chats": 2, "messages": 10, "deliveries": 10}
    assert erasure.about == {}
    await town.work()
    row = await row_of(town, his)
    assert row is not None
    assert (row.unread, row.owner_id) == (1, None)
    assert sorted(await texts(town)) == sorted([f"вопрос {turn}" for turn in range(5)] + ["Пишу, пока меня стирают"])


async def test_a_reply_that_is_on_its_way_is_waited_for(town: Village) -> None:
    his, _, _ = await talk(town)
    row = await chat_id(town, his)
    async with town.parts.store.write() as session:
        where = {"account_id": town.account_id, "chat_id": row, "client_key": "k", "created_at": 1}
        session.add(OutgoingMessage(**where, text="Ответ", state=OutgoingState.SENDING))
    erasure_id = await begin(town, his)
    for _ in range(3):
        await town.parts.erasures.run_once()
        town.clock.step(erasing.BUSY_PAUSE)
    assert await row_of(town, his) is not None
    async with town.parts.store.write() as session:
        await session.execute(update(OutgoingMessage).values(state=OutgoingState.SENT))
    await go_on(town, erasure_id)
    assert await row_of(town, his) is None


async def test_only_who_types_his_number_erases_him(town: Village) -> None:
    his, _, _ = await talk(town)
    with pytest.raises(Invalid, match="type 777123456"):
        await town.parts.erasures.start(await chat_id(town, his), "777", CONSOLE)
    with pytest.raises(NotFound):
        await town.parts.erasures.start(10**9, "777", CONSOLE)
    assert len(await texts(town)) == 9


async def test_one_whose_number_is_not_known_is_his_chat_alone(town: Village) -> None:
    his, also_his, _ = await talk(town)
    row = await chat_id(town, his)
    async with town.parts.store.write() as session:
        await session.execute(update(Chat).values(buyer_id=None))
    erasure_id = await town.parts.erasures.start(row, str(row), CONSOLE)
    await go_on(town, erasure_id)
    assert await row_of(town, his) is None
    assert await row_of(town, also_his) is not None


async def test_an_account_that_goes_takes_its_tombstones_along(town: Village) -> None:
    his, _, _ = await talk(town)
    await erase(town, his)
    await town.parts.accounts.remove(town.account_id)
    async with town.parts.store.read() as session:
        assert list(await session.scalars(select(ForgottenChat))) == []
        assert list(await session.scalars(select(Account))) == []
