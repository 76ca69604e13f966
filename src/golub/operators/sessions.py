"""Signed-in browsers: opening, finding, closing. Who relies on a session is told when it ends here."""

import asyncio
import hashlib
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager

import structlog
from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from golub.audit import Action, By
from golub.clock import DAY, HOUR, MINUTE, Clock, Millis
from golub.errors import NotFound, Unavailable
from golub.model import HalfSignIn, Operator, Session
from golub.operators.rights import get_operator
from golub.operators.secret import digest, new_secret
from golub.store import Store

IDLE_LIFE = 14 * DAY
ABSOLUTE_LIFE = 90 * DAY
_TOUCH_EVERY = HOUR  # how exact `seen_at` is where pages alone are asked for
LISTENS_EVERY = MINUTE  # … and where a stream is open
PROOF_LIFE: Millis = 5 * MINUTE  # how long it counts that he has just shown who he is

_OPEN = (  # every request asks: put together once
    select(Session, Operator)
    .join(Operator, Operator.id == Session.operator_id)
    .where(Session.hash == bindparam("hash"), Session.expires_at > bindparam("now"), Operator.active)
)

log = structlog.get_logger("golub.operators")


class Sessions:
    """The part of `Operators` that is about them. `on_closed` is told the hashes of sessions that ended here, so that
    streams end too."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self.on_closed: list[Callable[[Sequence[bytes]], None]] = []

    async def open_session(self, operator: Operator, *, address: str = "", user_agent: str = "") -> tuple[str, Session]:
        """A new session and the secret for its cookie."""
        secret, now = new_secret(), self._clock()
        opened = Session(
            hash=digest(secret),
            operator_id=operator.id,
            csrf=new_secret(),
            created_at=now,
            seen_at=now,
            expires_at=now + IDLE_LIFE,
            proved_at=now,
            address=address,
            user_agent=user_agent[:300],
        )
        async with self._store.write() as session:
            session.add(opened)
            await By(operator, address).did(session, Action.SIGNED_IN, operator.login, now=now)
        log.info("signed in", operator=operator.id, address=address)
        return secret, opened

    async def find_session(self, secret: str, *, touch_every: Millis = _TOUCH_EVERY) -> tuple[Session, Operator] | None:
        """The open session behind a cookie, and whose it is. Being asked keeps it from expiring."""
        return await self._find_session(digest(secret), touch_every)

    def is_proved(self, opened: Session) -> bool:
        """Whether he has shown who he is just now: what a stolen cookie alone must not do asks for it."""
        return opened.proved_at > self._clock() - PROOF_LIFE

    async def list_sessions(self, operator_id: int) -> list[Session]:
        """The operator's open ones, those first that were used last."""
        query = select(Session).where(Session.operator_id == operator_id, Session.expires_at > self._clock())
        async with self._store.read() as session:
            return list(await session.scalars(query.order_by(Session.seen_at.desc(), Session.hash)))

    async def is_open(self, session_hash: bytes) -> bool:
        """For streams, which ask every few seconds whether they may go on."""
        return await self._find_session(session_hash, None) is not None

    async def _find_session(self, session_hash: bytes, touch_every: Millis | None) -> tuple[Session, Operator] | None:
        now = self._clock()
        async with self._store.read() as session:
            found = (await session.execute(_OPEN, {"hash": session_hash, "now": now})).first()
        if found and touch_every is not None and found[0].seen_at < now - touch_every:
            await self._touch(found[0])
        return found

    async def _touch(self, opened: Session) -> None:
        now = self._clock()
        expires_at = min(now + IDLE_LIFE, opened.created_at + ABSOLUTE_LIFE)
        values = {"seen_at": now, "expires_at": expires_at}
        try:
            async with self._store.write() as session:
                await session.execute(update(Session).where(Session.hash == opened.hash).values(values))
        except Unavailable:
            return  # the page can be shown all the same; the next one touches the session

    async def close_session(self, session_hash: bytes, *, address: str = "") -> None:
        async with self._store.write() as session:
            closed = delete(Session).where(Session.hash == session_hash).returning(Session.operator_id)
            if operator_id := await session.scalar(closed):
                operator = await get_operator(session, operator_id)
                await By(operator, address).did(session, Action.SIGNED_OUT, operator.login, now=self._clock())
        self._tell([session_hash])

    async def end_session(self, operator: Operator, handle: str, *, by: By) -> None:
        """One of the operator's, from another browser. Raises `NotFound` for one that is not his, or not open."""
        for opened in await self.list_sessions(operator.id):
            if handle_of(opened) == handle:
                await self._end(operator, [opened.hash], by)
                return
        raise NotFound("This session has ended already.")

    async def end_other_sessions(self, operator: Operator, kept: bytes, *, by: By) -> None:
        others = [opened.hash for opened in await self.list_sessions(operator.id) if opened.hash != kept]
        await self._end(operator, others, by)

    async def _end(self, operator: Operator, hashes: Sequence[bytes], by: By) -> None:
        async with self._store.write() as session:
            ended = delete(Session).where(Session.hash.in_(hashes), Session.operator_id == operator.id)
            gone = list(await session.scalars(ended.returning(Session.hash)))
            if gone:
                told = {"sessions": len(gone)}
                await by.did(session, Action.SESSIONS_ENDED, operator.login, after=told, now=self._clock())
        self._tell(gone)

    @contextmanager
    def watched(self, secret: str) -> Generator[asyncio.Event]:
        """Set once the session is ended by this process; what another one ends is seen by looking."""
        hashed, ended = digest(secret), asyncio.Event()

        def look(hashes: Sequence[bytes]) -> None:
            if hashed in hashes:
                ended.set()

        self.on_closed.append(look)
        try:
            yield ended
        finally:
            self.on_closed.remove(look)

    async def _note_proof(self, session_hash: bytes) -> None:
        async with self._store.write() as session:
            values = {"proved_at": self._clock()}
            await session.execute(update(Session).where(Session.hash == session_hash).values(values))

    def _tell(self, ended: Sequence[bytes]) -> None:
        for told in [*self.on_closed]:
            told(ended)


def handle_of(opened: Session) -> str:
    """Names a session on its operator's page; nothing of its secret can be told from it."""
    return hashlib.sha256(b"session\0" + opened.hash).hexdigest()[:16]


async def end_sessions(session: AsyncSession, operator_id: int, *, but: bytes = b"") -> list[bytes]:
    """All of an operator's but one, and the sign-ins that wait for a code."""
    await session.execute(delete(HalfSignIn).where(HalfSignIn.operator_id == operator_id))
    ended = delete(Session).where(Session.operator_id == operator_id, Session.hash != but).returning(Session.hash)
    return list(await session.scalars(ended))
