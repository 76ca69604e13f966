"""The page of one account: each of its states as the simulator brings it about, with words that say what to do."""

import re
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from golub.clock import DAY, HOUR, MINUTE
from golub.errors import NOT_PAID
from golub.model import Condition, Role, Standing, standing_of
from golub.web.admin.account import LEAST_HEIGHT, bars_of
from golub.web.parts import Parts
from tests import village
from tests.conftest import ONE_DATABASE, SteppedClock
from tests.door import FOREIGN
from tests.village import Village
from tests.web.conftest import Browser, Visit


@pytest.fixture
async def town(database_url: str, tmp_path: Path, clock: SteppedClock) -> AsyncGenerator[Village]:
    async with village.village(database_url, tmp_path, clock) as made:
        yield made


@pytest.fixture
def parts(town: Village) -> Parts:
    return town.parts


def page_of(town: Village) -> str:
    return f"/admin/accounts/{town.account_id}"


async def page(town: Village, browser: Browser) -> str:
    """Its words, without the markup."""
    answer = await browser.get(page_of(town))
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text)).replace("&#39;", "'")


async def standing(town: Village) -> Standing:
    account = await town.parts.accounts.get(town.account_id)
    holdings = await town.parts.accounts.holdings(town.account_id)
    return standing_of(account, account.webhook, unread_history=holdings.unread_history)


async def write(town: Village, *, quiet: bool = False) -> None:
    chat = next(iter(town.seller.chats.values()), None) or town.sim.add_chat(town.seller)
    town.sim.buyer_says(chat, "вопрос", quiet=quiet)
    await town.arrived()


async def test_fresh_importing_and_healthy_follow_each_other(town: Village, owner: Browser) -> None:
    assert await standing(town) == Standing(Condition.FRESH, "no_webhook")
    assert "The webhook is not registered yet" in await page(town, owner)

    shop = town.sim.add_account(7, "Лодки")
    for number in range(3):
        chat = town.sim.add_chat(shop, created=town.clock() // 1000 - 900)
        town.sim.buyer_says(chat, f"давно {number}", quiet=True, at=town.clock() // 1000 - 900)
    town.account_id = (await town.parts.accounts.connect(shop.client_id, shop.client_secret)).account.id
    assert await standing(town) == Standing(Condition.FRESH, "starting")
    assert "Just connected" in await page(town, owner)
    await town.parts.backfill.run_once()
    assert await standing(town) == Standing(Condition.IMPORTING)
    assert "The history of its chats is coming in" in await page(town, owner)
    await town.work()
    await town.register()
    assert await standing(town) == Standing(Condition.HEALTHY)
    words = await page(town, owner)
    assert "All is well" in words
    assert "3 chats, 3 messages" in words


@ONE_DATABASE
async def test_stolen_is_named_and_taken_back_with_one_click(town: Village, owner: Browser, visit: Visit) -> None:
    url = await town.register()
    town.sim.steal_subscription(town.seller, FOREIGN)
    await town.pass_time(11 * MINUTE, by=MINUTE)
    assert await standing(town) == Standing(Condition.STOLEN)
    words = await page(town, owner)
    assert "Avito now sends the messages to crm.example.com" in words
    assert "Another service, crm.example.com, has taken the subscription" in words
    assert "A super administrator can take the place back" in await page(town, await visit(Role.ADMIN))
    await owner.post(f"/admin/webhooks/{town.account_id}/again", {"foreign_host": "crm.example.com"})
    assert town.seller.subscription == url
    assert await standing(town) == Standing(Condition.HEALTHY)


@ONE_DATABASE
async def test_unpaid_and_no_rights_are_told_apart_and_end_by_themselves(town: Village, owner: Browser) -> None:
    await town.register()
    town.seller.paid = False
    await town.pass_time(6 * MINUTE, by=MINUTE)
    assert await standing(town) == Standing(Condition.UNPAID)
    assert (await town.parts.accounts.get(town.account_id)).state_detail == NOT_PAID
    words = await page(town, owner)
    assert "not paid for at Avito" in words
    assert "Renew the plan at Avito" in words
    town.seller.paid = True
    await town.pass_time(6 * MINUTE, by=MINUTE)
    assert await standing(town) == Standing(Condition.HEALTHY)

    town.sim.fault("getChatsV2", status=403, body={"error": {"code": 403, "message": "permission denied"}}, times=None)
    await town.pass_time(6 * MINUTE, by=MINUTE)
    assert await standing(town) == Standing(Condition.NO_RIGHTS)
    words = await page(town, owner)
    assert "Avito refuses the messenger for this account" in words
    assert "Avito's words: permission denied" in words


@ONE_DATABASE
async def test_wrong_keys_ask_for_new_ones_of_the_same_shop(town: Village, owner: Browser) -> None:
    await town.register()
    town.sim.expire_tokens(town.seller)
    town.seller.client_secret = "issued-anew"
    await town.pass_time(6 * MINUTE, by=MINUTE)
    assert await standing(town) == Standing(Condition.WRONG_KEYS)
    assert "Enter the new keys: chats and settings stay." in await page(town, owner)

    other = town.sim.add_account(7, "Лодки")
    keys = {"client_id": other.client_id, "client_secret": other.client_secret}
    refused = await owner.post(f"{page_of(town)}/keys", keys)
    assert refused.status_code == 400
    assert "These keys belong to another shop, Лодки." in refused.text
    assert len(await town.parts.accounts.list()) == 1
    wrong = await owner.post(f"{page_of(town)}/keys", {"client_id": "x", "client_secret": "not-the-secret"})
    assert (wrong.status_code, "not-the-secret" in wrong.text) == (400, False)

    keys = {"client_id": town.seller.client_id, "client_secret": "issued-anew"}
    assert (await owner.post(f"{page_of(town)}/keys", keys)).status_code == 303
    await town.turn(MINUTE)
    assert await standing(town) == Standing(Condition.HEALTHY)
    words = await page(town, owner)
    assert "New keys were entered" in words
    assert "Avito refuses the keys" in words


@ONE_DATABASE
async def test_degraded_says_what_is_late(town: Village, owner: Browser) -> None:
    await town.register()
    await town.turn(MINUTE)
    town.sim.fault("*", status=503, times=None)
    for _ in range(4):
        await town.turn(2 * MINUTE)
    assert await standing(town) == Standing(Condition.DEGRADED, "unreachable")
    assert "Replies wait in the queue and go out by themselves" in await page(town, owner)
    town.sim.faults.clear()
    await town.pass_time(12 * MINUTE, by=MINUTE)
    assert await standing(town) == Standing(Condition.HEALTHY)

    town.seller.subscription = None
    await town.pass_time(11 * MINUTE, by=MINUTE)
    assert await standing(town) == Standing(Condition.DEGRADED, "missing")
    assert "Register again" in await page(town, owner)
    await owner.post(f"/admin/webhooks/{town.account_id}/again")
    assert await standing(town) == Standing(Condition.HEALTHY)

    town.sim.fault("webhook", times=None)
    for _ in range(4):
        await town.turn(MINUTE)
        await write(town)
    await town.pass_time(12 * MINUTE, by=MINUTE)
    assert await standing(town) == Standing(Condition.DEGRADED, "deaf")
    assert "Buyers write, and Avito sends nothing" in await page(town, owner)


@ONE_DATABASE
async def test_pausing_and_resuming(town: Village, owner: Browser, visit: Visit) -> None:
    await town.register()
    admin = await visit(Role.ADMIN)
    assert (await admin.post(f"{page_of(town)}/pause")).status_code == 303
    assert await standing(town) == Standing(Condition.PAUSED)
    words = await page(town, admin)
    assert "Webhooks are still received and kept" in words
    assert "Resume" in words
    assert "Nobody can reply until the account is resumed." in (await admin.get("/admin/accounts")).text
    refused = await owner.post(f"/admin/webhooks/{town.account_id}/again")
    assert "This account is paused" in refused.text
    assert (await admin.post(f"{page_of(town)}/resume")).status_code == 303
    await town.turn(MINUTE)
    assert await standing(town) == Standing(Condition.HEALTHY)
    assert {"Paused by a person", "Resumed by a person"} <= set(re.findall(r"\w+ by a person", await page(town, admin)))


@ONE_DATABASE
async def test_self_repair_is_for_super_administrators_to_allow(town: Village, owner: Browser, visit: Visit) -> None:
    await town.register()
    admin = await visit(Role.ADMIN)
    assert (await admin.post(f"{page_of(town)}/self-repair", {"allowed": "true"})).status_code == 403
    assert "Let Golub do it by itself" not in await page(town, admin)
    assert "Let Golub do it by itself" in await page(town, owner)
    await owner.post(f"{page_of(town)}/self-repair", {"allowed": "true"})
    assert (await town.parts.subscriptions.get(town.account_id)).self_repair
    assert "Golub takes a lost subscription back by itself." in await page(town, owner)
    await owner.post(f"{page_of(town)}/self-repair", {})
    assert not (await town.parts.subscriptions.get(town.account_id)).self_repair


@ONE_DATABASE
async def test_coverage_is_drawn_and_told_and_what_a_sweep_cost(town: Village, owner: Browser) -> None:
    await town.register()
    town.clock.now = (town.clock() // DAY + 1) * DAY + 10 * HOUR + 2 * MINUTE
    chats = [town.sim.add_chat(town.seller) for _ in range(3)]
    for chat in chats:
        town.sim.buyer_says(chat, "первый вопрос")
    await town.arrived()
    await town.work()  # chats that nobody knows are read at once
    for chat in chats:
        town.sim.buyer_says(chat, "мимо", quiet=True)
        town.clock.step(30_000)
    for number in range(997):
        town.sim.buyer_says(chats[number % 3], f"вопрос {number}")
    await town.arrived()
    await town.pass_time(4 * MINUTE, by=MINUTE)
    words = await page(town, owner)
    assert "99.7&nbsp;%" in words
    assert re.search(r"3: 1\d:02–1\d:03", words)  # by the clock of whoever reads
    account = await town.parts.accounts.get(town.account_id)
    assert account.sweep_changed == 3
    assert f"{account.sweep_requests} requests for 3 changed chats" in words
    assert 7 <= account.sweep_requests <= 30
    markup = (await owner.get(page_of(town))).text
    assert markup.count('class="chart-brought" x=') == 14
    assert "style=" not in markup
    await town.pass_time(6 * MINUTE, by=MINUTE)
    assert "1 request for 0 changed chats" in await page(town, owner)


@ONE_DATABASE
async def test_the_rest(town: Village, owner: Browser, visit: Visit) -> None:
    assert (await owner.get("/admin/accounts/999")).status_code == 404
    manager = await visit(Role.MANAGER)
    assert (await manager.get(page_of(town))).status_code == 403
    assert (await manager.post(f"{page_of(town)}/pause")).status_code == 403
    assert "There is nothing to count before the webhook is registered." in await page(town, owner)


def test_a_single_missed_message_among_thousands_is_drawn() -> None:
    from golub.coverage import Day, Tally

    (busy, quiet, small) = bars_of([Day(0, Tally(5000, 4999)), Day(1, Tally()), Day(2, Tally(1, 0))])
    assert (busy.brought + busy.missed, busy.missed) == (120, LEAST_HEIGHT)
    assert (quiet.brought, quiet.missed) == (0, 0)
    assert (small.brought, small.missed) == (0, LEAST_HEIGHT)
