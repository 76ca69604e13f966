"""Webhooks as Avito sends them: the body to the byte, retries, echoes, faults; and the oracle's word on each."""

import asyncio
import hashlib
import hmac
import json
import os
import uuid

import httpx2
import pytest
from starlette.types import Receive, Scope, Send

from golub.simulator import Account, Chat, Simulator
from golub.simulator.signing import SCHEMES
from tests.simulator.conftest import Clock, Receiver
from tests.simulator.test_api import messages_of, send_to

VALUE_KEYS = [
    "id", "chat_id", "user_id", "author_id", "created", "type", "chat_type", "content", "item_id", "published_at",
    "read",
]  # fmt: skip
HI = {"type": "text", "message": {"text": "Здравствуйте!"}}


async def test_an_event_has_the_live_keys_in_the_live_order(sim: Simulator, chat: Chat, receiver: Receiver) -> None:
    message = sim.buyer_says(chat, "привет")
    await sim.idle()
    (event,) = receiver.events
    assert list(event) == ["id", "version", "timestamp", "payload"]
    assert list(event["payload"]) == ["type", "value"]
    assert list(event["payload"]["value"]) == VALUE_KEYS
    assert (event["version"], event["payload"]["type"], event["timestamp"]) == ("v3.0.0", "message", sim.now())
    assert str(uuid.UUID(event["id"])) == event["id"]
    value = event["payload"]["value"]
    assert (value["id"], value["chat_id"], value["user_id"]) == (message.id, chat.id, 101)
    assert (value["author_id"], value["read"], value["content"]) == (chat.buyer_id, None, {"text": "привет"})
    assert (len(message.id), chat.id[:4], len(chat.id)) == (32, "u2i-", 26)
    assert "привет".encode() in receiver.bodies[0]
    assert message.delivery
    assert (message.delivery.state, message.delivery.status) == ("acked", 200)


@pytest.mark.parametrize("kind", ["video", "file", "appCall"])
async def test_some_types_are_always_empty(sim: Simulator, chat: Chat, receiver: Receiver, kind: str) -> None:
    sim.buyer_says(chat, type=kind)
    await sim.idle()
    assert (receiver.values[0]["type"], receiver.values[0]["content"]) == (kind, {})


@pytest.mark.parametrize("kind", ["image", "voice", "location", "link", "item", "call", "system"])
async def test_other_types_carry_their_own_key(sim: Simulator, chat: Chat, receiver: Receiver, kind: str) -> None:
    sim.buyer_says(chat, type=kind)
    await sim.idle()
    assert ("flow_id" if kind == "system" else kind) in receiver.values[0]["content"]


async def test_a_system_message_may_have_no_author(sim: Simulator, chat: Chat, receiver: Receiver) -> None:
    sim.system(chat, "один")
    sim.system(chat, "ноль", author=0)
    sim.system(chat, "никто", author=None)
    await sim.idle()
    assert [value.get("author_id", "missing") for value in receiver.values] == [1, 0, "missing"]


async def test_edits_and_deletions_keep_the_id(sim: Simulator, chat: Chat, receiver: Receiver, time: Clock) -> None:
    message = sim.buyer_says(chat, "в пять")
    time.now += 5
    sim.edit(message, "в шесть")
    time.now += 5
    sim.delete(message)
    await sim.idle()
    assert {value["id"] for value in receiver.values} == {message.id}
    assert {value["created"] for value in receiver.values} == {message.created}
    assert [value["content"]["text"] for value in receiver.values] == ["в пять", "в шесть", "Сообщение удалено"]
    assert receiver.values[-1]["type"] == "text"
    first, second, third = (event["timestamp"] for event in receiver.events)
    assert (second - first, third - second) == (5, 5)
    assert len(sim.sent) == 1


async def test_history_is_quiet(sim: Simulator, chat: Chat, receiver: Receiver) -> None:
    sim.buyer_says(chat, "давно", quiet=True, at=sim.now() - 100)
    sim.shop_said(chat, "да", at=sim.now() - 50)
    sim.buyer_says(chat, "раньше всех", quiet=True, at=sim.now() - 200)
    await sim.idle()
    assert [message.text for message in chat.history] == ["раньше всех", "давно", "да"]
    assert not receiver.bodies
    assert not sim.sent


async def test_the_signature_is_there_and_cannot_be_verified(sim: Simulator, chat: Chat, receiver: Receiver) -> None:
    sim.buyer_says(chat, "раз")
    await sim.idle()
    sim.policy.change(signature_secret="known")
    sim.buyer_says(chat, "два")
    await sim.idle()
    digests = [headers["x-avito-messenger-signature"] for headers in receiver.headers]
    known = [hmac.new(b"known", body, hashlib.sha256).hexdigest() for body in receiver.bodies]
    assert len(bytes.fromhex(digests[0])) == 32
    assert digests[0] != known[0]
    assert digests[1] == known[1]


async def test_it_signs_by_a_scheme_that_is_named(sim: Simulator, chat: Chat, receiver: Receiver) -> None:
    seen: list[str] = []
    for scheme in SCHEMES:
        sim.policy.change(signature_scheme=scheme)
        sim.buyer_says(chat, scheme)
        await sim.idle()
        seen.append(receiver.headers[-1]["x-avito-messenger-signature"])
    assert len(set(seen)) == len(SCHEMES)
    secret = chat.account.client_secret.encode()
    assert seen[0] == hmac.new(secret, receiver.bodies[0], hashlib.sha256).hexdigest()
    with pytest.raises(ValueError, match="no such scheme"):
        sim.policy.change(signature_scheme="rot13")


async def test_without_retries_a_refusal_is_final(sim: Simulator, chat: Chat, receiver: Receiver) -> None:
    receiver.answers = [500]
    message = sim.buyer_says(chat, "привет")
    await sim.idle()
    assert len(receiver.bodies) == 1
    assert message.delivery
    assert (message.delivery.state, message.delivery.status) == ("failed", 500)
    assert (sim.sent, sim.acked) == ({message.key}, set())


async def test_retries_until_acked(sim: Simulator, chat: Chat, receiver: Receiver) -> None:
    sim.policy.change(retries=[0.0, 0.001, 0.0])
    receiver.answers = [500, 302]
    message = sim.buyer_says(chat, "привет")
    await sim.idle()
    assert message.delivery
    assert (message.delivery.state, message.delivery.attempts) == ("acked", 3)
    assert sim.acked == {message.key}
    assert len({event["id"] for event in receiver.events}) == 3  # a redelivery has another envelope
    assert len({value["id"] for value in receiver.values}) == 1


async def test_retries_end(sim: Simulator, chat: Chat, receiver: Receiver) -> None:
    sim.policy.change(retries=[0.0], same_envelope=True)
    receiver.answers = [500, 503, 200]
    message = sim.buyer_says(chat, "привет")
    await sim.idle()
    assert len(receiver.bodies) == 2
    assert len({event["id"] for event in receiver.events}) == 1
    assert message.key not in sim.acked


async def test_duplicates(sim: Simulator, chat: Chat, receiver: Receiver) -> None:
    sim.policy.change(duplicates=2)
    sim.buyer_says(chat, "привет")
    await sim.idle()
    assert len(receiver.bodies) == 3
    assert len(sim.acked) == 1


async def test_a_receiver_that_is_too_slow_has_not_acked(time: Clock) -> None:
    async def never(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.Event().wait()

    async with Simulator(clock=time, timeout=0.01, deliver=httpx2.ASGITransport(app=never)) as sim:
        shop = sim.add_account(1)
        shop.subscription = "http://golub.test/"
        message = sim.buyer_says(sim.add_chat(shop), "привет")
        await sim.idle()
        assert message.delivery
        assert (message.delivery.state, message.delivery.reason) == ("failed", "timeout")


async def test_own_sends_are_echoed(avito: httpx2.AsyncClient, sim: Simulator, chat: Chat, receiver: Receiver) -> None:
    sent = (await avito.post(send_to(chat), json=HI)).json()
    await sim.idle()
    (value,) = receiver.values
    assert (value["id"], value["author_id"], value["user_id"]) == (sent["id"], 101, 101)


async def test_an_echo_may_come_before_the_send_has_returned(
    avito: httpx2.AsyncClient, sim: Simulator, chat: Chat, receiver: Receiver
) -> None:
    sim.policy.change(echo_first=True)
    await avito.post(send_to(chat), json=HI)
    assert len(receiver.bodies) == 1  # without waiting for idle


async def test_deleting_is_echoed(avito: httpx2.AsyncClient, sim: Simulator, chat: Chat, receiver: Receiver) -> None:
    sent = (await avito.post(send_to(chat), json=HI)).json()
    await avito.post(f"{send_to(chat)}/{sent['id']}")
    await sim.idle()
    assert receiver.values[-1]["content"] == {"text": "Сообщение удалено"}


async def test_without_a_subscription_nothing_is_sent(sim: Simulator, shop: Account, receiver: Receiver) -> None:
    message = sim.buyer_says(sim.add_chat(shop), "привет")
    await sim.idle()
    assert not receiver.bodies
    assert (sim.sent, sim.dropped) == (set(), {message.key})
    assert message.delivery
    assert message.delivery.reason == "no subscription"


async def test_a_stolen_subscription_is_named_and_never_called(
    avito: httpx2.AsyncClient, sim: Simulator, shop: Account, chat: Chat, receiver: Receiver
) -> None:
    sim.steal_subscription(shop, "https://crm.example.com/hook")
    sim.buyer_says(chat, "привет")
    await sim.idle()
    found = (await avito.post("/messenger/v1/subscriptions")).json()
    assert found["subscriptions"][0]["url"] == "https://crm.example.com/hook"
    assert not receiver.bodies
    await avito.post("/messenger/v3/webhook", json={"url": "http://golub.test/back"})
    sim.buyer_says(chat, "снова")
    await sim.idle()
    assert len(receiver.bodies) == 1


async def test_a_share_of_webhooks_is_lost_for_good(sim: Simulator, chat: Chat, receiver: Receiver) -> None:
    sim.fault("webhook", share=0.3, times=None)
    for number in range(200):
        sim.buyer_says(chat, str(number))
    await sim.idle()
    assert 30 < len(sim.dropped) < 90
    assert len(receiver.bodies) == 200 - len(sim.dropped)
    assert sim.sent.isdisjoint(sim.dropped)


async def test_a_late_webhook_overtakes_nothing_else(sim: Simulator, chat: Chat, receiver: Receiver) -> None:
    sim.fault("webhook", delay=0.02)
    sim.buyer_says(chat, "первое")
    sim.buyer_says(chat, "второе")
    await sim.idle()
    assert [value["content"]["text"] for value in receiver.values] == ["второе", "первое"]


async def test_any_bytes_can_be_emitted(sim: Simulator, shop: Account, chat: Chat, receiver: Receiver) -> None:
    event = sim.emit(shop, b"[" * 1000, headers={"X-Odd": "yes"}, content_type="text/plain")
    await sim.idle()
    assert receiver.bodies == [b"[" * 1000]
    assert (receiver.headers[0]["x-odd"], receiver.headers[0]["content-type"]) == ("yes", "text/plain")
    assert event.fate.state == "acked"
    assert not sim.sent


async def test_registration_may_probe_the_url(avito: httpx2.AsyncClient, sim: Simulator, receiver: Receiver) -> None:
    sim.policy.change(probe=True)
    receiver.answers = [404]
    refused = await avito.post("/messenger/v3/webhook", json={"url": "http://golub.test/hook"})
    taken = await avito.post("/messenger/v3/webhook", json={"url": "http://golub.test/hook"})
    assert (refused.status_code, taken.status_code) == (400, 200)
    assert receiver.bodies == [b"{}", b"{}"]
    assert receiver.headers[0]["content-type"] == "application/x-www-form-urlencoded"
    assert "x-avito-messenger-signature" not in receiver.headers[0]


async def test_a_fault_on_a_call(avito: httpx2.AsyncClient, sim: Simulator, chat: Chat) -> None:
    sim.fault("getMessagesV3", status=502, body="<html>Bad gateway</html>", times=2)
    answers = [await avito.get(messages_of(chat)) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [502, 502, 200]
    assert answers[0].headers["content-type"].startswith("text/html")
    sim.fault("*", status=429, headers={"Retry-After": "7"})
    assert (await avito.get("/core/v1/accounts/self")).headers["retry-after"] == "7"


async def test_a_lost_answer_has_still_sent(avito: httpx2.AsyncClient, sim: Simulator, chat: Chat) -> None:
    sim.fault("postSendMessage", status=500, after=True)
    assert (await avito.post(send_to(chat), json=HI)).status_code == 500
    assert [message.text for message in chat.history] == ["Здравствуйте!"]


async def test_a_hanging_call_hangs_until_it_is_let_go(avito: httpx2.AsyncClient, sim: Simulator, chat: Chat) -> None:
    sim.fault("getMessagesV3", hang=True)
    arrived = asyncio.create_task(sim.arrived("getMessagesV3"))
    await asyncio.sleep(0)
    hanging = asyncio.create_task(avito.get(messages_of(chat)))
    call = await arrived
    assert (call.status, hanging.done()) == (None, False)
    await asyncio.sleep(0)
    sim.release()
    assert (await hanging).status_code == 504


async def test_the_body_is_compact_json(sim: Simulator, chat: Chat, receiver: Receiver) -> None:
    sim.buyer_says(chat, "a")
    await sim.idle()
    assert receiver.bodies[0] == json.dumps(receiver.events[0], ensure_ascii=False, separators=(",", ":")).encode()


async def test_a_lone_surrogate_travels_escaped(
    avito: httpx2.AsyncClient, sim: Simulator, chat: Chat, receiver: Receiver
) -> None:
    sim.buyer_says(chat, "a\ud800b")
    await sim.idle()
    assert b"a\\ud800b" in receiver.bodies[0]
    assert "a\\ud800b" in (await avito.get(messages_of(chat))).text


async def test_a_log_that_cannot_be_written_is_told(sim: Simulator, chat: Chat) -> None:
    os.close(sim.log._file or 0)
    sim.log._file = os.open(os.devnull, os.O_RDONLY)
    sim.buyer_says(chat, "привет")
    with pytest.raises(OSError, match="Bad file descriptor"):
        await sim.idle()
    sim.log._file = None
