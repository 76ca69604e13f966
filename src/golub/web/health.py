"""Health for supervisors and proxies: alive, ready with the reasons where not, and numbers."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import text

from golub import metrics
from golub.clock import MINUTE, SECOND, Millis
from golub.errors import NotFound, Unavailable
from golub.web.headers import is_loopback
from golub.web.parts import Given, Parts
from golub.web.session import address_of

router = APIRouter()

OLDEST_WAITING: Millis = MINUTE  # that a delivery may wait in the spool before apply counts as stuck


@router.get("/healthz/live")
async def live() -> JSONResponse:
    return JSONResponse({"status": "ok"})


@router.get("/healthz/ready")
async def ready(parts: Given) -> JSONResponse:
    reasons = await _reasons(parts)
    return JSONResponse({"status": "not ready" if reasons else "ok", "reasons": reasons}, 503 if reasons else 200)


@router.get("/metrics")
async def numbers(request: Request) -> Response:
    """Only for this machine: asked from it, by its own name. Through a proxy neither holds."""
    if not (is_loopback(address_of(request)) and is_loopback(request.url.hostname or "")):
        raise NotFound("There is no such page.")
    return Response(generate_latest(metrics.REGISTRY), media_type=CONTENT_TYPE_LATEST)


async def _reasons(parts: Parts) -> list[str]:
    reasons: list[str] = []
    try:
        async with parts.store.read() as session:
            await session.execute(text("SELECT 1 FROM operators LIMIT 1"))
    except Unavailable:
        reasons.append("database: does not answer")
    if parts.halted:
        reasons.append(parts.halted)
    oldest_at = parts.spool.oldest_at
    if oldest_at is not None and parts.clock() - oldest_at > OLDEST_WAITING:
        reasons.append(f"apply: the oldest delivery has waited {(parts.clock() - oldest_at) // SECOND} s")
    return reasons
