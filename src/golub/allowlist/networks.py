"""Networks as text: what a person may list, which one an address is of, and whether a list has it. Pure functions.

A list is CIDR, one a line, without overlaps, as `parse_networks` writes it. Promises, which apply relies on:
- No address, however hostile, raises: what cannot be read is in no list.
- An IPv4 address that a dual-stack socket shows as IPv6 is the IPv4 address.
"""

import re
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    collapse_addresses,
    ip_address,
    ip_network,
    summarize_address_range,
)

from golub.errors import Invalid
from golub.guarded import Address, is_public_network
from golub.settings import Network

JOB_SECTION = ("185.89.12.0/22", "146.158.48.0/21", "185.79.237.224/28", "87.245.204.32/28")
"""Avito publishes these for its Job section alone. That the messenger uses them is a guess."""

MOST = 64  # entries
WIDEST_V4, WIDEST_V6 = 12, 24  # bits: what is wider keeps nobody out
SEEN_V4, SEEN_V6 = 24, 48

_BETWEEN = re.compile(r"[\s,;]+")
_LONGEST = 8192  # characters


def parse_networks(text: str) -> str:
    """A list in its one form. Raises `Invalid`, with what to do about it."""
    entries = [entry for entry in _BETWEEN.split(text[: _LONGEST + 1]) if entry]
    if not entries:
        raise Invalid("Enter at least one network, such as 185.89.12.0/22.", field="networks")
    if len(entries) > MOST or len(text) > _LONGEST:
        raise Invalid("A list has {count} networks at most. Put neighbours together.", field="networks", count=MOST)
    networks = [_parse(entry) for entry in entries]
    four = collapse_addresses([one for one in networks if isinstance(one, IPv4Network)])
    six = collapse_addresses([one for one in networks if not isinstance(one, IPv4Network)])
    return "\n".join(str(network) for network in (*four, *six))


def has(networks: str, address: str) -> bool:
    """Whether an address is in one of a list's networks."""
    return _has(networks, address[:64])


def has_range(networks: str, lowest: str, highest: str) -> bool:
    """Whether all addresses between these two are."""
    first, last = read_address(lowest), read_address(highest)
    if isinstance(first, IPv4Address) and isinstance(last, IPv4Address):
        four = [one for one in _listed(networks) if isinstance(one, IPv4Network)]
        return all(any(part.subnet_of(one) for one in four) for part in summarize_address_range(first, last))
    if isinstance(first, IPv6Address) and isinstance(last, IPv6Address):
        six = [one for one in _listed(networks) if not isinstance(one, IPv4Network)]
        return all(any(part.subnet_of(one) for one in six) for part in summarize_address_range(first, last))
    return False


def has_all(networks: str, of: str) -> bool:
    """Whether one list has everything that another has."""
    listed = _listed(networks)
    return all(any(_is_within(one, other) for other in listed) for one in _listed(of))


def network_of(address: str) -> str:
    """The /24 or the /48 that an address is in; empty for what is no address."""
    parsed = read_address(address)
    if parsed is None:
        return ""
    return str(ip_network((parsed, SEEN_V4 if isinstance(parsed, IPv4Address) else SEEN_V6), strict=False))


def is_closed(network: str) -> bool:
    """Whether nobody on the internet has such an address: then it is a proxy's."""
    return not is_public_network(ip_network(network))


def address_range(addresses: list[str]) -> tuple[str, str]:
    """The lowest and the highest of addresses of one network."""
    read = sorted((int(parsed), str(parsed)) for text in addresses if (parsed := read_address(text)))
    return read[0][1], read[-1][1]


def read_address(text: str) -> Address | None:
    try:
        parsed = ip_address(text)
    except ValueError:
        return None
    if isinstance(parsed, IPv6Address):
        return parsed.ipv4_mapped or IPv6Address(int(parsed))  # without the zone of a link-local one
    return parsed


def _parse(entry: str) -> Network:
    try:
        network = ip_network(entry, strict=False)
    except ValueError:
        raise Invalid(
            "“{entry}” is no network. Write one a line, such as 185.89.12.0/22.", field="networks", entry=entry[:60]
        ) from None
    if network.prefixlen < (WIDEST_V4 if isinstance(network, IPv4Network) else WIDEST_V6):
        raise Invalid(
            "“{entry}” is too wide: it would keep hardly anybody out. Name the networks that Avito really uses.",
            field="networks",
            entry=str(network),
        )
    if not is_public_network(network):
        raise Invalid(
            "“{entry}” is a private network: such an address is your own proxy's, not Avito's. Name the proxy in "
            "GOLUB_TRUSTED_PROXIES, so that Golub sees who really calls.",
            field="networks",
            entry=str(network),
        )
    return network


@lru_cache(maxsize=256)
def _listed(networks: str) -> tuple[Network, ...]:
    """Of what a later release wrote in another way nothing is taken, so it lets nobody in."""
    try:
        return tuple(ip_network(line) for line in networks.splitlines())
    except ValueError:
        return ()


@lru_cache(maxsize=4096)  # Avito has few addresses, and this is asked for every delivery
def _has(networks: str, address: str) -> bool:
    parsed = read_address(address)
    return parsed is not None and any(parsed in network for network in _listed(networks))


def _is_within(one: Network, other: Network) -> bool:
    if isinstance(one, IPv4Network) and isinstance(other, IPv4Network):
        return one.subnet_of(other)
    if not isinstance(one, IPv4Network) and not isinstance(other, IPv4Network):
        return one.subnet_of(other)
    return False
