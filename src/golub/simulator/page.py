"""The page where a person plays the buyer: four files, served with a policy that lets nothing else in."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

FOLDER = Path(__file__).parent / "page"
FILES = frozenset({"page.css", "page.js", "words.js", "icon.svg"})
HEADERS = {
    "content-security-policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    "cache-control": "no-cache",
    "x-content-type-options": "nosniff",
}


async def index(_request: Request) -> Response:
    return FileResponse(FOLDER / "index.html", headers=HEADERS)


async def part(request: Request) -> Response:
    name = request.path_params["name"]
    return FileResponse(FOLDER / name, headers=HEADERS) if name in FILES else Response(status_code=404)


ROUTES = (Route("/", index), Route("/_sim/page/{name}", part))
