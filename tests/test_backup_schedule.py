"""Backups by themselves: on time, one at a time, kept as long as said, and never at the cost of deliveries' room."""

import shutil
from collections.abc import AsyncGenerator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest
from sqlalchemy import select

from golub import backup
from golub.backup import Backups, Order, Reason, Schedule, commands, folder, making
from golub.backup.folder import name_of
from golub.clock import DAY, HOUR, MINUTE, SECOND
from golub.errors import Conflict, Invalid, Rejected
from golub.model import Action, AuditEntry
from golub.settings import Settings
from golub.store import Store
from golub.vault import Vault
from tests.conftest import SteppedClock

VAULT = Vault(bytes(32))


class Disk(NamedTuple):
    total: int
    free: int


def silent(_step: str, _share: float) -> None:
    pass


@pytest.fixture
def settings(sqlite_url: str, tmp_path: Path) -> Settings:
    return Settings.model_validate({"data_dir": tmp_path})


@pytest.fixture
async def backups(settings: Settings, clock: SteppedClock) -> AsyncGenerator[Backups]:
    made = Backups(settings, VAULT, clock)
    yield made
    await made.close()


async def test_one_a_day(backups: Backups, settings: Settings, clock: SteppedClock) -> None:
    assert await backups.run_once() == clock() + 2 * MINUTE
    clock.step(2 * MINUTE)
    await backups.run_once()
    assert backups.progress
    await backups.run_once()
    await backups.wait()
    first = backup.last(settings)
    assert first
    assert (first.reason, first.taken_at) == (Reason.SCHEDULED, clock() // SECOND * SECOND)
    assert await backups.run_once() == first.taken_at + DAY
    clock.step(DAY)
    await backups.run_once()
    await backups.wait()
    assert len(backups.list_all()) == 2
    assert [path.name for path in backups.folder.iterdir() if path.name.startswith(".")] == []


async def test_zero_hours_make_none(sqlite_url: str, tmp_path: Path, clock: SteppedClock) -> None:
    idle = Backups(Settings.model_validate({"data_dir": tmp_path, "backup_every": 0}), VAULT, clock)
    clock.step(30 * DAY)
    assert await idle.run_once() is None
    assert idle.list_all() == []


async def test_a_person_s_own_is_made_beside_and_once(backups: Backups, settings: Settings) -> None:
    backups.begin()
    with pytest.raises(Conflict):
        backups.begin()
    await backups.wait()
    assert [made.reason for made in backups.list_all()] == [Reason.BY_HAND]
    assert backups.progress is None


@pytest.mark.promise("P8")
async def test_a_full_disk_is_told_and_tried_again_later(
    backups: Backups, settings: Settings, clock: SteppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Disk(total=100, free=9))
    clock.step(2 * MINUTE)
    await backups.run_once()
    await backups.wait()
    failed = backups.last_failure()
    assert failed
    assert "nearly full" in str(failed)
    assert backups.list_all() == []
    assert await backups.run_once() == clock() + HOUR
    monkeypatch.undo()
    clock.step(HOUR)
    await backups.run_once()
    await backups.wait()
    assert (backups.last_failure(), len(backups.list_all())) == (None, 1)


async def test_one_that_goes_while_the_folder_is_looked_through_hides_no_other(backups: Backups) -> None:
    backups.begin()
    await backups.wait()
    (backups.folder / "golub-20260101T000000Z-scheduled.zip").symlink_to("gone.zip")  # a name without a file
    assert [made.reason for made in backups.list_all()] == [Reason.BY_HAND]


async def test_stopping_leaves_no_half(backups: Backups) -> None:
    backups.begin()
    await backups.close()
    assert [path.name for path in backups.folder.iterdir() if not path.name.endswith(".zip")] == []
    assert backups.last_failure() is None


def test_another_one_in_the_same_folder_is_refused_and_a_killed_one_is_cleared(
    settings: Settings, clock: SteppedClock
) -> None:
    place = settings.effective_backup_dir
    place.mkdir()
    (place / ".golub-backup-killed").mkdir()
    (place / ".golub-backup-x.zip").write_bytes(b"half")
    with making._alone(place), pytest.raises(Conflict, match="Another backup"):
        backup.make(settings, VAULT, Order(), clock=clock, tell=silent)
    made = backup.make(settings, VAULT, Order(), clock=clock, tell=silent)
    assert [path.name for path in place.iterdir()] == [made.path.name]
    assert made.path.stat().st_mode & 0o777 == 0o600


def test_what_is_kept(tmp_path: Path) -> None:
    """Forty days, three a day: the newest three, one of each of seven days, one of each of four weeks."""
    begin = int(datetime(2026, 9, 1, tzinfo=UTC).timestamp()) * SECOND
    for hour in range(0, 40 * 24, 8):
        (tmp_path / name_of(begin + hour * HOUR, "scheduled")).touch()
    for day in range(5):
        (tmp_path / name_of(begin + day * DAY, "before-upgrade")).touch()
    (tmp_path / "golub-mine.zip").touch()
    folder.rotate(tmp_path, days=7, weeks=4)
    kept = [path.name[6:17] for path in sorted(tmp_path.iterdir()) if "scheduled" in path.name]
    days = [f"202610{day:02}" for day in (4, 5, 6, 7, 8, 9)]
    assert kept == [
        "20260920T16",
        "20260927T16",
        *(f"{day}T16" for day in days),
        "20261010T00",
        "20261010T08",
        "20261010T16",
    ]
    upgrades = [path.name[6:14] for path in sorted(tmp_path.iterdir()) if "upgrade" in path.name]
    assert upgrades == ["20260903", "20260904", "20260905"]
    assert (tmp_path / "golub-mine.zip").exists()


async def test_by_hand_it_is_written_in_the_audit(settings: Settings, tmp_path: Path, clock: SteppedClock) -> None:
    made = await commands.back_up(settings, VAULT, Order(to=tmp_path / "mine.zip"), clock=clock, tell=silent)
    assert made.path == tmp_path / "mine.zip"
    with pytest.raises(Conflict, match="exists already"):
        await commands.back_up(settings, VAULT, Order(to=tmp_path / "mine.zip"), clock=clock, tell=silent)
    store = Store(settings.effective_database_url)
    async with store.read() as session:
        entry = (await session.scalars(select(AuditEntry).order_by(AuditEntry.id))).first()
    await store.close()
    assert entry
    assert (entry.action, entry.address, entry.subject) == (Action.BACKED_UP, "console", str(tmp_path / "mine.zip"))


def test_a_weak_passphrase_and_an_empty_folder_are_refused(tmp_path: Path, clock: SteppedClock) -> None:
    chosen = Settings.model_validate({"data_dir": tmp_path})
    with pytest.raises(Invalid, match=r"at least"):
        backup.make(chosen, VAULT, Order(passphrase="short"), clock=clock, tell=silent)
    with pytest.raises(Rejected, match="nothing to back up"):
        backup.make(chosen, VAULT, Order(), clock=clock, tell=silent)


async def test_a_clock_that_was_wrong_when_one_was_made_puts_off_none(backups: Backups, clock: SteppedClock) -> None:
    clock.step(365 * DAY)
    backups.begin()
    await backups.wait()
    clock.step(-365 * DAY)
    for _ in range(2):
        clock.step(2 * MINUTE)
        await backups.run_once()
        await backups.wait()
    assert [made.reason for made in backups.list_all()] == [Reason.BY_HAND, Reason.SCHEDULED]


Worker = Callable[[str], Backups]


@pytest.fixture
async def worker(postgres_url: str, tmp_path: Path, clock: SteppedClock) -> AsyncGenerator[Worker]:
    """Makes one of several processes on one PostgreSQL, by its name."""
    stores: list[Store] = []

    def make(name: str) -> Backups:
        stores.append(Store(postgres_url))
        chosen = Settings.model_validate({"data_dir": tmp_path / name, "database_url": postgres_url})
        return Backups(chosen, VAULT, clock, Schedule(chosen, clock, stores[-1], name))

    yield make
    for store in stores:
        await store.close()


async def turn(*workers: Backups) -> None:
    """All of them look at once."""
    for one in workers:
        await one.run_once()
    for one in workers:
        await one.wait()


@pytest.mark.postgres
async def test_of_several_processes_one_makes_them_until_it_stops(worker: Worker, clock: SteppedClock) -> None:
    workers = [worker("one"), worker("two")]
    clock.step(2 * MINUTE)
    await turn(*workers)
    maker, other = sorted(workers, key=lambda one: -len(one.list_all()))
    assert (len(maker.list_all()), len(other.list_all())) == (1, 0)
    assert maker.list_all()[0].taken_at == await other.schedule.newest_at() == await maker.schedule.newest_at()
    clock.step(DAY)
    await turn(other, maker, other)
    assert (len(maker.list_all()), len(other.list_all())) == (2, 0)
    clock.step(DAY)  # and now it is gone
    await turn(other)
    assert other.list_all() == []
    clock.step(15 * MINUTE)
    await turn(other)
    assert len(other.list_all()) == 1
    await turn(maker)
    assert len(maker.list_all()) == 2, "whoever comes back leaves it to the other"


@pytest.mark.postgres
async def test_what_one_process_cannot_make_another_does(worker: Worker, clock: SteppedClock) -> None:
    first, second = worker("first"), worker("second")
    first.folder.parent.mkdir()
    first.folder.write_text("no folder")
    clock.step(2 * MINUTE)
    await turn(first)
    await turn(second)
    assert (len(first.list_all()), len(second.list_all())) == (0, 1)
