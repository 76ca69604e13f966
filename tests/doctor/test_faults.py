"""Planted faults: whatever is wrong, the doctor names its fix first.

Each plant breaks one thing in a house where all is well, for real: sockets, certificates, files, rows, and what the
simulated Avito answers. `docs/doctor.md` lists the same faults.
"""

import inspect
import re
import shutil
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from golub.doctor import FAULTS
from golub.web.language import words
from tests.doctor import house, plants_avito, plants_ground, plants_way
from tests.doctor.house import House
from tests.doctor.planting import ALONE, PLANTS

assert plants_avito
assert plants_ground
assert plants_way
NEEDS_POSTGRES = {"old_postgres"}  # no such server to be had; its version is read as SQLite's is
OUR_PLACES = re.compile(r"\{(host|url|port|folder|path|address|network|twice|account_id|version)\}")


def test_every_fault_that_the_doctor_knows_is_planted() -> None:
    assert set(PLANTS) == set(FAULTS) - NEEDS_POSTGRES


@pytest.fixture(scope="module")
async def shared(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[House]:
    folder = tmp_path_factory.mktemp("house")
    shutil.copy(migrated_sqlite, folder / "golub.db")
    async with house.opened(folder, f"sqlite:///{folder / 'golub.db'}") as home:
        yield home


@pytest.mark.parametrize("name", sorted(set(PLANTS) - ALONE))
async def test_the_right_fix_is_named_first(name: str, shared: House) -> None:
    async with shared.lent() as home:
        await _named_first(name, home)


@pytest.mark.parametrize("name", sorted(ALONE))
async def test_the_right_fix_is_named_first_where_the_house_changes(name: str, tmp_path: Path, sqlite_url: str) -> None:
    async with house.opened(tmp_path, sqlite_url) as home:
        await _named_first(name, home)


async def _named_first(name: str, home: House) -> None:
    planted = PLANTS[name](home)
    if inspect.isawaitable(planted):
        await planted
    found = await home.first()
    assert found.fault is FAULTS[name], found
    for locale in ("ru", "en"):
        written = found.write(words(locale))
        assert all((written.title, written.what, written.cost, written.fix))
        assert "{" not in written.what + written.cost + written.fix
    assert not any(OUR_PLACES.search(one.text) for one in found.lines)
    assert "{" not in found.page
