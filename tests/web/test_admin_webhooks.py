"""The page of webhooks: registering, warnings that can be overruled, the trial of step 4, giving up."""

from pathlib import Path
from typing import Any

import httpx2
import pytest

from golub.model import Role, SubscriptionState
from golub.store import Store
from golub.subscription import token_of
from golub.web.parts import Parts
from tests.conftest import ONE_DATABASE, SteppedClock
from tests.door import FOREIGN, PUBLIC, Answers, World
from tests.web.conftest import Browser, Visit

PAGE = "/admin/webhooks"


@pytest.fixture
def parts(world_parts: Parts) -> Parts:
    return world_parts


async def send(owner: Browser, path: str, **fields: Any) -> httpx2.Response:
    return await owner.client.post(f"{PAGE}/{path}", data={"csrf": owner.csrf, **fields})


def prefilled(page: str) -> str:
    """The address in the first form of the page."""
    return page.partition('name="url"')[2].partition('value="')[2].partition('"')[0]


async def registered(world: World) -> str:
    url = world.subscriptions.recommended_url()
    await world.subscriptions.register(world.account_id, url, ["message", "chat"])
    return url


@ONE_DATABASE
async def test_without_an_account_the_page_leads_to_the_accounts(world: World, owner: Browser) -> None:
    await world.accounts.remove(world.account_id)
    page = await owner.get(PAGE)
    assert page.status_code == 200
    assert 'href="/admin/accounts"' in page.text
    assert 'name="url"' not in page.text


@ONE_DATABASE
async def test_the_form_has_the_recommended_address_and_two_types_ticked(world: World, owner: Browser) -> None:
    page = (await owner.get(PAGE)).text
    url = prefilled(page)
    assert url.startswith(f"{PUBLIC}/webhook/avito/")
    assert page.count(" checked") == 2
    assert 'value="message" checked' in page
    assert 'value="chat" checked' in page
    assert "Register the webhook" in page

    answer = await send(owner, str(world.account_id), url=url, types=["message", "chat"])
    assert answer.status_code == 303
    assert world.shop.subscription == url
    after = (await owner.get(answer.headers["location"])).text
    assert "The webhook is registered for Велосипеды." in after
    assert "Active" in after


@ONE_DATABASE
async def test_a_page_shows_no_secret_before_a_click(world: World, owner: Browser) -> None:
    url = await registered(world)
    secret = token_of(url) or "?"
    page = (await owner.get(PAGE)).text
    assert secret not in page
    assert f"{PUBLIC}/webhook/avito/••••••••" in page
    assert url in (await owner.get(f"{PAGE}/{world.account_id}/url")).text
    assert url in (await owner.get(f"{PAGE}?edit={world.account_id}")).text
    fresh = prefilled((await owner.get(f"{PAGE}?edit={world.account_id}&fresh=true")).text)
    assert token_of(fresh) not in (secret, "", None)


@ONE_DATABASE
async def test_no_number_in_the_address_breaks_the_page(owner: Browser) -> None:
    for number, status in ((424242, 200), (2**63, 422), (-1, 422)):
        assert (await owner.get(f"{PAGE}?edit={number}")).status_code == status


@ONE_DATABASE
async def test_a_missing_public_address_is_explained_and_can_be_typed(
    store: Store, clock: SteppedClock, tmp_path: Path, owner: Browser, parts: Parts
) -> None:
    parts.settings = parts.settings.model_copy(update={"public_url": ""})
    parts.subscriptions._settings = parts.settings
    page = (await owner.get(PAGE)).text
    assert "GOLUB_PUBLIC_URL" in page
    assert prefilled(page) == ""


@ONE_DATABASE
async def test_an_address_at_another_host_is_taken_and_remarked_upon(world: World, owner: Browser) -> None:
    answer = await send(owner, str(world.account_id), url="https://proxy.example.org/webhook/avito", types=["message"])
    page = (await owner.get(answer.headers["location"])).text
    assert "The address leads to proxy.example.org, and Golub is known as golub.example.ru" in page
    assert "The address has no secret in it" in page


@ONE_DATABASE
async def test_a_bad_address_brings_the_form_back_with_words(world: World, owner: Browser) -> None:
    answer = await send(owner, str(world.account_id), url="https://192.168.0.5/webhook/avito", types=["message"])
    assert answer.status_code == 400
    assert "192.168.0.5 is an address inside a private network" in answer.text
    assert prefilled(answer.text) == "https://192.168.0.5/webhook/avito"
    nothing = await send(owner, str(world.account_id), url=f"{PUBLIC}/webhook/avito")
    assert "Choose at least one kind of event." in nothing.text
    hostile = await send(owner, str(world.account_id), url='"><script>alert(1)</script>', types=["message"])
    assert "<script>alert" not in hostile.text
    assert world.called("postWebhookV3") == 0


@ONE_DATABASE
async def test_a_failed_try_warns_and_can_be_overruled(world: World, owner: Browser) -> None:
    world.way.ends.append(Answers(404))
    url = prefilled((await owner.get(PAGE)).text)
    warned = await send(owner, str(world.account_id), url=url, types=["message"])
    assert warned.status_code == 409
    assert "The server answered 404" in warned.text
    assert "Register all the same" in warned.text
    assert prefilled(warned.text) == url
    assert world.shop.subscription is None
    assert 'name="skip_probe" value="true"' in warned.text
    done = await send(owner, str(world.account_id), url=url, types=["message"], skip_probe="true")
    assert done.status_code == 303
    assert world.shop.subscription == url


@ONE_DATABASE
async def test_another_service_is_named_and_replaced_after_consent(world: World, owner: Browser) -> None:
    world.avito.steal_subscription(world.shop, FOREIGN)
    assert "crm.example.com" in (await owner.get(f"{PAGE}/{world.account_id}/listed")).text
    url = prefilled((await owner.get(PAGE)).text)
    asked = await send(owner, str(world.account_id), url=url, types=["message"])
    assert asked.status_code == 409
    assert "Replace crm.example.com" in asked.text
    assert 'name="foreign_host" value="crm.example.com"' in asked.text
    assert world.shop.subscription == FOREIGN
    done = await send(owner, str(world.account_id), url=url, types=["message"], foreign_host="crm.example.com")
    assert done.status_code == 303
    assert world.shop.subscription == url


@ONE_DATABASE
async def test_what_avito_lists_is_told_before_registering(world: World, owner: Browser) -> None:
    listed = f"{PAGE}/{world.account_id}/listed"
    assert "Avito calls nobody" in (await owner.get(listed)).text
    world.shop.subscription = f"{PUBLIC}/webhook/avito"
    assert "still calls an address of Golub" in (await owner.get(listed)).text
    world.avito.fault("getSubscriptions", status=503)
    away = await owner.get(listed)
    assert away.status_code == 200
    assert "has not told us" in away.text


async def test_editing_the_types_and_the_address(world: World, owner: Browser) -> None:
    old = await registered(world)
    answer = await send(owner, str(world.account_id), url=old, types=["user"])
    assert answer.headers["location"].startswith(f"{PAGE}?done=changed")
    webhook = await world.subscriptions.get(world.account_id)
    assert (await world.subscriptions.url_of(webhook), webhook.types) == (old, ["user"])
    new = world.subscriptions.recommended_url()
    await send(owner, str(world.account_id), url=new, types=["user"])
    assert world.shop.subscription == new


@ONE_DATABASE
@pytest.mark.parametrize(
    ("state", "words"),
    [
        (SubscriptionState.ACTIVE, "Active: Avito calls this address"),
        (SubscriptionState.MISSING, "Register again"),
        (SubscriptionState.FOREIGN, "Give Golub its place back"),
        (SubscriptionState.UNKNOWN, "Avito has not told us whether the subscription stands"),
    ],
)
async def test_the_status_is_what_avito_says(
    world: World, owner: Browser, state: SubscriptionState, words: str
) -> None:
    await registered(world)
    if state is SubscriptionState.MISSING:
        world.shop.subscription = None
    elif state is SubscriptionState.FOREIGN:
        world.avito.steal_subscription(world.shop, FOREIGN)
    elif state is SubscriptionState.UNKNOWN:
        world.avito.fault("getSubscriptions", status=503)
    await world.subscriptions.check(world.account_id)
    assert words in (await owner.get(PAGE)).text


@ONE_DATABASE
async def test_a_lost_or_stolen_place_is_taken_back_by_one_button(world: World, owner: Browser) -> None:
    url = await registered(world)
    world.shop.subscription = None
    assert (await send(owner, f"{world.account_id}/again")).status_code == 303
    assert world.shop.subscription == url
    world.avito.steal_subscription(world.shop, FOREIGN)
    asked = await send(owner, f"{world.account_id}/again")
    assert asked.status_code == 409
    assert "Replace crm.example.com" in asked.text
    await send(owner, f"{world.account_id}/again", foreign_host="crm.example.com")
    assert world.shop.subscription == url


@ONE_DATABASE
async def test_deleting(world: World, owner: Browser) -> None:
    await registered(world)
    answer = await send(owner, f"{world.account_id}/remove")
    assert "The webhook of Велосипеды was removed." in (await owner.get(answer.headers["location"])).text
    assert world.shop.subscription is None
    assert (await send(owner, f"{world.account_id}/remove")).status_code == 303  # a second click is no error


async def test_deleting_leaves_another_service_alone_and_says_so(world: World, owner: Browser) -> None:
    await registered(world)
    world.avito.steal_subscription(world.shop, FOREIGN)
    answer = await send(owner, f"{world.account_id}/remove")
    page = (await owner.get(answer.headers["location"])).text
    assert "Avito goes on calling crm.example.com" in page
    assert world.shop.subscription == FOREIGN


async def test_the_trial_shows_each_step_and_then_the_first_message(world: World, owner: Browser) -> None:
    """The guide's step 4."""
    await registered(world)
    async with world.applying() as applier:
        walked = (await send(owner, f"{world.account_id}/walk")).text
        for step in (
            "The name leads to 93.184.216.34",
            "Golub received this very request",
            "Avito calls this address",
        ):
            assert step in walked
        first = walked.partition('hx-get="')[2].partition('"')[0]
        assert "Waiting for the first message" in (await owner.get(first)).text
        world.clock.step(5_000)
        world.avito.buyer_says(world.avito.add_chat(world.shop), "Здравствуйте")
        await world.avito.idle()
        assert applier.wait_applied(10)
    come = (await owner.get(first)).text
    assert "The first message is here" in come
    assert "hx-get" not in come


@ONE_DATABASE
async def test_the_trial_of_a_broken_address_says_what_to_mend(world: World, owner: Browser) -> None:
    await registered(world)
    world.way.ends.append(Answers(502))
    walked = (await send(owner, f"{world.account_id}/walk")).text
    assert "The proxy answered 502" in walked
    assert "Waiting for the first message" not in walked


@ONE_DATABASE
async def test_only_super_administrators_come_here(world: World, visit: Visit) -> None:
    await registered(world)
    for role in (Role.MANAGER, Role.ADMIN):
        browser = await visit(role)
        assert (await browser.get(PAGE)).status_code == 403
        for path in ("", "/again", "/remove", "/walk"):
            assert (await browser.post(f"{PAGE}/{world.account_id}{path}")).status_code == 403
        assert (await browser.get(f"{PAGE}/{world.account_id}/url")).status_code == 403
    assert await world.subscriptions.find(world.account_id)


@ONE_DATABASE
@pytest.mark.parametrize("locale", ["ru", "en"])
async def test_the_page_speaks_the_operators_language(world: World, owner: Browser, parts: Parts, locale: str) -> None:
    assert owner.operator
    await parts.operators.set_locale(owner.operator.id, locale)
    page = (await owner.get(PAGE)).text
    assert ("Зарегистрировать Webhook" in page) == (locale == "ru")
    assert ("Register the webhook" in page) == (locale == "en")
