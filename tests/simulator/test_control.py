"""The control API: each route does what its line in the list says."""

import asyncio
from typing import Any

import httpx2
import pytest

from golub.simulator import Account, Chat, Simulator
from tests.simulator.conftest import Receiver


class Sim:
    """Short words for asking."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self._client = client

    async def __call__(self, method: str, path: str, status: int = 200, /, **body: Any) -> dict[str, Any]:
        answer = await self._client.request(method, f"/_sim{path}", json=body or None)
        assert answer.status_code == status, answer.text
        return answer.json()


@pytest.fixture
def ask(anyone: httpx2.AsyncClient) -> Sim:
    return Sim(anyone)


async def test_the_list_names_every_route(ask: Sim, sim: Simulator) -> None:
    listed = {(route["method"], route["path"]) for route in (await ask("GET", "/"))["routes"]}
    assert listed == {(method, path.replace(":int", "")) for method, path, _ in sim.control.table}
    assert all(route["does"] for route in (await ask("GET", "/"))["routes"])


async def test_a_world_is_built_from_outside(ask: Sim, sim: Simulator, receiver: Receiver) -> None:
    made = await ask("POST", "/accounts", 201, user_id=7, name="Семь", client_id="k7", client_secret="s7")
    assert (made["user_id"], made["client_id"], made["subscription"]) == (7, "k7", None)
    await ask("PATCH", "/accounts/7", subscription="http://golub.test/hook")
    item = {"title": "Стол", "price": 700, "picture": "table"}
    chat = await ask("POST", "/accounts/7/chats", 201, buyer="Анна", item=item, text="Здравствуйте!")
    said = await ask("POST", f"/chats/{chat['id']}/messages", 201, type="location")
    await ask("POST", f"/chats/{chat['id']}/system", 201, text="Внимание", author=0)
    await ask("POST", f"/chats/{chat['id']}/call", 201)
    await ask("PATCH", f"/messages/{said['id']}", text="Сюда")
    await ask("DELETE", f"/messages/{said['id']}")
    truth = await ask("GET", "/idle?timeout=5")
    assert (truth["sent"], truth["acked"], truth["backlog"]) == (4, 4, 0)
    shown = (await ask("GET", f"/chats/{chat['id']}/messages"))["messages"]
    assert [message["type"] for message in shown] == ["text", "text", "system", "call"]
    assert [message["from"] for message in shown] == ["buyer", "buyer", "avito", "buyer"]
    assert all(message["delivery"]["state"] == "acked" for message in shown)
    assert (await ask("GET", "/accounts/7/chats"))["chats"][0]["item"]["price_string"] == "700\u00a0₽"
    assert len(receiver.bodies) == 6


async def test_emit(ask: Sim, chat: Chat, receiver: Receiver) -> None:
    await ask("POST", "/accounts/101/emit", 202, json={"а": 1}, wait=True)
    await ask("POST", "/accounts/101/emit", 202, text="не JSON", content_type="text/plain", wait=True)
    done = await ask("POST", "/accounts/101/emit", 202, base64="/w==", headers={"x-odd": "1"}, wait=True)
    assert receiver.bodies == ['{"а":1}'.encode(), "не JSON".encode(), b"\xff"]
    assert done["delivery"]["state"] == "acked"


async def test_faults_and_policy(ask: Sim, avito: httpx2.AsyncClient, sim: Simulator) -> None:
    await ask("POST", "/faults", 201, operation="self", status=500, times=None)
    assert (await avito.get("/core/v1/accounts/self")).status_code == 500
    assert (await ask("GET", "/faults"))["faults"][0]["hits"] == 1
    await ask("DELETE", "/faults")
    assert (await avito.get("/core/v1/accounts/self")).status_code == 200
    assert (await ask("PATCH", "/policy", retries=[1, 5], echo_first=True))["retries"] == [1.0, 5.0]
    assert sim.policy.echo_first
    for wrong in ({"retries": 3}, {"nonsense": 1}, {"timeout": True}):
        await ask("PATCH", "/policy", 400, **wrong)


async def test_trouble_for_an_account(ask: Sim, avito: httpx2.AsyncClient, shop: Account) -> None:
    self_path = "/core/v1/accounts/self"
    await ask("POST", "/accounts/101/expire")
    assert (await avito.get(self_path)).status_code == 403
    assert (await ask("POST", "/accounts/101/steal", url="https://crm.example.com/x"))["stolen"]
    assert shop.subscription == "https://crm.example.com/x"
    await ask("PATCH", "/accounts/101", paid=False, revoked=True, rate_limit=5)
    assert (shop.paid, shop.revoked, shop.rate_limit) == (False, True, 5)
    assert (await ask("POST", "/accounts/101/code"))["code"]


async def test_load_is_bounded_and_reports(ask: Sim, sim: Simulator, chat: Chat, receiver: Receiver) -> None:
    await ask("POST", "/load", 202, rate=2000, count=100, chats=3)
    await ask("POST", "/load", 400, rate=1, count=1)
    await sim.control.loaded()
    progress = await ask("GET", "/load")
    assert (progress["load"]["made"], progress["load"]["running"], progress["acked"]) == (100, False, 100)
    assert len(receiver.bodies) == 100
    assert len({value["chat_id"] for value in receiver.values}) == 3
    await ask("POST", "/load", 400, rate=10_000_000, count=1)
    await ask("DELETE", "/load")


async def test_its_own_log(ask: Sim, avito: httpx2.AsyncClient, sim: Simulator, chat: Chat) -> None:
    message = sim.buyer_says(chat, "привет")
    await sim.idle()
    await avito.get("/core/v1/accounts/self")
    assert (await ask("GET", "/oracle?full=1"))["acked_keys"] == [list(message.key)]
    assert [event["kind"] for event in (await ask("GET", "/events"))["events"]] == ["sent", "answer"]
    (call,) = (await ask("GET", "/calls?operation=self"))["calls"]
    assert (call["status"], call["path"], call["account"]) == (200, "/core/v1/accounts/self", 101)
    await ask("DELETE", "/calls")
    assert not (await ask("GET", "/calls"))["calls"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PATCH", "/accounts/999", 404),
        ("GET", "/chats/nope/messages", 404),
        ("DELETE", "/messages/nope", 404),
        ("POST", "/accounts", 400),
        ("POST", "/faults", 400),
    ],
)
async def test_mistakes_are_told(ask: Sim, method: str, path: str, status: int) -> None:
    assert (await ask(method, path, status))["error"]


async def test_a_misspelt_key_is_a_mistake(ask: Sim, shop: Account) -> None:
    assert "unknown: nmae" in (await ask("POST", "/accounts", 400, user_id=8, nmae="x"))["error"]
    await ask("POST", "/accounts", 400, user_id=101)


async def test_buyers_write_by_themselves(ask: Sim, sim: Simulator, chat: Chat) -> None:
    assert (await ask("GET", "/lively"))["pace"] is None
    assert (await ask("POST", "/lively", pace=0.001))["pace"] == 0.001
    async with asyncio.timeout(60):
        while len(sim.sent) < 5:
            await asyncio.sleep(0)
            await sim.idle()
    await ask("POST", "/lively", 400, pace=-1)
    assert (await ask("GET", "/lively"))["pace"] == 0.001
    await ask("POST", "/lively", pace=None)
    assert (await ask("GET", "/lively"))["pace"] is None


async def test_what_a_shop_sells(ask: Sim, sim: Simulator, shop: Account, chat: Chat) -> None:
    (item,) = (await ask("GET", "/accounts/101/items"))["items"]
    assert (item["title"], item["price_string"]) == ("Диван серый", "12\u00a0500\u00a0₽")
