"""Keeps three things in step: what Avito calls, our record of it, and the secrets that our door knows.

Two rules carry it. A URL's secret is durable in the database and in the spool before Avito hears of the URL, so that no
call comes to a door that is not open yet. And another service's URL is never touched without a confirmation that names
it: Avito keeps one subscription an account, and replacing it makes that service go silent.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager, suppress
from functools import partial

import structlog
from sqlalchemy import select, update

from golub.audit import ITSELF, Action, By
from golub.avito.client import Avito
from golub.clock import MINUTE, Clock, Millis
from golub.errors import Conflict, GolubError, Invalid, NotFound, Paced, Unavailable
from golub.guarded import Call, Guarded
from golub.model import (
    EVENT_TYPES,
    Account,
    SubscriptionState,
    TimelineEntry,
    TimelineKind,
    Webhook,
)
from golub.runner import Loop
from golub.settings import Settings
from golub.spool import Spool
from golub.store import Store
from golub.subscription.checks import CHECK_AGAIN, Listed, compare, preview
from golub.subscription.repair import mend
from golub.subscription.secrets import Secrets, is_at, whole_url
from golub.subscription.telling import name_of, tell, telling
from golub.subscription.url import check_shape, host_of, is_answered, make_url, mask, secret_hash
from golub.vault import Vault

TURN = 30.0  # seconds between two looks at what is due
AT_ONCE = 8  # checks: an account whose API hangs holds up seven others at most
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
        self._vault = vault
        self.secrets = Secrets(store, spool, vault, clock)
        self._settings = settings
        self._clock = clock
        self._guarded = guarded or Guarded(allow_loopback=settings.allow_loopback_webhook)
        self._started = False
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

    async def url_of(self, webhook: Webhook) -> str:
        """The whole URL. Raises `Unavailable` where its secret cannot be read."""
        return await whole_url(self._store, self._vault, webhook)

    async def preview(self, account_id: int) -> Listed:
        """Asks Avito which URLs it calls, and tells ours from others. Raises what the client raises."""
        return await preview(self._store, self._avito, account_id, host_of(self._settings.public_url))

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
        told_as: TimelineKind = TimelineKind.REGISTERED,
        by: By = ITSELF,
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
            await self.secrets.keep(account_id, url)
            if not skip_probe and not is_answered(call := await self.probe(account_id, url)):
                raise ProbeFailed(call)
            after = {"url": mask(url), "types": chosen, "instead_of": listed.foreign_host}
            async with telling(self._store, self._clock, by, account_id, Action.WEBHOOK_REGISTERED, after):
                await self._subscribe(account_id, url)
            webhook = await self._record(account_id, url, chosen, told_as=told_as, host=listed.foreign_host)
            await self.secrets.retire_replaced()
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
        by: By = ITSELF,
    ) -> Webhook:
        """Types are our own filter and need no word with Avito; another URL is registered. Raises `NotFound` too."""
        webhook = await self.get(account_id)
        chosen = check_types(webhook.types if types is None else types)
        if url is not None and not is_at(webhook, self.check_shape(url)):
            return await self.register(
                account_id, url, chosen, replace_foreign=replace_foreign, skip_probe=skip_probe, by=by
            )
        return await self._record(account_id, None, chosen, by=by)

    async def remove(self, account_id: int, *, by: By = ITSELF) -> Listed:
        """Unsubscribes our URLs and forgets the webhook. A foreign one is named in the answer, and left alone.
        Cut short by a crash, it leaves the webhook, and may be done again."""
        async with self._lock(account_id):
            await self.get(account_id)
            listed = await self.preview(account_id)
            async with telling(self._store, self._clock, by, account_id, Action.WEBHOOK_REMOVED):
                for url in listed.ours:
                    await self._avito.unsubscribe(account_id, url)
            await self.secrets.retire_with_webhook(account_id)
        log.info("a webhook was removed", account=account_id)
        return listed

    @asynccontextmanager
    async def forgetting(self, account_id: int, *, by: By = ITSELF) -> AsyncGenerator[None]:
        """Around the removal of an account, with which its webhook goes: unsubscribes first, as `remove` does, but also
        where Avito refuses the account's keys, and closes its URLs at once. It may be done again after a crash."""
        if await self.find(account_id):
            await tell(self._store, self._clock, by, account_id, Action.WEBHOOK_REMOVED)
        with suppress(GolubError):
            for url in (await self.preview(account_id)).ours:
                await self._avito.unsubscribe(account_id, url)
        async with self.secrets.forgetting(account_id):
            yield

    async def check(self, account_id: int) -> Webhook | None:
        """Compares our record with what Avito says, and keeps the finding. Avito's failures are a finding too."""
        webhook = await self.find(account_id)
        if webhook is None:
            return None
        await compare(self._store, self.secrets, webhook, self.preview, self._clock())
        return await self.find(account_id)

    async def allow_self_repair(self, account_id: int, allowed: bool, *, by: By = ITSELF) -> None:
        """Whether we may register our URL again by ourselves. Raises `NotFound`."""
        before, after = {"allowed": (await self.get(account_id)).self_repair}, {"allowed": allowed}
        async with self._store.write() as session:
            await session.execute(
                update(Webhook)
                .where(Webhook.account_id == account_id)
                .values(self_repair=allowed, repair_rests_until=None, check_due_at=0)
            )
            subject = await name_of(session, account_id)
            await by.did(session, Action.SELF_REPAIR_CHANGED, subject, before=before, after=after, now=self._clock())

    async def run(self) -> None:
        """Checks every webhook at the start and then regularly, and drops secrets whose time is over."""
        await Loop("subscriptions", self._clock, longest_wait=TURN).run(self._turn)

    async def _turn(self) -> Millis | None:
        if not self._started:
            async with self._store.write() as session:
                # What is due sooner may be in the hands of another process.
                far_off = Webhook.check_due_at > self._clock() + CHECK_AGAIN
                await session.execute(update(Webhook).where(far_off).values(check_due_at=0))
            self._started = True
        return await self.run_once()

    async def run_once(self) -> Millis | None:
        """Returns now where more may be due."""
        now = self._clock()
        async with self._store.write() as session:
            running = Webhook.account_id.in_(select(Account.id).where(Account.paused_at.is_(None)))
            due = await self._store.claim(
                session, Webhook.check_due_at, now=now, lease=CHECK_AGAIN, limit=AT_ONCE, only=(running,)
            )
            accounts = (await session.scalars(select(Webhook.account_id).where(Webhook.id.in_(due)))).all()
        ends = await asyncio.gather(*map(self._look_after, accounts), return_exceptions=True)
        for failed in filter(None, ends):
            raise failed
        await self.secrets.retire_replaced()
        await self.secrets.drop_old()
        return now if len(due) == AT_ONCE else None

    async def _look_after(self, account_id: int) -> None:
        if webhook := await self.check(account_id):
            await mend(self._store, self._clock, webhook, partial(self._register_again, webhook))

    async def _register_again(self, webhook: Webhook) -> None:
        """Whoever allowed self-repair agreed to take the place of any service."""
        await self.register(
            webhook.account_id,
            await self.url_of(webhook),
            webhook.types,
            replace_foreign=True,
            skip_probe=True,
            told_as=TimelineKind.REPAIRED,
        )

    def _lock(self, account_id: int) -> asyncio.Lock:
        return self._locks.setdefault(account_id, asyncio.Lock())

    async def _subscribe(self, account_id: int, url: str) -> None:
        try:
            await self._avito.subscribe(account_id, url)
        except Unavailable:
            if url not in await self._avito.subscriptions(account_id):
                raise

    async def _record(
        self,
        account_id: int,
        url: str | None,
        types: list[str],
        *,
        told_as: TimelineKind | None = None,
        host: str = "",
        by: By | None = None,
    ) -> Webhook:
        """Without a `url` it stays."""
        now = self._clock()
        async with self._store.write() as session:
            webhook = await session.scalar(select(Webhook).where(Webhook.account_id == account_id))
            if webhook is None:
                webhook = Webhook(account_id=account_id, created_at=now)
                session.add(webhook)
            if url is not None and not is_at(webhook, url):
                if webhook.url:
                    webhook.rotating_since = now
                webhook.subscription, webhook.last_error, webhook.last_error_at = SubscriptionState.UNKNOWN, "", 0
                webhook.url, webhook.token_hash = mask(url), secret_hash(url)
            before, after = {"types": webhook.types}, {"types": types}
            webhook.types, webhook.updated_at = types, now
            if told_as:
                session.add(TimelineEntry(account_id=account_id, kind=told_as, at=now, detail=host))
            await session.flush()
            if by and before != after:
                subject = await name_of(session, account_id)
                await by.did(session, Action.WEBHOOK_CHANGED, subject, before=before, after=after, now=now)
        return webhook


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
