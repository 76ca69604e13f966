"""What makes an application of the site on a phone or a desktop: its manifest, and the worker that stands between it
and the network. Open to anyone, and the same for all: nothing here is asked of the database, nor belongs to anybody."""

import hashlib
import json
from functools import cache
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response

from golub.web.language import DEFAULT_LOCALE, DEFAULT_ZONE, LOCALES, Reader, words
from golub.web.page import STATIC, asset, fragment
from golub.web.parts import Given

router = APIRouter()

KEPT = (".css", ".js", ".svg")
ICONS = (
    ("icon-192.png", "192x192", "any"),
    ("icon-512.png", "512x512", "any"),
    ("icon-round.png", "512x512", "maskable"),
)

Locale = Annotated[str, Query(max_length=8)]


@router.get("/manifest.webmanifest")
async def manifest(locale: Locale = "") -> JSONResponse:
    say = words(_known(locale))
    drawn = [
        {"src": asset(name), "sizes": sizes, "type": "image/png", "purpose": purpose} for name, sizes, purpose in ICONS
    ]
    return JSONResponse(
        {
            "id": "/inbox",
            "name": "Golub",
            "short_name": "Golub",
            "description": say("Your team's inbox for Avito"),
            "lang": _known(locale),
            "start_url": "/inbox",
            "scope": "/",
            "display": "standalone",
            "background_color": "#f4f3f0",
            "theme_color": "#12343b",
            "icons": [*drawn, {"src": asset("icon.svg"), "sizes": "any", "type": "image/svg+xml", "purpose": "any"}],
        },
        media_type="application/manifest+json",
        headers={"Cache-Control": "public, max-age=3600"},
    )


@router.get("/worker.js")
async def worker(locale: Locale = "") -> Response:
    """`static/worker.js`, told what to keep. It stands at the root, since a worker sees what is below its own path."""
    return Response(
        _worker(_known(locale)), media_type="text/javascript", headers={"Cache-Control": "public, no-cache"}
    )


@router.get("/offline")
async def offline(request: Request, parts: Given, locale: Locale = "") -> HTMLResponse:
    """What the worker keeps and shows while we cannot be reached."""
    reader = Reader(_known(locale), DEFAULT_ZONE, parts.clock())
    page = fragment(reader, "offline.html", request=request, operator=None, csrf="", theme="auto")
    return HTMLResponse(page, headers={"Cache-Control": "public, no-cache"})


def _known(locale: str) -> str:
    return locale if locale in LOCALES else DEFAULT_LOCALE


@cache
def _worker(locale: str) -> str:
    files = sorted(path.relative_to(STATIC).as_posix() for path in STATIC.rglob("*") if path.suffix in KEPT)
    assets = [asset(name) for name in files if name != "worker.js"]
    text = (STATIC / "worker.js").read_text()
    page = (STATIC.parent / "templates/offline.html").read_text()
    store = hashlib.sha256("\n".join([*assets, text, page]).encode()).hexdigest()[:12]
    told = {"store": f"golub-{store}", "assets": assets, "offline": f"/offline?locale={locale}"}
    return f"const golub = {json.dumps(told)};\n{text}"
