"""What ties tests to the rows of the threat model: `@pytest.mark.row(14, 15)`. `--row 14` runs those that prove it."""

import re

import pytest

from tests.hostile.rows import ROWS

DATABASES = pytest.StashKey[dict[tuple[int, str], set[str]]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--row", action="append", type=int, default=[], help="only the tests that prove it: 1 … 60")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Before others leave some of them out: which databases each proof was collected for."""
    seen = config.stash.setdefault(DATABASES, {})
    for item in items:
        if unknown := rows_of(item) - ROWS.keys():
            raise pytest.UsageError(f"{item.nodeid} proves rows that are not there: {sorted(unknown)}")
        for number in rows_of(item):
            seen.setdefault((number, item.nodeid.partition("[")[0]), set()).update(_databases(item))
    if wanted := set[int](config.getoption("--row")):  # pyright: ignore[reportArgumentType] - it has a default
        dropped = [item for item in items if not rows_of(item) & wanted]
        config.hook.pytest_deselected(items=dropped)
        items[:] = [item for item in items if rows_of(item) & wanted]


def rows_of(item: pytest.Item) -> set[int]:
    return {number for mark in item.iter_markers("row") for number in mark.args}


def _databases(item: pytest.Item) -> set[str]:
    """By a parameter of the test, else by the one database that it asks for."""
    chosen = re.findall(r"\b(sqlite|postgres)\b", item.nodeid.partition("[")[2])
    if chosen:
        return set(chosen)
    asked: list[str] = getattr(item, "fixturenames", [])
    return {name.partition("_")[0] for name in asked if name in ("sqlite_url", "postgres_url", "postgres_server")}
