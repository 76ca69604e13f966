"""The archive for asking for help: it says a lot, and nothing of it is a secret or anybody's words."""

import io
import json
import zipfile
from pathlib import Path

import pytest
import structlog
from sqlalchemy import text, update

from golub.clock import now
from golub.doctor import make_bundle
from golub.doctor.bundle import redacted
from golub.errors import Unavailable
from golub.model import Account, Role
from golub.store import Store
from golub.web.language import words
from tests.doctor import house, plants_avito
from tests.doctor.planting import PLANTS
from tests.guide.town import _logging

SAID = "Здравствуйте, позвоните мне, Канареев-7481"
PHONE = "+7 912 345-67-89"
TELEGRAM = "7481920365:AAHcanary-telegram-token-0123456789"


@pytest.mark.row(50)
async def test_no_canary_gets_out(tmp_path: Path, sqlite_url: str) -> None:
    assert plants_avito
    secrets = {
        "alert_url": "https://alerts.example.com/canary-hook",
        "telegram_token": TELEGRAM,
        "telegram_chat": "-7481",
    }
    async with house.opened(tmp_path, sqlite_url, **secrets) as home:
        with _logging(home.data):
            canaries = await _live(home)
            PLANTS["foreign_subscription"](home)
            found = await home.examine()
            packed = await make_bundle(home.parts.settings, home.store, found, words("ru"), now=now())
    archive = zipfile.ZipFile(io.BytesIO(packed))
    files = {name: archive.read(name).decode() for name in archive.namelist()}
    assert {canary: name for canary in canaries for name, file in files.items() if canary in file} == {}
    assert json.loads(files["database.json"])["rows"]["accounts"] == 1
    assert json.loads(files["settings.json"])["telegram_token"] == "set"
    assert json.loads(files["settings.json"])["public_url"] == "https://golub.example.ru"
    assert "test_bundle.py" in files["log.jsonl"]
    assert "a turn failed" in files["log.jsonl"]
    assert "foreign_subscription" in files["findings.json"]


async def _live(home: house.House) -> list[str]:
    """Everything that must not get out has been used, and some of it has got into the log."""
    parts = home.parts
    chat = home.sim.add_chat(home.shop, "Пётр Канареев")
    home.sim.buyer_says(chat, f"{SAID} {PHONE}")
    await home.applied()
    await home.post(b'{"canary-body": 1')
    await home.change(update(Account).values(name="Лавка канареек"))
    operator = await parts.operators.create(
        "canary-login", "canary-password-1", name="Мария Канарейкина", role=Role.ADMIN
    )
    link = await parts.operators.make_link("sign_in", operator.id)
    log = structlog.get_logger("golub.runner")
    try:
        async with home.store.read() as session:
            await session.execute(text("SELECT * FROM nowhere WHERE text = :text"), {"text": SAID})
    except Unavailable:
        log.exception("a turn failed", loop="backfill", reason=f"of {PHONE}", login="canary-login")
    webhook = await parts.subscriptions.get(home.account_id)
    url = await parts.subscriptions.url_of(webhook)
    log.info("the address", path=url, address="203.0.113.77", reason=f"for canary@example.com at {link}")
    return [
        SAID, "Канареев", PHONE, "912 345", TELEGRAM, TELEGRAM.partition(":")[2], "-7481", "canary-hook", "canary-body",
        "Лавка", "canary-login", "canary-password", "Канарейкина", operator.password_hash, link,
        url.rpartition("/")[2], home.shop.client_secret, home.shop.client_id, "203.0.113.77",
        "canary@example.com", parts.vault.check, (home.data / "secret.key").read_text().strip(), chat.id,
    ]  # fmt: skip


def test_a_line_that_is_no_line_of_ours_is_not_shown() -> None:
    assert redacted("Traceback (most recent call last): secret") == {"unread": 41}
    assert redacted('{"event": "x", "text": "hello", "account": 7}') == {"event": "x", "account": 7}
    assert redacted('["secret"]') == {"unread": 10}


def test_what_leads_in_is_blotted_even_where_it_looks_like_a_word() -> None:
    for path in ("/enter/abcdefghij", "/setup/abcdefghij", "/password/abcdefghij", "/webhook/avito/abcdefghij"):
        assert "abcdefghij" not in redacted(json.dumps({"path": path}))["path"]
    told = redacted(json.dumps({"reason": "no way to 2a00:1450:4010::5 at 12:51:30", "event": "from fe80::1"}))
    assert told == {"reason": "no way to *:* at 12:51:30", "event": "from *:*"}


async def test_it_is_made_without_a_database_too(tmp_path: Path, sqlite_url: str) -> None:
    async with house.opened(tmp_path, sqlite_url) as home:
        away = Store("postgresql://golub:canary@127.0.0.1:9/golub")
        packed = await make_bundle(home.parts.settings, away, [], words("en"), now=now())
        await away.close()
    archive = zipfile.ZipFile(io.BytesIO(packed))
    assert json.loads(archive.read("database.json")).keys() == {"unread"}
    assert b"canary" not in archive.read("database.json")
