"""Where a request came from, as far as that can be believed."""

from collections.abc import Callable, Iterable
from functools import lru_cache
from ipaddress import ip_address

from starlette.types import Scope

from golub.settings import Network

LONGEST_KNOWN = 128  # bytes of X-Forwarded-For that are remembered


def client_address(scope: Scope, trusted: tuple[Network, ...]) -> str:
    """The peer itself, unless it is a trusted proxy: then the rightmost hop of X-Forwarded-For that is not one.

    Whatever stands to the left of that hop was written by a stranger. A hop that is no address ends the search.
    """
    return _believed(_peer(scope), tuple(_forwarded(scope["headers"])), trusted)


def address_reader(trusted: tuple[Network, ...]) -> Callable[[Scope], str]:
    """`client_address` for whoever asks at every delivery: senders are few, and what was made of them is kept."""

    @lru_cache(maxsize=1024)
    def known(peer: str, forwarded: tuple[bytes, ...]) -> str:
        return _believed(peer, forwarded, trusted)

    def read(scope: Scope) -> str:
        forwarded = tuple(_forwarded(scope["headers"]))
        if sum(map(len, forwarded)) > LONGEST_KNOWN:
            return _believed(_peer(scope), forwarded, trusted)
        return known(_peer(scope), forwarded)

    return read


def _peer(scope: Scope) -> str:
    peer = scope.get("client")
    return peer[0] if peer else ""


def _forwarded(headers: Iterable[tuple[bytes, bytes]]) -> list[bytes]:
    return [value for name, value in headers if name == b"x-forwarded-for"]


def _believed(address: str, forwarded: tuple[bytes, ...], trusted: tuple[Network, ...]) -> str:
    if not _is_trusted(address, trusted):
        return address
    for hop in reversed(list(_hops(forwarded))):
        try:
            address = str(ip_address(hop))
        except ValueError:
            return address
        if not _is_trusted(address, trusted):
            return address
    return address


def _hops(forwarded: Iterable[bytes]) -> Iterable[str]:
    for value in forwarded:
        yield from (hop.strip() for hop in value.decode("latin-1").split(","))


@lru_cache(maxsize=1024)  # a proxy has few addresses, and this is asked for every delivery
def _is_trusted(address: str, trusted: tuple[Network, ...]) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None) or parsed  # a dual-stack socket shows 127.0.0.1 as ::ffff:127.0.0.1
    return any(mapped in network for network in trusted)
