"""What a person sees and decides of signatures: an account's standing, its mode, and secrets of the owner's own."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from golub.audit import Action, By
from golub.clock import DAY, Clock
from golub.errors import Conflict, Invalid, NotFound
from golub.ladder import change, held_back, lock
from golub.model import (
    Account,
    Cause,
    SignatureLab,
    SignatureMode,
    SignatureSecret,
    SignatureTally,
)
from golub.settings import HEADER_NAME
from golub.signatures.schemes import OWN, Digest, Scheme, Signed
from golub.store import Store
from golub.vault import Vault

PROVED_BY = 100  # deliveries in a row …
PROVED_FOR = DAY  # … from the first to the last of them
SECRETS = 5  # of one account
SECRET_LENGTH = (16, 256)  # characters
_NOT_KEPT = ("authorization", "cookie", "proxy-authorization")  # ingest throws them away


@dataclass(frozen=True, slots=True)
class Fit:
    """A scheme that fitted, and how often."""

    scheme: Scheme
    tally: SignatureTally

    @property
    def is_proved(self) -> bool:
        """Whether it may be made a rule: nobody else has its key, and it fitted for long without a miss."""
        lasted = (self.tally.last_at or 0) - (self.tally.run_since or 0)
        return self.scheme.is_keyed and self.tally.run >= PROVED_BY and lasted >= PROVED_FOR


@dataclass(frozen=True, slots=True)
class Standing:
    """`held_back` deliveries wait in quarantine. `fits`: the longest runs first, secret keys before public ones."""

    lab: SignatureLab
    fits: tuple[Fit, ...] = ()
    secrets: tuple[SignatureSecret, ...] = ()
    held_back: int = 0

    @property
    def mode(self) -> SignatureMode:
        return SignatureMode(self.lab.mode)

    @property
    def rule(self) -> Scheme | None:
        return _parsed(self.lab.scheme) if self.lab.scheme else None

    @property
    def best(self) -> Fit | None:
        return next((fit for fit in self.fits if fit.tally.run), None)

    @property
    def kind(self) -> str:
        """off, enforced, waits (nothing is counted yet), unsigned, unknown, public (whoever fits proves no sender),
        fits or proved."""
        if self.mode is not SignatureMode.OBSERVE:
            return "off" if self.mode is SignatureMode.OFF else "enforced"
        if not self.lab.confirmed:
            return "waits"
        if self.best is not None:
            return ("proved" if self.best.is_proved else "fits") if self.best.scheme.is_keyed else "public"
        return "unknown" if self.lab.signed else "unsigned"


class Register:
    def __init__(self, store: Store, vault: Vault, clock: Clock) -> None:
        self._store = store
        self._vault = vault
        self._clock = clock

    async def get(self, account_id: int) -> Standing:
        return (await self.list([account_id]))[account_id]

    async def list(self, account_ids: Sequence[int]) -> dict[int, Standing]:
        """Of each of these accounts; one that has no row yet is observed."""
        async with self._store.read() as session:
            labs = await session.scalars(select(SignatureLab).where(SignatureLab.account_id.in_(account_ids)))
            by_account = {lab.account_id: lab for lab in labs}
            tallies = await session.scalars(select(SignatureTally).where(SignatureTally.account_id.in_(account_ids)))
            fits: dict[int, list[Fit]] = {}
            for tally in tallies:
                if scheme := _parsed(tally.scheme):
                    fits.setdefault(tally.account_id, []).append(Fit(scheme, tally))
            secrets: dict[int, list[SignatureSecret]] = {}
            for secret in await session.scalars(
                select(SignatureSecret).where(SignatureSecret.account_id.in_(account_ids)).order_by(SignatureSecret.id)
            ):
                secrets.setdefault(secret.account_id, []).append(secret)
            waiting = await held_back(session, [Cause.BAD_SIGNATURE])
        return {
            key: Standing(
                by_account.get(key) or _unwritten(key),
                tuple(sorted(fits.get(key, ()), key=_rank, reverse=True)),
                tuple(secrets.get(key, ())),
                waiting.get((key, Cause.BAD_SIGNATURE), 0),
            )
            for key in account_ids
        }

    async def enforce(self, account_id: int, scheme: str, *, by: By) -> None:
        """From now on what does not fit goes to quarantine. Raises `Conflict` for a scheme that is not proved."""
        async with self._store.write() as session:
            account, lab = await self._lock(session, account_id)
            tally = await session.get(SignatureTally, (account_id, scheme))
            parsed = _parsed(scheme)
            if tally is None or parsed is None or not Fit(parsed, tally).is_proved:
                raise Conflict(
                    "This signature has not proved itself yet: it must fit {count} messages in a row, over a day or "
                    "longer, with a key that only you and Avito know.",
                    count=PROVED_BY,
                )
            await self._change(session, account, lab, SignatureMode.ENFORCE, scheme, by)

    async def choose(self, account_id: int, mode: SignatureMode, *, by: By) -> None:
        """`OFF` or `OBSERVE`. What was switched off proves itself anew."""
        if mode is SignatureMode.ENFORCE:
            raise Invalid("Choose the signature that is to be demanded.", field="mode")
        async with self._store.write() as session:
            account, lab = await self._lock(session, account_id)
            if lab.mode == SignatureMode.OFF and mode is SignatureMode.OBSERVE:
                lab.counted_to, lab.counted_id = self._clock(), b""
                await session.execute(
                    update(SignatureTally)
                    .where(SignatureTally.account_id == account_id)
                    .values(run=0, run_since=None)
                    .execution_options(synchronize_session=False)
                )
            await self._change(session, account, lab, mode, "", by)

    async def add_secret(
        self, account_id: int, header: str, secret: str, signed: Signed | None, digest: Digest | None, *, by: By
    ) -> None:
        """A secret of the owner's signing proxy, tried on this header. Raises `Invalid`, `Conflict`."""
        header = header.strip().lower()
        if not HEADER_NAME.fullmatch(header) or header in _NOT_KEPT:
            raise Invalid("A header's name has letters, digits and hyphens, such as X-Signature.", field="header")
        fewest, most = SECRET_LENGTH
        if not fewest <= len(secret) <= most or not secret.isprintable() or secret != secret.strip():
            raise Invalid("The secret must have 16 to 256 characters, without spaces at its ends.", field="secret")
        async with self._store.write() as session:
            account, _ = await self._lock(session, account_id)
            mine = SignatureSecret.account_id == account_id
            if (await session.scalar(select(func.count()).select_from(SignatureSecret).where(mine)) or 0) >= SECRETS:
                raise Conflict("There are {count} secrets already. Remove one that is not used.", count=SECRETS)
            session.add(
                SignatureSecret(
                    account_id=account_id,
                    header=header,
                    secret=self._vault.seal(secret),
                    signed=signed or "",
                    digest=digest or "",
                    created_at=self._clock(),
                )
            )
            after = {"header": header}
            await by.did(session, Action.SIGNATURE_SECRET_ADDED, account.name, after=after, now=self._clock())

    async def remove_secret(self, account_id: int, secret_id: int, *, by: By) -> None:
        """Raises `Conflict` while it is what the rule stands on: only a person ends a rule, and knowingly."""
        async with self._store.write() as session:
            account, lab = await self._lock(session, account_id)
            secret = await session.get(SignatureSecret, secret_id)
            if secret is None or secret.account_id != account_id:
                raise NotFound("This secret is no longer there.")
            name = f"{OWN}{secret_id}"
            if (rule := _parsed(lab.scheme)) and rule.key == name:
                raise Conflict("The signature is demanded with this very secret. First stop demanding it.")
            await session.execute(
                delete(SignatureTally).where(
                    SignatureTally.account_id == account_id,
                    SignatureTally.scheme.contains(f":{name}:", autoescape=True),
                )
            )
            before = {"header": secret.header}
            await session.delete(secret)
            await by.did(session, Action.SIGNATURE_SECRET_REMOVED, account.name, before=before, now=self._clock())

    async def _lock(self, session: AsyncSession, account_id: int) -> tuple[Account, SignatureLab]:
        return await lock(self._store, session, SignatureLab, account_id, self._clock())

    async def _change(
        self, session: AsyncSession, account: Account, lab: SignatureLab, mode: SignatureMode, scheme: str, by: By
    ) -> None:
        after = {"mode": mode.value, "scheme": scheme}
        await change(session, account, lab, after, Action.SIGNATURE_MODE_CHANGED, by=by, now=self._clock())


def _unwritten(account_id: int) -> SignatureLab:
    return SignatureLab(
        account_id=account_id, mode=SignatureMode.OBSERVE, scheme="", changed_at=0, confirmed=0, signed=0
    )


def _parsed(scheme: str) -> Scheme | None:
    try:
        return Scheme.parse(scheme)
    except ValueError:
        return None


def _rank(fit: Fit) -> tuple[bool, bool, int, int]:
    return bool(fit.tally.run), fit.scheme.is_keyed, fit.tally.run, fit.tally.fits
