"""The channels that are configured: by the environment, which wins, or on the page of alerts, sealed in the database.

What was read last is kept in memory, so that a person is also told when the database itself is away.
"""

import json
import re
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from sqlalchemy import delete, select

from golub.alerts import smtp
from golub.alerts.channels import TELEGRAM, Channel, Email, Sent, Telegram, Url, secret_bytes
from golub.audit import Action, By
from golub.clock import Clock
from golub.errors import Conflict, GolubError, Invalid, Unavailable
from golub.guarded import Guarded
from golub.model import AlertChannel, ChannelKind, Notice
from golub.settings import Settings
from golub.store import Store
from golub.vault import Vault

Options = Mapping[str, str]

SECRETS = {ChannelKind.TELEGRAM: ("token",), ChannelKind.EMAIL: ("password",), ChannelKind.URL: ("secret",)}
NEEDED = {ChannelKind.TELEGRAM: ("token", "chat"), ChannelKind.EMAIL: ("host", "to"), ChannelKind.URL: ("url",)}
TAKEN = {
    ChannelKind.TELEGRAM: ("token", "chat"),
    ChannelKind.EMAIL: ("host", "port", "security", "user", "password", "sender", "to"),
    ChannelKind.URL: ("url", "secret"),
}
OPTION_LIMIT = 500

_TOKEN = re.compile(r"[A-Za-z0-9_:-]+")


@dataclass(frozen=True, slots=True)
class Configured:
    """A channel as the page shows it. `shown` has no secrets; `broken`: why it cannot be used."""

    kind: ChannelKind
    by_environment: bool
    shown: Options
    row: AlertChannel | None
    broken: GolubError | None = None


class Channels:
    """`guarded`, `tls` and `telegram` are given in tests alone."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        vault: Vault,
        clock: Clock,
        guarded: Guarded,
        tls: ssl.SSLContext | None = None,
        telegram: str = TELEGRAM,
    ) -> None:
        self._store = store
        self._vault = vault
        self._clock = clock
        self._guarded = guarded
        self._tls = tls
        self._telegram = telegram
        self._by_environment = _by_environment(settings)
        self._known: dict[ChannelKind, Options] = dict(self._by_environment)

    async def list_all(self) -> list[Configured]:
        """Those that are configured, and how each fared."""
        rows, options = await self._load()
        found: list[Configured] = []
        for kind in ChannelKind:
            if kind not in options:
                continue
            broken: GolubError | None = None
            try:
                self._make(kind, options[kind])
            except GolubError as error:
                broken = error
            shown = {name: value for name, value in options[kind].items() if name not in SECRETS[kind]}
            found.append(Configured(kind, kind in self._by_environment, shown, rows.get(kind), broken))
        return found

    async def open_all(self) -> list[Channel]:
        """Ready to send. While the database is away: those known last."""
        with suppress(Unavailable):
            await self._load()
        found: list[Channel] = []
        for kind, options in self._known.items():
            try:
                found.append(self._make(kind, options))
            except GolubError:
                continue  # the page of alerts says why
        return found

    async def open(self, kind: ChannelKind) -> Channel:
        """Raises `Invalid` where it is not configured, or not so that it could be used."""
        _, options = await self._load()
        if kind not in options:
            raise Invalid("No channel for alerts is configured.")
        return self._make(kind, options[kind])

    async def save(self, kind: ChannelKind, given: Options, *, by: By) -> None:
        """Raises `Invalid` with the field that is wrong. A secret that is left empty stays as it was."""
        self._must_be_ours(kind)
        _, options = await self._load()
        before = options.get(kind, {})
        chosen = {name: given.get(name, "").strip()[:OPTION_LIMIT] for name in TAKEN[kind]}
        for name in SECRETS[kind]:
            chosen[name] = chosen[name] or before.get(name, "")
        if kind is ChannelKind.EMAIL and before.get("password") and not given.get("password", "").strip():
            _must_go_where_it_went(chosen, before)
        for name in NEEDED[kind]:
            if not chosen[name]:
                raise Invalid("This is needed.", field=name)
        self._make(kind, chosen)
        now, sealed = self._clock(), self._vault.seal(json.dumps(chosen))
        async with self._store.write() as session:
            row = await session.get(AlertChannel, kind)
            if row is None:
                session.add(AlertChannel(kind=kind, options=sealed, changed_at=now, last_error=""))
            else:
                row.options, row.changed_at, row.last_error = sealed, now, ""
            after = {name: value for name, value in chosen.items() if name not in SECRETS[kind]}
            if kind is ChannelKind.URL:  # another service's address is that service's secret
                after = {"url": urlsplit(chosen["url"]).netloc}
            await by.did(session, Action.SETTINGS_CHANGED, f"alerts: {kind}", after=after, now=now)

    async def remove(self, kind: ChannelKind, *, by: By) -> None:
        self._must_be_ours(kind)
        async with self._store.write() as session:
            await session.execute(delete(AlertChannel).where(AlertChannel.kind == kind))
            await session.execute(delete(Notice).where(Notice.channel == kind, Notice.due_at.is_not(None)))
            await by.did(session, Action.SETTINGS_CHANGED, f"alerts: {kind}", now=self._clock())

    async def note(self, kind: ChannelKind, sent: Sent) -> None:
        """How the last try went, for the page."""
        now = self._clock()
        values = {"last_error": str(sent)[:OPTION_LIMIT]} | (
            {"last_ok_at": now} if sent.succeeded else {"last_error_at": now}
        )
        async with self._store.write() as session:
            statement = self._store.insert(AlertChannel).values(kind=kind, changed_at=now, **values)
            await session.execute(statement.on_conflict_do_update(index_elements=["kind"], set_=values))

    def _must_be_ours(self, kind: ChannelKind) -> None:
        if kind in self._by_environment:
            raise Conflict("This channel is set by the environment of the server: change it there.")

    async def _load(self) -> tuple[dict[ChannelKind, AlertChannel], dict[ChannelKind, Options]]:
        async with self._store.read() as session:
            rows = {ChannelKind(row.kind): row for row in await session.scalars(select(AlertChannel))}
        options = dict(self._by_environment)
        for kind, row in rows.items():
            if row.options is not None and kind not in options:
                with suppress(Unavailable):  # sealed with another key: it has to be entered again
                    options[kind] = json.loads(self._vault.open(row.options))
        self._known = options
        return rows, options

    def _make(self, kind: ChannelKind, options: Options) -> Channel:
        """Raises `Invalid`."""
        for name, value in options.items():
            if any(not char.isprintable() for char in value):
                raise Invalid("There is an invisible character in it. Copy it once more.", field=name)
        match kind:
            case ChannelKind.TELEGRAM:
                if not _TOKEN.fullmatch(options["token"]):  # it goes into a URL's path
                    raise Invalid("This is no bot's token: one looks like 123456:ABC-def.", field="token")
                return Telegram(self._guarded, options["token"], options["chat"], self._telegram)
            case ChannelKind.EMAIL:
                return Email(_server(options), smtp.check_address(options["to"], "to"), self._tls)
            case ChannelKind.URL:
                if secret := options.get("secret", ""):
                    secret_bytes(secret)
                return Url(self._guarded, self._clock, self._guarded.check_url(options["url"]), secret)


def _must_go_where_it_went(chosen: Options, before: Options) -> None:
    """A password that is kept goes to the server that it was entered for: else whoever may change the channel could
    have it sent to one of his own, and read it there. Raises `Invalid`."""
    if any(chosen[name] != before.get(name, "") for name in ("host", "port", "security", "user")):
        raise Invalid("Enter the password once more: the server or the login is another one now.", field="password")


def _by_environment(settings: Settings) -> dict[ChannelKind, Options]:
    found: dict[ChannelKind, Options] = {}
    if settings.telegram_token and settings.telegram_chat:
        token = settings.telegram_token.get_secret_value()
        found[ChannelKind.TELEGRAM] = {"token": token, "chat": settings.telegram_chat}
    if settings.smtp_url and settings.alert_email:
        server = smtp.Server.parse(settings.smtp_url.get_secret_value())
        found[ChannelKind.EMAIL] = {
            "host": server.host,
            "port": str(server.port),
            "security": "tls" if server.encrypted else "starttls",
            "user": server.user,
            "password": server.password,
            "sender": server.sender,
            "to": settings.alert_email,
        }
    if settings.alert_url:
        secret = settings.alert_secret.get_secret_value() if settings.alert_secret else ""
        found[ChannelKind.URL] = {"url": settings.alert_url, "secret": secret}
    return found


def _server(options: Options) -> smtp.Server:
    """Raises `Invalid`."""
    encrypted = options.get("security") != "starttls"
    port = options.get("port") or ("465" if encrypted else "587")
    if not (port.isdecimal() and 0 < int(port) < 65536):
        raise Invalid("A port is a number up to 65535.", field="port")
    host = options["host"]
    if any(char in host for char in " /@:") and not host.startswith("["):
        raise Invalid("Only the server's name, such as smtp.example.ru.", field="host")
    sender = smtp.check_address(options["sender"], "sender") if options.get("sender") else ""
    return smtp.Server(host, int(port), encrypted, options.get("user", ""), options.get("password", ""), sender)
