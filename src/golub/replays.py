"""Many deliveries of the journal taken up again at once: tried (what would change?), applied, or discarded.

Promises, which the journal's pages rely on:
- It goes in small parts, between which normal deliveries are applied; a person may stop it and let it go on, and it
  goes on by itself after a restart. A part that was done twice changes nothing.
- It takes what was there when it was asked for, from the newest to the oldest, and one at a time.
- Whoever asked for it is in the audit before anything happens. Trying changes nothing, and is not.
- What a person discarded is not taken up again by the way; only by itself.
"""

from collections import Counter, deque
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any, cast

from sqlalchemy import CursorResult, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from golub import journal
from golub.apply import Applier
from golub.apply.again import Change, Replayed
from golub.audit import Action, By
from golub.clock import MINUTE, SECOND, Clock, Millis
from golub.errors import Conflict, Invalid, NotFound, Paced
from golub.journal import Place, Wanted
from golub.model import Delivery, DeliveryState, Mark, Replay, ReplayKind, ReplayState
from golub.runner import Loop
from golub.store import Store

PART = 100  # deliveries; normal ones wait while so many are folded, which takes as long as a batch of theirs, or less
BREATH: Millis = 20  # between two parts
LEASE = 30 * SECOND
CHANGES_KEPT = 50
DIGESTS_KEPT = 20_000  # messages; further ones may count twice
RECENT = 10
PRESSES_A_MINUTE = 30  # of single deliveries, whoever presses
REASON_LIMIT = 500
TURN = "replay"  # the mark that is locked by whoever begins one

_DIGEST = 8  # bytes


class Replays:
    """`on_hints` is called when hints are to be asked about anew."""

    def __init__(self, store: Store, applier: Applier, clock: Clock, on_hints: Callable[[], None]) -> None:
        self._store = store
        self._applier = applier
        self._clock = clock
        self._on_hints = on_hints
        self._loop = Loop("replays", clock)
        self._presses: deque[Millis] = deque()

    async def run(self) -> None:
        await self._loop.run(self.run_once)

    async def start(self, kind: ReplayKind, wanted: Wanted, by: By, *, reason: str = "") -> int:
        """Returns its id. Raises `Conflict` while another one runs."""
        if kind is ReplayKind.DISCARD:
            reason = _checked(reason)
            if wanted.state is not DeliveryState.QUARANTINED:
                raise Invalid("Only what is in quarantine can be discarded.", field="state")
        async with self._store.read() as session:
            number, is_more = await journal.count(session, wanted)
            newest = await journal.newest(session)
        now = self._clock()
        async with self._store.write() as session:
            await self._must_be_alone(session)
            replay = Replay(
                kind=kind,
                state=ReplayState.RUNNING,
                wanted=wanted.document(),
                reason=reason,
                asked_by=_name(by),
                created_at=now,
                due_at=now,
                total=number,
                total_is_more=is_more,
                place=str(Place(newest.at + 1, bytes(16))) if newest else str(Place(0, bytes(16))),
                outcomes={},
                changes=[],
            )
            session.add(replay)
            await session.flush()
            if kind is not ReplayKind.TRY:
                action = Action.DISCARDED if kind is ReplayKind.DISCARD else Action.REPLAYED
                after = {"deliveries": number, "more": is_more, "filter": _told(wanted), "reason": reason}
                await by.did(session, action, f"replay {replay.id}", after=after, now=now)
        self._loop.nudge()
        return replay.id

    async def stop(self, replay_id: int, by: By) -> None:
        """After the part that is on. Nothing is undone."""
        async with self._store.write() as session:
            await self._turn(session, replay_id, ReplayState.RUNNING, ReplayState.STOPPED, None, by)

    async def resume(self, replay_id: int, by: By) -> None:
        """From where it was stopped. Raises `Conflict` while another one runs."""
        async with self._store.write() as session:
            await self._must_be_alone(session)
            await self._turn(session, replay_id, ReplayState.STOPPED, ReplayState.RUNNING, self._clock(), by)
        self._loop.nudge()

    async def get(self, replay_id: int) -> Replay:
        """Raises `NotFound`."""
        async with self._store.read() as session:
            found = await session.get(Replay, replay_id)
        if found is None:
            raise NotFound("There is no such replay.")
        return found

    async def list_recent(self) -> Sequence[Replay]:
        async with self._store.read() as session:
            return list(await session.scalars(select(Replay).order_by(Replay.id.desc()).limit(RECENT)))

    async def replay_one(self, key: bytes, by: By) -> None:
        """Raises `Paced` for who presses too often."""
        self._press()
        async with self._store.write() as session:
            state = (await journal.get_delivery(session, key)).state
            await by.did(session, Action.REPLAYED, f"delivery {key.hex()}", before={"state": state}, now=self._clock())
        await self._applier.replay([key], also_discarded=True)
        self._on_hints()

    async def discard_one(self, key: bytes, reason: str, by: By) -> None:
        """Raises `Invalid` without a reason, `Conflict` for what is not in quarantine."""
        self._press()
        reason = _checked(reason)
        async with self._store.write() as session:
            if not await self._discard(session, [key], reason, _name(by)):
                raise Conflict("Only what is in quarantine can be discarded.", code="not_quarantined")
            await by.did(
                session, Action.DISCARDED, f"delivery {key.hex()}", after={"reason": reason}, now=self._clock()
            )

    async def run_once(self) -> Millis | None:
        """One part of what runs. Where nothing does, nothing is written."""
        async with self._store.read() as session:
            due_at = await session.scalar(select(func.min(Replay.due_at)).where(Replay.due_at.is_not(None)))
        if due_at is None or due_at > self._clock():
            return due_at
        async with self._store.write() as session:
            claimed = await self._store.claim(session, Replay.due_at, now=self._clock(), lease=LEASE, limit=1)
        if not claimed:
            return None
        replay = await self.get(claimed[0])
        async with self._store.read() as session:
            wanted, place = Wanted.of(replay.wanted), Place.parse(replay.place)
            places, following = await journal.list_places(session, wanted, before=place, limit=PART)
        ids = [one.id for one in places]
        done = Replayed()
        if ids and replay.kind != ReplayKind.DISCARD:
            done = await self._applier.replay(ids, dry=replay.kind == ReplayKind.TRY)
        async with self._store.write() as session:
            current = await session.get_one(Replay, replay.id, with_for_update=True, populate_existing=True)
            if current.place != replay.place:
                return current.due_at  # another process had this part after our lease, and has counted it
            if replay.kind == ReplayKind.DISCARD:
                current.changing += await self._discard(session, ids, replay.reason, replay.asked_by)
            self._note(current, done)
            current.taken += len(ids)
            if following:
                current.place = str(following)
                current.due_at = self._clock() + BREATH if current.state == ReplayState.RUNNING else None
            else:
                current.state, current.finished_at, current.due_at = ReplayState.FINISHED, self._clock(), None
        if replay.kind == ReplayKind.APPLY and any(one.now is DeliveryState.WAITING for one in done.taken):
            self._on_hints()
        return current.due_at

    def _note(self, replay: Replay, done: Replayed) -> None:
        told = [one for one in done.taken if one.was is not one.now or one.now is DeliveryState.QUARANTINED]
        replay.outcomes = dict(Counter(replay.outcomes) + Counter(f"{one.was} {one.now}" for one in told))
        changing = {one.id for one in done.taken if one.was is not one.now} | {one.delivery_id for one in done.changes}
        replay.changing += len(changing)
        digests = bytes(replay.message_digests)
        known = {digests[at : at + _DIGEST] for at in range(0, len(digests), _DIGEST)}
        fresh: dict[bytes, Change] = {}
        for one in done.changes:
            digest = sha256("\0".join(map(str, one.name)).encode()).digest()[:_DIGEST]
            if digest not in known:
                fresh.setdefault(digest, one)
        replay.messages += len(fresh)
        room = max(0, DIGESTS_KEPT - len(known))
        replay.message_digests = digests + b"".join(list(fresh)[:room])
        told_room = max(0, CHANGES_KEPT - len(replay.changes))
        shown = [
            [one.delivery_id.hex(), one.account_id, one.chat_avito_id, one.message_avito_id, list(one.columns)]
            for one in list(fresh.values())[:told_room]
        ]
        replay.changes = [*replay.changes, *shown]

    async def _must_be_alone(self, session: AsyncSession) -> None:
        """Raises `Conflict` while one runs. Who asks at the same moment elsewhere waits, and then sees ours."""
        await session.execute(self._store.insert(Mark).values(name=TURN, value="").on_conflict_do_nothing())
        await session.get_one(Mark, TURN, with_for_update=True)
        if await session.scalar(select(Replay.id).where(Replay.due_at.is_not(None)).limit(1)) is not None:
            raise Conflict("Another replay is running. Wait for its end, or stop it.", code="replay_running")

    async def _turn(
        self,
        session: AsyncSession,
        replay_id: int,
        before: ReplayState,
        after: ReplayState,
        due_at: Millis | None,
        by: By,
    ) -> None:
        kind = await session.scalar(
            update(Replay)
            .where(Replay.id == replay_id, Replay.state == before)
            .values(state=after, due_at=due_at)
            .returning(Replay.kind)
            .execution_options(synchronize_session=False)
        )
        if kind is not None and kind != ReplayKind.TRY:
            action = Action.DISCARDED if kind == ReplayKind.DISCARD else Action.REPLAYED
            was, now = {"state": before}, {"state": after}
            await by.did(session, action, f"replay {replay_id}", before=was, after=now, now=self._clock())

    async def _discard(self, session: AsyncSession, ids: Sequence[bytes], reason: str, name: str) -> int:
        done = await session.execute(
            update(Delivery)
            .where(Delivery.id.in_(ids), Delivery.state == DeliveryState.QUARANTINED)
            .values(state=DeliveryState.DISCARDED, discarded_at=self._clock(), discarded_by=name, discard_reason=reason)
            .execution_options(synchronize_session=False)
        )
        return cast(CursorResult[Any], done).rowcount

    def _press(self) -> None:
        now = self._clock()
        while self._presses and abs(now - self._presses[0]) >= MINUTE:
            self._presses.popleft()
        if len(self._presses) >= PRESSES_A_MINUTE:
            raise Paced("Too many at once. Choose them in the journal and take them up together.", retry_after=10)
        self._presses.append(now)


def _told(wanted: Wanted) -> dict[str, Any]:
    """For the audit, which lasts longer than the journal: not what was looked for, which may be somebody's phone."""
    return {**wanted.document(), **({"text": "…"} if wanted.text else {})}


def _name(by: By) -> str:
    return by.operator.name if by.operator else ""


def _checked(reason: str) -> str:
    reason = reason.strip()
    if not reason:
        raise Invalid("Say why: whoever looks here later will want to know.", field="reason")
    if len(reason) > REASON_LIMIT:
        raise Invalid("This is too long: {limit} characters at most.", field="reason", limit=REASON_LIMIT)
    return reason
