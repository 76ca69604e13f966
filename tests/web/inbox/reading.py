"""What a browser makes of the inbox's pages, and what the database says of a chat."""

from html.parser import HTMLParser
from typing import Any

import httpx2
from sqlalchemy import select

from golub.model import Chat, Message
from golub.web.parts import Parts
from tests.web.conftest import Browser


class Read(HTMLParser):
    """What a browser would make of a page: its elements, and its visible text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.words += data

    def all(self, tag: str, **having: str) -> list[dict[str, str]]:
        return [attrs for name, attrs in self.elements if name == tag and having.items() <= attrs.items()]

    @property
    def text(self) -> str:
        return " ".join(self.words.split())


async def read(browser: Browser, url: str, status: int = 200, **more: Any) -> Read:
    answer = await browser.get(url, **more)
    assert answer.status_code == status, answer.text
    return Read(answer.text)


async def reply(browser: Browser, chat: int, text: str, key: str = "key") -> httpx2.Response:
    return await browser.post(f"/inbox/{chat}/reply", {"text": text, "client_key": key}, headers={"HX-Request": "true"})


async def unread_of(parts: Parts, chat: int) -> int:
    async with parts.store.read() as session:
        return (await session.get_one(Chat, chat)).unread


async def last_row(parts: Parts, chat: int) -> int:
    async with parts.store.read() as session:
        found = await session.scalars(select(Message.id).where(Message.chat_id == chat).order_by(Message.id.desc()))
        return found.first() or 0
