"""A Golub that breaks its word, so that the stories are known to notice: `python -m tests.stories.careless HOW serve`.

`normal` syncs the spool only now and then, `early` answers before the commit, which comes with the next delivery.
Nobody else may start it.
"""

import asyncio
import sqlite3
import sys
from pathlib import Path
from typing import Any

from golub import cli
from golub.spool import file
from golub.spool.file import Received
from golub.spool.writer import Batch, Waiter, Writer


def normal() -> None:
    connect, prepare = file.connect, file.prepare

    def connect_carelessly(*given: Any, **more: Any) -> sqlite3.Connection:
        connection = connect(*given, **more)
        connection.execute("PRAGMA synchronous=NORMAL")
        return connection

    def prepare_carelessly(path: Path) -> sqlite3.Connection:
        connection = prepare(path)  # which sees to it that it is FULL
        connection.execute("PRAGMA synchronous=NORMAL")
        file.connect = connect_carelessly
        return connection

    file.prepare = prepare_carelessly


def early() -> None:
    put, commit = Writer.put, Writer._commit
    late: list[Batch] = []

    def answer_first(self: Writer, received: Received, waiter: Waiter) -> None:
        loop = asyncio.get_running_loop()
        put(self, received, loop.create_future())
        loop.call_soon(waiter.set_result, None)

    def commit_the_one_before(self: Writer, batch: Batch) -> None:
        if batch.rows:
            late.append(batch)
        for one in late[:-1] if batch.rows else [batch]:
            commit(self, one)
        del late[:-1]

    Writer.put, Writer._commit = answer_first, commit_the_one_before


if __name__ == "__main__":
    {"normal": normal, "early": early}[sys.argv.pop(1)]()
    cli.main()
