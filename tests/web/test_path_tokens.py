"""Path tokens lie in clear nowhere: not in the database, the spool, their files or a backup, whatever was done."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import httpx2
import pytest
from alembic import command
from sqlalchemy import MetaData, delete, select, text

from golub import backup, migrations
from golub.clock import MINUTE
from golub.errors import NotFound, Rejected
from golub.model import AuditEntry, PathToken, RelayedDelivery, TimelineEntry, TimelineKind
from golub.store import Store
from golub.subscription import mask, token_of
from golub.web.parts import Parts
from tests import door, shop
from tests.conftest import ONE_DATABASE, SteppedClock
from tests.door import FOREIGN, PUBLIC, Answers, World
from tests.web.conftest import Browser
from tests.web.test_admin_webhooks import PAGE, prefilled, send


class Street(Answers):
    """Our own address leads to our door, and every other one to somebody who is content."""

    def __init__(self, door: httpx2.AsyncBaseTransport) -> None:
        super().__init__(200)
        self._door = door

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.host == "golub.example.ru":
            return await self._door.handle_async_request(request)
        return await super().handle_async_request(request)


@pytest.fixture
async def world(store: Store, clock: SteppedClock, tmp_path: Path) -> AsyncGenerator[World]:
    chosen: dict[str, Any] = {"database_url": store.url, "alert_url": "https://alerts.example.org/golub"}
    async with door.world(store, clock, tmp_path / "data", **chosen) as made:
        made.way.ends.append(Street(made.way.ends[0]))
        yield made


@pytest.fixture
def parts(world_parts: Parts) -> Parts:
    return world_parts


async def written(world: World, url: str) -> None:
    """A buyer writes, and a proxy on the way tells us in headers what it was asked for."""
    world.avito.buyer_says(world.avito.add_chat(world.shop), "Ещё продаёте?")
    await world.avito.idle()
    told = {"x-original-uri": httpx2.URL(url).path, "referer": url}
    async with httpx2.AsyncClient(transport=world.way) as client:
        assert (await client.post(url, content=b"[not json", headers=told)).status_code == 200


async def everything(world: World) -> str:
    """Every table with every value, as text."""

    def read(session: Any) -> str:
        connection = session.connection()
        metadata = MetaData()
        metadata.reflect(connection)
        rows = [(name, *row) for name, table in metadata.tables.items() for row in connection.execute(select(table))]
        return "\n".join(map(repr, rows))

    async with world.store.read() as session:
        return await session.run_sync(read)


def contents(folder: Path) -> dict[str, bytes]:
    """Of every file of ours; the simulator keeps a log of its own."""
    ours = (path for path in folder.rglob("*") if path.is_file() and path.name not in ("oracle.jsonl", "ballast"))
    return {path.name: path.read_bytes() for path in ours}


@pytest.mark.row(50)
async def test_no_token_lies_in_clear_whatever_was_done(world: World, owner: Browser, tmp_path: Path) -> None:
    await world.relays.add(world.account_id, "https://bot.example.com/in")
    old = prefilled((await owner.get(PAGE)).text)
    assert (await send(owner, str(world.account_id), url=old, types=["message"])).status_code == 303
    async with world.applying() as applier:
        await written(world, old)
        assert await asyncio.to_thread(applier.wait_applied, 10)
        world.clock.step(MINUTE)
        await world.relays.run_once()
        assert "Avito calls this address" in (await owner.post(f"{PAGE}/{world.account_id}/walk")).text

        new = prefilled((await owner.get(f"{PAGE}?edit={world.account_id}&fresh=true")).text)
        assert (await send(owner, str(world.account_id), url=new, types=["message"])).status_code == 303
        await written(world, new)
        assert await asyncio.to_thread(applier.wait_applied, 10)
        await world.subscriptions.run_once()

        assert new in (await owner.get(f"{PAGE}/{world.account_id}/url")).text
        assert (await owner.get("/api/admin/webhooks")).json()["webhook"]["url"] == new

        await world.subscriptions.allow_self_repair(world.account_id, True)
        world.avito.steal_subscription(world.shop, FOREIGN)
        quoted = {"error": {"code": 400, "message": f"{new} does not answer"}}
        world.avito.fault("postWebhookV3", status=400, body=quoted)
        world.clock.step(3 * MINUTE)
        await world.subscriptions.run_once()
        await world.alerts.run_once()
        assert world.shop.subscription == FOREIGN
        world.clock.step(3 * MINUTE)
        await world.subscriptions.run_once()
        assert world.shop.subscription == new
    made = backup.make(world.settings, shop.VAULT, backup.Order(), clock=world.clock, tell=lambda *_: None)

    rows = await everything(world)
    for one in (f"{PUBLIC}/webhook/avito/••••••••", "does not answer", "x-original-uri", "/webhook/avito/***"):
        assert one in rows  # so that what is looked through is what was written
    async with world.store.read() as session:
        for table in (AuditEntry, RelayedDelivery, TimelineEntry):
            assert (await session.scalars(select(table).limit(1))).first() is not None
        failed = select(TimelineEntry.detail).where(TimelineEntry.kind == TimelineKind.REPAIR_FAILED)
        assert "/webhook/avito/•••• does not answer" in (await session.scalars(failed)).one()
    files = contents(tmp_path)
    assert {"spool.db", made.path.name} <= set(files)
    with ZipFile(made.path) as archive:
        members = b"".join(archive.read(name) for name in archive.namelist())
    for token in (token_of(old) or "", token_of(new) or ""):
        assert len(token) == 43
        assert token not in rows
        assert token.encode() not in members
        assert [name for name, content in files.items() if token.encode() in content] == []


async def test_what_was_kept_in_clear_before_is_sealed_by_the_upgrade(world: World, store: Store) -> None:
    url = world.subscriptions.recommended_url()
    await world.subscriptions.register(world.account_id, url, ["message"])
    bare = await world.add_shop(7, "Лодки")
    await world.subscriptions.register(bare, f"{PUBLIC}/webhook/avito", ["message"])
    config = migrations._config()  # pyright: ignore[reportPrivateUsage]
    with store.writing() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0009_status")
        clear = text("UPDATE webhooks SET url = :url WHERE account_id = :account")
        connection.execute(clear, {"url": url, "account": world.account_id})
    assert (token_of(url) or "") in await everything(world)

    await asyncio.to_thread(store.migrate)
    assert (token_of(url) or "") not in await everything(world)
    webhook = await world.subscriptions.get(world.account_id)
    assert (webhook.url, await world.subscriptions.url_of(webhook)) == (mask(url), url)
    other = await world.subscriptions.get(bare)
    assert (other.url, other.token_hash) == (f"{PUBLIC}/webhook/avito", None)
    assert await world.subscriptions.url_of(other) == other.url


@ONE_DATABASE
async def test_a_secret_that_is_forgotten_meanwhile_is_said_to_be_gone(world: World) -> None:
    webhook = await world.subscriptions.register(world.account_id, world.subscriptions.recommended_url(), ["message"])
    async with world.store.write() as session:
        await session.execute(delete(PathToken))
    with pytest.raises(NotFound):
        await world.subscriptions.url_of(webhook)


@ONE_DATABASE
async def test_what_avito_quotes_of_an_address_is_not_kept(world: World) -> None:
    url = world.subscriptions.recommended_url()
    world.avito.fault("postWebhookV3", status=400, body={"error": {"message": f"{'far ' * 60}{url}: no"}})
    with pytest.raises(Rejected) as refused:
        await world.subscriptions.register(world.account_id, url, ["message"])
    assert "/webhook/avito/••••" in str(refused.value)
    assert (token_of(url) or "")[:8] not in str(refused.value)
