"""The simulator's answers against Avito's own OpenAPI files, which are not ours to publish.

They are looked for in $GOLUB_AVITO_OPENAPI, else in `shared/avito` beside the checkout; without them this is skipped.
The files declare little to be required, so here every object may have the declared keys only: what an answer has
beyond them is either in `UNDOCUMENTED` below, because live answers have it, or a mistake. Where the files themselves
are wrong, `test_defects` says how, and fails when Avito mends them.
"""

import io
import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpx2
import pytest
from openapi_schema_validator import OAS30Validator
from PIL import Image

from golub.simulator import Account, Chat, Item, Simulator
from tests import machine
from tests.simulator.conftest import Receiver

machine.must_have(machine.Need.AVITO_FILES)

NAMES = ("messenger", "auth", "user")
MARK = "\u200e"  # an invisible character in two paths of the file
OTHER_FILES = {"postOperationsHistory", "getUserBalance"}  # money, and no business of a messenger

# Keys that live answers have and the files don't, by operation.
UNDOCUMENTED = {
    "getChatsV2": {"location", "parsing_allowed", "delivered"},
    "getChatByIdV2": {"location", "parsing_allowed", "delivered"},
    "getMessagesV3": {"isRead"},  # the file: is_read
    "expired token": {"result"},  # the file: error
}
UNLISTED = {"appCall", "file", "video"}  # types that the file's text names, and its list of a message's types doesn't


@dataclass
class Given:
    """A world that has one of everything, and a client of its shop."""

    sim: Simulator
    shop: Account
    chat: Chat
    avito: httpx2.AsyncClient

    @property
    def user(self) -> str:
        return f"/accounts/{self.shop.user_id}"

    @property
    def talk(self) -> str:
        return f"{self.user}/chats/{self.chat.id}"

    async def token(self, **form: str) -> httpx2.Response:
        keys = {"client_id": self.shop.client_id, "client_secret": self.shop.client_secret}
        return await self.avito.post("/token", data=keys | form)

    async def by_code(self) -> httpx2.Response:
        code = self.sim.tokens.authorize(self.shop)
        return await self.token(grant_type="authorization_code", code=code)

    async def refreshed(self) -> httpx2.Response:
        refresh: str = (await self.by_code()).json()["refresh_token"]
        return await self.token(grant_type="refresh_token", refresh_token=refresh)

    async def uploaded(self) -> httpx2.Response:
        raw = io.BytesIO()
        Image.new("RGB", (40, 30)).save(raw, "PNG")
        files = {"uploadfile[]": ("a.png", raw.getvalue())}
        return await self.avito.post(f"/messenger/v1{self.user}/uploadImages", files=files)

    async def send_image(self) -> httpx2.Response:
        body = {"image_id": next(iter((await self.uploaded()).json()))}
        return await self.avito.post(f"/messenger/v1{self.talk}/messages/image", json=body)

    async def voices(self) -> httpx2.Response:
        voice = next(m.content["voice"]["voice_id"] for m in self.chat.history if m.type == "voice")
        return await self.avito.get(f"/messenger/v1{self.user}/getVoiceFiles", params={"voice_ids": voice})

    async def delete(self) -> httpx2.Response:
        mine = next(m for m in self.chat.history if m.outgoing)
        return await self.avito.post(f"/messenger/v1{self.talk}/messages/{mine.id}")


TEXT = {"type": "text", "message": {"text": "привет"}}
HOOK = {"url": "https://golub.test/hook"}
BLOCKED = {"users": [{"user_id": 5, "context": {"item_id": 1, "reason_id": 4}}]}
ASKED: dict[str, Callable[[Given], Awaitable[httpx2.Response]]] = {
    "postSendMessage": lambda g: g.avito.post(f"/messenger/v1{g.talk}/messages", json=TEXT),
    "postSendImageMessage": Given.send_image,
    "deleteMessage": Given.delete,
    "chatRead": lambda g: g.avito.post(f"/messenger/v1{g.talk}/read"),
    "getVoiceFiles": Given.voices,
    "uploadImages": Given.uploaded,
    "getSubscriptions": lambda g: g.avito.post("/messenger/v1/subscriptions"),
    "postWebhookUnsubscribe": lambda g: g.avito.post("/messenger/v1/webhook/unsubscribe", json=HOOK),
    "postBlacklistV2": lambda g: g.avito.post(f"/messenger/v2{g.user}/blacklist", json=BLOCKED),
    "getChatsV2": lambda g: g.avito.get(f"/messenger/v2{g.user}/chats", params={"chat_types": "u2i,u2u,a2u"}),
    "getChatByIdV2": lambda g: g.avito.get(f"/messenger/v2{g.talk}"),
    "getMessagesV3": lambda g: g.avito.get(f"/messenger/v3{g.talk}/messages/"),
    "postWebhookV3": lambda g: g.avito.post("/messenger/v3/webhook", json=HOOK),
    "getAccessToken": lambda g: g.token(grant_type="client_credentials"),
    "getAccessTokenAuthorizationCode": Given.by_code,
    "refreshAccessTokenAuthorizationCode": Given.refreshed,
    "getUserInfoSelf": lambda g: g.avito.get("/core/v1/accounts/self"),
}


@pytest.fixture
def given(sim: Simulator, shop: Account, chat: Chat, avito: httpx2.AsyncClient) -> Given:
    for kind in ("text", "image", "item", "call", "link", "location", "appCall", "file", "video", "voice"):
        sim.buyer_says(chat, type=kind, text="Слово" if kind == "text" else "")
    reply = sim.shop_said(chat, "Да")
    reply.read = sim.now()
    for author in (1, 0, None):
        sim.system(chat, "Внимание", author=author)
    sim.delete(sim.buyer_says(chat, "лишнее"))
    sim.buyer_says(chat, "Как вы писали").quote = reply
    sim.buyer_says(sim.add_chat(shop, "Вера", chat_type="u2u"), "Здравствуйте")
    sim.system(sim.add_chat(shop, "Авито", chat_type="a2u", buyer_id=1), "Новости")
    sim.buyer_says(sim.add_chat(shop, "Пётр", Item("Без цены")), "Сколько стоит?")
    bare = sim.add_chat(shop, "Никто")
    bare.omits |= {"users", "context", "last_message"}
    return Given(sim, shop, chat, avito)


@cache
def document(name: str) -> dict[str, Any]:
    return json.loads((machine.AVITO_FILES / f"{name}_openapi.json").read_text())


def operations() -> dict[str, tuple[str, dict[str, Any]]]:
    """Everything that the files describe: which file, and the operation."""
    return {
        operation["operationId"]: (name, operation)
        for name in NAMES
        for methods in document(name)["paths"].values()
        for operation in methods.values()
        if isinstance(operation, dict)
    }


def strict(schema: Any) -> Any:
    """The same schema, but an object that declares its keys has no others."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: value if key in ("example", "enum") else strict(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and "additionalProperties" not in schema:
        closed["additionalProperties"] = False
    return closed


def complaints(name: str, schema: dict[str, Any], body: Any) -> Iterator[Any]:
    whole = {"components": strict(document(name).get("components", {}))} | strict(schema)
    if "$ref" in schema:
        whole = {"allOf": [{"$ref": schema["$ref"]}], "components": whole["components"]}
    yield from OAS30Validator(whole).iter_errors(body)


def beyond(found: list[Any]) -> set[str]:
    """The keys that no schema declares. Any other complaint is a mistake of ours, and told."""
    extra = [one for one in found if one.validator == "additionalProperties"]
    others = [one for one in found if one.validator != "additionalProperties" and one.instance not in UNLISTED]
    assert [f"{list(one.absolute_path)}: {one.message}" for one in others] == []
    return {key for one in extra for key in one.instance if key not in one.schema["properties"]}


def answer_of(operation: str) -> dict[str, Any]:
    return operations()[operation][1]["responses"]["200"]


def schema_of(operation: str) -> dict[str, Any]:
    return answer_of(operation)["content"]["application/json"]["schema"]


def test_every_operation_is_tried() -> None:
    assert set(ASKED) == set(operations()) - OTHER_FILES


@pytest.mark.parametrize("operation", ASKED)
async def test_answers(given: Given, operation: str) -> None:
    answer = await ASKED[operation](given)
    assert answer.status_code == 200
    if "content" not in answer_of(operation):
        assert answer.content == b""
        return
    body = answer.json()["messages"] if operation == "getMessagesV3" else answer.json()
    found = list(complaints(operations()[operation][0], schema_of(operation), body))
    assert beyond(found) == UNDOCUMENTED.get(operation, set())


async def test_webhooks(given: Given, receiver: Receiver) -> None:
    """Their schema stands where the answer to a registration should (see `test_defects`)."""
    await given.sim.idle()
    assert {value["type"] for value in receiver.values} > {"text", "image", "voice", "call", "system", "location"}
    schema = operations()["postWebhookV3"][1]["responses"]["201"]["content"]["application/json"]["schema"]
    found = [one for event in receiver.events for one in complaints("messenger", schema, event)]
    assert beyond(found) == set()


@pytest.mark.parametrize("status", ["401", "403"])
async def test_refusals(given: Given, status: str) -> None:
    """The only ones whose shape the files declare are those of the account's own page."""
    if status == "401":
        given.avito.headers["authorization"] = ""
    else:
        given.sim.expire_tokens(given.shop)
    answer = await given.avito.get("/core/v1/accounts/self")
    assert answer.status_code == int(status)
    schema = operations()["getUserInfoSelf"][1]["responses"][status]["content"]["application/json"]["schema"]
    known = UNDOCUMENTED["expired token"] if status == "403" else set[str]()
    assert beyond(list(complaints("user", schema, answer.json()))) == known


async def test_defects(given: Given) -> None:
    """Where the files are wrong, so that nobody trusts them there."""
    sending = document("messenger")["components"]["schemas"]["sendMessageRequestBody"]
    assert sending["required"] == ["url"]  # and declares no such key
    assert "url" not in sending["properties"]
    assert {path.rstrip(MARK) for path in document("auth")["paths"]} == {"/token"}
    assert len(document("auth")["paths"]) == 3  # two of them end in invisible characters
    registering = operations()["postWebhookV3"][1]["responses"]
    assert "payload" in registering["201"]["content"]["application/json"]["schema"]["properties"]
    messages = (await ASKED["getMessagesV3"](given)).json()
    assert any(complaints("messenger", schema_of("getMessagesV3"), messages))  # it declares the bare list
    types = document("messenger")["components"]["schemas"]["Messages"]["items"]["properties"]["type"]["enum"]
    assert UNLISTED.isdisjoint(types)
    kinds = document("messenger")["components"]["schemas"]["MessageContent"]["properties"]["location"]["properties"]
    assert kinds["kind"]["enum"][-1] == "..."  # as if that were one
