"""The secrets at the end of webhook URLs: durable in the database and in the spool, and closed when their time is over.

A new secret does not close the old one. Avito may still have deliveries under way, and a new address may turn out not
to work; so both open until the new one has brought its first delivery, and then the old one for three days more.
"""

import asyncio
from typing import Any

from sqlalchemy import delete, select, update

from golub.clock import HOUR, Clock
from golub.errors import Invalid, NotFound
from golub.model import Account, Delivery, DeliveryState, PathToken, TimelineEntry, TimelineKind, Webhook
from golub.spool import Spool, TokenEntry
from golub.store import Store
from golub.subscription.url import hash_of, token_of
from golub.vault import Vault

RETIRED_FOR = 72 * HOUR  # an old secret still opens: Avito may have deliveries on their way
UNCERTAIN_FOR = HOUR  # a secret without a webhook: its registration may be under way, or wait for a confirmation


class Secrets:
    def __init__(self, store: Store, spool: Spool, vault: Vault, clock: Clock) -> None:
        self._store = store
        self._spool = spool
        self._vault = vault
        self._clock = clock

    async def restore(self) -> None:
        """Tells this process's spool every secret that the database knows: it may be a new one, or restored."""
        async with self._store.read() as session:
            tokens = (await session.scalars(select(PathToken))).all()
        for token in tokens:
            if self._spool.find_token(token.hash) is None:
                await asyncio.to_thread(self._spool.put_token, _entry(token))

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
                found = PathToken(
                    account_id=account_id, hash=digest, token=self._vault.seal(token), created_at=self._clock()
                )
                session.add(found)
            elif found.account_id != account_id:
                raise Invalid("The secret at the end belongs to another account: each has its own.", field="url")
            found.retired_at = None
            await session.flush()
        await asyncio.to_thread(self._spool.put_token, _entry(found))

    async def retire_replaced(self) -> None:
        """Ends rotations: of an account whose present URL has brought a delivery, the older secrets retire. A bare URL
        has no secret that could tell, so there they retire at once."""
        async with self._store.read() as session:
            rotating = (await session.scalars(select(Webhook).where(Webhook.rotating_since.is_not(None)))).all()
        for webhook in rotating:
            if token_of(webhook.url) and not await self._has_brought(webhook):
                continue
            async with self._store.write() as session:
                ended = await session.scalar(
                    update(Webhook)
                    .where(Webhook.id == webhook.id, Webhook.url == webhook.url, Webhook.rotating_since.is_not(None))
                    .values(rotating_since=None)
                    .returning(Webhook.id)
                    .execution_options(synchronize_session=False)
                )
                if ended is None:
                    continue
                entry = TimelineEntry(account_id=webhook.account_id, kind=TimelineKind.ROTATED, at=self._clock())
                session.add(entry)
            await self.retire_all_but(webhook.account_id, webhook.url)

    async def _has_brought(self, webhook: Webhook) -> bool:
        """Anything but a probe: ours and Avito's come before the first real one."""
        async with self._store.read() as session:
            token = select(PathToken.id).where(PathToken.hash == hash_of(token_of(webhook.url) or ""))
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

    async def retire_all_but(self, account_id: int, url: str) -> None:
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

    async def drop_old(self) -> None:
        now = self._clock()
        async with self._store.read() as session:
            used = [hash_of(token_of(url) or "") for url in await session.scalars(select(Webhook.url))]
            strays = select(PathToken.id).where(
                PathToken.retired_at.is_(None),
                PathToken.hash.not_in(used),
                PathToken.created_at < now - UNCERTAIN_FOR,
                PathToken.account_id.not_in(select(Webhook.account_id).where(Webhook.rotating_since.is_not(None))),
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


def _entry(token: PathToken) -> TokenEntry:
    return TokenEntry(token.hash, token.id, token.account_id, token.retired_at)
