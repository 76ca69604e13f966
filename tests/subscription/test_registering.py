"""Registering: what Avito calls and what our door knows stay in step, and no other service is touched unasked."""

import pytest

from golub.clock import HOUR, MINUTE
from golub.errors import Invalid, Paced, Unavailable
from golub.model import SubscriptionState
from golub.subscription import (
    ForeignSubscription,
    ProbeFailed,
    mask,
    token_of,
)
from golub.subscription.url import hash_of
from tests import shop
from tests.conftest import ONE_DATABASE
from tests.door import FOREIGN, PUBLIC, Answers, World


async def test_the_recommended_url_is_registered_and_opens_our_door(world: World) -> None:
    url = world.subscriptions.recommended_url()
    assert url.startswith(f"{PUBLIC}/webhook/avito/")
    assert url != world.subscriptions.recommended_url()

    webhook = await world.subscriptions.register(world.account_id, url, ["chat", "message"])
    assert (await world.subscriptions.url_of(webhook), webhook.types) == (url, ["message", "chat"])
    assert webhook.subscription == SubscriptionState.ACTIVE
    assert webhook.created_at == webhook.updated_at == world.clock()
    assert world.shop.subscription == url
    assert await world.opens(url)


async def test_a_secret_is_durable_before_avito_hears_of_it(world: World) -> None:
    url = world.subscriptions.recommended_url()
    world.avito.fault("postWebhookV3", status=500, times=None)
    with pytest.raises(Unavailable):
        await world.subscriptions.register(world.account_id, url, ["message"])
    assert world.spool.find_token(hash_of(token_of(url) or "")) is not None
    (token,) = await world.tokens()
    assert shop.VAULT.open(token.token) == token_of(url)
    assert await world.subscriptions.find(world.account_id) is None


async def test_the_secret_is_in_no_row_in_the_clear_but_the_url(world: World) -> None:
    url = world.subscriptions.recommended_url()
    await world.subscriptions.register(world.account_id, url, ["message"])
    (token,) = await world.tokens()
    assert (token_of(url) or "").encode() not in token.token + token.hash


async def test_the_same_url_twice_is_harmless(world: World) -> None:
    url = world.subscriptions.recommended_url()
    first = await world.subscriptions.register(world.account_id, url, ["message"])
    world.clock.step(HOUR)
    again = await world.subscriptions.register(world.account_id, url, ["message", "user"])
    assert (again.id, again.created_at, again.types) == (first.id, first.created_at, ["message", "user"])
    assert again.updated_at == world.clock()
    assert len(await world.tokens()) == 1


async def test_an_answer_that_is_lost_is_looked_up(world: World) -> None:
    url = world.subscriptions.recommended_url()
    world.avito.fault("postWebhookV3", status=502, after=True)
    webhook = await world.subscriptions.register(world.account_id, url, ["message"])
    assert webhook.subscription == SubscriptionState.ACTIVE


async def test_another_services_url_is_named_and_replaced_only_after_consent(world: World) -> None:
    world.avito.steal_subscription(world.shop, FOREIGN)
    url = world.subscriptions.recommended_url()
    with pytest.raises(ForeignSubscription) as caught:
        await world.subscriptions.register(world.account_id, url, ["message"])
    assert caught.value.fields["host"] == "crm.example.com"
    with pytest.raises(ForeignSubscription):  # consent to replace one service is none to replace another
        await world.subscriptions.register(world.account_id, url, ["message"], replace_foreign="other.example.com")
    assert world.shop.subscription == FOREIGN
    assert world.called("postWebhookV3") == 0

    await world.subscriptions.register(world.account_id, url, ["message"], replace_foreign="crm.example.com")
    assert world.shop.subscription == url


@ONE_DATABASE
@pytest.mark.parametrize("status", [404, 301, 500, 204])
async def test_a_url_that_does_not_answer_200_is_registered_only_all_the_same(world: World, status: int) -> None:
    world.way.ends.append(Answers(status))
    url = world.subscriptions.recommended_url()
    with pytest.raises(ProbeFailed) as caught:
        await world.subscriptions.register(world.account_id, url, ["message"])
    assert caught.value.call.status == status
    assert world.shop.subscription is None
    await world.subscriptions.register(world.account_id, url, ["message"], skip_probe=True)
    assert world.shop.subscription == url


async def test_a_bare_url_is_taken_and_needs_no_secret(world: World) -> None:
    webhook = await world.subscriptions.register(world.account_id, f"{PUBLIC}/webhook/avito/", ["message"])
    assert await world.subscriptions.url_of(webhook) == f"{PUBLIC}/webhook/avito"
    assert await world.tokens() == []


@ONE_DATABASE
@pytest.mark.parametrize(
    "url",
    [
        f"{PUBLIC}/hooks",
        f"{PUBLIC}/webhook/avito/short",
        f"{PUBLIC}/webhook/avito/{'a' * 43}",
        f"{PUBLIC}/webhook/avito?x=1",
        "http://golub.example.ru/webhook/avito",
        "https://localhost/webhook/avito",
    ],
)
async def test_a_url_of_a_bad_shape_never_reaches_avito(world: World, url: str) -> None:
    with pytest.raises(Invalid) as caught:
        await world.subscriptions.register(world.account_id, url, ["message"])
    assert caught.value.field == "url"
    assert world.avito.calls == []


@ONE_DATABASE
@pytest.mark.parametrize(("types", "words"), [([], "Types must be"), (["message", "call"], "Invalid type: call.")])
async def test_types_are_checked(world: World, types: list[str], words: str) -> None:
    with pytest.raises(Invalid, match=words):
        await world.subscriptions.register(world.account_id, world.subscriptions.recommended_url(), types)


async def test_the_secret_of_another_account_is_refused(world: World) -> None:
    other = await world.add_shop(7, "Лодки")
    url = world.subscriptions.recommended_url()
    await world.subscriptions.register(other, url, ["message"])
    with pytest.raises(Invalid, match="another account"):
        await world.subscriptions.register(world.account_id, url, ["message"])


async def test_types_alone_are_changed_without_a_word_to_avito(world: World) -> None:
    await world.subscriptions.register(world.account_id, world.subscriptions.recommended_url(), ["message"])
    before = len(world.avito.calls)
    webhook = await world.subscriptions.update(world.account_id, types=["user", "message"])
    assert webhook.types == ["message", "user"]
    assert len(world.avito.calls) == before


@ONE_DATABASE
async def test_six_tries_a_minute_and_no_more(world: World) -> None:
    url = world.subscriptions.recommended_url()
    for _ in range(6):
        await world.subscriptions.probe(world.account_id, url)
    with pytest.raises(Paced):
        await world.subscriptions.probe(world.account_id, url)
    world.clock.step(MINUTE)
    await world.subscriptions.probe(world.account_id, url)


def test_a_masked_url_shows_no_secret() -> None:
    url = f"{PUBLIC}/webhook/avito/{'x' * 43}"
    assert mask(url) == f"{PUBLIC}/webhook/avito/••••••••"
    assert mask(f"{PUBLIC}/webhook/avito") == f"{PUBLIC}/webhook/avito"
