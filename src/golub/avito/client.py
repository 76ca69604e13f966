"""Avito's API as we use it: one client for all accounts, which knows tokens, pace and what an answer means.

Every method either returns Avito's JSON as it came (`wire` reads it) or raises one of our errors; what it raises on
a send is exact, because the outbox decides by it whether a message may be sent again:
- `Unavailable`: nothing reached Avito. On reads also 5xx, timeouts, HTML and unreadable JSON. `Paced`: not before
  `retry_after`.
- `Ambiguous`: a send was written and its answer lost. It may have happened.
- `WrongKeys`, `NoAccess`, `NotFound`, `Rejected`: Avito refused, in its own words where it had some.

The account's `state` says truthfully whether we may use the API for it; it is written when it changes.
"""

from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import quote

import httpx2
import structlog
from sqlalchemy import or_, update

from golub.avito.auth import Access, Profile, Tokens, read_profile, read_token
from golub.avito.errors import Down, Expired, decode, reason, refusal
from golub.avito.exchange import CALL_SECONDS, Exchange
from golub.avito.pace import Lane, Pace
from golub.avito.shares import Shares
from golub.clock import Clock
from golub.errors import Ambiguous, GolubError, NoAccess, NotFound, Rejected, Unavailable, WrongKeys
from golub.model import Account, AccountState, TimelineEntry, TimelineKind
from golub.nodes import Nodes
from golub.settings import Settings
from golub.store import Store
from golub.vault import Vault

PAGE_LIMIT = 100  # getChatsV2, getMessagesV3
OFFSET_LIMIT = 1000  # getChatsV2, getMessagesV3: past it Avito answers 400, not an empty page
TEXT_LIMIT = 1000  # postSendMessage
CHAT_TYPES = "u2i,u2u"  # getChatsV2: without it only u2i

UNREACHABLE_AFTER = 3  # failures in a row until the account's state says so

log = structlog.get_logger(__name__)


class Avito:
    """`transport` is the network, or a simulator's; with `nodes` the pace is shared with other processes. `pace` and
    `call_seconds` are other ones in tests alone."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        vault: Vault,
        clock: Clock,
        transport: httpx2.AsyncBaseTransport | None = None,
        *,
        nodes: Nodes | None = None,
        pace: Pace | None = None,
        call_seconds: float = CALL_SECONDS,
    ) -> None:
        self._exchange = Exchange(settings.avito_url, transport, call_seconds)
        self._store = store
        self._clock = clock
        self._tokens = Tokens(store, vault, clock, self._ask_token)
        per_minute = settings.requests_per_minute
        shares = Shares(store, nodes, per_minute) if nodes and not store.is_sqlite else None
        self._pace = pace or Pace(per_minute, shares)

    async def run(self) -> None:
        """Looks after what this process holds of the budget, where there are several."""
        await self._pace.run()

    async def close(self) -> None:
        await self._tokens.close()
        await self._exchange.close()

    async def check_keys(self, client_id: str, client_secret: str) -> Profile:
        """Whose keys these are, by asking Avito. Raises `WrongKeys`, `NoAccess`, `Unavailable`."""
        token, _ = read_token(await self._ask_token(client_id, client_secret))
        return read_profile(await self._call("GET", "/core/v1/accounts/self", token))

    async def token_for(self, account_id: int) -> str:
        return (await self._tokens.access(account_id)).token

    def failures(self, account_id: int) -> int:
        """How often in a row Avito has failed for this account; for the doctor."""
        return self._pace.failures(account_id)

    def used(self, account_id: int) -> int:
        """Requests for this account in the last minute, by this process."""
        return self._pace.used(account_id)

    async def chats(
        self,
        account_id: int,
        limit: int = PAGE_LIMIT,
        offset: int = 0,
        chat_types: str = CHAT_TYPES,
        unread_only: bool = False,
        *,
        lane: Lane = Lane.BULK,
    ) -> Any:
        """A page of the chat list, newest first."""
        query: dict[str, str | int] = {"limit": limit, "offset": offset, "chat_types": chat_types}
        if unread_only:
            query["unread_only"] = "true"
        return await self._page(account_id, "/messenger/v2/accounts/{user}/chats", lane, query, "chats")

    async def chat(self, account_id: int, chat_avito_id: str, *, lane: Lane = Lane.PROMPT) -> Any:
        path = "/messenger/v2/accounts/{user}/chats/" + _segment(chat_avito_id)
        return await self._ask(account_id, "GET", path, lane, of_one_chat=True)

    async def messages(
        self,
        account_id: int,
        chat_avito_id: str,
        limit: int = PAGE_LIMIT,
        offset: int = 0,
        *,
        lane: Lane = Lane.PROMPT,
    ) -> Any:
        """A page of messages, newest first; reading marks nothing read."""
        path = "/messenger/v3/accounts/{user}/chats/" + _segment(chat_avito_id) + "/messages/"
        query = {"limit": limit, "offset": offset}
        return await self._page(account_id, path, lane, query, "messages", of_one_chat=True)

    async def send_text(self, account_id: int, chat_avito_id: str, text: str) -> dict[str, Any]:
        """Sends, at most once, and returns the message with its `id`. Raises `Ambiguous` when the answer was lost."""
        path = "/messenger/v1/accounts/{user}/chats/" + _segment(chat_avito_id) + "/messages"
        return await self._send(account_id, path, {"type": "text", "message": {"text": text}})

    async def upload_image(self, account_id: int, name: str, raw: bytes) -> str:
        """The id under which `send_image` may send it. A lost answer is harmless: nobody sees the picture yet."""
        path = "/messenger/v1/accounts/{user}/uploadImages"
        answer = _object(await self._ask(account_id, "POST", path, Lane.OPERATOR, file=(name, raw)))
        image_id = next(iter(answer), "")
        if not image_id:
            raise Down("Avito's answer cannot be read.")
        return image_id

    async def send_image(self, account_id: int, chat_avito_id: str, image_id: str) -> dict[str, Any]:
        """As `send_text`."""
        path = "/messenger/v1/accounts/{user}/chats/" + _segment(chat_avito_id) + "/messages/image"
        return await self._send(account_id, path, {"image_id": image_id})

    async def delete_message(self, account_id: int, chat_avito_id: str, message_avito_id: str) -> None:
        """Within an hour of sending (deleteMessage). Doing it twice is harmless."""
        path = f"/messenger/v1/accounts/{{user}}/chats/{_segment(chat_avito_id)}/messages/{_segment(message_avito_id)}"
        await self._ask(account_id, "POST", path, Lane.OPERATOR, of_one_chat=True)

    async def block(self, account_id: int, user_id: int, reason: int, item_id: int | None = None) -> None:
        """Puts a user on the blacklist (postBlacklistV2). Reasons: 1 spam, 2 fraud, 3 insults, 4 other."""
        context = {"reason_id": reason} | ({"item_id": item_id} if item_id else {})
        body = {"users": [{"user_id": user_id, "context": context}]}
        path = "/messenger/v2/accounts/{user}/blacklist"
        await self._ask(account_id, "POST", path, Lane.OPERATOR, body, of_one_chat=True, answers=False)

    async def mark_read(self, account_id: int, chat_avito_id: str) -> None:
        path = "/messenger/v1/accounts/{user}/chats/" + _segment(chat_avito_id) + "/read"
        await self._ask(account_id, "POST", path, Lane.PROMPT, of_one_chat=True)

    async def voice_files(self, account_id: int, voice_ids: list[str], *, lane: Lane = Lane.OPERATOR) -> dict[str, str]:
        """Links by voice id; each lives an hour (getVoiceFiles)."""
        path = "/messenger/v1/accounts/{user}/getVoiceFiles"
        query = {"voice_ids": ",".join(voice_ids)}
        answer = _object(await self._ask(account_id, "GET", path, lane, query=query))
        urls = _object(answer.get("voices_urls"))
        return {voice: url for voice, url in urls.items() if isinstance(url, str)}

    async def subscriptions(self, account_id: int) -> list[str]:
        """The URLs that Avito calls for this account; at most one, as far as is known."""
        answer = _object(await self._ask(account_id, "POST", "/messenger/v1/subscriptions", Lane.OPERATOR))
        found = answer.get("subscriptions")
        if not isinstance(found, list):
            raise Down("Avito's answer cannot be read.")
        urls = [_object(one).get("url") for one in cast("list[Any]", found)]
        return [url for url in urls if isinstance(url, str) and url]

    async def subscribe(self, account_id: int, url: str) -> None:
        """Replaces any other subscription, silently: read `subscriptions` first."""
        await self._ask(account_id, "POST", "/messenger/v3/webhook", Lane.OPERATOR, {"url": url})

    async def unsubscribe(self, account_id: int, url: str) -> None:
        await self._ask(account_id, "POST", "/messenger/v1/webhook/unsubscribe", Lane.OPERATOR, {"url": url})

    async def _page(
        self,
        account_id: int,
        path: str,
        lane: Lane,
        query: Mapping[str, str | int],
        name: str,
        *,
        of_one_chat: bool = False,
    ) -> Any:
        """Past Avito's cap on offsets it is empty: the end of the list."""
        offset = int(query["offset"])
        if offset > OFFSET_LIMIT:
            return {name: []}
        try:
            return await self._ask(account_id, "GET", path, lane, query=query, of_one_chat=of_one_chat)
        except Rejected as error:
            if offset and type(error) is Rejected:
                return {name: []}
            raise

    async def _send(self, account_id: int, path: str, body: Any) -> dict[str, Any]:
        sent = _object(await self._ask(account_id, "POST", path, Lane.OPERATOR, body, sends=True, of_one_chat=True))
        if not isinstance(sent.get("id"), str) or not sent["id"]:
            raise Ambiguous("Avito took the message and did not say under which id.")
        return sent

    async def _ask(
        self,
        account_id: int,
        method: str,
        path: str,
        lane: Lane,
        body: Any = None,
        *,
        query: Mapping[str, str | int] | None = None,
        sends: bool = False,
        of_one_chat: bool = False,
        file: tuple[str, bytes] | None = None,
        answers: bool = True,
    ) -> Any:
        """One call for an account, in its turn. `of_one_chat`: a refusal says nothing about the account.
        `answers`: there is a body to read."""
        access: Access | None = None
        about_chats = "/chats" in path

        async def call(access: Access) -> Any:
            url = path.replace("{user}", str(access.user_id), 1)
            return await self._call(
                method, url, access.token, body, query, sends=sends, account_id=account_id, file=file, answers=answers
            )

        try:
            async with self._pace.turn(account_id, lane):
                access = await self._tokens.access(account_id)
                try:
                    answer = await call(access)
                except Expired:
                    access = await self._tokens.access(account_id, stale=access.token)
                    answer = await call(access)
        except GolubError as error:
            await self._note(account_id, access, error, of_one_chat)
            raise
        if access.state != AccountState.NO_ACCESS or about_chats:  # subscriptions may be open where chats are not
            await self._note(account_id, access, None, of_one_chat)
        return answer

    async def _ask_token(self, client_id: str, client_secret: str) -> Any:
        form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret}
        status, headers, body = await self._exchange.ask("POST", "/token", form=form)
        words = reason(body)
        if status in (400, 401, 403) and words:  # a gateway's HTML says nothing about keys
            raise WrongKeys("Avito does not know this client id and secret.")
        if not 200 <= status < 300:
            raise refusal(status, headers, body, now=self._clock())
        answer = decode(body)
        if _object(answer).get("error"):
            raise WrongKeys("Avito does not know this client id and secret.")
        return answer

    async def _call(
        self,
        method: str,
        path: str,
        token: str,
        body: Any = None,
        query: Mapping[str, str | int] | None = None,
        sends: bool = False,
        account_id: int | None = None,
        file: tuple[str, bytes] | None = None,
        answers: bool = True,
    ) -> Any:
        status, headers, raw = await self._exchange.ask(
            method, path, token=token, json=body, query=query, sends=sends, file=file
        )
        if account_id is not None:
            self._pace.told(account_id, headers.get("x-ratelimit-limit"), headers.get("x-ratelimit-remaining"))
        if 200 <= status < 300:
            if not answers or (not raw and not sends):
                return None
            try:
                return decode(raw)
            except Down:
                if sends:
                    raise Ambiguous("Avito's answer to the message cannot be read.") from None
                raise
        error = refusal(status, headers, raw, now=self._clock())
        if sends and isinstance(error, Down) and status not in (401, 403):
            raise Ambiguous("Avito failed while it took the message (HTTP {status}).", status=status)
        raise error

    async def _note(self, account_id: int, access: Access | None, error: GolubError | None, of_one_chat: bool) -> None:
        """Keeps the account's state true. A 403 about one chat is that chat's, 402 is the account's."""
        if error is None:
            state, detail = AccountState.WORKING, ""
        elif isinstance(error, WrongKeys):
            state, detail = AccountState.WRONG_KEYS, str(error)
        elif isinstance(error, NoAccess) and (not of_one_chat or error.code == "not_paid"):
            state, detail = AccountState.NO_ACCESS, str(error)
        elif isinstance(error, Down | Ambiguous) and self._pace.failures(account_id) >= UNREACHABLE_AFTER:
            state, detail = AccountState.UNREACHABLE, str(error)
        else:
            return
        if access and (access.state, access.state_detail) == (state, detail):
            return
        now = self._clock()
        try:
            async with self._store.write() as session:
                changed = await session.scalar(
                    update(Account)
                    .where(
                        Account.id == account_id,
                        or_(Account.state != state, Account.state_detail != detail),
                    )
                    .values(state=state, state_detail=detail, state_at=now)
                    .returning(Account.id)
                    .execution_options(synchronize_session=False)
                )
                if changed is not None:
                    kind = TimelineKind(f"api_{state}")
                    session.add(TimelineEntry(account_id=account_id, kind=kind, at=now, detail=detail))
        except Unavailable:
            log.warning("the account's state could not be kept", account=account_id, state=state)
        else:
            log.info("the account's state at Avito", account=account_id, state=state, detail=detail)


def _segment(avito_id: str) -> str:
    """An id as one segment of a path. Whoever forges a hint chooses it: dots alone would climb to another path."""
    if not avito_id.strip("."):
        raise NotFound("Avito does not know this: {reason}", reason="no such chat")
    return quote(avito_id, safe="")


def _object(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
