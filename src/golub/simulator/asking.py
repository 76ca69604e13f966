"""How the control API is asked: a JSON object in, JSON out, and every mistake told in words."""

import json
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn, cast

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from golub.simulator import wire
from golub.simulator.gate import Refused

Handler = Callable[[Request, dict[str, Any]], Awaitable[Any]]


def endpoint(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """Wraps a handler, which returns JSON, (status, JSON) or a response of its own."""

    async def answer(request: Request) -> Response:
        try:
            found = await handler(request, await _object(request))
        except Refused as refused:
            return JSONResponse(refused.body, refused.status)
        except (ValueError, TypeError, KeyError) as problem:
            return JSONResponse({"error": f"{type(problem).__name__}: {problem}"}, 400)
        if isinstance(found, Response):
            return found
        status, body = cast("tuple[int, Any]", found) if isinstance(found, tuple) else (200, found)
        return Response(wire.encoded(body), status, media_type="application/json")

    return answer


def only(body: dict[str, Any], *names: str) -> None:
    """A misspelt key is an error, not a silent default."""
    if unknown := set(body) - set(names):
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(names)}")


def number(request: Request, name: str, default: int) -> int:
    """A query parameter that counts something."""
    value = int(request.query_params.get(name, default))
    if value < 0:
        raise ValueError(f"{name} must not be negative")
    return value


def missing(what: str) -> NoReturn:
    raise Refused(404, {"error": f"no such {what}"})


async def _object(request: Request) -> dict[str, Any]:
    raw = await request.body()
    body: Any = json.loads(raw) if raw.strip() else {}
    if not isinstance(body, dict):
        raise TypeError("the body must be a JSON object")
    return cast("dict[str, Any]", body)
