"""One simulator, one shop, a receiver that answers as it is told, and a client that has a token."""

import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.types import Receive, Scope, Send

from golub.simulator import Account, Chat, Item, Simulator


@dataclass
class Receiver:
    """The other end of the webhook, as an ASGI app. `answers` are used up first, then it says 200."""

    answers: list[int] = field(default_factory=list[int])
    bodies: list[bytes] = field(default_factory=list[bytes])
    headers: list[dict[str, str]] = field(default_factory=list[dict[str, str]])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            part = await receive()
            body, more = body + part.get("body", b""), part.get("more_body", False)
        self.bodies.append(body)
        self.headers.append({name.decode(): value.decode() for name, value in scope["headers"]})
        status = self.answers.pop(0) if self.answers else 200
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(body) for body in self.bodies]

    @property
    def values(self) -> list[dict[str, Any]]:
        return [event["payload"]["value"] for event in self.events]


class Clock:
    def __init__(self) -> None:
        self.now = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def time() -> Clock:
    return Clock()


@pytest.fixture
def log_path(tmp_path: Path) -> Path:
    return tmp_path / "oracle.jsonl"


@pytest.fixture
async def sim(receiver: Receiver, time: Clock, log_path: Path) -> AsyncGenerator[Simulator]:
    deliver = httpx2.ASGITransport(app=receiver)
    async with Simulator(log_path, clock=time, base_url="http://avito.test", deliver=deliver) as running:
        yield running


@pytest.fixture
def shop(sim: Simulator) -> Account:
    return sim.add_account(user_id=101, name="Лавка", client_id="key", client_secret="secret")


@pytest.fixture
def chat(sim: Simulator, shop: Account) -> Chat:
    shop.subscription = "http://golub.test/webhook/avito/token"
    return sim.add_chat(shop, "Анна", Item("Диван серый", 12_500))


@pytest.fixture
async def anyone(sim: Simulator) -> AsyncGenerator[httpx2.AsyncClient]:
    """A client without a token."""
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=sim.app), base_url="http://avito.test") as client:
        yield client


@pytest.fixture
async def avito(anyone: httpx2.AsyncClient, shop: Account) -> httpx2.AsyncClient:
    """A client with the shop's token."""
    anyone.headers["authorization"] = f"Bearer {await get_token(anyone, shop)}"
    return anyone


async def get_token(client: httpx2.AsyncClient, shop: Account) -> str:
    form = {
        "grant_type": "client_credentials",
        "client_id": shop.client_id,
        "client_secret": shop.client_secret,
    }
    return (await client.post("/token", data=form)).raise_for_status().json()["access_token"]
