"""Which deliveries of the journal somebody wants to see, or to take up again: the filter, and places in the list.

A filter is written into URLs by the journal's page and into the database by a replay, and means the same in both.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement

from golub.clock import Millis
from golub.errors import Invalid, NotFound
from golub.model import EVENT_TYPES, Cause, Delivery, DeliveryState

LARGEST = 2**63 - 1
TEXT_LIMIT = 200  # characters that are looked for


class Kind(StrEnum):
    """Event types, as the list is filtered by them."""

    MESSAGE = "message"
    CHAT = "chat"
    USER = "user"
    OTHER = "other"  # of a type that we do not know


class Trust(StrEnum):
    """By which way a delivery came in. What its signature shows stands with it; Avito does not publish how it signs."""

    TOKEN = "token"  # noqa: S105 - the path had the account's secret
    BARE = "bare"  # nothing: Avito is asked


@dataclass(frozen=True, slots=True)
class Wanted:
    """A filter. What is None, empty or left out, every delivery passes. `since` and `until`: from then, before then."""

    state: DeliveryState | None = None
    account_id: int | None = None
    kind: Kind | None = None
    cause: Cause | None = None
    trust: Trust | None = None
    since: Millis | None = None
    until: Millis | None = None
    address: str = ""  # the beginning of one
    text: str = ""  # literally in the body, in whatever case

    @property
    def is_everything(self) -> bool:
        return self == Wanted()

    def document(self) -> dict[str, Any]:
        """For a JSON column."""
        said = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: value for name, value in said.items() if value not in (None, "")}

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Wanted":
        """What `document` wrote."""
        kinds: dict[str, Callable[[Any], Any]] = {"state": DeliveryState, "kind": Kind, "cause": Cause, "trust": Trust}
        return cls(**{name: kinds[name](value) if name in kinds else value for name, value in document.items()})

    def indexed(self) -> list[ColumnElement[bool]]:
        """The conditions that bring an index to the right place: they cost nothing on a larger journal."""
        found: list[ColumnElement[bool]] = []
        if self.state is DeliveryState.QUARANTINED:  # few, and among them an account's are sifted
            found.append(Delivery.state == self.state.value)
            if self.cause:
                found.append(Delivery.cause == self.cause.value)
        elif self.account_id is not None:
            found.append(Delivery.account_id == self.account_id)
        if self.since is not None:
            found.append(Delivery.received_at >= self.since)
        if self.until is not None:
            found.append(Delivery.received_at < self.until)
        return found

    def sieve(self, columns: Any) -> list[ColumnElement[bool]]:
        """The conditions for which each delivery must be looked at, on columns that stand in the index."""
        found: list[ColumnElement[bool]] = []
        if self.state is DeliveryState.QUARANTINED:
            if self.account_id is not None:
                found.append(columns.account_id == self.account_id)
        else:
            if self.state:
                found.append(columns.state == self.state.value)
            if self.cause:
                found.append(columns.cause == self.cause.value)
        if self.kind is Kind.OTHER:
            found.append(columns.event_type.not_in(("", *EVENT_TYPES)))
        elif self.kind:
            found.append(columns.event_type == self.kind.value)
        if self.trust:
            bare = self.trust is Trust.BARE
            found.append(columns.token_id.is_(None) if bare else columns.token_id.is_not(None))
        if self.address:
            found.append(columns.address.startswith(self.address, autoescape=True))
        return found


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page ends: time and id of the last delivery that was looked at. Read back from a URL by `parse`."""

    at: Millis
    id: bytes

    def __str__(self) -> str:
        return f"{self.at}.{self.id.hex()}"

    @classmethod
    def parse(cls, text: str) -> "Place":
        at, _, key = text.partition(".")
        if not (at.isascii() and at.isdigit() and len(at) < 20 and int(at) <= LARGEST):
            raise Invalid("This link is not complete. Open the list again.", field="before")
        return cls(int(at), key_of(key))


def key_of(text: str) -> bytes:
    """A delivery's id as URLs write it. Raises `NotFound`."""
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != 16 or key.hex() != text:
        raise NotFound("There is no such delivery.")
    return key
