"""Chats and users as Avito tells them: API objects, and the `chat` and `user` events that are only described in words.

Sensible keys are tried; what is missing says nothing, and what says nothing changes nothing.
"""

from typing import Any

from golub.avito.wire_fields import (
    Json,
    list_or_empty,
    moment,
    name_or_empty,
    object_or_empty,
    optional_number,
    person_or_none,
    text_or_empty,
)
from golub.avito.wire_json import Refused
from golub.avito.wire_seen import BuyerFacts, ChatSeen, ItemFacts, MessageSeen, UserSeen
from golub.clock import Millis
from golub.model import Cause

CHAT_TYPES = ("u2i", "u2u", "a2u")
_UNDONE = {"unarchived": "", "unblocked": "", "active": "", "restored": "", "created": "", "open": ""}
_NOT_A_STATUS = ("", "updated", "changed", "status_changed", "status", "update", "info_changed", "information_changed")
_STATUS_KEYS = ("status", "state", "action", "event")
_PERSON_KEYS = ("blocked_user_id", "target_user_id", "buyer_id", "author_id", "id")


def chat_from(
    value: Json,
    *,
    chat_avito_id: str,
    account_user_id: int | None,
    observed_at: Millis,
    latest: Millis,
    source: int,
    flags: set[str],
    action: str = "",
    last_message: MessageSeen | None = None,
) -> ChatSeen:
    return ChatSeen(
        chat_avito_id=chat_avito_id,
        account_user_id=account_user_id,
        observed_at=observed_at,
        source=source,
        chat_type=_chat_type(value, chat_avito_id),
        buyer=_buyer(value.get("users"), account_user_id, flags),
        item=_item(value, flags),
        status=_status(value, action),
        created_at=moment(value.get("created"), "created", flags, latest=latest) or 0,
        updated_at=moment(value.get("updated"), "updated", flags, latest=latest) or 0,
        last_message=last_message,
        flags=tuple(sorted(flags)),
    )


def user_from(
    value: Json, *, account_user_id: int | None, observed_at: Millis, action: str, flags: set[str]
) -> UserSeen:
    """Raises `Refused` where no person can be made out."""
    person = object_or_empty(value.get("user")) or value
    found = [person.get(key) for key in _PERSON_KEYS] + ([person.get("user_id")] if person is not value else [])
    user_id = next((one for each in found if (one := _person(each)) not in (None, account_user_id)), None)
    if user_id is None:
        raise Refused(Cause.BAD_VALUE, "the user's id is missing")
    return UserSeen(
        user_id=user_id,
        account_user_id=account_user_id,
        observed_at=observed_at,
        status=_status(value, action),
        name=text_or_empty(person.get("name")),
        chat_avito_id=name_or_empty(value.get("chat_id"), "chat_id"),
        flags=tuple(sorted(flags)),
    )


def _person(value: Any) -> int | None:
    try:
        return person_or_none(value, "")
    except Refused:
        return None


def _chat_type(value: Json, chat_avito_id: str) -> str:
    """Webhooks say it, API objects do not: there the id's prefix does, or that the chat is about an item."""
    told = text_or_empty(value.get("chat_type"))[:16]
    prefix = chat_avito_id.partition("-")[0]
    if told or prefix in CHAT_TYPES:
        return told or prefix
    return "u2i" if object_or_empty(value.get("context")).get("type") == "item" else ""


def _status(value: Json, action: str) -> str | None:
    for key in ("archived", "is_archived", "blocked", "is_blocked"):
        if isinstance(value.get(key), bool):
            return key.removeprefix("is_") if value[key] else ""
    for told in (action, *(value.get(key) for key in _STATUS_KEYS)):
        word = text_or_empty(told).strip()[:64]
        if word.lower() not in _NOT_A_STATUS:
            return _UNDONE.get(word.lower(), word)
    return None


def _buyer(users: Any, account_user_id: int | None, flags: set[str]) -> BuyerFacts | None:
    """The other side: the first user who is not the account. There may be none, one, or several."""
    for each in list_or_empty(users):
        user = object_or_empty(each)
        user_id = optional_number(user.get("id"), "users.id", flags)
        if user_id is None or user_id == account_user_id:
            continue
        profile = object_or_empty(user.get("public_user_profile"))
        avatar = object_or_empty(profile.get("avatar"))
        images = object_or_empty(avatar.get("images"))
        return BuyerFacts(
            id=user_id,
            name=text_or_empty(user.get("name")),
            avatar_url=text_or_empty(images.get("128x128")) or text_or_empty(avatar.get("default")),
            profile_url=text_or_empty(profile.get("url")),
        )
    return None


def _item(value: Json, flags: set[str]) -> ItemFacts | None:
    context = object_or_empty(value.get("context"))
    item = object_or_empty(context.get("value"))
    if not item:
        item_id = optional_number(value.get("item_id"), "item_id", flags)
        return ItemFacts(id=item_id) if item_id else None
    main = object_or_empty(object_or_empty(item.get("images")).get("main"))
    return ItemFacts(
        id=optional_number(item.get("id"), "item.id", flags),
        title=text_or_empty(item.get("title")),
        price=text_or_empty(item.get("price_string")),
        url=text_or_empty(item.get("url")),
        image_url=text_or_empty(main.get("140x105")) or next(iter(_texts(main)), ""),
        status=optional_number(item.get("status_id"), "item.status_id", flags),
    )


def _texts(value: Json) -> list[str]:
    return [each for each in value.values() if isinstance(each, str)]
