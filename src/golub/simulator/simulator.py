"""The simulator: our runnable Avito, in one object.

Tests drive it by its verbs (`buyer_says`, `edit`, `fault` …) and talk to `app` as they would to api.avito.ru; the
control API and the page are thin layers over the same verbs. It promises that the oracle knows of everything it
sent, and that nothing it says about Avito is friendlier than Avito.
"""

import hashlib
import hmac
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Self

import httpx2
from starlette.applications import Starlette

from golub.simulator import wire
from golub.simulator.contents import content_for
from golub.simulator.control import Control
from golub.simulator.delivery import Deliveries, Event
from golub.simulator.doors import application
from golub.simulator.faults import Fault, Faults
from golub.simulator.gate import Call, Gate
from golub.simulator.lively import Lively
from golub.simulator.oracle import Key, OracleLog
from golub.simulator.policy import Policy
from golub.simulator.scenarios import Scenario
from golub.simulator.stage import Stage
from golub.simulator.tokens import Tokens
from golub.simulator.world import CHAT_TYPES, DELETED_TEXT, Account, Chat, Item, Message, World


class Simulator:
    """Avito, as far as its messenger goes. Enter it (`async with`) to have webhooks delivered.

    `clock` gives the simulated time in unix seconds; delivery timeouts and retry spacing run in real time.
    `deliver` replaces the network for webhooks, for example by `httpx2.ASGITransport(app=receiver)`.
    The same seed gives the same ids, as long as the log starts empty; on a log that already has lines the ids of new
    messages are different ones, so that two runs never mean two messages by one id.
    """

    def __init__(
        self,
        log_path: Path | None = None,
        *,
        seed: int = 1,
        clock: Callable[[], float] = time.time,
        base_url: str = "http://127.0.0.1:8090",
        retries: Sequence[float] = (),
        timeout: float = 2.0,
        deliver: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self.seed = seed
        self.base_url = base_url.rstrip("/")
        self.clock = clock
        self.policy = Policy(retries=tuple(retries), timeout=timeout)
        self.log = OracleLog(log_path)
        self.world = World(Random(f"{seed}:world"))
        self.faults = Faults(Random(f"{seed}:faults"))
        self._rng = Random(f"{seed}:live:{self.log.position}")
        self._voice_key = Random(f"{seed}:voice").randbytes(32)
        self.tokens = Tokens(self.world, self.policy, Random(f"{seed}:tokens:{time.time_ns()}"), clock)
        self.gate = Gate(self.tokens, self.faults, self.policy, clock)
        envelopes = Random(f"{seed}:envelopes:{self.log.position}")
        self.deliveries = Deliveries(self.policy, self.faults, self.log, envelopes, clock, deliver)
        self.voices: dict[str, Account] = {}
        self.lively: Lively | None = None  # the one that runs
        self.on_reply: list[Callable[[Message], None]] = []  # called for every message that a shop sent
        self.stage = Stage(self)
        self.control = Control(self)
        self.app: Starlette = application(self)
        self.log.write({"kind": "start", "at": round(clock(), 3), "seed": seed})

    async def __aenter__(self) -> Self:
        self.world.rng = self._rng  # what was built before is the seeded world; from here on it lives
        self.deliveries.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.gate.release()
        self.control.close()
        await self.deliveries.close()
        self.log.close()

    @property
    def calls(self) -> list[Call]:
        """API calls received, oldest first; the newest 10 000 at least."""
        return self.gate.calls

    @property
    def sent(self) -> set[Key]:
        return self.deliveries.oracle.sent

    @property
    def acked(self) -> set[Key]:
        return self.deliveries.oracle.acked

    @property
    def dropped(self) -> set[Key]:
        return self.deliveries.oracle.dropped

    def now(self) -> int:
        return int(self.clock())

    async def idle(self) -> None:
        """Until every queued delivery reached its final answer. Hangs when the simulator was not entered."""
        await self.deliveries.idle()

    async def arrived(self, operation: str) -> Call:
        """The next API call of that operation, as soon as it is here. Start waiting before it can come."""
        return await self.gate.arrived(operation)

    def release(self) -> None:
        """Lets go every API call that hangs or is delayed by a fault."""
        self.gate.release()

    def add_account(self, user_id: int, name: str = "Магазин", client_id: str = "", client_secret: str = "") -> Account:
        """A shop with one key pair. Raises ValueError for a user_id or client_id that exists."""
        client_id = client_id or f"client-{user_id}"
        if user_id in self.world.accounts or any(a.client_id == client_id for a in self.world.accounts.values()):
            raise ValueError(f"account {user_id} or client id {client_id} exists")
        account = Account(user_id, name, client_id, client_secret or f"secret-{user_id}")
        self.world.accounts[user_id] = account
        return account

    def add_chat(
        self,
        account: Account,
        buyer: str = "Покупатель",
        item: Item | None = None,
        chat_type: str = "u2i",
        *,
        buyer_id: int | None = None,
        created: int | None = None,
    ) -> Chat:
        """An empty chat. A u2i chat without an item gets a plain one, other types have none."""
        if chat_type not in CHAT_TYPES:
            raise ValueError(f"chat_type must be one of {', '.join(CHAT_TYPES)}")
        if chat_type == "u2i":
            item = item or Item("Объявление без затей", 1000)
            item.id = item.id or self.world.number()
        else:
            item = None
        at = self.now() if created is None else created
        buyer_id = self.world.number() if buyer_id is None else buyer_id
        chat = Chat(self.world.chat_id(chat_type), account, buyer_id, buyer, item, chat_type, at, at)
        self.world.chats[chat.id] = chat
        account.moved(chat, at)
        return chat

    def buyer_says(
        self,
        chat: Chat,
        text: str = "",
        type: str = "text",  # noqa: A002 - Avito's word
        content: dict[str, Any] | None = None,
        quiet: bool = False,
        *,
        at: int | None = None,
    ) -> Message:
        """A message of the buyer, of any type. `quiet`: history only, no webhook. `at`: when, for history."""
        if not quiet:
            for reply in chat.unseen:  # who answers has read
                reply.read = self.now()
            chat.unseen.clear()
        return self._say(chat, chat.buyer_id, type, text, content, "new", quiet, at)

    async def shop_says(
        self, chat: Chat, text: str, kind: str = "text", content: dict[str, Any] | None = None
    ) -> Message:
        """A message of the shop, as a send call makes it, with its echo. With echo_first it waits for the echo."""
        message = self._say(chat, chat.account.user_id, kind, text, content, "echo", True, None)
        if self.policy.echo:
            event = self._happened(message, "echo")
            if self.policy.echo_first:
                await event.finished.wait()
        for hear in self.on_reply:
            hear(message)
        return message

    def shop_said(self, chat: Chat, text: str, at: int | None = None) -> Message:
        """A message of the shop in history; no webhook."""
        return self._say(chat, chat.account.user_id, "text", text, None, "echo", True, at)

    def system(
        self, chat: Chat, text: str = "", author: int | None = 1, quiet: bool = False, *, at: int | None = None
    ) -> Message:
        """A message of Avito itself. Its author was seen as 1, as 0 and missing (None)."""
        return self._say(chat, author, "system", text, None, "new", quiet, at)

    def call(self, chat: Chat, quiet: bool = False) -> Message:
        """The buyer rang and nobody answered. (An appCall carries nothing: `buyer_says(chat, type="appCall")`.)"""
        return self._say(chat, chat.buyer_id, "call", "", None, "new", quiet, None)

    def edit(self, message: Message, text: str, quiet: bool = False) -> Message:
        """Same id, same `created`, new text."""
        message.content = message.content | {"text": text}
        message.edited = True
        return self._changed(message, "edit", quiet)

    def delete(self, message: Message, quiet: bool = False) -> Message:
        """Same id, but now the plain text «Сообщение удалено»: how 496 of 496 observed deletions came."""
        message.type, message.content, message.deleted = "text", {"text": DELETED_TEXT}, True
        return self._changed(message, "delete", quiet)

    def emit(
        self,
        account: Account,
        raw: bytes,
        headers: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Event:
        """Queues any bytes for the subscription, as they are."""
        event = Event(account, "raw", self.now(), raw=raw, headers=dict(headers or {}), content_type=content_type)
        return self.deliveries.queue(event)

    def fault(
        self,
        operation: str,
        *,
        status: int | None = None,
        body: Any = None,
        delay: float = 0.0,
        times: int | None = 1,
        hang: bool = False,
        after: bool = False,
        share: float = 1.0,
        headers: Mapping[str, str] | None = None,
        cut: bool = False,
        pad: int = 0,
        account: Account | None = None,
    ) -> Fault:
        """Arms a fault; see `faults.Fault`. `after=True` on a send is the lost answer."""
        only = account.user_id if account else None
        return self.faults.arm(
            Fault(operation, status, body, delay, times, hang, after, cut, pad, share, dict(headers or {}), only)
        )

    def play(self, name: str, account: Account | None = None) -> Scenario:
        """Plays a scenario by name, for one shop or for all; see `scenarios`. Raises ValueError for an unknown name."""
        return self.stage.play(name, account)

    def end(self, name: str | None = None) -> None:
        """Ends one scenario or all: the weather is as before, what has happened stays."""
        self.stage.end(name)

    def expire_tokens(self, account: Account) -> None:
        """Every access token of this account is expired from now on; a new one can be had."""
        self.tokens.expire(account)

    def steal_subscription(self, account: Account, url: str) -> None:
        """Another service registered its own URL. It is never called: our events just stop coming."""
        account.subscription, account.stolen = url, True

    def keep_image(self, raw: bytes) -> str:
        image_id = f"{self._rng.randrange(10**9, 10**10)}.{self._rng.getrandbits(128):032x}"
        self.world.images[image_id] = raw
        return image_id

    def voice_link(self, voice_id: str) -> str:
        expires = str(self.now() + self.policy.voice_seconds)
        return f"{self.base_url}/voice/{voice_id}.wav?expires={expires}&sign={self._sign(voice_id, expires)}"

    def voice_open(self, voice_id: str, expires: str, sign: str) -> bool:
        """Whether a link is one of ours and still young enough."""
        if not hmac.compare_digest(sign.encode(), self._sign(voice_id, expires).encode()):
            return False
        return self.clock() < int(expires)

    def _sign(self, voice_id: str, expires: str) -> str:
        return hmac.new(self._voice_key, f"{voice_id}.{expires}".encode(), hashlib.sha256).hexdigest()[:32]

    def _say(
        self,
        chat: Chat,
        author: int | None,
        kind: str,
        text: str,
        content: dict[str, Any] | None,
        change: str,
        quiet: bool,
        at: int | None,
    ) -> Message:
        rng = self.world.rng if quiet else self._rng
        if content is None:
            content = content_for(kind, text, rng, self.base_url, chat.item)
        if kind == "call" and "call" in content:
            content["call"]["target_user_id"] = chat.account.user_id
        if kind == "voice" and (voice := content.get("voice")):
            self.voices[str(voice["voice_id"])] = chat.account
        message_id = f"{rng.getrandbits(128):032x}"
        message = Message(message_id, chat, author, self.now() if at is None else at, kind, content)
        message.is_read = message.outgoing
        self.world.add(message)
        if not quiet:
            self._happened(message, change)
        return message

    def _changed(self, message: Message, change: str, quiet: bool) -> Message:
        self.world.touched(message.chat, self.now())
        if not quiet:
            self._happened(message, change)
        return message

    def _happened(self, message: Message, change: str) -> Event:
        event = Event(message.chat.account, change, self.now(), wire.webhook_value(message))
        message.delivery = event.fate
        return self.deliveries.queue(event)
