"""Keeps three things in step: what Avito calls, our record of it, and the secrets that our door knows.

Two rules carry it. A URL's secret is durable in the database and in the spool before Avito hears of the URL, so that no
call comes to a door that is not open yet. And another service's URL is never touched without a confirmation that names
it: Avito keeps one subscription an account, and replacing it makes that service go silent.
"""

import asyncio
from collections import deque
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import delete, select, update

from golub.avito.client import Avito
from golub.clock import HOUR, MINUTE, Clock, Millis
from golub.errors import Conflict, GolubError, Invalid, NotFound, Paced, Unavailable
from golub.guarded import Call, Guarded
from golub.model import EVENT_TYPES, Account, PathToken, SubscriptionState, Webhook
from golub.settings import Settings
from golub.spool import Spool, TokenEntry
from golub.store import Store
from golub.subscription.url import check_shape, hash_of, host_of, is_answered, make_url, token_of
from golub.vault import Vault

RETIRED_FOR = 72 * HOUR  # an old secret still opens: Avito may have deliveries on their way
UNCERTAIN_FOR = HOUR  # a secret without a webhook: its registration may be under way, or wait for a confirmation
CHECK_EVERY = 10 * MINUTE
CHECK_AGAIN = 2 * MINUTE  # where Avito did not answer; also the lease of a check
TURN = 30.0  # seconds between two looks at what is due
PROBES_A_MINUTE = 6  # for one account

_FORM = {"content-type": "application/x-www-form-urlencoded"}  # as `curl -d` sends it, which Avito's page shows

log = structlog.get_logger(__name__)


class ForeignSubscription(Conflict):
    """Avito calls another service for this account. `fields["host"]` names it."""

    code = "foreign_subscription"


class ProbeFailed(Conflict):
    """The URL did not answer as it must, seen from this machine. `call` says where it ended."""

    code = "probe_failed"

    def __init__(self, call: Call) -> None:
        super().__init__("The address did not answer 200 within two seconds when we tried it from here.")
        self.call = call


@dataclass(frozen=True, slots=True)
class Listed:
    """What Avito's subscriptions say for an account."""

    ours: tuple[str, ...]
    foreign: tuple[str, ...]

    @property
    def foreign_host(self) -> str:
        return host_of(self.foreign[0]) if self.foreign else ""


class Subscriptions:
    """`guarded` is given in tests alone."""

    def __init__(
        self,
        store: Store,
        avito: Avito,
        spool: Spool,
        vault: Vault,
        settings: Settings,
        clock: Clock,
        guarded: Guarded | None = None,
    ) -> None:
        self._store = store
        self._avito = avito
        self._spool = spool
        self._vault = vault
        self._settings = settings
        self._clock = clock
        self._guarded = guarded or Guarded(allow_loopback=settings.allow_loopback_webhook)
        self._locks: dict[int, asyncio.Lock] = {}
        self._probes: dict[int, deque[Millis]] = {}

    def recommended_url(self) -> str:
        """Our public address with a new secret; empty where no address is configured. It is kept once registered."""
        return make_url(self._settings.public_url) if self._settings.public_url else ""

    def check_shape(self, url: str) -> str:
        """The URL in its normal form. Raises `Invalid` with words that help."""
        return check_shape(url, self._guarded)

    async def find(self, account_id: int) -> Webhook | None:
        async with self._store.read() as session:
            return await session.scalar(select(Webhook).where(Webhook.account_id == account_id))

    async def get(self, account_id: int) -> Webhook:
        webhook = await self.find(account_id)
        if webhook is None:
            raise NotFound("Webhook not found")
        return webhook

    async def preview(self, account_id: int) -> Listed:
        """Asks Avito which URLs it calls, and tells ours from others. Raises what the client raises."""
        urls = await self._avito.subscriptions(account_id)
        async with self._store.read() as session:
            webhook = await session.scalar(select(Webhook).where(Webhook.account_id == account_id))
            known = set(await session.scalars(select(PathToken.hash).where(PathToken.account_id == account_id)))
        own_host = host_of(self._settings.public_url)

        def is_ours(url: str) -> bool:
            token = token_of(url)
            if token is None:
                return False
            return (webhook is not None and url == webhook.url) or hash_of(token) in known or host_of(url) == own_host

        return Listed(tuple(url for url in urls if is_ours(url)), tuple(url for url in urls if not is_ours(url)))

    async def probe(self, account_id: int, url: str, headers: dict[str, str] | None = None) -> Call:
        """Calls the URL as Avito's page asks one to. Raises `Invalid`, and `Paced` for more than a few a minute."""
        now = self._clock()
        recent = self._probes.setdefault(account_id, deque())
        while recent and recent[0] <= now - MINUTE:
            recent.popleft()
        if len(recent) >= PROBES_A_MINUTE:
            raise Paced("That was often enough for one minute. Try again a little later.", retry_after=30)
        recent.append(now)
        return await self._guarded.post(url, content=b"{}", headers={**_FORM, **(headers or {})}, deadline=5)

    async def register(
        self,
        account_id: int,
        url: str,
        types: Collection[str],
        *,
        replace_foreign: bool | str = False,
        skip_probe: bool = False,
    ) -> Webhook:
        """Makes Avito call `url`, and keeps the account's webhook. The same URL twice is harmless.

        `replace_foreign`: the host that a person agreed to replace, or True for whatever is there.
        Raises `Invalid`, `ForeignSubscription`, `ProbeFailed`, and what the client raises.
        """
        url, chosen = self.check_shape(url), check_types(types)
        async with self._lock(account_id):
            listed = await self.preview(account_id)
            if listed.foreign and replace_foreign is not True and replace_foreign != listed.foreign_host:
                raise ForeignSubscription(
                    "Avito sends this account's messages to {host}, and to one service only. "
                    "If Golub takes its place, {host} will get no more of them.",
                    host=listed.foreign_host,
                )
            await self._keep_token(account_id, url)
            if not skip_probe and not is_answered(call := await self.probe(account_id, url)):
                raise ProbeFailed(call)
            try:
                await self._avito.subscribe(account_id, url)
            except Unavailable:
                if url not in await self._avito.subscriptions(account_id):
                    raise
            webhook = await self._record(account_id, url, chosen)
            await self._retire_all_but(account_id, url)
        log.info("a webhook was registered", account=account_id, host=host_of(url), types=chosen)
        return await self.check(account_id) or webhook

    async def update(
        self,
        account_id: int,
        url: str | None = None,
        types: Collection[str] | None = None,
        *,
        replace_foreign: bool | str = False,
        skip_probe: bool = False,
    ) -> Webhook:
        """Types are our own filter and need no word with Avito; another URL is registered. Raises `NotFound` too."""
        webhook = await self.get(account_id)
        chosen = check_types(webhook.types if types is None else types)
        if url is not None and self.check_shape(url) != webhook.url:
            return await self.register(account_id, url, chosen, replace_foreign=replace_foreign, skip_probe=skip_probe)
        return await self._record(account_id, webhook.url, chosen)

    async def remove(self, account_id: int) -> Listed:
        """Unsubscribes our URLs and forgets the webhook. A foreign one is named in the answer, and left alone."""
        async with self._lock(account_id):
            await self.get(account_id)
            listed = await self.preview(account_id)
            for url in listed.ours:
                await self._avito.unsubscribe(account_id, url)
            async with self._store.write() as session:
                await session.execute(delete(Webhook).where(Webhook.account_id == account_id))
            await self._retire_all_but(account_id, "")
        log.info("a webhook was removed", account=account_id)
        return listed

    async def forget(self, account_id: int) -> None:
        """Before an account is removed: as `remove`, at once, and also where Avito refuses the account's keys."""
        with suppress(GolubError):
            for url in (await self.preview(account_id)).ours:
                await self._avito.unsubscribe(account_id, url)
        async with self._store.read() as session:
            hashes = (await session.scalars(select(PathToken.hash).where(PathToken.account_id == account_id))).all()
        for known in hashes:  # first: a token that the spool knows must never name an account that is gone
            await asyncio.to_thread(self._spool.drop_token, known)
        async with self._store.write() as session:
            await session.execute(delete(Webhook).where(Webhook.account_id == account_id))
            await session.execute(delete(PathToken).where(PathToken.account_id == account_id))

    async def check(self, account_id: int) -> Webhook | None:
        """Compares our record with what Avito says, and keeps the finding. Avito's failures are a finding too."""
        webhook = await self.find(account_id)
        if webhook is None:
            return None
        now = self._clock()
        found: dict[str, Any]
        try:
            listed = await self.preview(account_id)
        except GolubError as error:
            found = {
                "subscription": SubscriptionState.UNKNOWN,
                "last_error": str(error),
                "last_error_at": now,
                "check_due_at": now + CHECK_AGAIN,
            }
        else:
            found = {"foreign_host": listed.foreign_host, "checked_at": now, "check_due_at": now + CHECK_EVERY}
            if listed.ours:
                found["subscription"] = SubscriptionState.ACTIVE
                if webhook.url not in listed.ours:  # a registration whose end we did not see: what Avito calls, counts
                    found["url"] = listed.ours[0]
                    await self._keep_token(account_id, listed.ours[0])
            else:
                found["subscription"] = SubscriptionState.FOREIGN if listed.foreign else SubscriptionState.MISSING
        if found["subscription"] != webhook.subscription:
            log.info("the subscription at Avito", account=account_id, state=found["subscription"])
        async with self._store.write() as session:
            await session.execute(update(Webhook).where(Webhook.id == webhook.id).values(**found))
        return await self.find(account_id)

    async def run(self) -> None:
        """Checks every webhook at the start and then regularly, and drops secrets whose time is over."""
        started = False
        while True:
            try:
                if not started:
                    await self.restore_tokens()
                    async with self._store.write() as session:
                        await session.execute(update(Webhook).values(check_due_at=0))
                    started = True
                await self.run_once()
            except Unavailable as error:
                log.warning("webhooks could not be checked", reason=str(error))
            await asyncio.sleep(TURN)

    async def run_once(self) -> None:
        now = self._clock()
        async with self._store.write() as session:
            due = await self._store.claim(session, Webhook.check_due_at, now=now, lease=CHECK_AGAIN, limit=50)
            accounts = (await session.scalars(select(Webhook.account_id).where(Webhook.id.in_(due)))).all()
        for account_id in accounts:
            await self.check(account_id)
        await self._drop_old_tokens()

    async def restore_tokens(self) -> None:
        """Tells this process's spool every secret that the database knows: it may be a new one, or restored."""
        async with self._store.read() as session:
            tokens = (await session.scalars(select(PathToken))).all()
        for token in tokens:
            if self._spool.find_token(token.hash) is None:
                await asyncio.to_thread(self._spool.put_token, _entry(token))

    def _lock(self, account_id: int) -> asyncio.Lock:
        return self._locks.setdefault(account_id, asyncio.Lock())

    async def _keep_token(self, account_id: int, url: str) -> None:
        """Durable in the database, then in the spool. Raises `Invalid` for the secret of another account."""
        token = token_of(url)
        if not token:
            return
        digest = hash_of(token)
        async with self._store.write() as session:
            if await session.get(Account, account_id) is None:
                raise NotFound("This account is no longer connected.")
            found = await session.scalar(select(PathToken).where(PathToken.hash == digest))
            if found is None:
                found = PathToken(
                    account_id=account_id, hash=digest, token=self._vault.seal(token), created_at=self._clock()
                )
                session.add(found)
            elif found.account_id != account_id:
                raise Invalid("The secret at the end belongs to another account: each has its own.", field="url")
            found.retired_at = None
            await session.flush()
        await asyncio.to_thread(self._spool.put_token, _entry(found))

    async def _record(self, account_id: int, url: str, types: list[str]) -> Webhook:
        now = self._clock()
        async with self._store.write() as session:
            webhook = await session.scalar(select(Webhook).where(Webhook.account_id == account_id))
            if webhook is None:
                webhook = Webhook(account_id=account_id, created_at=now)
                session.add(webhook)
            if webhook.url != url:
                webhook.subscription, webhook.last_error, webhook.last_error_at = SubscriptionState.UNKNOWN, "", 0
            webhook.url, webhook.types, webhook.updated_at = url, types, now
            await session.flush()
        return webhook

    async def _retire_all_but(self, account_id: int, url: str) -> None:
        """The account's other secrets open for three days more."""
        await self._retire(PathToken.account_id == account_id, PathToken.hash != hash_of(token_of(url) or ""))

    async def _retire(self, *which: Any) -> None:
        now = self._clock()
        async with self._store.write() as session:
            tokens = await session.scalars(
                update(PathToken)
                .where(PathToken.retired_at.is_(None), *which)
                .values(retired_at=now + RETIRED_FOR)
                .returning(PathToken)
                .execution_options(synchronize_session=False)
            )
            entries = [_entry(token) for token in tokens]
        for entry in entries:
            await asyncio.to_thread(self._spool.put_token, entry)

    async def _drop_old_tokens(self) -> None:
        now = self._clock()
        async with self._store.read() as session:
            used = [hash_of(token_of(url) or "") for url in await session.scalars(select(Webhook.url))]
            strays = select(PathToken.id).where(
                PathToken.retired_at.is_(None),
                PathToken.hash.not_in(used),
                PathToken.created_at < now - UNCERTAIN_FOR,
            )
            stray = (await session.scalars(strays)).all()
            old = (await session.scalars(select(PathToken.hash).where(PathToken.retired_at <= now))).all()
        if stray:
            await self._retire(PathToken.id.in_(stray))
        for digest in old:
            await asyncio.to_thread(self._spool.drop_token, digest)
        if old:
            async with self._store.write() as session:
                await session.execute(delete(PathToken).where(PathToken.hash.in_(old), PathToken.retired_at <= now))


def check_types(types: Collection[str]) -> list[str]:
    """In our own order, each once. Raises `Invalid`, in the words of the guide's API."""
    if not types:
        raise Invalid("Types must be a non-empty list", field="types")
    for kind in types:
        if kind not in EVENT_TYPES:
            raise Invalid(
                "Invalid type: {type}. Valid types: {valid}", field="types", type=kind, valid=list(EVENT_TYPES)
            )
    return [kind for kind in EVENT_TYPES if kind in types]


def _entry(token: PathToken) -> TokenEntry:
    return TokenEntry(token.hash, token.id, token.account_id, token.retired_at)
