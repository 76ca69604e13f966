"""More of a town's rows: copies of its pattern, made by the database itself."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, case, func, insert, select

from golub.clock import DAY, SECOND, Millis
from golub.model import Act, Chat, ChatLabel, Message, Note, OutgoingMessage, Wait

YEAR: Millis = 365 * DAY  # through which a town speaks
OWN_ITEMS = 10_000_000  # between the items of two accounts


@dataclass(frozen=True, slots=True)
class Pattern:
    """How many rows it has, and how many `copies` there shall be with it: its own is number 0."""

    messages: int
    chats: int
    items: int
    copies: int

    def later(self, copy: int) -> Millis:
        return copy * YEAR // (self.messages * self.copies) // SECOND * SECOND

    def item(self, item_id: int, copy: int) -> int:
        """As it is in that copy; of ten copies an account's first item has its chats in each."""
        return item_id + (copy // 10 if item_id % OWN_ITEMS == 0 else copy) * self.items

    def copy(self, connection: Connection, number: int) -> None:
        """The whole pattern once more, a little later than the copy before."""
        for table in (Chat, Message, ChatLabel, Note, Act, Wait, OutgoingMessage):
            columns = table.__table__.columns
            values = [self._moved(column, number) for column in columns]
            own = table.__table__.c.get("id", table.__table__.c.get("chat_id"))
            pattern = select(*values).where(own <= self._rows_of(connection, table))
            connection.execute(insert(table).from_select([column.name for column in columns], pattern))

    def _rows_of(self, connection: Connection, table: Any) -> int:
        """The greatest row of the pattern; of labels on chats the greatest chat."""
        if table in (Chat, ChatLabel):
            return self.chats
        if table is Message:
            return self.messages
        of_pattern = select(func.max(table.id)).where(table.chat_id <= self.chats)
        return connection.scalar(of_pattern) or 0

    def _moved(self, column: Any, copy: int) -> Any:
        """A column as it is in that copy."""
        name, table, by = column.name, column.table.name, self.later(copy)
        if name in ("avito_id", "message_avito_id", "answer", "client_key"):
            return case((column == "", ""), else_=column + f"-{copy}")
        if name in ("last_message_id", "settled_to", "behind_id") or (name == "id" and table == "messages"):
            return case((column == 0, 0), else_=column + copy * self.messages)
        if name == "chat_id" or (name == "id" and table == "chats"):
            return column + copy * self.chats
        if name == "id":
            return column + copy * 10 * self.messages
        if name == "item_id":
            usual, favourite = self.item(1, copy) - 1, self.item(0, copy)
            return case((column % OWN_ITEMS == 0, column + favourite), else_=column + usual)
        if name == "buyer_id":
            return column + copy * self.chats
        if table in ("messages", "waits", "outgoing_messages") and name.endswith("_at") and name != "due_at":
            return column + by
        if name in ("last_message_at", "waiting_since") or (table == "acts" and name in ("at", "behind_at")):
            return column + by
        if name == "listed_at":
            return column.table.c.last_message_at + by
        return column
