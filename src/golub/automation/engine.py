"""Does what the rules want of messages that come, each thing once, however many processes look.

No queue and no lease: what a rule does about a message and its row in `automatic_acts`, whose key lets one in, are
committed together, under the lock of the chat that operators' replies take too. So a storm of duplicates, a crash or
a second process finds that row and does nothing. A nudge is a note with a key of its own, written before the row.

What is due is not kept, it follows from the chats with messages of the last hours; of those that have not changed
since a look nothing is read. A reply waits until Avito's API has borne the message out, and asks it to.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import structlog
from sqlalchemy import ColumnElement, exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from golub import metrics, outbox
from golub.apply import Applier
from golub.automation.reading import UNDER_WAY, find_acted, list_active, read_talks
from golub.automation.rules import (
    SETTLE,
    Line,
    Rule,
    Side,
    Talk,
    Verdict,
    is_late,
    nearest,
    nudge_about,
    nudged_at,
    reply_to,
)
from golub.clock import HOUR, MINUTE, SECOND, Clock, Millis
from golub.fold import FetchDue, Nudged
from golub.model import Account, AutomaticAct, Chat, Note, Outcome, OutgoingMessage, RuleKind, RulePicture, Slot
from golub.outbox import Outbox
from golub.runner import Loop
from golub.store import Store
from golub.store.lists import padded

LOOKED_BACK = 2 * HOUR  # of what is older nothing is done, and nothing noted
AT_ONCE = 100  # chats read together
ASKED_EVERY = 10 * SECOND  # the API, about one chat
PAUSE = 2 * SECOND  # until a message that is not confirmed is looked at again

log = structlog.get_logger(__name__)


class _Seen(NamedTuple):
    """A chat as it was when nothing was left to do in it."""

    version: int
    waiting_since: Millis | None


class _Found(NamedTuple):
    id: int
    account_id: int
    avito_id: str
    seen: _Seen


class Automation:
    """One instance in each process that works. `fetch` is told that chats are to be read from the API."""

    def __init__(self, store: Store, applier: Applier, queue: Outbox, fetch: Callable[[], None], clock: Clock) -> None:
        self._store = store
        self._applier = applier
        self._outbox = queue
        self._fetch = fetch
        self._clock = clock
        self._rules: Sequence[Rule] = ()
        self._settled: dict[tuple[Slot, int], _Seen] = {}
        self._asked: dict[int, Millis] = {}

    async def run(self) -> None:
        await Loop("automation", self._clock).run(self.run_once)

    async def run_once(self) -> Millis | None:
        async with self._store.read() as session:
            rules = await list_active(session)
        if rules != self._rules:
            self._rules, self._settled = rules, {}
        due = [await self._look(slot) for slot in Slot if any(rule.kind.slot is slot for rule in rules)]
        return min((at for at in due if at is not None), default=None)

    async def _look(self, slot: Slot) -> Millis | None:
        """Returns when something that waits may be ready."""
        now = self._clock()
        async with self._store.read() as session:
            found = await _find_chats(session, self._where(slot, now))
        present = {(slot, chat.id) for chat in found}
        self._settled = {key: seen for key, seen in self._settled.items() if key[0] is not slot or key in present}
        changed = [chat for chat in found if self._settled.get((slot, chat.id)) != chat.seen]
        again: Millis | None = None
        for start in range(0, len(changed), AT_ONCE):
            for chat, at in await self._attend(slot, changed[start : start + AT_ONCE], now):
                if at is None:
                    self._settled[slot, chat.id] = chat.seen
                else:
                    again = at if again is None else min(again, at)
        return again

    def _where(self, slot: Slot, now: Millis) -> tuple[ColumnElement[bool], ...]:
        is_open = (Chat.closed_at.is_(None), Chat.snoozed_until.is_(None))
        if slot is Slot.REPLY:
            return *is_open, Chat.listed_at >= now - LOOKED_BACK, Account.paused_at.is_(None)
        minutes = [rule.minutes for rule in self._rules if rule.kind is RuleKind.NUDGE]
        earliest = now - max(minutes) * MINUTE - LOOKED_BACK
        return *is_open, Chat.waiting_since >= earliest, Chat.waiting_since <= now - min(minutes) * MINUTE

    async def _attend(self, slot: Slot, chats: Sequence[_Found], now: Millis) -> Sequence[tuple[_Found, Millis | None]]:
        """Each chat with the time at which it is to be looked at again; None: not before it changes."""
        since = now - LOOKED_BACK
        if slot is Slot.NUDGE:  # from where the waits began
            since = min(chat.seen.waiting_since or since for chat in chats)
        async with self._store.read() as session:
            talks = await read_talks(session, [chat.id for chat in chats], since=since, now=now)
            lines = [line.id for talk in talks.values() for line in talk.lines]
            acted = await find_acted(session, lines, slot)
            busy = await _find_busy(session, list(talks)) if slot is Slot.REPLY else set[int]()
        done: list[tuple[_Found, Millis | None]] = []
        for chat in chats:
            if (talk := talks.get(chat.id)) is None:
                continue
            if chat.id in busy:
                done.append((chat, now + PAUSE))  # its own echo must be known for what it is first
            else:
                new = [line for line in talk.lines if line.id and line.id not in acted]
                attend = self._reply if slot is Slot.REPLY else self._nudge
                done.append((chat, await attend(chat, talk, new, now)))
        return done

    async def _reply(self, chat: _Found, talk: Talk, lines: Sequence[Line], now: Millis) -> Millis | None:
        again: list[Millis] = []
        for line in lines:
            if line.side is Side.BUYER and not line.quiet and now < line.known_at + SETTLE:
                again.append(line.known_at + SETTLE)
            elif verdict := reply_to(self._rules, talk, line, now):
                if verdict.outcome is Outcome.UNCONFIRMED and not is_late(line, now):
                    await self._ask(chat, now)
                    again.append(now + PAUSE)
                elif await self._answer(chat, line, verdict.rule):
                    again.append(now)  # what follows it is judged anew
                    break
        return min(again, default=None)

    async def _answer(self, chat: _Found, line: Line, rule: Rule) -> bool:
        """Judges once more while nobody else may write in the chat, and does it. False: somebody else has, or it is
        not to be done yet."""
        pictures = await self._take_pictures(rule) if rule.pictures else []
        taken = False
        try:
            async with self._store.write() as session:
                await outbox.hold(session, chat.id)
                now = self._clock()
                talk = (await read_talks(session, [chat.id], since=now - LOOKED_BACK, now=now))[chat.id]
                line = next((one for one in talk.lines if one.id == line.id), line)
                verdict = reply_to(self._rules, talk, line, now)
                if verdict is None or verdict.rule != rule or not await self._note(session, talk, line, verdict, now):
                    return False
                if verdict.outcome is Outcome.DONE:
                    await _queue(session, chat.id, line, verdict, pictures, now)
                    taken = True
        finally:
            if not taken:
                for name in pictures:
                    await self._outbox.pictures.drop(name)
        self._tell(verdict, chat, line)
        if taken:
            self._outbox.nudge()
        return True

    async def _nudge(self, chat: _Found, talk: Talk, lines: Sequence[Line], now: Millis) -> Millis | None:
        for line in lines:
            verdict = nudge_about(self._rules, talk, line, now)
            if verdict is None or line.at != chat.seen.waiting_since:
                continue
            key = f"nudge-{line.id}"
            if verdict.outcome is Outcome.DONE:
                told = Nudged(chat.id, line.at, key, verdict.texts[0], now)
                await self._applier.submit(chat.account_id, [told])
            written = exists().where(Note.chat_id == chat.id, Note.client_key == key)
            async with self._store.write() as session:
                if verdict.outcome is Outcome.DONE and not await session.scalar(select(written)):
                    return now + PAUSE  # just answered
                new = await self._note(session, talk, line, verdict, now)
            if new:
                self._tell(verdict, chat, line)
            return None
        first = next((line for line in talk.lines if line.at == chat.seen.waiting_since), None)
        rule = nearest(self._rules, talk, RuleKind.NUDGE)
        due = nudged_at(rule, first) if rule and first else now
        return due if due > now else None

    async def _note(self, session: AsyncSession, talk: Talk, line: Line, verdict: Verdict, now: Millis) -> bool:
        """Whether nobody has before."""
        row = self._store.insert(AutomaticAct).values(
            slot=verdict.rule.kind.slot,
            message_id=line.id,
            chat_id=talk.chat_id,
            account_id=talk.account_id,
            rule_id=verdict.rule.id,
            kind=verdict.rule.kind,
            outcome=verdict.outcome,
            at=now,
        )
        return await session.scalar(row.on_conflict_do_nothing().returning(AutomaticAct.id)) is not None

    async def _ask(self, chat: _Found, now: Millis) -> None:
        """Has the API asked about the chat, unless that has just been done."""
        self._asked = {key: at for key, at in self._asked.items() if now - ASKED_EVERY < at <= now}
        if chat.id not in self._asked:
            self._asked[chat.id] = now
            await self._applier.submit(chat.account_id, [FetchDue(chat.avito_id, now)])
            self._fetch()

    async def _take_pictures(self, rule: Rule) -> list[str]:
        found = select(RulePicture).where(RulePicture.rule_id == rule.id).order_by(RulePicture.place, RulePicture.id)
        async with self._store.read() as session:
            drawn = list(await session.scalars(found))
        return [await self._outbox.pictures.take(one.extension, one.picture, one.small) for one in drawn]

    def _tell(self, verdict: Verdict, chat: _Found, line: Line) -> None:
        metrics.automatic_acts.labels(verdict.rule.kind, verdict.outcome).inc()
        log.info(
            "a rule was followed" if verdict.outcome is Outcome.DONE else "a rule was not followed",
            rule=verdict.rule.id,
            kind=str(verdict.rule.kind),
            outcome=str(verdict.outcome),
            chat=chat.id,
            message=line.id,
        )


async def _find_chats(session: AsyncSession, where: Sequence[ColumnElement[bool]]) -> list[_Found]:
    found = (
        select(Chat.id, Chat.account_id, Chat.avito_id, Chat.version, Chat.waiting_since)
        .join(Account, Account.id == Chat.account_id)
        .where(*where, Chat.chat_type != "a2u")
        .order_by(Chat.id)
    )
    return [
        _Found(row.id, row.account_id, row.avito_id, _Seen(row.version, row.waiting_since))
        for row in await session.execute(found)
    ]


async def _find_busy(session: AsyncSession, chat_ids: Sequence[int]) -> set[int]:
    """Chats in which an automatic reply is on its way."""
    found = select(OutgoingMessage.chat_id).where(
        OutgoingMessage.chat_id.in_(padded(chat_ids)),
        OutgoingMessage.operator_id.is_(None),
        OutgoingMessage.state.in_(UNDER_WAY),
        OutgoingMessage.due_at.is_not(None),
    )
    return set(await session.scalars(found))


async def _queue(
    session: AsyncSession, chat_id: int, line: Line, verdict: Verdict, pictures: Sequence[str], now: Millis
) -> None:
    written: outbox.Written = {
        "chat": await session.get_one(Chat, chat_id),
        "operator_id": None,
        "client_key": reply_key(line.id),
        "now": now,
    }
    await outbox.queue_pictures(session, pictures=pictures, **written)
    if verdict.texts:
        await outbox.queue(session, text=verdict.texts[0], further=verdict.texts[1:], **written)


def reply_key(message_id: int) -> str:
    """The key of the automatic reply to a message, among the outgoing ones of its chat."""
    return f"automatic-{message_id}"
