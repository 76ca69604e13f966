"""Avito's API fails in every way at once, a shop each: webhooks do not feel it, nobody hammers, nothing is deleted."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import func, select

from golub.app import Golub
from golub.model import DEFAULT_EVENT_TYPES, Account, AccountState, Message
from golub.settings import Settings
from golub.simulator import Simulator
from golub.simulator.serve import bind, serving
from golub.store import Store
from golub.web.parts import Parts
from tests.conftest import AtScale, StartGolub
from tests.processes import PATIENCE
from tests.promises import Figures
from tests.stories.scene import Scene, free_address
from tests.stories.vitals import answered

pytestmark = [pytest.mark.story, pytest.mark.promise("P16")]

HTML = "<html><body>502 Bad Gateway</body></html>"
JSON = {"content-type": "application/json"}
TOO_LONG = 10 << 20  # bytes
HISTORY = 6  # messages of each shop, in two chats


@dataclass(frozen=True)
class Way:
    """`answers`: what comes is no failure to whoever reads it, so requests go on at the pace of what happens.

    `invents`: chats that nobody had; each is read once.
    """

    faults: tuple[tuple[str, dict[str, Any]], ...]
    answers: bool = False
    invents: int = 0


def always(**how: Any) -> Way:
    return Way((("*", how),))


def paced(retry_after: str | None) -> Way:
    return always(status=429, headers={"retry-after": retry_after} if retry_after else {})


CHAT = {"id": "u2i-again-and-again", "created": 1, "updated": 1, "users": [], "context": None, "last_message": None}
WAYS = {
    "429": paced(None),
    "429_0": paced("0"),
    "429_negative": paced("-1"),
    "429_1e9": paced("1e9"),
    "429_date": paced("Fri, 31 Dec 9999 23:59:59 GMT"),
    "500": always(status=500),
    "502_html": always(status=502, body=HTML),
    "hangs": always(hang=True),
    "cut": always(cut=True),
    "malformed": always(status=200, body='{"chats": [{"id": "u2i-', headers=JSON),
    "no_object": always(status=200, body=[]),
    "too_long": always(pad=TOO_LONG),
    "401": always(status=401),
    "401_once": Way((("*", {"status": 401, "times": 1}),), answers=True),
    "403": always(status=403),
    "wrong_types": Way((("getChatsV2", {"body": {"chats": {"id": None}}}),
                        ("getChatByIdV2", {"body": []}),
                        ("getMessagesV3", {"body": {"messages": [None, 1, {"id": 7}]}})), answers=True),
    "empty": Way((("getChatsV2", {"body": {"chats": [], "meta": {"has_more": True}}}),
                  ("getMessagesV3", {"body": {"messages": [], "meta": {"has_more": True}}})), answers=True),
    "repeats": Way((("getChatsV2", {"body": {"chats": [CHAT | {"id": f"u2i-{number}"} for number in range(100)],
                                             "meta": {"has_more": True}}}),), answers=True, invents=100),
}  # fmt: skip


async def test_an_api_that_fails_in_any_way_costs_no_webhook_and_no_message(
    tmp_path: Path, start_golub: StartGolub, at_scale: AtScale, seed: int, figures: Figures
) -> None:
    seconds = at_scale(3, 120)
    async with shops(tmp_path, start_golub, seed) as (town, began):
        before = await shown(town)
        async with town.talking(0.5 * len(WAYS)):
            await asyncio.sleep(seconds)  # so long everything fails
        await town.applied(PATIENCE)
        lasted = time.monotonic() - began
        calls = Counter(call.account for call in town.simulator.calls)
        after, states = await shown(town), await states_of(town)
        assert await town.golub.stop() == 0
        verdict = await town.judge()
    asked = {name: calls[user_id] for user_id, name in names().items()}
    wrote = Counter(account for account, _, _ in town.simulator.sent)
    p99 = answered(town.log, 0.99)
    figures(**verdict.figures, p99_ms=round(p99), seconds=seconds, **{f"asked_{name}": n for name, n in asked.items()})
    assert verdict.is_prompt(busy=bool(at_scale(1, 0))), verdict
    assert (verdict.acked_missing, verdict.applied_twice) == (0, 0), verdict
    assert after == before + wrote  # nothing is gone
    for user_id, name in names().items():
        patience = lasted + town.settings.sweep_period
        most = patience + WAYS[name].invents
        if WAYS[name].answers:
            most += 5 + 4 * wrote[user_id] + 12 * patience / 5  # 12 pages a sweep
        assert asked[name] <= most, f"{name}: {asked[name]} requests, at most {most}"
    if at_scale(0, 1):  # and it can be seen
        assert p99 < 200
        assert {states[name] for name in ("500", "502_html", "hangs", "cut", "malformed")} == {AccountState.UNREACHABLE}


def names() -> dict[int, str]:
    return {7_000 + number: name for number, name in enumerate(WAYS)}


@asynccontextmanager
async def shops(tmp_path: Path, start: StartGolub, seed: int) -> AsyncGenerator[tuple[Scene, float]]:
    """A shop for each way, all of them imported and with a webhook; then the API fails, and a server is started.

    With them comes when that was: monotonic seconds.
    """
    bound, avito_url = bind()
    log = tmp_path / "oracle.jsonl"
    simulator = Simulator(log, seed=seed, base_url=avito_url)
    for user_id, name in names().items():
        shop = simulator.add_account(user_id, name)
        for number in range(2):
            chat = simulator.add_chat(shop, f"Покупатель {number}")
            for told in range(HISTORY // 2):
                simulator.buyer_says(chat, f"Раньше {told}", quiet=True, at=simulator.now() - 1000 + told)
    own_url = free_address()
    chosen: dict[str, Any] = {
        "data_dir": tmp_path / "golub",
        "port": own_url.rpartition(":")[2],
        "public_url": own_url,
        "avito_url": avito_url,
        "allow_loopback_webhook": "true",
        "sweep_period": "5",
    }
    settings = Settings.model_validate(chosen)
    async with serving(simulator, bound):
        async with Golub(settings).working() as parts:
            for shop in simulator.world.accounts.values():
                account = (await parts.accounts.connect(shop.client_id, shop.client_secret)).account
                url = parts.subscriptions.recommended_url()
                await parts.subscriptions.register(account.id, url, DEFAULT_EVENT_TYPES, skip_probe=True)
            await imported(parts)
        for user_id, name in names().items():
            for operation, how in WAYS[name].faults:
                only = simulator.world.accounts[user_id]
                lasting: dict[str, Any] = {"times": None, **how}
                simulator.fault(operation, account=only, **lasting)
        simulator.calls.clear()
        given = {f"GOLUB_{name.upper()}": str(value) for name, value in chosen.items()}
        began = time.monotonic()
        golub = await start("serve", **given)
        golub.folder = settings.data_dir
        yield Scene(simulator, golub, settings, Random(seed), log), began


async def imported(parts: Parts) -> None:
    """Until all that was said before is here."""
    parts.backfill.nudge()
    async with asyncio.timeout(PATIENCE):
        while True:
            async with parts.store.read() as session:
                found = await session.scalar(select(func.count()).select_from(Message))
            if found == HISTORY * len(WAYS):
                return
            await asyncio.sleep(0.1)  # between two looks


async def shown(town: Scene) -> Counter[int]:
    """Messages of each shop that are not deleted."""
    store = Store(town.settings.effective_database_url)
    try:
        async with store.read() as session:
            kept = select(Account.user_id, func.count()).join(Message, Message.account_id == Account.id)
            rows = await session.execute(kept.where(Message.deleted_at.is_(None)).group_by(Account.user_id))
            return Counter({row[0]: row[1] for row in rows})
    finally:
        await store.close()


async def states_of(town: Scene) -> dict[str, str]:
    store = Store(town.settings.effective_database_url)
    try:
        async with store.read() as session:
            rows = await session.execute(select(Account.user_id, Account.state))
            return {names()[row[0]]: row[1] for row in rows}
    finally:
        await store.close()
