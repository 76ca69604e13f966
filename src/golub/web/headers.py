"""What every answer carries, errors included, and which hosts are answered at all. The outermost layer."""

from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from golub.settings import Settings

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self'; "
    "connect-src 'self'; font-src 'self'; manifest-src 'self'; form-action 'self'; frame-ancestors 'none'; "
    "base-uri 'none'; object-src 'none'"
)
SECURITY_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",  # a URL here can hold a secret
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_HSTS = "max-age=31536000"

_log = structlog.get_logger()


class Envelope:
    """Adds the headers, refuses foreign hosts with 421, and turns a failure that nobody foresaw into a plain 500."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._secure = settings.public_url.startswith("https://")
        self._hosts = {settings.host.lower(), (urlsplit(settings.public_url).hostname or "").lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = ended = False

        async def send_with_headers(message: Message) -> None:
            nonlocal begun, ended
            if message["type"] == "http.response.start":
                begun = True
                self._add(MutableHeaders(scope=message))
            ended = message["type"] == "http.response.body" and not message.get("more_body", False)
            await send(message)

        if not self._answers(scope):
            refusal = JSONResponse(
                {"error": "Misdirected request", "message": "Golub is not served at this host."}, 421
            )
            await refusal(scope, receive, send_with_headers)
            return
        try:
            await self._app(scope, receive, send_with_headers)
        except Exception:
            # The error page has been sent by then, with the same id; here the failure gets into the log, once.
            request_id = scope.get("state", {}).get("request_id", "")
            _log.exception("A request failed.", path=scope["path"], method=scope["method"], request_id=request_id)
            if not begun:
                await JSONResponse({"error": "Internal error"}, 500)(scope, receive, send_with_headers)
            elif not ended:
                raise  # the server must cut the connection: the reader would take half an answer for a whole one

    def _add(self, headers: MutableHeaders) -> None:
        for name, value in SECURITY_HEADERS.items():
            headers.setdefault(name, value)
        if self._secure:
            headers.setdefault("Strict-Transport-Security", _HSTS)
        if "cache-control" not in headers:
            headers["Cache-Control"] = "no-store, private"
            headers.add_vary_header("Cookie")

    def _answers(self, scope: Scope) -> bool:
        """Our public name, this machine's loopback names, and the very address that the request arrived at."""
        name = host_name(Headers(scope=scope).getlist("host"))
        if name is None:
            return False
        server = scope.get("server")
        return name in self._hosts or is_loopback(name) or (server is not None and name == server[0])


def host_name(values: Iterable[str]) -> str | None:
    """The name in the only Host header, without its port; None where there is none, several, or nonsense."""
    try:
        (value,) = values
        return urlsplit(f"//{value}").hostname or None
    except ValueError:
        return None


def is_loopback(name: str) -> bool:
    """Whether a host or an address is this very machine."""
    try:
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False
