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
class CountWaits:
    """Who waited in this chat is to be worked out from its beginning: its messages may be older than the waits."""

    chat_id: int


@dataclass(frozen=True, slots=True)
class Named:
    """Avito has named this message as a reply of ours: who wrote it is known now, and may not have been before."""

    chat_avito_id: str
    message_avito_id: str


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


@dataclass(frozen=True, slots=True)
class HandOver:
    """The chat goes from one operator to another; None is nobody. Nothing happens where `was` has it no more: of two
    who take it at once the first wins. Here and below, `by` None: no operator did it."""

    chat_id: int
    was: int | None
    owner_id: int | None
    at: Millis
    by: int | None = None


@dataclass(frozen=True, slots=True)
class Given:
    """The chat is given in turn, or stays with the operator it `was` with. Nothing happens where it wants no owner any
    more: of two processes that give it the first does."""

    chat_id: int
    was: int | None
    owner_id: int
    at: Millis


@dataclass(frozen=True, slots=True)
class Close:
    """Nothing is left to do. Nothing happens where the buyer said more than was to be seen at the chat's `version`."""

    chat_id: int
    version: int
    at: Millis
    by: int | None = None


@dataclass(frozen=True, slots=True)
class Snooze:
    """Out of sight until then. As with `Close`, not where the buyer has said more meanwhile."""

    chat_id: int
    version: int
    until: Millis
    by: int | None = None


@dataclass(frozen=True, slots=True)
class Reopen:
    """An operator takes a close or a snooze back, and what was settled by closing."""

    chat_id: int
    by: int | None = None


@dataclass(frozen=True, slots=True)
class Woken:
    """The snooze until then is over. Nothing happens where it has another end meanwhile."""

    chat_id: int
    until: Millis


@dataclass(frozen=True, slots=True)
class Labelled:
    """A label was put on the chat, or taken off."""

    chat_id: int
    label_id: int
    on: bool
    operator_id: int | None
    at: Millis


@dataclass(frozen=True, slots=True)
class NoteWritten:
    """An operator (None: Golub itself) wrote a note into the chat. The same key writes once."""

    chat_id: int
    operator_id: int | None
    client_key: str
    text: str
    at: Millis


@dataclass(frozen=True, slots=True)
class NoteChanged:
    """A note of the chat has other words now; None: it is removed."""

    chat_id: int
    note_id: int
    text: str | None
    at: Millis


@dataclass(frozen=True, slots=True)
class Nudged:
    """A rule tells the team in a note that the buyer has waited since then. Nothing happens where that is over, or the
    chat is closed or snoozed; the same key writes once."""

    chat_id: int
    waiting_since: Millis
    client_key: str
    text: str
    at: Millis


Care = HandOver | Given | Close | Snooze | Reopen | Woken
Observation = (
    MessageSeen
    | ChatSeen
    | UserSeen
    | MarkRead
    | ReadSent
    | CountWaits
    | Named
    | Delivered
    | FetchDue
    | Fetched
    | FetchFailed
    | Care
    | Labelled
    | NoteWritten
    | NoteChanged
    | Nudged
)
