"""Accounts: shops at Avito that Golub serves, connected by their keys.

Keys are asked of Avito before they are kept, and kept sealed. `connect` is also how keys are renewed: the account is
known by its `user_id`, so a second pair for the same shop replaces the first and nothing of its chats changes.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from zoneinfo import available_timezones

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.orm import selectinload

from golub import index
from golub.audit import ITSELF, Action, By
from golub.avito.client import Avito
from golub.clock import Clock
from golub.errors import GolubError, Invalid, NotFound, Rejected
from golub.model import (
    SAMPLE_USER_ID,
    Account,
    AccountState,
    Chat,
    Message,
    OutgoingMessage,
    OutgoingState,
    TimelineEntry,
    TimelineKind,
    Webhook,
)
from golub.store import Store
from golub.vault import Vault

COLOURS = ("#7c5cff", "#0a84ff", "#00a3a3", "#2f9e44", "#f08c00", "#e8590c", "#e64980", "#868e96")
NAME_LIMIT = 80
TIMELINE_LIMIT = 60
KEY_LIMIT = 200  # characters; Avito's own have 20 and 40


@dataclass(frozen=True, slots=True)
class Connected:
    """`renewed`: the account was here before, and got new keys."""

    account: Account
    renewed: bool


@dataclass(frozen=True, slots=True)
class Holdings:
    """What Golub keeps of an account: shown while history comes in, and before the account is removed."""

    chats: int
    messages: int
    waiting: int  # outgoing messages that are not finished
    unread_history: int = 0  # chats whose history is still to be read


class Accounts:
    def __init__(self, store: Store, avito: Avito, vault: Vault, clock: Clock) -> None:
        self._store = store
        self._avito = avito
        self._vault = vault
        self._clock = clock

    async def connect(
        self, client_id: str, client_secret: str, *, only: int | None = None, by: By = ITSELF
    ) -> Connected:
        """`only`: the account whose keys these must be. Raises `Invalid`, and what `Avito.check_keys` raises:
        `WrongKeys`, `NoAccess`, `Unavailable`."""
        client_id, client_secret = _key(client_id, "client_id"), _key(client_secret, "client_secret")
        profile = await self._avito.check_keys(client_id, client_secret)
        if only is not None and (await self.get(only)).user_id != profile.user_id:
            raise Invalid(
                "These keys belong to another shop, {shop}. Nothing was changed.", field="", shop=profile.name
            )
        now, sealed = self._clock(), self._vault.seal(client_secret)
        async with self._store.write() as session:
            account = await session.scalar(select(Account).where(Account.user_id == profile.user_id))
            renewed = account is not None
            before = {"client_id": _shown(account.client_id)} if account else None
            if account is None:
                count = await session.scalar(select(func.count()).select_from(Account)) or 0
                account = Account(
                    user_id=profile.user_id,
                    name=profile.name[:NAME_LIMIT] or f"Avito {profile.user_id}",
                    colour=COLOURS[count % len(COLOURS)],
                    created_at=now,
                )
                session.add(account)
            account.profile_url = profile.profile_url
            account.client_id, account.client_secret = client_id, sealed
            account.access_token, account.token_expires_at = None, 0
            account.state, account.state_detail, account.state_at = AccountState.WORKING, "", now
            account.sweep_due_at = 0
            await session.flush()
            told = TimelineKind.NEW_KEYS if renewed else TimelineKind.CONNECTED
            session.add(TimelineEntry(account_id=account.id, kind=told, at=now))
            action = Action.KEYS_CHANGED if renewed else Action.ACCOUNT_CONNECTED
            after = {"client_id": _shown(client_id)}
            await by.did(session, action, account.name, before=before, after=after, now=now)
        with suppress(GolubError):  # keys are free; only the messenger tells if it is paid for
            await self._avito.subscriptions(account.id)
        return Connected(await self.get(account.id), renewed)

    async def list(self) -> Sequence[Account]:
        """All of them but the sample shop, each with its webhook, in the order in which they were connected."""
        real = select(Account).where(Account.user_id != SAMPLE_USER_ID).order_by(Account.id)
        async with self._store.read() as session:
            return (await session.scalars(real.options(selectinload(Account.webhook)))).all()

    async def get(self, account_id: int) -> Account:
        """With its webhook. Raises `NotFound`."""
        async with self._store.read() as session:
            account = await session.scalar(
                select(Account).options(selectinload(Account.webhook)).where(Account.id == account_id)
            )
        if account is None:
            raise NotFound("This account is no longer connected.")
        return account

    async def holdings(self, account_id: int) -> Holdings:
        open_states = (OutgoingState.QUEUED, OutgoingState.SENDING)
        async with self._store.read() as session:
            chats = await session.scalar(select(func.count()).where(Chat.account_id == account_id))
            messages = await session.scalar(select(func.count()).where(Message.account_id == account_id))
            waiting = await session.scalar(
                select(func.count()).where(
                    OutgoingMessage.account_id == account_id, OutgoingMessage.state.in_(open_states)
                )
            )
            unread_history = await session.scalar(
                select(func.count()).where(
                    Chat.account_id == account_id, Chat.fetch_due_at.is_not(None), Chat.fetch_quietly
                )
            )
        return Holdings(chats or 0, messages or 0, waiting or 0, unread_history or 0)

    async def timeline(self, account_id: int, limit: int = TIMELINE_LIMIT) -> Sequence[TimelineEntry]:
        """What happened to the account, newest first."""
        async with self._store.read() as session:
            found = await session.scalars(
                select(TimelineEntry)
                .where(TimelineEntry.account_id == account_id)
                .order_by(TimelineEntry.at.desc(), TimelineEntry.id.desc())
                .limit(limit)
            )
            return found.all()

    async def pause(self, account_id: int, *, by: By = ITSELF) -> None:
        """Avito gets no request of ours for it any more; webhooks are still received and kept. Raises `NotFound`."""
        now = self._clock()
        told = TimelineKind.PAUSED, Action.ACCOUNT_PAUSED
        await self._change(account_id, by, told, Account.paused_at.is_(None), paused_at=now)

    async def resume(self, account_id: int, *, by: By = ITSELF) -> None:
        """What was written meanwhile is swept at once, and the subscription looked at. Raises `NotFound`, and
        `Rejected` for the sample shop."""
        if (await self.get(account_id)).is_sample:
            raise Rejected("This is a sample shop: nothing of it goes to Avito.")
        told = TimelineKind.RESUMED, Action.ACCOUNT_RESUMED
        await self._change(account_id, by, told, Account.paused_at.is_not(None), paused_at=None, sweep_due_at=0)
        async with self._store.write() as session:
            await session.execute(update(Webhook).where(Webhook.account_id == account_id).values(check_due_at=0))

    async def _change(
        self,
        account_id: int,
        by: By,
        told: tuple[TimelineKind, Action],
        only: ColumnElement[bool],
        **values: int | None,
    ) -> None:
        kind, action = told
        account, now = await self.get(account_id), self._clock()
        async with self._store.write() as session:
            changed = await session.scalar(
                update(Account)
                .where(Account.id == account_id, only)
                .values(**values)
                .returning(Account.id)
                .execution_options(synchronize_session=False)
            )
            if changed is not None:
                session.add(TimelineEntry(account_id=account_id, kind=kind, at=now))
                await by.did(session, action, account.name, now=now)

    async def rename(self, account_id: int, name: str, colour: str, *, by: By = ITSELF) -> None:
        """Only for the eyes of this team; Avito's own name stays. Raises `Invalid`, `NotFound`."""
        name = " ".join(name.split())
        if not name:
            raise Invalid("Give the account a name.", field="name")
        if len(name) > NAME_LIMIT:
            raise Invalid("The name is too long: {limit} characters at most.", field="name", limit=NAME_LIMIT)
        if colour not in COLOURS:
            raise Invalid("Choose one of the colours.", field="colour")
        async with self._store.write() as session:
            account = await session.get(Account, account_id, with_for_update={"key_share": True})
            if account is None:
                raise NotFound("This account is no longer connected.")
            before, after = {"name": account.name, "colour": account.colour}, {"name": name, "colour": colour}
            account.name, account.colour = name, colour
            if before != after:
                await by.did(session, Action.ACCOUNT_RENAMED, name, before=before, after=after, now=self._clock())

    async def choose_new_chats(self, account_id: int, *, in_turn: bool, zone: str, by: By = ITSELF) -> None:
        """Whether new chats are given to the managers in turn, and by which clock these work. It counts for chats that
        begin to wait from now on. Raises `Invalid`, `NotFound`."""
        if zone not in available_timezones():
            raise Invalid("This time zone is not known.", field="zone")
        now = self._clock()
        async with self._store.write() as session:
            account = await session.get(Account, account_id, with_for_update={"key_share": True})
            if account is None:
                raise NotFound("This account is no longer connected.")
            before = _new_chats_told(account)
            account.zone = zone
            account.in_turn_since = (account.in_turn_since or now) if in_turn else None
            after = _new_chats_told(account)
            if before != after:
                changed = Action.ACCOUNT_CHATS_CHANGED
                await by.did(session, changed, account.name, before=before, after=after, now=now)

    async def remove(self, account_id: int, *, by: By = ITSELF) -> None:
        """With its webhook, chats, messages and keys; the journal keeps what was received. At Avito nothing is deleted.

        Inside `Subscriptions.forgetting`, which unsubscribes, and makes the spool refuse the account's URLs.
        """
        async with self._store.write() as session:
            await (await session.connection()).run_sync(index.forget_account, account_id)
            removed = delete(Account).where(Account.id == account_id).returning(Account.name, Account.user_id)
            if gone := (await session.execute(removed)).first():
                before = {"user_id": gone.user_id}
                await by.did(session, Action.ACCOUNT_REMOVED, gone.name, before=before, now=self._clock())


def _new_chats_told(account: Account) -> dict[str, str]:
    return {"new_chats": "pool" if account.in_turn_since is None else "in_turn", "zone": account.zone}


def _shown(client_id: str) -> str:
    """Enough to tell one pair of keys from another."""
    return f"{client_id[:4]}…"


def _key(given: str, field: str) -> str:
    key = given.strip()
    if not key:
        raise Invalid("Enter the client id." if field == "client_id" else "Enter the client secret.", field=field)
    if len(key) > KEY_LIMIT or not key.isascii() or not key.isprintable() or " " in key:
        raise Invalid("This does not look like a key of Avito: copy it once more, without spaces.", field=field)
    return key
