"""A spool that has been started."""

from collections.abc import Generator
from pathlib import Path

import pytest

from golub.spool import Spool
from tests.conftest import SteppedClock
from tests.spool.opened import started


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "node"


@pytest.fixture
def spool(folder: Path, clock: SteppedClock) -> Generator[Spool]:
    with started(folder, clock) as opened:
        yield opened
