"""Within what time a buyer is to be answered: one setting for the whole team, which the super administrator changes."""

from sqlalchemy.ext.asyncio import AsyncSession

from golub.audit import Action, By
from golub.clock import MINUTE, Millis
from golub.errors import Invalid
from golub.model import Mark
from golub.store import Store

MARK = "answer_target"  # minutes
DEFAULT = 15
LONGEST = 24 * 60


async def find_target(session: AsyncSession) -> Millis:
    mark = await session.get(Mark, MARK)
    return (int(mark.value) if mark else DEFAULT) * MINUTE


async def change_target(store: Store, minutes: int, *, by: By, now: Millis) -> None:
    """Raises `Invalid`."""
    if not 1 <= minutes <= LONGEST:
        raise Invalid("Choose from 1 minute to 24 hours.", field="minutes")
    async with store.write() as session:
        mark = await session.get(Mark, MARK)
        before = int(mark.value) if mark else DEFAULT
        if mark:
            mark.value = str(minutes)
        else:
            session.add(Mark(name=MARK, value=str(minutes)))
        await by.did(
            session,
            Action.SETTINGS_CHANGED,
            "answer target",
            before={"minutes": before},
            after={"minutes": minutes},
            now=now,
        )
