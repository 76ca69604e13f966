"""An operator at the panel of a running `golub`, over HTTP as a browser would be."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx2

from golub.cli.people import create_operator
from golub.model import Role
from tests.guide.page import Page
from tests.processes import PATIENCE
from tests.stories.scene import Scene

LOGIN, PASSWORD = "vera", "correct-horse-7"


@asynccontextmanager
async def operator(town: Scene) -> AsyncGenerator[httpx2.AsyncClient]:
    """Signed in, for the first time."""
    await create_operator(town.settings, LOGIN, "Вера", Role.SUPER_ADMIN, PASSWORD)
    async with signed_in(town) as client:
        yield client


@asynccontextmanager
async def signed_in(town: Scene) -> AsyncGenerator[httpx2.AsyncClient]:
    """The same operator, in another browser, and as patient as people are with a 503."""
    origin = {"Origin": town.golub.url}
    async with httpx2.AsyncClient(base_url=town.golub.url, headers=origin, trust_env=False, timeout=PATIENCE) as client:
        answer = await patiently(lambda: sign_in(client))
        assert answer.status_code == 303, answer.status_code
        yield client


async def patiently(ask: Callable[[], Awaitable[httpx2.Response]]) -> httpx2.Response:
    """The first answer that is not “try again”."""
    until = time.monotonic() + PATIENCE
    while (answer := await ask()).status_code == 503:
        assert time.monotonic() < until, Page(answer.text).text
        await asyncio.sleep(0.2)  # before the next try
    return answer


async def sign_in(client: httpx2.AsyncClient) -> httpx2.Response:
    page = await client.get("/sign-in")
    if page.status_code == 503:
        return page
    form = Page(page.text).form("/sign-in").filled(login=LOGIN, password=PASSWORD)
    return await client.post("/sign-in", data=dict(form))


@asynccontextmanager
async def listening(client: httpx2.AsyncClient, number: int) -> AsyncGenerator[list[asyncio.Task[str]]]:
    """So many open streams; each task ends with its stream, and with the name of the last event on it."""
    greeted = [asyncio.Event() for _ in range(number)]

    async def listen(hello: asyncio.Event) -> str:
        last = ""
        async with client.stream("GET", "/stream", timeout=None) as answer:
            assert answer.status_code == 200
            async for line in answer.aiter_lines():
                if line.startswith("event: "):
                    last = line.removeprefix("event: ")
                    hello.set()
        return last

    streams = [asyncio.create_task(listen(hello)) for hello in greeted]
    try:
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*(hello.wait() for hello in greeted))
        yield streams
    finally:
        for one in streams:
            one.cancel()
        await asyncio.wait(streams)
