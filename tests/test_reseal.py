"""The key that seals is changed: every secret, in whatever table, is sealed anew; killed at any moment it goes on; and
backups from before come back."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import Column, Integer, LargeBinary, MetaData, Text, select, update
from sqlalchemy import Table as SQLTable

from golub import audit, backup
from golub.app import WRONG_KEY, Golub, is_our_key
from golub.audit import CONSOLE
from golub.backup import Order
from golub.backup.commands import keys_of
from golub.errors import Conflict, NotFound, Rejected
from golub.model import Account, Action, AuditEntry, ChannelKind, Node, Role, SealedBytes, Table
from golub.reseal import Resealed, rotate, sealed_columns, tidy
from golub.settings import Settings
from golub.signatures.register import Register
from golub.spool import own
from golub.store import Store
from golub.vault import KEY_BYTES, Key, Vault, write_keys
from tests.conftest import ONE_DATABASE, SteppedClock
from tests.village import Village, village

pytestmark = pytest.mark.anyio


def silent(_step: str, _share: float) -> None:
    pass


@asynccontextmanager
async def planted(database_url: str, tmp_path: Path, clock: SteppedClock) -> AsyncGenerator[Village]:
    """A shop with a secret in every sealed column."""
    async with village(database_url, tmp_path, clock) as town:
        parts = town.parts
        await town.register()
        await parts.relays.add(town.account_id, "https://crm.example.com/in/secret")
        await Register(parts.store, parts.vault, clock).add_secret(
            town.account_id, "x-signature", "signed by the proxy", None, None, by=CONSOLE
        )
        hook = {"url": "https://hooks.example.com/secret", "secret": ""}
        await parts.alerts.channels.save(ChannelKind.URL, hook, by=CONSOLE)
        anna = await parts.operators.create("anna", "korova-na-lugu", name="Анна", role=Role.ADMIN)
        await parts.operators.begin_second_factor(anna.id)
        yield town
        await leave(parts.store)


async def leave(store: Store) -> None:
    """As a process does that ends in good order: these have no loops."""
    async with store.write() as session:
        await session.execute(update(Node).values(stopped_at=store.moment))


async def opened(store: Store, vault: Vault, metadata: MetaData = Table.metadata) -> dict[str, list[str]]:
    """What the sealed columns hold, in the clear."""
    async with store.read() as session:
        return {
            str(column): sorted(vault.open(value) for value in await session.scalars(select(column)) if value)
            for column in sealed_columns(metadata)
        }


async def change(store: Store, path: Path, clock: SteppedClock, **more: Any) -> Resealed:
    return await rotate(store, path, more.pop("needed", ()), clock=clock, tell=silent, **more)


def key_file(town: Village) -> Path:
    return town.parts.settings.data_dir / "secret.key"


async def test_every_sealed_column_is_found_by_its_type(
    database_url: str, tmp_path: Path, clock: SteppedClock, store: Store
) -> None:
    metadata = MetaData()
    for table in Table.metadata.sorted_tables:
        table.to_metadata(metadata)
    new = SQLTable(
        "planted",
        metadata,
        Column("shop", Integer, primary_key=True, autoincrement=False),
        Column("name", Text, primary_key=True),
        Column("hidden", SealedBytes),
    )
    async with planted(database_url, tmp_path, clock) as town:
        path, before = key_file(town), town.parts.vault
    with store.writing() as connection:
        new.create(connection)
        for name in ("a", "b"):
            connection.execute(new.insert().values(shop=1, name=name, hidden=before.seal(f"planted {name}")))
        connection.execute(new.insert().values(shop=2, name="a", hidden=None))
    secrets = await opened(store, before, metadata)
    assert all(secrets.values()), "a sealed column without a secret: `planted` must bring one"

    done = await change(store, path, clock, metadata=metadata)
    after = Vault.from_file(path)
    assert (done.lost, done.removed, done.kept) == (0, 1, 0)
    assert done.sealed == sum(map(len, secrets.values()))
    assert len(after.keys) == 1
    assert not after.knows(before.check)
    assert await opened(store, after, metadata) == secrets
    assert path.stat().st_mode & 0o777 == 0o600
    async with store.read() as session:
        newest = (await session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc()).limit(1))).one()
    assert (newest.action, newest.address) == (Action.SECRET_KEY_CHANGED, "console")
    assert after.key_id.hex() in newest.after
    assert (await audit.verify(store)).broken is None


async def test_no_secret_lies_in_a_column_of_another_type(
    database_url: str, tmp_path: Path, clock: SteppedClock, store: Store
) -> None:
    async with planted(database_url, tmp_path, clock) as town:
        key_id = town.parts.vault.key_id
    sealed = set(sealed_columns())
    found = set[str]()
    async with store.read() as session:
        for table in Table.metadata.sorted_tables:
            for column in table.columns:
                if isinstance(column.type, LargeBinary):
                    values = await session.scalars(select(column).where(column.is_not(None)))
                    if any(bytes(value).startswith(key_id) for value in values):
                        found.add(str(column))
    assert found == {str(column) for column in sealed}


async def test_killed_anywhere_it_goes_on(database_url: str, tmp_path: Path, clock: SteppedClock, store: Store) -> None:
    async with planted(database_url, tmp_path, clock) as town:
        path, before = key_file(town), town.parts.vault
    secrets = await opened(store, before)
    url = store.url if "***" not in store.url else database_url
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.resealing", url, str(path), stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    assert process.returncode == 0
    states = [line.split() for line in said.decode().splitlines()]
    assert len(states) > len(secrets)  # killed at least once in each table
    new = states[0][1]
    killed_before, killed_after = [new, before.check], [new]
    for named, *keys in states[:-1]:
        assert (named, keys) in ((before.check, killed_before), (new, killed_before), (new, killed_after))
    assert states[0][0] == before.check
    assert any(named == before.check for named, *_ in states[:-1])
    assert new not in states[-1] or len(states[-1]) == 2  # the last run, after all was done, made another key
    assert await opened(store, Vault.from_file(path)) == secrets


async def test_a_cut_off_change_leaves_a_server_that_works(
    database_url: str, tmp_path: Path, clock: SteppedClock, store: Store
) -> None:
    async with planted(database_url, tmp_path, clock) as town:
        path, before = key_file(town), town.parts.vault
    write_keys(path, [Key(b"n" * KEY_BYTES), *before.keys])  # as far as it came
    vault = Vault.from_file(path)
    assert await is_our_key(store, vault)
    assert vault.check == before.check  # and a node that has the old key alone can open what this one seals
    assert before.open(vault.seal("anew")) == "anew"
    await change(store, path, clock)
    assert [key.raw for key in Vault.from_file(path).keys] == [b"n" * KEY_BYTES]


async def test_the_server_starts_with_the_new_key_and_only_receives_with_the_old(
    database_url: str, tmp_path: Path, clock: SteppedClock, store: Store
) -> None:
    async with planted(database_url, tmp_path, clock) as town:
        path, settings, sim = key_file(town), town.parts.settings, town.sim
        secret = town.seller.client_secret
        link = town.parts.vault.sign("media")
        old = path.read_bytes()
    await change(store, path, clock, needed={Vault.from_file(path).check})
    async with served(settings, sim, clock) as golub:
        assert not golub.parts.halted
        async with golub.parts.store.read() as session:
            account = (await session.scalars(select(Account))).one()
        assert golub.parts.vault.open(account.client_secret) == secret
        assert golub.parts.vault.is_signed("media", link)  # of a page that is still open
        assert golub.parts.vault.sign("media") != link
        assert not golub.parts.vault.is_signed("other", link)
    path.write_bytes(old)
    async with served(settings, sim, clock) as golub:
        assert golub.parts.halted == WRONG_KEY
    with pytest.raises(Rejected, match="not the one"):
        await change(store, path, clock)
    assert path.read_bytes() == old


@asynccontextmanager
async def served(settings: Settings, sim: Any, clock: SteppedClock) -> AsyncGenerator[Golub]:
    golub = Golub(settings, clock=clock, transport=httpx2.ASGITransport(sim.app))
    async with golub.opened():
        await golub.migrate()
        yield golub
        await leave(golub.parts.store)


async def test_backups_from_before_and_after_come_back(
    database_url: str, tmp_path: Path, clock: SteppedClock, store: Store, request: pytest.FixtureRequest
) -> None:
    async with planted(database_url, tmp_path, clock) as town:
        path, settings = key_file(town), town.parts.settings
        first = backup.make(settings, town.parts.vault, Order(), clock=clock, tell=silent)
        secrets = await opened(store, town.parts.vault)
    folder = settings.effective_backup_dir
    done = await change(store, path, clock, needed=keys_of(folder))
    assert (done.removed, done.kept) == (0, 1)
    clock.step(1000)
    second = backup.make(settings, Vault.from_file(path), Order(), clock=clock, tell=silent)
    for number, archive in enumerate((first.path, second.path)):
        place = {"data_dir": tmp_path / f"back-{number}", "database_url": ""}
        if not store.is_sqlite:
            place["database_url"] = request.getfixturevalue("postgres_server").create()
        again = Settings.model_validate(place)
        again.data_dir.mkdir()
        (again.data_dir / "secret.key").write_bytes(path.read_bytes())
        restored = await backup.restore(archive, again, clock=clock, tell=silent)
        assert restored.with_key
        other, vault = Store(again.effective_database_url), Vault.from_file(path)
        assert await is_our_key(other, vault)
        assert vault.check == restored.manifest.key_check
        assert await opened(other, vault) == secrets
        await other.close()
        if not store.is_sqlite:
            request.getfixturevalue("postgres_server").drop(place["database_url"])

    assert await tidy(store, path, keys_of(folder)) == (0, 1)
    first.path.unlink()
    assert await tidy(store, path, keys_of(folder)) == (1, 0)
    assert await opened(store, Vault.from_file(path)) == secrets


async def test_what_nobody_could_open_stays_as_it_was(
    database_url: str, tmp_path: Path, clock: SteppedClock, store: Store
) -> None:
    foreign = Vault(b"x" * KEY_BYTES).seal("lost long ago")
    async with planted(database_url, tmp_path, clock) as town:
        path = key_file(town)
        async with store.write() as session:
            await session.execute(update(Account).values(client_secret=foreign))
    assert (await change(store, path, clock)).lost == 1
    async with store.read() as session:
        assert (await session.scalars(select(Account.client_secret))).one() == foreign


async def test_it_is_refused_beside_a_process_that_serves(
    database_url: str, tmp_path: Path, clock: SteppedClock, store: Store
) -> None:
    async with planted(database_url, tmp_path, clock) as town:
        path = key_file(town)
        with pytest.raises(Conflict):
            own(path.parent)  # what the command asks for first
    os.close(own(path.parent))
    if store.is_sqlite:
        return
    row = {"folder": "f", "name": "far:8080", "role": "all", "version": "1", "started_at": 0}
    async with store.write() as session:
        await session.execute(store.insert(Node).values(id="n", **row, seen_at=store.moment))
    for work in (change(store, path, clock), tidy(store, path, ())):
        with pytest.raises(Conflict, match="far:8080"):
            await work
    assert len(Vault.from_file(path).keys) == 1  # nothing was made either
    await leave(store)
    assert (await change(store, path, clock)).sealed


@ONE_DATABASE
async def test_nothing_is_made_where_there_is_nothing(store: Store, tmp_path: Path, clock: SteppedClock) -> None:
    path = tmp_path / "other" / "secret.key"
    with pytest.raises(NotFound, match="no key"):
        await change(store, path, clock)
    path.parent.mkdir()
    Vault.from_file(path)
    with pytest.raises(NotFound, match="never run"):
        await change(store, path, clock)
    assert len(Vault.from_file(path).keys) == 1
    path.write_text("zz\n")
    with pytest.raises(Rejected):
        await change(store, path, clock)
