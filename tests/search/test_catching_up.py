"""What was said before there was an index is read into it: in parts, once, over again for another reading of texts."""

import json

import pytest
from sqlalchemy import delete, text

from golub.fold import fold
from golub.index import analyser, entries, statements
from golub.index.question import ask
from golub.model import Mark, Message
from golub.search import catching_up
from golub.search.catching_up import CatchingUp, find_share
from golub.store import Store
from tests.conftest import SteppedClock
from tests.fold.world import NOW, add_account, api_chat, webhook
from tests.shapes import CREATED


def tell(store: Store, number: int) -> None:
    """So many messages as an older release left them."""
    with store.writing() as connection:
        account_id = add_account(connection, store)
        told = [
            *(webhook(id=f"m{one}", content={"text": f"Диван {one}"}, created=CREATED + one) for one in range(number)),
            api_chat("u2i-abc", "Анна", "Стол", CREATED),
        ]
        fold(connection, store, account_id, told, NOW, searchable=False)


def found(store: Store, asked: str) -> int:
    question = ask(asked).asked
    assert question is not None
    with store.writing() as connection:
        return len(statements.find(connection, question, least=-100, greatest=entries.GREATEST, limit=99))


async def share(store: Store) -> float:
    async with store.read() as session:
        return await find_share(session)


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catching_up, "ROWS", 4)
    monkeypatch.setattr(catching_up, "PAUSE", 0)
    monkeypatch.setattr(catching_up, "TURN", 600.0)


@pytest.mark.usefixtures("small_steps")
async def test_it_goes_in_parts_from_the_newest_on_and_ends(store: Store, clock: SteppedClock) -> None:
    tell(store, 10)
    assert (found(store, "диван"), await share(store)) == (0, 0.0)
    assert await CatchingUp(store, clock).read_some()  # the chats
    assert found(store, "анна стол") == 1
    assert await CatchingUp(store, clock).read_some()
    assert (found(store, "диван"), found(store, "9"), found(store, "0")) == (4, 1, 0)
    assert 0 < await share(store) < 1
    assert await CatchingUp(store, clock).run_once() is None
    assert (found(store, "диван"), await share(store)) == (10, 1.0)
    assert not await CatchingUp(store, clock).read_some()


@pytest.mark.usefixtures("small_steps")
async def test_what_fold_writes_meanwhile_stays(store: Store, clock: SteppedClock) -> None:
    tell(store, 6)
    await CatchingUp(store, clock).read_some()
    with store.writing() as connection:
        account_id = connection.execute(text("SELECT max(id) FROM accounts")).scalar_one()
        edited = webhook(id="m1", content={"text": "Шкаф"}, created=CREATED + 1, at=CREATED + 9)
        gone = webhook(id="m2", type="deleted", content={}, created=CREATED + 2, at=CREATED + 9)
        fold(connection, store, account_id, [edited, gone], NOW)
    await CatchingUp(store, clock).run_once()
    assert (found(store, "шкаф"), found(store, "диван")) == (1, 4)


@pytest.mark.usefixtures("small_steps")
async def test_another_reading_of_texts_begins_anew(
    store: Store, clock: SteppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell(store, 6)
    await CatchingUp(store, clock).run_once()
    with store.writing() as connection:
        connection.execute(delete(Message).where(Message.avito_id == "m5"))
    assert found(store, "5") == 1  # nobody told the index; whoever finds it looks for the row in vain
    monkeypatch.setattr(catching_up, "VERSION", analyser.VERSION + 1)
    assert await share(store) == 0.0
    await CatchingUp(store, clock).run_once()
    assert (found(store, "5"), found(store, "диван"), found(store, "анна")) == (0, 5, 1)
    async with store.read() as session:
        assert json.loads((await session.get_one(Mark, "search")).value)["version"] == analyser.VERSION + 1


@pytest.mark.usefixtures("small_steps")
async def test_an_empty_database_is_read_at_once(store: Store, clock: SteppedClock) -> None:
    assert await CatchingUp(store, clock).run_once() is None
    assert await share(store) == 1.0
