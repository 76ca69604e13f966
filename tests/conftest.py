"""What every test may ask for. Databases are real, and both kinds run; what a machine lacks is skipped aloud.

With `CI` set a skip is a failure, but for what `machine` calls out of reach: a green run that looked at half is worse
than a red one.
"""

import asyncio
import gc
import os
import platform
import shutil
from collections.abc import AsyncGenerator, Awaitable, Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

import pytest
from hypothesis import HealthCheck, settings

from golub import passwords
from golub import store as store_module
from golub.clock import Millis
from golub.store import Store
from tests import chromium, machine, postgres, processes

if TYPE_CHECKING:
    from playwright.async_api import Browser

pytest_plugins = ("tests.promises", "tests.hostile.marks")

settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine
settings.load_profile("patient")

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)

CI = os.environ.get("CI", "").lower() not in ("", "0", "false")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="stories at their full counts; long")


def pytest_report_header() -> list[str]:
    import sqlite3  # late: golub puts the SQLite that it ships in the place of Python's own

    database = postgres.missing() or f"PostgreSQL {postgres.version()}"
    return [
        f"runs on: Python {platform.python_version()}, {platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
        f"databases: SQLite {sqlite3.sqlite_version}, {database}",
        f"browser: {chromium.version() or 'no Chromium'}",
        f"not on this machine: {machine.lacks()}",
    ]


def pytest_collection_finish() -> None:
    """What was imported for thousands of tests stays: no collection looks at it again.

    Stories measure an answer's time from this process, and its own pauses, 0.1 to 0.2 s each, were counted as Golub's.
    """
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    return _no_skips(report) if CI and not hasattr(report, "wasxfail") else report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    return _no_skips(report) if CI else report


def _no_skips(report: Report) -> Report:
    if report.outcome == "skipped":
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        if machine.OUT_OF_REACH in str(reason):
            return report
        report.outcome = "failed"
        report.longrepr = f"{reason}\nCI is set, and there a skip is a failure."
    return report


@pytest.fixture(scope="session", autouse=True)
def cheap_passwords() -> None:
    """A password's hash costs nearly nothing in this process; a server that a test starts takes what is shipped."""
    passwords.PASSES, passwords.MEMORY = 1, 32


@pytest.fixture(autouse=True)
def patient_database(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine that is busy with other tests a database that is waited for is no outage."""
    if request.node.get_closest_marker("outage") is None and not request.config.getoption("--full"):
        for patience in ("CHECKOUT_WAIT", "LOCK_WAIT"):
            monkeypatch.setattr(store_module, patience, 20.0)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


class AtScale(Protocol):
    def __call__(self, few: int, many: int) -> int: ...


@pytest.fixture(scope="session")
def at_scale(request: pytest.FixtureRequest) -> AtScale:
    """`at_scale(10, 50)` is 10 in the suite, and 50 in `make chaos`."""
    full = bool(request.config.getoption("--full"))
    return lambda few, many: many if full else few


class SteppedClock:
    """A clock that stands still until a test steps it. Give it wherever a `Clock` is asked for."""

    def __init__(self, now: Millis) -> None:
        self.now = now

    def __call__(self) -> Millis:
        return self.now

    def step(self, by: Millis) -> Millis:
        self.now += by
        return self.now


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock(1_790_000_000_000)


@pytest.fixture(scope="session")
def postgres_server() -> Generator[postgres.Postgres]:
    """The server that all tests share; a test that only needs a database takes `database_url`."""
    machine.must_have(machine.Need.POSTGRES)
    with postgres.running() as server:
        yield server


@pytest.fixture
def own_postgres() -> Generator[postgres.OwnPostgres]:
    """A server of this test's own, to `stop` and `start`; `create()` gives an empty database in it."""
    machine.must_have(machine.Need.OWN_POSTGRES)
    with postgres.own() as server:
        yield server


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "golub.db"
    _migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server: postgres.Postgres) -> Generator[str]:
    url = postgres_server.create()
    _migrate(url)
    yield url
    postgres_server.drop(url)


@pytest.fixture
def sqlite_url(tmp_path: Path, migrated_sqlite: Path) -> str:
    """A migrated SQLite file of this test's own."""
    path = tmp_path / "golub.db"
    shutil.copy(migrated_sqlite, path)
    return f"sqlite:///{path}"


@pytest.fixture
def postgres_url(postgres_server: postgres.Postgres, migrated_postgres: str) -> Generator[str]:
    """A migrated PostgreSQL database of this test's own."""
    url = postgres_server.create(template=migrated_postgres)
    yield url
    postgres_server.drop(url)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest) -> str:
    """The test runs twice, on each database, migrated and empty."""
    return request.getfixturevalue(f"{request.param}_url")


ONE_DATABASE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For a test that proves the same on either: it runs once, on SQLite."""


@pytest.fixture
async def store(database_url: str) -> AsyncGenerator[Store]:
    opened = Store(database_url)
    yield opened
    await opened.close()


class StartGolub(Protocol):
    def __call__(
        self, *command: str, program: Sequence[str] = processes.PROGRAM, **environment: str
    ) -> Awaitable[processes.Golub]: ...


@pytest.fixture
async def start_golub(tmp_path: Path, at_scale: AtScale) -> AsyncGenerator[StartGolub]:
    """`await start_golub("serve", GOLUB_AVITO_URL=…)`: a serving process with a folder and a port of its own."""
    started: list[processes.Golub] = []
    warm = bool(at_scale(1, 0))

    async def start(*command: str, program: Sequence[str] = processes.PROGRAM, **environment: str) -> processes.Golub:
        process = processes.Golub(
            tmp_path / f"golub-{len(started)}",
            command or ("serve",),
            environment,
            program,
            warm=warm and program == processes.PROGRAM,
        )
        started.append(process)
        await process.start()
        return process

    yield start
    for process in started:
        await process.kill()


@pytest.fixture(scope="module")
async def browser() -> AsyncGenerator["Browser"]:
    """One Chromium for a module's tests; each of them closes the contexts that it has opened."""
    machine.must_have(machine.Need.CHROMIUM)
    async with chromium.launched() as browser:
        yield browser


def _migrate(url: str) -> None:
    store = Store(url)
    store.migrate()
    asyncio.run(store.close())
