"""Attached photos, on disk and in the database alike: kept until sent or given up, and found by whoever sends them."""

from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from golub.clock import DAY
from golub.errors import NotFound, Unavailable
from golub.outbox import Pictures, open_pictures
from golub.outbox.pictures import SharedPictures
from golub.store import Store
from tests.conftest import SteppedClock

pytestmark = pytest.mark.anyio


@pytest.fixture
def pictures(store: Store, tmp_path: Path, clock: SteppedClock) -> Pictures:
    return open_pictures(store, tmp_path / "outgoing", clock)


def photo(width: int = 10) -> bytes:
    raw = BytesIO()
    Image.new("RGB", (width, 10), "red").save(raw, "PNG")
    return raw.getvalue()


async def test_they_are_kept_until_dropped_or_forgotten(
    pictures: Pictures, store: Store, tmp_path: Path, clock: SteppedClock
) -> None:
    first, second, third = [await pictures.add(photo(10 + n)) for n in range(3)]
    assert Image.open(BytesIO(await pictures.read(first))).size == (10, 10)
    assert Image.open(BytesIO(await pictures.small(first))).format == "WEBP"
    await pictures.drop(first)
    for name in (first, "../golub.db", "x" * 40):
        with pytest.raises(NotFound):
            await pictures.read(name)
        with pytest.raises(NotFound):
            await pictures.small(name)
    assert [pictures.has(name) for name in (second, "../golub.db")] == [True, False]
    if store.is_sqlite:  # a file's age is its own
        clock.now = int((tmp_path / "outgoing" / second).stat().st_mtime * 1000) + 3 * DAY
    else:
        clock.step(3 * DAY)
    await pictures.tidy({third})
    with pytest.raises(NotFound):
        await pictures.read(second)
    assert await pictures.read(third)


@pytest.mark.row(55)
async def test_a_full_quota_takes_no_more(store: Store, tmp_path: Path, clock: SteppedClock) -> None:
    folder = tmp_path / "outgoing"
    pictures = Pictures(folder, clock, quota=10) if store.is_sqlite else SharedPictures(store, folder, clock, quota=10)
    name = await pictures.add(photo())
    with pytest.raises(Unavailable):
        await pictures.add(photo())
    await pictures.drop(name)
    assert await pictures.add(photo())


@pytest.mark.postgres
async def test_a_process_with_another_folder_sends_what_this_one_took(
    postgres_url: str, tmp_path: Path, clock: SteppedClock
) -> None:
    here, there = Store(postgres_url), Store(postgres_url)
    taking, sending = open_pictures(here, tmp_path / "a", clock), open_pictures(there, tmp_path / "b", clock)
    name = await taking.add(photo())
    assert await sending.read(name) == await taking.read(name)
    await sending.drop(name)
    with pytest.raises(NotFound):
        await taking.small(name)
    await here.close()
    await there.close()
