"""What every command does: read its settings, open the database, say how far it is, and speak."""

import asyncio
import sys
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
import uvloop
from pydantic import ValidationError
from rich.console import Console
from rich.progress import Progress, TaskID

from golub.settings import Settings

if TYPE_CHECKING:
    from golub.store import Store

# Seconds after which a thread that computes lets the next one. Between two of a commit's steps the spool's thread waits
# for a busy event loop so long, a dozen times a commit: with Python's 5 ms, webhooks beside 3000 slow strangers had p99
# 174 to 297 ms on two cores, with half a millisecond 100 to 177, and as many were answered in a burst.
HAND_OVER = 0.0005

T = TypeVar("T")

Folder = Annotated[Path | None, typer.Option("--data-dir", help="Folder of everything that Golub keeps.")]
Database = Annotated[str | None, typer.Option("--database-url", help="The main database, where it is PostgreSQL.")]

say = Console(highlight=False, soft_wrap=True).print
complain = Console(stderr=True, highlight=False, soft_wrap=True, style="red").print


def settings_of(**given: Any) -> Settings:
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        for problem in error.errors():
            where = ".".join(str(part) for part in problem["loc"]) or "settings"
            complain(f"{where}: {problem['msg'].removeprefix('Value error, ')}")
        raise SystemExit(2) from None


def must_be_there(settings: Settings) -> "Store":
    """The database: SQLite would make an empty one wherever it is asked."""
    from golub.doctor.stored import is_there
    from golub.store import Store

    store = Store(settings.effective_database_url, patient=True)
    if not is_there(store):
        complain(f"there is no database in {settings.data_dir}")
        raise SystemExit(2)
    return store


def open_store(settings: Settings) -> "Store":
    """Of a database that is there, and of this release. Raises `Rejected`, `Unavailable`."""
    store = must_be_there(settings)
    store.must_be_of_this_release()
    return store


@contextmanager
def progress() -> Generator[Callable[[str, float], None]]:
    """A line a step, with a bar where somebody watches. The steps' own names are words enough."""
    with Progress(*Progress.get_default_columns(), console=Console(stderr=True)) as bars:
        steps: dict[str, TaskID] = {}

        def tell(step: str, share: float) -> None:
            if step not in steps:
                steps[step] = bars.add_task(step, total=1.0)
            bars.update(steps[step], completed=share)

        yield tell
        for task in steps.values():
            bars.update(task, completed=1.0)


def run_to_end(work: Coroutine[Any, Any, T], store: "Store | None" = None) -> T:
    """Closes the store on which the work was done."""
    sys.setswitchinterval(HAND_OVER)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            return runner.run(work)
        finally:
            if store:
                runner.run(store.close())
