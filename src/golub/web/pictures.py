"""`/media/…`: pictures and voices of our chats, to those alone who may see the chat.

A URL names a row, never an address, and carries a signature over what that row says now: nobody can make us fetch
anything else, and a changed photo has a new URL, so browsers may keep the old one. It holds for the day on which a page
gave it out and for `DAYS` more; within a day a page gives out the same one, or no browser could keep anything.
"""

import re
from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import FileResponse, Response

from golub.avito.pace import Lane
from golub.clock import DAY, SECOND
from golub.errors import GolubError, NotFound
from golub.inbox import LARGEST_ID
from golub.model import Chat, Message
from golub.sight import Sight
from golub.web.content import picture_source, voice_id
from golub.web.csrf import is_form
from golub.web.keeping import keep_voice
from golub.web.media import Size
from golub.web.parts import Given, Parts
from golub.web.session import Seen

router = APIRouter()

DAYS = 2  # so a page that is open for two days shows what it has not shown yet

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cache-Control": f"private, max-age={DAYS * DAY // SECOND}, immutable",
    "Content-Disposition": "inline",
}

_SIGNATURE = re.compile(r"(0|[1-9][0-9]{0,5})-([A-Za-z0-9_=-]+)")

RowId = Annotated[int, Path(ge=1, le=LARGEST_ID)]


class Kind(StrEnum):
    ITEM = "item"  # the photo of a chat's item
    BUYER = "buyer"  # the avatar of a chat's buyer
    MESSAGE = "message"


class Addresses:
    """URLs of pictures for one page. Templates call it `media`; each method gives "" where there is nothing to show."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def item(self, chat: Chat, size: int = Size.SMALL) -> str:
        return self._picture(Kind.ITEM, chat.id, chat.item_image_url, size)

    def buyer(self, chat: Chat, size: int = Size.SMALL) -> str:
        return self._picture(Kind.BUYER, chat.id, chat.buyer_avatar_url, size)

    def message(self, message: Message, size: int = Size.MEDIUM) -> str:
        return self._picture(Kind.MESSAGE, message.id, picture_source(message, size), size)

    def voice(self, message: Message) -> str:
        voice = voice_id(message)
        return f"/media/{_signed_today(self._parts, 'voice', message.id, 0, voice)}/voice/{message.id}" if voice else ""

    def _picture(self, kind: Kind, row: int, source: str, size: int) -> str:
        if not self._parts.media.allows(source):
            return ""
        return f"/media/{_signed_today(self._parts, kind, row, size, source)}/{kind}/{row}/{size}"


@router.get("/media/{signature}/voice/{message_id}")
async def voice(parts: Given, sight: Seen, signature: str, message_id: RowId) -> Response:
    async with parts.store.read() as session:
        message = await session.get(Message, message_id)
    wanted = voice_id(message) if message and sight.sees(message.account_id) else ""
    if message is None or not wanted:
        raise NotFound("There is no such file.")
    _check(parts, signature, "voice", message_id, 0, wanted)
    path, media_type = await keep_voice(parts.avito, parts.media, message.account_id, wanted, Lane.OPERATOR)
    return FileResponse(path, media_type=media_type, headers=HEADERS)


@router.get("/media/{signature}/{kind}/{row}/{size}")
async def picture(parts: Given, sight: Seen, signature: str, kind: Kind, row: RowId, size: int) -> Response:
    if size not in list(Size):
        raise NotFound("There is no such file.")
    source = await _source(parts, sight, kind, row, size)
    _check(parts, signature, kind, row, size, source)
    try:
        drawn = await parts.media.picture(source, Size(size))
    except GolubError as error:
        # To the browser it is a picture that is not there; it must not keep that answer.
        return Response(str(error), error.status, media_type="text/plain")
    return Response(drawn, media_type="image/webp", headers=HEADERS)


async def uploaded(request: Request) -> bytes:
    """A file that a page sent as the body itself; nothing, which is no picture, where a form came."""
    return b"" if is_form(request) else await request.body()


async def _source(parts: Parts, sight: Sight, kind: Kind, row: int, size: int) -> str:
    async with parts.store.read() as session:
        if kind is Kind.MESSAGE:
            message = await session.get(Message, row)
            return picture_source(message, size) if message and sight.sees(message.account_id) else ""
        chat = await session.get(Chat, row)
    if chat is None or not sight.sees(chat.account_id):
        return ""
    return chat.item_image_url if kind is Kind.ITEM else chat.buyer_avatar_url


def _check(parts: Parts, signature: str, kind: str, row: int, size: int, source: str) -> None:
    """Raises `NotFound` for one that is forged, altered or too old. One of a day to come is another node's, whose clock
    is ahead."""
    found = _SIGNATURE.fullmatch(signature)
    day, tag = (int(found[1]), found[2]) if found else (-1, "")
    right = source and parts.vault.is_signed(_signed(day, kind, row, size, source), tag)
    if not right or _today(parts) - day > DAYS:
        raise NotFound("There is no such file.")


def _signed_today(parts: Parts, kind: str, row: int, size: int, source: str) -> str:
    day = _today(parts)
    return f"{day}-{parts.vault.sign(_signed(day, kind, row, size, source))}"


def _signed(day: int, kind: str, row: int, size: int, source: str) -> str:
    return f"media\0{day}\0{kind}\0{row}\0{size}\0{source}"


def _today(parts: Parts) -> int:
    """Days since 1970; the same on every node, but for a clock that is wrong."""
    return parts.clock() // DAY
