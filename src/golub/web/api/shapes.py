"""What the API takes and gives, as `/api/openapi.json` tells it. A field with a default may be missing from an answer.

Times are ISO 8601 in UTC. Ids are ours where nothing else is said; `avito_id` and `user_id` are Avito's.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import status
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from golub.model import ChatState, Direction, OutgoingState
from golub.outbox import LONGEST

EventType = Literal["message", "chat", "user"]


class Shape(BaseModel):
    """Nothing is in an answer that is not told here."""

    model_config = ConfigDict(extra="forbid")


class Named(Shape):
    id: int
    user_id: int
    name: str


class Error(Shape):
    """`error` is English and as the guide's system had it, `message` is in the operator's language, `code` is for
    programs. The rest is there where it is of use."""

    error: str
    message: str = ""
    code: str = ""
    request_id: str = Field("", description="names the line of Golub's log; with 500")
    foreign_host: str = Field("", description="the service whose webhook Avito calls now; with 409")
    accounts: list[Named] = Field([], description="those among which `account` must choose; with 400")
    webhook: None = Field(None, description="with 404 where no account is connected")


class Webhook(Shape):
    id: int
    url: str = Field(description="ends in `***` where it is masked")
    masked: bool = Field(False, description="the URL ends in a secret, which a key never sees")
    types: list[EventType]
    active: bool
    created_at: datetime
    updated_at: datetime


class AccountWebhook(Webhook):
    account: Named


class WebhookRead(Shape):
    webhook: Webhook | None
    webhooks: list[AccountWebhook] = Field([], description="of all accounts, where there are several")
    accounts: list[Named] = []


class WebhookAsked(BaseModel):
    """`url` is required to register, and may be left out of a change."""

    url: str = Field("", description="begins with https:// and leads to this server")
    types: list[EventType] = Field(["message", "chat"], min_length=1)
    replace: bool = Field(False, description="take the place of another service, which Avito calls now")
    forward: bool = Field(False, description="… and go on supplying it")


class WebhookChanged(Shape):
    success: Literal[True]
    webhook: Webhook
    warning: str = Field(
        "", description="the URL did not answer a try from this machine, and was registered all the same"
    )


class WebhookDeleted(Shape):
    success: Literal[True]
    message: str
    foreign_host: str = Field("", description="another service's URL, which was left alone")


class Buyer(Shape):
    id: int | None = Field(description="Avito's")
    name: str


class Item(Shape):
    id: int = Field(description="Avito's")
    title: str
    price: str
    url: str


class ChatMessage(Shape):
    id: int
    avito_id: str
    direction: Direction
    type: str = Field(description="in Avito's words: text, image, voice, …; others may come")
    text: str = Field(description="empty for what is no text, and for what was deleted")
    created_at: datetime
    deleted: bool
    edited: bool
    unread: bool = Field(description="no operator has seen it")
    read_by_buyer: bool


class Chat(Shape):
    id: int
    account_id: int
    avito_id: str
    state: ChatState
    buyer: Buyer
    item: Item | None
    owner_id: int | None = Field(description="the operator who has taken it")
    labels: list[str]
    unread: int
    waiting_since: datetime | None = Field(description="the buyer has waited for an answer since")
    last_message: ChatMessage | None


class Chats(Shape):
    chats: list[Chat]
    next: str | None = Field(description="`before` for the following page; null at the end")


class Outgoing(Shape):
    """A reply on its way. `unconfirmed`: Avito's answer was lost, it is looked for and never sent again by itself."""

    id: int
    state: OutgoingState
    text: str
    error: str = Field(description="why it was rejected")
    created_at: datetime
    message_avito_id: str = Field(description="Avito's id of the message; empty until it is sent")


class Messages(Shape):
    messages: list[ChatMessage] = Field(description="the oldest first")
    older: str | None = Field(description="`before` for the earlier ones; null when these are all")
    outgoing: list[Outgoing] = Field(description="replies that are not, or not yet, among the messages")


class ReplyAsked(BaseModel):
    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, StringConstraints(min_length=1, max_length=LONGEST)]


class ReplyTaken(Shape):
    outgoing: list[Outgoing] = Field(description="several where Avito's limit cuts the text into several messages")


TOLD = {
    400: "Something in the request is wrong; or it carries a key and a session, or two keys.",
    401: "No session, no key; or a key that is unknown, has expired or was revoked.",
    403: "The operator may not, the key's scopes do not cover it, or another site's page asks.",
    404: "There is no such thing, or not for this operator.",
    409: "Somebody was here first, or a confirmation is missing.",
    413: "The body is too large.",
    421: "This server is not served at that host.",
    422: "A part of the request is missing or of the wrong kind.",
    429: "Too many wrong keys from this address, or Avito asks to wait: see Retry-After.",
    500: "A failure that nobody foresaw; the log has it under `request_id`.",
    502: "Avito's answer was lost: it may have happened.",
    503: "The database or Avito is away: see Retry-After.",
}
_ALWAYS = (400, 401, 403, 421, 429, 500, 503)


def answers(good: int, model: Any, *errors: int) -> dict[int | str, dict[str, Any]]:
    """A route's `responses`: the good one, its own errors, and those that any address of the API may give."""
    told: dict[int | str, dict[str, Any]] = {good: {"model": model}}
    return told | {code: {"model": Error, "description": TOLD[code]} for code in sorted({*errors, *_ALWAYS})}


def body(model: type[BaseModel]) -> dict[str, Any]:
    """For a route that reads its body by itself, as the guide's system did: what it takes."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": model.model_json_schema()}}}}


OK, CREATED, ACCEPTED = status.HTTP_200_OK, status.HTTP_201_CREATED, status.HTTP_202_ACCEPTED
