"""Tries the signatures of deliveries as apply takes them up, off the way of the acks.

Promises, which apply relies on:
- What fitted an account last is tried first and costs microseconds. A search through all schemes has a budget; past it
  a delivery stays untried, or is a miss of what fitted before.
- A rule that a person made is checked for every delivery, whatever the budget; where it cannot be checked, because a
  key is gone or sealed with another, it does not hold.
- Keys are read from the database anew when a rule is missed and every few seconds, so a change in the panel counts.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, select

from golub.errors import Unavailable
from golub.model import Account, PathToken, Sealed, SignatureLab, SignatureMode, SignatureSecret, Webhook
from golub.settings import SIGNATURE_HEADERS
from golub.signatures.schemes import (
    OWN,
    Bytes,
    Digest,
    Found,
    Key,
    Keys,
    Outcome,
    Own,
    Scheme,
    Signed,
    candidates,
    find_key,
    fits,
    most_candidates,
    read_headers,
    with_token,
)
from golub.vault import Vault

KEPT_FOR = 5.0  # seconds that keys are taken from memory
RATE = 4 << 20  # bytes a second that searches may hash: some 5 ms …
BURST = 32 << 20  # … and at once
EACH = 512  # bytes that a digest costs beside its message


@dataclass(frozen=True, slots=True)
class Rule:
    """An account's mode, as far as apply needs it. `scheme` is None unless it is enforced."""

    mode: SignatureMode = SignatureMode.OBSERVE
    scheme: Scheme | None = None


@dataclass(frozen=True, slots=True)
class Tried:
    """`text` is for the journal: an `Outcome`, or the schemes that fit. `refused`: why a rule does not hold."""

    text: str = ""
    refused: str = ""


UNTRIED = Tried()


@dataclass(frozen=True, slots=True)
class _Account:
    keys: Keys
    masked_url: str
    tokens: Mapping[int, str]
    headers: tuple[str, ...]
    by_token: dict[int, Keys] = field(default_factory=dict[int, Keys])  # made when first asked for

    def keys_of(self, token_id: int) -> Keys:
        """For deliveries that came with this path token."""
        if token_id not in self.tokens:
            return self.keys
        if token_id not in self.by_token:
            self.by_token[token_id] = with_token(self.keys, self.masked_url, self.tokens[token_id])
        return self.by_token[token_id]


@dataclass(slots=True)
class _Memory:
    accounts: dict[int, _Account] = field(default_factory=dict[int, _Account])
    read_at: float = -KEPT_FOR


class Trial:
    """One applier's. Without a `vault` nothing is tried, and no rule holds."""

    def __init__(
        self,
        vault: Vault | None,
        headers: Sequence[str] = SIGNATURE_HEADERS,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._vault = vault
        self._headers = tuple(headers)
        self._monotonic = monotonic
        self._memory = _Memory()
        self._last: dict[tuple[int, str], Scheme] = {}  # what fitted an account's header last
        self._left = float(BURST)
        self._spent_at = monotonic()

    def of_batch(self, connection: Connection) -> "Sitting":
        """For the deliveries of one transaction."""
        rows = connection.execute(select(SignatureLab.account_id, SignatureLab.mode, SignatureLab.scheme))
        return Sitting(self, connection, {key: _rule(mode, scheme) for key, mode, scheme in rows})

    def account(self, connection: Connection, account_id: int, *, fresh: bool = False) -> _Account | None:
        memory = self._memory
        if fresh or account_id not in memory.accounts or self._monotonic() - memory.read_at >= KEPT_FOR:
            memory.accounts, memory.read_at = self._read(connection), self._monotonic()
        return memory.accounts.get(account_id)

    def has_fitted(self, account_id: int) -> bool:
        return any(account == account_id for account, _ in self._last)

    def search(self, account_id: int, found: Found, keys: Keys, bytes_: Bytes) -> Scheme | Outcome | None:
        """A scheme that fits this header; `UNKNOWN`: none does; None: there was no budget to look."""
        header, writing, value = found
        last = self._last.get((account_id, header))
        if last is not None:
            key = find_key(last, keys)
            if last.writing is writing and key is not None and fits(last, key, bytes_, keys.url, value):
                return last
        if not self._spend(most_candidates(keys) * (EACH + len(bytes_.body))):
            return Outcome.UNKNOWN if last is not None else None
        for scheme, key in candidates(header, writing, keys):
            if fits(scheme, key, bytes_, keys.url, value):
                self._last[account_id, header] = scheme
                return scheme
        return Outcome.UNKNOWN

    def _spend(self, cost: int) -> bool:
        moment = self._monotonic()
        self._left = min(BURST, self._left + (moment - self._spent_at) * RATE)
        self._spent_at = moment
        if self._left <= 0:
            return False
        self._left -= cost
        return True

    def _read(self, connection: Connection) -> dict[int, _Account]:
        if self._vault is None:
            return {}
        tokens: dict[int, dict[int, str]] = {}
        for key, account_id, sealed in connection.execute(select(PathToken.id, PathToken.account_id, PathToken.token)):
            if token := self._open(sealed):
                tokens.setdefault(account_id, {})[key] = token
        own: dict[int, list[Own]] = {}
        for row in connection.execute(select(SignatureSecret.__table__).order_by(SignatureSecret.id)):
            if secret := self._open(row.secret):
                signed = Signed(row.signed) if row.signed else None
                digest = Digest(row.digest) if row.digest else None
                made = Own(f"{OWN}{row.id}", row.header, secret.encode(), signed, digest)
                own.setdefault(row.account_id, []).append(made)
        accounts = select(Account.id, Account.user_id, Account.client_id, Account.client_secret, Webhook.url).outerjoin(
            Webhook, Webhook.account_id == Account.id
        )
        found: dict[int, _Account] = {}
        for account_id, user_id, client_id, sealed, url in connection.execute(accounts):
            shared = {Key.CLIENT_ID.value: client_id.encode(), Key.USER_ID.value: str(user_id).encode()}
            if secret := self._open(sealed):
                shared = {Key.CLIENT_SECRET.value: secret.encode(), **shared}
            mine = tuple(own.get(account_id, ()))
            headers = tuple(dict.fromkeys((*self._headers, *(one.header for one in mine))))
            found[account_id] = _Account(Keys(shared, mine), url or "", tokens.get(account_id, {}), headers)
        return found

    def _open(self, sealed: Sealed) -> str:
        """Empty where another key sealed it."""
        try:
            return self._vault.open(Sealed(bytes(sealed))) if self._vault else ""
        except (Unavailable, ValueError):
            return ""


class Sitting:
    """The rules as they stand in one transaction, and the trials under them."""

    def __init__(self, trial: Trial, connection: Connection, rules: Mapping[int, Rule]) -> None:
        self._trial = trial
        self._connection = connection
        self._rules = rules
        self._read_anew = False

    def attempt(self, account_id: int, token_id: int, headers: bytes, bytes_: Bytes) -> Tried:
        """For a delivery with a path token of this account."""
        rule = self._rules.get(account_id, Rule())
        if rule.mode is SignatureMode.OFF:
            return UNTRIED
        account = self._trial.account(self._connection, account_id)
        tried = self._try(rule, account, account_id, token_id, headers, bytes_)
        is_new = account is not None and token_id not in account.tokens
        missed = self._trial.has_fitted(account_id) and tried.text in (Outcome.UNKNOWN, "")
        if (tried.refused or missed or is_new) and not self._read_anew:
            self._read_anew = True  # the keys may have changed just now
            account = self._trial.account(self._connection, account_id, fresh=True)
            tried = self._try(rule, account, account_id, token_id, headers, bytes_)
        return tried

    def _try(
        self, rule: Rule, account: _Account | None, account_id: int, token_id: int, headers: bytes, bytes_: Bytes
    ) -> Tried:
        enforced = rule.mode is SignatureMode.ENFORCE
        refused = (str(rule.scheme) if rule.scheme else "unreadable scheme") if enforced else ""
        if account is None:
            return Tried("", refused)
        keys = account.keys_of(token_id)
        text = self._observe(account_id, account.headers, keys, headers, bytes_)
        if rule.scheme is not None and _holds(rule.scheme, keys, headers, bytes_):
            return Tried(text)
        return Tried(text, refused)

    def _observe(self, account_id: int, names: Sequence[str], keys: Keys, headers: bytes, bytes_: Bytes) -> str:
        found, present = read_headers(headers, names)
        if not found:
            return Outcome.UNREADABLE if present else Outcome.ABSENT
        results = [self._trial.search(account_id, one, keys, bytes_) for one in found]
        schemes = [str(result) for result in results if isinstance(result, Scheme)]
        if schemes:
            return " ".join(schemes)
        return Outcome.UNKNOWN if Outcome.UNKNOWN in results else ""


def _holds(scheme: Scheme, keys: Keys, headers: bytes, bytes_: Bytes) -> bool:
    key = find_key(scheme, keys)
    found, _ = read_headers(headers, (scheme.header,))
    return key is not None and any(
        writing is scheme.writing and fits(scheme, key, bytes_, keys.url, value) for _, writing, value in found
    )


def _rule(mode: str, scheme: str) -> Rule:
    """What cannot be read is a rule that nothing holds to: nothing falls back by itself."""
    try:
        named = Scheme.parse(scheme) if scheme else None
    except ValueError:
        named = None
    return Rule(SignatureMode(mode), named)
