"""The doctor's own steps towards the public address: name, port, handshake, request, each told apart.

It goes nowhere but to the configured address, and only where that is public (or this machine, for a simulator). The
connection goes to the very address that was looked up, redirects are not followed, and of an answer only the beginning
is read, to be judged and never shown. A request goes out only over a certificate that was found good.
"""

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from socket import SOCK_STREAM
from typing import Any

import httpx2
from cryptography import x509

from golub.guarded import Address, is_public

PATIENCE = 5.0  # seconds for each step
ADDRESSES = 4  # of one name, that are tried
ANSWER_BYTES = 4096

Resolve = Callable[[str, int], Awaitable[list[str]]]
Route = Callable[[str, int], tuple[str, int]]

# OpenSSL's X509_V_ERR_*: what a failed verification was about.
_SELF_SIGNED = {18, 19}
_NO_ISSUER = {2, 20, 21}
_TIMES = {9, 10}
_NAME = {62, 64}


@dataclass(frozen=True, slots=True)
class Port:
    """`failure`: "", refused, timeout, no_way (this machine has no way there), broken."""

    address: str
    failure: str = ""
    took: int = 0  # milliseconds


@dataclass(frozen=True, slots=True)
class Handshake:
    """`failure`: "", plain (it speaks HTTP), old (no TLS 1.2), timeout, broken. `distrust`: why the certificate was not
    trusted: no_issuer, self_signed, times, name, other."""

    failure: str = ""
    version: str = ""
    distrust: str = ""
    certificate: x509.Certificate | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """`failure`: "", timeout, broken."""

    failure: str = ""
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    beginning: bytes = b""
    took: int = 0  # milliseconds, from connecting to the last byte read


class Reach:
    """Tests give a `resolve` in the place of DNS, a `route` from public addresses and ports to real sockets of theirs,
    and a `tls` that trusts their own authority."""

    def __init__(
        self,
        *,
        allow_loopback: bool = False,
        resolve: Resolve | None = None,
        route: Route | None = None,
        tls: ssl.SSLContext | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self._allow_loopback = allow_loopback
        self._resolve = resolve or _resolve
        self._route: Route = route or (lambda host, port: (host, port))
        self._tls_given = tls
        self._patience = patience

    async def addresses(self, host: str) -> list[Address]:
        """Of this name; empty where it leads nowhere."""
        try:
            async with asyncio.timeout(self._patience):
                found = await self._resolve(host.strip("[]"), 443)
        except (OSError, UnicodeError, TimeoutError):
            return []
        return [ip_address(one) for one in dict.fromkeys(found)][:ADDRESSES]

    def admits(self, address: Address) -> bool:
        """Whether we may go there."""
        return is_public(address) or (self._allow_loopback and address.is_loopback)

    async def knock(self, address: str, port: int) -> Port:
        started = time.monotonic()
        try:
            async with asyncio.timeout(self._patience):
                _, writer = await asyncio.open_connection(*self._route(address, port))
        except TimeoutError:
            return Port(address, "timeout", _since(started))
        except ConnectionRefusedError:
            return Port(address, "refused", _since(started))
        except OSError:
            return Port(address, "no_way", _since(started))
        took = _since(started)
        await _hang_up(writer)
        return Port(address, "", took)

    async def shake_hands(self, address: str, port: int, host: str) -> Handshake:
        """With our usual demands; where the certificate fails them, once more to look at it, and nothing is sent."""
        try:
            return await self._shake_hands(address, port, host, await self._tls())
        except ssl.SSLCertVerificationError as error:
            distrust = _distrust(error)
        except ssl.SSLError as error:
            return Handshake(_kind(error))
        except TimeoutError:
            return Handshake("timeout")
        except OSError:
            return Handshake("broken")
        looking = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        looking.check_hostname = False
        looking.verify_mode = ssl.CERT_NONE
        try:
            seen = await self._shake_hands(address, port, host, looking)
        except (OSError, TimeoutError):
            return Handshake(distrust=distrust)
        return Handshake("", seen.version, distrust, seen.certificate)

    async def ask(
        self,
        address: str,
        port: int,
        url: str,
        *,
        method: str = "GET",
        content: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request to that very address. Call it for https only after `shake_hands` found the certificate good."""
        target = httpx2.URL(url)
        to, at = self._route(address, port)
        request = httpx2.Request(
            method,
            target.copy_with(host=to, port=at),
            content=content,
            headers=[
                ("host", target.netloc.decode("ascii")),
                ("user-agent", "Golub doctor"),
                ("accept", "*/*"),
                *(headers or {}).items(),
            ],
            extensions={
                "sni_hostname": target.raw_host.decode("ascii"),
                "timeout": httpx2.Timeout(None).as_dict(),  # the deadline counts for all of it
            },
        )
        started = time.monotonic()
        tls = await self._tls() if target.scheme == "https" else False
        try:
            async with (
                asyncio.timeout(self._patience),
                httpx2.AsyncHTTPTransport(verify=tls, trust_env=False) as transport,
            ):
                return await _answer(await transport.handle_async_request(request), started)
        except TimeoutError:
            return Answer("timeout", took=_since(started))
        except (httpx2.HTTPError, OSError):
            return Answer("broken", took=_since(started))

    async def _shake_hands(self, address: str, port: int, host: str, tls: ssl.SSLContext) -> Handshake:
        async with asyncio.timeout(self._patience):
            _, writer = await asyncio.open_connection(*self._route(address, port), ssl=tls, server_hostname=host)
        secured: Any = writer.get_extra_info("ssl_object")
        raw: bytes | None = secured.getpeercert(binary_form=True)
        version: str = secured.version() or ""
        await _hang_up(writer)
        return Handshake("", version, "", _parsed(raw) if raw else None)

    async def _tls(self) -> ssl.SSLContext:
        if self._tls_given is None:  # reading the world's certificates takes a while, once
            self._tls_given = await asyncio.to_thread(httpx2.create_ssl_context, trust_env=False)
        return self._tls_given


def is_outer(address: str) -> bool:
    """Whether this is an address of the public internet; False for what is none."""
    try:
        return is_public(ip_address(address))
    except ValueError:
        return False


async def _answer(response: httpx2.Response, started: float) -> Answer:
    read = bytearray()
    stream: Any = response.stream
    try:
        async for part in stream:
            read += part
            if len(read) >= ANSWER_BYTES:
                break
    finally:
        await response.aclose()
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer("", response.status_code, headers, bytes(read[:ANSWER_BYTES]), _since(started))


async def _hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(1):
            await writer.wait_closed()


def _parsed(raw: bytes) -> x509.Certificate | None:
    try:
        return x509.load_der_x509_certificate(raw)
    except ValueError:
        return None


def _distrust(error: ssl.SSLCertVerificationError) -> str:
    code = error.verify_code
    for codes, name in ((_SELF_SIGNED, "self_signed"), (_NO_ISSUER, "no_issuer"), (_TIMES, "times"), (_NAME, "name")):
        if code in codes:
            return name
    return "other"


def _kind(error: ssl.SSLError) -> str:
    reason = (error.reason or "").upper()
    if reason in {
        "WRONG_VERSION_NUMBER",
        "HTTP_REQUEST",
        "UNKNOWN_PROTOCOL",
        "RECORD_LAYER_FAILURE",
        "PACKET_LENGTH_TOO_LONG",
    }:
        return "plain"
    if reason in {"UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION", "NO_PROTOCOLS_AVAILABLE"}:
        return "old"
    return "broken"


def _since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)


async def _resolve(host: str, port: int) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]
