"""Voices and photos are fetched when their message comes, and are still here when Avito's link is dead."""

import shutil
from typing import NamedTuple

import pytest

from golub.clock import DAY, HOUR, MINUTE
from golub.model import Account
from golub.simulator import Simulator, world
from golub.web.keeping import Keeping
from golub.web.parts import Parts
from tests.conftest import SteppedClock
from tests.talk import Talk


class Usage(NamedTuple):
    total: int
    used: int
    free: int


@pytest.fixture(autouse=True)
def room(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk with room, whatever the machine's is like."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1 << 40, 0, 1 << 40))


@pytest.fixture
async def theirs(parts: Parts, sim: Simulator, talk: Talk) -> world.Chat:
    """A chat at Avito, of which `talk` tells."""
    seller = sim.add_account(talk.account.user_id, client_id=talk.account.client_id)
    async with parts.store.write() as session:
        account = await session.get_one(Account, talk.account.id)
        account.client_secret = parts.vault.seal(seller.client_secret)
    return sim.add_chat(seller, "Ирина")


@pytest.fixture
async def keeping(parts: Parts, theirs: world.Chat) -> Keeping:
    """It has begun, and found nothing yet."""
    keeping = Keeping(parts.store, parts.avito, parts.media, parts.clock)
    await keeping.run_once()
    return keeping


def kept(parts: Parts, ending: str) -> int:
    return len(list((parts.settings.data_dir / "media").glob(f"*/*{ending}")))


async def test_a_voice_and_a_photo_are_kept_when_they_come(
    parts: Parts, sim: Simulator, talk: Talk, theirs: world.Chat, keeping: Keeping
) -> None:
    for kind in ("voice", "image", "text"):
        said = sim.buyer_says(theirs, "слова" if kind == "text" else "", type=kind, quiet=True)
        await talk.says(theirs.id, kind=kind, content=said.content, name=said.id, at=parts.clock())
    await keeping.run_once()
    assert (kept(parts, ".voice"), kept(parts, ".webp")) == (1, 1)
    after = Keeping(parts.store, parts.avito, parts.media, parts.clock)  # a restart: nothing is fetched twice
    await after.run_once()
    assert [call.operation for call in sim.calls].count("getVoiceFiles") == 1


async def test_what_failed_is_fetched_later_and_history_is_left_alone(
    parts: Parts, sim: Simulator, talk: Talk, theirs: world.Chat, keeping: Keeping, clock: SteppedClock
) -> None:
    sim.fault("getVoiceFiles", status=500)
    said = sim.buyer_says(theirs, "", type="voice", quiet=True)
    old = sim.buyer_says(theirs, "", type="voice", quiet=True)
    await talk.says(theirs.id, kind="voice", content=old.content, name=old.id, at=clock() - 2 * DAY)
    await talk.says(theirs.id, kind="voice", content=said.content, name=said.id, at=clock())
    await keeping.run_once()
    assert kept(parts, ".voice") == 0
    clock.step(3 * MINUTE)
    await keeping.run_once()
    assert kept(parts, ".voice") == 1
    clock.step(2 * HOUR)
    await keeping.run_once()
    assert kept(parts, ".voice") == 1
