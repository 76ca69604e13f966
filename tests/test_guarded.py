"""The client for addresses that people type: what it refuses, and that it goes where it checked."""

import asyncio
import datetime as dt
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from golub.errors import Invalid
from golub.guarded import Failure, Guarded, is_public

PATH = "/webhook/avito/x"


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("https://golub.example.ru/webhook/avito", "https://golub.example.ru/webhook/avito"),
        ("  https://Golub.Example.ru:443/a ", "https://golub.example.ru/a"),
        ("https://golub.example.ru./a", "https://golub.example.ru/a"),
        ("https://голубь.рф/a", "https://xn--90adyl0a9c.xn--p1ai/a"),
        ("https://93.184.216.34/a", "https://93.184.216.34/a"),
        ("https://[2a02:6b8::2:242]/a", "https://[2a02:6b8::2:242]/a"),
    ],
)
def test_an_honest_url_is_taken_in_its_normal_form(typed: str, kept: str) -> None:
    assert Guarded().check_url(typed) == kept


REFUSED = [
    "",
    "golub.example.ru",
    "http://golub.example.ru/a",
    "ftp://golub.example.ru/a",
    "gopher://golub.example.ru/a",
    "javascript:alert(1)",
    "https:///a",
    "https://user:pass@golub.example.ru/a",
    "https://good.ru@evil.ru/a",
    "http://127.0.0.1\\@evil.ru/a",
    "https://golub.example.ru/a b",
    "https://golub.example.ru/a\r\nx: y",
    "https://golub.example.ru\x00.evil.ru/a",
    "https://golub.example.ru/a#b",
    "https://golub.example.ru:22/a",
    "https://golub.example.ru:99999/a",
    "https://golub.example.ru:8443/a",
    "https://-golub.example.ru/a",
    "https://golub..ru/a",
    "https://localhost/a",
    "https://golub/a",
    "https://router.local/a",
    "https://metadata.google.internal/a",
    "https://127.0.0.1/a",
    "https://127.1/a",
    "https://2130706433/a",
    "https://0177.0.0.1/a",
    "https://0x7f.1/a",
    "https://0x7f000001/a",
    "https://0.0.0.0/a",
    "https://10.0.0.7/a",
    "https://192.168.1.1/a",
    "https://172.16.0.1/a",
    "https://169.254.169.254/a",
    "https://100.64.0.1/a",
    "https://192.0.0.8/a",
    "https://224.0.0.1/a",
    "https://255.255.255.255/a",
    "https://[::1]/a",
    "https://[::]/a",
    "https://[::ffff:169.254.169.254]/a",
    "https://[64:ff9b::a9fe:a9fe]/a",
    "https://[2002:7f00:1::]/a",
    "https://[2001:0:1::1]/a",
    "https://[fe80::1]/a",
    "https://[fd00::1]/a",
    "https://[ff02::1]/a",
    "https://" + "a" * 64 + ".ru/a",
    "https://golub.example.ru/" + "a" * 2000,
]


@pytest.mark.row(10, 11, 13)
@pytest.mark.parametrize("url", REFUSED)
def test_a_bad_url_is_refused_with_words(url: str) -> None:
    with pytest.raises(Invalid) as caught:
        Guarded().check_url(url)
    assert caught.value.field == "url"
    assert caught.value.message


@pytest.mark.parametrize("url", [url for url in REFUSED if "//127.0.0.1/" not in url and "//[::1]/" not in url])
def test_loopback_for_a_simulator_opens_nothing_else(url: str) -> None:
    if url == "https://localhost/a":
        return
    with pytest.raises(Invalid):
        Guarded(allow_loopback=True).check_url(url)


def test_a_simulator_may_be_called_on_this_machine() -> None:
    guarded = Guarded(allow_loopback=True)
    assert guarded.check_url("http://127.0.0.1:8080/a") == "http://127.0.0.1:8080/a"
    assert guarded.check_url("http://localhost:8080/a") == "http://localhost:8080/a"


@pytest.mark.row(10, 11)
@pytest.mark.parametrize(
    "address",
    [
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "2002:a00:1::",
        "2001::1",
        "192.0.0.9",
        "239.1.1.1",
        "::",
        "100::1",
    ],
)
def test_disguises_of_private_addresses_are_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


def resolving_to(*addresses: str) -> Callable[[str, int], Awaitable[list[str]]]:
    async def resolve(host: str, port: int) -> list[str]:
        return list(addresses)

    return resolve


class Recorder(httpx2.AsyncBaseTransport):
    """Stands where the network is, and keeps what would have gone out."""

    def __init__(self, status: int = 200) -> None:
        self.requests: list[httpx2.Request] = []
        self.status = status

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        return httpx2.Response(self.status, headers={"location": "http://127.0.0.1/"})


@pytest.mark.row(10, 12)
@pytest.mark.parametrize(
    "addresses", [["127.0.0.1"], ["10.0.0.1"], ["93.184.216.34", "fd00::1"], ["fe80::1"], ["::ffff:127.0.0.1"]]
)
async def test_a_name_with_any_private_address_is_not_called(addresses: list[str]) -> None:
    network = Recorder()
    call = await Guarded(transport=network, resolve=resolving_to(*addresses)).post(
        "https://golub.example.ru" + PATH, content=b"{}"
    )
    assert call.failure is Failure.CLOSED
    assert network.requests == []


@pytest.mark.row(12)
async def test_the_call_goes_to_the_checked_address_under_the_real_name() -> None:
    network = Recorder()
    call = await Guarded(transport=network, resolve=resolving_to("93.184.216.34")).post(
        "https://golub.example.ru" + PATH, content=b"{}", headers={"x-golub-nonce": "n"}
    )
    (request,) = network.requests
    assert request.url.host == "93.184.216.34"
    assert request.headers["host"] == "golub.example.ru"
    assert request.headers["x-golub-nonce"] == "n"
    assert request.extensions["sni_hostname"] == "golub.example.ru"
    assert call.status == 200
    assert call.succeeded
    assert call.address == "93.184.216.34"


@pytest.mark.row(12)
async def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    network = Recorder(status=302)
    call = await Guarded(transport=network, resolve=resolving_to("93.184.216.34")).post(
        "https://golub.example.ru" + PATH, content=b"{}"
    )
    assert (call.status, call.succeeded, len(network.requests)) == (302, False, 1)


async def test_a_name_that_does_not_exist() -> None:
    async def resolve(host: str, port: int) -> list[str]:
        raise OSError("no such name")

    call = await Guarded(resolve=resolve).post("https://golub.example.ru" + PATH, content=b"{}")
    assert call.failure is Failure.NAME


def certificate(folder: Path, name: str) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@asynccontextmanager
async def listening(answer: bytes | None, tls: ssl.SSLContext | None = None) -> AsyncGenerator[tuple[int, list[bytes]]]:
    """A server on a real socket that reads a request's head and answers, or (None) never does."""
    heads: list[bytes] = []
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        if answer is None:
            await over.wait()
        else:
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1], heads
    finally:
        over.set()
        server.close()
        await server.wait_closed()


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 100


async def test_over_real_tls_the_certificate_is_checked_against_the_name(tmp_path: Path) -> None:
    path = certificate(tmp_path, "localhost")
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(path)
    trusting = ssl.create_default_context(cafile=str(path))
    async with listening(OK, serving) as (port, heads):
        url = f"https://localhost:{port}{PATH}"
        to_v4 = resolving_to("127.0.0.1")
        good = await Guarded(allow_loopback=True, tls=trusting, resolve=to_v4).post(url, content=b"{}")
        assert good.status == 200, good  # and the million bytes that it promises are not waited for
        assert (good.connected, good.secured) == (True, True)
        assert f"Host: localhost:{port}".lower().encode() in heads[0].lower()

        stranger = await Guarded(allow_loopback=True, resolve=to_v4).post(url, content=b"{}")
        assert (stranger.failure, stranger.connected, stranger.secured) == (Failure.TLS, True, False)
        other_name = await Guarded(allow_loopback=True, tls=trusting).post(
            f"https://127.0.0.1:{port}{PATH}", content=b"{}"
        )
        assert other_name.failure is Failure.TLS


async def test_a_server_that_never_answers_costs_the_deadline_and_no_more() -> None:
    async with listening(None) as (port, heads):
        call = await Guarded(allow_loopback=True).post(f"http://127.0.0.1:{port}/", content=b"{}", deadline=0.3)
        assert (call.failure, call.connected, call.status) == (Failure.TIMEOUT, True, None)
        assert 250 <= call.took < 2000
        assert len(heads) == 1


async def test_a_server_that_does_not_speak_http() -> None:
    async with listening(b"SSH-2.0-OpenSSH\r\n") as (port, _):
        call = await Guarded(allow_loopback=True).post(f"http://127.0.0.1:{port}/", content=b"{}")
        assert call.failure is Failure.BROKEN


async def test_nobody_listens() -> None:
    async with listening(OK) as (port, _):
        pass
    call = await Guarded(allow_loopback=True).post(f"http://127.0.0.1:{port}/", content=b"{}")
    assert (call.failure, call.connected) == (Failure.CONNECT, False)
