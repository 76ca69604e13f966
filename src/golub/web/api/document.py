"""`/api/openapi.json`: the API as a document for programs, made out of the routes, the table of access and the shapes.

It holds nothing of this installation; all the same only operators and their keys may read it.
"""

from functools import cache
from typing import Any

from fastapi import APIRouter
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute

from golub import __version__
from golub.web.access import ACCESS, ANY_KEY, SCOPES
from golub.web.api import chats, webhooks
from golub.web.api.shapes import OK, answers
from golub.web.session import COOKIE, Signed

PATH = "/api/openapi.json"
ABOUT = (
    "Send `Authorization: Bearer golub_…`, a key that an operator made on his profile's page, or an operator's session "
    "cookie; never both. A key acts in its operator's name and never does more than he may at that moment."
)

router = APIRouter()


@router.get(PATH, responses=answers(OK, dict[str, Any]))
async def read(_: Signed) -> JSONResponse:
    """This document."""
    return JSONResponse(document())


@cache
def document() -> dict[str, Any]:
    """OpenAPI 3.1 of every address under `/api/`. A test holds it against the routes."""
    ours = [
        route
        for part in (webhooks.router, chats.router, router)
        for route in part.routes
        if isinstance(route, APIRoute)
    ]
    made = get_openapi(
        title="Golub", version=__version__, description=ABOUT, routes=ours, separate_input_output_schemas=False
    )
    schemas = made["components"]["schemas"]
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    made["components"]["securitySchemes"] = {
        "key": {"type": "http", "scheme": "bearer", "description": "Scopes are those of the key."},
        "session": {"type": "apiKey", "in": "cookie", "name": COOKIE},
    }
    for route in ours:
        for method in route.methods or ():
            operation = made["paths"][route.path][method.lower()]
            if 422 not in route.responses:  # FastAPI adds one of its own where there are parameters at all
                operation["responses"].pop("422", None)
            _guard(operation, method, route.path)
    return made


def _guard(operation: dict[str, Any], method: str, path: str) -> None:
    scope = SCOPES.get((method, path))
    ways: list[dict[str, list[str]]] = [{"session": []}]
    if scope is not None:
        ways.append({"key": [] if scope is ANY_KEY else [str(scope)]})
    operation["security"] = ways
    operation["x-role"] = str(ACCESS[path])
