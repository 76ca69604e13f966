"""Where a request came from, as far as that can be believed."""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import ip_address

from starlette.types import Scope

from golub.settings import Network


def client_address(scope: Scope, trusted: tuple[Network, ...]) -> str:
    """The peer itself, unless it is a trusted proxy: then the rightmost hop of X-Forwarded-For that is not one.

    Whatever stands to the left of that hop was written by a stranger. A hop that is no address ends the search.
    """
    peer = scope.get("client")
    address: str = peer[0] if peer else ""
    if not _is_trusted(address, trusted):
        return address
    for hop in reversed(list(_hops(scope["headers"]))):
        parsed = _as_address(hop)
        if parsed is None:
            return address
        address = parsed
        if not _is_trusted(address, trusted):
            return address
    return address


def _hops(headers: Iterable[tuple[bytes, bytes]]) -> Iterable[str]:
    for name, value in headers:
        if name == b"x-forwarded-for":
            yield from (hop.strip() for hop in value.decode("latin-1").split(","))


@lru_cache(maxsize=1024)
def _as_address(hop: str) -> str | None:
    try:
        return str(ip_address(hop))
    except ValueError:
        return None


@lru_cache(maxsize=1024)  # a proxy has few addresses, and this is asked for every delivery
def _is_trusted(address: str, trusted: tuple[Network, ...]) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None) or parsed  # a dual-stack socket shows 127.0.0.1 as ::ffff:127.0.0.1
    return any(mapped in network for network in trusted)
