"""The journal's pages over a door that takes deliveries and an applier that applies them."""

from collections.abc import AsyncGenerator

import pytest

from golub.replays import Replays
from golub.web.parts import Parts
from tests.door import World
from tests.web.journal.post import Post


@pytest.fixture
async def post(world: World) -> AsyncGenerator[Post]:
    url = world.subscriptions.recommended_url()
    await world.subscriptions.register(world.account_id, url, ["message", "chat"], skip_probe=True)
    async with world.applying() as applier:
        yield Post(world, applier, url)


@pytest.fixture
def parts(world: World, world_parts: Parts, post: Post) -> Parts:
    world_parts.applier = post.applier
    world_parts.replays = Replays(world.store, post.applier, world.clock, world.backfill.nudge)
    return world_parts
