"""An account of ours, and what may be told of it: folded in a transaction that is never committed."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, select

from golub.avito.wire import (
    ChatSeen,
    Event,
    MessageSeen,
    read_chat,
    read_delivery,
    read_message,
)
from golub.fold import Observation, fold
from golub.live import Ring
from golub.model import Account, Chat, Message
from golub.store import Store
from tests.shapes import BUYER_ID, CREATED, USER_ID, envelope, value

NOW = (CREATED + 1000) * 1000
Row = dict[str, Any]
_accounts = iter(range(1, 1_000_000))


def add_account(connection: Connection, store: Store) -> int:
    """Its user_id matters to nobody here: the observations say whose message it is."""
    statement = store.insert(Account).values(user_id=next(_accounts), client_id="id", client_secret=b"", created_at=NOW)
    return connection.execute(statement.returning(Account.id)).scalar_one()


class World:
    """An account of ours, in one transaction that is never committed."""

    def __init__(self, connection: Connection, store: Store) -> None:
        self.connection = connection
        self.store = store
        self.account_id = add_account(connection, store)

    def fold(self, *observations: Observation, now: int = NOW) -> list[Ring]:
        return fold(self.connection, self.store, self.account_id, observations, now)

    def rows(self) -> tuple[dict[str, Row], dict[tuple[str, str], Row]]:
        """Chats by name, messages by (chat's name, id)."""
        chats = self._all(Chat)
        names = {chat["id"]: chat["avito_id"] for chat in chats}
        return (
            {chat["avito_id"]: chat for chat in chats},
            {(names[row["chat_id"]], row["avito_id"]): row for row in self._all(Message)},
        )

    def chat(self, name: str = "u2i-abc") -> Row:
        return self.rows()[0][name]

    def message(self, name: str = "m-1", chat: str = "u2i-abc") -> Row:
        return self.rows()[1][chat, name]

    def _all(self, table: type[Chat | Message]) -> list[Row]:
        rows = self.connection.execute(select(table.__table__).where(table.account_id == self.account_id))
        return [dict(row) for row in rows.mappings()]


@contextmanager
def a_world(store: Store) -> Generator[World]:
    with store.writing() as connection:
        yield World(connection, store)
        connection.rollback()


def webhook(**changes: Any) -> MessageSeen:
    """A message as a webhook brings it; `at` is the envelope's time in seconds."""
    at = changes.pop("at", CREATED)
    read = read_delivery(json.dumps(envelope(value(**changes), timestamp=at)).encode(), NOW)
    assert isinstance(read, Event)
    assert isinstance(read.seen, MessageSeen)
    return read.seen


def from_api(chat: str = "u2i-abc", at: float = CREATED, quiet: bool = False, **changes: Any) -> MessageSeen:
    read = read_message(value(**changes), USER_ID, chat, int(at * 1000), quiet=quiet)
    assert isinstance(read, MessageSeen)
    return read


def chat_event(chat: str, status: str, at: int) -> ChatSeen:
    carried = {"chat_id": chat, "user_id": USER_ID, "status": status, "item_id": 5}
    body = envelope({}, payload={"type": "chat", "value": carried}, timestamp=at)
    read = read_delivery(json.dumps(body).encode(), NOW)
    assert isinstance(read, Event)
    assert isinstance(read.seen, ChatSeen)
    return read.seen


def api_chat(chat: str, name: str | None, title: str | None, at: int) -> ChatSeen:
    record: Row = {"id": chat, "created": CREATED - 500, "updated": at}
    if name is not None:
        record["users"] = [{"id": USER_ID, "name": "Магазин"}, {"id": BUYER_ID, "name": name}]
    if title is not None:
        record["context"] = {"type": "item", "value": {"id": 9, "title": title, "price_string": "5 ₽"}}
    read = read_chat(record, USER_ID, at * 1000)
    assert isinstance(read, ChatSeen)
    return read
