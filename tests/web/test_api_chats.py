"""`/api/chats` as a program calls it, with a key alone: what the inbox has, and answers that reach Avito once."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from golub.audit import By
from golub.model import Operator, Role, Scope
from golub.web.parts import Parts
from tests.conftest import ONE_DATABASE, SteppedClock
from tests.village import PUBLIC, Village, village
from tests.web.conftest import add_operator

CHATS = "/api/chats"


@pytest.fixture
async def town(database_url: str, tmp_path: Path, clock: SteppedClock) -> AsyncGenerator[Village]:
    async with village(database_url, tmp_path, clock) as made:
        await made.register()
        yield made


@pytest.fixture
def parts(town: Village) -> Parts:
    return town.parts


@pytest.fixture
async def anna(parts: Parts) -> Operator:
    return await add_operator(parts, Role.MANAGER)


@pytest.fixture
async def program(town: Village, anna: Operator) -> AsyncGenerator[httpx2.AsyncClient]:
    scopes = (Scope.CHATS_READ, Scope.MESSAGES_WRITE)
    _, secret = await town.parts.operators.make_key(anna, "CRM", scopes, days=None, by=By(anna))
    transport = httpx2.ASGITransport(town.golub.asgi, raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {secret}"}
    async with httpx2.AsyncClient(transport=transport, base_url=PUBLIC, headers=headers) as client:
        yield client


async def one_chat(town: Village, program: httpx2.AsyncClient, name: str = "Ольга") -> dict[str, Any]:
    chat = town.sim.add_chat(town.seller, name)
    town.sim.buyer_says(chat, "Ещё продаёте?")
    await town.arrived()
    await town.work()
    return (await program.get(CHATS)).json()["chats"][0]


def key(name: str) -> dict[str, str]:
    return {"Idempotency-Key": name}


async def test_a_program_reads_what_a_buyer_wrote_and_answers_once(town: Village, program: httpx2.AsyncClient) -> None:
    chat = await one_chat(town, program)
    assert (chat["buyer"]["name"], chat["state"], chat["unread"]) == ("Ольга", "waiting", 1)
    assert chat["last_message"]["text"] == "Ещё продаёте?"
    said = (await program.get(f"{CHATS}/{chat['id']}/messages")).json()
    assert [(one["direction"], one["text"], one["unread"]) for one in said["messages"]] == [
        ("in", "Ещё продаёте?", True)
    ]
    assert (said["older"], said["outgoing"]) == (None, [])

    url, answer = f"{CHATS}/{chat['id']}/messages", {"text": "Да, в наличии"}
    taken = await program.post(url, json=answer, headers=key("order 17"))
    assert taken.status_code == 202
    (first,) = taken.json()["outgoing"]
    assert (first["state"], first["text"]) == ("queued", "Да, в наличии")
    again = await program.post(url, json=answer, headers=key("order 17"))
    assert again.json() == taken.json()
    assert [one["id"] for one in (await program.get(url)).json()["outgoing"]] == [first["id"]]

    while await town.parts.outbox.run_once() is not None:
        town.clock.step(100)
    await town.arrived()
    (sent,) = (await program.post(url, json=answer, headers=key("order 17"))).json()["outgoing"]
    assert (sent["id"], sent["state"], bool(sent["message_avito_id"])) == (first["id"], "sent", True)
    ours = [one for one in (await program.get(url)).json()["messages"] if one["direction"] == "out"]
    assert [(one["text"], one["avito_id"]) for one in ours] == [("Да, в наличии", sent["message_avito_id"])]
    assert (await program.get(CHATS)).json()["chats"][0]["owner_id"] is not None


@ONE_DATABASE
async def test_what_cannot_be_sent_is_refused_before(town: Village, program: httpx2.AsyncClient) -> None:
    url = f"{CHATS}/{(await one_chat(town, program))['id']}/messages"
    assert (await program.post(url, json={"text": "Да"}, headers=key("1"))).status_code == 202
    for body, headers, status, code in (
        ({"text": "Нет"}, key("1"), 409, "conflict"),
        ({"text": "Да"}, {}, 422, "invalid"),
        ({"text": "Да"}, key("x" * 201), 422, "invalid"),
        ({}, key("2"), 422, "invalid"),
        ({"text": ""}, key("2"), 422, "invalid"),
        ({"text": "ы" * 10_001}, key("2"), 422, "invalid"),
        ({"text": "Да", "image": "x"}, key("2"), 422, "invalid"),
        ({"text": " \n"}, key("2"), 400, "invalid"),
        ({"text": "a\0b"}, key("2"), 400, "invalid"),
        ({"text": "Здравствуйте, {покупатель}!"}, key("2"), 400, "invalid"),
        ([], key("2"), 422, "invalid"),
    ):
        answer = await program.post(url, json=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (status, code), body
    for raw in (b"{", b"[" * 100_000, b'{"text": "\\ud800"}', b"\xff"):
        sent = {**key("2"), "Content-Type": "application/json"}
        assert (await program.post(url, content=raw, headers=sent)).status_code in (400, 422), raw[:9]
    assert len((await program.get(url)).json()["outgoing"]) == 1
    assert (await program.post(f"{CHATS}/999/messages", json={"text": "Да"}, headers=key("1"))).status_code == 404


@ONE_DATABASE
async def test_one_key_of_two_programs_is_two_replies(town: Village, program: httpx2.AsyncClient, parts: Parts) -> None:
    url = f"{CHATS}/{(await one_chat(town, program))['id']}/messages"
    eve = await add_operator(parts, Role.MANAGER)
    _, secret = await parts.operators.make_key(eve, "бот", [Scope.MESSAGES_WRITE], days=None, by=By(eve))
    first = await program.post(url, json={"text": "Да"}, headers=key("1"))
    second = await program.post(url, json={"text": "Нет"}, headers={**key("1"), "Authorization": f"Bearer {secret}"})
    assert (first.status_code, second.status_code) == (202, 202)
    assert len((await program.get(url)).json()["outgoing"]) == 2


@ONE_DATABASE
async def test_pages_follow_one_another_without_a_gap(town: Village, program: httpx2.AsyncClient) -> None:
    for number in range(5):
        chat = town.sim.add_chat(town.seller, f"Покупатель {number}")
        for word in range(3):
            town.clock.step(1000)
            town.sim.buyer_says(chat, f"{number}.{word}")
    await town.arrived()
    await town.work()
    seen: list[str] = []
    before: str | None = ""
    while before is not None:
        page = (await program.get(CHATS, params={"limit": 2, "before": before})).json()
        seen += [chat["buyer"]["name"] for chat in page["chats"]]
        before = page["next"]
    assert seen == [f"Покупатель {number}" for number in reversed(range(5))]
    chat_id = (await program.get(CHATS)).json()["chats"][0]["id"]
    newest = (await program.get(f"{CHATS}/{chat_id}/messages", params={"limit": 2})).json()
    oldest = (await program.get(f"{CHATS}/{chat_id}/messages", params={"limit": 2, "before": newest["older"]})).json()
    texts = [one["text"] for one in oldest["messages"] + newest["messages"]]
    assert (texts, oldest["older"]) == (["4.0", "4.1", "4.2"], None)
    assert (await program.get(CHATS, params={"view": "closed"})).json() == {"chats": [], "next": None}
    for wrong in ({"view": "x"}, {"limit": 0}, {"limit": 101}, {"account": "x"}, {"account": 2**63}):
        assert (await program.get(CHATS, params=wrong)).status_code == 422, wrong
    assert (await program.get(CHATS, params={"before": "x"})).status_code == 400


@ONE_DATABASE
async def test_what_a_buyer_took_back_is_not_told(town: Village, program: httpx2.AsyncClient) -> None:
    chat = town.sim.add_chat(town.seller, "Ольга")
    said = town.sim.buyer_says(chat, "мой пароль 123")
    await town.arrived()
    town.sim.delete(said)
    await town.arrived()
    await town.work()
    told = await program.get(f"{CHATS}/{(await program.get(CHATS)).json()['chats'][0]['id']}/messages")
    assert ([one["deleted"] for one in told.json()["messages"]], "пароль" in told.text) == ([True], False)


@ONE_DATABASE
@pytest.mark.parametrize("body", [b"{", b"{}", b'{"text": 7}', b"[]"])
async def test_whoever_may_not_answer_learns_nothing_of_what_was_wrong(
    town: Village, program: httpx2.AsyncClient, body: bytes
) -> None:
    url, sent = f"{CHATS}/1/messages", {"Content-Type": "application/json"}
    strangers = await program.post(url, content=body, headers=sent | {"Authorization": "Bearer golub_nobody"})
    assert strangers.status_code == 401
    assert (await program.post(url, content=body, headers=sent)).status_code in (400, 422)
