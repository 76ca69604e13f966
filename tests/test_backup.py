"""Backups: made beside a working server, and what comes back out of one is what was acked before it began."""

import asyncio
import sqlite3
import zipfile
from collections import Counter
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import select, update

from golub import audit, backup, store
from golub.app import Golub
from golub.apply.identity import Identity
from golub.backup import Order, archive, commands
from golub.backup.making import LEFT_OUT
from golub.backup.restoring import UNFINISHED
from golub.clock import MINUTE
from golub.errors import Conflict, GolubError, Invalid, Rejected, Unavailable
from golub.model import (
    Account,
    Action,
    AuditEntry,
    Delivery,
    Message,
    Operator,
    OutgoingMessage,
    OutgoingState,
    Role,
    Table,
)
from golub.settings import Settings
from golub.spool import Spool
from golub.web.parts import Parts
from tests import postgres
from tests.conftest import ONE_DATABASE, SteppedClock
from tests.village import Village, village

PASSPHRASE = "четыре слова и число 7"


def silent(_step: str, _share: float) -> None:
    pass


@pytest.fixture
async def shop(database_url: str, tmp_path: Path, clock: SteppedClock) -> AsyncGenerator[Village]:
    """A shop with three messages applied and two that only the spool has."""
    async with village(database_url, tmp_path, clock) as made:
        await made.register()
        chat = made.sim.add_chat(made.seller, "Мария")
        for number in range(3):
            made.sim.buyer_says(chat, f"Сообщение {number}")
        await made.arrived()
        await asyncio.to_thread(made.parts.applier.stop)
        for number in range(3, 5):
            made.sim.buyer_says(chat, f"Сообщение {number}")
        await made.sim.idle()
        yield made


def make(shop: Village, **order: Any) -> Path:
    made = backup.make(shop.parts.settings, shop.parts.vault, Order(**order), clock=shop.clock, tell=silent)
    return made.path


@pytest.fixture
def empty_place(database_url: str, tmp_path: Path, request: pytest.FixtureRequest) -> Generator[Settings]:
    """An empty folder, and an empty database where the shop's is PostgreSQL."""
    chosen: dict[str, Any] = {"data_dir": tmp_path / "restored", "database_url": "", "public_url": "https://a.ru"}
    if database_url.startswith("sqlite"):
        yield Settings.model_validate(chosen)
        return
    server: postgres.Postgres = request.getfixturevalue("postgres_server")
    url = server.create()
    yield Settings.model_validate(chosen | {"database_url": url})
    server.drop(url)


def give_key(shop: Village, place: Settings) -> None:
    place.data_dir.mkdir(exist_ok=True)
    (place.data_dir / "secret.key").write_bytes((shop.parts.settings.data_dir / "secret.key").read_bytes())


async def bring_back(path: Path, place: Settings, clock: SteppedClock, **more: Any) -> backup.Restored:
    return await backup.restore(path, place, clock=clock, tell=silent, **more)


@asynccontextmanager
async def at(place: Settings, shop: Village) -> AsyncGenerator[Parts]:
    """What was restored, at work."""
    golub = Golub(place, clock=shop.clock, transport=httpx2.ASGITransport(shop.sim.app))
    async with golub.opened() as parts:
        await golub.migrate()
        await asyncio.to_thread(Identity(parts.spool, parts.store).check)  # what apply begins with
        parts.applier.start()
        assert await asyncio.to_thread(parts.applier.wait_applied, 10)
        yield parts


async def texts(parts: Parts) -> list[str]:
    async with parts.store.read() as session:
        return sorted(await session.scalars(select(Message.text)))


@pytest.mark.promise("P24")
async def test_everything_acked_before_comes_back(shop: Village, empty_place: Settings) -> None:
    secret = (await account(shop.parts)).client_secret
    path = make(shop, passphrase=PASSPHRASE)
    with pytest.raises(Invalid, match="passphrase"):
        await bring_back(path, empty_place, shop.clock)
    with pytest.raises(Invalid, match="not the passphrase"):
        await bring_back(path, empty_place, shop.clock, passphrase=f"{PASSPHRASE}!")
    restored = await bring_back(path, empty_place, shop.clock, passphrase=PASSPHRASE)
    assert (restored.messages, restored.with_key, restored.manifest.has_key) == (3, True, True)
    async with at(empty_place, shop) as parts:
        assert await texts(parts) == [f"Сообщение {number}" for number in range(5)]
        async with parts.store.read() as session:
            assert len(set(await session.scalars(select(Delivery.id)))) == 5
            entries = list(await session.scalars(select(AuditEntry).order_by(AuditEntry.id)))
        assert (await audit.verify(parts.store)).broken is None
        assert (entries[-1].action, entries[-1].subject) == (Action.RESTORED, path.name)
        assert (await account(parts)).client_secret == secret
        assert parts.vault.open(secret) == shop.seller.client_secret
        made = await parts.operators.create("anna", "korova-na-lugu", name="Анна", role=Role.ADMIN)
        assert made.id  # the counters stand behind what came back
        assert not parts.halted


async def account(parts: Parts) -> Account:
    async with parts.store.read() as session:
        return (await session.scalars(select(Account))).one()


@pytest.mark.promise("P24")
async def test_a_second_database_gets_the_drained_deliveries_again(shop: Village, empty_place: Settings) -> None:
    """The spool that outlived the old database still has what came after the backup."""
    give_key(shop, empty_place)
    await bring_back(make(shop), empty_place, shop.clock)
    with closing(sqlite3.connect(empty_place.data_dir / "spool.db")) as spool:
        spool.execute("UPDATE progress SET drained_at = ?", (shop.clock(),))
        spool.commit()
    async with at(empty_place, shop) as parts:
        assert await texts(parts) == [f"Сообщение {number}" for number in range(5)]


@pytest.mark.row(50)
@pytest.mark.promise("P24")
async def test_no_secret_lies_in_it_in_clear(shop: Village) -> None:
    parts, password = shop.parts, "korova-na-lugu-7"
    operator = await parts.operators.create("anna", "pervyj-parol-5", name="Анна", role=Role.ADMIN)
    async with parts.store.read() as session:
        first_hash = (await session.get_one(Operator, operator.id)).password_hash
    async with parts.store.write() as session:
        await session.execute(update(Operator).values(password_hash="$argon2id$canary"))
    cookie, _ = await parts.operators.open_session(operator, address="192.0.2.7")
    link = await parts.operators.make_link("setup")
    url = await shop.register()
    path = make(shop)
    raw = b"".join(members(path).values())
    key = (parts.settings.data_dir / "secret.key").read_bytes().strip()
    planted = [password, first_hash, "$argon2id$", shop.seller.client_secret, cookie, link, url.rpartition("/")[2]]
    assert [one for one in planted if one.encode() in raw] == []
    assert key not in raw
    assert bytes.fromhex(key.decode()) not in raw
    with_key = members(make(shop, passphrase=PASSPHRASE, to=path.with_name("with-key.zip")))
    assert key not in b"".join(with_key.values())
    assert "secret.key.sealed" in with_key


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


async def test_passwords_come_back_with_the_key_alone(shop: Village, empty_place: Settings, tmp_path: Path) -> None:
    await shop.parts.operators.create("anna", "korova-na-lugu-7", name="Анна", role=Role.ADMIN)
    path = make(shop)
    with pytest.raises(Invalid, match="no key"):
        await bring_back(path, empty_place, shop.clock)
    assert not backup.unfinished(empty_place.data_dir)
    (empty_place.data_dir / "secret.key").write_text("00" * 32)
    with pytest.raises(Invalid, match="not the one"):
        await bring_back(path, empty_place, shop.clock)
    give_key(shop, empty_place)
    assert (await bring_back(path, empty_place, shop.clock)).with_key
    async with at(empty_place, shop) as parts:
        assert (await parts.operators.authenticate("anna", "korova-na-lugu-7", "192.0.2.7")).name == "Анна"


async def test_a_lost_key_loses_secrets_and_nothing_else(shop: Village, empty_place: Settings) -> None:
    await shop.parts.operators.create("anna", "korova-na-lugu-7", name="Анна", role=Role.ADMIN)
    restored = await bring_back(make(shop), empty_place, shop.clock, lost_key=True)
    assert not restored.with_key
    async with at(empty_place, shop) as parts:
        assert not parts.halted, "another key may seal from now on"
        assert len(await texts(parts)) == 5
        with pytest.raises(GolubError):
            await parts.operators.authenticate("anna", "korova-na-lugu-7", "192.0.2.7")
        with pytest.raises(Unavailable, match="another key"):
            parts.vault.open((await account(parts)).client_secret)


async def test_replies_that_were_on_their_way_are_not_sent_again(shop: Village, empty_place: Settings) -> None:
    chat = next(iter(shop.sim.world.chats.values()))
    async with shop.parts.store.write() as session:
        row = (await session.scalars(select(Message).limit(1))).one()
        for number, state in enumerate((OutgoingState.QUEUED, OutgoingState.SENDING, OutgoingState.SENT)):
            session.add(
                OutgoingMessage(
                    account_id=row.account_id,
                    chat_id=row.chat_id,
                    client_key=f"key-{number}",
                    text=f"Ответ {number}",
                    state=state,
                    due_at=None if state == OutgoingState.SENT else shop.clock(),
                    created_at=shop.clock(),
                )
            )
    give_key(shop, empty_place)
    restored = await bring_back(make(shop), empty_place, shop.clock)
    assert restored.unsure == 2
    said = len(chat.history)
    async with at(empty_place, shop) as parts:
        for _ in range(5):
            await parts.outbox.run_once()
            shop.clock.step(3 * MINUTE)
        async with parts.store.read() as session:
            states = sorted(await session.scalars(select(OutgoingMessage.state)))
    assert states == [OutgoingState.SENT, OutgoingState.UNCONFIRMED, OutgoingState.UNCONFIRMED]
    assert len(chat.history) == said


async def test_a_place_in_use_is_left_alone(shop: Village, empty_place: Settings, tmp_path: Path) -> None:
    path = make(shop)
    give_key(shop, empty_place)
    place = empty_place.data_dir
    (place / "golub.db").write_bytes(b"somebody's")
    with pytest.raises(Conflict, match=r"not empty: golub\.db"):
        await bring_back(path, empty_place, shop.clock)
    assert (place / "golub.db").read_bytes() == b"somebody's"
    (place / "golub.db").unlink()
    running = Spool(place, quota=8 << 20, clock=shop.clock)
    try:
        with pytest.raises(Conflict, match="uses the folder"):
            await bring_back(path, empty_place, shop.clock)
    finally:
        running.close()
    (place / "spool.db").unlink()
    for left in ("golub.db-wal", "golub.db-shm"):
        (place / left).write_bytes(b"of a database that is gone")
    restored = await bring_back(path, empty_place, shop.clock)
    assert restored.removed == ["golub.db-wal", "golub.db-shm"]
    if empty_place.database_url:
        other = Settings.model_validate({"data_dir": tmp_path / "other", "database_url": empty_place.database_url})
        give_key(shop, other)
        with pytest.raises(Conflict, match="database is not empty"):
            await bring_back(path, other, shop.clock)


@pytest.mark.promise("P24")
@pytest.mark.parametrize("at_step", ["packing", "database"])
async def test_a_restore_that_was_cut_off_runs_again(shop: Village, empty_place: Settings, at_step: str) -> None:
    path = make(shop)
    give_key(shop, empty_place)

    def cut_off(step: str, share: float) -> None:
        if step == at_step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await backup.restore(path, empty_place, clock=shop.clock, tell=cut_off)
    assert backup.unfinished(empty_place.data_dir)
    with pytest.raises(Conflict, match="cut off"):
        Golub(empty_place)
    await bring_back(path, empty_place, shop.clock)
    assert not (empty_place.data_dir / UNFINISHED).exists()
    async with at(empty_place, shop) as parts:
        assert len(await texts(parts)) == 5


async def test_a_damaged_archive_is_known_by_the_drill(shop: Village, tmp_path: Path) -> None:
    path = make(shop, media=True)
    manifest = await commands.drill(path, clock=shop.clock, tell=silent)
    assert manifest.counts["messages"] == 3
    good = members(path)
    name = next(name for name in good if name.endswith(("golub.db", "messages.copy")))
    bad = tmp_path / "bad.zip"
    with zipfile.ZipFile(bad, "w") as written:
        for member, raw in good.items():
            written.writestr(member, raw[:-1] + b"!" if member == name else raw)
    with pytest.raises(Rejected, match="is damaged"):
        await commands.drill(bad, clock=shop.clock, tell=silent)
    bad.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(Rejected, match="no backup"):
        await commands.drill(bad, clock=shop.clock, tell=silent)


async def test_a_place_that_cannot_be_written_is_told(shop: Village, empty_place: Settings) -> None:
    path = make(shop)
    empty_place.data_dir.write_bytes(b"a file")
    with pytest.raises(Unavailable, match="could not be restored"):
        await bring_back(path, empty_place, shop.clock)


async def test_a_sqlite_elsewhere_is_not_what_a_restore_fills(shop: Village, tmp_path: Path) -> None:
    path = make(shop)
    elsewhere = Settings.model_validate(
        {"data_dir": tmp_path / "restored", "database_url": f"sqlite:///{tmp_path}/other.db"}
    )
    with pytest.raises(Invalid, match=r"unset GOLUB_DATABASE_URL|is of a PostgreSQL"):
        await bring_back(path, elsewhere, shop.clock)
    assert not elsewhere.data_dir.exists()


def test_a_member_that_unpacks_to_more_than_was_said_ends_at_once(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as written:
        written.writestr("golub.db", bytes(64 << 20))
    member = archive.Member("golub.db", 10, "")
    with archive.opened(bomb) as opened, pytest.raises(Rejected, match="is damaged"):
        archive.extract(opened, member, tmp_path / "golub.db", lambda _: None)
    assert (tmp_path / "golub.db").stat().st_size == 0


async def test_one_that_is_being_made_can_be_ended_within_a_table(shop: Village) -> None:
    """A server that stops waits for it: between two words must not lie a table of an hour."""
    told: Counter[str] = Counter()
    settings, vault = shop.parts.settings, shop.parts.vault
    (settings.data_dir / "outgoing").mkdir(exist_ok=True)
    (settings.data_dir / "outgoing" / "1.jpg").write_bytes(b"a photo")
    backup.make(settings, vault, Order(), clock=shop.clock, tell=lambda step, _: told.update([step]))
    if shop.parts.store.is_sqlite:
        assert told["packing"] > 3  # the spool, the database, what is sealed, and the photo
    else:
        tables = len(Table.metadata.tables)
        assert told["database"] >= 2 * tables - len(LEFT_OUT)


@ONE_DATABASE
async def test_a_command_waits_for_its_turn_where_a_page_gives_up(
    shop: Village, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside a server that applies without a pause, a backup of every night would else often come to nothing."""
    for patience in ("LOCK_WAIT", "CHECKOUT_WAIT"):
        monkeypatch.setattr(store, patience, 0.2)
    settings, vault = shop.parts.settings, shop.parts.vault
    page = store.Store(settings.effective_database_url)
    with closing(sqlite3.connect(settings.data_dir / "golub.db", isolation_level=None)) as outsider:
        outsider.execute("BEGIN IMMEDIATE")
        asked = asyncio.create_task(commands.back_up(settings, vault, Order(), clock=shop.clock, tell=silent))
        for _ in range(3):
            with pytest.raises(Unavailable):
                async with page.write():
                    pass
        assert not asked.done()
        outsider.execute("ROLLBACK")
    assert (await asked).path.exists()
    await page.close()


def test_names_that_lead_out_of_the_archive_are_refused() -> None:
    for name in ("../golub.db", "/etc/passwd", "media/../../x", "media\\..\\x", "passwd", ""):
        assert not archive._belongs(name), name
    assert archive._belongs("media/voice/7.mp4")
