"""Photos of a reply: attached, shown, sent before their words; and what is no photo."""

import io

import httpx2
import pytest
from PIL import Image
from sqlalchemy import select

from golub.model import OutgoingMessage
from golub.web.parts import Parts
from tests.conftest import ONE_DATABASE
from tests.talk import Talk
from tests.web.conftest import Browser, Visit
from tests.web.inbox.reading import Read


def photo() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (30, 20), "teal").save(out, "PNG")
    return out.getvalue()


async def attach(browser: Browser, chat: int, raw: bytes) -> httpx2.Response:
    headers = {"HX-Request": "true", "X-CSRF-Token": browser.csrf, "Content-Type": "application/octet-stream"}
    return await browser.client.post(f"/inbox/{chat}/pictures", content=raw, headers=headers)


async def test_photos_are_attached_shown_and_sent_before_their_words(
    parts: Parts, talk: Talk, manager: Browser
) -> None:
    await talk.says("chat", "Есть фото?")
    chat = talk.chats["chat"]
    names = [
        Read((await attach(manager, chat, photo())).text).all("li")[0]["data-picture"],
        Read((await attach(manager, chat, photo())).text).all("li")[0]["data-picture"],
    ]
    small = await manager.get(f"/inbox/pictures/{names[0]}")
    assert (small.headers["content-type"], small.content[8:12]) == ("image/webp", b"WEBP")
    form = {"text": "Вот они", "client_key": "k", "pictures": ",".join(names)}
    await manager.post(f"/inbox/{chat}/reply", form, headers={"HX-Request": "true"})
    again = await manager.post(f"/inbox/{chat}/reply", form, headers={"HX-Request": "true"})  # the same click twice
    shown = Read(again.text)
    assert [image["src"] for image in shown.all("img")] == [f"/inbox/pictures/{name}" for name in names]
    assert shown.words.index("Вот они") > 0
    async with parts.store.read() as session:
        rows = list(await session.scalars(select(OutgoingMessage).order_by(OutgoingMessage.id)))
    assert [(row.kind, row.picture, row.text) for row in rows] == [
        ("image", names[0], ""),
        ("image", names[1], ""),
        ("text", "", "Вот они"),
    ]


@pytest.mark.row(55)
@ONE_DATABASE
async def test_what_is_no_photo_or_too_large_is_refused_in_words(talk: Talk, manager: Browser, visit: Visit) -> None:
    await talk.says("chat", "Есть фото?")
    chat = talk.chats["chat"]
    svg = await attach(manager, chat, b"<svg xmlns='http://www.w3.org/2000/svg'/>")
    assert (svg.status_code, "JPEG, PNG, GIF, BMP or HEIC" in Read(svg.text).text) == (400, True)
    large = await attach(manager, chat, b"\x89PNG\r\n\x1a\n" + bytes((24 << 20) + 2000))
    assert large.status_code in (400, 413)
    assert (await attach(manager, 999, photo())).status_code == 404
    assert (await manager.get("/inbox/pictures/..%2Fsecret.key")).status_code == 404
    name = Read((await attach(manager, chat, photo())).text).all("li")[0]["data-picture"]
    assert (await (await visit(None)).get(f"/inbox/pictures/{name}")).status_code in (303, 401)


async def test_a_form_is_no_picture(talk: Talk, manager: Browser) -> None:
    await talk.says("chat", "Есть фото?")
    for path in (f"/inbox/{talk.chats['chat']}/pictures", "/quick-replies/pictures"):
        answer = await manager.post(path, {"picture": "x"})
        assert answer.status_code == 400
