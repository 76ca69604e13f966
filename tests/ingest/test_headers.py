"""Which headers are kept, and which of them say where a request came from."""

import json
from ipaddress import ip_network

import pytest
from pydantic import ValidationError
from starlette.types import Scope

from golub import ingest as ingest_module
from golub.ingest import kept_headers
from golub.settings import Settings
from golub.web.address import client_address
from tests.ingest.endpoint import BARE, PATH, TOKEN, Endpoint


@pytest.mark.row(31)
@pytest.mark.parametrize(
    ("peer", "forwarded", "seen"),
    [
        ("192.0.2.9", ["1.2.3.4"], "192.0.2.9"),  # row 31: a stranger's word
        ("127.0.0.1", [], "127.0.0.1"),
        ("127.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("127.0.0.1", ["1.2.3.4, 198.51.100.7"], "198.51.100.7"),
        ("127.0.0.1", ["1.2.3.4, 198.51.100.7, 127.0.0.2"], "198.51.100.7"),
        ("127.0.0.1", ["1.2.3.4", "198.51.100.7"], "198.51.100.7"),
        ("127.0.0.1", ["198.51.100.7, garbage"], "127.0.0.1"),
        ("127.0.0.1", ["198.51.100.7, "], "127.0.0.1"),
        ("127.0.0.1", ["fe80::1%eth0"], "fe80::1%eth0"),
        ("127.0.0.1", ["2001:db8::1"], "2001:db8::1"),
        ("127.0.0.1", [", ".join(["9.9.9.9"] * 50)], "9.9.9.9"),
        ("::ffff:127.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("127.0.0.1", ["127.0.0.3, 127.0.0.2"], "127.0.0.3"),
        ("", ["1.2.3.4"], ""),
    ],
)
def test_only_trusted_proxies_say_where_a_request_came_from(peer: str, forwarded: list[str], seen: str) -> None:
    scope: Scope = {
        "client": (peer, 1) if peer else None,
        "headers": [(b"x-real-ip", b"6.6.6.6"), *((b"x-forwarded-for", hop.encode()) for hop in forwarded)],
    }
    assert client_address(scope, (ip_network("127.0.0.0/8"),)) == seen


@pytest.mark.row(31)
@pytest.mark.parametrize("chosen", ["*", "127.0.0.0/8,*", "0.0.0.0/0", "::/0", "127.0.0.0/8, 10.0.0.1/0"])
def test_everybody_cannot_be_a_trusted_proxy(chosen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOLUB_TRUSTED_PROXIES", chosen)
    with pytest.raises(ValidationError, match="name the proxies' networks"):
        Settings()


@pytest.mark.row(31)
async def test_the_address_kept_is_the_one_that_the_proxy_saw(endpoint: Endpoint) -> None:
    await endpoint.post(x_forwarded_for="1.2.3.4, 198.51.100.7")
    assert [one.address for one in endpoint.stored] == ["198.51.100.7"]


async def test_neither_the_token_nor_credentials_are_kept_with_the_headers(endpoint: Endpoint) -> None:
    referer = f"https://golub.example.ru{PATH}"
    await endpoint.post(referer=referer, cookie="session=s3cret", authorization="Bearer s3cret")
    (one,) = endpoint.stored
    assert TOKEN.encode() not in one.headers
    assert b"s3cret" not in one.headers
    assert ["referer", f"https://golub.example.ru{BARE}/***"] in json.loads(one.headers)


def test_the_headers_kept_are_bounded() -> None:
    many = [(b"x-%d" % number, b"y" * 300) for number in range(10_000)]
    kept = json.loads(kept_headers(many, ""))
    assert 10 < len(kept) <= ingest_module.HEADERS_KEPT
    assert kept[0] == ["x-0", "y" * 300]
    long = json.loads(kept_headers([(b"x", b"\xff" * 100_000), (b"z", b"1")], ""))
    assert [len(value) for _, value in long] == [ingest_module.HEADER_VALUE, 1]
    assert long[0][1][0] == "ÿ"
