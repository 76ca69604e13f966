"""Writes the pages that say what can be set and called, out of the code that reads and serves it: `make docs`.

A page that differs from what this makes fails the suite, so no setting and no route goes undocumented.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from pydantic import AliasChoices
from pydantic.fields import FieldInfo

from golub.settings import Settings

MADE = "<!-- Made by `make docs`; change the descriptions in the code. -->"


def settings_page() -> str:
    rows = [_setting(name, field) for name, field in Settings.model_fields.items()]
    return "\n".join(
        [
            MADE,
            "# Settings",
            "",
            "Read from the environment once, at start. Each has a default that is right for one shop on one machine.",
            "Names in the last column are read as well, after ours.",
            "",
            "| Setting | Default | What it does | Also |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


PAGES: dict[str, Callable[[], str]] = {"settings.md": settings_page}


def _setting(name: str, field: FieldInfo) -> str:
    ours = f"GOLUB_{name.upper()}"
    names = [ours]
    if isinstance(field.validation_alias, AliasChoices):
        names = [str(choice) for choice in field.validation_alias.choices]
    if ours not in names or not field.description:
        raise ValueError(f"{name} needs a description, and {ours} among its names")
    also = ", ".join(f"`{other}`" for other in names if other != ours)
    return f"| `{ours}` | {_shown(field.default)} | {field.description} | {also} |"


def _shown(default: Any) -> str:
    match default:
        case None | "":
            return ""
        case bool():
            return f"`{str(default).lower()}`"
        case tuple():
            return f"`{','.join(str(part) for part in cast(tuple[object, ...], default))}`"
        case _:
            return f"`{default}`"


if __name__ == "__main__":
    for page, make in PAGES.items():
        (Path(__file__).parent / page).write_text(make())
