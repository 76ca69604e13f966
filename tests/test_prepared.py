"""Statements that are run with very many rows, on each database: the same rows as SQLAlchemy itself writes."""

from typing import cast

import pytest
from sqlalchemy import Table, Text, bindparam, insert, select, update
from sqlalchemy import cast as sql_cast

from golub.model import Account, Mark, Webhook
from golub.store import Store
from golub.store.prepared import Prepared, draw_ids, insert_into

pytestmark = pytest.mark.anyio
_marks, _webhooks = cast(Table, Mark.__table__), cast(Table, Webhook.__table__)


async def test_rows_are_written_with_their_documents_and_bytes(store: Store) -> None:
    marks = Prepared(lambda dialect: insert_into(dialect, Mark).on_conflict_do_nothing(), ("name", "value"))
    with store.writing() as connection:
        marks.run(connection, [])
        marks.run(connection, [{"name": "ё%(x)s", "value": "one", "beside": 1}, {"name": "b", "value": "two"}])
        marks.run(connection, [{"name": "b", "value": "three"}])
        kept = {row.name: row.value for row in connection.execute(select(Mark.name, Mark.value))}
        assert (kept["ё%(x)s"], kept["b"]) == ("one", "two")
        account = {"user_id": 7, "client_id": "id", "client_secret": b"\x00\xff", "created_at": 0}
        key = connection.scalar(insert(Account).values(account).returning(Account.id))
        values = {"account_id": key, "url": "https://x.example", "types": ["a", "ё"], "created_at": 0, "updated_at": 0}
        connection.execute(insert(Webhook).values(values))
        change = Prepared(
            lambda _: update(_webhooks).where(Webhook.account_id == bindparam("row")).values(types=bindparam("types")),
            ("row", "types"),
            of={"row": "account_id"},
        )
        change.run(connection, [{"account_id": key, "types": ["message", "«ё»", None]}])
        assert connection.scalar(select(Webhook.types)) == ["message", "«ё»", None]
        assert "«ё»" in connection.scalars(select(sql_cast(Webhook.types, Text))).one()  # not six signs for each letter
        written = Prepared(
            lambda _: update(_webhooks).where(Webhook.account_id == bindparam("row")).values(types=bindparam("types")),
            ("row", "types"),
            of={"row": "account_id"},
            written=("types",),
        )
        written.run(connection, [{"account_id": key, "types": '["as it is", "100%"]'}])
        assert connection.scalar(select(Webhook.types)) == ["as it is", "100%"]


async def test_a_value_too_few_is_found_before_any_row_is_written(store: Store) -> None:
    short = Prepared(lambda _: update(_marks).values(value=bindparam("value")), ("value", "name"))
    with store.writing() as connection, pytest.raises(TypeError, match="name"):
        short.run(connection, [{"value": "", "name": ""}])


async def test_numbers_are_those_that_the_database_gives_next(store: Store) -> None:
    with store.writing() as connection:
        drawn = draw_ids(connection, Account, 3)
        assert list(drawn) == list(range(drawn[0], drawn[0] + 3))
        values = {"client_id": "id", "client_secret": b"", "created_at": 0}
        rows = [values | {"id": number, "user_id": number} for number in drawn]
        connection.execute(insert(Account), rows)
        own = connection.scalar(insert(Account).values(values | {"user_id": 99}).returning(Account.id))
        assert own == drawn[-1] + 1
