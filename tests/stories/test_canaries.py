"""Canaries in a real server: unique secrets are planted through its pages, its doors and its environment, its features
and errors are driven and the commands given beside it, and none of them is found in what others can read: log files,
what is printed, the process list, metrics, the stream, the bundle, the export and the backup.

Not looked at is a process's environment: its owner sets it, and the kernel shows it to him and root alone.
"""

import asyncio
import re
import secrets
import zipfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pyotp
import pytest
from sqlalchemy import select

from golub.app import open_vault
from golub.cli.people import create_operator
from golub.model import Account, Role
from golub.store import Store
from tests import postgres, processes
from tests.conftest import StartGolub
from tests.guide.page import Page
from tests.stories.scene import Scene, scene

pytestmark = pytest.mark.story

PROGRAM = ("/usr/bin/env", *processes.PROGRAM)  # a process from its very beginning, not one that was forked
ASKED = (
    "/inbox", "/inbox/search?q=канарейка", "/admin/status", "/admin/accounts", "/admin/webhooks", "/admin/deliveries",
    "/admin/alerts", "/admin/audit", "/admin/backups", "/admin/operators", "/admin/automation", "/reports", "/me",
    "/healthz/ready", "/nothing", "/inbox/999999", "/media/x/message/1/640",
)  # fmt: skip


@dataclass
class Birds:
    """`keys` let somebody in, `words` are a buyer's; `caught` says where one was heard."""

    keys: dict[str, str] = field(default_factory=dict[str, str])
    words: dict[str, str] = field(default_factory=dict[str, str])
    caught: set[str] = field(default_factory=set[str])
    heard: dict[str, int] = field(default_factory=dict[str, int])  # how much was searched, by place

    def key(self, name: str, value: str = "") -> str:
        return self.keys.setdefault(name, value or f"canary{secrets.token_hex(12)}")

    def word(self, name: str) -> str:
        return self.words.setdefault(name, f"слово{secrets.token_hex(6)}")

    def listen(self, where: str, told: str, *, words_too: bool = True, but: str = "") -> None:
        self.heard[where] = self.heard.get(where, 0) + len(told)
        planted = {**self.keys, **(self.words if words_too else {})}
        self.caught |= {f"{name} in {where}" for name, secret in planted.items() if name != but and secret in told}

    def watch(self, pid: int, where: str) -> None:
        """The command lines of a process and of all that it has started."""
        for one in _family(pid):
            try:
                line = Path(f"/proc/{one}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except (FileNotFoundError, ProcessLookupError):
                continue
            self.listen(f"the process list, {where}", line)


def _family(pid: int) -> list[int]:
    found = [pid]
    for one in found:
        for path in Path(f"/proc/{one}/task").glob("*/children"):
            try:
                found += [int(child) for child in path.read_text().split()]
            except (FileNotFoundError, ProcessLookupError):
                continue
    return found


async def command(town: Scene, birds: Birds, *words: str, fails: bool = False, **more: str) -> str:
    """Another `golub`, whose command line is read again and again until it ends. Returns what it said."""
    environment = processes._clean_environment() | town.golub.environment | more
    process = await asyncio.create_subprocess_exec(
        *PROGRAM, *words, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    ending = asyncio.create_task(process.communicate())
    while not ending.done():
        birds.watch(process.pid, words[0])
        birds.watch(town.golub.pid, "serve")
        await asyncio.wait([ending], timeout=0.1)  # between two looks
    said = (await ending)[0].decode()
    assert (process.returncode != 0) is fails, said
    birds.listen(f"what {words[0]} says", said, words_too=words[0] != "buyer")
    return said


async def plant(town: Scene, birds: Birds, client: httpx2.AsyncClient) -> int:
    """Returns the account's row."""
    (shop,) = town.simulator.world.accounts.values()
    birds.key("client secret", shop.client_secret)
    store = Store(town.settings.effective_database_url)
    async with store.read() as session:
        account = (await session.scalars(select(Account))).one()
    await store.close()
    if account.access_token:
        birds.key("access token", open_vault(town.settings).open(account.access_token))
    birds.key("path token", (shop.subscription or "").rpartition("/")[2])

    async def post(url: str, **data: str) -> httpx2.Response:
        return await client.post(url, data={"csrf": client.headers["x-csrf"], **data})

    wrong = {"client_id": "nobody", "client_secret": birds.key("wrong client secret")}
    await post("/admin/accounts", **wrong)
    await post(f"/admin/webhooks/{account.id}/relays", address=f"https://crm.example.com/{birds.key('relay address')}")
    signing = {"header": "x-signature", "secret": birds.key("signing secret")}
    await post(f"/admin/webhooks/{account.id}/signature/secrets", **signing)
    hook = {"url": f"https://hooks.example.com/{birds.key('alert address')}"}
    await post("/admin/alerts/channels/url", **hook)
    await post("/admin/alerts/channels/url/test")
    invited = await post("/admin/operators", login="petr", name="Пётр", role="manager")
    link = re.search(r"/password/([\w-]{20,})", invited.text)
    assert link, invited.text
    birds.key("invitation", link[1])
    await client.get(f"/password/{link[1]}")
    await client.get(f"/password/{birds.key('wrong invitation')}")
    await post("/me/second-factor")
    seed = re.search(r"\b[A-Z2-7]{4}( [A-Z2-7]{4}){7}\b", Page((await client.get("/me/second-factor")).text).text)
    assert seed
    birds.key("seed of the second factor", seed[0].replace(" ", ""))
    codes = await post("/me/second-factor/confirm", code=pyotp.TOTP(birds.keys["seed of the second factor"]).now())
    for number, code in enumerate(re.findall(r"<li>\s*([\w-]{8,})\s*</li>", codes.text)):
        birds.key(f"recovery code {number}", code)
    await post("/sign-in", login=birds.key("password typed as login"), password=birds.key("wrong password"))
    return account.id


async def drive(town: Scene, birds: Birds, client: httpx2.AsyncClient) -> None:
    chat = next(iter(town.simulator.world.chats.values()))
    town.simulator.buyer_says(chat, f"{birds.word('message')} +79{secrets.randbelow(10**9):09d}")
    town.simulator.emit(next(iter(town.simulator.world.accounts.values())), f'{{"a": "{birds.word("cut off")}'.encode())
    await town.simulator.idle()
    for path in (f"/webhook/avito/{birds.key('unknown path token')}", "/webhook/avito"):
        await client.post(path, content=f'{{"a": "{birds.word("stranger")}"}}')
    await client.post(f"/webhook/avito/{birds.keys['path token']}x", content="{}")
    for url in ASKED:
        answer = await client.get(url)
        assert answer.status_code < 500 or answer.status_code == 503, url
        birds.listen(f"the page {url}", answer.text, words_too=False, but="form token")
    form = {"csrf": client.headers["x-csrf"], "text": birds.word("reply"), "key": "k1"}
    await client.post("/inbox/1/reply", data=form)
    await client.post("/inbox/1/notes", data={**form, "text": birds.word("note"), "key": "k2"})
    await client.post("/admin/doctor", data=form)
    wanted = {"Authorization": f"Bearer {birds.keys['metrics token']}"}
    metrics = await client.get("/metrics", headers=wanted)
    assert "golub_webhook_seconds" in metrics.text
    birds.listen("the metrics", metrics.text)


@asynccontextmanager
async def panel(town: Scene, birds: Birds) -> AsyncGenerator[httpx2.AsyncClient]:
    """Signed in; `x-csrf` among the headers is the token that the pages' forms carry."""
    async with httpx2.AsyncClient(
        base_url=town.golub.url, headers={"Origin": town.golub.url}, trust_env=False, timeout=processes.PATIENCE
    ) as client:
        form = Page((await client.get("/sign-in")).text).form("/sign-in")
        filled = form.filled(login="vera", password=birds.keys["password"])
        assert (await client.post("/sign-in", data=dict(filled))).status_code == 303
        birds.key("cookie", client.cookies["session"])
        client.headers["x-csrf"] = birds.key("form token", _token(await client.get("/me")))
        yield client


def _token(answer: httpx2.Response) -> str:
    return next(value for form in Page(answer.text).forms for name, value in form.fields if name == "csrf")


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def test_no_canary_leaves_a_server(
    tmp_path: Path, start_golub: StartGolub, seed: int, database: str, request: pytest.FixtureRequest
) -> None:
    server: postgres.Postgres | None = request.getfixturevalue("postgres_server") if database == "postgres" else None
    birds = Birds()
    environment = {
        "GOLUB_TELEGRAM_TOKEN": f"123456:{birds.key('telegram token')}",
        "GOLUB_TELEGRAM_CHAT": "42",
        "GOLUB_SMTP_URL": f"smtps://robot:{birds.key('mail password')}@127.0.0.1:9/?from=robot@example.ru",
        "GOLUB_ALERT_EMAIL": "owner@example.ru",
        "GOLUB_METRICS_TOKEN": birds.key("metrics token"),
        "GOLUB_LOG_LEVEL": "debug",
    }
    url = server.create() if server else ""
    async with scene(tmp_path, start_golub, seed=seed, database_url=url, program=PROGRAM, **environment) as town:
        await create_operator(town.settings, "vera", "Вера", Role.SUPER_ADMIN, birds.key("password"))
        birds.key("secret key", (town.settings.data_dir / "secret.key").read_text().strip())
        async with panel(town, birds) as client, _streamed(client, birds):
            await plant(town, birds, client)
            await drive(town, birds, client)
            await command(town, birds, "operator", "add", "oleg", GOLUB_OPERATOR_PASSWORD=birds.key("oleg's password"))
            await command(town, birds, "operator", "list")
            await command(town, birds, "audit", "verify")
            await command(town, birds, "secrets", "rotate", fails=True)
            await command(town, birds, "spool", "drain", str(town.settings.data_dir), fails=True)
            passphrase = birds.key("passphrase of the backup")
            backup, export = tmp_path / "b.zip", tmp_path / "export.jsonl"
            await command(town, birds, "backup", "--with-secrets", str(backup), GOLUB_BACKUP_PASSPHRASE=passphrase)
            await command(town, birds, "export", "--deliveries", str(export))
            await command(town, birds, "buyer", "show", "/inbox/1")
            await command(town, birds, "buyer", "export", "/inbox/1", str(tmp_path / "buyer.zip"))
            await diagnose(town, birds, tmp_path / "bundle.zip")
        # A login that was tried is kept in the audit: it tells who was attacked.
        birds.listen("the backup", _unpacked(backup), words_too=False, but="password typed as login")
        birds.listen("the export", export.read_text(), words_too=False)
        birds.listen("the buyer's archive", _unpacked(tmp_path / "buyer.zip"), words_too=False)
        assert await town.golub.stop() == 0
        assert "sealed with the new key" in await command(town, birds, "secrets", "rotate")
        birds.key("new key", (town.settings.data_dir / "secret.key").read_text().split()[0])
        await town.golub.restart()
        async with httpx2.AsyncClient(base_url=town.golub.url, trust_env=False) as client:
            ready = (await client.get("/healthz/ready")).text
            assert "wrong_key" not in ready
        await diagnose(town, birds, tmp_path / "bundle-2.zip")
        assert await town.golub.stop() == 0
        birds.listen("what the server prints", "\n".join(town.golub.lines))
        for path in (town.settings.data_dir / "logs").iterdir():
            birds.listen("the log", path.read_text())
    if server:
        server.drop(url)
    empty = [where for where, length in birds.heard.items() if not length]
    assert not empty
    assert len(birds.keys) > 20
    assert not birds.caught, "\n".join(sorted(birds.caught))


async def diagnose(town: Scene, birds: Birds, bundle: Path) -> None:
    """The doctor finds what is wrong with a shop whose Avito answers errors alone, and packs it up."""
    await command(town, birds, "doctor", "--bundle", str(bundle), fails=True)
    birds.listen("the bundle", _unpacked(bundle))


@asynccontextmanager
async def _streamed(client: httpx2.AsyncClient, birds: Birds) -> AsyncGenerator[None]:
    """What an open page is told meanwhile."""

    async def hear(hello: asyncio.Event) -> None:
        async with client.stream("GET", "/stream", timeout=None) as answer:
            async for line in answer.aiter_lines():
                birds.listen("the stream", line)
                hello.set()

    hello = asyncio.Event()
    hearing = asyncio.create_task(hear(hello))
    async with asyncio.timeout(processes.PATIENCE):
        await hello.wait()
    try:
        yield
    finally:
        hearing.cancel()
        await asyncio.wait([hearing])


def _unpacked(path: Path) -> str:
    with zipfile.ZipFile(path) as archive:
        return "\n".join(archive.read(name).decode(errors="replace") for name in archive.namelist())
