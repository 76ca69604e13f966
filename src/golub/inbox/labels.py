"""The team's labels: words with a colour, that admins make and anybody puts on chats."""

import re

from sqlalchemy import bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from golub.audit import Action, By
from golub.clock import Millis
from golub.errors import Invalid, NotFound
from golub.inbox.names import named, put
from golub.model import ChatLabel, Label

LABELS_AT_MOST = 100
COLOURS = ("#c2410c", "#b45309", "#4d7c0f", "#0f766e", "#0369a1", "#4338ca", "#a21caf", "#be123c", "#475569")

_ALL = select(Label).order_by(Label.name, Label.id)
_OF_CHAT = (
    select(Label)
    .join(ChatLabel, ChatLabel.label_id == Label.id)
    .where(ChatLabel.chat_id == bindparam("chat"))
    .order_by(Label.name)
)


async def list_labels(session: AsyncSession) -> list[Label]:
    return list((await session.scalars(_ALL)).all())


async def list_labels_of(session: AsyncSession, chat_id: int) -> list[Label]:
    return list((await session.scalars(_OF_CHAT, {"chat": chat_id})).all())


async def count_labelled(session: AsyncSession) -> dict[int, int]:
    """On how many chats each label is."""
    found = select(ChatLabel.label_id, func.count().label("number")).group_by(ChatLabel.label_id)
    return {row.label_id: row.number for row in await session.execute(found)}


async def add_label(session: AsyncSession, name: str, colour: str, *, by: By, now: Millis) -> Label:
    """Raises `Invalid`, and `Conflict` where there is one of that name."""
    if (await session.scalar(select(func.count()).select_from(Label)) or 0) >= LABELS_AT_MOST:
        raise Invalid("There are {limit} labels, and more would help nobody. Remove one first.", limit=LABELS_AT_MOST)
    label = Label(created_at=now, **_described(name, colour))
    await put(session, label)
    await by.did(session, Action.LABEL_ADDED, label.name, after={"colour": label.colour}, now=now)
    return label


async def change_label(session: AsyncSession, label_id: int, name: str, colour: str, *, by: By, now: Millis) -> Label:
    label = await _get_label(session, label_id)
    before = _told(label)
    for field, value in _described(name, colour).items():
        setattr(label, field, value)
    await put(session, label)
    if (after := _told(label)) != before:
        await by.did(session, Action.LABEL_CHANGED, before["name"], before=before, after=after, now=now)
    return label


async def remove_label(session: AsyncSession, label_id: int, *, by: By, now: Millis) -> None:
    """From every chat too, and with the views that were narrowed by it."""
    label = await _get_label(session, label_id)
    on_chats = await session.scalar(select(func.count()).where(ChatLabel.label_id == label_id)) or 0
    before = {"colour": label.colour, "chats": on_chats}
    await session.delete(label)
    await session.flush()
    await by.did(session, Action.LABEL_REMOVED, label.name, before=before, now=now)


async def _get_label(session: AsyncSession, label_id: int) -> Label:
    label = await session.get(Label, label_id)
    if label is None:
        raise NotFound("There is no such label.")
    return label


def _told(label: Label) -> dict[str, str]:
    return {"name": label.name, "colour": label.colour}


def _described(name: str, colour: str) -> dict[str, str]:
    name = named(name)
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", colour):
        raise Invalid("Choose a colour.", field="colour")
    return {"name": name, "folded": name.casefold(), "colour": colour.lower()}
