"""Who waits now, for how long, and the chats behind every figure: keyset pages."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import ColumnElement, and_, case, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from golub.clock import DAY, HOUR, SECOND, Millis
from golub.inbox import Place
from golub.model import Chat, Wait
from golub.reports.answers import CLOSED, MISSED_AFTER, unanswered
from golub.reports.question import Question

CHATS_A_PAGE = 50


class Only(StrEnum):
    """Which of a period's waits are listed."""

    ALL = "all"
    NEW = "new"  # the buyer had not written in the chat before
    ANSWERED = "answered"
    LATE = "late"  # not answered within the target
    MISSED = "missed"
    CLOSED = "closed"  # without an answer


@dataclass(frozen=True, slots=True)
class Waiting:
    """Chats that wait now, by how long: `edges` are the ends of all steps but the last, which has none."""

    edges: Sequence[Millis]
    counts: Sequence[int]
    oldest: Millis | None

    @property
    def count(self) -> int:
        return sum(self.counts)


@dataclass(frozen=True, slots=True)
class Line:
    """`wait` None: the chat waits now, since `began_at`."""

    chat: Chat
    began_at: Millis
    wait: Wait | None = None


@dataclass(frozen=True, slots=True)
class Page:
    lines: list[Line]
    next: Place | None


async def count_waiting(session: AsyncSession, question: Question) -> Waiting:
    """As the inbox counts it: history waits for nobody, nor does a chat that was closed or put off."""
    edges = sorted({question.target, *(edge for edge in (HOUR, 4 * HOUR, DAY, 7 * DAY) if edge > question.target)})
    waited = question.now - Chat.waiting_since
    step = case(*((waited <= edge, number) for number, edge in enumerate(edges)), else_=len(edges))
    counted = select(step, func.count(), func.min(Chat.waiting_since)).where(*_waiting(question)).group_by(step)
    rows = [(number, count, since or 0) for number, count, since in await session.execute(counted)]
    counts = [0] * (len(edges) + 1)
    for number, count, _ in rows:
        counts[number] = count
    return Waiting(edges, counts, min((since for _, _, since in rows), default=None))


async def list_waiting(
    session: AsyncSession, question: Question, *, step: int | None = None, after: Place | None = None
) -> Page:
    """The longest wait first. `step`: of `Waiting.counts`."""
    found = select(Chat).where(*_waiting(question))
    if step is not None:
        edges = (await count_waiting(session, question)).edges
        if step > 0:
            found = found.where(Chat.waiting_since < question.now - edges[min(step, len(edges)) - 1])
        if step < len(edges):
            found = found.where(Chat.waiting_since >= question.now - edges[step])
    if after:
        found = found.where(tuple_(Chat.waiting_since, Chat.id) > tuple_(after.key, after.id))
    found = found.order_by(Chat.waiting_since, Chat.id).limit(CHATS_A_PAGE + 1)
    chats = list(await session.scalars(found))
    lines = [Line(chat, chat.waiting_since or 0) for chat in chats[:CHATS_A_PAGE]]
    return Page(lines, Place(lines[-1].began_at, lines[-1].chat.id) if len(chats) > CHATS_A_PAGE else None)


async def list_waits(
    session: AsyncSession,
    question: Question,
    only: Only,
    *,
    hour: int | None = None,
    at_avito: bool = False,
    before: Place | None = None,
) -> Page:
    """The newest first. `hour`: of the reader's day. `at_avito`: only what was answered there, by no operator."""
    found = select(Wait, Chat).join(Chat, Chat.id == Wait.chat_id).where(*question.waits(), *_only(question, only))
    if hour is not None:
        found = found.where(question.period.hour(Wait.began_at) == hour)
    if at_avito:
        found = found.where(Wait.seconds.is_not(None), Wait.operator_id.is_(None))
    if before:
        found = found.where(tuple_(Wait.began_at, Wait.id) < tuple_(before.key, before.id))
    found = found.order_by(Wait.began_at.desc(), Wait.id.desc()).limit(CHATS_A_PAGE + 1)
    rows = (await session.execute(found)).all()
    lines = [Line(chat, wait.began_at, wait) for wait, chat in rows[:CHATS_A_PAGE]]
    more = len(rows) > CHATS_A_PAGE
    return Page(lines, Place(rows[CHATS_A_PAGE - 1][0].began_at, rows[CHATS_A_PAGE - 1][0].id) if more else None)


def _only(question: Question, only: Only) -> list[ColumnElement[bool]]:
    if only is Only.NEW:
        return [Wait.is_first.is_(True)]
    if only is Only.ANSWERED:
        return [Wait.seconds.is_not(None)]
    if only is Only.MISSED:
        return [*unanswered(question.now - MISSED_AFTER)]
    if only is Only.CLOSED:
        return [*CLOSED]
    if only is Only.LATE:
        slow = Wait.seconds > question.target // SECOND
        return [or_(slow, and_(*unanswered(question.now - question.target - 1)))]
    return []


def _waiting(question: Question) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [
        Chat.waiting_since.is_not(None),
        Chat.snoozed_until.is_(None),
        Chat.account_id.in_(question.accounts),
    ]
    if question.item_id is not None:
        found.append(Chat.item_id == question.item_id)
    return found
