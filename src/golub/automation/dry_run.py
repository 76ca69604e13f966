"""What the rules would have done with the chats of the last days, by the same judgement that the live engine asks.

It takes each message at the moment at which the engine would have: when it had come, and settled. What nobody knows any
more it leaves out: chats that were snoozed, or closed and opened again, count as if they had stayed open.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from golub.automation.reading import read_talks
from golub.automation.rules import SETTLE, Line, Rule, Side, Talk, Verdict, nearest, nudge_about, nudged_at, reply_to
from golub.clock import Millis
from golub.model import Chat, Outcome, RuleKind

CHATS_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Would:
    """What would have become of a message, at that time."""

    chat_id: int
    line: Line
    verdict: Verdict
    at: Millis


@dataclass(frozen=True, slots=True)
class Part:
    """Of all chats those up to the row id `next`; None: these were the last. `chats`: how many were looked at."""

    found: Sequence[Would]
    chats: int
    next: int | None


async def try_rules(
    session: AsyncSession, rules: Sequence[Rule], *, since: Millis, now: Millis, after: int = 0
) -> Part:
    """The chats behind the row id `after`. Rules count as if they had been on all the time."""
    found = (
        select(Chat.id)
        .where(Chat.id > after, Chat.last_message_at >= since, Chat.chat_type != "a2u")
        .order_by(Chat.id)
        .limit(CHATS_AT_ONCE)
    )
    chat_ids = list(await session.scalars(found))
    talks = await read_talks(session, chat_ids, since=since, now=now, recorded=True)
    always = [replace(rule, since=0) for rule in rules]
    would = [one for chat_id in chat_ids for one in judge(always, talks[chat_id], since, now)]
    return Part(would, len(chat_ids), chat_ids[-1] if len(chat_ids) == CHATS_AT_ONCE else None)


def judge(rules: Sequence[Rule], talk: Talk, since: Millis, until: Millis) -> Iterable[Would]:
    """In the order of the chat's messages. Pure."""
    replied: list[Millis] = []
    for line in talk.lines:
        if line.side is not Side.BUYER or not since <= line.at < until:
            continue
        at = line.known_at + SETTLE
        as_then = replace(talk, replied=tuple(replied))
        if at <= until and (verdict := reply_to(rules, as_then, line, at)):
            if verdict.outcome is Outcome.DONE:
                replied.append(at)
            yield Would(talk.chat_id, line, verdict, at)
        rule = nearest(rules, talk, RuleKind.NUDGE)
        if rule is None or (due := nudged_at(rule, line)) > until:
            continue
        if verdict := nudge_about(rules, talk, line, due):
            yield Would(talk.chat_id, line, verdict, due)
