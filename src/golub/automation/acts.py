"""The log of the rules: what each did about which message, or why it did nothing; newest first."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import and_, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from golub.automation.engine import reply_key
from golub.clock import Millis
from golub.model import AutomaticAct, Chat, Outcome, OutgoingMessage, Slot
from golub.sight import Sight

A_PAGE = 50


@dataclass(frozen=True, slots=True)
class Entry:
    """With its chat, and the state of the reply: of the first message of several, empty where there is none."""

    act: AutomaticAct
    chat: Chat
    sent: str


@dataclass(frozen=True, slots=True)
class Page:
    entries: Sequence[Entry]
    next: int | None


async def list_acts(
    session: AsyncSession,
    sight: Sight,
    *,
    rule_id: int | None = None,
    outcome: Outcome | None = None,
    before: int | None = None,
) -> Page:
    """Behind the number `before`."""
    found = (
        select(AutomaticAct, Chat)
        .join(Chat, Chat.id == AutomaticAct.chat_id)
        .where(sight.of(AutomaticAct.account_id.expression))
        .order_by(AutomaticAct.id.desc())
        .limit(A_PAGE + 1)
    )
    if rule_id is not None:
        found = found.where(AutomaticAct.rule_id == rule_id)
    if outcome is not None:
        found = found.where(AutomaticAct.outcome == outcome)
    if before is not None:
        found = found.where(AutomaticAct.id < before)
    rows = [(act, chat) for act, chat in await session.execute(found)]
    states = await _find_states(session, [act for act, _ in rows])
    entries = [Entry(act, chat, states.get(act.message_id, "")) for act, chat in rows[:A_PAGE]]
    return Page(entries, rows[A_PAGE - 1][0].id if len(rows) > A_PAGE else None)


async def count_done(session: AsyncSession, *, since: Millis) -> dict[int, int]:
    """How often each rule did something since then."""
    found = (
        select(AutomaticAct.rule_id, func.count())
        .where(AutomaticAct.at >= since, and_(AutomaticAct.outcome == Outcome.DONE, AutomaticAct.rule_id.is_not(None)))
        .group_by(AutomaticAct.rule_id)
    )
    return {rule_id: count for rule_id, count in await session.execute(found) if rule_id is not None}


async def _find_states(session: AsyncSession, acts: Sequence[AutomaticAct]) -> dict[int, str]:
    keys = {
        reply_key(act.message_id): act.message_id
        for act in acts
        if act.slot == Slot.REPLY and act.outcome == Outcome.DONE
    }
    found = select(OutgoingMessage.client_key, OutgoingMessage.state).where(
        OutgoingMessage.chat_id.in_({act.chat_id for act in acts}), OutgoingMessage.client_key.in_(keys)
    )
    return {keys[key]: state for key, state in await session.execute(found)}
