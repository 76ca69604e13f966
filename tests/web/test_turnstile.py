"""Many requests for pages at one moment keep nobody else waiting until the last of them has begun."""

import asyncio
from itertools import pairwise

from starlette.types import Message, Receive, Scope, Send

from golub.web.turnstile import Turnstile


async def receive() -> Message:
    return {"type": "http.request"}


async def send(_: Message) -> None:
    pass


async def test_others_have_their_turn_between_two_pages() -> None:
    told: list[str] = []

    async def page(scope: Scope, _: Receive, __: Send) -> None:
        told.append(scope["path"])

    async def webhooks() -> None:
        while len(told) < 12:
            told.append("webhook")
            await asyncio.sleep(0)

    door = Turnstile(page)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(webhooks())
        for number in range(5):
            tasks.create_task(door({"path": f"page {number}"}, receive, send))
    begun = [place for place, one in enumerate(told) if one != "webhook"]
    assert [told[place] for place in begun] == [f"page {number}" for number in range(5)]
    assert all("webhook" in told[one:next_] for one, next_ in pairwise(begun[1:])), told


async def test_who_gives_up_waiting_keeps_nobody() -> None:
    begun: list[str] = []

    async def page(scope: Scope, _: Receive, __: Send) -> None:
        begun.append(scope["path"])

    door = Turnstile(page)
    asked = [asyncio.create_task(door({"path": str(number)}, receive, send)) for number in range(4)]
    await asyncio.sleep(0)
    asked[1].cancel()
    asked[2].cancel()
    await asyncio.wait(asked)
    assert begun == ["0", "3"]
    await door({"path": "later"}, receive, send)
    assert begun[-1] == "later"


async def test_a_page_that_takes_long_keeps_nobody() -> None:
    begun: list[str] = []

    async def page(scope: Scope, _: Receive, __: Send) -> None:
        begun.append(scope["path"])
        if scope["path"] == "stream":
            await asyncio.Event().wait()

    door = Turnstile(page)
    stream = asyncio.create_task(door({"path": "stream"}, receive, send))
    await asyncio.wait_for(door({"path": "page"}, receive, send), 5)
    assert sorted(begun) == ["page", "stream"]
    stream.cancel()
    await asyncio.wait([stream])
