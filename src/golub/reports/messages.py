"""How many messages came and went, by the period's steps: ranges of indexes are counted, and no message is read."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Integer, column, func, select, values
from sqlalchemy.ext.asyncio import AsyncSession

from golub.clock import Millis
from golub.model import Account, Chat, Direction, Message, OutgoingMessage, OutgoingState
from golub.reports.question import Question


@dataclass(frozen=True, slots=True)
class Traffic:
    """By the period's steps. Of one operator, what he wrote through Golub goes out, and nothing comes in."""

    incoming: Sequence[int]
    outgoing: Sequence[int]


async def count_messages(session: AsyncSession, question: Question) -> Traffic:
    if question.operator_id is not None:
        return Traffic([0] * len(question.period.steps), await _count_written(session, question))
    return Traffic(*[await _count(session, question, way) for way in (Direction.IN, Direction.OUT)])


async def _count(session: AsyncSession, question: Question, way: Direction) -> list[int]:
    """One look into an index for each step and account, or each chat about the item."""
    steps = _steps(question)
    if question.item_id is None:
        owner, of_owner = Account, Message.account_id == Account.id
        owners = [Account.id.in_(question.accounts)]
    else:
        owner, of_owner = Chat, Message.chat_id == Chat.id
        owners = [Chat.item_id == question.item_id, Chat.account_id.in_(question.accounts)]
    number = (
        select(func.count())
        .select_from(Message)
        .where(
            of_owner,
            Message.direction == way.value,
            Message.created_at >= steps.c.since,
            Message.created_at < steps.c.until,
        )
        .correlate(steps, owner)
        .scalar_subquery()
    )
    counted = select(steps.c.step, func.sum(number)).select_from(steps).join(owner, owners[0]).where(*owners)
    return await _by_step(session, question, counted.group_by(steps.c.step))


async def _count_written(session: AsyncSession, question: Question) -> list[int]:
    steps = _steps(question)
    written = (
        select(steps.c.step, func.count())
        .select_from(steps)
        .join(
            OutgoingMessage,
            (OutgoingMessage.finished_at >= steps.c.since) & (OutgoingMessage.finished_at < steps.c.until),
        )
        .where(
            OutgoingMessage.operator_id == question.operator_id,
            OutgoingMessage.state == OutgoingState.SENT,
            OutgoingMessage.account_id.in_(question.accounts),
        )
        .group_by(steps.c.step)
    )
    if question.item_id is not None:
        written = written.join(Chat, Chat.id == OutgoingMessage.chat_id).where(Chat.item_id == question.item_id)
    return await _by_step(session, question, written)


async def _by_step(session: AsyncSession, question: Question, counted: Any) -> list[int]:
    found = [0] * len(question.period.steps)
    rows: Any = await session.execute(counted)
    for step, number in rows:
        found[step] = int(number or 0)
    return found


def _steps(question: Question) -> Any:
    """The period's steps as a table, as far as they have begun."""
    begins = [at for at in question.period.steps if at < question.period.until]
    ends: list[Millis] = [*begins[1:], question.period.until]
    rows = [(number, since, until) for number, (since, until) in enumerate(zip(begins, ends, strict=True))]
    columns = column("step", Integer), column("since", BigInteger), column("until", BigInteger)
    return values(*columns, name="steps").data(rows).cte("steps")
