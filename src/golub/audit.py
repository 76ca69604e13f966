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
    "Page",
    "Verdict",
    "Wanted",
    "cut",
    "list_entries",
    "verify",
]

NEWEST = "audit_newest"  # marks; both are "number:hash"
ANCHOR = "audit_anchor"
TEXT_LIMIT = 500
LOOKED_AT = 20_000  # entries that a page looks back over at most, where no index serves its filter
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
    """Whoever does it, from where, and by which of his API keys: what the audit asks of a request."""

    operator: Operator | None = None
    address: str = ""
    api_key: str = ""  # its name

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
        """Adds an entry to the caller's transaction, and holds the chain's end until that commits: call it last.

        `before` and `after` hold what changed, in small plain values, and never a secret: `ValueError` for a name that
        sounds like one.
        """
        newest = await session.get_one(Mark, NEWEST, with_for_update=True, populate_existing=True)
        previous = Head.parse(newest.value)
        entry = AuditEntry(
            id=previous.number + 1,
            at=now,
            operator_id=self.operator.id if self.operator else None,
            who=_tidy(self.operator.login) if self.operator else "",
            action=action,
            subject=_tidy(subject),
            before=_canonical(before),
            after=_canonical({**(after or {}), "api_key": self.api_key} if self.api_key else after),
            address=_tidy(self.address),
        )
        entry.hash = _chained(previous.hash, entry)
        session.add(entry)
        newest.value = str(Head(entry.id, entry.hash))
        await session.flush()


ITSELF = By()  # Golub, unasked
CONSOLE = By(address="console")  # a command on the machine itself


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries. `whose` narrows those without an operator: `console`, `itself` or `stranger`."""

    operator_id: int | None = None
    whose: str = ""
    actions: tuple[Action, ...] = ()
    since: Millis | None = None
    until: Millis | None = None
    text: str = ""  # part of a login, a subject or an address


@dataclass(frozen=True, slots=True)
class Page:
    """`next` is where the following page begins; `looked_to` is how far back this one looked, where not to its end."""

    entries: Sequence[AuditEntry]
    next: int | None = None
    looked_to: Millis | None = None


async def list_entries(session: AsyncSession, wanted: Wanted, *, before: int | None = None, limit: int = 50) -> Page:
    """Newest first, behind the number `before`."""
    query = select(AuditEntry).order_by(AuditEntry.id.desc()).limit(limit + 1)
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
    lowest = 0
    if wanted.whose or wanted.text:
        above = before if before is not None else (await session.scalar(select(func.max(AuditEntry.id))) or 0) + 1
        lowest = above - LOOKED_AT
        query = query.where(AuditEntry.id >= lowest)
    entries = (await session.scalars(query)).all()
    if len(entries) > limit:
        return Page(entries[:limit], entries[limit - 1].id)
    older = select(AuditEntry.at).where(AuditEntry.id < lowest).order_by(AuditEntry.id.desc()).limit(1)
    looked_to = await session.scalar(older)
    if looked_to is None or (wanted.since is not None and looked_to < wanted.since):
        return Page(entries)
    return Page(entries, lowest, looked_to)


async def verify(store: Store, noted: Head | None = None) -> Verdict:
    """Walks the whole chain as it is at one moment. `noted` is a head that somebody kept: it must still be in it."""
    async with store.snapshot() as session:
        return await _walk(session, noted)


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


async def _walk(session: AsyncSession, noted: Head | None) -> Verdict:
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
