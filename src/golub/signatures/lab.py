"""Counts which schemes fit, over deliveries of which it is certain that Avito sent them: see `settled`."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from golub.clock import DAY, Clock, Millis
from golub.model import (
    SAMPLE_USER_ID,
    Account,
    Cause,
    Delivery,
    DeliveryState,
    SignatureLab,
    SignatureMode,
    SignatureTally,
)
from golub.runner import Loop
from golub.settings import Settings
from golub.settled import PAGE, read_settled, settles_after
from golub.signatures.schemes import Outcome, Scheme
from golub.store import Store

TURN = 60.0  # seconds
PAGES = 20  # of one turn for one account

_NOT_A_SCHEME = frozenset(outcome.value for outcome in Outcome)


class Lab:
    """Runs in every process that works; two of them count nothing twice."""

    def __init__(self, store: Store, settings: Settings, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._settled = settles_after(settings)

    async def run(self) -> None:
        await Loop("signatures", self._clock, longest_wait=TURN).run(self._turn)

    async def _turn(self) -> Millis | None:
        return self._clock() if await self.run_once() else None

    async def run_once(self) -> bool:
        """Counts what is settled. Returns whether there may be more."""
        until = self._clock() - self._settled
        more = False
        for account_id in await self._accounts():
            for _ in range(PAGES):
                if not await self._count_page(account_id, until):
                    break
            else:
                more = True
        return more

    async def _accounts(self) -> Sequence[int]:
        """Those that are not switched off; a new one gets its row."""
        async with self._store.read() as session:
            wanted = select(Account.id).where(Account.user_id != SAMPLE_USER_ID).order_by(Account.id)
            accounts = (await session.scalars(wanted)).all()
            known = await session.execute(select(SignatureLab.account_id, SignatureLab.mode))
            modes = {row[0]: row[1] for row in known}
        for account_id in [key for key in accounts if key not in modes]:
            async with self._store.write() as session:
                await session.execute(fresh_lab(self._store, account_id, self._clock() - DAY))
        return [key for key in accounts if modes.get(key) != SignatureMode.OFF]

    async def _count_page(self, account_id: int, until: Millis) -> bool:
        """Whether it was a full one."""
        async with self._store.read() as session:
            lab = await session.get(SignatureLab, account_id)
            if lab is None:
                return False
            page = await read_settled(session, account_id, (lab.counted_to, lab.counted_id), until, _tried())
        if not page:
            return False
        counted = _each_message_once(page)
        async with self._store.write() as session:
            # Whoever moves the place counts what lies before it; another process that has read the same page does not.
            moved = await session.scalar(
                update(SignatureLab)
                .where(
                    SignatureLab.account_id == account_id,
                    SignatureLab.mode != SignatureMode.OFF,
                    SignatureLab.counted_to == lab.counted_to,
                    SignatureLab.counted_id == lab.counted_id,
                )
                .values(
                    counted_to=page[-1].received_at,
                    counted_id=page[-1].id,
                    confirmed=SignatureLab.confirmed + len(counted),
                    signed=SignatureLab.signed + sum(signature != Outcome.ABSENT for _, signature in counted),
                    last_at=counted[-1][0] if counted else lab.last_at,
                )
                .returning(SignatureLab.account_id)
                .execution_options(synchronize_session=False)
            )
            if moved is None:
                return False
            await _tally(session, account_id, counted)
        return len(page) == PAGE


def fresh_lab(store: Store, account_id: int, counted_to: Millis) -> Any:
    """The statement that gives an account its row; harmless where it has one."""
    made = store.insert(SignatureLab).values(
        account_id=account_id,
        mode=SignatureMode.OBSERVE,
        scheme="",
        changed_at=0,
        counted_to=counted_to,
        counted_id=b"",
        confirmed=0,
        signed=0,
    )
    return made.on_conflict_do_nothing()


def _tried() -> ColumnElement[bool]:
    held_back = and_(Delivery.state == DeliveryState.QUARANTINED, Delivery.cause == Cause.BAD_SIGNATURE)
    return and_(
        Delivery.token_id.is_not(None),
        Delivery.event_type == "message",
        Delivery.signature != "",
        or_(Delivery.state == DeliveryState.APPLIED, held_back),
    )


def _each_message_once(page: Sequence[Any]) -> list[tuple[Millis, str]]:
    """When each came first, and its signature. Whoever sends a copy before Avito does must not make it a miss: a fit
    that only Avito can bring counts, whichever of the two came first."""
    names = [(row.chat_avito_id, row.message_avito_id) for row in page]
    proved: dict[tuple[str, str], set[str]] = {}
    for name, row in zip(names, page, strict=True):
        if row.tried:
            proved.setdefault(name, set()).update(filter(_is_keyed, row.signature.split()))
    counted: dict[tuple[str, str], tuple[Millis, str]] = {}
    for name, row in zip(names, page, strict=True):
        if row.counts and name not in counted:
            fitting = {*proved[name], *row.signature.split()}
            schemes = sorted(fitting - _NOT_A_SCHEME)
            counted[name] = row.received_at, " ".join(schemes) or row.signature
    return list(counted.values())


def _is_keyed(text: str) -> bool:
    try:
        return Scheme.parse(text).is_keyed
    except ValueError:
        return False


async def _tally(session: AsyncSession, account_id: int, counted: Sequence[tuple[Millis, str]]) -> None:
    """A miss ends every run that it is not part of."""
    if not counted:
        return
    rows = await session.scalars(
        select(SignatureTally).where(SignatureTally.account_id == account_id).with_for_update()
    )
    tallies = {row.scheme: row for row in rows}
    for at, signature in counted:
        fitting = set(signature.split()) - _NOT_A_SCHEME
        for scheme in fitting - tallies.keys():
            tallies[scheme] = SignatureTally(account_id=account_id, scheme=scheme, fits=0, run=0)
            session.add(tallies[scheme])
        for scheme, tally in tallies.items():
            if scheme in fitting:
                tally.fits += 1
                tally.run += 1
                tally.run_since = at if tally.run == 1 else tally.run_since
                tally.last_at = at
            else:
                tally.run, tally.run_since, tally.missed_at = 0, None, at
