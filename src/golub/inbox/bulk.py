"""One act with several chats at once: each as if it were done alone, by the same rules, and each with its own outcome.

What can be undone is undone the same way: an outcome says which act takes it back, and from which chats.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import func, select

from golub.apply import Applier
from golub.clock import Millis
from golub.errors import Invalid, NotFound, Rejected
from golub.inbox.care import Care
from golub.inbox.places import LARGEST_ID
from golub.inbox.thread import mark_read
from golub.model import Chat, ChatLabel, Message, Operator
from golub.sight import Sight
from golub.store import Store
from golub.store.lists import padded

MOST = 100  # chats at once
AT_ONCE = 8


class Verb(StrEnum):
    TAKE = "take"
    HAND_OVER = "hand-over"
    GIVE_BACK = "give-back"  # to whoever had it before
    CLOSE = "close"
    SNOOZE = "snooze"
    REOPEN = "reopen"
    LABEL = "label"
    UNLABEL = "unlabel"
    READ = "read"


_TAKEN_BACK_BY = {
    Verb.TAKE: Verb.GIVE_BACK,
    Verb.HAND_OVER: Verb.GIVE_BACK,
    Verb.CLOSE: Verb.REOPEN,
    Verb.SNOOZE: Verb.REOPEN,
    Verb.LABEL: Verb.UNLABEL,
    Verb.UNLABEL: Verb.LABEL,
}


@dataclass(frozen=True, slots=True)
class Chosen:
    """A chat of the list. `number`: the version that was seen; to give it back: who had it, 0 for nobody."""

    chat_id: int
    number: int

    def __str__(self) -> str:
        return f"{self.chat_id}.{self.number}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """`operator_id`: who gets the chats. `until`: the end of a snooze."""

    verb: Verb
    operator_id: int | None = None
    label_id: int | None = None
    until: Millis | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """`refused`: the chat, where it is one of his, and why. `undo` None: it cannot be taken back."""

    done: int
    refused: Sequence[tuple[Chat | None, Rejected]]
    undo: Verb | None
    undone: Sequence[Chosen]


def parse(text: str) -> list[Chosen]:
    """From "17.42,18.7". Raises `Invalid`."""
    found: dict[int, Chosen] = {}
    for pair in filter(None, text.split(",")):
        chat, _, number = pair.partition(".")
        if not (_is_number(chat) and _is_number(number)):
            raise Invalid("Choose the chats again.", field="chats")
        found.setdefault(int(chat), Chosen(int(chat), int(number)))
    if not found:
        raise Invalid("Choose some chats first.", field="chats")
    if len(found) > MOST:
        raise Invalid("At most {limit} chats at once.", field="chats", limit=MOST)
    return list(found.values())


async def act_on_all(
    store: Store,
    applier: Applier,
    sight: Sight,
    operator: Operator,
    chosen: Sequence[Chosen],
    wanted: Wanted,
    *,
    now: Millis,
) -> Outcome:
    """Raises `Invalid` where it could be done to none of them, and `Unavailable`."""
    act = _act(store, applier, operator, wanted, now)
    turn = asyncio.Semaphore(AT_ONCE)
    async with store.read() as session:
        ids = padded([one.chat_id for one in chosen])
        chats = {chat.id: chat for chat in await session.scalars(select(Chat).where(Chat.id.in_(ids)))}
        labelled = select(ChatLabel.chat_id).where(ChatLabel.chat_id.in_(ids), ChatLabel.label_id == wanted.label_id)
        had_label = set(await session.scalars(labelled)) if wanted.label_id else set[int]()
    before = {chat.id: chat.owner_id for chat in chats.values()}

    async def one_of_them(one: Chosen) -> Rejected | None:
        chat = chats.get(one.chat_id)
        if chat is None or not sight.sees(chat.account_id):
            return NotFound("There is no such chat.")
        try:
            async with turn:
                await act(chat, one.number)
        except Rejected as refusal:
            return refusal
        return None

    answers = await asyncio.gather(*(one_of_them(one) for one in chosen))
    refused = [
        (None if isinstance(refusal, NotFound) else chats.get(one.chat_id), refusal)
        for one, refusal in zip(chosen, answers, strict=True)
        if refusal
    ]
    done = [one.chat_id for one, refusal in zip(chosen, answers, strict=True) if refusal is None]
    changed = [
        chat_id
        for chat_id in done
        if wanted.verb not in (Verb.LABEL, Verb.UNLABEL) or (chat_id in had_label) == (wanted.verb is Verb.UNLABEL)
    ]
    undo = _TAKEN_BACK_BY.get(wanted.verb)
    undone = [Chosen(chat_id, before[chat_id] or 0) for chat_id in changed] if undo else []
    return Outcome(len(done), refused, undo if undone else None, undone)


def _act(
    store: Store, applier: Applier, operator: Operator, wanted: Wanted, now: Millis
) -> Callable[[Chat, int], Awaitable[object]]:
    """What is done to one chat, with its number. Raises `Invalid` where something is missing."""
    care = Care(store, applier)
    match wanted:
        case Wanted(verb=Verb.TAKE):
            return lambda chat, _: care.take(chat, operator, now=now)
        case Wanted(verb=Verb.HAND_OVER, operator_id=int(to)):
            return lambda chat, _: care.hand_over(chat, operator, to, now=now)
        case Wanted(verb=Verb.GIVE_BACK):
            return lambda chat, owner: care.give_back(chat, operator, owner or None, now=now)
        case Wanted(verb=Verb.CLOSE):
            return lambda chat, version: care.close(chat, operator, version=version, now=now)
        case Wanted(verb=Verb.SNOOZE, until=int(until)):
            return lambda chat, version: care.snooze(chat, until, operator, version=version, now=now)
        case Wanted(verb=Verb.REOPEN):
            return lambda chat, _: care.reopen(chat, operator)
        case Wanted(verb=Verb.LABEL | Verb.UNLABEL as verb, label_id=int(label)):
            return lambda chat, _: care.label(chat, label, verb is Verb.LABEL, operator, now=now)
        case Wanted(verb=Verb.READ):
            return lambda chat, _: _read(store, applier, chat)
        case _:
            raise Invalid("Choose what is to be done.")


async def _read(store: Store, applier: Applier, chat: Chat) -> None:
    if chat.unread:
        async with store.read() as session:
            newest = await session.scalar(select(func.max(Message.id)).where(Message.chat_id == chat.id))
        await mark_read(applier, chat, newest or 0)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= LARGEST_ID
