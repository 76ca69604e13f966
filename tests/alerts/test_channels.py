"""The channels against real sockets: a mail server over TLS, a Telegram, a URL that checks signatures."""

import asyncio
import base64
import hashlib
import hmac
import json
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from golub.alerts.channels import Email, Said, Telegram, Url, written
from golub.alerts.kinds import AlertKind
from golub.alerts.rules import Rules
from golub.alerts.smtp import Server, check_address
from golub.clock import HOUR, MINUTE
from golub.errors import Invalid
from golub.guarded import Guarded
from golub.model import NoticeKind
from tests.conftest import SteppedClock
from tests.mailbox import Mailbox
from tests.test_guarded import certificate

STOLEN = Said(
    "alert_1_opened", AlertKind.SUBSCRIPTION_STOLEN, NoticeKind.OPENED,
    "Велосипеды: сообщения получает другой сервис.", "https://golub.example.ru/admin/accounts/1", 1_700_000_000_000,
    account=(94235311, "Велосипеды"),
)  # fmt: skip
KEYS = Said("alert_2_opened", AlertKind.WRONG_KEYS, NoticeKind.OPENED, "Лодки: новые ключи.", "", 1_700_000_000_000)
TO = "owner@example.ru"


@pytest.fixture
def tls(tmp_path: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The server's, whose certificate is for localhost, and a client's that trusts it."""
    pem = certificate(tmp_path, "localhost")
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context(cafile=str(pem))
    server.load_cert_chain(pem)
    return server, client


def through(mailbox: Mailbox, client: ssl.SSLContext, host: str = "localhost", password: str = "pa ss:word") -> Email:
    return Email(Server(host, mailbox.port, mailbox.encrypted, "golub@example.ru", password), TO, client)


async def test_a_letter_goes_out_over_tls_and_tells_all_at_once(tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    async with Mailbox(tls[0]).open() as mailbox:
        sent = await through(mailbox, tls[1]).send([STOLEN, KEYS])
    assert sent.succeeded, sent
    (letter,) = mailbox.letters
    assert (letter["To"], letter["From"], letter["Auto-Submitted"]) == (TO, "golub@example.ru", "auto-generated")
    assert letter["Subject"] == "Golub: 🔴 Велосипеды: сообщения получает другой сервис."
    text = letter.get_content().replace("\r\n", "\n")
    assert STOLEN.text in text
    assert STOLEN.url in text
    assert KEYS.text in text


async def test_the_exact_words_of_a_mail_server_that_refuses(tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    async with Mailbox(tls[0]).open() as mailbox:
        sent = await through(mailbox, tls[1], password="wrong").send([KEYS])
        assert (sent.code, sent.said) == ("auth", "535 5.7.8 authentication failed")
        mailbox.refuses["RCPT"] = "550 no such mailbox"
        sent = await through(mailbox, tls[1]).send([KEYS])
        assert (sent.code, sent.said) == ("refused", "550 no such mailbox")
    assert mailbox.letters == []
    assert (await through(mailbox, tls[1]).send([KEYS])).code == "connect"  # it has closed


async def test_a_certificate_that_nobody_signed_gets_no_password(tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    async with Mailbox(tls[0]).open() as mailbox:
        sent = await through(mailbox, ssl.create_default_context()).send([KEYS])
        other_name = await through(mailbox, tls[1], host="127.0.0.1").send([KEYS])
    assert (sent.code, other_name.code, mailbox.letters) == ("tls", "tls", [])


async def test_starttls_is_demanded_of_every_other_machine(
    tls: tuple[ssl.SSLContext, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("golub.alerts.smtp._is_this_machine", lambda _: False)
    async with Mailbox(tls[0], encrypted=False).open() as mailbox:
        assert (await through(mailbox, tls[1]).send([KEYS])).succeeded
        mailbox.starttls = False
        sent = await through(mailbox, tls[1]).send([KEYS])
    assert (sent.code, len(mailbox.letters)) == ("tls", 1)


async def test_what_python_s_own_client_cannot_say_is_an_answer_too(
    tls: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    async with Mailbox(tls[0]).open() as mailbox:
        assert (await through(mailbox, tls[1], password="пароль").send([KEYS])).code == "auth"
        assert (await through(mailbox, tls[1], host="smtp..example.ru").send([KEYS])).code == "name"


def test_a_mail_server_s_address_is_read_or_refused() -> None:
    assert Server.parse("smtps://a%40b.ru:p%3Aw@mail.example.ru?from=golub@b.ru") == Server(
        "mail.example.ru", 465, True, "a@b.ru", "p:w", "golub@b.ru"
    )
    assert Server.parse("smtp://mail.example.ru").port == 587
    for wrong in ("mail.example.ru", "https://mail.example.ru", "smtps://", "smtps://a:99999"):
        with pytest.raises(Invalid):
            Server.parse(wrong)
    for wrong in ("", "nobody", "a@b", "a@b.ru, c@d.ru", "a@b.ru\nBcc: c@d.ru"):
        with pytest.raises(Invalid):
            check_address(wrong, "to")


@asynccontextmanager
async def answering(status: str, body: bytes) -> AsyncGenerator[tuple[int, list[bytes]]]:
    """An HTTP server on a real socket that always says the same, and keeps what it got."""
    got: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        size = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
        got.append(head + await reader.readexactly(size))
        writer.write(f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n".encode() + body)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], got


async def test_telegram_gets_one_message_and_its_own_words_are_kept() -> None:
    guarded = Guarded(allow_loopback=True)
    async with answering("200 OK", b'{"ok":true}') as (port, got):
        sent = await Telegram(guarded, "123:token", "-100", f"http://127.0.0.1:{port}").send([STOLEN, KEYS])
    assert sent.succeeded
    (request,) = got
    assert request.startswith(b"POST /bot123:token/sendMessage ")
    message = json.loads(request.partition(b"\r\n\r\n")[2])
    assert (message["chat_id"], message["text"]) == ("-100", written([STOLEN, KEYS]))
    refusal = b'{"ok":false,"error_code":400,"description":"Bad Request: chat not found"}'
    async with answering("400 Bad Request", refusal) as (port, _):
        sent = await Telegram(guarded, "123:token", "-1", f"http://127.0.0.1:{port}").send([KEYS])
    assert (sent.code, sent.said) == ("refused", "400 Bad Request: chat not found")
    async with answering("401 Unauthorized", b"not json") as (port, _):
        assert (await Telegram(guarded, "x", "1", f"http://127.0.0.1:{port}").send([KEYS])).code == "auth"


async def test_a_url_gets_a_signature_that_its_owner_can_check(clock: SteppedClock) -> None:
    secret = "whsec_" + base64.b64encode(bytes(range(32))).decode()
    async with answering("200 OK", b"") as (port, got):
        url = Url(Guarded(allow_loopback=True), clock, f"http://127.0.0.1:{port}/hook", secret)
        assert (await url.send([STOLEN])).succeeded
    head, _, body = got[0].partition(b"\r\n\r\n")
    headers = dict(line.lower().split(": ", 1) for line in head.decode().split("\r\n")[1:])
    raw = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    signature = next(value for name, value in raw.items() if name.lower() == "webhook-signature")
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.digest(bytes(range(32)), signed, hashlib.sha256)).decode()
    assert signature == f"v1,{expected}"
    assert headers["webhook-id"] == STOLEN.key
    message = json.loads(body)
    assert (message["type"], message["kind"], message["account"]["user_id"]) == (
        "alert.opened", "subscription_stolen", 94235311,
    )  # fmt: skip


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("moment", "told"),
    [
        ("2026-11-22T18:59", "2026-11-22T18:59"),  # 21:59 in Moscow
        ("2026-11-22T19:00", "2026-11-23T05:00"),
        ("2026-11-22T21:00", "2026-11-23T05:00"),  # midnight there
        ("2026-11-23T04:59", "2026-11-23T05:00"),
        ("2026-11-23T05:00", "2026-11-23T05:00"),
    ],
)
def test_quiet_hours_end_in_the_owners_morning(moment: str, told: str) -> None:
    rules = Rules.chosen("22:00", "08:00", "Europe/Moscow", 24)
    assert rules.earliest(at(moment)) == at(told)


def test_quiet_hours_by_day_and_none_at_all() -> None:
    assert Rules.chosen("13:00", "14:00", "UTC", 0).earliest(at("2026-11-22T13:30")) == at("2026-11-22T14:00")
    assert Rules.chosen("", "", "UTC", 0).earliest(at("2026-11-22T03:00")) == at("2026-11-22T03:00")
    assert Rules.load(Rules.chosen("22:00", "08:00", "UTC", 12).dump()).remind_every == 12 * HOUR


def test_quiet_hours_keep_to_the_wall_clock_when_it_is_changed() -> None:
    rules = Rules.chosen("22:00", "08:00", "Europe/Berlin", 24)  # the clock goes back on 25 October 2026 at 3:00
    assert rules.earliest(at("2026-10-24T21:00")) == at("2026-10-25T07:00")
    assert rules.earliest(at("2026-10-25T06:59") + MINUTE // 2) == at("2026-10-25T07:00")


@pytest.mark.parametrize(
    "given", [("22", "08:00"), ("24:00", "08:00"), ("22:61", "08:00"), ("22:00", ""), ("x:y", "z"), ("²:0", "1:0")]
)
def test_what_is_no_time_is_refused(given: tuple[str, str]) -> None:
    with pytest.raises(Invalid):
        Rules.chosen(*given, "UTC", 24)
