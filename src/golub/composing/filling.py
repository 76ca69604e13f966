"""Variables of quick replies: `{buyer}`, `{price}` and their like become what is known in a chat.

They have English and Russian names. What a chat does not tell stays as it was written, so that a person sees it; a text
that still names a variable is never sent (`find_places`).
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from golub.model import Account, Chat, Operator

# By the first of its names; the others mean the same.
NAMES: dict[str, tuple[str, ...]] = {
    "buyer": ("buyer", "покупатель"),
    "item": ("item", "объявление", "товар"),
    "price": ("price", "цена"),
    "link": ("link", "ссылка"),
    "operator": ("operator", "оператор"),
    "account": ("account", "аккаунт"),
}
VALUE_LIMIT = 200  # characters of a name that a stranger has chosen

_VARIABLES = {name: variable for variable, names in NAMES.items() for name in names}
_PLACE = re.compile(r"\{\s*([^{}\n]{1,40}?)\s*\}")


@dataclass(frozen=True, slots=True)
class Filled:
    """`missing` are places of the text, as they are written in it, for which the chat has nothing."""

    text: str
    missing: tuple[str, ...]


def values_of(chat: Chat, account: Account, operator: Operator | None = None) -> dict[str, str]:
    """What a chat tells, by variable; empty where it does not. What goes out unasked has no operator."""
    told = {
        "buyer": chat.buyer_name,
        "item": chat.item_title,
        "price": chat.item_price,
        "link": chat.item_url,
        "operator": operator.name if operator else "",
        "account": account.name,
    }
    return {variable: _plain(value) for variable, value in told.items()}


def fill(text: str, values: Mapping[str, str]) -> Filled:
    missing: list[str] = []

    def put(place: re.Match[str]) -> str:
        variable = _VARIABLES.get(place[1].casefold())
        if variable is None:
            return place[0]
        if not values[variable]:
            missing.append(place[0])
        return values[variable] or place[0]

    return Filled(_PLACE.sub(put, text), tuple(dict.fromkeys(missing)))


def find_places(text: str) -> list[str]:
    """The variables that a text still names, as they are written in it."""
    return [place[0] for place in _PLACE.finditer(text) if place[1].casefold() in _VARIABLES]


def find_unknown(text: str) -> list[str]:
    """What stands in braces and is no variable: a slip of the pen, most likely."""
    return [place[0] for place in _PLACE.finditer(text) if place[1].casefold() not in _VARIABLES]


def _plain(value: str) -> str:
    """One line, without what is invisible, and without braces: a buyer's name is no variable."""
    shown = "".join(one if unicodedata.category(one)[0] != "C" else " " for one in value)
    return " ".join(shown.translate({ord("{"): "(", ord("}"): ")"}).split())[:VALUE_LIMIT]
