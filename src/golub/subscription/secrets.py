"""The secrets at the end of webhook URLs: durable in the database and in the spool, and closed when their time is over.

A new secret does not close the old one. Avito may still have deliveries under way, and a new address may turn out not
to work; so both open until the new one has brought its first delivery. Then, or where nobody writes at all, the old one
closes after three days in which it brought nothing, and after two weeks in any case: who knows it must not keep it open
by writing to it. A person may close it at once.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from golub.audit import Action, By
from golub.clock import DAY, HOUR, Clock, Millis
from golub.errors import Invalid, NotFound
from golub.model import Account, Delivery, DeliveryState, PathToken, TimelineEntry, TimelineKind, Webhook
from golub.runner import Loop
from golub.spool import Spool, TokenEntry
from golub.store import Store
from golub.subscription.url import hash_of, mask, secret_hash, token_of, unmask
from golub.vault import Vault

RETIRED_FOR = 72 * HOUR  # an old secret still opens after its last delivery: Avito may have more on their way
OLD_FOR = 14 * DAY  # after it was replaced, whatever it brings
UNCERTAIN_FOR = HOUR  # a secret without a webhook: its registration may be under way, or wait for a confirmation
FORGOTTEN_AFTER = HOUR  # a closed one: by then each node has closed its door
LOOKED_AT = 12 * HOUR  # before its end: whether it brings deliveries after all
TURN = 30.0  # seconds between two looks at what the database knows


@dataclass(frozen=True, slots=True)
class Replaced:
    """The secrets of an account that its present address has replaced, and that still open."""

    count: int
    until: Millis | None  # None: until the new one has brought its first delivery
    used_at: Millis | None  # their last delivery in three days


class Secrets:
    def __init__(self, store: Store, spool: Spool, vault: Vault, clock: Clock) -> None:
        self._store = store
        self._spool = spool
        self._vault = vault
        self._clock = clock
        self._forgetting = asyncio.Lock()  # or what is forgotten could be let in again

    async def run(self) -> None:
        """Keeps this process's door in step with what other processes register and close."""
        await Loop("secrets", self._clock, longest_wait=TURN).run(self.keep_in_step)

    async def keep_in_step(self) -> None:
        """Tells this process's spool every secret that the database knows, and how long it opens. A secret that the
        database does not know stays: it may have been restored from before its time."""
        async with self._forgetting:
            async with self._store.read() as session:
                tokens = (await session.scalars(select(PathToken))).all()
            for token in tokens:
                known = self._spool.find_token(token.hash)
                if token.retired_at is not None and token.retired_at <= self._clock():
                    if known is not None:
                        await asyncio.to_thread(self._spool.drop_token, token.hash)
                elif known != _entry(token):
                    await asyncio.to_thread(self._spool.put_token, _entry(token))

    @asynccontextmanager
    async def forgetting(self, account_id: int) -> AsyncGenerator[None]:
        """Around the removal of an account, with which its secrets go: the spool must know none that names an account
        that is gone. Where the account stays after all, `keep_in_step` lets them in again."""
        async with self._forgetting:
            async with self._store.read() as session:
                hashes = (await session.scalars(select(PathToken.hash).where(PathToken.account_id == account_id))).all()
            await asyncio.to_thread(self._drop, hashes)
            yield
            await asyncio.to_thread(self._drop, hashes)  # a delivery of meanwhile may have had one looked up

    def _drop(self, hashes: Sequence[bytes]) -> None:
        for known in hashes:
            self._spool.drop_token(known)

    async def keep(self, account_id: int, url: str) -> None:
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
                found = PathToken(account_id=account_id, hash=digest, created_at=self._clock())
                session.add(found)
            elif found.account_id != account_id:
                raise Invalid("The secret at the end belongs to another account: each has its own.", field="url")
            found.token = self._vault.seal(token)  # anew: the key that sealed it once may be lost
            found.retired_at = None
            await session.flush()
        await asyncio.to_thread(self._spool.put_token, _entry(found))

    async def retire_replaced(self) -> None:
        """Ends rotations: of an account whose present URL has brought a delivery, the older secrets retire. A bare URL
        has no secret that could tell, so there they retire at once. Where nobody writes, the older ones close when
        they have been silent for long enough."""
        async with self._store.read() as session:
            rotating = (await session.scalars(select(Webhook).where(Webhook.rotating_since.is_not(None)))).all()
        for webhook in rotating:
            kind, detail, since = TimelineKind.ROTATED, "", webhook.rotating_since or 0
            open_for = max(0, min(RETIRED_FOR, since + OLD_FOR - self._clock()))
            if webhook.token_hash and not await self._has_brought(webhook):
                replaced = await self.replaced(webhook)
                silent_at = max(since, replaced.used_at or 0) + RETIRED_FOR
                if self._clock() < min(silent_at, since + OLD_FOR):
                    continue
                kind, open_for = TimelineKind.OLD_CLOSED, 0
                detail = "late" if self._clock() < silent_at else ""
            async with self._store.write() as session:
                ended = await session.scalar(
                    update(Webhook)
                    .where(*_still(webhook), Webhook.rotating_since.is_not(None))
                    .values(rotating_since=None)
                    .returning(Webhook.id)
                    .execution_options(synchronize_session=False)
                )
                if ended is None:
                    continue
                told = TimelineEntry(account_id=webhook.account_id, kind=kind, at=self._clock(), detail=detail)
                session.add(told)
                older = _all_but(webhook.account_id, webhook.token_hash)
                retired = await self._retire(session, *older, open_for=open_for)
            await self._tell_spool(retired)

    async def _has_brought(self, webhook: Webhook) -> bool:
        """Anything but a probe: ours and Avito's come before the first real one."""
        async with self._store.read() as session:
            token = select(PathToken.id).where(PathToken.hash == webhook.token_hash)
            return (
                await session.scalar(
                    select(Delivery.received_at)
                    .where(
                        Delivery.account_id == webhook.account_id,
                        Delivery.received_at >= webhook.rotating_since,
                        Delivery.token_id.in_(token),
                        Delivery.state != DeliveryState.PROBE,
                    )
                    .limit(1)
                )
                is not None
            )

    async def retire_with_webhook(self, account_id: int) -> None:
        """The account's webhook is forgotten, and its secrets open for three days more: both or neither."""
        async with self._store.write() as session:
            await session.execute(delete(Webhook).where(Webhook.account_id == account_id))
            retired = await self._retire(session, PathToken.account_id == account_id)
        await self._tell_spool(retired)

    async def replaced(self, webhook: Webhook) -> Replaced:
        mine = _replaced_by(webhook, self._clock())
        async with self._store.read() as session:
            ends = (await session.scalars(select(PathToken.retired_at).where(*mine))).all()
            used_at = await self._used_at(session, webhook.account_id, select(PathToken.id).where(*mine))
        return Replaced(len(ends), None if None in ends else max((end for end in ends if end), default=None), used_at)

    async def close_replaced(self, webhook: Webhook, by: By) -> None:
        """A person closes the older secrets at once. What Avito still sends there is refused; the sweep fetches it."""
        now = self._clock()
        async with self._store.write() as session:
            closed = await self._retire(session, *_replaced_by(webhook, now), open_for=0)
            await session.execute(update(Webhook).where(*_still(webhook)).values(rotating_since=None))
            if closed:
                account = await session.get_one(Account, webhook.account_id)
                session.add(TimelineEntry(account_id=account.id, kind=TimelineKind.OLD_CLOSED, at=now, detail="person"))
                await by.did(session, Action.OLD_ADDRESS_CLOSED, account.name, now=now)
        await self._tell_spool(closed)

    async def _used_at(self, session: AsyncSession, account_id: int, token_ids: Any) -> Millis | None:
        return await session.scalar(
            select(func.max(Delivery.received_at)).where(
                Delivery.account_id == account_id,
                Delivery.received_at > self._clock() - RETIRED_FOR,
                Delivery.token_id.in_(token_ids),
                Delivery.state != DeliveryState.PROBE,
            )
        )

    async def _retire(self, session: AsyncSession, *which: Any, open_for: Millis = RETIRED_FOR) -> Sequence[TokenEntry]:
        """Never later than was said before. What it returns is for the spool, once that is committed."""
        until = self._clock() + open_for
        tokens = await session.scalars(
            update(PathToken)
            .where(or_(PathToken.retired_at.is_(None), PathToken.retired_at > until), *which)
            .values(retired_at=until)
            .returning(PathToken)
            .execution_options(synchronize_session=False)
        )
        return [_entry(token) for token in tokens]

    async def _tell_spool(self, entries: Sequence[TokenEntry]) -> None:
        """Where a process dies before it comes to this, `keep_in_step` does it at the next start."""
        for entry in entries:
            await asyncio.to_thread(self._spool.put_token, entry)

    async def _extend_used(self, now: Millis) -> None:
        """What retires and yet brings deliveries opens until three days after the last of them, or until the end of its
        two weeks: they count from the last time that a person registered an address."""
        soon = PathToken.retired_at.between(now + 1, now + LOOKED_AT)
        registered = func.max(TimelineEntry.at).filter(TimelineEntry.kind == TimelineKind.REGISTERED)
        async with self._store.read() as session:
            for token in (await session.scalars(select(PathToken).where(soon))).all():
                mine = TimelineEntry.account_id == token.account_id
                last = await session.scalar(select(registered).where(mine)) or 0
                used_at = await self._used_at(session, token.account_id, [token.id]) or 0
                until = min(used_at + RETIRED_FOR, last + OLD_FOR)
                if until > (token.retired_at or 0):
                    await self._reopen(token, until)

    async def _reopen(self, token: PathToken, until: Millis) -> None:
        async with self._store.write() as session:
            longer = update(PathToken).where(PathToken.id == token.id, PathToken.retired_at == token.retired_at)
            await session.execute(longer.values(retired_at=until))
        await self.keep_in_step()

    async def drop_old(self) -> None:
        now = self._clock()
        await self._extend_used(now)
        async with self._store.read() as session:
            used = select(Webhook.token_hash).where(Webhook.token_hash.is_not(None))
            strays = select(PathToken.id).where(
                PathToken.retired_at.is_(None),
                PathToken.hash.not_in(used),
                PathToken.created_at < now - UNCERTAIN_FOR,
                PathToken.account_id.not_in(select(Webhook.account_id).where(Webhook.rotating_since.is_not(None))),
            )
            stray = (await session.scalars(strays)).all()
        if stray:
            async with self._store.write() as session:
                retired = await self._retire(session, PathToken.id.in_(stray))
            await self._tell_spool(retired)
        await self.keep_in_step()
        async with self._store.write() as session:
            await session.execute(delete(PathToken).where(PathToken.retired_at <= now - FORGOTTEN_AFTER))


async def whole_url(store: Store, vault: Vault, webhook: Webhook) -> str:
    """With its secret. Raises `Unavailable` where another key sealed it, `NotFound` where it was forgotten just now."""
    if webhook.token_hash is None:
        return webhook.url
    async with store.read() as session:
        sealed = await session.scalar(select(PathToken.token).where(PathToken.hash == webhook.token_hash))
    if sealed is None:
        raise NotFound("Webhook not found")
    return unmask(webhook.url, vault.open(sealed))


def is_at(webhook: Webhook, url: str) -> bool:
    """Whether that is its whole URL."""
    return (webhook.url, webhook.token_hash) == (mask(url), secret_hash(url))


def _still(webhook: Webhook) -> Sequence[Any]:
    """That it has the URL that it had when it was read."""
    same = Webhook.token_hash.is_not_distinct_from(webhook.token_hash)
    return (Webhook.id == webhook.id, Webhook.url == webhook.url, same)


def _all_but(account_id: int, token_hash: bytes | None) -> Sequence[Any]:
    return (PathToken.account_id == account_id, PathToken.hash.is_distinct_from(token_hash))


def _replaced_by(webhook: Webhook, now: Millis) -> Sequence[Any]:
    """What still opens, without those whose registration is under way, or waits for a confirmation."""
    return (
        *_all_but(webhook.account_id, webhook.token_hash),
        PathToken.created_at <= webhook.updated_at,
        or_(PathToken.retired_at.is_(None), PathToken.retired_at > now),
    )


def _entry(token: PathToken) -> TokenEntry:
    return TokenEntry(token.hash, token.id, token.account_id, token.retired_at)
