"""The user's guide inside the panel: the same pages as in `docs/guide`, in the reader's language."""

from functools import cache
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from markdown_it import MarkdownIt
from markupsafe import Markup

from golub.web.language import reader_of
from golub.web.page import render
from golub.web.session import Signed

_PACKED = Path(__file__).parent / "guide"  # where the wheel carries it
_CHECKOUT = Path(__file__).parents[3] / "docs" / "guide"

router = APIRouter()


@router.get("/guide")
async def guide(request: Request, _: Signed) -> HTMLResponse:
    return render(request, "guide.html", guide=page(reader_of(request).locale))


@cache
def page(locale: str) -> Markup:
    """The guide as HTML. It is our own text, and raw HTML in it would still be shown as text."""
    folder = _PACKED if _PACKED.is_dir() else _CHECKOUT
    text = (folder / f"{locale}.md").read_text(encoding="utf-8")
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    shown = markdown.render(text).replace(
        "<pre>", '<pre tabindex="0">'
    )  # what scrolls sideways can be reached by keyboard
    return Markup(shown)  # noqa: S704 - rendered with raw HTML switched off
