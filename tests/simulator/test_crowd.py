"""A hundred thousand chats: there at once, told when looked at, the same by seed, and quick to page through."""

import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from golub.simulator import Account, Simulator, seed_crowd
from tests.conftest import AtScale
from tests.simulator.conftest import Clock, Receiver
from tests.simulator.test_api import CHATS

Told = list[tuple[str, str, int, str, str, bool]]


def told(shop: Account) -> dict[str, Told]:
    return {
        chat.id: [(m.id, chat.buyer, m.created, m.type, m.text, m.is_read) for m in chat.history]
        for chat in shop.newest_first()
    }


def world(seed: int, time: Clock, chats: int = 300) -> Account:
    sim = Simulator(seed=seed, clock=time)
    shop = sim.add_account(101)
    seed_crowd(sim, shop, chats)
    return shop


async def test_they_are_there_untold_and_tell_what_is_asked(
    sim: Simulator, shop: Account, avito: httpx2.AsyncClient, at_scale: AtScale
) -> None:
    many = at_scale(50_000, 100_000)
    seed_crowd(sim, shop, many)
    assert (len(shop.chats), len(sim.world.messages)) == (many, 0)  # which is how they are there in seconds
    seen: set[str] = set()
    for offset in range(0, 1001, 100):
        page = (await avito.get(f"{CHATS}?chat_types=u2i,u2u&limit=100&offset={offset}")).json()["chats"]
        assert all(chat["last_message"]["created"] == chat["updated"] for chat in page)
        seen |= {chat["id"] for chat in page}
    unread = (await avito.get(f"{CHATS}?chat_types=u2i,u2u&unread_only=true&offset=1000")).json()["chats"]
    assert len(unread) == 100
    assert len({chat.id for chat in shop.chats.values() if not chat.untold}) == len(seen | {c["id"] for c in unread})
    oldest = shop.newest_first()[-1]
    found = (await avito.get(f"{CHATS}/{oldest.id}")).json()
    assert (found["id"], found["updated"]) == (oldest.id, oldest.updated)


async def test_the_newest_chat_comes_first_wherever_it_was(
    sim: Simulator, shop: Account, avito: httpx2.AsyncClient, time: Clock
) -> None:
    seed_crowd(sim, shop, 500)
    order = shop.newest_first()
    for place in (499, 250, 0):
        moved = order[place]
        time.now += 1
        sim.buyer_says(moved, "Ещё актуально?")
        assert shop.newest_first()[0] is moved
    sim.buyer_says(order[100], "давно", quiet=True, at=order[400].created)
    assert [chat.updated for chat in order] == sorted((chat.updated for chat in order), reverse=True)
    assert {chat.id for chat in order} == set(shop.chats)
    first = (await avito.get(f"{CHATS}?chat_types=u2i,u2u&limit=1")).json()["chats"][0]
    assert first["last_message"]["content"] == {"text": "Ещё актуально?"}


def test_the_same_seed_tells_the_same_in_any_order(time: Clock) -> None:
    forwards, backwards, other = world(5, time), world(5, time), world(6, time)
    for chat in reversed(backwards.newest_first()):
        assert chat.history
    assert told(forwards) == told(backwards)
    assert told(forwards).keys().isdisjoint(told(other))


def test_what_they_tell_fits_what_was_said_before(time: Clock) -> None:
    shop = world(5, time, 2_000)
    chats = shop.newest_first()
    before = {chat.id: (chat.unread, chat.updated) for chat in chats}
    for chat in chats:
        times = [message.created for message in chat.history]
        assert times == sorted(times)
        assert chat.created <= times[0] <= times[-1] == chat.updated <= time.now
        assert (chat.unread, chat.updated) == before[chat.id]
    assert 0 < sum(chat.unread for chat in chats) < 200
    assert {chat.chat_type for chat in chats} == {"u2i", "u2u"}
    assert {"text", "image", "location", "appCall"} <= {m.type for chat in chats for m in chat.history}


async def test_history_is_quiet_and_goes_on(
    sim: Simulator, shop: Account, receiver: Receiver, avito: httpx2.AsyncClient
) -> None:
    shop.subscription = "http://golub.test/hook"
    seed_crowd(sim, shop, 10)
    chat = next(chat for chat in shop.chats.values() if not chat.unread)
    path = f"/messenger/v3/accounts/101/chats/{chat.id}/messages/"
    before = (await avito.get(path)).json()["messages"]
    sim.buyer_says(chat, "Я снова тут")
    await sim.idle()
    assert [value["content"]["text"] for value in receiver.values] == ["Я снова тут"]
    after = (await avito.get(path)).json()["messages"]
    assert (after[1:], chat.unread) == (before, True)


@pytest.mark.parametrize("count", [0, 1_000_001])
async def test_not_more_than_fits(sim: Simulator, shop: Account, count: int) -> None:
    with pytest.raises(ValueError, match="chats"):
        seed_crowd(sim, shop, count)


@pytest.mark.parametrize(("more", "shops"), [((), 3), (("--no-demo",), 1)])
def test_the_command_makes_them(tmp_path: Path, more: tuple[str, ...], shops: int) -> None:
    golub = [sys.executable, "-c", "from golub.cli import main; main()", "simulate", "--port", "0", *more]
    with subprocess.Popen(
        [*golub, "--log", str(tmp_path / "log.jsonl"), "--chats", "900"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        url = process.stdout.readline().split()[2]
        with httpx2.Client(base_url=url, trust_env=False) as client:
            accounts = client.get("/_sim/accounts").json()["accounts"]
        process.terminate()
        assert process.wait(20) == 0
    assert len(accounts) == shops
    assert sum(account["chats"] for account in accounts) - 900 in (0, 45)
