"""An account, its chats and what is said in them, told to the real fold as Avito's API would tell it.

`parts_for` has what an inbox needs to show it: database, applier and outbox are the real ones, Avito is the simulator.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import httpx2

from golub.apply import Applier
from golub.avito import wire
from golub.avito.client import Avito
from golub.backfill import Backfill
from golub.clock import DAY, HOUR, SECOND, Clock, Millis
from golub.fold import Observation
from golub.health import Health
from golub.live import Live, Ring
from golub.model import Account
from golub.operators import Operators
from golub.outbox import Outbox, Pictures
from golub.settings import Settings
from golub.simulator import Simulator
from golub.spool import Spool
from golub.store import Store
from golub.vault import Vault
from golub.web.media import Media
from golub.web.parts import Parts

AVITO_URL = "http://avito.test"
BUYER = 777


@asynccontextmanager
async def parts_for(
    database_url: str,
    folder: Path,
    clock: Clock,
    sim: Simulator,
    media_transport: httpx2.AsyncBaseTransport | None = None,
) -> AsyncGenerator[Parts]:
    settings = Settings.model_validate({"data_dir": folder, "avito_url": AVITO_URL})
    store, vault, live = Store(database_url), Vault(bytes(32)), Live()
    spool = Spool(folder, quota=8 << 20, clock=clock)
    applier = Applier(spool, store, live, clock)
    network = httpx2.ASGITransport(sim.app)
    avito = Avito(settings, store, vault, clock, network)
    media = Media(settings, clock, media_transport or network)
    nobody = cast(Any, None)
    parts = Parts(
        settings=settings,
        clock=clock,
        store=store,
        vault=vault,
        spool=spool,
        ingest=nobody,
        applier=applier,
        live=live,
        nodes=nobody,
        avito=avito,
        outbox=Outbox(store, avito, applier, live, clock, Pictures(settings.data_dir / "outgoing", clock)),
        backfill=Backfill(store, avito, applier, settings, clock),
        operators=Operators(store, clock, vault),
        accounts=nobody,
        subscriptions=nobody,
        alerts=nobody,
        media=media,
        relays=nobody,
        backups=nobody,
        replays=nobody,
        health=Health(settings, store, spool, clock, applier),
        meter=nobody,
        doctor=nobody,
        erasures=nobody,
    )
    spool.start()
    applier.start()
    try:
        yield parts
    finally:
        live.close()
        applier.stop()
        spool.close()
        await media.close()
        await avito.close()
        parts.operators.close()
        await store.close()


@dataclass
class Talk:
    """One account. Chats are named as Avito names them; each new message is a second later than the one before."""

    parts: Parts
    account: Account
    at: Millis = 0
    chats: dict[str, int] = field(default_factory=dict[str, int])
    said: int = 0

    async def says(
        self,
        chat: str,
        text: str = "",
        *,
        kind: str = "text",
        content: dict[str, Any] | None = None,
        author: int = BUYER,
        name: str = "",
        at: Millis | None = None,
    ) -> Ring | None:
        """The buyer says it, unless `author` is another. Returns the ring, None where nothing changed."""
        return await self._fold(chat, self._seen(chat, text, kind, content, author, name, at))

    async def says_all(self, chat: str, texts: Sequence[str], *, at: Sequence[Millis] = ()) -> None:
        """Many at once, as a page of the API tells them."""
        times = at or [None] * len(texts)
        seen = [self._seen(chat, text, "text", None, BUYER, "", when) for text, when in zip(texts, times, strict=True)]
        await self._fold(chat, *seen)

    def _seen(
        self,
        chat: str,
        text: str,
        kind: str,
        content: dict[str, Any] | None,
        author: int,
        name: str,
        at: Millis | None,
    ) -> wire.MessageSeen:
        self.said += 1
        self.at = self.at + SECOND if at is None else at
        record = {
            "id": name or f"m{self.said}",
            "author_id": author,
            "created": self.at // SECOND,
            "type": kind,
            "content": {"text": text} if content is None else content,
            "isRead": False,
        }
        seen = wire.read_message(record, self.account.user_id, chat, self.parts.clock() + self.said)
        assert isinstance(seen, wire.MessageSeen)
        return seen

    async def answers(self, chat: str, text: str) -> Ring | None:
        return await self.says(chat, text, author=self.account.user_id)

    async def facts(self, chat: str, *, name: str = "Ирина", item: str = "Диван", **value: Any) -> Ring | None:
        record = {
            "id": chat,
            "created": self.at // SECOND,
            "updated": self.at // SECOND,
            "users": [{"id": BUYER, "name": name}, {"id": self.account.user_id, "name": "Мы"}],
            "context": {"type": "item", "value": {"id": 5, "title": item, "price_string": "12 500 ₽", **value}},
        }
        seen = wire.read_chat(record, self.account.user_id, self.parts.clock() + self.said)
        assert isinstance(seen, wire.ChatSeen)
        return await self._fold(chat, seen)

    async def _fold(self, chat: str, *observations: Observation) -> Ring | None:
        rings = await self.parts.applier.submit(self.account.id, observations)
        for ring in rings:
            self.chats[chat] = ring.chat_id
        return rings[0] if rings else None


async def add_account(parts: Parts, user_id: int = 94_235_311, name: str = "Мебель", **more: Any) -> Talk:
    account = Account(
        user_id=user_id,
        name=name,
        client_id=f"client-{user_id}",
        client_secret=parts.vault.seal(f"secret-{user_id}"),
        created_at=parts.clock() - DAY,
        backfill_offset=None,
        backfilled_at=parts.clock() - DAY,
        **more,
    )
    async with parts.store.write() as session:
        session.add(account)
    return Talk(parts, account, at=parts.clock() - HOUR)
