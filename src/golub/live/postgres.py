"""The doorbell between processes on one PostgreSQL: LISTEN/NOTIFY that carries ids and versions, never content.

Every ring has a number from one sequence, drawn in the transaction whose change it tells of. So a ring that does not
come leaves a gap, whatever lost it: a NOTIFY that failed, a listener whose line hangs, a process that died between its
commit and its ring. Each process looks once a second how far the sequence is, over another connection than the one it
listens on, and rings `EVERYTHING` for a gap that is `GRACE` old: pages are right a few seconds after any loss, and
nothing has to be stored or tidied.

Who of the team is where goes over a channel of its own and without numbers: what is lost there is said again within
seconds, and a process that died says nothing more.
"""

import asyncio
import json
import os
import secrets
import socket
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager, suppress

import psycopg
import structlog
from sqlalchemy import Connection, make_url, text

from golub.errors import Unavailable
from golub.live.memory import EVERYTHING, Live, Ring
from golub.live.presence import Beat
from golub.runner import Loop
from golub.store import Store

CHANNEL = "golub_rings"
PRESENCE = "golub_presence"
LOOK_EVERY = 1.0  # seconds
GRACE = 1.5  # seconds between a number's drawing and its ring: a commit and a NOTIFY
AGAIN = 0.5  # seconds until a connection that broke is tried again
RINGS_A_NOTIFY = 120  # PostgreSQL carries 8000 bytes
BEATS_A_NOTIFY = 80
RINGS_AT_ONCE = 2000  # more are told as `EVERYTHING`
UNTOLD = 1000  # changes that wait to be told

_ASK = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM ring_numbers"
_NOTIFY = text("SELECT pg_notify(:to, :told)")
_LINE = {"connect_timeout": "3", "keepalives_idle": "10", "keepalives_interval": "5", "keepalives_count": "3"}

log = structlog.get_logger(__name__)


class LiveOverPostgres(Live):
    """Listeners of this process, who hear what is rung in any. `run` carries; without it a ring stays in its process,
    and the others miss its number."""

    def __init__(self, store: Store, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__(monotonic)
        self._line = "pg"  # the sequence is everybody's: a place in it means the same in every process
        self._store = store
        self._me = secrets.token_hex(6)
        self._ahead: set[int] = set()  # numbers heard past `_all_heard`
        self._placed = False  # whether we know how far the sequence was when we began to listen
        self._untold: deque[tuple[int, list[Ring]]] = deque()
        self._beats: dict[tuple[int, str], Beat] = {}  # that wait to be told: the newest of each tab
        self._telling = Loop("rings", longest_wait=AGAIN)
        self._looked: deque[tuple[float, int]] | None = None  # when, and how far the sequence was
        self._called_at = 0.0
        self._hang_up: Callable[[], None] = lambda: None
        self._heard_at = 0.0

    def draw(self, connection: Connection) -> int:
        return connection.execute(text("SELECT nextval('ring_numbers')")).scalar_one()

    def ring(self, rings: Iterable[Ring], number: int = 0) -> None:
        """Heard here at once, and by the others when it has been told. Without a number it gets one then."""
        told = list(rings)
        if not told and not number:
            return
        with self._lock:
            self._hear(number, told)
            self._count(number)
            self._untold.append((number, told if len(told) <= RINGS_AT_ONCE else [EVERYTHING]))
            while len(self._untold) > UNTOLD:  # the others miss the numbers, and refetch
                self._untold.popleft()
        self._telling.nudge()

    def meet(self, beat: Beat) -> None:
        """Known here at once, and in the others when it has been told."""
        with self._lock:
            self._move(self._presence.take(beat))
            self._beats[beat.operator_id, beat.tab] = beat
        self._telling.nudge()

    def close(self) -> None:
        super().close()
        self._hang_up()

    async def run(self) -> None:
        """Tells, listens and looks after the listening, until it is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(super().run())
            tasks.create_task(self._telling.run(self._tell))
            tasks.create_task(Loop("live", longest_wait=LOOK_EVERY).run(self._look))
            while not self._closed:
                await self._listen()
                await asyncio.sleep(AGAIN)

    async def _tell(self) -> None:
        with self._lock:
            batch, beats = list(self._untold), list(self._beats.values())
            self._untold.clear()
            self._beats.clear()
        try:
            if batch or beats:
                await self._notify(batch, beats)
        except Unavailable as error:  # no longer pause than usual: pages wait for it
            log.warning("rings could not be told to other processes", reason=str(error))
            with self._lock:  # numbers are missed by themselves
                self._untold.extendleft(one for one in reversed(batch) if not one[0])  # and beats come again

    async def _notify(self, batch: list[tuple[int, list[Ring]]], beats: list[Beat]) -> None:
        drawn: list[tuple[int, list[Ring]]] = []
        async with self._store.write() as session:
            await session.execute(text("SET LOCAL synchronous_commit = off"))  # a ring need not outlive a crash
            for given, rings in batch:
                number = given or (await session.execute(text("SELECT nextval('ring_numbers')"))).scalar_one()
                if not given:
                    drawn.append((number, rings))
                for payload in _payloads(self._me, number, rings):
                    await session.execute(_NOTIFY, {"to": CHANNEL, "told": payload})
            for start in range(0, len(beats), BEATS_A_NOTIFY):
                payload = _beaten(self._me, beats[start : start + BEATS_A_NOTIFY])
                await session.execute(_NOTIFY, {"to": PRESENCE, "told": payload})
        with self._lock:
            for number, rings in drawn:
                self._remember(number, rings)
                self._count(number)

    async def _listen(self) -> None:
        """Until the line breaks, or `_look` finds it dead."""
        url = make_url(self._store.url).set(drivername="postgresql").update_query_dict(_LINE)
        address = url.render_as_string(hide_password=False)
        try:
            async with await psycopg.AsyncConnection.connect(address, autocommit=True) as line, self._open(line):
                await line.execute(f"LISTEN {CHANNEL}")
                await line.execute(f"LISTEN {PRESENCE}")
                row = await (await line.execute(_ASK)).fetchone()
                with self._lock:
                    self._begin_at(int(row[0]) if row else 0)
                async for notify in line.notifies():
                    if notify.channel == PRESENCE:
                        self._take_beats(notify.payload)
                    else:
                        self._take(notify.payload)
        except (psycopg.Error, OSError) as error:
            if not self._closed:
                log.warning("the line that rings come over broke", reason=type(error).__name__)

    @asynccontextmanager
    async def _open(self, line: psycopg.AsyncConnection) -> AsyncGenerator[None]:
        """Makes `_hang_up` end a line that waits: cancelling would ask its other end first, which may be dead."""
        with socket.socket(fileno=os.dup(line.fileno())) as end:

            def hang_up() -> None:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

            self._hang_up = hang_up
            try:
                yield
            finally:
                self._hang_up = lambda: None

    def _take(self, payload: str) -> None:
        sender, number, told = json.loads(payload)
        self._heard_at = time.monotonic()
        if sender == self._me:
            return
        with self._lock:
            heard = ((account, chat, version, bool(why & 1), bool(why & 2)) for account, chat, version, why in told)
            self._hear(number, [Ring(*one) for one in heard])
            self._count(number)

    def _take_beats(self, payload: str) -> None:
        sender, told = json.loads(payload)
        if sender == self._me:
            return
        with self._lock:
            for operator, tab, account, chat, typing in told:
                self._move(self._presence.take(Beat(operator, tab, account, chat, bool(typing))))

    async def _look(self) -> None:
        """Finds what was not heard, by asking how far the sequence is."""
        if self._looked is None:  # the line has until the next look to begin
            self._looked = deque()
            return
        if self._called_at > self._heard_at:
            self._hang_up()
        self._called_at = 0.0
        before = self._all_heard
        try:
            async with self._store.read() as session:
                last: int = (await session.execute(text(_ASK))).scalar_one()
        except Unavailable:
            return  # nor could any page be fetched
        now = time.monotonic()
        self._looked.append((now, last))
        with self._lock:
            if not self._placed or last < before:  # or: another database, or one restored
                self._begin_at(last)
                self._looked.clear()
                return
            due = 0
            while self._looked and self._looked[0][0] <= now - GRACE:
                _, due = self._looked.popleft()
            if due <= self._all_heard:
                return
            log.warning("rings were missed", number=due - self._all_heard)
            self._hear(due, [EVERYTHING])
            self._pass_to(due)
        await self._call_ourselves()

    async def _call_ourselves(self) -> None:
        """Who does not hear himself within a second listens to a dead line."""
        called_at = time.monotonic()
        with suppress(Unavailable):
            async with self._store.write() as session:
                await session.execute(_NOTIFY, {"to": CHANNEL, "told": _payloads(self._me, 0, [])[0]})
            self._called_at = called_at

    def _begin_at(self, number: int) -> None:
        """What rang up to here is not known."""
        self._hear(number, [EVERYTHING])
        self._past.clear()
        self._forgotten, self._placed = number, True
        self._all_heard = 0
        self._pass_to(number)

    def _count(self, number: int) -> None:
        if number > self._all_heard:
            self._ahead.add(number)
            if self._placed:
                self._pass_to(self._all_heard)

    def _pass_to(self, number: int) -> None:
        """Everything up to this number has been heard, or written off; and what follows it without a gap."""
        self._all_heard = max(self._all_heard, number)
        while self._all_heard + 1 in self._ahead:
            self._all_heard += 1
        self._ahead = {one for one in self._ahead if one > self._all_heard}


def _payloads(sender: str, number: int, rings: list[Ring]) -> list[str]:
    told = [[one.account_id, one.chat_id, one.version, one.new_message | one.nudge << 1] for one in rings]
    parts = [told[start : start + RINGS_A_NOTIFY] for start in range(0, len(told), RINGS_A_NOTIFY)] or [[]]
    return [json.dumps([sender, number, part], separators=(",", ":")) for part in parts]


def _beaten(sender: str, beats: list[Beat]) -> str:
    told = [[one.operator_id, one.tab, one.account_id, one.chat_id, int(one.typing)] for one in beats]
    return json.dumps([sender, told], separators=(",", ":"))
