"""Counts which schemes fit, over deliveries of which it is certain that Avito sent them: see `settled`."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from golub.clock import Millis
from golub.model import Cause, Delivery, DeliveryState, SignatureLab, SignatureTally
from golub.settled import Counting
from golub.signatures.schemes import Outcome, Scheme

Counted = list[tuple[Millis, str]]  # when a message came, and its signature

_NOT_A_SCHEME = frozenset(outcome.value for outcome in Outcome)


class Lab(Counting[SignatureLab, Counted]):
    name = "signatures"
    rules = SignatureLab

    def _tried(self) -> ColumnElement[bool]:
        held_back = and_(Delivery.state == DeliveryState.QUARANTINED, Delivery.cause == Cause.BAD_SIGNATURE)
        return and_(
            Delivery.token_id.is_not(None),
            Delivery.event_type == "message",
            Delivery.signature != "",
            or_(Delivery.state == DeliveryState.APPLIED, held_back),
        )

    async def _look(self, session: AsyncSession, account_id: int, page: Sequence[Any]) -> Counted:  # noqa: ARG002
        return _each_message_once(page)

    def _sums(self, rule: SignatureLab, counted: Counted) -> Mapping[str, Any]:
        return {
            "confirmed": SignatureLab.confirmed + len(counted),
            "signed": SignatureLab.signed + sum(signature != Outcome.ABSENT for _, signature in counted),
            "last_at": counted[-1][0] if counted else rule.last_at,
        }

    async def _note(self, session: AsyncSession, account_id: int, counted: Counted) -> None:
        await _tally(session, account_id, counted)


def _each_message_once(page: Sequence[Any]) -> Counted:
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


async def _tally(session: AsyncSession, account_id: int, counted: Counted) -> None:
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
