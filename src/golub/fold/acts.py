"""What was done with a chat, row by row as its thread tells it, beside the chat's own columns."""

from typing import Any, cast

from sqlalchemy import Connection, Table, insert, select, update

from golub.clock import Millis
from golub.fold.merge import Row
from golub.model import Act, ActKind, Label

_acts = cast(Table, Act.__table__)
_labels = cast(Table, Label.__table__)


def note(connection: Connection, chat: Row, kind: ActKind, at: Millis, by: int | None, **more: Any) -> None:
    """It rings with what it has made of the chat: whoever calls has changed that."""
    row = {"chat_id": chat["id"], "kind": kind.value, "at": at, "operator_id": by, "version": chat["version"] + 1}
    connection.execute(insert(_acts).values(label="").values(**row, **more))


def note_label(connection: Connection, chat: Row, label_id: int, on: bool, at: Millis, by: int | None) -> None:
    name = connection.execute(select(_labels.c.name).where(_labels.c.id == label_id)).scalar()
    if name is not None:
        note(connection, chat, ActKind.LABELLED if on else ActKind.UNLABELLED, at, by, label=name)


def take_back_close(connection: Connection, chat_id: int) -> Millis | None:
    """The last one settles nothing any more. Returns the time behind which it stood; None: it is not known."""
    last = (
        select(_acts.c.id, _acts.c.behind_at)
        .where(_acts.c.chat_id == chat_id, _acts.c.behind_at.is_not(None))
        .order_by(_acts.c.behind_at.desc(), _acts.c.id.desc())
        .limit(1)
    )
    found = connection.execute(last).first()
    if found is None:
        return None
    connection.execute(update(_acts).where(_acts.c.id == found.id).values(behind_at=None, behind_id=None))
    return cast(Millis, found.behind_at)
