"""A mail server of a few lines on a real socket: TLS from the start or by STARTTLS, a login, and what it was given."""

import asyncio
import base64
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage


@dataclass
class Mailbox:
    """`refuses` is a command and the answer to it; `login` is the only one that opens."""

    tls: ssl.SSLContext
    encrypted: bool = True
    starttls: bool = True
    login: tuple[str, str] = ("golub@example.ru", "pa ss:word")
    refuses: dict[str, str] = field(default_factory=dict[str, str])
    letters: list[EmailMessage] = field(default_factory=list[EmailMessage])
    port: int = 0

    @asynccontextmanager
    async def open(self) -> AsyncGenerator["Mailbox"]:
        ssl_context = self.tls if self.encrypted else None
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=ssl_context)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def say(line: str) -> None:
            writer.write(line.encode() + b"\r\n")

        say("220 mailbox")
        while line := await reader.readline():
            command = line.decode().strip()
            verb = command.partition(" ")[0].upper()
            if verb in self.refuses:
                say(self.refuses[verb])
            elif verb == "EHLO":
                offered = ["mailbox", "AUTH PLAIN", *(["STARTTLS"] if self.starttls and not self.encrypted else [])]
                for place, one in enumerate(offered):
                    say(f"250{' ' if place == len(offered) - 1 else '-'}{one}")
            elif verb == "STARTTLS":
                say("220 go ahead")
                await writer.drain()
                await writer.start_tls(self.tls)
            elif verb == "AUTH":
                given = base64.b64decode(command.split()[2]).decode().split("\0")[1:]
                say("235 welcome" if tuple(given) == self.login else "535 5.7.8 authentication failed")
            elif verb == "DATA":
                say("354 go on")
                written = b""
                while not written.endswith(b"\r\n.\r\n"):
                    written += await reader.readline()
                self.letters.append(message_from_bytes(written[:-5], policy=policy.default))
                say("250 taken")
            elif verb == "QUIT":
                say("221 bye")
                break
            else:
                say("250 fine")
        writer.close()
