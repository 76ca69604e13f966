"""Avito's API: the 13 messenger operations, /token and /core/v1/accounts/self, under the paths of its OpenAPI file.

What live answers do differently is done here by default: subscriptions are read with POST, pages past the cap are
400, chat types default to u2i, messages come as `{"messages": [...]}` under v3 and a trailing slash alone, reading
marks nothing read. Every other path is the gateway's 404, whose code says 400.
"""

from typing import TYPE_CHECKING, Any, NoReturn, cast
from urllib.parse import urlsplit

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from golub.simulator import media, wire
from golub.simulator.gate import Answer, Refused
from golub.simulator.world import CHAT_TYPES, Account, Chat, Message

if TYPE_CHECKING:
    from golub.simulator.simulator import Simulator

INT64 = 2**63


class Api:
    """The handlers. Each takes the request and the account whose token it showed, and returns status and body."""

    def __init__(self, sim: "Simulator") -> None:
        self._sim = sim

    def routes(self) -> list[Route]:
        user = "/accounts/{user_id:int}"
        chat = user + "/chats/{chat_id}"
        gate = self._sim.gate
        table = (
            ("POST", f"/messenger/v1{chat}/messages", "postSendMessage", self.send_text),
            ("POST", f"/messenger/v1{chat}/messages/image", "postSendImageMessage", self.send_image),
            ("POST", f"/messenger/v1{chat}/messages/{{message_id}}", "deleteMessage", self.delete),
            ("POST", f"/messenger/v1{chat}/read", "chatRead", self.read),
            ("GET", f"/messenger/v1{user}/getVoiceFiles", "getVoiceFiles", self.voices),
            ("POST", f"/messenger/v1{user}/uploadImages", "uploadImages", self.upload),
            ("POST", "/messenger/v1/subscriptions", "getSubscriptions", self.subscriptions),
            ("POST", "/messenger/v1/webhook/unsubscribe", "postWebhookUnsubscribe", self.unsubscribe),
            ("POST", f"/messenger/v2{user}/blacklist", "postBlacklistV2", self.blacklist),
            ("GET", f"/messenger/v2{user}/chats", "getChatsV2", self.chats),
            ("GET", f"/messenger/v2{chat}", "getChatByIdV2", self.chat),
            ("GET", f"/messenger/v3{chat}/messages/", "getMessagesV3", self.messages),
            ("POST", "/messenger/v3/webhook", "postWebhookV3", self.subscribe),
            ("GET", "/core/v1/accounts/self", "self", self.whoami),
        )
        routes = [Route(path, gate.operation(name, run), methods=[method]) for method, path, name, run in table]
        token = gate.public("token", self.token)
        return [*routes, Route("/token", token, methods=["POST"]), Route("/token/", token, methods=["POST"])]

    async def token(self, request: Request) -> Answer:
        async with request.form() as form:
            return self._sim.tokens.answer({key: value for key, value in form.items() if isinstance(value, str)})

    async def whoami(self, _request: Request, account: Account) -> Answer:
        phone = f"7900{account.user_id % 10_000_000:07d}"
        return 200, {
            "id": account.user_id,
            "name": account.name,
            "email": f"shop{account.user_id}@example.com",
            "phone": phone,
            "phones": [phone],
            "profile_url": f"https://avito.ru/user/{account.user_id:032x}/profile",
        }

    async def chats(self, request: Request, account: Account) -> Answer:
        limit, offset = _page(request)
        types = _listed(request, "chat_types") or ["u2i"]
        if unknown := set(types) - set(CHAT_TYPES):
            _bad("chat_types", f"unknown: {', '.join(sorted(unknown))}")
        items = {_integer("item_ids", value) for value in _listed(request, "item_ids")}
        unread_only = request.query_params.get("unread_only", "false").lower() in ("true", "1")
        found: list[Chat] = []
        for chat in account.newest_first():
            if len(found) >= offset + limit:
                break
            if chat.chat_type not in types or (unread_only and not chat.unread):
                continue
            if not items or (chat.item and chat.item.id in items):
                found.append(chat)
        return 200, {"chats": [wire.chat_json(chat, self._sim.base_url) for chat in found[offset:]]}

    async def chat(self, request: Request, account: Account) -> Answer:
        return 200, wire.chat_json(_chat(request, account), self._sim.base_url)

    async def messages(self, request: Request, account: Account) -> Answer:
        chat = _chat(request, account)
        limit, offset = _page(request)
        newest_first = chat.history[::-1][offset : offset + limit]
        return 200, {"messages": [wire.message_json(message) for message in newest_first]}

    async def send_text(self, request: Request, account: Account) -> Answer:
        chat = _chat(request, account)
        body = await _object(request)
        if body.get("type") != "text":
            _bad("type", "must be text")
        text = _mapping(body.get("message")).get("text")
        if not isinstance(text, str) or not text.strip():
            _bad("message.text", "must not be empty")
        if len(text) > wire.TEXT_LIMIT:
            _bad("message.text", f"must be at most {wire.TEXT_LIMIT} characters")
        return 200, self._sent(await self._sim.shop_says(chat, text))

    async def send_image(self, request: Request, account: Account) -> Answer:
        chat = _chat(request, account)
        image_id: Any = (await _object(request)).get("image_id")
        if not isinstance(image_id, str) or image_id not in self._sim.world.images:
            _bad("image_id", "unknown image")
        content = {"image": {"sizes": wire.image_sizes(image_id, self._sim.base_url)}}
        return 200, self._sent(await self._sim.shop_says(chat, "", kind="image", content=content))

    def _sent(self, message: Message) -> dict[str, Any]:
        return wire.sent_json(message, self._sim.policy.sent_author)

    async def upload(self, request: Request, _account: Account) -> Answer:
        async with request.form() as form:
            files = [file for file in form.getlist("uploadfile[]") if isinstance(file, UploadFile)]
            if len(files) != 1:
                _bad("uploadfile[]", "exactly one file is expected")
            raw = await files[0].read()
        if len(raw) > wire.UPLOAD_BYTES:
            raise Refused(413, wire.error(413, "file is larger than 24 MB"))
        if problem := media.refusal(raw, wire.UPLOAD_PIXELS):
            _bad("uploadfile[]", problem)
        image_id = self._sim.keep_image(raw)
        return 200, {image_id: wire.image_sizes(image_id, self._sim.base_url)}

    async def delete(self, request: Request, account: Account) -> Answer:
        chat = _chat(request, account)
        wanted = request.path_params["message_id"]
        message = next((message for message in chat.history if message.id == wanted), None)
        if not message:
            raise Refused(404, wire.error(404, "message not found"))
        if not message.outgoing:
            raise Refused(403, wire.error(403, "not the author of the message"))
        if self._sim.now() - message.created > wire.DELETE_SECONDS:
            raise Refused(400, wire.error(400, "message is too old to be deleted"))
        if not message.deleted:
            self._sim.delete(message)
        return 200, {}

    async def read(self, request: Request, account: Account) -> Answer:
        for message in _chat(request, account).history:
            message.is_read = message.is_read or not message.outgoing
        return 200, {"ok": True}

    async def voices(self, request: Request, account: Account) -> Answer:
        """Links for the voice ids that are in this account's chats; unknown ones are left out."""
        asked = _listed(request, "voice_ids")
        if not asked:
            _bad("voice_ids", "required")
        own = {voice for voice in asked if self._sim.voices.get(voice) is account}
        return 200, {"voices_urls": {voice: self._sim.voice_link(voice) for voice in asked if voice in own}}

    async def blacklist(self, request: Request, account: Account) -> Answer:
        users: Any = (await _object(request)).get("users")
        if not isinstance(users, list):
            _bad("users", "must be a list")
        accepted: dict[int, dict[str, Any]] = {}
        for user in cast("list[Any]", users):
            user_id = _mapping(user).get("user_id")
            if not isinstance(user_id, int):
                _bad("users.user_id", "must be an integer")
            context = _mapping(_mapping(user).get("context"))
            if context.get("reason_id", 4) not in (1, 2, 3, 4):
                _bad("users.context.reason_id", "must be 1, 2, 3 or 4")
            accepted[user_id] = context
        account.blacklist |= accepted
        return 200, None  # the spec promises no body

    async def subscriptions(self, _request: Request, account: Account) -> Answer:
        found = [{"url": account.subscription, "version": "3"}] if account.subscription else []
        return 200, {"subscriptions": found}

    async def subscribe(self, request: Request, account: Account) -> Answer:
        """Another URL silently replaces the one that was there."""
        url = _url(await _object(request))
        if self._sim.policy.probe and not await self._sim.deliveries.probe(url):
            _bad("url", "did not answer 200")
        account.subscription, account.stolen = url, False
        self._sim.stage.subscribed(account)
        return 200, {"ok": True}

    async def unsubscribe(self, request: Request, account: Account) -> Answer:
        """A URL that is not subscribed changes nothing, and is no error."""
        if account.subscription == _url(await _object(request)):
            account.subscription, account.stolen = None, False
        return 200, {"ok": True}


async def unknown_route(request: Request) -> Answer:
    return 404, wire.route_error(request.url.path)


async def picture(request: Request, sim: "Simulator") -> Response:
    """`/img/{size}/{name}.jpg`: items, avatars, buyers' photos and uploads."""
    name = request.path_params["name"]
    raw = media.picture(name, request.path_params["size"], sim.world.images.get(name))
    if raw is None:
        return Response(status_code=404)
    return Response(raw, media_type="image/jpeg", headers={"cache-control": "max-age=86400"})


async def voice(request: Request, sim: "Simulator") -> Response:
    """`/voice/{id}.wav`: an hour after its link was given out there is only an error."""
    voice_id = request.path_params["voice_id"]
    if not sim.voice_open(voice_id, request.query_params.get("expires", ""), request.query_params.get("sign", "")):
        return Response(status_code=403)
    return Response(media.speech(voice_id), media_type="audio/wav")


def _bad(field: str, problem: str) -> NoReturn:
    raise Refused(400, wire.error(400, "bad request", **{field: problem}))


def _chat(request: Request, account: Account) -> Chat:
    chat = account.chats.get(request.path_params["chat_id"])
    if not chat:
        raise Refused(404, wire.error(404, "chat not found"))
    return chat


def _page(request: Request) -> tuple[int, int]:
    limit = _integer("limit", request.query_params.get("limit", str(wire.PAGE_LIMIT)))
    offset = _integer("offset", request.query_params.get("offset", "0"))
    if not 1 <= limit <= wire.PAGE_LIMIT:
        _bad("limit", f"must be between 1 and {wire.PAGE_LIMIT}")
    if not 0 <= offset <= wire.OFFSET_LIMIT:
        _bad("offset", f"must be between 0 and {wire.OFFSET_LIMIT}")
    return limit, offset


def _listed(request: Request, name: str) -> list[str]:
    """An array parameter: repeated, or joined by commas; clients do both."""
    return [part for value in request.query_params.getlist(name) for part in value.split(",") if part]


def _integer(name: str, value: str) -> int:
    digits = value.removeprefix("-")
    if not digits.isascii() or not digits.isdigit() or len(digits) > 19 or int(digits) >= INT64:
        _bad(name, "must be an integer")
    return int(value)


async def _object(request: Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise Refused(400, wire.error(400, "request body must be a JSON object"))
    return _mapping(body)


def _mapping(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _url(body: dict[str, Any]) -> str:
    url: Any = body.get("url")
    try:
        parts = urlsplit(url) if isinstance(url, str) else None
    except ValueError:
        parts = None
    if not parts or parts.scheme not in ("http", "https") or not parts.netloc:
        _bad("url", "must be a URL")
    return str(url)
