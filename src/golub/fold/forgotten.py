"""What was erased with a buyer's data, and is not taken in again, whoever tells of it: a webhook that comes late or
twice, a sweep, a replay, a rebuild.

Of an erased chat nothing is kept but digests and times. A message of it is forgotten that was erased, or was written
before the newest one that was: so history that we never had stays out as well. What the buyer writes from then on is
new: his chat begins again with it. What else is told of an erased chat (facts, work that is due) counts only with such
a message, or with a list of Avito's that shows one.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, cast

from sqlalchemy import Connection, Result, Table, select

from golub.avito.wire import ChatSeen, MessageSeen
from golub.clock import Millis
from golub.fold.observations import Observation
from golub.model import ForgottenChat, ForgottenMessage
from golub.store.lists import chunks

_DIGEST = 16  # bytes

_chats = cast(Table, ForgottenChat.__table__)
_messages = cast(Table, ForgottenMessage.__table__)

Execute = Callable[[Any], Result[Any]]


def digest_of(*names: str) -> bytes:
    """Of a chat, or of a chat and a message, by Avito's ids."""
    return sha256("\0".join(names).encode("utf-8", "surrogatepass")).digest()[:_DIGEST]


@dataclass(slots=True)
class Forgotten:
    """Of the chats that were asked about those that were erased, each with `erased_to` and `erased_at`."""

    chats: dict[str, tuple[Millis, Millis]] = field(default_factory=dict[str, tuple[Millis, Millis]])
    messages: set[bytes] = field(default_factory=set[bytes])

    def covers(self, seen: MessageSeen) -> bool:
        """Whether the message stays out."""
        chat = self.chats.get(seen.chat_avito_id)
        if chat is None:
            return False
        return seen.created_at < chat[0] or digest_of(seen.chat_avito_id, seen.avito_id) in self.messages

    def is_news(self, seen: ChatSeen) -> bool:
        """Whether Avito's list shows that the chat has something to say again."""
        if seen.last_message is not None:
            return not self.covers(seen.last_message)
        return seen.updated_at > self.chats[seen.chat_avito_id][1]


def look_up(execute: Execute, account_id: int, told: Iterable[Observation]) -> Forgotten:
    """What these observations tell of that was erased; one look into an index where nothing ever was."""
    found = Forgotten()
    if execute(select(_chats.c.digest).where(_chats.c.account_id == account_id).limit(1)).first() is None:
        return found
    seen = list(told)
    names = {digest_of(name): name for one in seen if (name := getattr(one, "chat_avito_id", ""))}
    for chunk in chunks(sorted(names)):
        rows = execute(
            select(_chats.c.digest, _chats.c.erased_to, _chats.c.erased_at).where(
                _chats.c.account_id == account_id, _chats.c.digest.in_(chunk)
            )
        )
        found.chats |= {names[bytes(row.digest)]: (row.erased_to, row.erased_at) for row in rows}
    if found.chats:
        messages = {
            digest_of(one.chat_avito_id, one.avito_id) for one in _messages_of(seen) if one.chat_avito_id in found.chats
        }
        for chunk in chunks(sorted(messages)):
            rows = execute(
                select(_messages.c.digest).where(_messages.c.account_id == account_id, _messages.c.digest.in_(chunk))
            )
            found.messages |= {bytes(digest) for digest in rows.scalars()}
    return found


def sift(
    connection: Connection, account_id: int, told: list[Observation], names: set[str], known: Collection[str]
) -> tuple[list[Observation], set[str]]:
    """What is left of the observations, and of the chats that they name. `known`: the chats that there are."""
    forgotten = look_up(connection.execute, account_id, told) if names else Forgotten()
    if not forgotten.chats:
        return told, names
    left = [one for one in told if not (isinstance(one, MessageSeen) and forgotten.covers(one))]
    alive = {
        one.chat_avito_id
        for one in left
        if isinstance(one, MessageSeen)
        or (isinstance(one, ChatSeen) and one.chat_avito_id in forgotten.chats and forgotten.is_news(one))
    }
    gone = forgotten.chats.keys() - alive - set(known)
    return [one for one in left if getattr(one, "chat_avito_id", "") not in gone], names - gone


def _messages_of(told: Iterable[Observation]) -> Iterable[MessageSeen]:
    for one in told:
        if isinstance(one, MessageSeen):
            yield one
        elif isinstance(one, ChatSeen) and one.last_message is not None:
            yield one.last_message
