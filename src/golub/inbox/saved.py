"""Saved views: a view of the list, narrowed, under a name that one operator gave it and only he sees."""

from sqlalchemy import bindparam, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from golub.clock import Millis
from golub.errors import Invalid
from golub.inbox.listing import View, Wanted
from golub.inbox.names import named, put
from golub.model import SavedView

VIEWS_AT_MOST = 30  # of one operator: each is counted with every page

_MINE = select(SavedView).where(SavedView.operator_id == bindparam("operator")).order_by(SavedView.name, SavedView.id)


async def list_saved(session: AsyncSession, operator_id: int) -> list[SavedView]:
    return list((await session.scalars(_MINE, {"operator": operator_id})).all())


def wanted_by(saved: SavedView) -> Wanted:
    known = saved.view in set(View)  # a later release may have saved another one
    return Wanted(
        saved.operator_id,
        View(saved.view) if known else View.ALL,
        saved.account_id,
        saved.label_id,
        saved.item_id,
    )


async def save_view(session: AsyncSession, wanted: Wanted, name: str, *, now: Millis) -> SavedView:
    """Raises `Invalid`, and `Conflict` where the operator has one of that name."""
    mine = select(func.count()).select_from(SavedView).where(SavedView.operator_id == wanted.operator_id)
    if (await session.scalar(mine) or 0) >= VIEWS_AT_MOST:
        raise Invalid("You have {limit} views of your own. Remove one first.", field="name", limit=VIEWS_AT_MOST)
    saved = SavedView(
        operator_id=wanted.operator_id,
        name=named(name),
        view=wanted.view,
        account_id=wanted.account_id,
        label_id=wanted.label_id,
        item_id=wanted.item_id,
        created_at=now,
    )
    await put(session, saved)
    return saved


async def remove_saved(session: AsyncSession, operator_id: int, saved_id: int) -> None:
    """Another operator's is left alone."""
    its = (SavedView.id == saved_id, SavedView.operator_id == operator_id)
    await session.execute(delete(SavedView).where(*its))
