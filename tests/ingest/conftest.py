"""An endpoint that is open."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path

import pytest

from golub.spool import TokenEntry
from tests.conftest import SteppedClock
from tests.ingest.endpoint import TOKEN, Endpoint, opened


@pytest.fixture
async def endpoint(tmp_path: Path, clock: SteppedClock) -> AsyncGenerator[Endpoint]:
    """An endpoint that knows TOKEN, of account 3, and whose main database is absent."""
    async with knowing(tmp_path, clock) as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
async def lasting(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Endpoint]:
    """The same for all tests of a module, for long tables of requests."""
    async with knowing(tmp_path_factory.mktemp("lasting"), SteppedClock(1)) as endpoint:
        yield endpoint


@asynccontextmanager
async def knowing(folder: Path, clock: SteppedClock) -> AsyncGenerator[Endpoint]:
    async with opened(folder, clock) as endpoint:
        endpoint.spool.put_token(TokenEntry(sha256(TOKEN.encode()).digest(), 7, 3))
        yield endpoint
