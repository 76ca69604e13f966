"""Pages out of templates. `render` gives a whole answer, `fragment` the text alone (for the live stream).

Templates have: `operator`, `csrf`, `reader`, `theme`, `request`; `_`, `ngettext`, `icon(name)`, `asset(path)`,
`initials(name)`; the filters of `moments`, and `visible`. They work in imported macros as well: the reader is a context
variable.
"""

import hashlib
import time
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from functools import cache, partial
from pathlib import Path
from typing import Any, cast

from fastapi import Request, Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemBytecodeCache, FileSystemLoader, StrictUndefined
from jinja2.bccache import Bucket
from jinja2.runtime import Context
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from golub.web import moments
from golub.web.csrf import keep_visitor
from golub.web.icons import icon
from golub.web.language import LOCALES, Reader, reader_of
from golub.web.links import visible
from golub.web.parts import parts_of
from golub.web.session import csrf_token, signing_of

FOLDER = Path(__file__).parent
STATIC = FOLDER / "static"
COMPILED = FOLDER / "__pycache__"  # beside Python's own, and made by it
THEMES = ("auto", "light", "dark")

_reader: ContextVar[Reader] = ContextVar("reader")


def render(request: Request, template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
    """A page, or the part of one that htmx asked for."""
    parts, signing, theme = parts_of(request), signing_of(request), request.cookies.get("theme", "auto")
    page = fragment(
        reader_of(request),
        template,
        request=request,
        operator=signing.operator if signing else None,
        csrf=csrf_token(request),
        theme=theme if theme in THEMES else "auto",
        **context,
    )
    response = HTMLResponse(page, status)
    keep_visitor(request, response, parts.settings)
    return response


def fragment(reader: Reader, template: str, **context: Any) -> str:
    """The text of a template for this reader."""
    token = _reader.set(reader)
    try:
        return _environment().get_template(template).render(reader=reader, **context)
    finally:
        _reader.reset(token)


@cache
def asset(path: str) -> str:
    """The URL of a static file, with its content's hash: browsers keep it for ever, and see a change at once."""
    digest = hashlib.sha256((STATIC / path).read_bytes()).hexdigest()
    return f"/static/{path}?v={digest[:12]}"


def initials(name: str) -> str:
    """One or two letters for an avatar."""
    letters = [word[0] for word in name.split() if word[0].isalnum()]
    return "".join(letters[:1] + letters[1:][-1:]).upper() or "?"


def read_templates() -> None:
    """All of them, so that no page has to wait until its own are compiled."""
    for name in _environment().list_templates(extensions=["html"]):
        _environment().get_template(name)
        # This thread would be given the interpreter for 5 ms each time that a request waits for its database, a dozen
        # times a page. With the pause such a wait took 0.2 ms in the middle instead of 5.5, and all of it 2.7 s, not 2.
        time.sleep(0.005)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        auto_reload=False,  # it would look at the files of a page's dozen parts for each page
        bytecode_cache=_Compiled(str(COMPILED)) if COMPILED.is_dir() else None,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.context_class = _Context
    words: dict[str, Any] = {"_": _say, "ngettext": _count, "icon": icon, "asset": asset, "initials": initials}
    cast(dict[str, Any], environment.globals).update(words, locales=LOCALES)
    for write in (
        moments.ago,
        moments.change,
        moments.clock_time,
        moments.date_short,
        moments.day,
        moments.duration,
        moments.exact,
        moments.iso,
        moments.moment,
        moments.number,
        moments.percent,
        moments.stamp,
    ):
        environment.filters[write.__name__] = partial(_for_reader, write)
    environment.filters["visible"] = visible
    return environment


class _Context(Context):
    """What a template calls is called as it is. Jinja looks each time whether it wants the context as well: nothing of
    ours does, and a page calls some eight hundred times."""

    def call(self, called: Callable[..., Any], /, *given: Any, **named: Any) -> Any:
        named.pop("_loop_vars", None)
        named.pop("_block_vars", None)
        return called(*given, **named)


class _Compiled(FileSystemBytecodeCache):
    """Where the folder may not be written to, each process compiles for itself."""

    def dump_bytecode(self, bucket: Bucket) -> None:
        with suppress(OSError):
            super().dump_bytecode(bucket)


def _say(message: str, **fields: Any) -> str:
    return _reader.get().words(message, **fields)


def _count(singular: str, plural: str, n: int, **fields: Any) -> str:
    return _reader.get().words.ngettext(singular, plural, n, **fields)


def _for_reader(write: Callable[[Reader, Any], str], value: Any) -> str:
    return write(_reader.get(), value)


class Static(StaticFiles):
    """Our stylesheets, scripts and pictures. With its content's hash in the URL a file may be kept for ever."""

    def __init__(self) -> None:
        super().__init__(directory=STATIC)

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        versioned = b"v=" in scope["query_string"]
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if versioned else "no-cache"
        return response
