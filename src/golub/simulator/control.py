"""The control API under `/_sim/`: whatever a test or a person wants to happen at Avito, as JSON over HTTP.

`GET /_sim/` lists the routes with what they take; that list is made from the table below and the handlers' first
lines, so it cannot be wrong. Errors are `{"error": "…"}` with 400 or 404.
"""

import asyncio
import base64
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from golub.simulator import media, shown, wire
from golub.simulator.asking import Handler, endpoint, missing, number, only
from golub.simulator.catalogue import SHOPS
from golub.simulator.faults import Fault
from golub.simulator.lively import Lively
from golub.simulator.load import Load
from golub.simulator.scenarios import TABLE
from golub.simulator.world import Account, Chat, Item, Message

if TYPE_CHECKING:
    from golub.simulator.simulator import Simulator


class Control:
    def __init__(self, sim: "Simulator") -> None:
        self._sim = sim
        self._load: Load | None = None
        self._lively: asyncio.Task[None] | None = None
        shop, chat, message = "/_sim/accounts/{user_id:int}", "/_sim/chats/{chat_id}", "/_sim/messages/{message_id}"
        self.table: tuple[tuple[str, str, Handler], ...] = (
            ("GET", "/_sim/", self.index),
            ("GET", "/_sim/accounts", self.accounts),
            ("POST", "/_sim/accounts", self.add_account),
            ("PATCH", shop, self.change_account),
            ("POST", f"{shop}/expire", self.expire),
            ("POST", f"{shop}/steal", self.steal),
            ("POST", f"{shop}/code", self.code),
            ("POST", f"{shop}/emit", self.emit),
            ("GET", f"{shop}/chats", self.chats),
            ("POST", f"{shop}/chats", self.add_chat),
            ("GET", f"{shop}/items", self.items),
            ("PATCH", chat, self.change_chat),
            ("GET", f"{chat}/messages", self.messages),
            ("POST", f"{chat}/messages", self.say),
            ("POST", f"{chat}/system", self.system),
            ("POST", f"{chat}/call", self.call),
            ("PATCH", message, self.edit),
            ("DELETE", message, self.delete),
            ("GET", "/_sim/voices/{voice_id}.wav", self.voice),
            ("GET", "/_sim/faults", self.faults),
            ("POST", "/_sim/faults", self.add_fault),
            ("DELETE", "/_sim/faults", self.clear_faults),
            ("GET", "/_sim/policy", self.policy),
            ("PATCH", "/_sim/policy", self.change_policy),
            ("GET", "/_sim/scenarios", self.scenarios),
            ("POST", "/_sim/scenario", self.play),
            ("DELETE", "/_sim/scenario", self.end),
            ("POST", "/_sim/load", self.load),
            ("GET", "/_sim/load", self.progress),
            ("DELETE", "/_sim/load", self.stop_load),
            ("GET", "/_sim/lively", self.lively),
            ("POST", "/_sim/lively", self.change_lively),
            ("GET", "/_sim/oracle", self.oracle),
            ("GET", "/_sim/events", self.events),
            ("GET", "/_sim/calls", self.calls),
            ("DELETE", "/_sim/calls", self.forget_calls),
            ("GET", "/_sim/idle", self.idle),
        )

    def routes(self) -> list[Route]:
        return [Route(path, endpoint(run), methods=[method]) for method, path, run in self.table]

    async def loaded(self) -> None:
        """Until the load that runs is over."""
        if self._load and self._load.task:
            await self._load.task

    def live(self, pace: float | None) -> None:
        """Buyers write by themselves, a message every `pace` seconds or so; None is a pause."""
        if self._sim.lively:
            self._sim.lively.set_pace(pace)
        elif pace is not None:
            self._lively = asyncio.create_task(Lively(self._sim, pace).run(), name="lively")

    def close(self) -> None:
        for task in (self._lively, self._load and self._load.task):
            if task:
                task.cancel()

    async def index(self, _request: Request, _body: dict[str, Any]) -> Any:
        """This list."""
        return {
            "simulator": "golub",
            "routes": [
                {"method": method, "path": path.replace(":int", ""), "does": (run.__doc__ or "").strip()}
                for method, path, run in self.table
            ],
        }

    async def accounts(self, _request: Request, _body: dict[str, Any]) -> Any:
        """All shops with their key pairs and subscriptions."""
        return {"accounts": [shown.account_json(account) for account in self._sim.world.accounts.values()]}

    async def add_account(self, _request: Request, body: dict[str, Any]) -> Any:
        """{user_id, name, client_id?, client_secret?}: adds a shop."""
        only(body, "user_id", "name", "client_id", "client_secret")
        if not isinstance(body.get("user_id"), int):
            raise TypeError("user_id must be an integer")
        return 201, shown.account_json(self._sim.add_account(**body))

    async def change_account(self, request: Request, body: dict[str, Any]) -> Any:
        """{name?, paid?, revoked?, rate_limit?, client_secret?, subscription?}: changes a shop; unpaid answers 402."""
        only(body, "name", "paid", "revoked", "rate_limit", "client_secret", "subscription")
        account = self._account(request)
        for name, value in body.items():
            setattr(account, name, value)
        account.stolen = account.stolen and "subscription" not in body
        return shown.account_json(account)

    async def expire(self, request: Request, _body: dict[str, Any]) -> Any:
        """Expires all access tokens of a shop."""
        self._sim.expire_tokens(self._account(request))
        return {"ok": True}

    async def steal(self, request: Request, body: dict[str, Any]) -> Any:
        """{url}: another service takes the subscription; its URL is never called."""
        account = self._account(request)
        self._sim.steal_subscription(account, str(body.get("url") or "https://crm.example.com/avito"))
        return shown.account_json(account)

    async def code(self, request: Request, _body: dict[str, Any]) -> Any:
        """A code as the OAuth consent page gives, for grant_type=authorization_code."""
        return {"code": self._sim.tokens.authorize(self._account(request))}

    async def emit(self, request: Request, body: dict[str, Any]) -> Any:
        """{json | text | base64, headers?, content_type?, wait?}: posts these bytes to the shop's subscription."""
        only(body, "json", "text", "base64", "headers", "content_type", "wait")
        if "json" in body:
            raw = wire.encoded(body["json"])
        elif "text" in body:
            raw = str(body["text"]).encode("utf-8", "surrogatepass")
        else:
            raw = base64.b64decode(str(body.get("base64", "")), validate=True)
        kind = str(body.get("content_type", "application/json"))
        event = self._sim.emit(self._account(request), raw, body.get("headers") or {}, kind)
        if body.get("wait"):
            await event.finished.wait()
        return 202, {"delivery": asdict(event.fate)}

    async def chats(self, request: Request, _body: dict[str, Any]) -> Any:
        """?limit=50&offset=0: a shop's chats, newest first."""
        limit, offset = number(request, "limit", 50), number(request, "offset", 0)
        found = self._account(request).newest_first()[offset : offset + limit]
        return {"chats": [shown.chat_json(chat, self._sim.base_url) for chat in found]}

    async def items(self, request: Request, _body: dict[str, Any]) -> Any:
        """What a shop sells, as far as its chats and the seeded catalogue tell."""
        account = self._account(request)
        known = {chat.item.id: chat.item for chat in account.newest_first() if chat.item}
        known |= {item.id: item for plan in SHOPS if plan.user_id == account.user_id for item in plan.items()}
        return {"items": [asdict(item) | {"price_string": wire.price_string(item.price)} for item in known.values()]}

    async def add_chat(self, request: Request, body: dict[str, Any]) -> Any:
        """{buyer, item?: {title, price?, id?, picture?}, chat_type?, omits?, text?}: a new chat; text opens it."""
        only(body, "buyer", "buyer_id", "item", "chat_type", "omits", "text")
        item = Item(**body["item"]) if body.get("item") else None
        chat = self._sim.add_chat(
            self._account(request),
            str(body.get("buyer") or "Покупатель"),
            item,
            str(body.get("chat_type") or "u2i"),
            buyer_id=body.get("buyer_id"),
        )
        chat.omits = set(body.get("omits") or ())
        if body.get("text"):
            self._sim.buyer_says(chat, str(body["text"]))
        return 201, shown.chat_json(chat, self._sim.base_url)

    async def change_chat(self, request: Request, body: dict[str, Any]) -> Any:
        """{omits?, buyer?}: which keys the API leaves out ("users", "context", "last_message"), the buyer's name."""
        only(body, "omits", "buyer")
        chat = self._chat(request)
        chat.omits = set(body.get("omits", chat.omits))
        chat.buyer = str(body.get("buyer", chat.buyer))
        return shown.chat_json(chat, self._sim.base_url)

    async def messages(self, request: Request, _body: dict[str, Any]) -> Any:
        """?limit=200: a chat's newest messages, oldest first, with the fate of each one's webhook."""
        newest = self._chat(request).history[-number(request, "limit", 200) :]
        return {"messages": [shown.message_json(message) for message in newest]}

    async def say(self, request: Request, body: dict[str, Any]) -> Any:
        """{text?, type?, content?, quiet?, at?}: the buyer writes; any type; quiet is history without a webhook."""
        only(body, "text", "type", "content", "quiet", "at")
        return 201, shown.message_json(self._sim.buyer_says(self._chat(request), **body))

    async def system(self, request: Request, body: dict[str, Any]) -> Any:
        """{text, author?: 1 | 0 | null, quiet?}: a message of Avito itself."""
        only(body, "text", "author", "quiet")
        return 201, shown.message_json(self._sim.system(self._chat(request), **body))

    async def call(self, request: Request, _body: dict[str, Any]) -> Any:
        """A missed call of the buyer (type call; an appCall is a message)."""
        return 201, shown.message_json(self._sim.call(self._chat(request)))

    async def edit(self, request: Request, body: dict[str, Any]) -> Any:
        """{text}: changes a message; same id."""
        only(body, "text")
        return shown.message_json(self._sim.edit(self._message(request), str(body["text"])))

    async def delete(self, request: Request, _body: dict[str, Any]) -> Any:
        """Deletes a message: it comes again as the text «Сообщение удалено»."""
        return shown.message_json(self._sim.delete(self._message(request)))

    async def voice(self, request: Request, _body: dict[str, Any]) -> Any:
        """The sound of a voice message, without the hour's limit."""
        return Response(media.speech(request.path_params["voice_id"]), media_type="audio/wav")

    async def faults(self, _request: Request, _body: dict[str, Any]) -> Any:
        """The armed faults."""
        return {"faults": [shown.fault_json(fault) for fault in self._sim.faults.armed]}

    async def add_fault(self, _request: Request, body: dict[str, Any]) -> Any:
        """{operation, status?, body?, delay?, times?: 1 | null, hang?, after?, share?, headers?, account?: user_id}."""
        only(body, *(f.name for f in fields(Fault) if f.name != "hits"))
        return 201, shown.fault_json(self._sim.faults.arm(Fault(**body)))

    async def clear_faults(self, request: Request, _body: dict[str, Any]) -> Any:
        """?operation=: disarms all faults or one operation's, and lets go what hangs."""
        self._sim.faults.clear(request.query_params.get("operation"))
        self._sim.gate.release()
        return {"ok": True}

    async def policy(self, _request: Request, _body: dict[str, Any]) -> Any:
        """How Avito behaves: retries, timeout, echo_first, probe, duplicates, token_seconds, rate_limit …"""
        return self._sim.policy.as_json()

    async def change_policy(self, _request: Request, body: dict[str, Any]) -> Any:
        """{any of the policy's keys}: retries are seconds before each further attempt, [] for none."""
        self._sim.policy.change(**body)
        return self._sim.policy.as_json()

    async def scenarios(self, _request: Request, _body: dict[str, Any]) -> Any:
        """What can be played by name, and what is being played."""
        playing = self._sim.stage.playing
        return {"scenarios": [{"name": s.name, "says": s.says, "playing": s.name in playing} for s in TABLE]}

    async def play(self, _request: Request, body: dict[str, Any]) -> Any:
        """{name, account?: user_id, wait?}: plays a scenario; with wait its events come once a shop has a webhook."""
        only(body, "name", "account", "wait")
        accounts = self._sim.world.accounts
        account = None if body.get("account") is None else accounts.get(body["account"]) or missing("account")
        scenario = self._sim.stage.play(str(body.get("name")), account, bool(body.get("wait")))
        return 201, {"name": scenario.name, "says": scenario.says, "playing": True}

    async def end(self, request: Request, _body: dict[str, Any]) -> Any:
        """?name=: ends one scenario or all; what has happened stays."""
        self._sim.end(request.query_params.get("name"))
        return {"ok": True}

    async def load(self, _request: Request, body: dict[str, Any]) -> Any:
        """{rate, count | duration, chats?, account?: user_id, quiet?}: a stream of buyers' messages."""
        only(body, "rate", "count", "duration", "chats", "account", "quiet")
        if self._load and self._load.ended is None:
            raise ValueError("a load is running; DELETE it first")
        accounts = list(self._sim.world.accounts.values())
        if "account" in body:
            accounts = [account for account in accounts if account.user_id == body["account"]]
        rate = float(body.get("rate", 10))
        count = int(body["count"]) if "count" in body else int(float(body.get("duration", 10)) * rate)
        self._load = Load(self._sim, rate, count, int(body.get("chats", 20)), accounts, bool(body.get("quiet")))
        self._load.start()
        return 202, self._load.as_json()

    async def progress(self, _request: Request, _body: dict[str, Any]) -> Any:
        """How far the load is; running until every event has its final answer."""
        return {"load": self._load.as_json() if self._load else None} | shown.truth_json(self._sim)

    async def stop_load(self, _request: Request, _body: dict[str, Any]) -> Any:
        """Ends the load."""
        if self._load:
            self._load.stop()
        return {"ok": True}

    async def lively(self, _request: Request, _body: dict[str, Any]) -> Any:
        """Whether buyers write by themselves: pace in seconds, or null."""
        return {"pace": self._sim.lively.pace if self._sim.lively else None}

    async def change_lively(self, _request: Request, body: dict[str, Any]) -> Any:
        """{pace}: seconds between two messages of buyers who write by themselves; null is a pause."""
        only(body, "pace")
        pace = None if body.get("pace") is None else float(body["pace"])
        self.live(pace)
        return {"pace": pace}

    async def oracle(self, request: Request, _body: dict[str, Any]) -> Any:
        """?full=1: how many messages were sent, acked, dropped; in full also which."""
        truth = shown.truth_json(self._sim)
        if request.query_params.get("full"):
            keys = {"sent_keys": self._sim.sent, "acked_keys": self._sim.acked, "dropped_keys": self._sim.dropped}
            truth |= {name: sorted(found) for name, found in keys.items()}
        return truth

    async def events(self, request: Request, _body: dict[str, Any]) -> Any:
        """?limit=200: the newest lines of the oracle's log."""
        return {"events": self._sim.deliveries.oracle.records[-number(request, "limit", 200) :]}

    async def calls(self, request: Request, _body: dict[str, Any]) -> Any:
        """?operation=&limit=200: the newest API calls received."""
        wanted = request.query_params.get("operation")
        found = [call for call in self._sim.calls if wanted in (None, call.operation)]
        return {"calls": [shown.call_json(call) for call in found[-number(request, "limit", 200) :]]}

    async def forget_calls(self, _request: Request, _body: dict[str, Any]) -> Any:
        """Empties the list of calls."""
        self._sim.calls.clear()
        return {"ok": True}

    async def idle(self, request: Request, _body: dict[str, Any]) -> Any:
        """?timeout=10: waits until every delivery has its final answer; 408 when it has not."""
        try:
            async with asyncio.timeout(number(request, "timeout", 10)):
                await self._sim.idle()
        except TimeoutError:
            return 408, shown.truth_json(self._sim)
        return shown.truth_json(self._sim)

    def _account(self, request: Request) -> Account:
        account = self._sim.world.accounts.get(request.path_params["user_id"])
        return account or missing("account")

    def _chat(self, request: Request) -> Chat:
        return self._sim.world.chats.get(request.path_params["chat_id"]) or missing("chat")

    def _message(self, request: Request) -> Message:
        return self._sim.world.messages.get(request.path_params["message_id"]) or missing("message")
