"""Who a buyer is, and how much there is of him. Reads alone; the page and the command say it before anything goes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from golub import search
from golub.backup.folder import Backed, Reason, list_all
from golub.clock import DAY, SECOND, Millis
from golub.errors import Invalid, NotFound
from golub.index.question import ask
from golub.model import BlockedBuyer, BuyerNote, Chat, Delivery, Draft, Message, Note, OutgoingMessage
from golub.settings import Settings

FOUND = 20  # buyers in a list
CHATS = 5000  # of one buyer; nobody has more
LOOKED_AT = 5000  # newest deliveries among which his are counted beforehand
LARGEST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Buyer:
    """`chats` by their row ids, the first one being the one that he was named by."""

    avito_id: int | None
    name: str
    chats: Sequence[Chat]

    @property
    def confirmation(self) -> str:
        """What a person types who really means this buyer: his number at Avito, else that of his chat."""
        return str(self.avito_id if self.avito_id is not None else self.chats[0].id)

    @property
    def chat_ids(self) -> list[int]:
        return [chat.id for chat in self.chats]


@dataclass(frozen=True, slots=True)
class Holdings:
    """Rows of each kind. `deliveries` are counted among the newest of the journal; `deliveries_are_more`: there may be
    more behind these. `since`: when the first of his messages came in."""

    messages: int
    outgoing: int
    drafts: int
    notes: int
    buyer_notes: int
    blocks: int
    deliveries: int
    deliveries_are_more: bool
    since: Millis | None


@dataclass(frozen=True, slots=True)
class Kept:
    """A backup in which the buyer still is. `until`: it is gone by then, if backups go on being made; None: it was made
    before an upgrade, and goes after three further ones."""

    backed: Backed
    until: Millis | None


async def find_buyers(session: AsyncSession, text: str) -> list[Buyer]:
    """By Avito's number of the person or id of the chat, by a chat's address in the inbox, or by a part of the name.
    Raises `Invalid`."""
    text = text.strip()
    if not text:
        return []
    found = list(await session.scalars(select(Chat).where(_named(text)).order_by(Chat.id.desc()).limit(CHATS)))
    if not found:
        question = ask(text)
        hits = (await search.find(session, question, search.Narrowed(), None, chats=search.CHATS_A_PAGE)).chats
        found = [chat for chat in hits if question.marks(chat.buyer_name)]
    buyers: dict[object, list[Chat]] = {}
    for chat in found:
        buyers.setdefault(_person(chat) or f"chat {chat.id}", []).append(chat)
    return [Buyer(_person(chats[0]), _name(chats), chats) for chats in list(buyers.values())[:FOUND]]


async def get_buyer(session: AsyncSession, chat_id: int) -> Buyer:
    """The buyer of this chat. Raises `NotFound`, and `Invalid` for a chat with Avito itself."""
    chat = await session.get(Chat, chat_id)
    if chat is None:
        raise NotFound("There is no such chat: it may have been erased already.")
    if chat.chat_type == "a2u":
        raise Invalid("This is a chat with Avito itself: there is no buyer in it.")
    person = _person(chat)
    if person is None:
        return Buyer(None, chat.buyer_name, [chat])
    his = select(Chat).where(Chat.buyer_id == person, Chat.chat_type != "a2u", Chat.id != chat_id)
    others = await session.scalars(his.order_by(Chat.id.desc()).limit(CHATS))
    chats = [chat, *others]
    return Buyer(person, _name(chats), chats)


async def holdings_of(session: AsyncSession, buyer: Buyer) -> Holdings:
    of_chats = buyer.chat_ids

    async def count(column: Any, *more: ColumnElement[bool]) -> int:
        return await session.scalar(select(func.count()).where(column.in_(of_chats), *more)) or 0

    of_person = [buyer.avito_id] if buyer.avito_id is not None else []
    newest = (
        select(Delivery.chat_avito_id, Delivery.account_id)
        .order_by(Delivery.received_at.desc(), Delivery.id.desc())
        .limit(LOOKED_AT)
        .subquery()
    )
    named = newest.c.chat_avito_id.in_([chat.avito_id for chat in buyer.chats])
    deliveries = await session.scalar(select(func.count()).select_from(newest).where(named)) or 0
    looked_at = await session.scalar(select(func.count()).select_from(newest)) or 0
    return Holdings(
        messages=await count(Message.chat_id),
        outgoing=await count(OutgoingMessage.chat_id),
        drafts=await count(Draft.chat_id, or_(Draft.text != "", Draft.other_text != "")),
        notes=await count(Note.chat_id, Note.removed_at.is_(None)),
        buyer_notes=await session.scalar(select(func.count()).where(BuyerNote.buyer_id.in_(of_person))) or 0,
        blocks=await session.scalar(select(func.count()).where(BlockedBuyer.buyer_id.in_(of_person))) or 0,
        deliveries=deliveries,
        deliveries_are_more=looked_at == LOOKED_AT,
        since=await session.scalar(select(func.min(Message.received_at)).where(Message.chat_id.in_(of_chats))),
    )


def list_backups(settings: Settings, since: Millis | None, until: Millis | None = None) -> list[Kept]:
    """This node's backups that were made since then, newest first; `until`: and no later than then.
    When one was made is known to the second."""
    folder: Path = settings.effective_backup_dir
    longest = max(settings.backup_keep_days, 7 * settings.backup_keep_weeks) * DAY
    return [
        Kept(backed, None if backed.reason == Reason.BEFORE_UPGRADE else backed.taken_at + longest)
        for backed in list_all(folder)
        if backed.taken_at + SECOND > (since or 0) and (until is None or backed.taken_at <= until)
    ]


def _named(text: str) -> ColumnElement[bool]:
    """What the text says literally."""
    ways: list[ColumnElement[bool]] = [Chat.avito_id == text]
    if address := re.search(r"/inbox/(\d{1,18})\b", text):
        ways.append(Chat.id == int(address[1]))
    elif text.isascii() and text.isdigit() and 1 < int(text) <= LARGEST:
        ways.append(Chat.buyer_id == int(text))
    return (Chat.chat_type != "a2u") & or_(*ways)


def _person(chat: Chat) -> int | None:
    """Authors 0, 1 and missing are nobody: they are never put together."""
    return chat.buyer_id if chat.buyer_id is not None and chat.buyer_id > 1 else None


def _name(chats: Sequence[Chat]) -> str:
    return next((chat.buyer_name for chat in chats if chat.buyer_name), "")
