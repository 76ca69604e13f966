"""Reads one chat from Avito: its facts, and its messages back to where they are known.

`verified_to` of a chat is Avito's own time of its last change that we have read up to. Whatever changed later makes the
list's `updated` greater, so sweep finds it with one comparison; and reading back to it finds a message that was lost
before one that was delivered.
"""

from dataclasses import dataclass, replace

from golub.apply import Applier
from golub.avito.client import PAGE_LIMIT, Avito
from golub.avito.errors import Down
from golub.avito.pace import Lane
from golub.avito.wire import ChatSeen, MessageSeen, read_chat, read_messages
from golub.clock import SECOND, Clock, Millis
from golub.fold import Fetched
from golub.model import Account, Chat

SETTLED = 2 * SECOND  # Avito tells whole seconds: what is younger may still get company in its second


@dataclass(frozen=True, slots=True)
class Known:
    """What we have of a chat before it is read; the defaults are a chat that we have never heard of."""

    avito_id: str
    verified_to: Millis = 0
    updated_at: Millis = 0
    facts_at: Millis = 0
    lease: Millis | None = None  # its `fetch_due_at` now

    @classmethod
    def of(cls, chat: Chat) -> "Known":
        return cls(chat.avito_id, chat.verified_to, chat.updated_at, chat.facts_at, chat.fetch_due_at)


class Reader:
    def __init__(self, avito: Avito, applier: Applier, clock: Clock) -> None:
        self._avito = avito
        self._applier = applier
        self._clock = clock

    async def read(self, account: Account, known: Known, *, lane: Lane) -> int:
        """Facts first, so that a name appears at once; in bulk the list has just told them. Returns the number of
        requests. Raises what `Avito` does.

        Messages enter our rows oldest first, as they were said, also those of one second; so nothing is kept of a chat
        before its last page has come. Those of the time before the account was connected are history: quiet.
        """
        facts: ChatSeen | None = None
        if lane is not Lane.BULK or not known.facts_at:
            facts = await self._read_facts(account, known.avito_id, lane)
        requests = 1 if facts else 0
        asked_at = self._clock()
        ids: set[str] = set()
        pages: list[list[MessageSeen]] = []
        offset = newest = 0
        while True:
            page = await self._avito.messages(account.id, known.avito_id, offset=offset, lane=lane)
            requests += 1
            seen, unreadable = read_messages(page, account.user_id, known.avito_id, asked_at)
            new = [one for one in seen if one.avito_id not in ids]
            ids |= {one.avito_id for one in new}
            newest = max([newest, *(one.created_at for one in new)])
            more = (
                bool(new)  # a page that repeats would never end
                and len(seen) + len(unreadable) >= PAGE_LIMIT
                and min(one.created_at for one in new) >= known.verified_to
            )
            pages.append([replace(one, quiet=one.created_at <= account.created_at) for one in new])
            if more:
                offset += PAGE_LIMIT
                continue
            if not ids and facts is None:
                facts = await self._read_facts(account, known.avito_id, lane)
                requests += 1
            verified_to = 0
            if newest or (facts and not facts.last_message):  # an empty page is no proof that there is nothing
                updated_at = facts.updated_at if facts else known.updated_at
                verified_to = min(max(updated_at, newest), asked_at - SETTLED)
            for older in reversed(pages[1:]):
                await self._applier.submit(account.id, older)
            fetched = Fetched(known.avito_id, at=asked_at, verified_to=verified_to, lease=known.lease)
            await self._applier.submit(account.id, [*pages[0], fetched])
            return requests

    async def _read_facts(self, account: Account, chat_avito_id: str, lane: Lane) -> ChatSeen:
        asked_at = self._clock()
        facts = read_chat(await self._avito.chat(account.id, chat_avito_id, lane=lane), account.user_id, asked_at)
        if not isinstance(facts, ChatSeen) or facts.chat_avito_id != chat_avito_id:
            raise Down("Avito's answer cannot be read.")
        await self._applier.submit(account.id, [facts])
        return facts
