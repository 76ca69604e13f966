"""The audit's one way in, and its proof. What an operator does to Golub is written in the transaction that does it:
an action whose entry cannot be written does not happen.

Entries are numbered without gaps and each holds the SHA-256 of the one before it, so a changed, removed or slipped-in
entry breaks the chain there. The newest number and hash stand in a mark, which shows a tail that was cut off, and the
end of what retention removed stands in another, from which the chain goes on. Whoever owns the database can still
write the whole chain anew: to notice that, keep the head that `golub audit verify` prints somewhere else.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sqlalchemy import delete, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from golub.clock import Millis
from golub.model import Action, AuditEntry, Mark, Operator
from golub.store import Store

__all__ = [
    "CONSOLE",
    "ITSELF",
    "Action",
    "By",
    "Head",
    "Verdict",
    "Wanted",
    "cut",
    "list_entries",
    "record",
    "verify",
    "verify_in",
]

NEWEST = "audit_newest"  # marks; both are "number:hash"
ANCHOR = "audit_anchor"
TEXT_LIMIT = 500
_SECRET_NAMES = ("password", "secret", "token", "cookie", "seed")
_PAGE = 500


@dataclass(frozen=True, slots=True)
class Head:
    """An end of the chain; number 0 is the chain's beginning."""

    number: int
    hash: str

    @classmethod
    def parse(cls, text: str) -> "Head":
        """Raises `ValueError`."""
        number, _, digest = text.partition(":")
        if len(digest) != 64:
            raise ValueError(text)
        return cls(int(number), digest)

    def __str__(self) -> str:
        return f"{self.number}:{self.hash}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`broken` is the number of the first entry that is not as it was written; None: all are."""

    checked: int
    oldest: int
    head: Head
    broken: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class By:
    """Whoever does it, and from where: what the audit asks of a request."""

    operator: Operator | None = None
    address: str = ""

    async def did(
        self,
        session: AsyncSession,
        action: Action,
        subject: str,
        *,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
        now: Millis,
    ) -> None:
        """See `record`."""
        await record(
            session,
            action,
            who=self.operator,
            subject=subject,
            before=before,
            after=after,
            address=self.address,
            now=now,
        )


ITSELF = By()  # Golub, unasked
CONSOLE = By(address="console")  # a command on the machine itself


async def record(
    session: AsyncSession,
    action: Action,
    *,
    who: Operator | None,
    subject: str,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    address: str = "",
    now: Millis,
) -> None:
    """Adds an entry to the caller's transaction, and holds the chain's end until that commits: call it last.

    `before` and `after` hold what changed, in small plain values, and never a secret: `ValueError` for a name that
    sounds like one.
    """
    newest = await session.get_one(Mark, NEWEST, with_for_update=True, populate_existing=True)
    previous = Head.parse(newest.value)
    entry = AuditEntry(
        id=previous.number + 1,
        at=now,
        operator_id=who.id if who else None,
        who=_tidy(who.login) if who else "",
        action=action,
        subject=_tidy(subject),
        before=_canonical(before),
        after=_canonical(after),
        address=_tidy(address),
    )
    entry.hash = _chained(previous.hash, entry)
    session.add(entry)
    newest.value = str(Head(entry.id, entry.hash))
    await session.flush()


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries. `whose` narrows those without an operator: `console`, `itself` or `stranger`."""

    operator_id: int | None = None
    whose: str = ""
    actions: tuple[Action, ...] = ()
    since: Millis | None = None
    until: Millis | None = None
    text: str = ""  # part of a login, a subject or an address


async def list_entries(
    session: AsyncSession, wanted: Wanted, *, before: int | None = None, limit: int = 50
) -> Sequence[AuditEntry]:
    """Newest first, behind the number `before`."""
    query = select(AuditEntry).order_by(AuditEntry.id.desc()).limit(limit)
    if before is not None:
        query = query.where(AuditEntry.id < before)
    if wanted.operator_id is not None:
        query = query.where(AuditEntry.operator_id == wanted.operator_id)
    if wanted.whose:
        at_console, nowhere = AuditEntry.address == CONSOLE.address, AuditEntry.address == ""
        where = {"console": at_console, "itself": nowhere}.get(wanted.whose, ~at_console & ~nowhere)
        query = query.where(AuditEntry.operator_id.is_(None), where)
    if wanted.actions:
        query = query.where(AuditEntry.action.in_(wanted.actions))
    if wanted.since is not None:
        query = query.where(AuditEntry.at >= wanted.since)
    if wanted.until is not None:
        query = query.where(AuditEntry.at < wanted.until)
    if wanted.text:
        columns = AuditEntry.who, AuditEntry.subject, AuditEntry.address
        query = query.where(or_(*(column.icontains(wanted.text, autoescape=True) for column in columns)))
    return (await session.scalars(query)).all()


async def verify(session: AsyncSession, noted: Head | None = None) -> Verdict:
    """Walks the whole chain. `noted` is a head that somebody kept: it must still be in it."""
    newest = Head.parse((await session.get_one(Mark, NEWEST)).value)
    anchor = Head.parse((await session.get_one(Mark, ANCHOR)).value)
    head, checked = anchor, 0

    def told(broken: int | None = None, reason: str = "") -> Verdict:
        return Verdict(checked, anchor.number + 1, head, broken, reason)

    if noted and noted.number == anchor.number and noted.hash != anchor.hash:
        return told(noted.number, "differs from the head that was noted")
    while True:
        query = select(AuditEntry).where(AuditEntry.id > head.number).order_by(AuditEntry.id).limit(_PAGE)
        entries = (await session.scalars(query)).all()
        for entry in entries:
            if entry.id != head.number + 1:
                return told(head.number + 1, "is missing")
            if entry.hash != _chained(head.hash, entry):
                return told(entry.id, "is not as it was written")
            if noted and noted.number == entry.id and noted.hash != entry.hash:
                return told(entry.id, "differs from the head that was noted")
            head, checked = Head(entry.id, entry.hash), checked + 1
        session.expunge_all()
        if len(entries) < _PAGE:
            break
    if head.number < newest.number:
        return told(head.number + 1, "is missing, with everything after it")
    if head != newest:
        return told(head.number, "was written past the chain's end")
    if noted and noted.number > head.number:
        return told(noted.number, "is missing, and was there when its head was noted")
    return told()


async def verify_in(store: Store, noted: Head | None = None) -> Verdict:
    """The same for a command: opens the database, and closes it."""
    try:
        async with store.read() as session:
            return await verify(session, noted)
    finally:
        await store.close()


async def cut(session: AsyncSession, older_than: Millis, *, limit: int) -> int:
    """Removes up to `limit` of the oldest entries, never the newest one, and anchors the chain at their end.

    The anchor goes first: the trigger lets an entry go only from there back.
    """
    await session.get_one(Mark, NEWEST, with_for_update=True, populate_existing=True)
    anchor = await session.get_one(Mark, ANCHOR, with_for_update=True, populate_existing=True)
    first = Head.parse(anchor.value).number
    young = select(AuditEntry.id).where(AuditEntry.at >= older_than).order_by(AuditEntry.id).limit(1)
    kept = await session.scalar(young)
    newest = await session.scalar(select(func.max(AuditEntry.id))) or 0
    last = await session.get(AuditEntry, min((kept or newest) - 1, first + limit))
    if last is None or last.id <= first:
        return 0
    anchor.value = str(Head(last.id, last.hash))
    await session.flush()
    await session.execute(
        delete(AuditEntry).where(AuditEntry.id <= last.id).execution_options(synchronize_session=False)
    )
    return last.id - first


def _chained(previous: str, entry: AuditEntry) -> str:
    content = [
        entry.id,
        entry.at,
        entry.operator_id,
        entry.who,
        entry.action,
        entry.subject,
        entry.before,
        entry.after,
        entry.address,
    ]
    return sha256(f"{previous}\n{json.dumps(content, ensure_ascii=True, separators=(',', ':'))}".encode()).hexdigest()


def _canonical(values: Mapping[str, Any] | None) -> str:
    if not values:
        return ""
    for name in values:
        if any(word in name.lower() for word in _SECRET_NAMES):
            raise ValueError(f"{name!r} does not belong into the audit")
    plain = {name: _tidy(value) if isinstance(value, str) else value for name, value in values.items()}
    return json.dumps(plain, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str)


def _tidy(text: str) -> str:
    """Bounded, and nothing in it that a database or a UTF-8 file cannot hold."""
    return text[:TEXT_LIMIT].replace("\0", "\u2400").encode("utf-8", "replace").decode()
