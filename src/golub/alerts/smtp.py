"""Sends an alert by e-mail: through the mail server that a person named, over TLS whose certificate fits its name.

Only a server on this very machine may be spoken to in the clear. The protocol is Python's own; it blocks, so it has a
thread for the time it takes.
"""

import asyncio
import smtplib
import socket
import ssl
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from urllib.parse import parse_qs, unquote, urlsplit

from golub.errors import Invalid

DEADLINE = 15.0  # seconds for each step of the conversation
SUBJECT_LIMIT = 120


@dataclass(frozen=True, slots=True)
class Server:
    """`encrypted` from the first byte (port 465), or by STARTTLS after the greeting."""

    host: str
    port: int
    encrypted: bool
    user: str = ""
    password: str = ""
    sender: str = ""  # empty: the user, where that is an address

    @classmethod
    def parse(cls, url: str) -> "Server":
        """smtps://user:password@host[:465], smtp://… for STARTTLS; `?from=` names the sender. Raises `Invalid`."""
        try:
            parsed = urlsplit(url)
            port = parsed.port
        except ValueError as error:
            raise Invalid("This does not look like smtps://user:password@host:465.", field="server") from error
        if parsed.scheme not in ("smtp", "smtps") or not parsed.hostname:
            raise Invalid("This does not look like smtps://user:password@host:465.", field="server")
        encrypted = parsed.scheme == "smtps"
        sender = parse_qs(parsed.query).get("from", [""])[0]
        user, password = unquote(parsed.username or ""), unquote(parsed.password or "")
        return cls(parsed.hostname, port or (465 if encrypted else 587), encrypted, user, password, sender)

    @property
    def from_address(self) -> str:
        return self.sender or (self.user if "@" in self.user else f"golub@{self.host}")


@dataclass(frozen=True, slots=True)
class Refusal:
    """`code` for our own words about it: name, connect, tls, timeout, auth, refused, broken; `said` is the server's."""

    code: str
    said: str


def check_address(address: str, field: str) -> str:
    """Raises `Invalid` for what is no e-mail address."""
    try:
        found = Address(addr_spec=address.strip())
    except (ValueError, IndexError) as error:
        raise Invalid("{address} is not an e-mail address.", field=field, address=address) from error
    if "." not in found.domain or not found.username:
        raise Invalid("{address} is not an e-mail address.", field=field, address=address)
    return found.addr_spec


async def send(server: Server, to: str, subject: str, text: str, tls: ssl.SSLContext | None = None) -> Refusal | None:
    """None: the server has taken it. `tls` is given in tests, which have a certificate of their own."""
    message = EmailMessage()
    message["From"], message["To"] = server.from_address, to
    message["Subject"] = " ".join(subject.split())[:SUBJECT_LIMIT]
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain=server.from_address.rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text)
    return await asyncio.to_thread(_converse, server, message, tls)


def _converse(server: Server, message: EmailMessage, tls: ssl.SSLContext | None) -> Refusal | None:
    tls = tls or ssl.create_default_context()
    try:
        with _opened(server, tls) as smtp:
            if not server.encrypted and not _is_this_machine(server.host):
                smtp.starttls(context=tls)
            if server.user:
                smtp.login(server.user, server.password)
            smtp.send_message(message)
    except smtplib.SMTPAuthenticationError as error:
        return Refusal("auth", _said(error))
    except smtplib.SMTPRecipientsRefused as error:
        return Refusal("refused", "; ".join(f"{code} {_text(said)}" for code, said in error.recipients.values()))
    except smtplib.SMTPResponseException as error:
        return Refusal("refused", _said(error))
    except smtplib.SMTPNotSupportedError as error:
        return Refusal("tls" if "STARTTLS" in str(error) else "refused", str(error))
    except ssl.SSLError as error:
        return Refusal("tls", error.reason or str(error))
    except socket.gaierror as error:
        return Refusal("name", error.strerror or str(error))
    except TimeoutError:
        return Refusal("timeout", "")
    except (smtplib.SMTPException, EOFError) as error:
        return Refusal("broken", str(error))
    except OSError as error:
        return Refusal("connect", error.strerror or str(error))
    except UnicodeEncodeError as error:  # Python's login knows ASCII alone
        return Refusal("auth", str(error))
    except UnicodeError as error:  # a name that no resolver takes, such as smtp..example.ru
        return Refusal("name", str(error))
    return None


def _opened(server: Server, tls: ssl.SSLContext) -> smtplib.SMTP:
    if server.encrypted:
        return smtplib.SMTP_SSL(server.host, server.port, timeout=DEADLINE, context=tls)
    return smtplib.SMTP(server.host, server.port, timeout=DEADLINE)


def _is_this_machine(host: str) -> bool:
    return host in ("localhost", "127.0.0.1", "::1")


def _said(error: smtplib.SMTPResponseException) -> str:
    return f"{error.smtp_code} {_text(error.smtp_error)}"


def _text(said: bytes | str) -> str:
    return (said.decode(errors="replace") if isinstance(said, bytes) else said).replace("\n", " ")[:300]
