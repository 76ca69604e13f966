"""Reads what the pure rules ask of: the rules that are on, and chats as `rules.Talk`, many at once."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from golub.automation.hours import LOOKED_BACK, Hours
from golub.automation.rules import Line, Rule, Side, Talk
from golub.clock import DAY, HOUR, Millis
from golub.composing.filling import values_of
from golub.model import (
    Account,
    AutomaticAct,
    AutomaticRule,
    BlockedBuyer,
    Chat,
    Direction,
    Message,
    Outcome,
    OutgoingMessage,
    OutgoingState,
    RuleKind,
    RulePicture,
    Slot,
)
from golub.store.lists import padded

UNDER_WAY = (OutgoingState.QUEUED, OutgoingState.SENDING, OutgoingState.UNCONFIRMED)
UNASKED_FOR = HOUR  # until then a sweep has asked Avito about a message at the latest; a rule would have at once
BLOCKED = frozenset({"blocked", "blacklisted"})  # a chat's status, in Avito's words


def rule_of(row: AutomaticRule, *, pictures: bool) -> Rule:
    kind = RuleKind(row.kind)
    return Rule(
        row.id,
        kind,
        row.account_id,
        row.item_id,
        texts=tuple(row.texts),
        pictures=pictures,
        hours=Hours.of(row.hours) if kind is RuleKind.AWAY else None,
        minutes=row.minutes,
        since=row.active_since or 0,
    )


async def list_active(session: AsyncSession) -> tuple[Rule, ...]:
    has_pictures = exists().where(RulePicture.rule_id == AutomaticRule.id)
    found = select(AutomaticRule, has_pictures).where(AutomaticRule.active_since.is_not(None))
    return tuple(
        rule_of(row, pictures=bool(some)) for row, some in await session.execute(found.order_by(AutomaticRule.id))
    )


async def read_talks(
    session: AsyncSession, chat_ids: Collection[int], *, since: Millis, now: Millis, recorded: bool = False
) -> dict[int, Talk]:
    """By chat; `lines` are those written since then. `recorded`: as they went, for a dry run. That knows of no earlier
    automatic replies, of closing and snoozing what can be seen of it today, and takes what has just come for confirmed,
    since a rule would have asked for that."""
    chats = {
        chat.id: (chat, account)
        for chat, account in await session.execute(
            select(Chat, Account).join(Account, Account.id == Chat.account_id).where(Chat.id.in_(padded(chat_ids)))
        )
    }
    lines = await _read_lines(session, chats.keys(), since, sure_since=now - UNASKED_FOR if recorded else None)
    earlier = await _read_earlier(session, chats.keys(), since)
    blocked = await _find_blocked(session, [chat for chat, _ in chats.values()])
    ours = set(await session.scalars(select(Account.user_id)))
    replied: defaultdict[int, list[Millis]] = defaultdict(list)
    if not recorded:
        await _add_under_way(session, lines, now)
        replied = await _read_replied(session, chats.keys(), now)
    return {
        chat.id: Talk(
            chat.id,
            chat.account_id,
            chat.item_id,
            account.zone,
            lines[chat.id],
            begun=chat.id in earlier,
            waited=earlier.get(chat.id) == Side.BUYER,
            barred=_bar(chat, blocked, ours),
            rested_at=chat.closed_at,
            settled_to=chat.settled_to,
            values=values_of(chat, account),
            replied=replied[chat.id],
        )
        for chat, account in chats.values()
    }


async def find_acted(session: AsyncSession, message_ids: Collection[int], slot: Slot) -> set[int]:
    """The messages about which that was done, or was not, already."""
    about = AutomaticAct.message_id.in_(padded(message_ids))
    found = select(AutomaticAct.message_id).where(about, AutomaticAct.slot == slot)
    return set(await session.scalars(found))


def _bar(chat: Chat, blocked: set[tuple[int, int]], ours: set[int]) -> Outcome | None:
    if (chat.account_id, chat.buyer_id) in blocked or chat.status in BLOCKED:
        return Outcome.BLOCKED
    return Outcome.OURS if chat.buyer_id in ours else None


async def _read_lines(
    session: AsyncSession, chat_ids: Collection[int], since: Millis, *, sure_since: Millis | None
) -> defaultdict[int, list[Line]]:
    found = (
        select(Message, _is_automatic(Message))
        .join(Chat, Chat.id == Message.chat_id)
        .where(Message.chat_id.in_(padded(chat_ids)), Message.created_at >= since, Chat.chat_type != "a2u")
        .order_by(Message.chat_id, Message.created_at, Message.id)
    )
    lines: defaultdict[int, list[Line]] = defaultdict(list)
    for row, automatic in await session.execute(found):
        lines[row.chat_id].append(
            Line(
                row.id,
                row.created_at,
                row.received_at,
                _side(row.direction, automatic=automatic),
                row.type,
                quiet=row.quiet,
                deleted_at=row.deleted_at,
                confirmed=row.confirmed or (sure_since is not None and row.received_at >= sure_since),
            )
        )
    return lines


async def _read_earlier(session: AsyncSession, chat_ids: Collection[int], since: Millis) -> dict[int, Side]:
    """Who spoke last before that, in the chats in which somebody had."""
    earlier = aliased(Message)
    last = (
        select(earlier.id)
        .where(
            earlier.chat_id == Chat.id,
            earlier.created_at < since,
            earlier.direction != Direction.SYSTEM,
            earlier.deleted_at.is_(None),
            ~_is_automatic(earlier),
        )
        .order_by(earlier.created_at.desc(), earlier.id.desc())
        .limit(1)
        .correlate(Chat)
        .scalar_subquery()
    )
    found = select(Message.chat_id, Message.direction, or_(Message.quiet, Message.id <= Chat.settled_to).label("done"))
    found = found.join(Chat, Chat.id == Message.chat_id).where(Chat.id.in_(padded(chat_ids)), Message.id == last)
    rows = await session.execute(found)
    # Nobody waits since history, nor since what the chat was closed on.
    return {row.chat_id: Side.TEAM if row.done else _side(row.direction, automatic=False) for row in rows}


async def _add_under_way(session: AsyncSession, lines: defaultdict[int, list[Line]], now: Millis) -> None:
    """What operators have queued counts as said, though Avito does not know of it yet."""
    found = select(OutgoingMessage.chat_id, OutgoingMessage.created_at).where(
        OutgoingMessage.chat_id.in_(padded(lines)),
        OutgoingMessage.operator_id.is_not(None),
        OutgoingMessage.state.in_(UNDER_WAY),
    )
    for row in await session.execute(found):
        lines[row.chat_id].append(Line(0, row.created_at, min(row.created_at, now), Side.TEAM))


async def _read_replied(
    session: AsyncSession, chat_ids: Collection[int], now: Millis
) -> defaultdict[int, list[Millis]]:
    found = select(AutomaticAct.chat_id, AutomaticAct.at).where(
        AutomaticAct.chat_id.in_(padded(chat_ids)),
        AutomaticAct.slot == Slot.REPLY,
        AutomaticAct.outcome == Outcome.DONE,
        AutomaticAct.at > now - (LOOKED_BACK + 1) * DAY,
    )
    replied: defaultdict[int, list[Millis]] = defaultdict(list)
    for row in await session.execute(found):
        replied[row.chat_id].append(row.at)
    return replied


async def _find_blocked(session: AsyncSession, chats: Sequence[Chat]) -> set[tuple[int, int]]:
    buyers = {chat.buyer_id for chat in chats if chat.buyer_id is not None}
    found = select(BlockedBuyer.account_id, BlockedBuyer.buyer_id).where(BlockedBuyer.buyer_id.in_(padded(buyers)))
    return {(row.account_id, row.buyer_id) for row in await session.execute(found)}


def _is_automatic(message: Any) -> Any:
    return exists().where(
        OutgoingMessage.chat_id == message.chat_id,
        OutgoingMessage.message_avito_id == message.avito_id,
        OutgoingMessage.operator_id.is_(None),
        message.direction == Direction.OUT,
    )


def _side(direction: str, *, automatic: bool) -> Side:
    if automatic:
        return Side.GOLUB
    return {Direction.IN: Side.BUYER, Direction.OUT: Side.TEAM}.get(Direction(direction), Side.AVITO)
