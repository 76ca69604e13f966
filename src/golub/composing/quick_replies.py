"""Quick replies: texts and photos under a short name, for all accounts, one of them, or one item.

Admins write those of everybody, each operator his own. What is used most stands first. The composer takes one into a
chat: filled in by `filling`, looked at by a person, and sent by the outbox like anything that he wrote himself.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from golub.audit import Action, By
from golub.clock import Millis
from golub.composing import prepared
from golub.composing.prepared import NewPicture
from golub.errors import Forbidden, Invalid, NotFound, Rejected
from golub.model import Account, Chat, Operator, QuickPicture, QuickReply, Role
from golub.sight import Sight
from golub.store.lists import padded

NAME_LIMIT = 60  # characters
TEXTS = 5
PICTURES = 10
MOST = 500  # quick replies of one kind: everybody's, or an operator's


@dataclass(frozen=True, slots=True)
class Wording:
    """What a form says. `pictures` are in their order: ids of those that stay, and new ones."""

    name: str
    texts: Sequence[str]
    own: bool
    account_id: int | None = None
    item_id: int | None = None
    pictures: Sequence[int | NewPicture] = field(default_factory=tuple)


def may_change(operator: Operator, quick: QuickReply) -> bool:
    return quick.owner_id == operator.id or (quick.owner_id is None and Role(operator.role).covers(Role.ADMIN))


async def list_all(session: AsyncSession, sight: Sight, operator: Operator) -> list[QuickReply]:
    """Everybody's and the operator's own, what is used most first."""
    return await _listed(session, _visible(sight, operator))


async def list_for_chat(session: AsyncSession, sight: Sight, operator: Operator, chat: Chat) -> list[QuickReply]:
    """Those that fit this chat's account and item."""
    fits = (
        or_(QuickReply.account_id.is_(None), QuickReply.account_id == chat.account_id),
        or_(QuickReply.item_id.is_(None), QuickReply.item_id == chat.item_id),
    )
    return await _listed(session, _visible(sight, operator), *fits)


async def get(session: AsyncSession, sight: Sight, operator: Operator, quick_id: int) -> QuickReply:
    """Raises `NotFound`, in the same words for one that is another operator's own."""
    found = select(QuickReply).where(QuickReply.id == quick_id, _visible(sight, operator))
    quick = await session.scalar(found)
    if quick is None:
        raise NotFound("There is no such quick reply.")
    return quick


async def list_pictures(session: AsyncSession, quick_ids: Collection[int]) -> dict[int, list[int]]:
    """Ids of the photos in their order, by quick reply."""
    found = (
        select(QuickPicture.quick_reply_id, QuickPicture.id)
        .where(QuickPicture.quick_reply_id.in_(padded(quick_ids)))
        .order_by(QuickPicture.place, QuickPicture.id)
    )
    pictures: dict[int, list[int]] = {quick_id: [] for quick_id in quick_ids}
    for quick_id, picture_id in await session.execute(found):
        pictures[quick_id].append(picture_id)
    return pictures


async def read_pictures(session: AsyncSession, quick_id: int) -> list[NewPicture]:
    """The photos themselves, in their order."""
    found = select(QuickPicture).where(QuickPicture.quick_reply_id == quick_id)
    rows = await session.scalars(found.order_by(QuickPicture.place, QuickPicture.id))
    return [NewPicture(row.extension, row.picture, row.small) for row in rows]


async def read_small(session: AsyncSession, sight: Sight, operator: Operator, picture_id: int) -> bytes:
    found = (
        select(QuickPicture.small)
        .join(QuickReply, QuickReply.id == QuickPicture.quick_reply_id)
        .where(QuickPicture.id == picture_id, _visible(sight, operator))
    )
    small = await session.scalar(found)
    if small is None:
        raise NotFound("There is no such file.")
    return small


async def write(
    session: AsyncSession,
    sight: Sight,
    operator: Operator,
    wording: Wording,
    *,
    quick_id: int | None,
    by: By,
    now: Millis,
) -> QuickReply:
    """Makes one, or changes that one; what is or was everybody's stands in the audit. Raises `Invalid` for what could
    not be sent, `Forbidden` where it is not his."""
    texts = prepared.cleaned(wording.texts)
    _check(wording, texts)
    if not wording.own and not Role(operator.role).covers(Role.ADMIN):
        raise Forbidden("Only administrators write quick replies for everybody.")
    if wording.account_id is not None:
        known = await session.scalar(select(Account.id).where(Account.id == wording.account_id))
        if known is None or not sight.sees(known):
            raise NotFound("There is no such account.")
    before = None
    if quick_id is None:
        await _must_have_room(session, operator, own=wording.own)
        quick = QuickReply(used=0)
        session.add(quick)
    else:
        quick = await get(session, sight, operator, quick_id)
        if not may_change(operator, quick):
            raise Forbidden("Only administrators change quick replies that are everybody's.")
        before = await _told(session, quick)
    quick.name = " ".join(wording.name.split())
    quick.texts = texts
    quick.owner_id = operator.id if wording.own else None
    quick.account_id = wording.account_id
    quick.item_id = wording.item_id
    quick.changed_at = now
    await session.flush()
    await prepared.arrange(session, QuickPicture, QuickPicture.quick_reply_id, quick.id, wording.pictures)
    await _tell(session, before, await _told(session, quick), by, now)
    return quick


async def remove(
    session: AsyncSession, sight: Sight, operator: Operator, quick_id: int, *, by: By, now: Millis
) -> None:
    quick = await get(session, sight, operator, quick_id)
    if not may_change(operator, quick):
        raise Forbidden("Only administrators change quick replies that are everybody's.")
    before = await _told(session, quick)
    await session.delete(quick)
    await session.flush()
    await _tell(session, before, None, by, now)


async def note_use(session: AsyncSession, quick_id: int, *, now: Millis) -> None:
    counted = update(QuickReply).where(QuickReply.id == quick_id).values(used=QuickReply.used + 1, used_at=now)
    await session.execute(counted.execution_options(synchronize_session=False))


async def _told(session: AsyncSession, quick: QuickReply) -> dict[str, Any]:
    """For the audit. Its words go to buyers, so they are no secret; of the photos it says how many."""
    photos = select(func.count()).where(QuickPicture.quick_reply_id == quick.id)
    account = await session.get(Account, quick.account_id) if quick.account_id is not None else None
    return {
        "name": quick.name,
        "everybody": quick.owner_id is None,
        "texts": [text[:200] for text in quick.texts],
        "photos": await session.scalar(photos) or 0,
        "account": account and (account.name or str(account.user_id)),
        "item": quick.item_id,
    }


async def _tell(
    session: AsyncSession, before: dict[str, Any] | None, after: dict[str, Any] | None, by: By, now: Millis
) -> None:
    """What an operator keeps for himself alone is not told."""
    if not any(one and one["everybody"] for one in (before, after)) or before == after:
        return
    action = Action.QUICK_REPLY_CHANGED if before and after else Action.QUICK_REPLY_ADDED
    named = before or after or {}
    await by.did(
        session,
        action if after else Action.QUICK_REPLY_REMOVED,
        named["name"],
        before=before if before and before["everybody"] else None,
        after=after if after and after["everybody"] else {"everybody": False} if after else None,
        now=now,
    )


async def _listed(session: AsyncSession, *conditions: ColumnElement[bool]) -> list[QuickReply]:
    order = (QuickReply.used.desc(), func.lower(QuickReply.name), QuickReply.id)
    return list(await session.scalars(select(QuickReply).where(*conditions).order_by(*order).limit(2 * MOST)))


def _visible(sight: Sight, operator: Operator) -> ColumnElement[bool]:
    somebodys = or_(QuickReply.owner_id.is_(None), QuickReply.owner_id == operator.id)
    return somebodys & or_(QuickReply.account_id.is_(None), sight.of(QuickReply.account_id.expression))


def _check(wording: Wording, texts: Sequence[str]) -> None:
    if not wording.name.strip():
        raise Invalid("Give it a short name.", field="name")
    if len(wording.name) > NAME_LIMIT:
        raise Invalid("A name may have at most {limit} characters.", field="name", limit=NAME_LIMIT)
    prepared.check_characters(wording.name, "name")
    prepared.check(texts, wording.pictures, most_texts=TEXTS, most_pictures=PICTURES)
    prepared.check_variables(texts)


async def _must_have_room(session: AsyncSession, operator: Operator, *, own: bool) -> None:
    whose = QuickReply.owner_id == operator.id if own else QuickReply.owner_id.is_(None)
    if (await session.scalar(select(func.count()).select_from(QuickReply).where(whose)) or 0) >= MOST:
        raise Rejected("There are {count} quick replies already. Remove some first.", count=MOST)
