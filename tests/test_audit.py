"""The audit: entries hold together, none can be changed, and what is cut off leaves the rest provable."""

import asyncio
import threading

import pytest
from sqlalchemy import delete, event, select, text, update
from sqlalchemy.exc import DBAPIError

from golub import audit
from golub.audit import ITSELF, Action, By, verify
from golub.clock import DAY
from golub.model import AuditEntry, Mark
from golub.store import Store
from tests.conftest import SteppedClock

pytestmark = pytest.mark.anyio


async def write(store: Store, at: int, subject: str = "anna") -> None:
    async with store.write() as session:
        await By(address="192.0.2.1").did(session, Action.SIGNED_IN, subject, now=at)


async def tamper(store: Store, statement: str) -> None:
    """As somebody who owns the database and knows of the triggers."""
    async with store.write() as session:
        if store.is_sqlite:
            await session.execute(text("DROP TRIGGER IF EXISTS audit_no_update"))
            await session.execute(text("DROP TRIGGER IF EXISTS audit_no_delete"))
        else:
            await session.execute(text("ALTER TABLE audit DISABLE TRIGGER ALL"))
        await session.execute(text(statement))


async def test_the_chain_holds_whatever_is_written_at_once(store: Store, clock: SteppedClock) -> None:
    assert (await verify(store)).checked == 0
    await asyncio.gather(*(write(store, clock.step(1), f"buyer \0 \ud800 {n} «ё»") for n in range(12)))
    found = await verify(store)
    assert (found.broken, found.checked, found.head.number) == (None, 12, 12)


async def test_a_search_tells_no_capitals_from_small_letters(store: Store, clock: SteppedClock) -> None:
    await write(store, clock(), "Магазин «Ёлка» №1_%")
    for text_part, count in (("магазин", 1), ("МАГАЗИН «ёЛКА", 1), ("№1_%", 1), ("1%", 0), ("елка", 0)):
        async with store.read() as session:
            found = await audit.list_entries(session, audit.Wanted(text=text_part))
        assert len(found.entries) == count, text_part


async def test_what_is_done_while_it_is_walked_breaks_nothing(store: Store, clock: SteppedClock) -> None:
    for _ in range(3):
        await write(store, clock.step(1))
    elsewhere = Store(store.url)

    async def act() -> None:
        await write(elsewhere, clock.step(1))
        await elsewhere.close()

    def meanwhile(*_: object) -> None:
        somebody = threading.Thread(target=asyncio.run, args=(act(),))
        somebody.start()
        somebody.join()

    event.listen(AuditEntry, "load", meanwhile, once=True)
    found = await verify(store)
    assert (found.broken, found.checked, found.head.number) == (None, 3, 3)
    assert (await verify(store)).checked == 4


async def test_what_is_rolled_back_leaves_no_gap(store: Store, clock: SteppedClock) -> None:
    await write(store, clock())
    async with store.write() as session:
        await ITSELF.did(session, Action.SIGNED_OUT, "anna", now=clock())
        await session.rollback()
    await write(store, clock())
    assert (await verify(store)).head.number == 2


@pytest.mark.parametrize("name", ["password", "client_secret", "path_token", "TOTP_seed"])
async def test_no_secret_is_taken(store: Store, clock: SteppedClock, name: str) -> None:
    async with store.write() as session:
        with pytest.raises(ValueError, match="does not belong"):
            await ITSELF.did(session, Action.KEYS_CHANGED, "", after={name: "x"}, now=clock())


async def test_the_database_itself_refuses_changes(store: Store, clock: SteppedClock) -> None:
    await write(store, clock())
    for statement in (update(AuditEntry).values(who="nobody"), delete(AuditEntry)):
        with pytest.raises(DBAPIError, match="append-only"):
            async with store.write() as session:
                await session.execute(statement)
    assert (await verify(store)).checked == 1


@pytest.mark.parametrize(
    ("statement", "broken", "reason"),
    [
        ("UPDATE audit SET subject = 'boris' WHERE id = 3", 3, "is not as it was written"),
        ("UPDATE audit SET address = '' WHERE id = 1", 1, "is not as it was written"),
        ("DELETE FROM audit WHERE id = 2", 2, "is missing"),
        ("DELETE FROM audit WHERE id <= 2", 1, "is missing"),
        ("DELETE FROM audit WHERE id >= 4", 4, "is missing, with everything after it"),
        ("DELETE FROM audit", 1, "is missing, with everything after it"),
        (
            "INSERT INTO audit SELECT 6, at, operator_id, who, action, subject, '', '', '', hash FROM audit WHERE id=5",
            6,
            "is not as it was written",
        ),
    ],
)
async def test_verify_names_the_first_broken_entry(
    store: Store, clock: SteppedClock, statement: str, broken: int, reason: str
) -> None:
    for _ in range(5):
        await write(store, clock.step(1))
    await tamper(store, statement)
    found = await verify(store)
    assert (found.broken, found.reason) == (broken, reason)


async def test_a_noted_head_shows_a_chain_written_anew(store: Store, clock: SteppedClock) -> None:
    for _ in range(3):
        await write(store, clock.step(1))
    noted = (await verify(store)).head
    await write(store, clock.step(1))
    assert (await verify(store, noted)).broken is None
    await tamper(store, "DELETE FROM audit")
    async with store.write() as session:
        await session.execute(update(Mark).where(Mark.name == audit.NEWEST).values(value=f"0:{'0' * 64}"))
    for _ in range(4):
        await write(store, clock.step(1), "boris")
    assert (await verify(store)).broken is None
    assert (await verify(store, noted)).broken == 3


async def test_retention_cuts_the_oldest_and_verify_goes_on(store: Store, clock: SteppedClock) -> None:
    for _ in range(6):
        await write(store, clock.step(DAY))
    async with store.write() as session:
        assert await audit.cut(session, clock() - 3 * DAY, limit=1) == 1
    async with store.write() as session:
        assert await audit.cut(session, clock() - 3 * DAY, limit=100) == 1
    found = await verify(store)
    assert (found.broken, found.oldest, found.checked) == (None, 3, 4)
    async with store.write() as session:
        assert await audit.cut(session, clock() + DAY, limit=100) == 3, "the newest one stays"
    await write(store, clock())
    async with store.read() as session:
        assert [entry.id for entry in await session.scalars(select(AuditEntry).order_by(AuditEntry.id))] == [6, 7]
    assert (await verify(store)).broken is None
    await tamper(store, "DELETE FROM audit WHERE id = 6")
    assert (await verify(store)).broken == 6
