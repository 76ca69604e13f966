"""Lucide's icons, inline, in the colour of the text around them; decoration only, so hidden from screen readers."""

import re
from functools import cache
from importlib.resources import files
from zipfile import ZipFile

from markupsafe import Markup

_SVG = (
    '<svg width="{size}" height="{size}" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2"'
    ' stroke-linecap="round" stroke-linejoin="round" class="{css_class}" aria-hidden="true" focusable="false">'
    "{shapes}</svg>"
)
_SHAPES = re.compile(r"<svg\b[^>]*>(.*)</svg>", re.DOTALL)
_BETWEEN = re.compile(r">\s+<")


def icon(name: str, size: int = 20, css_class: str = "") -> Markup:
    return _drawn(name, size, f"icon {css_class}".strip())


@cache
def _drawn(name: str, size: int, css_class: str) -> Markup:
    drawn = re.fullmatch(_SHAPES, archive().read(f"{name}.svg").decode().strip())
    if drawn is None:
        raise ValueError(f"{name} is no drawing")
    shapes = Markup(_BETWEEN.sub("><", drawn[1].strip()))  # noqa: S704 - the package's own file
    return Markup(_SVG).format(size=size, css_class=css_class, shapes=shapes)  # noqa: S704 - format escapes


@cache
def archive() -> ZipFile:
    """The package's own, opened once: itself it would open it for each icon, and that takes milliseconds."""
    return ZipFile(str(files("lucide") / "lucide.zip"))
