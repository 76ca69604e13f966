"""Voices and photos are fetched when their message comes, and are still here when Avito's link is dead."""

import shutil
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import NamedTuple

import pytest

from golub.clock import DAY, HOUR, MINUTE
from golub.model import Account
from golub.simulator import Simulator, world
from golub.web.keeping import Keeping
from golub.web.parts import Parts
from tests.conftest import SteppedClock
from tests.talk import AVITO_URL, Talk, add_account, parts_for

pytestmark = pytest.mark.anyio


class Usage(NamedTuple):
    total: int
    used: int
    free: int


@pytest.fixture(autouse=True)
def room(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk with room, whatever the machine's is like."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1 << 40, 0, 1 << 40))


@pytest.fixture
async def sim(clock: SteppedClock) -> AsyncGenerator[Simulator]:
    async with Simulator(clock=lambda: clock() / 1000, base_url=AVITO_URL) as sim:
        yield sim


@pytest.fixture
async def parts(database_url: str, tmp_path: Path, clock: SteppedClock, sim: Simulator) -> AsyncGenerator[Parts]:
    async with parts_for(database_url, tmp_path, clock, sim) as parts:
        yield parts


@pytest.fixture
async def talk(parts: Parts, sim: Simulator) -> tuple[Talk, world.Chat]:
    talk = await add_account(parts)
    seller = sim.add_account(talk.account.user_id, client_id=talk.account.client_id)
    async with parts.store.write() as session:
        account = await session.get_one(Account, talk.account.id)
        account.client_secret = parts.vault.seal(seller.client_secret)
    return talk, sim.add_chat(seller, "Ирина")


def kept(parts: Parts, ending: str) -> int:
    return len(list((parts.settings.data_dir / "media").glob(f"*/*{ending}")))


async def test_a_voice_and_a_photo_are_kept_when_they_come(
    parts: Parts, sim: Simulator, talk: tuple[Talk, world.Chat], clock: SteppedClock
) -> None:
    says, theirs = talk
    keeping = Keeping(parts.store, parts.avito, parts.media, clock)
    await keeping.run_once()
    for kind in ("voice", "image", "text"):
        said = sim.buyer_says(theirs, "слова" if kind == "text" else "", type=kind, quiet=True)
        await says.says(theirs.id, kind=kind, content=said.content, name=said.id, at=clock())
    await keeping.run_once()
    assert (kept(parts, ".voice"), kept(parts, ".webp")) == (1, 1)
    await Keeping(parts.store, parts.avito, parts.media, clock).run_once()  # after a restart: nothing is fetched twice
    assert [call.operation for call in sim.calls].count("getVoiceFiles") == 1


async def test_what_failed_is_fetched_later_and_history_is_left_alone(
    parts: Parts, sim: Simulator, talk: tuple[Talk, world.Chat], clock: SteppedClock
) -> None:
    says, theirs = talk
    keeping = Keeping(parts.store, parts.avito, parts.media, clock)
    await keeping.run_once()
    sim.fault("getVoiceFiles", status=500)
    said = sim.buyer_says(theirs, "", type="voice", quiet=True)
    old = sim.buyer_says(theirs, "", type="voice", quiet=True)
    await says.says(theirs.id, kind="voice", content=old.content, name=old.id, at=clock() - 2 * DAY)
    await says.says(theirs.id, kind="voice", content=said.content, name=said.id, at=clock())
    await keeping.run_once()
    assert kept(parts, ".voice") == 0
    clock.step(3 * MINUTE)
    await keeping.run_once()
    assert kept(parts, ".voice") == 1
    clock.step(2 * HOUR)
    await keeping.run_once()
    assert kept(parts, ".voice") == 1
