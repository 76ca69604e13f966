"""A world whose alerts go to somebody who keeps what he was told, and what tests of alerts do to it."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import select

from golub.clock import MINUTE
from golub.model import Alert
from tests.door import FOREIGN, Answers, World

ALERT_URL = "https://alerts.example.org/golub"
TOKEN = "123:bot-token"

Make = Callable[..., Awaitable[World]]


def channel(world: World) -> Answers:
    answers = world.way.ends[-1]
    assert isinstance(answers, Answers)
    return answers


def told(world: World) -> list[dict[str, Any]]:
    return [json.loads(request.content) for request in channel(world).requests]


async def steal(world: World) -> None:
    world.avito.steal_subscription(world.shop, FOREIGN)
    await world.subscriptions.check(world.account_id)


async def turns(world: World, number: int = 3) -> None:
    """A minute each: what opens in one is told in the next."""
    for _ in range(number):
        await world.alerts.run_once()
        world.clock.step(MINUTE)


async def rows(world: World) -> list[Alert]:
    async with world.store.read() as session:
        return list(await session.scalars(select(Alert).order_by(Alert.id)))
