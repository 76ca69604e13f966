"""What pages ask most goes by the index that was made for it, on either database, whoever asks.

Plans are looked at, not times, and no rows are needed for that: SQLite decides by its indexes alone, since nobody
analyses there; PostgreSQL is told to read no whole table and to sort nothing, and does so where no index would serve.
"""

import re
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession

from golub import inbox, search
from golub.inbox import Place, Wanted, listing
from golub.inbox.listing import View
from golub.index.question import All
from golub.model import Chat
from golub.sight import ALL_ACCOUNTS, Sight
from golub.store import Store

ONE, TWO = Sight(frozenset({1})), Sight(frozenset({1, 2}))
BEFORE = Place(1_790_000_000_000, 5)

# Of each view: the index that has all its chats in order, and the one that has those of an account.
INDEXES = {
    View.ALL: ("ix_chats_open", "ix_chats_account_open"),
    View.MINE: ("ix_chats_owner", "ix_chats_owner"),
    View.UNASSIGNED: ("ix_chats_owner", "ix_chats_account_unowned"),
    View.WAITING: ("ix_chats_waiting", "ix_chats_account_waiting"),
    View.UNREAD: ("ix_chats_unread_listed", "ix_chats_account_unread"),
    View.SNOOZED: ("ix_chats_snoozed", "ix_chats_snoozed"),
    View.CLOSED: ("ix_chats_closed", "ix_chats_account_closed"),
}
# A whole table, or what PostgreSQL was told not to do.
NEVER = re.compile(r"SCAN (chats|messages|notes)$|Seq Scan|Disabled: true", re.MULTILINE)
SORTS = re.compile(r"USE TEMP B-TREE|Sort")


@pytest.fixture
async def session(store: Store) -> AsyncGenerator[AsyncSession]:
    async with store.read() as session:
        yield session


async def test_each_view_is_read_in_the_order_of_its_index(store: Store, session: AsyncSession) -> None:
    for view, (of_all, of_account) in INDEXES.items():
        for sight, wanted, index in (
            (ALL_ACCOUNTS, Wanted(1, view), of_all),
            (ALL_ACCOUNTS, Wanted(1, view, account_id=2), of_account),
            (ONE, Wanted(1, view), of_account),
        ):
            with noted(store) as asked:
                await inbox.list_chats(session, sight, wanted, before=BEFORE)
            plan = await plan_of(store, session, asked[0])
            assert f"{index} " in f"{plan} ", (wanted, plan)
            assert not NEVER.search(plan), (wanted, plan)
            assert not SORTS.search(plan), (wanted, plan)


async def test_several_accounts_are_merged_from_the_heads_of_theirs(store: Store, session: AsyncSession) -> None:
    for view, (_, index) in INDEXES.items():
        with noted(store) as asked:
            await inbox.list_chats(session, TWO, Wanted(1, view), before=BEFORE)
        plan = await plan_of(store, session, asked[0], may_sort=True)
        assert f"{index} " in plan, (view, plan)
        assert not NEVER.search(plan), (view, plan)
        assert ("account" in index) == bool(SORTS.search(plan)), (view, plan)


async def test_a_label_on_many_chats_is_looked_for_along_the_view(
    store: Store, session: AsyncSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "FEW", 0)
    with noted(store) as asked:
        await inbox.list_chats(session, TWO, Wanted(1, View.CLOSED, label_id=1))
    plan = await plan_of(store, session, asked[-2], may_sort=True)
    assert "ix_chats_account_closed" in plan
    assert not NEVER.search(plan), plan


async def test_rows_that_rang_are_looked_up_whatever_the_view(store: Store, session: AsyncSession) -> None:
    for view in View:
        with noted(store) as asked:
            await inbox.find_lines(session, TWO, [3, 4, 5], Wanted(1, view))
        plan = await plan_of(store, session, asked[0])
        assert re.search(r"SEARCH chats USING INTEGER PRIMARY KEY|Index Scan using pk_chats on chats", plan), (
            view,
            plan,
        )


async def test_chats_that_search_names_are_looked_up_whoever_asks(
    store: Store, session: AsyncSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def named(*_: object) -> list[int]:
        return [-3, -4, -5]

    monkeypatch.setattr(search, "_run", named)
    with noted(store) as asked:
        for accounts in (None, frozenset({1}), frozenset({1, 2})):
            await search._find_chats(session, All(()), accounts, 7)
            await search.find_item_title(session, 5, accounts)
    assert len(asked) == 6
    for one in asked:
        plan = await plan_of(store, session, one, may_sort=True)
        assert re.search(r"SEARCH chats USING INTEGER PRIMARY KEY|Index Scan.* using pk_chats on chats", plan), plan


async def test_counts_read_indexes_alone(store: Store, session: AsyncSession) -> None:
    for sight in (ALL_ACCOUNTS, ONE, TWO):
        with noted(store) as asked:
            await inbox.count_chats(session, sight, [Wanted(1, view) for view in View])
        plan = await plan_of(store, session, asked[0])
        reads = [line for line in plan.splitlines() if re.search(r"(SCAN|SEARCH|Scan).*chats", line)]
        assert len(reads) >= len(View), plan
        assert all(re.search("COVERING INDEX ix_|Index Only Scan using ix_", line) for line in reads), plan


async def test_a_thread_is_read_by_its_indexes(store: Store, session: AsyncSession) -> None:
    chat = Chat(id=7, account_id=1, unread=3)
    with noted(store) as asked:
        await inbox.list_entries(session, chat, before=BEFORE)
        await inbox.find_changed(session, chat, after=3)
        await inbox.find_first_unread(session, chat)
    begins = [one[1] for statement, _ in asked if (one := re.search(r"FROM (\w+)", statement))]
    assert sorted(begins) == ["acts", "acts", "messages", "messages", "messages", "notes", "notes"]
    for one, table in zip(asked, begins, strict=True):
        plan = await plan_of(store, session, one, may_sort=True)
        assert f"ix_{table}_" in plan, plan
        assert not NEVER.search(plan), plan


@contextmanager
def noted(store: Store) -> Generator[list[tuple[str, Any]]]:
    """Every statement that is sent meanwhile, with its parameters."""
    found: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        found.append((statement, parameters))

    engine = store._read.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(engine, "before_cursor_execute", note)


async def plan_of(store: Store, session: AsyncSession, asked: tuple[str, Any], *, may_sort: bool = False) -> str:
    connection = await session.connection()
    if not store.is_sqlite:
        for way, allowed in (("seqscan", False), ("bitmapscan", False), ("sort", may_sort)):
            await connection.exec_driver_sql(f"SET LOCAL enable_{way} = {'on' if allowed else 'off'}")
    statement, parameters = asked
    explained = await connection.exec_driver_sql(
        f"{'EXPLAIN QUERY PLAN' if store.is_sqlite else 'EXPLAIN'} {statement}", parameters
    )
    return "\n".join(str(row[-1]) for row in explained)
