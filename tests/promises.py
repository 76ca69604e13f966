"""What ties the tests to the promises of `docs/promises.md`.

`@pytest.mark.promise("P2")` says that a test proves one (several: `("P1", "P4")`), `--promise P2` runs only those that
do, and a test says what it counted with the `figures` fixture. `--figures FILE` writes all that down, a line of JSON a
test, for `tests.chaos`.
"""

import json
import os
from collections.abc import Callable, Generator
from pathlib import Path
from random import SystemRandom
from typing import Any

import pytest

from docs.promised import PROMISES

Figures = Callable[..., None]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--promise", action="append", default=[], help="only the tests that prove it: P1 … P30")
    parser.addoption("--figures", type=Path, help="file that gets a line of JSON for each test that proves a promise")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if unknown := promises_of(item) - PROMISES.keys():
            raise pytest.UsageError(f"{item.nodeid} proves what nobody promised: {', '.join(sorted(unknown))}")
    wanted: set[str] = set(config.getoption("--promise"))  # pyright: ignore[reportArgumentType] - it has a default
    if wanted:
        dropped = [item for item in items if not promises_of(item) & wanted]
        config.hook.pytest_deselected(items=dropped)
        items[:] = [item for item in items if promises_of(item) & wanted]


def promises_of(item: pytest.Item) -> set[str]:
    return {name for mark in item.iter_markers("promise") for name in mark.args}


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Figures:
    """`figures(acked=…, acked_missing=…, applied_twice=…, seed=…)`, and whatever else it counted; more calls add more.

    Call it before the assertions, so that a run that fails says its figures too.
    """

    def tell(**counted: float | str) -> None:
        request.node.user_properties += counted.items()
        print(request.node.name, *(f"{name}={number}" for name, number in counted.items()))

    return tell


@pytest.fixture
def seed(figures: Figures) -> int:
    """Of all that this test leaves to chance: another one each time, printed; `CHAOS_SEED` sets it."""
    number = int(os.environ.get("CHAOS_SEED") or SystemRandom().randrange(1 << 32))
    figures(seed=number)
    return number


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    path: Path | None = item.config.getoption("--figures")
    if path and promises_of(item) and (report.when == "call" or report.outcome != "passed"):
        line: dict[str, Any] = {
            "test": item.nodeid,
            "promises": sorted(promises_of(item)),
            "outcome": report.outcome,
            "seconds": round(report.duration, 1),
            "figures": dict(item.user_properties),
        }
        if report.skipped and isinstance(report.longrepr, tuple):
            line["reason"] = report.longrepr[2]
        with path.open("a") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
    return report
