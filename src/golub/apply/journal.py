"""The journal's statements: deliveries as received, and what became of them."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Connection, Table, bindparam, select, update

from golub.apply.verdicts import Verdict
from golub.avito import wire_json
from golub.clock import Millis
from golub.fold import Delivered
from golub.model import Cause, Chat, Delivery, DeliveryState, Message
from golub.spool import Received
from golub.store.lists import chunks
from golub.store.prepared import Prepared, insert_into

_deliveries = cast(Table, Delivery.__table__)
_JUDGED = (
    "account_id",
    "applied_at",
    "state",
    "cause",
    "detail",
    "event_type",
    "chat_avito_id",
    "message_avito_id",
    "signature",
    "due_at",
    "attempts",
    "discarded_at",
    "discarded_by",
    "discard_reason",
)
_judge_again = (
    update(_deliveries)
    .where(_deliveries.c.id == bindparam("delivery"))
    .values({name: bindparam(name) for name in _JUDGED})
)
_RECEIVED = ("id", "token_id", "received_at", "address", "headers", "body", "ack_ms")
_record = Prepared(
    lambda dialect: insert_into(dialect, Delivery).on_conflict_do_nothing(),
    (*_RECEIVED, *_JUDGED),
    written=("headers",),
)

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Kept:
    """A delivery as it came, and what has become of it so far."""

    received: Received
    account_id: int | None
    state: DeliveryState
    cause: Cause


def known(connection: Connection, ids: Sequence[bytes]) -> set[bytes]:
    """Those of these deliveries that are in the journal."""
    found: set[bytes] = set()
    for chunk in chunks(ids):
        there = select(_deliveries.c.id).where(_deliveries.c.id.in_(chunk))
        found |= {bytes(key) for key in connection.execute(there).scalars()}
    return found


def record(connection: Connection, judged: Sequence[tuple[Received, Verdict]], now: Millis) -> None:
    """Raw bytes and all; a delivery that is there already stays as it is."""
    _record.run(connection, [_row(one, verdict, now) for one, verdict in judged])


def judge_again(connection: Connection, received: Received, verdict: Verdict, now: Millis) -> None:
    connection.execute(_judge_again, {"delivery": received.id} | _verdict_columns(verdict, now))


def read(connection: Connection, ids: Collection[bytes]) -> list[Kept]:
    """Deliveries of the journal, oldest first."""
    found: list[Kept] = []
    for chunk in chunks(sorted(ids)):
        rows = connection.execute(select(_deliveries).where(_deliveries.c.id.in_(chunk)))
        found += [kept(row) for row in rows.mappings()]
    return sorted(found, key=lambda one: (one.received.received_at, one.received.id))


def kept(row: Any) -> Kept:
    """From a mapping of all the columns."""
    token_id = row["token_id"]
    received = Received(
        id=bytes(row["id"]),
        received_at=row["received_at"],
        account_id=None if token_id is None else row["account_id"],
        token_id=token_id,
        address=row["address"],
        headers=json.dumps(row["headers"]).encode(),
        body=bytes(row["body"]),
    )
    return Kept(received, row["account_id"], DeliveryState(row["state"]), Cause(row["cause"]))


def confirm_waiting(
    connection: Connection, account_id: int, chat_avito_id: str, cause: Cause, now: Millis
) -> tuple[int, list[Delivered]]:
    """Hints about this chat that the API has meanwhile borne out become applied; the others get `cause`.

    Returns how many were borne out, and which messages they had told of. A message counts as known when a page of the
    API had it, a chat event when the API told of the chat.
    """
    hint = (
        _deliveries.c.account_id == account_id,
        _deliveries.c.chat_avito_id == chat_avito_id,
        _deliveries.c.state == DeliveryState.WAITING.value,
        _deliveries.c.event_type.in_(("message", "chat")),  # the API has no answer to the others
    )
    in_chat = select(Chat.id).where(Chat.account_id == account_id, Chat.avito_id == chat_avito_id)
    known = select(Message.avito_id).where(Message.chat_id.in_(in_chat), Message.confirmed)
    fetched = in_chat.where(Chat.facts_at > 0).exists()
    done = connection.execute(
        update(_deliveries)
        .where(
            *hint,
            ((_deliveries.c.event_type == "message") & _deliveries.c.message_avito_id.in_(known))
            | ((_deliveries.c.event_type == "chat") & fetched),
        )
        .values(state=DeliveryState.APPLIED.value, cause=Cause.NONE.value, applied_at=now, due_at=None)
        .returning(_deliveries.c.event_type, _deliveries.c.message_avito_id, _deliveries.c.received_at)
    ).all()
    connection.execute(update(_deliveries).where(*hint).values(cause=cause.value, due_at=None))
    return len(done), [Delivered(chat_avito_id, message, at) for kind, message, at in done if kind == "message"]


def _row(received: Received, verdict: Verdict, now: Millis) -> Row:
    return {
        "id": received.id,
        "token_id": received.token_id,
        "received_at": received.received_at,
        "address": received.address,
        "headers": _headers_json(received.headers),
        "body": received.body,
        "ack_ms": received.ack_ms,
    } | _verdict_columns(verdict, now)


def _verdict_columns(verdict: Verdict, now: Millis) -> Row:
    event = verdict.event
    return {
        "account_id": verdict.account_id,
        "applied_at": now,
        "state": verdict.state.value,
        "cause": verdict.cause.value,
        "detail": verdict.detail,
        "event_type": event.type if event else "",
        "chat_avito_id": event.chat_avito_id if event else "",
        "message_avito_id": event.message_avito_id if event else "",
        "signature": verdict.signature,
        "due_at": verdict.due_at,
        "attempts": 0,
        "discarded_at": None,
        "discarded_by": "",
        "discard_reason": "",
    }


def _headers_json(raw: bytes) -> str:
    """As ingest wrote them, where a database can hold them as they are."""
    flags: set[str] = set()
    try:
        found = wire_json.read(raw, flags)
    except wire_json.Refused:
        return "[]"
    if not isinstance(found, list):
        return "[]"
    return json.dumps(found) if flags else raw.decode()
