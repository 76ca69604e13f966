"""Canaries: unique secrets and buyers' words are planted wherever Golub takes them, every page, command and error is
driven, and then everything that leaves Golub, or lies where others read, is searched for them."""

import io
import json
import re
import secrets
import zipfile
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest
from prometheus_client import generate_latest
from sqlalchemy import select, text

from golub import metrics
from golub.audit import CONSOLE
from golub.backup import Order
from golub.backup.commands import back_up
from golub.buyers import export_buyer, get_buyer
from golub.buyers.exporting import Place
from golub.clock import MINUTE
from golub.doctor.bundle import make_bundle
from golub.export import export
from golub.journal import Wanted
from golub.model import (
    Account,
    AuditEntry,
    Cause,
    Chat,
    Delivery,
    DeliveryState,
    Message,
    Relay,
    ReplayKind,
    Role,
    Sealed,
    Table,
)
from golub.subscription import token_of
from golub.web.access import ACCESS
from golub.web.keeping import files_of
from golub.web.language import words
from golub.web.parts import Parts
from tests.conftest import SteppedClock
from tests.guide.town import _logging  # pyright: ignore[reportPrivateUsage]
from tests.village import Village, village
from tests.web.conftest import Browser, Visit
from tests.web.test_access import doors

# Whoever may see the whole address of a webhook sees it there, and the audit is told.
REVEALS = {"/api/admin/webhooks": "path token", "/admin/webhooks/{account_id}/url": "path token"}
ENDLESS = ("/stream",)  # a page that never ends; its parts are those of the others
KEY = secrets.token_urlsafe(32)


@dataclass
class Birds:
    """`keys` let somebody in; `words` are somebody's, and pages for the team show them."""

    keys: dict[str, str] = field(default_factory=dict[str, str])
    words: dict[str, str] = field(default_factory=dict[str, str])

    def key(self, name: str, value: str = "") -> str:
        return self.keys.setdefault(name, value or f"canary{secrets.token_hex(12)}")

    def word(self, name: str) -> str:
        return self.words.setdefault(name, f"слово{secrets.token_hex(6)}")

    def phone(self, name: str) -> str:
        return self.words.setdefault(name, f"+79{secrets.randbelow(10**9):09d}")

    def sing(self, where: str, told: str, *, words_too: bool = False, but: str = "") -> list[str]:
        planted = {**self.keys, **(self.words if words_too else {})}
        return [f"{name} in {where}" for name, secret in planted.items() if name != but and secret in told]


@pytest.fixture
def birds() -> Birds:
    return Birds()


@pytest.fixture
async def town(database_url: str, tmp_path: Path, clock: SteppedClock, birds: Birds) -> AsyncGenerator[Village]:
    password = birds.key("mail password")
    chosen = {
        "secret_key": birds.key("key", KEY),
        "telegram_token": f"123456:{birds.key('telegram token')}",
        "telegram_chat": "42",
        "smtp_url": f"smtps://robot:{password}@127.0.0.1:9/?from=robot@example.ru",
        "alert_email": "owner@example.ru",
        "metrics_token": birds.key("metrics token"),
        "log_level": "debug",
    }
    with _logging(tmp_path):
        async with village(database_url, tmp_path, clock, **chosen) as made:
            yield made


@pytest.fixture
def parts(town: Village) -> Parts:
    return town.parts


async def plant(town: Village, birds: Birds, owner: Browser, origin: str) -> None:
    """Through the pages and doors by which people and Avito bring them in."""
    parts = town.parts
    made = await owner.post("/me/api-keys", {"name": "CRM", "scopes": "webhooks:read"})
    birds.key("API key", re.findall(r"golub_[0-9a-f]{64}", made.text)[0])
    birds.key("wrong API key", f"golub_{secrets.token_hex(32)}")
    for name in ("API key", "wrong API key"):
        assert (await with_key(owner, birds, name)).status_code == (404 if name == "API key" else 401)
    birds.key("client secret", town.seller.client_secret + secrets.token_hex(8))
    shop = town.sim.add_account(555_111, "Второй", client_secret=birds.keys["client secret"])
    keys = {"client_id": shop.client_id, "client_secret": shop.client_secret}
    assert (await owner.post("/admin/accounts", keys)).status_code == 303
    wrong = {"client_id": shop.client_id, "client_secret": birds.key("wrong client secret")}
    assert (await owner.post("/admin/accounts", wrong)).status_code >= 400
    url = await town.register()
    birds.key("path token", token_of(url) or "")
    async with parts.store.read() as session:
        account = await session.get_one(Account, town.account_id)
    birds.key("access token", parts.vault.open(account.access_token or Sealed(b"")))

    password = birds.key("password")
    await parts.operators.create("anna", password, name="Анна", role=Role.ADMIN)
    for typed in (password, birds.key("wrong password")):
        await owner.post("/sign-in", {"login": "anna", "password": typed}, headers={"Cookie": ""})
    await owner.post("/sign-in", {"login": birds.key("password typed as login"), "password": "x"})
    anna = next(one for one in await parts.operators.list_all() if one.login == "anna")
    birds.key("one-time link", await parts.operators.make_link("password", anna.id))
    await owner.get(f"/password/{birds.keys['one-time link']}x")

    hook = {"url": f"https://hooks.example.com/{birds.key('alert address')}", "secret": birds.key("alert secret")}
    assert (await owner.post("/admin/alerts/channels/url", hook)).status_code in (303, 400)
    address = {"address": f"https://crm.example.com/in/{birds.key('relay address')}"}
    await owner.post(f"/admin/webhooks/{town.account_id}/relays", address)

    chat = town.sim.add_chat(town.seller, birds.word("buyer's name"), buyer_id=777_123_456)
    said = f"{birds.word('message')} {birds.phone('phone in a message')}"
    message = town.sim.buyer_says(chat, said)
    town.sim.buyer_says(chat, "", "voice")
    town.sim.edit(message, f"{said} {birds.word('edit')}")
    broken = {"payload": {"type": "message", "value": {"id": 5, "content": {"text": birds.phone("broken delivery")}}}}
    town.sim.emit(town.seller, json.dumps(broken).encode())
    town.sim.emit(town.seller, f'{{"cut off": "{birds.phone("cut off delivery")}'.encode())
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(town.golub.asgi), base_url=origin) as stranger:
        for path in (f"/webhook/avito/{birds.key('unknown path token')}", "/webhook/avito"):
            await stranger.post(path, content=f'{{"a": "{birds.phone("stranger")}"}}')
    await town.arrived()
    await town.work()


async def with_key(browser: Browser, birds: Birds, name: str) -> httpx2.Response:
    headers = {"Cookie": "", "Authorization": f"Bearer {birds.keys[name]}"}
    return await browser.get(f"/api/admin/webhooks?account={birds.keys[name]}", headers=headers)


async def use(town: Village, birds: Birds, owner: Browser) -> dict[str, str]:
    """What a team does with it. Returns what stands for the places in addresses."""
    parts = town.parts
    async with parts.store.read() as session:
        chat = (await session.scalars(select(Chat).where(Chat.buyer_id == 777_123_456))).one()
        message = (await session.scalars(select(Message).where(Message.chat_id == chat.id).limit(1))).one()
        delivery = (
            await session.scalars(select(Delivery.id).where(Delivery.state == DeliveryState.QUARANTINED).limit(1))
        ).one()
        relay = await session.scalar(select(Relay.id))
    place = f"/inbox/{chat.id}"
    await owner.post(f"{place}/reply", {"text": birds.phone("reply"), "key": "k1"})
    await owner.post(f"{place}/notes", {"text": birds.phone("note"), "key": "k2"})
    await owner.post(f"{place}/buyer-note", {"text": birds.phone("buyer note"), "seen": "0"})
    await owner.post(f"{place}/draft", {"text": birds.phone("draft"), "version": "0"})
    await owner.post("/quick-replies", {"name": "адрес", "texts": birds.phone("quick reply")})
    await owner.get("/inbox/search", params={"q": birds.words["phone in a message"]})
    await owner.get("/admin/deliveries", params={"text": birds.words["phone in a message"]})
    await owner.get("/admin/buyers", params={"q": birds.words["buyer's name"]})
    looked_for = Wanted(text=birds.phone("looked for in the journal"))
    replay_id = await parts.replays.start(ReplayKind.APPLY, looked_for, CONSOLE)
    while await parts.replays.run_once() is not None:
        town.clock.step(100)
    while await parts.outbox.run_once() is not None:
        town.clock.step(100)
    return {
        "chat_id": str(chat.id),
        "message_id": str(message.id),
        "account_id": str(town.account_id),
        "delivery_id": bytes(delivery).hex(),
        "relay_id": str(relay or 1),
        "replay_id": str(replay_id),
        "kind": "url",
        "figure": "days",
    }


def fill(path: str, places: dict[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: places.get(found[1], "1"), path)


async def drive(visit: Visit, birds: Birds, places: dict[str, str], roles: Sequence[Role | None]) -> list[str]:
    """Every address as these: the pages that there are, and what each says to a request that makes no sense."""
    caught: list[str] = []
    for role in roles:
        browser = await visit(role)
        if role:
            birds.key(f"cookie of a {role}", browser.client.cookies.get("session") or "")
        for method, path in doors():
            if path in ENDLESS or path == "/sign-out":
                continue
            known = {name: value for name, value in places.items() if method == "GET" or name == "kind"}
            url = fill(path, known if method == "GET" else {**known, **dict.fromkeys(PLACES_OF_ROWS, "999999")})
            senseless = {"csrf": browser.csrf, "text": "x" * 5000, "name": "x" * 3000} if method != "GET" else None
            answer = await browser.client.request(method, url, data=senseless)
            shown = f"{answer.text}\n{[one for one in answer.headers.items() if one[0] != 'set-cookie']}"
            caught += birds.sing(f"{method} {url} as {role}", shown, but=REVEALS.get(path, ""))
    return caught


PLACES_OF_ROWS = {name for path in ACCESS for name in re.findall(r"\{(\w+_id)\}", path)}


async def break_it(town: Village, birds: Birds, owner: Browser, places: dict[str, str]) -> list[str]:
    """The database refuses in the middle of what brings words and secrets to it."""
    for table in (
        "notes",
        "drafts",
        "quick_replies",
        "alert_channels",
        "buyer_notes",
        "labels",
        "messages",
        "api_keys",
    ):
        await refuse(town, table)
    town.clock.step(MINUTE)  # a key's use is noted once a minute
    failed_by_key = await with_key(owner, birds, "API key")
    assert failed_by_key.status_code == 500
    place = f"/inbox/{places['chat_id']}"
    asked = [
        (f"{place}/notes", {"text": birds.phone("note that failed"), "key": "k3"}),
        (f"{place}/draft", {"text": birds.phone("draft that failed"), "version": "0"}),
        (f"{place}/buyer-note", {"text": birds.phone("buyer note that failed"), "seen": "0"}),
        ("/quick-replies", {"name": "сбой", "texts": birds.phone("quick reply that failed")}),
        ("/admin/labels", {"name": birds.word("label that failed"), "colour": "#aabbcc"}),
        ("/admin/alerts/channels/url", {"url": f"https://hooks.example.com/{birds.key('address that failed')}"}),
        (f"/password/{birds.key('link that failed')}", {"password": birds.key("password that failed"), "again": "x"}),
    ]
    caught = birds.sing("the failure of a request with a key", failed_by_key.text, words_too=True)
    failed = 0
    for url, data in asked:
        answer = await owner.post(url, data)
        failed += answer.status_code >= 500
        caught += [
            f"{name} in the failure of {url}"
            for name, one in birds.keys.items()
            if one in answer.text and one not in url  # a form on a link's page leads to that link
        ]
        if answer.status_code >= 500:
            caught += birds.sing(f"the failure of {url}", answer.text, words_too=True)
    assert failed >= 4
    chat = next(chat for chat in town.sim.world.chats.values() if chat.buyer_id == 777_123_456)
    town.sim.buyer_says(chat, birds.phone("message that failed"))
    await town.arrived()
    async with town.parts.store.read() as session:
        refused = await session.scalars(select(Delivery.detail).where(Delivery.cause == Cause.ROW_ERROR))
        details = list(refused)
    assert details
    return [*caught, *birds.sing("the quarantine's detail", "\n".join(details), words_too=True)]


async def refuse(town: Village, table: str) -> None:
    """From now on no row of it can be written, and the database says why: PostgreSQL quotes the whole row."""
    async with town.parts.store.write() as session:
        if town.parts.store.is_sqlite:
            never = "BEGIN SELECT RAISE(ABORT, 'never'); END"
            for how in ("INSERT", "UPDATE"):
                await session.execute(text(f"CREATE TRIGGER never_{how}_{table} BEFORE {how} ON {table} {never}"))
        else:
            await session.execute(text(f"ALTER TABLE {table} ADD CONSTRAINT never CHECK (false) NOT VALID"))


async def everything_at_rest(town: Village) -> str:
    told: list[str] = []
    async with town.parts.store.read() as session:
        for table in Table.metadata.sorted_tables:
            for row in await session.execute(select(table)):
                told += [one.decode(errors="replace") if isinstance(one, bytes) else str(one) for one in row]
    return "\n".join(told)


async def test_no_canary_gets_out(town: Village, birds: Birds, visit: Visit, tmp_path: Path) -> None:
    parts, owner = town.parts, await visit(Role.SUPER_ADMIN)
    await plant(town, birds, owner, "https://golub.example.ru")
    places = await use(town, birds, owner)
    # Who may see what is the same on both databases; whoever may do all meets the words of both.
    everybody = (None, *Role) if parts.store.is_sqlite else (Role.SUPER_ADMIN,)
    caught = await drive(visit, birds, places, everybody)

    async with parts.store.read() as session:
        entries = "\n".join(
            f"{one.who} {one.subject} {one.before} {one.after}" for one in await session.scalars(select(AuditEntry))
        )
        buyer = await get_buyer(session, int(places["chat_id"]))
    # A login that was tried is kept: it tells who was attacked.
    caught += birds.sing("the audit", entries, words_too=True, but="password typed as login")
    caught += birds.sing("the metrics", generate_latest(metrics.REGISTRY).decode(), words_too=True)
    caught += birds.sing("the database", await everything_at_rest(town), but="password typed as login")

    whole = tmp_path / "export.jsonl"
    await export(parts.store, whole, deliveries=True, clock=town.clock, tell=lambda _kind, _share: None)
    caught += birds.sing("the export", whole.read_text())
    his = Place(tmp_path / "buyer.zip", parts.settings.data_dir / "media")
    await export_buyer(parts.store, buyer, his, CONSOLE, deliveries=True, files_of=files_of, clock=town.clock)
    caught += birds.sing("the buyer's archive", _unpacked(his.to.read_bytes()))
    findings = parts.doctor.last.findings if parts.doctor.last else []
    bundle = await make_bundle(parts.settings, parts.store, findings, words("en"), now=town.clock())
    caught += birds.sing("the bundle", _unpacked(bundle), words_too=True)
    if parts.store.is_sqlite:
        made = await back_up(
            parts.settings, parts.vault, Order(to=tmp_path / "b.zip"), clock=town.clock, tell=lambda _step, _share: None
        )
        caught += birds.sing("the backup", _unpacked(made.path.read_bytes()), but="password typed as login")

    caught += await break_it(town, birds, owner, places)
    bundle = await make_bundle(parts.settings, parts.store, findings, words("en"), now=town.clock())
    caught += birds.sing("the bundle after failures", _unpacked(bundle), words_too=True)
    written = "".join(path.read_text() for path in (tmp_path / "logs").iterdir())
    assert "Traceback" in written
    assert "webhook received" in written
    for name, secret in {**birds.keys, **birds.words}.items():
        for line in written.splitlines():
            if secret in line:
                caught.append(f"{name} in the log: {line[:200]}")
                break
    assert not caught, "\n".join(caught)


def _unpacked(raw: bytes) -> str:
    archive = zipfile.ZipFile(io.BytesIO(raw))
    return "\n".join(archive.read(name).decode(errors="replace") for name in archive.namelist())
