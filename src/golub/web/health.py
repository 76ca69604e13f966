"""Health for supervisors and proxies: alive, ready with the reasons where not, and numbers."""

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from sqlalchemy import text

from golub.errors import Unavailable
from golub.web.parts import Given, Parts

router = APIRouter()

OLDEST_WAITING = 60_000  # ms that a delivery may wait in the spool before apply counts as stuck


@router.get("/healthz/live")
async def live() -> JSONResponse:
    return JSONResponse({"status": "ok"})


@router.get("/healthz/ready")
async def ready(parts: Given) -> JSONResponse:
    reasons = await _reasons(parts)
    return JSONResponse({"status": "not ready" if reasons else "ok", "reasons": reasons}, 503 if reasons else 200)


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
        reasons.append(f"apply: the oldest delivery has waited {(parts.clock() - oldest_at) // 1000} s")
    return reasons
