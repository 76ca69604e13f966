"""Access tokens: one request at a time for an account, kept sealed in its row, and no hammering with wrong keys.

Avito's `client_credentials` gives a token for a day and no refresh token. Every process reads the same row, so a token
that one has fetched serves all; and where there are several, one asks at a time (`turns`). The client relies on it for
every call.
"""

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import select, update

from golub.avito.errors import Down
from golub.avito.turns import AloneTurns, SharedTurns
from golub.clock import MINUTE, SECOND, Clock
from golub.errors import NotFound, Paused, WrongKeys
from golub.model import Account
from golub.store import Store
from golub.vault import Vault

EARLY = MINUTE  # a token this near to its end is renewed
LIFETIME = 86_400  # seconds, where Avito does not say
LOOK_AGAIN = 0.2  # seconds between two looks at what another process is asking for

_TOKEN = re.compile(r"[\x21-\x7e]{1,4096}")  # what can stand in a header


@dataclass(frozen=True, slots=True)
class Access:
    """What a call needs of its account, read afresh for each: keys may change, and accounts go."""

    user_id: int
    token: str
    state: str
    state_detail: str


@dataclass(frozen=True, slots=True)
class Profile:
    """Whose keys these are."""

    user_id: int
    name: str
    profile_url: str


class Tokens:
    """`ask(client_id, client_secret)` is POST /token: the parsed answer, or an error of ours."""

    def __init__(self, store: Store, vault: Vault, clock: Clock, ask: Callable[[str, str], Awaitable[Any]]) -> None:
        self._store = store
        self._vault = vault
        self._clock = clock
        self._ask = ask
        self._renewals: dict[int, asyncio.Task[Access]] = {}
        self._turns = AloneTurns(clock) if store.is_sqlite else SharedTurns(store, clock)

    async def access(self, account_id: int, *, stale: str = "") -> Access:
        """A token that is not `stale` and not about to expire. Raises `WrongKeys`, `Unavailable`, `NotFound`."""
        account = await self._read(account_id)
        if (found := self._kept(account, stale)) is not None:
            return found
        renewal = self._renewals.get(account_id)
        if renewal is None:
            renewal = asyncio.create_task(self._renew(account_id, stale), name=f"token of account {account_id}")
            self._renewals[account_id] = renewal
            renewal.add_done_callback(lambda task: self._ended(account_id, task))
        return await asyncio.shield(renewal)

    async def close(self) -> None:
        for renewal in list(self._renewals.values()):
            renewal.cancel()
        await asyncio.gather(*self._renewals.values(), return_exceptions=True)

    async def _renew(self, account_id: int, stale: str) -> Access:
        account = await self._read(account_id)
        if (found := self._kept(account, stale)) is not None:
            return found  # the renewal that ended just before this one
        while not await self._turns.take(account_id, self._digest(account)):  # noqa: ASYNC110 - another process has it
            await asyncio.sleep(LOOK_AGAIN)
        refused: bytes | None = None
        try:
            account = await self._read(account_id)
            if (found := self._kept(account, stale)) is not None:
                return found  # another process was before us
            now = self._clock()
            token, seconds = read_token(await self._ask(account.client_id, self._vault.open(account.client_secret)))
            async with self._store.write() as session:
                await session.execute(
                    update(Account)
                    .where(Account.id == account_id)
                    .values(access_token=self._vault.seal(token), token_expires_at=now + seconds * SECOND)
                )
        except WrongKeys:
            refused = self._digest(account)
            raise
        finally:
            await self._turns.end(account_id, refused)
        return Access(account.user_id, token, account.state, account.state_detail)

    def _digest(self, account: Account) -> bytes:
        return hashlib.sha256(f"{account.client_id}\0{self._vault.open(account.client_secret)}".encode()).digest()

    def _kept(self, account: Account, stale: str) -> Access | None:
        if account.access_token is None or account.token_expires_at <= self._clock() + EARLY:
            return None
        token = self._vault.open(account.access_token)
        return None if token == stale else Access(account.user_id, token, account.state, account.state_detail)

    async def _read(self, account_id: int) -> Account:
        async with self._store.read() as session:
            account = await session.scalar(select(Account).where(Account.id == account_id))
        if account is None:
            raise NotFound("This account is no longer connected.")
        if account.is_sample:
            raise Paused("This is a sample shop: nothing of it goes to Avito.")
        if account.paused_at is not None:  # here, because nothing reaches Avito for an account without its token
            raise Paused("This account is paused: Golub asks Avito nothing for it. Resume it on the page of accounts.")
        return account

    def _ended(self, account_id: int, task: asyncio.Task[Access]) -> None:
        self._renewals.pop(account_id, None)
        if not task.cancelled():
            task.exception()  # seen, also where everybody who waited has gone


def read_token(answer: Any) -> tuple[str, int]:
    """Token and seconds from the answer of /token."""
    fields = cast("dict[str, Any]", answer) if isinstance(answer, dict) else {}
    token, seconds = fields.get("access_token"), fields.get("expires_in")
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise Down("Avito's answer cannot be read.")
    return token, min(max(seconds, 120), 30 * LIFETIME) if isinstance(seconds, int) else LIFETIME


def read_profile(answer: Any) -> Profile:
    fields = cast("dict[str, Any]", answer) if isinstance(answer, dict) else {}
    user_id, name, url = fields.get("id"), fields.get("name"), fields.get("profile_url")
    if not isinstance(user_id, int) or isinstance(user_id, bool) or not 0 < user_id < 1 << 63:
        raise Down("Avito's answer cannot be read.")
    return Profile(user_id, name if isinstance(name, str) else "", url if isinstance(url, str) else "")
