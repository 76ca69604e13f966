"""Erases all that is kept of a buyer, step by step: his chats, his deliveries in the journal, and the rest.

Promises, which the page and the command rely on:
- It goes in small parts, between which webhooks are applied; a person may stop it and let it go on, and it goes on by
  itself after a restart. A part that was done twice changes nothing.
- Apply erases the chats, as it alone writes them. What was erased does not come back: see `fold.forgotten`.
- Whoever asked for it is in the audit before anything happens; neither there nor in what stays of an erasure does it
  say who the buyer was.
- Beyond reach are backups (`finding.list_backups` names them), and for an hour the spool, which then empties itself.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from golub.audit import Action, By
from golub.buyers import traces
from golub.buyers.finding import get_buyer, holdings_of
from golub.buyers.traces import Traces
from golub.clock import SECOND, Clock, Millis
from golub.errors import Invalid, NotFound
from golub.fold import CountWaits, FetchDue, Observation
from golub.fold.forgetting import FilesOf, Part
from golub.fold.forgotten import digest_of
from golub.live import Ring
from golub.model import (
    BlockedBuyer,
    BuyerNote,
    Chat,
    Delivery,
    DeliveryState,
    Erasure,
    ErasureState,
    ErasureStep,
    ForgottenChat,
    ForgottenFile,
    RelayedDelivery,
    Replay,
)
from golub.outbox import Pictures
from golub.runner import Loop
from golub.store import Store

MESSAGES_AT_ONCE = 500
LEASE = 60 * SECOND
BREATH: Millis = 20  # between two parts
BUSY_PAUSE = 3 * SECOND  # a reply is on its way to Avito: its chat waits
RECENT = 20
MARKED = "0"  # the place before the first chat


class Forgets(Protocol):
    """Apply; or a command, which has no loops."""

    async def forget(self, chat_id: int, *, since: Millis, files_of: FilesOf, limit: int) -> Part: ...

    async def submit(self, account_id: int, observations: Sequence[Observation]) -> list[Ring]: ...


class Erasures:
    """`folder`: of the kept pictures and voices. `files_of` names those of a message or a chat."""

    def __init__(
        self, store: Store, forgets: Forgets, clock: Clock, pictures: Pictures, files_of: FilesOf, folder: Path
    ) -> None:
        self._store = store
        self._forgets = forgets
        self._clock = clock
        self._pictures = pictures
        self._files_of = files_of
        self._folder = folder
        self._loop = Loop("erasures", clock)

    async def run(self) -> None:
        await self._loop.run(self.run_once)

    async def start(self, chat_id: int, confirmation: str, by: By) -> int:
        """Of the buyer of this chat. Returns its id. Raises `NotFound`, and `Invalid` where what was typed is not what
        names him."""
        now = self._clock()
        async with self._store.read() as session:
            buyer = await get_buyer(session, chat_id)
            held = await holdings_of(session, buyer)
            deliveries = await traces.count(session)
        if confirmation.strip() != buyer.confirmation:
            raise Invalid(
                "Nothing was erased: type {number} to show that you mean this buyer.",
                field="confirm",
                number=buyer.confirmation,
            )
        async with self._store.write() as session:
            erasure = Erasure(
                about={
                    "buyer": buyer.avito_id,
                    "chats": [[chat.id, chat.account_id, chat.avito_id] for chat in buyer.chats],
                },
                asked_by=by.operator.name if by.operator else "",
                created_at=now,
                due_at=now,
                total=held.messages + deliveries,
                counts={},
            )
            session.add(erasure)
            await session.flush()
            after = {"chats": len(buyer.chats), "messages": held.messages}
            await by.did(session, Action.BUYER_ERASED, f"erasure {erasure.id}", after=after, now=now)
        self._loop.nudge()
        return erasure.id

    async def stop(self, erasure_id: int, by: By) -> None:
        """After the part that is on. What is gone is gone."""
        await self._turn(erasure_id, ErasureState.RUNNING, ErasureState.STOPPED, None, by)

    async def resume(self, erasure_id: int, by: By) -> None:
        """From where it was stopped."""
        await self._turn(erasure_id, ErasureState.STOPPED, ErasureState.RUNNING, self._clock(), by)
        self._loop.nudge()

    async def get(self, erasure_id: int) -> Erasure:
        """Raises `NotFound`."""
        async with self._store.read() as session:
            found = await session.get(Erasure, erasure_id)
        if found is None:
            raise NotFound("There is no such erasure.")
        return found

    async def list_recent(self) -> Sequence[Erasure]:
        async with self._store.read() as session:
            return list(await session.scalars(select(Erasure).order_by(Erasure.id.desc()).limit(RECENT)))

    async def run_once(self) -> Millis | None:
        """One part of what runs. Where nothing does, nothing is written."""
        now = self._clock()
        async with self._store.read() as session:
            due_at = await session.scalar(select(func.min(Erasure.due_at)).where(Erasure.due_at.is_not(None)))
        if due_at is None or due_at > now:
            return due_at
        async with self._store.write() as session:
            claimed = await self._store.claim(session, Erasure.due_at, now=now, lease=LEASE, limit=1)
        for erasure_id in claimed:
            await self._take(await self.get(erasure_id))
        return now

    async def _take(self, erasure: Erasure) -> None:
        if erasure.step == ErasureStep.CHATS and not erasure.place:
            await self._mark_chats(erasure)
        elif erasure.step == ErasureStep.CHATS:
            await self._erase_chats(erasure)
        elif erasure.step == ErasureStep.JOURNAL:
            await self._erase_deliveries(erasure)
        else:
            await self._erase_rest(erasure)

    async def _mark_chats(self, erasure: Erasure) -> None:
        """Before any of them is erased: what he writes from now on is new, in whichever chat."""
        for row, _, _ in erasure.about["chats"]:
            part = await self._forgets.forget(row, since=erasure.created_at, files_of=self._files_of, limit=0)
            if part.is_busy:
                await self._note(erasure, Counter(), pause=BUSY_PAUSE)
                return
        await self._note(erasure, Counter(), place=MARKED)

    async def _erase_chats(self, erasure: Erasure) -> None:
        async with self._store.read() as session:
            mine = [row for row, _, _ in erasure.about["chats"]]
            left = await session.scalar(select(func.min(Chat.id)).where(Chat.id.in_(mine), Chat.id > _place(erasure)))
        if left is None:
            await self._note(erasure, Counter(), step=ErasureStep.JOURNAL, place="")
            return
        part = await self._forgets.forget(
            left, since=erasure.created_at, files_of=self._files_of, limit=MESSAGES_AT_ONCE
        )
        if part.is_busy:
            await self._note(erasure, Counter(), pause=BUSY_PAUSE)
            return
        for name in part.pictures:
            await self._pictures.drop(name)
        if part.begins_again:
            account_id, name = next((account, name) for row, account, name in erasure.about["chats"] if row == left)
            await self._forgets.submit(account_id, [FetchDue(name, self._clock()), CountWaits(left)])
        gone = Counter({"messages": part.messages, "chats": int(part.is_last)})
        await self._note(erasure, gone, looked_at=part.messages, place=str(left) if part.is_last else erasure.place)

    async def _erase_deliveries(self, erasure: Erasure) -> None:
        async with self._store.read() as session:
            wanted = await _traces_of(session, erasure)
            found, looked_at, end = await traces.look_back(session, wanted, erasure.place)
        if found:
            async with self._store.write() as session:
                await _blank(session, found)
        step = ErasureStep.JOURNAL if end else ErasureStep.REST
        await self._note(erasure, Counter(deliveries=len(found)), looked_at=looked_at, step=step, place=end)

    async def _erase_rest(self, erasure: Erasure) -> None:
        async with self._store.read() as session:
            names = list(await session.scalars(select(ForgottenFile.name)))
        await asyncio.to_thread(remove_kept, self._folder, names)
        buyer = erasure.about["buyer"]
        chats = {name for _, _, name in erasure.about["chats"]}
        async with self._store.write() as session:
            if buyer is not None:
                await session.execute(delete(BuyerNote).where(BuyerNote.buyer_id == buyer))
                await session.execute(delete(BlockedBuyer).where(BlockedBuyer.buyer_id == buyer))
            for replay in await session.scalars(select(Replay)):
                kept = [change for change in replay.changes if change[2] not in chats]
                if len(kept) < len(replay.changes):
                    replay.changes = kept
            ended: dict[str, Any] = {"about": {}, "place": "", "finished_at": self._clock(), "due_at": None}
            await session.execute(
                update(Erasure).where(Erasure.id == erasure.id).values(**ended, state=ErasureState.FINISHED)
            )

    async def _note(
        self,
        erasure: Erasure,
        gone: Counter[str],
        *,
        looked_at: int = 0,
        step: str = "",
        place: str | None = None,
        pause: Millis = BREATH,
    ) -> None:
        async with self._store.write() as session:
            current = await session.get_one(Erasure, erasure.id, with_for_update=True, populate_existing=True)
            current.counts = dict(Counter(current.counts) + gone)
            current.done += looked_at
            current.step = step or current.step
            current.place = current.place if place is None else place
            current.due_at = self._clock() + pause if current.state == ErasureState.RUNNING else None

    async def _turn(
        self, erasure_id: int, before: ErasureState, after: ErasureState, due_at: Millis | None, by: By
    ) -> None:
        async with self._store.write() as session:
            done = await session.scalar(
                update(Erasure)
                .where(Erasure.id == erasure_id, Erasure.state == before)
                .values(state=after, due_at=due_at)
                .returning(Erasure.id)
                .execution_options(synchronize_session=False)
            )
            if done is not None:
                was, now = {"state": before}, {"state": after}
                subject = f"erasure {erasure_id}"
                await by.did(session, Action.BUYER_ERASED, subject, before=was, after=now, now=self._clock())


def remove_kept(folder: Path, names: Sequence[str]) -> None:
    """From this disk."""
    for name in names:
        (folder / name[:2] / name).unlink(missing_ok=True)


async def _traces_of(session: AsyncSession, erasure: Erasure) -> Traces:
    """What came in after a chat was erased is about what its buyer has written since."""
    digests = {(account, digest_of(name)): name for _, account, name in erasure.about["chats"]}
    found = await session.execute(
        select(ForgottenChat.account_id, ForgottenChat.digest, ForgottenChat.erased_at).where(
            ForgottenChat.digest.in_([digest for _, digest in digests])
        )
    )
    until: dict[tuple[int, str], Any] = {
        (account, digests[account, bytes(digest)]): at
        for account, digest, at in found
        if (account, bytes(digest)) in digests
    }
    return Traces(until, erasure.about["buyer"])


async def _blank(session: AsyncSession, ids: Sequence[bytes]) -> None:
    """That something came stays; what it was goes, also on its way to relays."""
    await session.execute(delete(RelayedDelivery).where(RelayedDelivery.delivery_id.in_(ids)))
    await session.execute(
        update(Delivery)
        .where(Delivery.id.in_(ids))
        .values(
            state=DeliveryState.ERASED,
            cause="",
            detail="",
            body=b"",
            chat_avito_id="",
            message_avito_id="",
            discard_reason="",
            due_at=None,
        )
        .execution_options(synchronize_session=False)
    )


def _place(erasure: Erasure) -> int:
    """Chats up to this row are done: one that begins again keeps its row."""
    return int(erasure.place)
