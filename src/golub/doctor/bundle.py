"""The archive for asking for help: what the doctor found, versions, settings, the schema, counts, the log's last lines.

It promises that nothing in it is a secret or anybody's words: no message, token, key, password, phone, address of a
person, no buyer's and no shop's name. Of settings and log lines only what is listed here is kept as it is; all other
text is blotted where it looks like any of those, and of an error in the log only its kind and the places in the code.
"""

import asyncio
import io
import json
import platform
import re
import sqlite3
import zipfile
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import distributions
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import SQLAlchemyError

from golub import __version__
from golub.clock import Millis
from golub.doctor.finding import Finding, Said, Words
from golub.doctor.stored import is_there, read_waiting
from golub.doctor.telling import tell
from golub.errors import Unavailable
from golub.migrations import OLDEST_BINARY, revision_of
from golub.model import Mark, Table
from golub.settings import Settings
from golub.store import Store

LOG_LINES = 500
COUNTED_WITHIN = 5.0  # seconds of the database: rows that take longer stay uncounted

# Settings that are shown as they are; of any other only whether it is set.
_OPEN_SETTINGS = frozenset(
    {"host", "port", "role", "sweep_period", "bare_path", "allow_loopback_webhook", "requests_per_minute",
     "spool_quota_mb", "log_level", "session_cookie_secure", "trusted_proxies", "data_dir", "backup_every",
     "backup_keep_days", "backup_keep_weeks", "avito_url", "public_url"}
)  # fmt: skip
# Fields of a log line that are shown as they are. They hold words of ours, numbers and our own ids.
_OPEN_FIELDS = frozenset(
    {"time", "level", "logger", "event", "account", "part", "loop", "cause", "state", "status", "path", "bytes",
     "received_at", "attempts", "count", "version", "types", "kind", "method", "role", "messages"}
)  # fmt: skip
_FRAME = re.compile(r'\s+File "[^"]*[/\\](?P<file>[^/\\"]+)", line (?P<line>\d+), in (?P<name>\S+)')
_KIND = re.compile(r"(?:\s*\|\s*)?(?P<kind>[A-Za-z_][\w.]*(?:Error|Exception|Exit|Interrupt|Unavailable|Rejected))\b")
_BLOTS = (
    (re.compile(r"(/(?:webhook/avito|setup|enter|password)/)[^\s\"'/?]+"), r"\1***"),
    (re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+"), "***@***"),
    (re.compile(r"(?<![\w.])\+?\d[\d\s()\-]{8,}\d(?![\w.])"), "***"),  # a phone, or an id as long as one
    (re.compile(r"(?=[\w~/+=-]*\d)[\w~/+=-]{20,}"), "***"),  # a token, a key, a hash
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b"), "*.*.*.*"),
    (re.compile(r"(?i)(?<![\w:])(?:[0-9a-f]{1,4}:){3,7}[0-9a-f:]+|(?<![\w:])(?:[0-9a-f]{1,4}:)+:[0-9a-f:]*"), "*:*"),
    (re.compile(r"[«\"“'‘„][^»\"”'’“]*[»\"”'’“]"), "“***”"),  # whatever somebody is quoted with
)


async def make_bundle(
    settings: Settings, store: Store, findings: Sequence[Finding], words: Words, *, now: Millis
) -> bytes:
    """A zip of a few dozen kilobytes. What cannot be read is left out, and said so in its place."""
    findings = [_without_names(finding) for finding in findings]
    parts = {
        "findings.txt": tell(findings, words),
        "findings.json": _json([finding.as_json(words) for finding in findings]),
        "versions.json": _json(await asyncio.to_thread(_versions)),
        "settings.json": _json(_settings(settings)),
        "database.json": _json(await _database(store)),
        "spool.json": _json(await asyncio.to_thread(_spool, settings.data_dir)),
        "log.jsonl": await asyncio.to_thread(_log, settings.data_dir / "logs" / "app.log"),
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            made = zipfile.ZipInfo(name, datetime.fromtimestamp(now / 1000, UTC).timetuple()[:6])
            archive.writestr(made, text, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def _without_names(finding: Finding) -> Finding:
    """A shop is told by its number. What Avito and the database said stands between blots."""
    number = finding.what.fields.get("account_id")
    shop = f"#{number}" if number else "#"
    fields = dict(finding.what.fields)
    if "shop" in fields:
        fields["shop"] = shop
    if isinstance(reason := fields.get("reason"), str):
        fields["reason"] = _blotted(reason)
    return replace(finding, what=Said(finding.what.message, fields), account=shop if finding.account else "")


def _versions() -> dict[str, Any]:
    return {
        "golub": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "sqlite": sqlite3.sqlite_version,
        "packages": dict(sorted((one.name, one.version) for one in distributions() if one.name)),
    }


def _settings(settings: Settings) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if name in _OPEN_SETTINGS:
            told[name] = _plain(value)
        elif name == "database_url":
            told[name] = urlsplit(settings.effective_database_url).scheme
        else:
            told[name] = "set" if _is_set(value) else ""
    return told


def _is_set(value: Any) -> bool:
    return bool(value.get_secret_value() if isinstance(value, SecretStr) else value)


def _plain(value: Any) -> Any:
    if isinstance(value, bool | int | float | None):
        return value
    if isinstance(value, tuple):
        return [str(one) for one in value]  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    return str(value)


async def _database(store: Store) -> dict[str, Any]:
    if not is_there(store):
        return {"unread": "there is none yet"}
    try:
        async with store.read(within=COUNTED_WITHIN) as session:
            return await (await session.connection()).run_sync(_schema)
    except (Unavailable, SQLAlchemyError, OSError) as error:
        return {"unread": type(error).__name__}


def _schema(connection: Connection) -> dict[str, Any]:
    told = {
        "dialect": connection.dialect.name,
        "schema": revision_of(connection),
        "oldest_binary": connection.execute(select(Mark.value).where(Mark.name == OLDEST_BINARY)).scalar_one_or_none(),
    }
    counts: dict[str, Any] = {}
    for table in Table.metadata.sorted_tables:
        try:
            counts[table.name] = connection.execute(select(func.count()).select_from(table)).scalar_one()
        except SQLAlchemyError as error:
            counts[table.name] = type(error).__name__
    return {**told, "rows": counts}


def _spool(folder: Path) -> dict[str, Any]:
    try:
        waiting = read_waiting(folder / "spool.db")
    except sqlite3.Error as error:
        return {"unread": type(error).__name__}
    return {"waiting": waiting.count, "bytes": waiting.size, "oldest_at": waiting.oldest_at}


def _log(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            newest = deque(file, LOG_LINES)
    except OSError as error:
        return f"{type(error).__name__}\n"
    return "".join(json.dumps(redacted(line), ensure_ascii=False) + "\n" for line in newest)


def redacted(line: str) -> dict[str, Any]:
    """One line of the log as it may be shown to a stranger."""
    try:
        told: Any = json.loads(line)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        return {"unread": len(line)}
    kept: dict[str, Any] = {}
    for name, value in told.items():  # pyright: ignore[reportUnknownVariableType]
        if name == "exception":
            kept[name] = _places(str(value))  # pyright: ignore[reportUnknownArgumentType]
        elif name in _OPEN_FIELDS or name in {"reason", "error"}:
            kept[str(name)] = _blotted(value) if isinstance(value, str) and name != "time" else value  # pyright: ignore[reportUnknownArgumentType]
    return kept


def _places(traceback: str) -> list[str]:
    """Kinds of errors and places in the code: what an error says of itself may be a row of the database."""
    found: list[str] = []
    for line in traceback.splitlines():
        if frame := _FRAME.match(line.replace("|", " ", 1)):
            found.append(f"{frame['file']}:{frame['line']} {frame['name']}")
        elif kind := _KIND.match(line):
            found.append(kind["kind"])
    return found[-60:]


def _blotted(text: str) -> str:
    for pattern, blot in _BLOTS:
        text = pattern.sub(blot, text)
    return text


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"
