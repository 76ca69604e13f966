"""What the doctor says: checks in the order in which a person would look, what may be wrong with each, and findings.

Texts are English and keys of the catalogue, as everywhere; `Finding.write` gives them in the reader's words. A fault is
written down once, with what it costs and the exact fix, so that pages, the command and `docs/doctor.md` say the same.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

Words = Callable[..., str]  # `golub.web.language.Words`, or whatever else puts a text into words
Figure = int | float | str


def N_(message: str) -> str:  # noqa: N802 - gettext's own name for it
    """Marks a text that is put into words later."""
    return message


class Verdict(StrEnum):
    OK = "ok"
    WARNING = "warning"  # works, and will not for ever
    WRONG = "wrong"
    UNKNOWN = "unknown"  # could not be looked at


class Group(StrEnum):
    ITSELF = "itself"
    WAY = "way"
    AVITO = "avito"
    CARE = "care"


class Check(StrEnum):
    """In the order of looking: what could explain another trouble comes before it."""

    SERVER = "server"
    LOOPS = "loops"
    CLOCK = "clock"
    DISK = "disk"
    BALLAST = "ballast"
    FILESYSTEM = "filesystem"
    DATABASE = "database"
    SCHEMA = "schema"
    KEY = "key"
    SPOOL = "spool"
    APPLY = "apply"
    PUBLIC_URL = "public_url"
    NAME = "name"
    PORT = "port"
    TLS = "tls"
    CHAIN = "chain"
    CERTIFICATE_NAME = "certificate_name"
    EXPIRY = "expiry"
    REDIRECT = "redirect"
    GREETING = "greeting"
    PROBE = "probe"
    ARRIVAL = "arrival"
    BODY = "body"
    CLIENT_ADDRESS = "client_address"
    ACCOUNTS = "accounts"
    KEYS = "keys"
    ACCESS = "access"
    AVITO = "avito"
    SUBSCRIPTION = "subscription"
    WEBHOOK_URL = "webhook_url"
    DELIVERIES = "deliveries"
    COVERAGE = "coverage"
    SIGNATURE = "signature"
    NETWORKS = "networks"
    RELAYS = "relays"
    QUARANTINE = "quarantine"
    DURABILITY = "durability"
    DATABASE_VERSION = "database_version"
    SECRETS = "secrets"
    LISTENING = "listening"
    FILES = "files"
    MEMORY = "memory"
    LOAD = "load"
    ALERTS = "alerts"
    BACKUP = "backup"

    @property
    def group(self) -> Group:
        place = ORDER[self]
        if place < ORDER[Check.PUBLIC_URL]:
            return Group.ITSELF
        if place < ORDER[Check.ACCOUNTS]:
            return Group.WAY
        return Group.AVITO if place < ORDER[Check.DURABILITY] else Group.CARE


ORDER = {check: place for place, check in enumerate(Check)}

GROUPS = {
    Group.ITSELF: N_("Golub itself"),
    Group.WAY: N_("The way from Avito to us"),
    Group.AVITO: N_("Avito and the accounts"),
    Group.CARE: N_("Safety and care"),
}

TITLES = {
    Check.SERVER: N_("The server runs"),
    Check.LOOPS: N_("Its parts work"),
    Check.CLOCK: N_("The clock is right"),
    Check.DISK: N_("Room on the disk"),
    Check.BALLAST: N_("Reserve for a full disk"),
    Check.FILESYSTEM: N_("Kind of disk"),
    Check.DATABASE: N_("The database answers"),
    Check.SCHEMA: N_("Version of the database's schema"),
    Check.KEY: N_("The secret key"),
    Check.SPOOL: N_("What is received can be stored"),
    Check.APPLY: N_("What is received gets into the inbox"),
    Check.PUBLIC_URL: N_("The public address is set"),
    Check.NAME: N_("The name leads to a server"),
    Check.PORT: N_("Port 443 is open"),
    Check.TLS: N_("The connection is encrypted"),
    Check.CHAIN: N_("The certificate is trusted"),
    Check.CERTIFICATE_NAME: N_("The certificate is for this name"),
    Check.EXPIRY: N_("The certificate has not run out"),
    Check.REDIRECT: N_("HTTP leads to HTTPS"),
    Check.GREETING: N_("The webhook's address answers"),
    Check.PROBE: N_("Avito's probe gets its answer within two seconds"),
    Check.ARRIVAL: N_("What is sent there arrives here"),
    Check.BODY: N_("The proxy changes nothing"),
    Check.CLIENT_ADDRESS: N_("The proxy names who called"),
    Check.ACCOUNTS: N_("Accounts are connected"),
    Check.KEYS: N_("Avito accepts the keys"),
    Check.ACCESS: N_("The messenger's API is open"),
    Check.AVITO: N_("Avito's API answers"),
    Check.SUBSCRIPTION: N_("Avito calls us"),
    Check.WEBHOOK_URL: N_("The registered address is ours"),
    Check.DELIVERIES: N_("Deliveries come as usual"),
    Check.COVERAGE: N_("The webhook brings everything"),
    Check.SIGNATURE: N_("The signature"),
    Check.NETWORKS: N_("Deliveries come from where they may"),
    Check.RELAYS: N_("Forwarding works"),
    Check.QUARANTINE: N_("Nothing waits in quarantine"),
    Check.DURABILITY: N_("A commit is on the disk"),
    Check.DATABASE_VERSION: N_("Version of the database"),
    Check.SECRETS: N_("Secrets are closed to others"),
    Check.LISTENING: N_("Only the proxy gets in"),
    Check.FILES: N_("Room for connections"),
    Check.MEMORY: N_("Memory"),
    Check.LOAD: N_("Load"),
    Check.ALERTS: N_("Somebody is told"),
    Check.BACKUP: N_("There is a backup"),
}


@dataclass(frozen=True, slots=True)
class Said:
    """A text with what stands in its places; a place may hold a text itself."""

    message: str
    fields: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def write(self, words: Words) -> str:
        return words(self.message, **{name: _written(value, words) for name, value in self.fields.items()})


@dataclass(frozen=True, slots=True)
class Lines:
    """Something to copy: `where` it goes (nginx, Caddyfile, shell, setting, …), and the text with places."""

    where: str
    text: str


@dataclass(frozen=True, slots=True)
class Fault:
    """What may be wrong with a check. `page` is the page of ours that mends it."""

    name: str
    check: Check
    verdict: Verdict
    what: str
    cost: str
    fix: str
    lines: Sequence[Lines]
    page: str

    def found(
        self,
        fields: Mapping[str, Any] | None = None,
        *,
        check: Check | None = None,
        account: str = "",
        figures: Mapping[str, Figure] | None = None,
    ) -> "Finding":
        """`fields` are for the places; `check`: another one that the same fault shows in."""
        fields = fields or {}
        return Finding(check or self.check, self.verdict, Said(self.what, fields), self, account, dict(figures or {}))


def wrong(name: str, check: Check, what: str, cost: str, fix: str, *lines: Lines, page: str = "") -> Fault:
    return Fault(name, check, Verdict.WRONG, what, cost, fix, lines, page)


def warning(name: str, check: Check, what: str, cost: str, fix: str, *lines: Lines, page: str = "") -> Fault:
    return Fault(name, check, Verdict.WARNING, what, cost, fix, lines, page)


@dataclass(frozen=True, slots=True)
class Finding:
    """`account` is a shop's name where the check is made for each."""

    check: Check
    verdict: Verdict
    what: Said
    fault: Fault | None = None
    account: str = ""
    figures: Mapping[str, Figure] = field(default_factory=dict[str, Figure])

    @property
    def page(self) -> str:
        return _placed(self.fault.page, self.what.fields) if self.fault else ""

    @property
    def lines(self) -> list[Lines]:
        given = self.fault.lines if self.fault else ()
        return [Lines(one.where, _placed(one.text, self.what.fields)) for one in given]

    def write(self, words: Words) -> "Written":
        told = self.fault
        fields = self.what.fields
        return Written(
            title=words(TITLES[self.check]),
            what=self.what.write(words),
            cost=Said(told.cost, fields).write(words) if told else "",
            fix=Said(told.fix, fields).write(words) if told else "",
        )

    def as_json(self, words: Words) -> dict[str, Any]:
        written = self.write(words)
        return {
            "check": str(self.check),
            "group": str(self.check.group),
            "verdict": str(self.verdict),
            "fault": self.fault.name if self.fault else None,
            "account": self.account or None,
            "title": written.title,
            "what": written.what,
            "cost": written.cost or None,
            "fix": written.fix or None,
            "lines": [{"where": one.where, "text": one.text} for one in self.lines],
            "page": self.page or None,
            "figures": dict(self.figures),
        }


@dataclass(frozen=True, slots=True)
class Written:
    """A finding in the reader's words."""

    title: str
    what: str
    cost: str
    fix: str


def well(
    check: Check, what: str, *, account: str = "", figures: Mapping[str, Figure] | None = None, **fields: Any
) -> Finding:
    return Finding(check, Verdict.OK, Said(what, fields), None, account, dict(figures or {}))


def unseen(check: Check, why: str, *, account: str = "", **fields: Any) -> Finding:
    """It could not be looked at."""
    return Finding(check, Verdict.UNKNOWN, Said(why, fields), None, account)


def after(first: Check, *checks: Check, account: str = "") -> list[Finding]:
    """What cannot be looked at before that is well."""
    why, title = N_("Not looked at: “{first}” comes first."), Said(TITLES[first])
    return [unseen(check, why, account=account, first=title) for check in checks]


def in_order(findings: Sequence[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda finding: ORDER[finding.check])


def worst_first(findings: Sequence[Finding]) -> list[Finding]:
    """What is to be mended, and in which order: what is wrong, then what will be."""
    wrong = [finding for finding in in_order(findings) if finding.verdict is Verdict.WRONG]
    return wrong + [finding for finding in in_order(findings) if finding.verdict is Verdict.WARNING]


def _written(value: Any, words: Words) -> Any:
    return value.write(words) if isinstance(value, Said) else value


def _placed(text: str, fields: Mapping[str, Any]) -> str:
    """Not `format`: a proxy's configuration has braces of its own."""

    def put(place: re.Match[str]) -> str:
        value = fields.get(place[1])
        return place[0] if value is None else str(value)

    return re.sub(r"\{(\w+)\}", put, text)
