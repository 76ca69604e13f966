"""Drafts: what an operator has begun to write in a chat, kept on the server and the same on all his devices.

A device says which version it has changed. Of two that wrote at the same time the newer text wins, and the older one
is kept beside it until a person has looked at both: nothing that somebody wrote is overwritten in silence. A draft that
was sent is empty at a higher version, so a save that was under way meanwhile does not bring it back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Text, bindparam, cast, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from golub.clock import Millis
from golub.errors import Invalid
from golub.model import Draft
from golub.store import Store
from golub.store.lists import padded

LONGEST = 20_000  # characters: twice what can be sent, for who pastes first and shortens then
PICTURES = 10

_DRAFT = select(Draft).where(Draft.chat_id == bindparam("chat"), Draft.operator_id == bindparam("operator"))
_DRAFTED = select(Draft.chat_id).where(
    Draft.operator_id == bindparam("operator"),
    Draft.chat_id.in_(bindparam("chats", expanding=True)),
    or_(Draft.text != "", Draft.other_text != "", cast(Draft.pictures, Text) != "[]"),
)


@dataclass(frozen=True, slots=True)
class Saved:
    """`stored` is False where the draft was sent or emptied since the version that was changed: nothing was written.
    `other` is what another device wrote and this one has replaced."""

    version: int
    stored: bool
    other: str


async def find_draft(session: AsyncSession, chat_id: int, operator_id: int) -> Draft | None:
    return await session.scalar(_DRAFT, {"chat": chat_id, "operator": operator_id})


async def find_drafted(session: AsyncSession, operator_id: int, chat_ids: Sequence[int]) -> set[int]:
    """In which of these chats the operator has begun to write: for a sign in the list."""
    return set(await session.scalars(_DRAFTED, {"operator": operator_id, "chats": padded(chat_ids)}))


async def save(
    session: AsyncSession,
    store: Store,
    *,
    chat_id: int,
    operator_id: int,
    text: str,
    pictures: Sequence[str],
    base: int,
    now: Millis,
) -> Saved:
    """Keeps what a device shows now; `base` is the version that it began with, 0 where there was none."""
    text = _storable(text)
    names = list(pictures)[:PICTURES]
    if not text.strip() and not names and await find_draft(session, chat_id, operator_id) is None:
        return Saved(0, stored=True, other="")
    draft = await _held(session, store, chat_id, operator_id, now)
    if (draft.text, draft.pictures) == (text, names):
        return Saved(draft.version, stored=True, other=draft.other_text)
    if base != draft.version:
        if not draft.text and not draft.pictures:
            return Saved(draft.version, stored=False, other=draft.other_text)
        if draft.text.strip() and draft.text.split() != text.split():
            draft.other_text = draft.text
    _write(draft, text, names, now)
    return Saved(draft.version, stored=True, other=draft.other_text)


async def clear(session: AsyncSession, chat_id: int, operator_id: int, *, now: Millis) -> None:
    """It was sent. What another device had written beside it stays."""
    if draft := await find_draft(session, chat_id, operator_id):
        _write(draft, "", [], now)


async def swap(session: AsyncSession, chat_id: int, operator_id: int, *, now: Millis) -> None:
    """The other device's text takes the place of the newer one, which is kept beside it."""
    if (draft := await find_draft(session, chat_id, operator_id)) and draft.other_text:
        other, draft.other_text = draft.other_text, draft.text.strip() and draft.text
        _write(draft, other, draft.pictures, now)


async def forget_other(session: AsyncSession, chat_id: int, operator_id: int) -> None:
    """The other device's text is not wanted any more."""
    if draft := await find_draft(session, chat_id, operator_id):
        draft.other_text = ""


async def _held(session: AsyncSession, store: Store, chat_id: int, operator_id: int, now: Millis) -> Draft:
    """The row, made where it is missing, and nobody else's until the transaction ends."""
    empty: dict[str, Any] = {"text": "", "pictures": [], "version": 0, "other_text": "", "saved_at": now}
    new = store.insert(Draft).values(chat_id=chat_id, operator_id=operator_id, **empty)
    await session.execute(new.on_conflict_do_nothing())
    found = select(Draft).where(Draft.chat_id == chat_id, Draft.operator_id == operator_id)
    found = found.with_for_update().execution_options(populate_existing=True)
    return (await session.scalars(found)).one()


def _write(draft: Draft, text: str, pictures: list[str], now: Millis) -> None:
    draft.text, draft.pictures = text, pictures
    draft.version += 1
    draft.saved_at = now


def _storable(text: str) -> str:
    text = text.replace("\r\n", "\n")
    if len(text) > LONGEST:
        raise Invalid("A draft may have at most {limit} characters.", field="text", limit=LONGEST)
    return "".join(character for character in text if character != "\0" and not "\ud800" <= character <= "\udfff")
