"""From where a request comes: the peer itself, or what a proxy that we trust says of it."""

from collections.abc import Sequence
from ipaddress import ip_address

from fastapi import Request

from golub.settings import Network
from golub.web.parts import parts_of


def address_of(request: Request) -> str:
    peer = request.client.host if request.client else ""
    return caller(peer, request.headers.getlist("x-forwarded-for"), parts_of(request).settings.trusted_proxies)


def caller(peer: str, forwarded: Sequence[str], trusted: Sequence[Network]) -> str:
    """The rightmost hop that is no proxy of ours. What stands left of it anyone could have written."""
    address = peer
    for hop in reversed([hop.strip() for value in forwarded for hop in value.split(",")]):
        if not _is_trusted(address, trusted):
            break
        try:
            address = str(ip_address(hop))
        except ValueError:
            break
    return address


def _is_trusted(address: str, trusted: Sequence[Network]) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in trusted)
