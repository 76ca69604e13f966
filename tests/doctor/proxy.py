"""A reverse proxy on a real socket, with certificates made on the spot, that can do whatever proxies do wrong."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

HOST = "golub.example.ru"
Header = tuple[str, str]


@dataclass(frozen=True)
class Asked:
    """A request as the proxy got it, and as it hands it on."""

    method: str
    target: str
    headers: tuple[Header, ...]
    body: bytes

    def without(self, *names: str) -> "Asked":
        return replace(self, headers=tuple(one for one in self.headers if one[0] not in names))

    def plus(self, name: str, value: str) -> "Asked":
        return replace(self, headers=(*self.headers, (name, value)))

    def with_body(self, body: bytes) -> "Asked":
        return replace(self.without("content-length"), body=body).plus("content-length", str(len(body)))

    @property
    def is_webhook(self) -> bool:
        return self.target.startswith("/webhook/avito")


def plain(status: str, body: bytes = b"", *headers: Header) -> bytes:
    """A whole answer that the proxy gives by itself."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@dataclass
class Proxy:
    """`change` is what it does to requests, `answers` what it says instead of handing on (None: it hands on), `delay`
    how long it thinks before."""

    golub_port: int
    change: Callable[[Asked], Asked] = lambda asked: asked
    answers: Callable[[Asked], bytes | None] = lambda _: None
    delay: Callable[[Asked], float] = lambda _: 0.0
    adds: Callable[[Asked], Asked] = lambda asked: asked.plus("x-forwarded-for", "93.184.216.34")

    @asynccontextmanager
    async def listening(self, tls: ssl.SSLContext | None) -> AsyncGenerator[int]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=tls)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            asked = await _read(reader)
            if asked.method == "?":
                writer.write(plain("400 Bad Request"))
            else:
                await asyncio.sleep(self.delay(asked))  # a slow proxy is what some tests are about
                answer = self.answers(asked)
                writer.write(await self._hand_on(self.adds(self.change(asked))) if answer is None else answer)
                await writer.drain()
        writer.close()

    async def _hand_on(self, asked: Asked) -> bytes:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.golub_port)
        except OSError:
            return plain("502 Bad Gateway", b"<h1>502 Bad Gateway</h1>")
        head = [f"{asked.method} {asked.target} HTTP/1.1", "connection: close"]
        head += [f"{name}: {value}" for name, value in asked.headers if name != "connection"]
        writer.write("\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + asked.body)
        await writer.drain()
        answer = await reader.read()
        writer.close()
        return answer


async def _read(reader: asyncio.StreamReader) -> Asked:
    head = await reader.readexactly(1)
    if head == b"\x16":  # somebody begins to encrypt, and is not understood
        return Asked("?", "/", (), b"")
    head += await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").strip().split("\r\n")
    method, target, _ = first.split(" ")
    headers = tuple((name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines))
    length = next((int(value) for name, value in headers if name == "content-length"), 0)
    return Asked(method, target, headers, await reader.readexactly(length))


@dataclass(frozen=True)
class Signed:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)


def sign(
    name: str, issuer: Signed | None, *, ca: bool = False, days: tuple[float, float] = (-30.0, 60.0), host: str = ""
) -> Signed:
    """A certificate that is valid between those days from now; without an issuer it signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=days[0]))
        .not_valid_after(now + timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if host:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
    if issuer:
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key())
        builder = builder.add_extension(identifier, critical=False)
    return Signed(builder.sign(issuer.key if issuer else key, hashes.SHA256()), key)


@cache
def authority() -> tuple[Signed, Signed]:
    """The root that everybody trusts here, and the one between that signs for servers."""
    root = sign("Test Root", None, ca=True, days=(-1000.0, 1000.0))
    return root, sign("Test Authority R3", root, ca=True, days=(-500.0, 500.0))


def trusting() -> ssl.SSLContext:
    """What a client of ours goes by: all as usual, and this one root."""
    context = ssl.create_default_context(cadata=authority()[0].pem.decode())
    assert context.verify_mode is ssl.CERT_REQUIRED
    return context


def serving(folder: Path, leaf: Signed, *between: Signed) -> ssl.SSLContext:
    """A server's side: its certificate, and those between as far as it sends them."""
    file = folder / f"{leaf.certificate.serial_number}.pem"
    key = leaf.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(key + leaf.pem + b"".join(one.pem for one in between))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context
