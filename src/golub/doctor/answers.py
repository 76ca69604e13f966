"""What an answer of the webhook's address means: a proxy's, a filter's, a stranger's, or our own."""

import json
import re
from typing import Any

from golub.doctor import way_faults as faults
from golub.doctor.finding import Fault
from golub.doctor.reach import PATIENCE, Answer
from golub.settings import WEBHOOK_PATH
from golub.subscription.url import PROBE_LIMIT

_LOCATION = 200  # characters of it that are shown
_SECRET = re.compile(re.escape(WEBHOOK_PATH) + r"/[^/]+")

_BY_STATUS = {
    401: faults.PASSWORD_ASKED,
    403: faults.FORBIDDEN,
    405: faults.METHOD_REFUSED,
    407: faults.PASSWORD_ASKED,
    429: faults.TOO_MANY,
    502: faults.PROXY_ALONE,
    504: faults.PROXY_ALONE,
}


def fault_of(answer: Answer) -> tuple[Fault | None, dict[str, Any]]:
    """What is wrong with it, and what stands in the fault's places; None where it is as Avito demands."""
    if answer.failure == "timeout":
        return faults.NO_ANSWER, {"seconds": round(PATIENCE)}
    if answer.failure:
        return faults.BROKEN_OFF, {}
    status = answer.status
    fields: dict[str, Any] = {"status": status}
    if status == 200:
        if not is_json(answer):
            return faults.NOT_OURS, {"kind": answer.headers.get("content-type", "?").partition(";")[0][:60]}
        return (faults.SLOW, {"ms": answer.took}) if answer.took > PROBE_LIMIT else (None, {})
    if 300 <= status < 400:
        return faults.REDIRECTED, {**fields, "location": _shown(answer.headers.get("location", "?"))}
    if status in {403, 503} and ("cf-mitigated" in answer.headers or answer.headers.get("server") == "cloudflare"):
        return faults.CDN_BLOCKS, fields
    if status in {404, 503} and _is_our_refusal(answer):
        return (faults.NOT_KNOWN if status == 404 else faults.CANNOT_STORE), fields
    if status == 404:
        return faults.NOT_FORWARDED, fields
    if status == 503:
        return faults.PROXY_ALONE, fields
    return _BY_STATUS.get(status, faults.FAILS), fields


def is_json(answer: Answer) -> bool:
    """Whether it is our `{"status": "ok", …}`."""
    return _object(answer.beginning).get("status") == "ok"


def _is_our_refusal(answer: Answer) -> bool:
    return set(_object(answer.beginning)) == {"error"} and "x-frame-options" in answer.headers


def _object(beginning: bytes) -> dict[str, Any]:
    try:
        found: Any = json.loads(beginning)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}  # pyright: ignore[reportUnknownVariableType]


def _shown(location: str) -> str:
    """Without a query and the webhook's secret."""
    shown = _SECRET.sub(WEBHOOK_PATH + "/***", location.partition("?")[0])
    return "".join(char for char in shown if char.isprintable())[:_LOCATION]
