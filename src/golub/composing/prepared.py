"""Messages that are written ahead, for quick replies and for the automation's rules: what they may be, and the rows of
their photos, which are alike in both tables."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from golub.avito.client import TEXT_LIMIT
from golub.composing.filling import find_unknown
from golub.errors import Invalid, Rejected
from golub.model import QuickPicture, RulePicture

PICTURES_SIZE = 64 << 20  # bytes of all photos of a table: they are in the database, and in every backup


@dataclass(frozen=True, slots=True)
class NewPicture:
    extension: str
    picture: bytes
    small: bytes


def cleaned(texts: Sequence[str]) -> list[str]:
    """What a form sent, without what is empty."""
    stripped = [text.replace("\r\n", "\n").strip() for text in texts]
    return [text for text in stripped if text]


def check(texts: Sequence[str], pictures: Sequence[int | NewPicture], *, most_texts: int, most_pictures: int) -> None:
    """Raises `Invalid` for what could not be sent."""
    if not texts and not pictures:
        raise Invalid("Write something first.", field="text")
    if len(texts) > most_texts:
        raise Invalid("Send at most {count} messages at once.", field="text", count=most_texts)
    if any(len(text) > TEXT_LIMIT for text in texts):
        raise Invalid("A message may have at most {limit} characters.", field="text", limit=TEXT_LIMIT)
    if len(pictures) > most_pictures:
        raise Invalid("Attach at most {count} photos at once.", field="pictures", count=most_pictures)
    for text in texts:
        check_characters(text, "text")


def check_characters(text: str, field: str) -> None:
    if any("\ud800" <= character <= "\udfff" or character == "\0" for character in text):
        raise Invalid("This text has characters that Avito cannot take.", field=field)


def check_variables(texts: Sequence[str]) -> None:
    for text in texts:
        if unknown := find_unknown(text):
            raise Invalid("There is no variable {place}.", field="text", place=unknown[0])


async def arrange(
    session: AsyncSession,
    table: type[QuickPicture | RulePicture],
    of: InstrumentedAttribute[int],
    owner_id: int,
    pictures: Sequence[int | NewPicture],
) -> None:
    """Gives the row that `of` names its photos: those that stay, by their ids, and new ones, in this order. Raises
    `Rejected` where there is no room for them."""
    kept = [picture for picture in pictures if isinstance(picture, int)]
    await session.execute(delete(table).where(of == owner_id, table.id.not_in(kept)))
    if new := sum(len(one.picture) for one in pictures if isinstance(one, NewPicture)):
        held = await session.scalar(select(func.coalesce(func.sum(func.length(table.picture)), 0))) or 0
        if held + new > PICTURES_SIZE:
            raise Rejected("The photos kept here take too much room. Remove some first.")
    for place, picture in enumerate(pictures):
        if isinstance(picture, NewPicture):
            row = {"extension": picture.extension, "picture": picture.picture, "small": picture.small}
            session.add(table(place=place, **{of.key: owner_id}, **row))
        else:
            await session.execute(update(table).where(table.id == picture, of == owner_id).values(place=place))
