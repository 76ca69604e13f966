"""The three ways to a person: a Telegram bot, e-mail, any URL that takes JSON. Each tries once and says how it went.

What people typed is called through `guarded`, so an alert cannot be made to reach into our own network; a mail server
may stand in it, as many do.
"""

import base64
import hashlib
import hmac
import json
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from golub.alerts import smtp
from golub.alerts.kinds import AlertKind
from golub.clock import SECOND, Clock, Millis
from golub.errors import Invalid
from golub.guarded import Call, Guarded
from golub.model import ChannelKind, NoticeKind

TELEGRAM = "https://api.telegram.org"
TELEGRAM_LIMIT = 4000  # characters; sendMessage allows 4096
ANSWER_KEPT = 2000  # bytes of Telegram's answer, which says what is wrong

SIGNS = {NoticeKind.OPENED: "🔴", NoticeKind.REMINDER: "🔴", NoticeKind.CLOSED: "🟢"}


@dataclass(frozen=True, slots=True)
class Said:
    """One alert, in words. `key` is the same over all tries; `url` is the page that mends it, or empty."""

    key: str
    kind: AlertKind
    notice: NoticeKind
    text: str
    url: str
    opened_at: Millis
    closed_at: Millis | None = None
    account: tuple[int, str] | None = None  # user_id and name


@dataclass(frozen=True, slots=True)
class Sent:
    """`code` is empty where it arrived: else name, closed, connect, tls, timeout, broken, auth, refused or invalid.
    `said` are the other side's own words."""

    code: str = ""
    said: str = ""

    @property
    def succeeded(self) -> bool:
        return not self.code

    def __str__(self) -> str:
        return f"{self.code}: {self.said}" if self.said else self.code


class Channel(Protocol):
    @property
    def kind(self) -> ChannelKind: ...

    async def send(self, said: Sequence[Said]) -> Sent: ...


@dataclass(frozen=True, slots=True)
class Telegram:
    """All in one message. `base` is another address in tests alone."""

    guarded: Guarded
    token: str
    chat: str
    base: str = TELEGRAM
    kind: ChannelKind = ChannelKind.TELEGRAM

    async def send(self, said: Sequence[Said]) -> Sent:
        message = {
            "chat_id": self.chat,
            "text": written(said)[:TELEGRAM_LIMIT],
            "link_preview_options": {"is_disabled": True},
        }
        content = json.dumps(message, ensure_ascii=False).encode()
        url, headers = f"{self.base}/bot{self.token}/sendMessage", {"content-type": "application/json"}
        call = await self.guarded.post(url, content=content, headers=headers, keep=ANSWER_KEPT)
        if call.status is None or call.succeeded:
            return _sent(call)
        return Sent("auth" if call.status in (401, 404) else "refused", f"{call.status} {_description(call.body)}")


@dataclass(frozen=True, slots=True)
class Email:
    """All in one letter."""

    server: smtp.Server
    to: str
    tls: ssl.SSLContext | None = None
    kind: ChannelKind = ChannelKind.EMAIL

    async def send(self, said: Sequence[Said]) -> Sent:
        subject = f"Golub: {SIGNS[said[0].notice]} {said[0].text}"
        refusal = await smtp.send(self.server, self.to, subject, written(said), self.tls)
        return Sent(refusal.code, refusal.said) if refusal else Sent()


@dataclass(frozen=True, slots=True)
class Url:
    """A POST for each alert, signed by Standard Webhooks where there is a secret."""

    guarded: Guarded
    clock: Clock
    url: str
    secret: str = ""
    kind: ChannelKind = ChannelKind.URL

    async def send(self, said: Sequence[Said]) -> Sent:
        for one in said:
            content = json.dumps(_as_json(one), ensure_ascii=False).encode()
            call = await self.guarded.post(self.url, content=content, headers=self._headers(one.key, content))
            if not call.succeeded:
                return _sent(call)
        return Sent()

    def _headers(self, key: str, content: bytes) -> dict[str, str]:
        headers = {"content-type": "application/json"}
        if self.secret:
            at = str(self.clock() // SECOND)
            signature = hmac.digest(secret_bytes(self.secret), f"{key}.{at}.".encode() + content, hashlib.sha256)
            headers |= {
                "webhook-id": key,
                "webhook-timestamp": at,
                "webhook-signature": "v1," + base64.b64encode(signature).decode(),
            }
        return headers


def secret_bytes(secret: str) -> bytes:
    """Of «whsec_» and base64 of 24 to 64 bytes. Raises `Invalid`."""
    try:
        found = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError as error:
        raise Invalid("The secret looks like whsec_ and base64 of 24 to 64 bytes.", field="secret") from error
    if not (secret.startswith("whsec_") and 24 <= len(found) <= 64):
        raise Invalid("The secret looks like whsec_ and base64 of 24 to 64 bytes.", field="secret")
    return found


def written(said: Sequence[Said]) -> str:
    """For a person: each alert with the address of the page that mends it."""
    return "\n\n".join(f"{SIGNS[one.notice]} {one.text}" + (f"\n{one.url}" if one.url else "") for one in said)


def _as_json(said: Said) -> dict[str, object]:
    account = {"user_id": said.account[0], "name": said.account[1]} if said.account else None
    moment = said.opened_at if said.closed_at is None else said.closed_at
    message: dict[str, object] = {
        "type": f"alert.{said.notice}",
        "timestamp": _iso(moment),
        "kind": said.kind,
        "account": account,
        "text": said.text,
        "opened_at": _iso(said.opened_at),
    }
    if said.closed_at is not None:
        message["closed_at"] = _iso(said.closed_at)
    return {**message, "url": said.url}


def _sent(call: Call) -> Sent:
    if call.succeeded:
        return Sent()
    return Sent("refused", str(call.status)) if call.status is not None else Sent(str(call.failure))


def _description(body: bytes) -> str:
    try:
        return str(json.loads(body)["description"])[:300]
    except (ValueError, KeyError, TypeError):
        return ""


def _iso(at: Millis) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="seconds")
