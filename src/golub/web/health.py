"""Health for supervisors and monitoring: alive, ready with the reasons where not, and numbers."""

import hmac

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from golub import metrics
from golub.errors import NotFound
from golub.settings import Settings
from golub.web.headers import is_loopback
from golub.web.parts import Given
from golub.web.session import address_of

router = APIRouter()

OK, DEGRADED, NOT_READY = "ok", "degraded", "not ready"


@router.get("/healthz/live")
async def live() -> JSONResponse:
    """The process turns. A proxy passes webhooks on for as long as this is 200."""
    return JSONResponse({"status": OK})


@router.get("/healthz/ready")
async def ready(parts: Given) -> JSONResponse:
    """503 where this process cannot do its work; 200 and `degraded` where something else needs a person; and why."""
    found = await parts.health.reasons()
    severe = any(reason.severe for reason in found)
    told = [{"code": reason.code, "text": str(reason), "severe": reason.severe} for reason in found]
    status = NOT_READY if severe else DEGRADED if found else OK
    return JSONResponse({"status": status, "reasons": told}, 503 if severe else 200)


@router.get("/metrics")
async def numbers(request: Request, parts: Given) -> Response:
    """For this machine, asked from it by its own name, or for whoever has the token; anybody else gets 404."""
    local = is_loopback(address_of(request)) and is_loopback(request.url.hostname or "")
    if not (local or _has_token(request, parts.settings)):
        raise NotFound("There is no such page.")
    return Response(generate_latest(metrics.REGISTRY), media_type=CONTENT_TYPE_LATEST)


def _has_token(request: Request, settings: Settings) -> bool:
    wanted = settings.effective_metrics_token
    given = request.headers.get("authorization", "")
    return bool(wanted) and hmac.compare_digest(given.encode(), f"Bearer {wanted}".encode())
