"""Logs: a sentence plus fields, as JSON lines in `logs/app.log` and readable on the console.

Message texts, tokens, secrets of webhook paths and phone numbers are never given to a logger; as a second guard, the
secret part of a webhook path, of a one-time link or of an API key is masked in whatever is, errors' own words included.
"""

import asyncio
import json
import logging
import logging.handlers
import re
import sys
from collections.abc import Iterable, Mapping, MutableMapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from golub.settings import WEBHOOK_PATH

FILE_BYTES = 10 << 20
FILES_KEPT = 5

RECEIPTS = "golub.received"

_as_json = json.JSONEncoder(ensure_ascii=False).encode
_TOKEN = re.compile(rf"({re.escape(WEBHOOK_PATH)}|/setup|/enter|/password)/[\w~.-]{{8,}}")
_API_KEY = re.compile(r"golub_[0-9a-f]{8,}")


def configure(folder: Path, level: str, *, console: bool = True) -> Path:
    """Sends every log line of the process to `folder/app.log` (rotated) and to the console. Returns the file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "app.log"
    steps: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.StackInfoRenderer(),
        _mask,
    ]
    file = logging.handlers.RotatingFileHandler(path, maxBytes=FILE_BYTES, backupCount=FILES_KEPT, encoding="utf-8")
    file.setFormatter(_formatter(steps, structlog.processors.JSONRenderer(ensure_ascii=False)))
    handlers: list[logging.Handler] = [file]
    if console:
        screen = logging.StreamHandler(sys.stderr)
        screen.addFilter(_not_a_receipt)
        # A plain traceback: the rich one prints local variables, and with them secrets.
        console_lines = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
        screen.setFormatter(_formatter(steps, console_lines))
        handlers.append(screen)
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
        old.close()
    for handler in handlers:
        handler.addFilter(_not_a_cancellation)
        root.addHandler(handler)
    root.setLevel(level.upper())
    for noisy in ("httpx2", "httpcore2", "alembic", "uvicorn.access", "asyncio", "PIL"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *steps, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    return path


def write_receipts(event: str, deliveries: Iterable[Mapping[str, Any]]) -> None:
    """A line for each into the file, all of them in one write: thousands may come in a second, and a line that goes
    through all steps by itself costs more than the webhook that it tells of."""
    logger = logging.getLogger(RECEIPTS)
    if not logger.isEnabledFor(logging.INFO):
        return
    time = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    first: dict[str, Any] = {"time": time, "level": "info", "event": event}
    lines = "\n".join(_as_json({**first, **fields, "logger": RECEIPTS}) for fields in deliveries)
    if not lines:
        return
    record = logger.makeRecord(RECEIPTS, logging.INFO, "", 0, event, (), None)
    record.ready = _TOKEN.sub(r"\1/***", lines) if "/" in lines else lines
    logger.handle(record)


class _Formatter(structlog.stdlib.ProcessorFormatter):
    def format(self, record: logging.LogRecord) -> str:
        ready: str | None = getattr(record, "ready", None)
        return super().format(record) if ready is None else ready


def _formatter(steps: list[structlog.typing.Processor], last: structlog.typing.Processor) -> logging.Formatter:
    ending: list[structlog.typing.Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
        _mask,  # once more: an error may quote an address
        _time_first,
    ]
    return _Formatter(foreign_pre_chain=steps, processors=[*ending, last])


def _time_first(_: Any, __: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """For the eye that follows the file: when, how bad, what; then the rest."""
    return {**{name: fields[name] for name in ("time", "level", "event") if name in fields}, **fields}


def _not_a_receipt(record: logging.LogRecord) -> bool:
    """One line a webhook belongs in the file; on a console it would drown everything else."""
    return record.name != RECEIPTS


def _not_a_cancellation(record: logging.LogRecord) -> bool:
    """Who is cancelled while his connection goes back to the pool, as loops are when we stop, costs that connection
    and nothing else; SQLAlchemy takes it for an error, with a traceback."""
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


def _mask(_: Any, __: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in fields.items():
        if isinstance(value, str) and ("/" in value or "golub_" in value):
            fields[name] = _API_KEY.sub("golub_***", _TOKEN.sub(r"\1/***", value))
    return fields
