"""Every operation once as documented, and each live oddity that a client must survive."""

import io

import httpx2
import pytest
from PIL import Image

from golub.simulator import Account, Chat, Item, Simulator
from tests.simulator.conftest import Clock, get_token

CHATS = "/messenger/v2/accounts/101/chats"


def messages_of(chat: Chat) -> str:
    return f"/messenger/v3/accounts/101/chats/{chat.id}/messages/"


def send_to(chat: Chat) -> str:
    return f"/messenger/v1/accounts/101/chats/{chat.id}/messages"


def png(width: int = 40, height: int = 30) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), (200, 30, 30)).save(out, "PNG")
    return out.getvalue()


async def test_token_of_a_key_pair_has_no_refresh_token(anyone: httpx2.AsyncClient, shop: Account) -> None:
    form = {"grant_type": "client_credentials", "client_id": "key", "client_secret": "secret"}
    answer = await anyone.post("/token", data=form)
    assert answer.status_code == 200
    assert answer.json() | {"access_token": ""} == {"access_token": "", "expires_in": 86400, "token_type": "Bearer"}


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"grant_type": "client_credentials", "client_id": "key", "client_secret": "wrong"}, 401),
        ({"grant_type": "client_credentials", "client_id": "nobody", "client_secret": "secret"}, 401),
        ({"grant_type": "password", "client_id": "key", "client_secret": "secret"}, 400),
        ({"grant_type": "refresh_token", "client_id": "key", "client_secret": "secret", "refresh_token": "x"}, 400),
        ({}, 400),
    ],
)
async def test_token_refusals(anyone: httpx2.AsyncClient, shop: Account, form: dict[str, str], status: int) -> None:
    assert (await anyone.post("/token", data=form)).status_code == status


async def test_refresh_tokens_rotate(anyone: httpx2.AsyncClient, sim: Simulator, shop: Account) -> None:
    keys = {"client_id": "key", "client_secret": "secret"}
    code = {"grant_type": "authorization_code", "code": sim.tokens.authorize(shop)} | keys
    first = (await anyone.post("/token", data=code)).json()
    assert (await anyone.post("/token", data=code)).status_code == 400
    again = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]} | keys
    second = (await anyone.post("/token", data=again)).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert (await anyone.post("/token", data=again)).status_code == 400
    anyone.headers["authorization"] = f"Bearer {second['access_token']}"
    assert (await anyone.get("/core/v1/accounts/self")).json()["id"] == 101


async def test_an_expired_token_is_403_in_its_own_shape(avito: httpx2.AsyncClient, time: Clock, shop: Account) -> None:
    assert (await avito.get(CHATS)).status_code == 200
    time.now += 86_400
    answer = await avito.get(CHATS)
    assert (answer.status_code, answer.json()) == (403, {"result": {"message": "access token expired"}})
    avito.headers["authorization"] = f"Bearer {await get_token(avito, shop)}"
    assert (await avito.get(CHATS)).status_code == 200


async def test_tokens_can_be_expired_by_hand(avito: httpx2.AsyncClient, sim: Simulator, shop: Account) -> None:
    sim.expire_tokens(shop)
    assert (await avito.get(CHATS)).json() == {"result": {"message": "access token expired"}}


async def test_a_token_opens_its_own_account_only(avito: httpx2.AsyncClient, sim: Simulator) -> None:
    sim.add_account(user_id=102, name="Чужая")
    answer = await avito.get("/messenger/v2/accounts/102/chats")
    assert (answer.status_code, answer.json()) == (403, {"error": {"code": 403, "message": "Forbidden"}})
    assert (await avito.get(CHATS, headers={"authorization": ""})).status_code == 401


async def test_an_unpaid_account_gets_402_but_knows_itself(avito: httpx2.AsyncClient, shop: Account) -> None:
    shop.paid = False
    assert (await avito.get(CHATS)).status_code == 402
    assert (await avito.get("/core/v1/accounts/self")).status_code == 200


async def test_who_am_i(avito: httpx2.AsyncClient) -> None:
    answer = (await avito.get("/core/v1/accounts/self")).json()
    assert set(answer) == {"id", "name", "email", "phone", "phones", "profile_url"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/messenger/v1/subscriptions"),
        ("GET", "/messenger/v2/accounts/101/chats/x/messages/"),
        ("GET", "/messenger/v3/accounts/101/chats/x/messages"),
        ("DELETE", "/messenger/v3/webhook"),
        ("GET", "/nothing"),
    ],
)
async def test_the_gateways_404_says_400(avito: httpx2.AsyncClient, method: str, path: str) -> None:
    answer = await avito.request(method, path)
    assert answer.status_code == 404
    assert answer.json() == {"message": f"route {path} not found", "code": 400}


async def test_chats_are_u2i_unless_asked_and_newest_first(
    avito: httpx2.AsyncClient, sim: Simulator, shop: Account, time: Clock
) -> None:
    first, second = sim.add_chat(shop, "Анна"), sim.add_chat(shop, "Борис")
    profile = sim.add_chat(shop, "Вера", chat_type="u2u")
    time.now += 10
    sim.buyer_says(first, "привет")

    async def ids(**query: str) -> list[str]:
        return [chat["id"] for chat in (await avito.get(CHATS, params=query)).json()["chats"]]

    assert await ids() == [first.id, second.id]
    assert set(await ids(chat_types="u2i,u2u")) == {first.id, second.id, profile.id}
    assert await ids(chat_types="u2u") == [profile.id]
    assert await ids(unread_only="true") == [first.id]
    assert await ids(limit="1", offset="1") == [second.id]
    assert second.item
    assert await ids(item_ids=str(second.item.id)) == [second.id]


@pytest.mark.parametrize("query", ["offset=1001", "limit=0", "limit=101", "offset=-1", "limit=x", "chat_types=abc"])
async def test_a_page_past_the_cap_is_an_error(avito: httpx2.AsyncClient, chat: Chat, query: str) -> None:
    answer = await avito.get(f"{CHATS}?{query}")
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == 400
    if "types" not in query:
        assert (await avito.get(f"{messages_of(chat)}?{query}")).status_code == 400


async def test_a_chat_has_the_live_keys(avito: httpx2.AsyncClient, sim: Simulator, chat: Chat) -> None:
    sim.buyer_says(chat, "привет")
    found = (await avito.get(f"{CHATS}/{chat.id}")).json()
    assert set(found) == {"id", "context", "created", "updated", "last_message", "users"}
    value = found["context"]["value"]
    assert value["price_string"] == "12\u00a0500\u00a0₽"
    assert "location" in value
    assert {"delivered", "direction"} <= set(found["last_message"])
    assert [user["id"] for user in found["users"]] == [chat.buyer_id, 101]
    assert all("parsing_allowed" in user for user in found["users"])
    assert (await avito.get(f"{CHATS}/unknown")).status_code == 404


async def test_a_chat_may_lack_context_and_users(avito: httpx2.AsyncClient, sim: Simulator, shop: Account) -> None:
    profile = sim.add_chat(shop, "Вера", chat_type="u2u")
    profile.omits.add("users")
    found = (await avito.get(f"{CHATS}/{profile.id}")).json()
    assert "context" not in found
    assert "users" not in found


async def test_messages_come_newest_first_and_reading_marks_nothing(
    avito: httpx2.AsyncClient, sim: Simulator, chat: Chat
) -> None:
    for number in range(3):
        sim.buyer_says(chat, str(number))
    found = (await avito.get(messages_of(chat))).json()["messages"]
    assert [m["content"]["text"] for m in found] == ["2", "1", "0"]
    assert [m["isRead"] for m in found] == [False] * 3
    assert "is_read" not in found[0]
    assert (await avito.get(f"{CHATS}?unread_only=true")).json()["chats"]

    read = await avito.post(f"/messenger/v1/accounts/101/chats/{chat.id}/read")
    assert read.json() == {"ok": True}
    assert not (await avito.get(f"{CHATS}?unread_only=true")).json()["chats"]
    assert all(m["isRead"] for m in (await avito.get(messages_of(chat))).json()["messages"])


async def test_sending_a_text(avito: httpx2.AsyncClient, chat: Chat) -> None:
    answer = await avito.post(send_to(chat), json={"type": "text", "message": {"text": "Здравствуйте!"}})
    sent = answer.json()
    assert set(sent) == {"id", "type", "direction", "created", "content"}
    newest = (await avito.get(messages_of(chat))).json()["messages"][0]
    assert (newest["id"], newest["direction"], newest["author_id"]) == (sent["id"], "out", 101)


@pytest.mark.parametrize(
    "body",
    [
        {"type": "text", "message": {"text": "я" * 1001}},
        {"type": "text", "message": {"text": " "}},
        {"type": "text", "message": "привет"},
        {"type": "image", "message": {"text": "x"}},
        {},
        [],
    ],
)
async def test_a_text_that_is_refused(avito: httpx2.AsyncClient, chat: Chat, body: object) -> None:
    answer = await avito.post(send_to(chat), json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == 400
    assert not chat.history


async def test_a_thousand_characters_are_sent(avito: httpx2.AsyncClient, chat: Chat) -> None:
    body = {"type": "text", "message": {"text": "😀" * 1000}}
    assert (await avito.post(send_to(chat), json=body)).status_code == 200


async def test_an_image_goes_up_into_a_chat_and_comes_back(avito: httpx2.AsyncClient, chat: Chat) -> None:
    up = await avito.post("/messenger/v1/accounts/101/uploadImages", files={"uploadfile[]": ("a.png", png())})
    ((image_id, sizes),) = up.json().items()
    sent = (await avito.post(f"{send_to(chat)}/image", json={"image_id": image_id})).json()
    assert (sent["type"], sent["author_id"], sent["content"]) == ("image", 101, {"image": {"sizes": sizes}})
    picture = await avito.get(sizes["140x105"])
    assert picture.headers["content-type"] == "image/jpeg"
    red, green, _ = Image.open(io.BytesIO(picture.content)).convert("RGB").resize((1, 1)).getpixel((0, 0))  # type: ignore[misc]
    assert red > 150 > green
    assert (await avito.post(f"{send_to(chat)}/image", json={"image_id": "unknown"})).status_code == 400


@pytest.mark.parametrize(
    ("name", "raw", "status"),
    [
        ("uploadfile[]", b"not an image", 400),
        ("uploadfile[]", b"<svg xmlns='http://www.w3.org/2000/svg'/>", 400),
        ("uploadfile", png(), 400),
        ("uploadfile[]", b"\x00\x00\x00\x18ftypheic" + bytes(50), 200),
        ("uploadfile[]", png() + bytes(24 * 1024 * 1024), 413),
    ],
    ids=["text", "svg", "other field", "heic", "too large"],
)
async def test_which_uploads_are_taken(avito: httpx2.AsyncClient, name: str, raw: bytes, status: int) -> None:
    answer = await avito.post("/messenger/v1/accounts/101/uploadImages", files={name: ("a", raw)})
    assert answer.status_code == status


async def test_too_many_pixels_are_refused_unread(avito: httpx2.AsyncClient) -> None:
    out = io.BytesIO()
    Image.new("1", (10_000, 7_501)).save(out, "PNG")
    files = {"uploadfile[]": ("a.png", out.getvalue())}
    assert (await avito.post("/messenger/v1/accounts/101/uploadImages", files=files)).status_code == 400


async def test_own_messages_are_deleted_within_the_hour(
    avito: httpx2.AsyncClient, sim: Simulator, chat: Chat, time: Clock
) -> None:
    young, old, theirs = sim.shop_said(chat, "да"), sim.shop_said(chat, "нет"), sim.buyer_says(chat, "что?")
    assert (await avito.post(f"{send_to(chat)}/{young.id}")).json() == {}
    assert (young.type, young.content) == ("text", {"text": "Сообщение удалено"})
    assert (await avito.post(f"{send_to(chat)}/{theirs.id}")).status_code == 403
    assert (await avito.post(f"{send_to(chat)}/unknown")).status_code == 404
    time.now += 3601
    assert (await avito.post(f"{send_to(chat)}/{old.id}")).status_code == 400


async def test_a_voice_link_lives_one_hour(
    avito: httpx2.AsyncClient, sim: Simulator, chat: Chat, shop: Account, time: Clock
) -> None:
    voice = sim.buyer_says(chat, type="voice").content["voice"]["voice_id"]
    path = "/messenger/v1/accounts/101/getVoiceFiles"
    links = (await avito.get(path, params={"voice_ids": f"{voice},unknown"})).json()["voices_urls"]
    assert set(links) == {voice}
    heard = await avito.get(links[voice])
    assert (heard.status_code, heard.content[:4]) == (200, b"RIFF")
    time.now += 3600
    assert (await avito.get(links[voice])).status_code == 403
    avito.headers["authorization"] = f"Bearer {await get_token(avito, shop)}"
    fresh = (await avito.get(path, params={"voice_ids": voice})).json()["voices_urls"][voice]
    assert (await avito.get(fresh)).status_code == 200
    assert (await avito.get(fresh.replace("sign=", "sign=0"))).status_code == 403
    assert (await avito.get(path)).status_code == 400


async def test_blacklist(avito: httpx2.AsyncClient, shop: Account, chat: Chat) -> None:
    users = [{"user_id": chat.buyer_id, "context": {"item_id": 1, "reason_id": 2}}]
    answer = await avito.post("/messenger/v2/accounts/101/blacklist", json={"users": users})
    assert (answer.status_code, answer.content) == (200, b"")
    assert chat.buyer_id in shop.blacklist
    bad = [{"user_id": 1, "context": {"reason_id": 9}}]
    assert (await avito.post("/messenger/v2/accounts/101/blacklist", json={"users": bad})).status_code == 400


async def test_one_subscription_an_account(avito: httpx2.AsyncClient) -> None:
    async def subscribed() -> list[dict[str, str]]:
        return (await avito.post("/messenger/v1/subscriptions")).json()["subscriptions"]

    async def post(path: str, url: str) -> None:
        assert (await avito.post(path, json={"url": url})).json() == {"ok": True}

    assert await subscribed() == []
    await post("/messenger/v3/webhook", "https://one.test/a?secret=1")
    await post("/messenger/v3/webhook", "https://one.test/a?secret=1")
    assert await subscribed() == [{"url": "https://one.test/a?secret=1", "version": "3"}]
    await post("/messenger/v3/webhook", "https://two.test/b")
    assert await subscribed() == [{"url": "https://two.test/b", "version": "3"}]
    await post("/messenger/v1/webhook/unsubscribe", "https://one.test/a?secret=1")
    assert len(await subscribed()) == 1
    await post("/messenger/v1/webhook/unsubscribe", "https://two.test/b")
    assert await subscribed() == []
    assert (await avito.post("/messenger/v3/webhook", json={"url": "not a url"})).status_code == 400


async def test_calls_are_recorded(avito: httpx2.AsyncClient, sim: Simulator, chat: Chat) -> None:
    sim.calls.clear()
    await avito.post(send_to(chat), json={"type": "text", "message": {"text": "да"}})
    await avito.get("/nothing")
    first, second = sim.calls
    assert (first.operation, first.status, first.method) == ("postSendMessage", 200, "POST")
    assert first.body["message"] == {"text": "да"}
    assert first.path == send_to(chat)
    assert (second.operation, second.status) == ("unknown", 404)


async def test_a_rate_limit_says_when_to_come_back(avito: httpx2.AsyncClient, shop: Account, time: Clock) -> None:
    shop.rate_limit = 2
    first = await avito.get(CHATS)
    assert (first.headers["x-ratelimit-limit"], first.headers["x-ratelimit-remaining"]) == ("2", "1")
    await avito.get(CHATS)
    third = await avito.get(CHATS)
    assert (third.status_code, third.headers["retry-after"]) == (429, "61")
    time.now += 61
    assert (await avito.get(CHATS)).status_code == 200


async def test_pictures_of_items_are_served(avito: httpx2.AsyncClient, sim: Simulator, shop: Account) -> None:
    chat = sim.add_chat(shop, "Анна", Item("Кресло", 900, picture="armchair"))
    found = (await avito.get(f"{CHATS}/{chat.id}")).json()
    urls = [found["context"]["value"]["images"]["main"]["140x105"]]
    urls.append(found["users"][0]["public_user_profile"]["avatar"]["default"])
    for url in urls:
        assert (await avito.get(url)).content[:3] == b"\xff\xd8\xff"
    assert (await avito.get("/img/99999x1/box.1.jpg")).status_code == 404
