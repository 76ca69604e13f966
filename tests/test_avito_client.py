"""The client of Avito's API: tokens, what answers mean, and an account's state kept true."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from typing import Any

import httpx2
import pytest

from golub import simulator
from golub.avito.client import Avito
from golub.avito.exchange import ANSWER_BYTES
from golub.clock import MINUTE, SECOND
from golub.errors import Ambiguous, NoAccess, NotFound, Paced, Rejected, Unavailable, WrongKeys
from golub.model import AccountState
from golub.simulator import Simulator
from golub.store import Store
from tests import shop
from tests.conftest import SteppedClock


@pytest.fixture
def sim(clock: SteppedClock) -> Simulator:
    return Simulator(clock=lambda: clock.now / 1000)


@pytest.fixture
def seller(sim: Simulator) -> simulator.Account:
    return sim.add_account(shop.USER_ID, "Кедр и Ко")


@pytest.fixture
async def account_id(store: Store, seller: simulator.Account, clock: SteppedClock) -> int:
    return await shop.connect(store, seller, clock)


@pytest.fixture
async def avito(store: Store, clock: SteppedClock, sim: Simulator) -> AsyncGenerator[Avito]:
    async with shop.avito(store, clock, sim, call_seconds=0.5) as client:
        yield client


def asked(sim: Simulator) -> Counter[str]:
    return Counter(call.operation for call in sim.calls)


@pytest.mark.promise("P17")
async def test_twenty_tasks_on_an_expired_token_ask_for_one(
    sim: Simulator, avito: Avito, account_id: int, clock: SteppedClock
) -> None:
    await avito.chats(account_id)
    clock.step(25 * 60 * MINUTE)
    await asyncio.gather(*(avito.chats(account_id) for _ in range(20)))
    assert asked(sim) == {"token": 2, "getChatsV2": 21}


@pytest.mark.promise("P17")
async def test_twenty_tasks_that_get_403_renew_once(
    sim: Simulator, avito: Avito, account_id: int, seller: simulator.Account
) -> None:
    await avito.chats(account_id)
    sim.expire_tokens(seller)
    await asyncio.gather(*(avito.chats(account_id) for _ in range(20)))
    assert asked(sim)["token"] == 2
    assert [call.status for call in sim.calls if call.operation == "getChatsV2"].count(403) <= 4


async def test_a_token_is_sealed_in_the_row_and_serves_the_next_process(
    sim: Simulator, avito: Avito, account_id: int, store: Store, clock: SteppedClock
) -> None:
    token = await avito.token_for(account_id)
    row = await shop.account(store, account_id)
    assert row.access_token is not None
    assert token.encode() not in row.access_token
    async with shop.avito(store, clock, sim) as other:
        assert await other.token_for(account_id) == token
    assert asked(sim) == {"token": 1}


@pytest.mark.parametrize("status", [401, 403])
async def test_refused_once_is_renewed_and_refused_always_is_no_access(
    sim: Simulator, avito: Avito, account_id: int, store: Store, status: int
) -> None:
    sim.fault("getChatsV2", status=status)
    assert await avito.chats(account_id) == {"chats": []}
    sim.fault("getChatsV2", status=status, times=None)
    with pytest.raises(NoAccess):
        await avito.chats(account_id)
    assert asked(sim) == {"token": 3, "getChatsV2": 4}
    assert (await shop.account(store, account_id)).state == AccountState.NO_ACCESS
    sim.faults.clear()
    await avito.chats(account_id)
    assert (await shop.account(store, account_id)).state == AccountState.WORKING


async def test_402_says_that_access_is_not_paid(
    avito: Avito, account_id: int, store: Store, seller: simulator.Account
) -> None:
    seller.paid = False
    with pytest.raises(NoAccess, match="not paid"):
        await avito.chat(account_id, "u2i-abc")
    row = await shop.account(store, account_id)
    assert (row.state, "not paid" in row.state_detail) == (AccountState.NO_ACCESS, True)


@pytest.mark.promise("P17")
async def test_wrong_keys_are_tried_once_a_minute(
    sim: Simulator, avito: Avito, account_id: int, store: Store, seller: simulator.Account, clock: SteppedClock
) -> None:
    seller.revoked = True
    for _ in range(5):
        results = await asyncio.gather(*(avito.chats(account_id) for _ in range(4)), return_exceptions=True)
        assert {type(result) for result in results} == {WrongKeys}
        clock.step(29 * SECOND)
    assert asked(sim) == {"token": 2}  # at 0 s and at 87 s
    row = await shop.account(store, account_id)
    assert (row.state, row.state_at) == (AccountState.WRONG_KEYS, clock.now - 5 * 29 * SECOND)
    seller.revoked = False
    clock.step(MINUTE)
    await avito.chats(account_id)
    assert (await shop.account(store, account_id)).state == AccountState.WORKING


async def test_check_keys_names_the_shop(avito: Avito, seller: simulator.Account) -> None:
    profile = await avito.check_keys(seller.client_id, seller.client_secret)
    assert (profile.user_id, profile.name) == (seller.user_id, "Кедр и Ко")
    assert profile.profile_url.startswith("https://avito.ru/user/")
    with pytest.raises(WrongKeys):
        await avito.check_keys(seller.client_id, "wrong")


async def test_a_gateway_in_front_of_token_is_no_wrong_key(
    sim: Simulator, avito: Avito, seller: simulator.Account
) -> None:
    sim.fault("token", status=403, body="<html>доступ ограничен</html>")
    with pytest.raises(Unavailable):
        await avito.check_keys(seller.client_id, seller.client_secret)


@pytest.mark.row(56)
@pytest.mark.parametrize(
    "token", [{"access_token": "a\r\nX-Evil: 1", "expires_in": 1}, {"access_token": ""}, {}, [], {"access_token": 7}]
)
async def test_a_token_that_cannot_stand_in_a_header_is_refused(
    sim: Simulator, avito: Avito, seller: simulator.Account, token: Any
) -> None:
    sim.fault("token", status=200, body=token)
    with pytest.raises(Unavailable):
        await avito.check_keys(seller.client_id, seller.client_secret)


async def test_subscriptions_are_read_set_and_removed(avito: Avito, account_id: int, seller: simulator.Account) -> None:
    url = "https://golub.example.ru/webhook/avito/secret"
    assert await avito.subscriptions(account_id) == []
    await avito.subscribe(account_id, url)
    assert (seller.subscription, await avito.subscriptions(account_id)) == (url, [url])
    await avito.unsubscribe(account_id, url)
    assert await avito.subscriptions(account_id) == []


async def test_chats_of_both_kinds_and_messages_are_read(
    sim: Simulator, avito: Avito, account_id: int, seller: simulator.Account
) -> None:
    chats = [sim.add_chat(seller, chat_type=kind) for kind in ("u2i", "u2u", "a2u")]
    for chat in chats:
        sim.buyer_says(chat, "Здравствуйте!", quiet=True)
    page = await avito.chats(account_id)
    assert {chat["id"] for chat in page["chats"]} == {chats[0].id, chats[1].id}
    messages = await avito.messages(account_id, chats[0].id)
    assert [message["content"]["text"] for message in messages["messages"]] == ["Здравствуйте!"]
    assert (await avito.chat(account_id, chats[0].id))["id"] == chats[0].id
    await avito.mark_read(account_id, chats[0].id)
    assert not chats[0].unread


async def test_the_end_of_a_list_is_an_empty_page(
    sim: Simulator, avito: Avito, account_id: int, seller: simulator.Account
) -> None:
    sim.fault("getChatsV2", status=400)
    assert await avito.chats(account_id, offset=1000) == {"chats": []}
    assert await avito.chats(account_id, offset=1100) == {"chats": []}
    chat = sim.add_chat(seller)
    assert await avito.messages(account_id, chat.id, offset=1100) == {"messages": []}
    sim.fault("getChatsV2", status=400)
    with pytest.raises(Rejected):
        await avito.chats(account_id)


@pytest.mark.row(56)
@pytest.mark.parametrize("chat_id", ["u2i-a/../../../../core/v1/accounts/self", "..", ".", "u2i-%2e%2e/x?y#z", "чат\n"])
async def test_an_id_stays_one_segment_of_the_path(sim: Simulator, avito: Avito, account_id: int, chat_id: str) -> None:
    with pytest.raises(NotFound):
        await avito.chat(account_id, chat_id)
    assert set(asked(sim)) <= {"token", "getChatByIdV2", "unknown"}
    for call in sim.calls:
        assert call.operation == "token" or call.path.startswith(f"/messenger/v2/accounts/{shop.USER_ID}/chats/")


async def test_a_send_returns_its_id(sim: Simulator, avito: Avito, account_id: int, seller: simulator.Account) -> None:
    chat = sim.add_chat(seller)
    sent = await avito.send_text(account_id, chat.id, "Да, ещё в продаже")
    assert [message.id for message in chat.history] == [sent["id"]]


@pytest.mark.parametrize(
    "fault",
    [
        {"hang": True},
        {"hang": True, "after": True},
        {"status": 500},
        {"status": 502, "body": "<html>Bad Gateway</html>", "after": True},
        {"status": 302, "headers": {"location": "http://evil.test/"}},
        {"status": 200, "body": "not json"},
        {"status": 200, "body": {"ok": True}},
        {"status": 200, "body": []},
    ],
)
async def test_a_send_whose_answer_is_lost_is_ambiguous(
    sim: Simulator, avito: Avito, account_id: int, seller: simulator.Account, fault: dict[str, Any]
) -> None:
    chat = sim.add_chat(seller)
    sim.fault("postSendMessage", **fault)
    with pytest.raises(Ambiguous):
        await avito.send_text(account_id, chat.id, "привет")
    assert asked(sim)["postSendMessage"] == 1


async def test_a_send_that_never_left_is_unavailable(store: Store, account_id: int, clock: SteppedClock) -> None:
    network = shop.Scripted(httpx2.ConnectError("refused"), httpx2.ConnectTimeout("slow"), httpx2.PoolTimeout("full"))
    async with shop.avito(store, clock, network) as avito:
        for _ in range(3):
            with pytest.raises(Unavailable):
                await avito.send_text(account_id, "u2i-a", "привет")
    assert not network.calls


@pytest.mark.parametrize(
    "problem", [httpx2.ReadError, httpx2.ReadTimeout, httpx2.WriteError, httpx2.RemoteProtocolError]
)
async def test_a_send_that_broke_half_way_is_ambiguous(
    store: Store, account_id: int, clock: SteppedClock, problem: type[httpx2.TransportError]
) -> None:
    async with shop.avito(store, clock, shop.Scripted(problem("reset"))) as avito:
        with pytest.raises(Ambiguous):
            await avito.send_text(account_id, "u2i-a", "привет")


async def test_a_send_after_an_expired_token_is_sent_once(
    sim: Simulator, avito: Avito, account_id: int, seller: simulator.Account
) -> None:
    chat = sim.add_chat(seller)
    await avito.token_for(account_id)
    sim.expire_tokens(seller)
    await avito.send_text(account_id, chat.id, "привет")
    assert len(chat.history) == 1


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 500},
        {"status": 502, "body": "<html>Bad Gateway</html>"},
        {"status": 403, "body": "<html>доступ ограничен</html>"},
        {"status": 200, "body": b"\xff{"},
        {"status": 200, "body": "[" * 100_000},
        {"status": 302, "headers": {"location": "http://evil.test/"}},
        {"hang": True},
        {"status": 200, "body": "x" * (ANSWER_BYTES + 1)},
    ],
)
@pytest.mark.promise("P16")
async def test_a_read_that_fails_is_unavailable(
    sim: Simulator, avito: Avito, account_id: int, fault: dict[str, Any]
) -> None:
    sim.fault("getChatsV2", **fault)
    with pytest.raises(Unavailable):
        await avito.chats(account_id)
    assert asked(sim) == {"token": 1, "getChatsV2": 1}


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (
            400,
            {"error": {"code": 400, "message": "bad request", "fields": {"limit": "too big"}}},
            "bad request: too big",
        ),
        (404, {"message": "route /x not found", "code": 400}, "route /x not found"),
        (409, {"result": {"message": "no way"}}, "no way"),
        (422, {"error": {"code": "x", "message": ["a"]}}, "HTTP 422"),
        (400, "<html>", "HTTP 400"),
    ],
)
@pytest.mark.promise("P16")
async def test_all_shapes_of_refusal_are_read(
    sim: Simulator, avito: Avito, account_id: int, store: Store, status: int, body: Any, words: str
) -> None:
    sim.fault("getChatByIdV2", status=status, body=body)
    with pytest.raises(Rejected, match=words):
        await avito.chat(account_id, "u2i-abc")
    assert (await shop.account(store, account_id)).state == AccountState.WORKING


@pytest.mark.parametrize(
    ("given", "least", "most"),
    [
        (None, 5, 5),
        ("7", 7, 7),
        ("0", 1, 1),
        ("-1", 1, 1),
        ("1e9", 300, 300),
        ("nan", 5, 5),
        ("inf", 5, 5),
        ("soon", 5, 5),
        ("Mon, 21 Sep 2026 14:14:10 GMT", 30, 30),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 1, 1),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 300, 300),
    ],
)
@pytest.mark.promise("P16")
async def test_429_says_how_long_to_wait(
    sim: Simulator,
    avito: Avito,
    account_id: int,
    store: Store,
    clock: SteppedClock,
    given: str | None,
    least: float,
    most: float,
) -> None:
    clock.now = 1_790_000_020_000  # 2026-09-21 14:13:40
    sim.fault("getChatsV2", status=429, headers={"retry-after": given} if given else {})
    with pytest.raises(Paced) as paced:
        await avito.chats(account_id)
    assert least <= paced.value.retry_after <= most
    assert (await shop.account(store, account_id)).state == AccountState.WORKING


@pytest.mark.promise("P16")
async def test_three_failures_make_an_account_unreachable_until_the_next_success(
    store: Store, account_id: int, clock: SteppedClock
) -> None:
    down = [httpx2.ConnectError("refused") for _ in range(3)]
    async with shop.avito(store, clock, shop.Scripted(*down, httpx2.Response(200, content=b"{}"))) as avito:
        for expected in (AccountState.WORKING, AccountState.WORKING, AccountState.UNREACHABLE):
            with pytest.raises(Unavailable):
                await avito.subscribe(account_id, "https://golub.example.ru/")
            assert (await shop.account(store, account_id)).state == expected
        await avito.subscribe(account_id, "https://golub.example.ru/")
    assert (await shop.account(store, account_id)).state == AccountState.WORKING


async def test_a_removed_account_is_not_found(avito: Avito) -> None:
    with pytest.raises(NotFound):
        await avito.chats(4711)
