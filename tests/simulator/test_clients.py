"""Clients that others have published for Avito's messenger, as they are but for the host, against the simulator.

avito-api (on httpx) and allchats-sdk (on requests) have nothing in common. What they expect of Avito they did not
learn from us: where they and the simulator disagree, one of the two is wrong about Avito.
"""

import io
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from PIL import Image

from golub.simulator import Account, Chat, Simulator
from golub.simulator.serve import bind, serving
from tests.simulator.conftest import Receiver

# Their own use of what pydantic calls outdated is no business of ours.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

HOOK = "http://shop.test/avito"
KINDS = ("text", "image", "voice", "location", "link", "item", "call", "appCall", "video", "file")
READ = {"getChatsV2", "getMessagesV3"}
WRITTEN = {"postSendMessage", "uploadImages", "postSendImageMessage"}
HOOKED = {"postWebhookV3", "getSubscriptions"}


@dataclass
class Town:
    sim: Simulator
    shop: Account
    chat: Chat
    receiver: Receiver

    @property
    def answered(self) -> set[str]:
        """The operations that were called; none may have failed."""
        assert {call.status for call in self.sim.calls} == {200}
        return {call.operation for call in self.sim.calls}

    async def webhook(self) -> dict[str, Any]:
        """What the client's subscription brings when a buyer writes."""
        self.receiver.bodies.clear()
        self.sim.buyer_says(self.chat, "А доставка есть?")
        await self.sim.idle()
        (event,) = self.receiver.events
        return event

    @property
    def said(self) -> list[tuple[str, str]]:
        return [(message.type, message.text) for message in self.chat.history if message.outgoing]


@pytest.fixture
async def town(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Town]:
    """On a real socket, for these clients bring their own network. One message of each type is there already."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    bound, url = bind()
    sim = Simulator(base_url=url, deliver=httpx2.ASGITransport(app=receiver))
    shop = sim.add_account(101, "Лавка", "key", "secret")
    chat = sim.add_chat(shop, "Анна")
    for kind in KINDS:
        sim.buyer_says(chat, "Здравствуйте!" if kind == "text" else "", type=kind, quiet=True)
    async with serving(sim, bound):
        yield Town(sim, shop, chat, receiver)


@pytest.fixture
def picture() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (40, 30), (200, 30, 30)).save(out, "PNG")
    return out.getvalue()


async def test_avito_api(town: Town, picture: bytes) -> None:
    from avito_api import ClientConfig
    from avito_api.messenger import AsyncMessengerClient
    from avito_api.messenger.models import WebhookMessage

    town.sim.policy.change(sent_author=True)  # see the test below
    host = ClientConfig.model_validate({"api": {"base_url": town.sim.base_url}})
    avito = AsyncMessengerClient("key", "secret", config=host)
    (chat,) = (await avito.get_chats(101)).chats
    assert (chat.id, [user.name for user in chat.users]) == (town.chat.id, ["Анна", "Лавка"])
    messages = (await avito.get_messages(101, chat.id)).messages
    assert [message.type for message in reversed(messages)] == list(KINDS)
    assert messages[-1].content.text == "Здравствуйте!"
    sent = await avito.send_message(101, chat.id, "Да, в наличии")
    (image,) = await avito.upload_image(101, picture)
    assert (await avito.send_image_message(101, chat.id, image)).type == "image"
    assert (await avito.mark_chat_as_read(101, chat.id)).ok
    assert not (await avito.get_chats(101, unread_only=True)).chats
    voice = next(message.content.voice.voice_id for message in messages if message.content.voice)
    assert set((await avito.get_voice_files(101, [voice])).voices_urls) == {voice}
    assert (await avito.subscribe_webhook(HOOK)).ok
    assert [found.url for found in (await avito.get_webhook_subscriptions()).subscriptions] == [HOOK]
    came = WebhookMessage(**await town.webhook())
    assert (came.payload.value.chat_id, came.payload.value.content.text) == (chat.id, "А доставка есть?")
    await avito.delete_message(101, chat.id, sent.id)
    assert (await avito.unsubscribe_webhook(HOOK)).ok
    assert town.said == [("text", "Сообщение удалено"), ("image", "")]
    assert town.answered > READ | WRITTEN | HOOKED | {"token", "chatRead", "deleteMessage", "getVoiceFiles"}


async def test_avito_api_wants_more_than_the_specification_gives(town: Town) -> None:
    """It refuses the answer to a text that doesn't name its author: the message is sent, and its caller hears of a
    failure. The specification's answer is like that; whether Avito's is, nobody has written down."""
    from avito_api import ClientConfig
    from avito_api.messenger import AsyncMessengerClient

    host = ClientConfig.model_validate({"api": {"base_url": town.sim.base_url}})
    with pytest.raises(ValueError, match="author_id"):
        await AsyncMessengerClient("key", "secret", config=host).send_message(101, town.chat.id, "Да")
    assert town.said == [("text", "Да")]


async def test_allchats_sdk(town: Town, picture: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no call that marks a chat as read; all else is there."""
    from allchats_sdk.providers.avito import client

    avito: Any = client
    monkeypatch.setattr(avito, "API_BASE", town.sim.base_url)
    token = (await avito.get_token_client_credentials(client_id="key", client_secret="secret"))["access_token"]
    assert (await avito.get_user_info(token))["name"] == "Лавка"
    shop: dict[str, Any] = {"user_id": "101", "access_token": token}
    (chat,) = (await avito.list_chats(**shop))["chats"]
    assert avito.chat_title_from_api(chat, owner_user_id="101") == "Анна"
    assert avito.chat_listing_from_api(chat)["city"] == "Москва"
    there: dict[str, Any] = shop | {"chat_id": chat["id"]}
    messages = await avito.get_chat_messages(**there)
    assert [message["type"] for message in reversed(messages)] == list(KINDS)
    assert avito.extract_message_text(messages[-1]) == "Здравствуйте!"
    await avito.send_chat_message(**there, text="Да, в наличии")
    image = await avito.upload_avito_image(**shop, data=picture, filename="a.png", content_type="image/png")
    assert (await avito.send_chat_image_message(**there, image_id=image))["type"] == "image"
    assert await avito.subscribe_webhook(url=HOOK, access_token=token) == {"ok": True}
    assert (await avito.get_subscriptions(token))["subscriptions"] == [{"url": HOOK, "version": "3"}]
    came = (await town.webhook())["payload"]["value"]
    assert (came["chat_id"], avito.extract_message_text(came)) == (chat["id"], "А доставка есть?")
    assert town.said == [("text", "Да, в наличии"), ("image", "")]
    assert town.answered == READ | WRITTEN | HOOKED | {"token", "self"}
