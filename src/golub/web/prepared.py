"""What the forms of quick replies and of automatic rules have alike: the fields of messages that are written ahead.
`templates/prepared.html` draws them."""

import re
from collections.abc import Sequence
from typing import Annotated

from fastapi import Form

from golub.composing.prepared import NewPicture
from golub.errors import Invalid
from golub.web.parts import Parts, parse_id

Text = Annotated[str, Form(max_length=2000)]
Texts = Annotated[list[str], Form(default_factory=list)]

_ITEM = re.compile(r"(?:^|[_/])(\d{1,18})(?:[/?#].*)?$")


def sort_pictures(named: Sequence[str], most: int) -> tuple[list[int], list[str]]:
    """The ids of photos that are kept, and the names of those just attached: one more than `most`, to be refused."""
    kept = [number for one in named if (number := parse_id(one)) is not None]
    return kept, [one for one in named if "." in one][: most + 1]


async def read_pictures(parts: Parts, kept: Sequence[int], attached: Sequence[str]) -> list[int | NewPicture]:
    return [*kept, *[await _read(parts, name) for name in attached]]


async def _read(parts: Parts, name: str) -> NewPicture:
    drawn = parts.outbox.pictures
    return NewPicture(name.rpartition(".")[2], await drawn.read(name), await drawn.small(name))


def read_item(given: str) -> int | None:
    """Avito's number of an item, typed or within its link."""
    if not given:
        return None
    if found := _ITEM.search(given):
        return int(found[1])
    raise Invalid("Give the item's number, or its link at Avito.", field="item")
