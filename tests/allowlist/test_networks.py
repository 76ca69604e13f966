"""What may be listed, and what a list has: no text and no address, however hostile, gets past it or breaks it."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from golub.allowlist import JOB_SECTION, MOST, has, network_of, parse_networks
from golub.allowlist.networks import has_all, has_range
from golub.errors import Invalid


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("185.89.12.0/22", "185.89.12.0/22"),
        ("185.89.12.7", "185.89.12.7/32"),
        ("185.89.14.0/23 , 185.89.12.0/23;\r\n185.89.12.9/32", "185.89.12.0/22"),
        ("2a00:1450::/32\n146.158.48.3/21", "146.158.48.0/21\n2a00:1450::/32"),
        ("\n".join(JOB_SECTION), "87.245.204.32/28\n146.158.48.0/21\n185.79.237.224/28\n185.89.12.0/22"),
    ],
)
def test_a_list_has_one_form(text: str, kept: str) -> None:
    assert parse_networks(text) == kept == parse_networks(kept)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "at least one"),
        (" \n,; ", "at least one"),
        ("*", "is no network"),
        ("avito.ru", "is no network"),
        ("185.89.12.0/33", "is no network"),
        ("185.89.12.0-185.89.15.255", "is no network"),
        ("<script>alert(1)</script>", "is no network"),
        ("185.89.12.0/22 fe80::1%eth0", "private network"),
        ("0.0.0.0/0", "too wide"),
        ("::/0", "too wide"),
        ("128.0.0.0/1 0.0.0.0/1", "too wide"),
        ("185.0.0.0/8", "too wide"),
        ("2a00::/16", "too wide"),
        ("10.0.0.0/24", "private network"),
        ("192.168.0.7", "private network"),
        ("127.0.0.1/32", "private network"),
        ("192.160.0.0/12", "private network"),  # it has 192.168.0.0/16 in it
        ("172.16.0.0/12", "private network"),
        ("100.64.0.0/16", "private network"),
        ("::1", "private network"),
        ("fd00::/48", "private network"),
        ("::ffff:10.0.0.0/120", "private network"),
        ("64:ff9b::a00:0/120", "private network"),
        ("\n".join(f"8.8.{number}.0/24" for number in range(MOST + 1)), "at most"),
        ("8.8.8.8 " * 5000, "at most"),
    ],
)
def test_what_would_let_everybody_or_nobody_in_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(Invalid, match=why) as refused:
        parse_networks(text)
    assert refused.value.field == "networks"


@pytest.mark.parametrize(
    ("address", "listed", "network"),
    [
        ("185.89.12.7", True, "185.89.12.0/24"),
        ("185.89.15.255", True, "185.89.15.0/24"),
        ("185.89.16.0", False, "185.89.16.0/24"),
        ("::ffff:185.89.12.7", True, "185.89.12.0/24"),
        ("2a00:1450:1:2::3", True, "2a00:1450:1::/48"),
        ("2a00:1451::1", False, "2a00:1451::/48"),
        ("fe80::1%eth0", False, "fe80::/48"),
        ("", False, ""),
        ("unknown", False, ""),
        ("185.89.12.7:443", False, ""),
        ("185.089.12.7", False, ""),
        ("1" * 100_000, False, ""),
    ],
)
def test_an_address_is_in_a_list_or_not_whatever_it_is(address: str, listed: bool, network: str) -> None:
    assert has("185.89.12.0/22\n2a00:1450::/32", address) is listed
    assert network_of(address) == network
    assert not has("", address)
    assert not has("a form of a later release", address)


@given(st.integers(0, 2**32 - 1), st.integers(12, 32), st.integers(0, 2**32 - 1))
def test_it_has_what_the_library_says(base: int, bits: int, number: int) -> None:
    network, address = ip_network((base, bits), strict=False), ip_address(number)
    assert has(str(network), str(address)) == (address in network)


def test_a_range_is_in_a_list_where_each_of_its_addresses_is() -> None:
    two = "8.8.8.0/25\n8.8.8.128/26"
    assert has_range(two, "8.8.8.1", "8.8.8.190")
    assert not has_range(two, "8.8.8.1", "8.8.8.192")
    assert not has_range(two, "8.8.8.1", "2a00:1450::1")
    assert has_range("2a00:1450::/32", "2a00:1450::1", "2a00:1450:0:ffff::1")
    assert not has_range("", "8.8.8.1", "8.8.8.1")
    assert has_all("8.8.8.0/24\n9.9.9.9/32", "8.8.8.8/32")
    assert not has_all("8.8.8.0/24", "8.8.8.8/32\n9.9.9.9/32")
    assert has_all("8.8.8.0/24", "")
