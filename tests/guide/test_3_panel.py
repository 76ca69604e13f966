"""The guide, 3: the page of webhooks, as a super_admin uses it."""

import re

import pytest

from golub.model import Role
from golub.simulator import Account
from tests.guide.page import Page
from tests.guide.town import PUBLIC, Browser, Town

FOREIGN = "https://crm.example.com/hooks/avito?key=1"


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One database: what is behind these pages is proved on both by its own tests."""
    return sqlite_url


@pytest.fixture
async def keys(town: Town, boss: Browser) -> Account:
    """A shop that is connected, without a webhook."""
    keys = town.sim.add_account(7_002, "Диваны")
    await town.connect(boss, keys)
    return keys


def path(town: Town, shop: Account, more: str = "") -> str:
    return f"/admin/webhooks/{town.accounts[shop.user_id]}{more}"


def called(town: Town, operation: str) -> int:
    return sum(call.operation == operation for call in town.sim.calls)


async def test_it_is_for_super_admins_only(town: Town, boss: Browser) -> None:
    assert (await boss.open("/admin/webhooks")).status == 200
    assert "/admin/webhooks" in {link["href"] for link in (await boss.open("/inbox")).all("a")}
    for role in (Role.ADMIN, Role.MANAGER):
        browser = await town.sign_in(role)
        assert (await browser.open("/admin/webhooks")).status == 403
        assert "/admin/webhooks" not in {link["href"] for link in (await browser.open("/inbox")).all("a")}
    stranger = await town.stranger()
    assert (await stranger.open("/admin/webhooks")).url == f"{PUBLIC}/sign-in?next=/admin/webhooks"


async def test_the_form_is_filled_in_and_the_registered_webhook_is_told(
    town: Town, boss: Browser, keys: Account
) -> None:
    page = await boss.open("/admin/webhooks")
    form = page.form(path(town, keys))
    url = form["url"]
    assert url.startswith(f"{PUBLIC}/webhook/avito/")
    assert len(url.rpartition("/")[2]) == 43
    assert form.every("types") == ["message", "chat"]
    assert [box["value"] for box in page.all("input", type="checkbox", name="types")] == ["message", "chat", "user"]
    assert "Зарегистрировать Webhook" in page.buttons

    page = await boss.send(page, path(town, keys))
    assert "done=registered" in page.url, page.text
    assert keys.subscription == url
    card = page.within(f"account-{town.accounts[keys.user_id]}")
    for words in (
        "Активен",
        f"{PUBLIC}/webhook/avito/",
        "Сообщения, Чаты",
        "Создан",
        "Последняя доставка пока не было",
    ):
        assert words in card
    assert "Последняя ошибка нет" in card
    assert url.rpartition("/")[2] not in page.markup  # the secret is masked …
    shown = await boss.open(path(town, keys, "/url"))
    assert shown.all("input")[0]["value"] == keys.subscription  # … and shown when asked for

    town.sim.buyer_says(town.sim.add_chat(keys), "Добрый день")
    town.sim.emit(keys, b"not json")
    await town.applied()
    card = (await boss.open("/admin/webhooks")).within(f"account-{town.accounts[keys.user_id]}")
    assert "Последняя доставка пока не было" not in card
    assert "карантин" in card


async def test_the_status_is_what_avito_says(town: Town, boss: Browser, shop: Account) -> None:
    account = town.accounts[shop.user_id]
    for subscription, stolen, words in (
        (None, False, "Неактивен"),
        (FOREIGN, True, "crm.example.com"),
        (shop.subscription, False, "Активен"),
    ):
        shop.subscription, shop.stolen = subscription, stolen
        await town.parts.subscriptions.check(account)  # what runs regularly
        page = await boss.open("/admin/webhooks")
        assert words in page.within(f"account-{account}")


async def test_editing_types_and_the_address(town: Town, boss: Browser, shop: Account) -> None:
    account = town.accounts[shop.user_id]
    old = shop.subscription
    page = await boss.open(f"/admin/webhooks?edit={account}")
    assert page.form(path(town, shop))["url"] == old
    page = await boss.send(page, path(town, shop), types=["message", "user"])
    assert "done=changed" in page.url
    assert "Сообщения, Пользователи" in page.text
    assert "изменён" in page.within(f"account-{account}")
    assert called(town, "postWebhookV3") == 1  # types are our own filter

    page = await boss.open(f"/admin/webhooks?edit={account}")
    page = await boss.send(page, path(town, shop), types=[])
    assert page.status == 400
    assert "Выберите" in page.text

    page = await boss.open(f"/admin/webhooks?edit={account}")
    page = await boss.send(page, path(town, shop), url=f"{PUBLIC}/webhook/avito/{'Ab3_-xYz09Qw' * 3}1234567")
    assert "done=changed" in page.url, page.text
    assert shop.subscription != old
    outside = await town.client()
    assert old
    assert (await outside.post(old, content=b"{}")).status_code == 200  # what is on its way still comes in


async def test_one_row_an_account(town: Town, boss: Browser, shop: Account, keys: Account) -> None:
    page = await boss.open("/admin/webhooks")
    assert len(page.ids("account-")) == 2
    assert "Велосипеды" in page.within(f"account-{town.accounts[shop.user_id]}")
    assert "Диваны" in page.within(f"account-{town.accounts[keys.user_id]}")
    page = await boss.send(page, path(town, keys))
    assert "done=registered" in page.url
    assert shop.subscription != keys.subscription


UNFIT = (
    "",
    "http://golub.example.ru/webhook/avito",
    "ftp://golub.example.ru/webhook/avito",
    "https://localhost/webhook/avito",
    "https://127.0.0.1/webhook/avito",
    "https://192.168.1.5/webhook/avito",
    "https://10.0.0.1/webhook/avito",
    "https://[::1]/webhook/avito",
    "https://169.254.169.254/webhook/avito",
    "https://0x7f.1/webhook/avito",
    "https://server.lan/webhook/avito",
    "https://golub/webhook/avito",
    "https://golub.example.ru:8443/webhook/avito",
    "https://me:pw@golub.example.ru/webhook/avito",
    "https://golub.example.ru/elsewhere",
    "https://golub.example.ru/webhook/avito/short",
    "https://golub .example.ru/webhook/avito",
    "golub.example.ru/webhook/avito",
    "нет",
)


async def test_scheme_and_shape_block_in_words_that_help(town: Town, boss: Browser, keys: Account) -> None:
    for url in UNFIT:
        page = await town.register(boss, keys, url=url)
        assert page.status == 400, url
        assert page.form(path(town, keys))["url"] == url  # nothing typed is lost
        (field,) = page.all("input", name="url")
        assert field["aria-invalid"] == "true"
        note = page.within(field["aria-describedby"])
        assert re.search("[а-я]{3} ", note), note
    assert keys.subscription is None
    assert called(town, "postWebhookV3") == 0


async def test_a_failed_probe_warns_and_may_be_overridden(town: Town, boss: Browser, keys: Account) -> None:
    door, town.street.leads_to = town.street.leads_to, 502
    page = await town.register(boss, keys)
    assert page.status == 409
    assert "502" in page.text
    assert keys.subscription is None
    assert "Зарегистрировать всё равно" in page.buttons
    page = await boss.send(page, path(town, keys))
    assert "done=registered" in page.url, page.text
    town.street.leads_to = door
    town.sim.buyer_says(town.sim.add_chat(keys), "Дошло?")
    await town.applied()
    assert "Дошло?" in (await boss.open("/inbox")).text


async def test_another_services_url_is_named_and_replaced_only_after_confirmation(
    town: Town, boss: Browser, keys: Account
) -> None:
    town.sim.steal_subscription(keys, FOREIGN)
    told = await boss.open(path(town, keys, "/listed"))  # what the open form asks Avito for
    assert "crm.example.com" in told.text
    page = await town.register(boss, keys)
    assert page.status == 409
    assert keys.subscription == FOREIGN
    assert "crm.example.com" in page.text
    assert "Заменить crm.example.com" in page.buttons
    assert "key=1" not in page.markup  # the other service's secret is none of ours

    town.sim.steal_subscription(keys, "https://third.example.net/")  # meanwhile somebody else was faster
    page = await boss.send(page, path(town, keys))
    assert page.status == 409
    assert "Заменить third.example.net" in page.buttons
    page = await boss.send(page, path(town, keys))
    assert "done=registered" in page.url, page.text
    assert keys.subscription
    assert keys.subscription.startswith(PUBLIC)


async def test_delete_removes_ours_and_never_touches_a_foreign_one(town: Town, boss: Browser, shop: Account) -> None:
    page = await boss.open("/admin/webhooks")
    assert "Удалить" in page.buttons
    page = await boss.send(page, path(town, shop, "/remove"))
    assert "done=removed" in page.url
    assert shop.subscription is None
    assert "Зарегистрировать Webhook" in page.buttons

    page = await town.register(boss, shop)
    assert "done=registered" in page.url, page.text
    town.sim.steal_subscription(shop, FOREIGN)
    page = await boss.send(await boss.open("/admin/webhooks"), path(town, shop, "/remove"))
    assert "crm.example.com" in page.text
    assert shop.subscription == FOREIGN


async def test_check_walks_step_by_step_and_then_waits_for_the_first_message(
    town: Town, boss: Browser, shop: Account
) -> None:
    page = await boss.open("/admin/webhooks")
    (button,) = [one for one in page.all("button") if one.get("hx-post", "").startswith(path(town, shop))]
    csrf = page.form(path(town, shop, "/remove"))["csrf"]
    headers = {"X-CSRF-Token": csrf, "HX-Request": "true"}
    walked = Page((await boss.client.post(button["hx-post"], headers=headers)).text)
    steps = walked.all("li")
    assert [step["class"].split()[-1] for step in steps] == ["walk-good"] * 5
    for words in ("93.184.216.34", "Golub получил именно этот запрос", "Ждём первое сообщение"):
        assert words in walked.text
    (waiting,) = [one["hx-get"] for one in walked.all("div") if "hx-get" in one]
    assert "Ждём первое сообщение" in (await boss.open(waiting)).text

    town.sim.buyer_says(town.sim.add_chat(shop), "Первое!")
    await town.applied()
    assert "Первое сообщение пришло" in (await boss.open(waiting)).text

    town.street.leads_to = 404
    walked = Page((await boss.client.post(button["hx-post"], headers=headers)).text)
    assert "walk-bad" in walked.markup
    assert "404" in walked.text
    assert "Ждём первое сообщение" not in walked.text
