"""The one client for addresses that people type: the webhook's own URL when we try it, the alert channel, relays.

It promises that nobody can make Golub call into its own network. The host is resolved once, every address it has must
be public, the connection goes to that very address (the name travels in SNI and Host, so certificates are checked as
usual), redirects are not followed, no more of the answer's body is read than was asked for (nothing, unless the host is
our own choice), and the whole call has a deadline.
"""

import asyncio
import re
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from socket import SOCK_STREAM
from typing import Any

import httpx2

from golub.errors import Invalid

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Awaitable[list[str]]]
Headers = Mapping[str, str] | Sequence[tuple[str, str]]  # a sequence may name one twice; values are latin-1

URL_LIMIT = 2000

# `is_global` is true for NAT64, 6to4 and multicast in Python 3.11, and loopback hides in all of them: our own lists.
_CLOSED_V4 = [
    IPv4Network(block)
    for block in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
]
_OPEN_V6 = IPv6Network("2000::/3")  # all that is routed publicly today; mapped, NAT64, link-local … lie outside
_CLOSED_V6 = [IPv6Network(block) for block in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")]

_HOME_NAMES = ("localhost", "local", "internal", "lan", "home", "home.arpa", "intranet", "corp", "private", "test")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_NUMBER = re.compile(r"(0x[0-9a-f]*|[0-9]+)")


class Failure(StrEnum):
    """Where a call ended without an answer."""

    NONE = ""
    NAME = "name"  # the host does not resolve
    CLOSED = "closed"  # it resolves into a private network
    CONNECT = "connect"
    TLS = "tls"
    TIMEOUT = "timeout"
    BROKEN = "broken"  # connected, and then no HTTP answer


@dataclass(frozen=True, slots=True)
class Call:
    """What became of one call. A failure is a result here, not an exception: it is shown to people step by step."""

    failure: Failure = Failure.NONE
    address: str = ""  # that the host resolved to
    connected: bool = False
    secured: bool = False  # TLS done, the certificate fits the name
    status: int | None = None
    took: int = 0  # milliseconds
    retry_after: str = ""  # the header, as it came
    body: bytes = b""  # its beginning, where `keep` asked for it

    @property
    def succeeded(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


class Guarded:
    """`allow_loopback` also admits http to this very machine, and nothing else that is private: for a simulator.

    Tests give a `transport` in the network's place, a `resolve` in the place of DNS, or a `tls` that trusts their own
    certificate; all other checks stay.
    """

    def __init__(
        self,
        *,
        allow_loopback: bool = False,
        transport: httpx2.AsyncBaseTransport | None = None,
        resolve: Resolve | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._allow_loopback = allow_loopback
        self._transport = transport
        self._resolve = resolve or _resolve
        self._tls_given = tls

    def check_url(self, url: str) -> str:
        """The URL in its one normal form (ASCII host, no default port). Raises `Invalid`, with what to do about it."""
        if not url.strip():
            raise _wrong("Enter the address.")
        url = url.strip()
        if len(url) > URL_LIMIT:
            raise _wrong("This address is too long: 2000 characters at most.")
        if "\\" in url or any(ord(char) <= 32 or 127 <= ord(char) < 160 for char in url):
            raise _wrong("There is a space, a backslash or an invisible character in the address. Copy it once more.")
        try:
            parsed = httpx2.URL(url)
            host, port = parsed.raw_host.decode("ascii").lower().rstrip("."), parsed.port
        except (httpx2.InvalidURL, UnicodeError, ValueError):
            raise _wrong("This does not look like an address. It should be like https://golub.example.ru/…") from None
        if parsed.scheme not in ("http", "https") or not host:
            raise _wrong("The address must start with https://, like https://golub.example.ru/…")
        if parsed.userinfo:
            raise _wrong("Leave out the name and password before @: they would be sent to everybody.")
        if parsed.fragment:
            raise _wrong("Leave out what stands after #: servers never see it.")
        if self._allow_loopback and _is_this_machine(host):
            return str(parsed)
        if parsed.scheme != "https":
            raise _wrong("The address must start with https://. Without encryption anybody on the way reads along.")
        self._check_host(host)
        if port not in (None, 443):
            raise _wrong("Use the usual HTTPS port, 443: leave out the number after the colon.")
        return str(parsed.copy_with(host=host, port=None))

    async def post(
        self, url: str, *, content: bytes, headers: Headers = (), deadline: float = 10.0, keep: int = 0
    ) -> Call:
        """One POST, at most `deadline` seconds from name to status. `keep` so many bytes of the answer. Raises
        `Invalid` as `check_url` does."""
        target = httpx2.URL(self.check_url(url))
        seen: dict[str, Any] = {"body": b""}
        if target.scheme == "https":
            await asyncio.to_thread(lambda: self._tls)  # reading the world's certificates takes a while, once
        started = time.monotonic()
        failure = Failure.NONE
        try:
            async with asyncio.timeout(deadline):
                failure = await self._send(target, content, _encoded(headers), seen, keep)
        except TimeoutError:
            failure = Failure.TIMEOUT
        return Call(failure=failure, took=round((time.monotonic() - started) * 1000), **seen)

    async def _send(
        self, url: httpx2.URL, content: bytes, headers: list[tuple[bytes, bytes]], seen: dict[str, Any], keep: int
    ) -> Failure:
        host = url.raw_host.decode("ascii")
        try:
            addresses = [ip_address(found) for found in await self._resolve(host, url.port or 443)]
        except (OSError, UnicodeError, ValueError):
            return Failure.NAME
        if not addresses:
            return Failure.NAME
        if not all(is_public(address) or self._may_be_loopback(host, address) for address in addresses):
            return Failure.CLOSED
        failure = Failure.CONNECT
        for pinned in addresses[:4]:  # a host may have an IPv6 address that this machine has no way to
            seen["address"] = str(pinned)
            failure = await self._send_to(pinned, url, content, headers, seen, keep)
            if failure is not Failure.CONNECT:
                break
        return failure

    async def _send_to(
        self,
        pinned: Address,
        url: httpx2.URL,
        content: bytes,
        headers: list[tuple[bytes, bytes]],
        seen: dict[str, Any],
        keep: int,
    ) -> Failure:
        async def watch(event: str, _: Mapping[str, Any]) -> None:
            if event == "connection.connect_tcp.complete":
                seen["connected"] = True
            elif event == "connection.start_tls.complete":
                seen["secured"] = True

        request = httpx2.Request(
            "POST",
            url.copy_with(host=str(pinned)),
            content=content,
            headers=[(b"host", url.netloc), *headers],
            extensions={
                "sni_hostname": url.raw_host.decode("ascii"),
                "trace": watch,
                "timeout": httpx2.Timeout(None).as_dict(),  # the deadline counts for all of it
            },
        )
        tls = self._tls if url.scheme == "https" else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        transport = self._transport or httpx2.AsyncHTTPTransport(verify=tls, trust_env=False)
        try:
            response = await transport.handle_async_request(request)
            seen["status"] = response.status_code
            seen["retry_after"] = response.headers.get("retry-after", "")[:100]
            if keep:
                seen["body"] = await _beginning(response, keep)
            await response.aclose()
        except httpx2.ConnectError:
            return Failure.TLS if seen.get("connected") else Failure.CONNECT
        except (httpx2.HTTPError, OSError):
            return Failure.BROKEN
        finally:
            if transport is not self._transport:
                await transport.aclose()
        return Failure.NONE

    def _check_host(self, host: str) -> None:
        literal = host.strip("[]")
        try:
            address = ip_address(literal)
        except ValueError:
            address = None
        if address is not None:
            if not is_public(address):
                raise _wrong("{host} is an address inside a private network: Avito cannot reach it.", host=host)
            return
        labels = host.split(".")
        if all(_NUMBER.fullmatch(label) for label in labels) or _NUMBER.fullmatch(labels[-1]):
            raise _wrong("{host} is a number written in an odd way. Use the server's name.", host=host)
        if len(labels) == 1 or any(host == name or host.endswith("." + name) for name in _HOME_NAMES):
            raise _wrong(
                "{host} is a name inside your own network: Avito cannot reach it. Use the name known to the internet.",
                host=host,
            )
        if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
            raise _wrong("{host} is not a valid host name.", host=host)

    def _may_be_loopback(self, host: str, address: Address) -> bool:
        return self._allow_loopback and _is_this_machine(host) and address.is_loopback

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return self._tls_given or httpx2.create_ssl_context(trust_env=False)


async def _beginning(response: httpx2.Response, limit: int) -> bytes:
    found = b""
    async for part in response.aiter_bytes():
        found += part
        if len(found) >= limit:
            break
    return found[:limit]


def is_public(address: Address) -> bool:
    """Whether the address is a host on the public internet, in no disguise."""
    if isinstance(address, IPv4Address):
        return not any(address in block for block in _CLOSED_V4)
    return address in _OPEN_V6 and not any(address in block for block in _CLOSED_V6)


def is_public_network(network: IPv4Network | IPv6Network) -> bool:
    """Whether all of its addresses are."""
    if isinstance(network, IPv4Network):
        return not any(network.overlaps(block) for block in _CLOSED_V4)
    return network.subnet_of(_OPEN_V6) and not any(network.overlaps(block) for block in _CLOSED_V6)


def _encoded(headers: Headers) -> list[tuple[bytes, bytes]]:
    """As httpx2 sends them unchanged: not folded into one another, not written in another character set."""
    pairs = list(headers.items() if isinstance(headers, Mapping) else headers)
    if not any(name.lower() == "user-agent" for name, _ in pairs):
        pairs.append(("user-agent", "Golub"))
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs if name.lower() != "host"]


def _is_this_machine(host: str) -> bool:
    """Written out plainly: 127.1 and its kind stay refused even where loopback is allowed."""
    return host in ("localhost", "127.0.0.1", "[::1]", "::1")


async def _resolve(host: str, port: int) -> list[str]:
    try:
        literal = ip_address(host.strip("[]"))
    except ValueError:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=SOCK_STREAM)
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))
    return [str(literal)]


def _wrong(message: str, **fields: str) -> Invalid:
    return Invalid(message, field="url", **fields)
