"""The way from Avito to us, step by step, from this machine: name, port, certificate, proxy, and our own door.

Each step that fails ends the ones behind it, so that the first thing named is the one to mend. Only a real delivery
proves the way from outside; where one came lately, what this machine alone cannot reach is a warning and no alarm.
"""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.x509.oid import NameOID

from golub.clock import DAY, HOUR, Clock, Millis
from golub.doctor import way_faults as faults
from golub.doctor.answers import fault_of, is_json
from golub.doctor.arrival import SIGNATURE_HEADER, Arrivals, Arrived, Mark
from golub.doctor.finding import N_, Check, Fault, Finding, Said, Verdict, after, well
from golub.doctor.reach import Handshake, Reach, is_outer
from golub.errors import Invalid
from golub.guarded import Address, Guarded
from golub.settings import WEBHOOK_PATH, Settings
from golub.subscription import NONCE_HEADER

SOON = 14  # days before a certificate runs out
LATELY = HOUR  # a delivery from outside proves that the way was open then

_FORM = {"content-type": "application/x-www-form-urlencoded"}  # as `curl -d` sends it, which Avito's page shows
_ALL = (
    Check.NAME, Check.PORT, Check.TLS, Check.CHAIN, Check.CERTIFICATE_NAME, Check.EXPIRY, Check.REDIRECT,
    Check.GREETING, Check.PROBE, Check.ARRIVAL, Check.BODY, Check.CLIENT_ADDRESS,
)  # fmt: skip
_BY_TLS = (Check.CHAIN, Check.CERTIFICATE_NAME, Check.EXPIRY)
_BY_HTTP = (Check.GREETING, Check.PROBE, Check.ARRIVAL, Check.BODY, Check.CLIENT_ADDRESS)


@dataclass(frozen=True, slots=True)
class Outside:
    """What the journal knows. `url`: a registered webhook's own, for its secret; `last_at`: the last real delivery."""

    url: str = ""
    last_at: Millis | None = None


class Way:
    def __init__(self, settings: Settings, reach: Reach, arrivals: Arrivals, clock: Clock, outside: Outside) -> None:
        self._settings = settings
        self._reach = reach
        self._arrivals = arrivals
        self._clock = clock
        self._outside = outside
        parts = urlsplit(settings.public_url)
        self._host = parts.hostname or ""
        self._secure = parts.scheme == "https"
        self._port = parts.port or (443 if self._secure else 80)
        ours = outside.url.startswith(settings.public_url + WEBHOOK_PATH)
        self._url = outside.url if ours else settings.public_url + WEBHOOK_PATH
        self._bare = settings.public_url + WEBHOOK_PATH
        self._places: dict[str, Any] = {
            "host": self._host,
            "url": self._bare,
            "port": settings.port,
            "folder": settings.data_dir.absolute(),
        }

    async def walk(self) -> AsyncGenerator[Finding]:
        if fault := self._public_url():
            yield fault
            for one in after(Check.PUBLIC_URL, *_ALL):
                yield one
            return
        if self._secure:
            yield well(Check.PUBLIC_URL, "{url}", url=self._settings.public_url)
        else:
            yield well(Check.PUBLIC_URL, N_("{url}: this very machine, for a simulator"), url=self._settings.public_url)
        addresses = await self._reach.addresses(self._host)
        named, admitted = self._name(addresses)
        yield named
        if not admitted:
            for one in after(Check.NAME, *_ALL[1:]):
                yield one
            return
        knocked, address = await self._knock(addresses)
        yield knocked
        if not address:
            for one in after(Check.PORT, *_ALL[2:]):
                yield one
            return
        distrusted: Check | None = None
        if self._secure:
            handshake = await self._reach.shake_hands(address, self._port, self._host)
            by_tls = self._tls(handshake)
            for one in by_tls:
                yield one
            yield await self._redirect(address)
            if handshake.failure or handshake.distrust:
                distrusted = next((one.check for one in by_tls if one.verdict is Verdict.WRONG), Check.CHAIN)
        else:
            for check in (Check.TLS, *_BY_TLS, Check.REDIRECT):
                yield well(check, N_("Not needed on the way from a simulator on this machine."))
        if distrusted:
            for one in after(distrusted, *_BY_HTTP):
                yield one
            return
        async for one in self._ask(address):
            yield one

    def _public_url(self) -> Finding | None:
        if not self._settings.public_url:
            return faults.NO_PUBLIC_URL.found()
        guarded = Guarded(allow_loopback=self._settings.allow_loopback_webhook)
        try:
            guarded.check_url(self._bare)
        except Invalid as error:
            if not self._secure:
                return self._found(faults.HTTP_URL)
            return self._found(faults.UNFIT_URL, reason=Said(error.message, error.fields))
        return None

    def _name(self, addresses: list[Address]) -> tuple[Finding, bool]:
        if not addresses:
            return self._found(faults.NAME_NOWHERE), False
        closed = [address for address in addresses if not self._reach.admits(address)]
        if closed:
            fault = faults.NAME_PRIVATE_HERE if self._is_proved() else faults.NAME_PRIVATE
            return self._found(fault, address=str(closed[0])), False
        shown = ", ".join(str(address) for address in addresses)
        return well(Check.NAME, N_("{host} leads to {address}"), host=self._host, address=shown), True

    async def _knock(self, addresses: list[Address]) -> tuple[Finding, str]:
        """The first address that lets us in, and what is to be said of all."""
        tried = [await self._reach.knock(str(address), self._port) for address in addresses]
        opened = [one for one in tried if not one.failure]
        dead = [one for one in tried if one.failure in {"refused", "timeout"}]
        if opened and dead:  # where this machine has no way (IPv6 often), nothing is said
            return self._found(faults.ONE_ADDRESS_DEAD, address=dead[0].address), opened[0].address
        if opened:
            found = well(
                Check.PORT, N_("Connected within {ms} ms"), figures={"milliseconds": opened[0].took}, ms=opened[0].took
            )
            return found, opened[0].address
        first = (dead or tried)[0]
        if self._is_proved():
            return self._found(faults.PORT_NO_LOOP, address=first.address), ""
        if self._secure and not (await self._reach.knock(first.address, 80)).failure:
            return self._found(faults.HTTP_ONLY, address=first.address), ""
        fault = {"refused": faults.PORT_REFUSED, "timeout": faults.PORT_SILENT}.get(first.failure, faults.PORT_NO_WAY)
        return self._found(fault, address=first.address), ""

    def _tls(self, handshake: Handshake) -> list[Finding]:
        if handshake.failure:
            fault = {"plain": faults.TLS_PLAIN, "old": faults.TLS_OLD}.get(handshake.failure, faults.TLS_BROKEN)
            return [self._found(fault), *after(Check.TLS, *_BY_TLS)]
        found = [well(Check.TLS, N_("Encrypted with {version}"), version=handshake.version or "TLS")]
        certificate = handshake.certificate
        if certificate is None:
            return [*found, self._found(faults.CHAIN_DISTRUSTED, issuer="?"), *after(Check.CHAIN, *_BY_TLS[1:])]
        names = _names(certificate)
        valid_from, valid_to = (
            round(moment.timestamp() * 1000)
            for moment in (certificate.not_valid_before_utc, certificate.not_valid_after_utc)
        )
        return [
            *found,
            self._chain(handshake.distrust, certificate, valid_from <= self._clock() < valid_to),
            self._certificate_name(handshake.distrust, names),
            self._expiry(certificate, valid_from, valid_to),
        ]

    def _chain(self, distrust: str, certificate: x509.Certificate, in_time: bool) -> Finding:
        issuer = _issuer(certificate)
        if distrust == "self_signed" or (distrust == "no_issuer" and certificate.issuer == certificate.subject):
            return self._found(faults.SELF_SIGNED)
        if distrust == "no_issuer":
            return self._found(faults.CHAIN_INCOMPLETE, issuer=issuer)
        if distrust == "times" and in_time:
            return self._found(faults.CHAIN_EXPIRED)
        if distrust == "other":
            return self._found(faults.CHAIN_DISTRUSTED, issuer=issuer)
        return well(Check.CHAIN, N_("Issued by {issuer}"), issuer=issuer)

    def _certificate_name(self, distrust: str, names: list[str]) -> Finding:
        if distrust == "name" or not any(_fits(name, self._host) for name in names):
            return self._found(faults.WRONG_NAME, names=", ".join(names[:4]) or "?")
        return well(Check.CERTIFICATE_NAME, N_("It is for {host}"), host=self._host)

    def _expiry(self, certificate: x509.Certificate, valid_from: Millis, valid_to: Millis) -> Finding:
        now = self._clock()
        days = (valid_to - now) // DAY
        date = f"{certificate.not_valid_after_utc:%Y-%m-%d}"
        if now >= valid_to:
            return self._found(faults.EXPIRED, figures={"days_left": days}, date=date)
        if now < valid_from:
            return self._found(faults.NOT_YET_VALID, date=f"{certificate.not_valid_before_utc:%Y-%m-%d}")
        if days <= SOON:
            return self._found(faults.EXPIRES_SOON, figures={"days_left": days}, date=date, days=days)
        return well(Check.EXPIRY, N_("Valid until {date}"), figures={"days_left": days}, date=date)

    async def _redirect(self, address: str) -> Finding:
        if (await self._reach.knock(address, 80)).failure:
            return well(Check.REDIRECT, N_("Port 80 is closed, so nothing goes unencrypted."))
        answer = await self._reach.ask(address, 80, f"http://{self._host}{WEBHOOK_PATH}")
        if answer.failure or answer.status >= 400:
            return well(Check.REDIRECT, N_("Port 80 serves nothing."))
        if 300 <= answer.status < 400 and answer.headers.get("location", "").startswith("https://"):
            return well(Check.REDIRECT, N_("Port 80 leads to https:// (HTTP {status})"), status=answer.status)
        return self._found(faults.NO_REDIRECT, status=answer.status)

    async def _ask(self, address: str) -> AsyncGenerator[Finding]:
        greeting = await self._reach.ask(address, self._port, self._url)
        fault, fields = fault_of(greeting)
        if fault:
            yield self._found(fault, check=Check.GREETING, figures={"milliseconds": greeting.took}, **fields)
        else:
            yield _answered(Check.GREETING, greeting.took)
        probe = await self._reach.ask(address, self._port, self._url, method="POST", content=b"{}", headers=_FORM)
        fault, fields = fault_of(probe)
        if fault:
            yield self._found(fault, check=Check.PROBE, figures={"milliseconds": probe.took}, **fields)
        else:
            yield _answered(Check.PROBE, probe.took)
        if probe.failure or probe.status != 200 or not is_json(probe):
            for one in after(Check.PROBE, *_BY_HTTP[2:]):
                yield one
            return
        mark, sent_at = Mark(), self._clock()
        answer = await self._reach.ask(
            address, self._port, self._url, method="POST", content=mark.body, headers=mark.headers
        )
        arrived = await self._arrivals.find(mark, since=sent_at) if answer.status == 200 else None
        for one in self._arrived(mark, arrived):
            yield one

    def _arrived(self, mark: Mark, arrived: Arrived | None) -> list[Finding]:
        if arrived is None:
            return [self._found(faults.NOT_HERE), *after(Check.ARRIVAL, Check.BODY, Check.CLIENT_ADDRESS)]
        here = N_("The doctor's mark went out to the public address and arrived here. That is seen from this machine: "
                  "only a real delivery proves the way from outside.")  # fmt: skip
        return [well(Check.ARRIVAL, here), self._body(mark, arrived), self._client_address(arrived)]

    def _body(self, mark: Mark, arrived: Arrived) -> Finding:
        if arrived.body != mark.body:
            if not arrived.body:
                return self._found(faults.BODY_STRIPPED)
            return self._found(faults.BODY_REWRITTEN, sent=len(mark.body), got=len(arrived.body))
        for name in (SIGNATURE_HEADER, NONCE_HEADER):
            if mark.headers[name] not in arrived.all_of(name):
                return self._found(faults.HEADERS_STRIPPED, header=name)
        return well(Check.BODY, N_("Body and headers came through byte by byte."))

    def _client_address(self, arrived: Arrived) -> Finding:
        """As `web.address` saw it: the rightmost hop that is no trusted proxy."""
        if not self._secure:
            return well(Check.CLIENT_ADDRESS, N_("Not needed on the way from a simulator on this machine."))
        hops = [hop.strip() for value in arrived.all_of("x-forwarded-for") for hop in value.split(",")]
        seen = arrived.address
        if not hops:
            return self._found(faults.ADDRESS_HIDDEN, address=seen)
        visitor = arrived.all_of("cf-connecting-ip")
        if visitor and visitor[0] != seen:
            return self._found(faults.CDN_HIDES, address=seen)
        behind = seen not in hops or (not is_outer(seen) and any(is_outer(hop) for hop in hops))
        if behind:
            return self._found(faults.PROXY_UNTRUSTED, address=seen, network=_network(seen))
        return well(Check.CLIENT_ADDRESS, N_("The call was seen as coming from {address}"), address=seen)

    def _is_proved(self) -> bool:
        """Whether a real delivery came from outside lately."""
        return self._outside.last_at is not None and self._clock() - self._outside.last_at < LATELY

    def _found(
        self, fault: Fault, *, check: Check | None = None, figures: Mapping[str, Any] | None = None, **fields: Any
    ) -> Finding:
        return fault.found({**self._places, **fields}, check=check, figures=figures)


def _answered(check: Check, took: int) -> Finding:
    return well(check, N_("Answered 200 within {ms} ms"), figures={"milliseconds": took}, ms=took)


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    return [*found.get_values_for_type(x509.DNSName), *map(str, found.get_values_for_type(x509.IPAddress))]


def _issuer(certificate: x509.Certificate) -> str:
    for oid in (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME):
        if found := certificate.issuer.get_attributes_for_oid(oid):
            return str(found[0].value)
    return "?"


def _fits(name: str, host: str) -> bool:
    name = name.lower()
    return name == host or (name.startswith("*.") and name[2:] == host.partition(".")[2])


def _network(address: str) -> str:
    """That the proxy is in: the whole private block, for containers get another address each time."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4 and parsed.is_private:
        return ".".join(address.split(".")[:2]) + ".0.0/16"
    return f"{address}/{parsed.max_prefixlen}"
