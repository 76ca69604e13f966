"""The list of chats: its views, narrowed by account, label and item, in pages and in counts.

Each view has an index in its own order, and another one for a single account; an item has one as well. Who sees some of
the accounts gets a page that is merged from the heads of theirs, since no index has several accounts in one order. A
label that is on few chats is where the database begins, one that is on many is looked for along the view's order: so a
page costs the same among a hundred chats and a hundred thousand.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache, reduce
from typing import Any, TypeVar

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    FromClause,
    Select,
    and_,
    bindparam,
    case,
    exists,
    func,
    select,
    true,
    tuple_,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncSession

from golub.inbox.places import Place
from golub.model import Account, Chat, ChatLabel, Label, Message, Operator
from golub.sight import ALL_ACCOUNTS, Sight
from golub.store.lists import padded

S = TypeVar("S", bound=Select[*tuple[Any, ...]])

CHATS_A_PAGE = 25  # more than a tall screen shows; where its end is seen the next ones come
COUNT_LIMIT = 500  # counts are exact below; nobody reads further, and counting on costs time
FEW = 2000  # chats that have a label, for a page to begin with them …
FEW_TO_COUNT = 8000  # … and for counts of all views, which read each of them once …
FEW_FOR_ONE = 3000  # … and of one view
LABELLED_LIMIT = 200  # up to which counts are exact of a label that is on many: most chats of a view do not have it
MERGED = 50  # accounts at most

# What every page asks is put together once, here and in the modules beside it: that takes longer than an answer.
_CHATS: BindParameter[int] = bindparam("chats", expanding=True)
_TEAM = select(Operator).order_by(Operator.name, Operator.id)
_LABELS_ON = (
    select(ChatLabel.chat_id, Label)
    .join(Label, Label.id == ChatLabel.label_id)
    .where(ChatLabel.chat_id.in_(_CHATS))
    .order_by(Label.name)
)


class View(StrEnum):
    ALL = "all"  # that are open
    MINE = "mine"  # … that I have taken
    UNASSIGNED = "unassigned"  # … that nobody has
    WAITING = "waiting"  # … in which the buyer waits for us; the longest wait first
    UNREAD = "unread"
    SNOOZED = "snoozed"  # what comes back next first
    CLOSED = "closed"  # the last one first


_SOONEST_FIRST = frozenset({View.WAITING, View.SNOOZED})
_BY_ACCOUNT = frozenset({View.ALL, View.UNASSIGNED, View.WAITING, View.UNREAD, View.CLOSED})  # each has an index for it


@dataclass(frozen=True, slots=True)
class Wanted:
    """A list as one operator wants it."""

    operator_id: int
    view: View = View.ALL
    account_id: int | None = None
    label_id: int | None = None
    item_id: int | None = None  # Avito's

    @property
    def key(self) -> Any:
        """The column by which the list is ordered."""
        keys = {View.WAITING: Chat.waiting_since, View.SNOOZED: Chat.snoozed_until, View.CLOSED: Chat.closed_at}
        return keys.get(self.view, Chat.listed_at)

    @property
    def soonest_first(self) -> bool:
        return self.view in _SOONEST_FIRST


@dataclass(frozen=True, slots=True)
class Line:
    """A chat as the list shows it."""

    chat: Chat
    last: Message | None
    labels: tuple[Label, ...] = ()

    def place(self, wanted: Wanted) -> Place:
        return Place(getattr(self.chat, wanted.key.key) or 0, self.chat.id)


@dataclass(frozen=True, slots=True)
class Page:
    """Chats in the view's order. `next` is where the following page begins; None at the end."""

    lines: list[Line]
    next: Place | None


async def list_chats(
    session: AsyncSession, sight: Sight, wanted: Wanted, *, before: Place | None = None, limit: int = CHATS_A_PAGE
) -> Page:
    """A page of the list, beginning after `before`."""
    few = await _few(session, [wanted], FEW)
    rows = [tuple(row) for row in await session.execute(_found(sight, wanted, few, before, limit))]
    lines = await _labelled(session, rows[:limit])
    return Page(lines, lines[-1].place(wanted) if len(rows) > limit else None)


async def find_lines(session: AsyncSession, sight: Sight, chat_ids: Sequence[int], wanted: Wanted) -> list[Line]:
    """Those of `chat_ids` that belong to the list, in no order: what a page needs after a ring."""
    found = _belonging(sight, wanted, await _few(session, [wanted], FEW))
    rows = await session.execute(found, {"chats": padded(chat_ids)})
    return await _labelled(session, [tuple(row) for row in rows])


async def count_chats(session: AsyncSession, sight: Sight, lists: Sequence[Wanted]) -> list["Count"]:
    """How many chats each list has.

    An item's chats, or those of a label that is on few, are read once for all views of them. Along a view's order that
    label would be looked for in vain most of the time; one that is on many is soon found as often as is counted."""
    sizes = await _sizes(session, lists, FEW_TO_COUNT)
    statement, limits = _counting(sight, tuple(lists), frozenset(sizes.items()))
    numbers = (await session.execute(statement)).one()
    return [
        Count(number) if number < limit else Count(limit - 1, more=True)
        for number, limit in zip(numbers, limits, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class Count:
    """`more`: there are more, and how many was not counted."""

    number: int
    more: bool = False

    def __str__(self) -> str:
        return f"{self.number}+" if self.more else str(self.number)


@lru_cache(256)  # an operator's lists stay the same for days, and putting the statements together takes milliseconds
def _counting(
    sight: Sight, lists: tuple[Wanted, ...], sizes: frozenset[tuple[int, int]]
) -> tuple[Select[*tuple[Any, ...]], list[int]]:
    """A column for each list, and up to which number it counts."""
    alike: dict[Wanted, list[int]] = {}
    for number, wanted in enumerate(lists):
        alike.setdefault(replace(wanted, view=View.ALL), []).append(number)
    columns: dict[int, Any] = {}
    limits = [COUNT_LIMIT] * len(lists)
    read_once: list[FromClause] = []
    for narrowed, places in alike.items():
        label_id, views = narrowed.label_id, [lists[place] for place in places]
        few = FEW_TO_COUNT if len(views) > 2 else FEW_FOR_ONE
        once = frozenset[int | None](label for label, size in sizes if size < few)
        if narrowed.item_id is not None or label_id in once:
            each = [func.count(case((_belongs(lists[place]), 1))).label(f"n{place}") for place in places]
            counted = select(*each).where(*_narrowing(sight, narrowed, once)).subquery()
            columns.update(zip(places, counted.c, strict=True))
            read_once.append(counted)
            continue
        limit = COUNT_LIMIT if label_id is None else LABELLED_LIMIT
        for place, view in zip(places, views, strict=True):
            some = select(Chat.id).where(*_narrowed(sight, view, once)).limit(limit).subquery()
            columns[place] = select(func.count()).select_from(some).scalar_subquery().label(f"n{place}")
            limits[place] = limit
    found = select(*(columns[place] for place in range(len(lists))))
    if read_once:
        found = found.select_from(reduce(lambda left, right: left.join(right, true()), read_once))
    return found, limits


async def list_accounts(session: AsyncSession, sight: Sight) -> list[Account]:
    return list((await session.scalars(_accounts(sight))).all())


async def list_team(session: AsyncSession) -> list[Operator]:
    """Everybody who is or was an operator: chats say whose they are."""
    return list((await session.scalars(_TEAM)).all())


@lru_cache(256)
def _accounts(sight: Sight) -> Select[Account]:
    return select(Account).where(sight.of(Account.id)).order_by(Account.name, Account.id)


def _lines() -> Select[Chat, Message]:
    return select(Chat, Message).outerjoin(Message, Message.id == Chat.last_message_id)


@lru_cache(256)
def _belonging(sight: Sight, wanted: Wanted, few: frozenset[int | None]) -> Select[Chat, Message]:
    """Those of `chats` that belong to the list."""
    belongs = and_(*_narrowed(sight, wanted, few))
    # In a CASE, where no database looks for an index: these chats are fewer than any view's.
    return _lines().where(Chat.id.in_(_CHATS), case((belongs, 1), else_=0) == 1)


@lru_cache(256)
def _found(
    sight: Sight, wanted: Wanted, few: frozenset[int | None], before: Place | None, limit: int
) -> Select[Chat, Message]:
    heads = [
        _head(select(Chat.id).where(*_narrowed(ALL_ACCOUNTS, one, few)), one, before, limit).subquery()
        for one in _merged(sight, wanted, few)
    ]
    if not heads:
        return _head(_lines().where(*_narrowed(sight, wanted, few)), wanted, before, limit)
    among = Chat.id.in_(union_all(*(select(head.c.id) for head in heads)))
    return _head(_lines().where(among), wanted, None, limit)


def _merged(sight: Sight, wanted: Wanted, few: frozenset[int | None]) -> list[Wanted]:
    """The lists of single accounts that make up this one, where that is how to find its page."""
    if sight.accounts is None or wanted.account_id is not None or wanted.view not in _BY_ACCOUNT:
        return []
    if _is_short(wanted, few):
        return []
    accounts = sorted(sight.accounts) if 1 < len(sight.accounts) <= MERGED else []
    return [replace(wanted, account_id=account_id) for account_id in accounts]


def _head(found: S, wanted: Wanted, before: Place | None, limit: int) -> S:
    """The next rows in the list's order, and one more."""
    key = wanted.key
    if before:
        here, there = tuple_(key, Chat.id), tuple_(before.key, before.id)
        found = found.where(here > there if wanted.soonest_first else here < there)
    if wanted.view is View.UNASSIGNED:
        found = found.order_by(Chat.owner_id.desc())  # nobody's all of them: so begins the index of who has what
    order = (key, Chat.id) if wanted.soonest_first else (key.desc(), Chat.id.desc())
    return found.order_by(*order).limit(limit + 1)


async def _labelled(session: AsyncSession, rows: Sequence[Any]) -> list[Line]:
    labels: dict[int, list[Label]] = {}
    for chat_id, label in await session.execute(_LABELS_ON, {"chats": padded([chat.id for chat, _ in rows])}):
        labels.setdefault(chat_id, []).append(label)
    return [Line(chat, last, tuple(labels.get(chat.id, ()))) for chat, last in rows]


def _belongs(wanted: Wanted) -> ColumnElement[bool]:
    """In the words of the views' partial indexes, so that both databases see that they fit."""
    is_open = and_(Chat.closed_at.is_(None), Chat.snoozed_until.is_(None))
    match wanted.view:
        case View.MINE:
            return and_(Chat.owner_id == wanted.operator_id, is_open)
        case View.UNASSIGNED:
            return and_(Chat.owner_id.is_(None), is_open)
        case View.WAITING:
            return and_(Chat.waiting_since.is_not(None), Chat.snoozed_until.is_(None))
        case View.UNREAD:
            return Chat.unread > 0
        case View.SNOOZED:
            return Chat.snoozed_until.is_not(None)
        case View.CLOSED:
            return Chat.closed_at.is_not(None)
        case View.ALL:
            return is_open


async def _few(session: AsyncSession, lists: Sequence[Wanted], most: int) -> frozenset[int | None]:
    """Those of the lists' labels that are on fewer chats than that."""
    return frozenset(label_id for label_id, size in (await _sizes(session, lists, most)).items() if size < most)


async def _sizes(session: AsyncSession, lists: Sequence[Wanted], most: int) -> dict[int, int]:
    """On how many chats each of the lists' labels is, counted up to `most`."""
    labels = sorted({wanted.label_id for wanted in lists if wanted.label_id is not None})
    if not labels:
        return {}
    counted = (await session.execute(_sizing(tuple(labels), most))).one()
    return dict(zip(labels, counted, strict=True))


@lru_cache(256)
def _sizing(labels: tuple[int, ...], most: int) -> Select[*tuple[Any, ...]]:
    numbers = [
        select(func.count()).select_from(_labelled_by(label_id).limit(most).subquery()).scalar_subquery()
        for label_id in labels
    ]
    return select(*numbers)


def _is_short(wanted: Wanted, few: frozenset[int | None]) -> bool:
    """Whether the database begins with an item's chats or a label's, and not with a view's."""
    return wanted.item_id is not None or wanted.label_id in few


def _narrowed(sight: Sight, wanted: Wanted, few: frozenset[int | None]) -> list[ColumnElement[bool]]:
    return [_belongs(wanted), *_narrowing(sight, wanted, few)]


def _narrowing(sight: Sight, wanted: Wanted, few: frozenset[int | None]) -> list[ColumnElement[bool]]:
    # An operator's own chats, what was put off, and an item's are few beside an account's: `+ 0` keeps SQLite to them.
    by_account = wanted.view in _BY_ACCOUNT and not _is_short(wanted, few)
    account = Chat.account_id if by_account else Chat.account_id + 0
    conditions = [sight.of(account)]
    if wanted.account_id is not None:
        conditions.append(account == wanted.account_id)
    if wanted.item_id is not None:
        conditions.append(and_(Chat.item_id.is_not(None), Chat.item_id == wanted.item_id))
    if wanted.label_id is not None:
        has_label = exists().where(ChatLabel.chat_id == Chat.id, ChatLabel.label_id == wanted.label_id)
        conditions.append(Chat.id.in_(_labelled_by(wanted.label_id)) if wanted.label_id in few else has_label)
    return conditions


def _labelled_by(label_id: int) -> Select[int]:
    return select(ChatLabel.chat_id).where(ChatLabel.label_id == label_id)
