"""What `fold` understands beside Avito's own words: what operators did, and what backfill found out."""

from dataclasses import dataclass

from golub.avito.wire import ChatSeen, MessageSeen, UserSeen
from golub.clock import Millis


@dataclass(frozen=True, slots=True)
class MarkRead:
    """An operator has read the chat down to this message (our row ids, so later arrivals stay unread)."""

    chat_id: int
    up_to: int


@dataclass(frozen=True, slots=True)
class ReadSent:
    """Avito was told at this time that we read the chat; None: it refuses, and is not asked again.

    `lease`: the `read_due_at` that the claim had set. Where somebody read more meanwhile it stays due.
    """

    chat_id: int
    at: Millis | None
    lease: Millis | None = None


@dataclass(frozen=True, slots=True)
class Delivered:
    """A webhook on the bare path had told of this message at that time, as the API now bears out. It changes no
    message that is not known: whoever observes it has seen the row."""

    chat_avito_id: str
    message_avito_id: str
    at: Millis


@dataclass(frozen=True, slots=True)
class FetchDue:
    """The chat is to be fetched from the API. `quietly`: as history, without unread messages and notifications."""

    chat_avito_id: str
    at: Millis
    quietly: bool = False


@dataclass(frozen=True, slots=True)
class Fetched:
    """The chat was read from the API: every message created up to `verified_to` is known.

    `lease`: the `fetch_due_at` that the claim had set. Where somebody made the chat due again meanwhile it stays due.
    """

    chat_avito_id: str
    at: Millis
    verified_to: Millis = 0
    lease: Millis | None = None


@dataclass(frozen=True, slots=True)
class FetchFailed:
    """It could not be read: try again then, or not (None)."""

    chat_avito_id: str
    retry_at: Millis | None


Observation = MessageSeen | ChatSeen | UserSeen | MarkRead | ReadSent | Delivered | FetchDue | Fetched | FetchFailed
