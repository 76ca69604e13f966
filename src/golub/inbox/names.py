"""What a person may call a label or a view, and that two do not go by one name."""

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from golub.errors import Conflict, Invalid
from golub.model import Label, SavedView

LONGEST_NAME = 40


async def put(session: AsyncSession, row: Label | SavedView) -> None:
    try:
        async with session.begin_nested():
            session.add(row)
            await session.flush()
    except IntegrityError as error:
        raise Conflict("There is one of this name already.") from error


def named(text: str) -> str:
    name = " ".join(text.split())
    if not name or not name.isprintable():
        raise Invalid("Give it a name.", field="name")
    if len(name) > LONGEST_NAME:
        raise Invalid("A name may have at most {limit} characters.", field="name", limit=LONGEST_NAME)
    return name
