"""`/stream`: the doorbell as server-sent events, one stream for all tabs of a browser.

Another site's page may not listen. Of chats it carries ids and versions only; what they stand for is fetched, and
authorised, by its own request. Beside that it says who of the team is at which chat (`POST /presence` is how a tab says
so itself). Every `TICK`, and at once when this process ends it, the session is looked at again (a revoked one ends the
stream) with the accounts that its operator may see (of others he is told nothing), and a silent stream says that it
lives, so that a browser notices a dead line. A reader that takes nothing for `SEND_LIMIT` is cut. Each batch has an id;
a reader who comes back with the last one he has, to any process, hears what rang since, or that anything may have
changed.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Iterable
from typing import Annotated, Protocol

from fastapi import APIRouter, Form, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from golub import inbox, metrics
from golub.errors import Unavailable
from golub.live import EVERYTHING, Beat, Heard, Ring
from golub.operators import LISTENS_EVERY
from golub.sight import Sight, find_sight
from golub.web.csrf import check_stream
from golub.web.parts import LARGEST_ID, Given, Parts
from golub.web.session import COOKIE, Seen, Signed

router = APIRouter()

TICK = 5.0  # seconds
SEND_LIMIT = 15.0  # seconds


@router.get("/stream")
async def stream(request: Request, parts: Given, operator: Signed, sight: Seen) -> Response:
    check_stream(request, parts.settings)
    after = request.headers.get("last-event-id", "")[:64]
    return Stream(parts, operator.id, sight, request.cookies[COOKIE], after, tick=TICK, send_limit=SEND_LIMIT)


@router.post("/presence")
async def meet(
    parts: Given,
    operator: Signed,
    sight: Seen,
    tab: Annotated[str, Form(pattern="^[0-9a-f]{16}$")],
    chat: Annotated[int, Form(ge=0, le=LARGEST_ID)] = 0,
    typing: Annotated[bool, Form()] = False,
) -> Response:
    """This tab is at that chat now; at 0 it is nowhere any more."""
    account_id = 0
    if chat:
        async with parts.store.read() as session:
            account_id = (await inbox.get_chat(session, sight, chat)).account_id
    parts.live.meet(Beat(operator.id, tab, account_id, chat, typing))
    return Response(status_code=204)


class Say(Protocol):
    def __call__(self, event: str, value: object, more: str = "") -> Awaitable[None]: ...


class Stream(Response):
    """Events: `hello` (seconds between ticks), `rings` ([[chat id, version, 1 for a buyer's new message], …]; `[]`:
    anything may have changed), `here` ([[chat id, [[operator id, name, 1 if typing], …]], …]: of each chat all who are
    there but the reader; those that no `here` named since `hello` have nobody), `tick`, and `bye` when the session has
    ended."""

    media_type = "text/event-stream"

    def __init__(
        self,
        parts: Parts,
        operator_id: int,
        sight: Sight,
        secret: str,
        after: str = "",
        *,
        tick: float,
        send_limit: float,
    ) -> None:
        super().__init__(headers={"X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._parts = parts
        self._operator_id = operator_id
        self._sight = sight
        self._names: dict[int, str] = {}  # of operators, as they were at the last tick
        self._shown: set[int] = set()  # chats at which he knows somebody
        self._secret = secret
        self._after = after
        self._tick = tick
        self._send_limit = send_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's own
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        with metrics.streams_open.track_inprogress():
            async with asyncio.TaskGroup() as group:
                talking = group.create_task(self._talk(send))
                gone = group.create_task(_gone(receive))
                await asyncio.wait((talking, gone), return_when=asyncio.FIRST_COMPLETED)
                talking.cancel()
                gone.cancel()

    async def _talk(self, send: Send) -> None:
        async def say(event: str, value: object, more: str = "") -> None:
            text = f"{more}event: {event}\ndata: {json.dumps(value, separators=(',', ':'))}\n\n"
            async with asyncio.timeout(self._send_limit):
                await send({"type": "http.response.body", "body": text.encode(), "more_body": True})

        try:
            began = "" if self._after else _id(self._parts.live.place)
            with self._parts.operators.watched(self._secret) as ended:
                async with self._parts.live.subscribe(self._after) as batches:
                    await say("hello", self._tick, f"retry: 2000\n{began}")
                    await self._tell_all(self._batches(batches, ended), say)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:
            return  # nobody reads: the server closes the connection behind us

    async def _tell_all(self, batches: AsyncIterator[Heard | None], say: Say) -> None:
        async for batch in batches:
            if batch is None:
                before = self._sight
                if not await self._may_listen():
                    await say("bye", "session")
                    return
                self._names.clear()
                await say("tick", 0)
                if self._sight != before:
                    await say("rings", [])
                continue
            if rings := self._seen(batch):
                await say("rings", _told(rings), _id(batch.place))
            if here := await self._here(batch.moved):
                await say("here", here)

    async def _batches(self, batches: AsyncIterator[Heard], ended: asyncio.Event) -> AsyncIterator[Heard | None]:
        """The batches, and None at every tick, however busy it is between, and when the session has ended."""
        loop = asyncio.get_running_loop()
        due = loop.time() + self._tick
        coming = asyncio.ensure_future(anext(batches, None))
        told = asyncio.ensure_future(ended.wait())
        try:
            while True:
                wait = max(0.0, due - loop.time())
                await asyncio.wait((coming, told), timeout=wait, return_when=asyncio.FIRST_COMPLETED)
                if told.done():
                    ended.clear()
                    told = asyncio.ensure_future(ended.wait())
                    yield None
                elif coming.done():
                    batch = coming.result()
                    if batch is None:
                        return
                    yield batch
                    coming = asyncio.ensure_future(anext(batches, None))
                if loop.time() >= due:
                    due = loop.time() + self._tick
                    yield None
        finally:
            coming.cancel()
            told.cancel()

    def _seen(self, batch: Heard) -> list[Ring]:
        return [ring for ring in batch if ring == EVERYTHING or self._sight.sees(ring.account_id)]

    async def _here(self, chats: Iterable[int]) -> list[object]:
        """Of those chats: which the reader may see, or was told of and now has nobody for him."""
        found = dict[int, dict[int, bool]]()
        for chat_id in sorted(chats):
            here = self._parts.live.here(chat_id)
            others = {one: typing for one, typing in here.operators.items() if one != self._operator_id}
            if others and self._sight.sees(here.account_id):
                self._shown.add(chat_id)
                found[chat_id] = others
            elif chat_id in self._shown:
                self._shown.remove(chat_id)
                found[chat_id] = {}
        await self._learn_names({one for others in found.values() for one in others})
        return [
            [chat_id, [[one, self._names.get(one, ""), int(typing)] for one, typing in others.items()]]
            for chat_id, others in found.items()
        ]

    async def _learn_names(self, operators: set[int]) -> None:
        if unknown := operators - self._names.keys():
            try:
                self._names |= await self._parts.operators.find_names(unknown)
            except Unavailable:
                return  # a colleague without a name is one all the same

    async def _may_listen(self) -> bool:
        """While the database is away nobody's session can be looked at; rings alone tell nothing."""
        try:
            found = await self._parts.operators.find_session(self._secret, touch_every=LISTENS_EVERY)
            if found is not None:
                async with self._parts.store.read() as session:
                    self._sight = await find_sight(session, found[1])
        except Unavailable:
            return True
        return found is not None


def _told(rings: list[Ring]) -> list[list[int]]:
    if EVERYTHING in rings:
        return []
    return [[ring.chat_id, ring.version, *([why] if (why := _why(ring)) else [])] for ring in rings]


def _why(ring: Ring) -> int:
    """Of what a person is to be told: 1 a new message, 2 a nudge."""
    return 1 if ring.new_message else 2 * ring.nudge


def _id(place: str) -> str:
    return f"id: {place}\n"


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
