"""The sample shop: a fictitious one with thirty chats, to look around in before an account is connected.

Its chats are told to apply as Avito's API would tell them, so that lists, search and cards show them as they show real
ones. It is paused from its first moment and cannot be resumed: Avito hears nothing of it, and answers written in it
stay here. `remove` takes every row of it away. `talks` has what its buyers say; the page that loads it relies on both.
"""

import json
from pathlib import Path
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from golub import index
from golub.apply import Applier
from golub.audit import Action, By
from golub.avito.wire import ChatSeen, MessageSeen, read_chat, read_message
from golub.clock import DAY, MINUTE, SECOND, Millis
from golub.errors import Conflict
from golub.fold import Close, Fetched, HandOver, Labelled, NoteWritten, Observation, Snooze
from golub.inbox import list_labels
from golub.model import SAMPLE_USER_ID, Account, BuyerNote, Chat, ChatLabel, Label, Mark, Operator, QuickReply
from golub.sample.talks import ITEMS, LABELS, QUICK_REPLIES, SHOP, TALKS, Kind, Line, Talk
from golub.store import Store
from golub.vault import Vault

MARK = "sample"  # names the labels that came with the shop
COLOUR = "#868e96"
BUYERS, ITEMS_FROM, IDS = SAMPLE_USER_ID + 1, SAMPLE_USER_ID + 500, 1000
SCHEME = "sample:"
PHOTOS = {f"{SCHEME}{path.stem}": path for path in (Path(__file__).parent / "photos").glob("*.webp")}
READ_AFTER = 60  # minutes in which a buyer has read our answer
DELETED = "Сообщение удалено"  # in Avito's words

Json = dict[str, Any]


async def load(store: Store, applier: Applier, vault: Vault, operator: Operator, *, by: By, now: Millis) -> None:
    """Some of its chats are the `operator`'s. Raises `Conflict` where it is here already, and `Unavailable`."""
    async with store.write() as session:
        shop = {
            "user_id": SAMPLE_USER_ID,
            "name": SHOP,
            "colour": COLOUR,
            "client_id": "",
            "client_secret": vault.seal(""),
            "created_at": now,
            "paused_at": now,
            "backfill_offset": None,
            "backfilled_at": now,
        }
        new = store.insert(Account).values(**shop).on_conflict_do_nothing().returning(Account.id)
        account_id = await session.scalar(new)
        if account_id is None:
            raise Conflict("The sample shop is here already.")
        await by.did(session, Action.SAMPLE_LOADED, SHOP, now=now)
        labels = await _label(session, store, now)
        for name, texts in QUICK_REPLIES:
            session.add(QuickReply(name=name, texts=[*texts], account_id=account_id, used=0, changed_at=now))
        for number, talk in enumerate(TALKS):
            if talk.about_buyer:
                note = {"text": talk.about_buyer, "operator_id": operator.id, "changed_at": now}
                noted = store.insert(BuyerNote).values(buyer_id=BUYERS + number, **note)
                await session.execute(noted.on_conflict_do_nothing())
    told = [one for number, talk in enumerate(TALKS) for one in _observations(number, talk, now)]
    await applier.submit(account_id, told)
    async with store.read() as session:
        found = await session.execute(select(Chat.avito_id, Chat.id, Chat.version).where(Chat.account_id == account_id))
        chats = {avito_id: (chat_id, version) for avito_id, chat_id, version in found}
    done = [
        one
        for number, talk in enumerate(TALKS)
        for one in _acts(talk, *chats[_name(number, talk)], labels, operator.id, now)
    ]
    await applier.submit(account_id, done)


async def remove(store: Store, *, by: By, now: Millis) -> None:
    """With whatever was done in it since. A label that came with it stays where a real chat has it by now, and the
    audit's entries do."""
    async with store.write() as session:
        account_id = await session.scalar(select(Account.id).where(Account.user_id == SAMPLE_USER_ID))
        if account_id is None:
            return
        await by.did(session, Action.SAMPLE_REMOVED, SHOP, now=now)
        await (await session.connection()).run_sync(index.forget_account, account_id)
        await session.execute(delete(BuyerNote).where(BuyerNote.buyer_id.between(BUYERS, BUYERS + IDS)))
        await session.execute(delete(Account).where(Account.id == account_id))
        if mark := await session.get(Mark, MARK):
            unused = Label.id.not_in(select(ChatLabel.label_id))
            await session.execute(delete(Label).where(Label.id.in_(json.loads(mark.value)), unused))
            await session.delete(mark)


async def is_here(store: Store) -> bool:
    async with store.read() as session:
        return await session.scalar(select(Account.id).where(Account.user_id == SAMPLE_USER_ID)) is not None


async def _label(session: AsyncSession, store: Store, now: Millis) -> dict[str, int]:
    """Ids by name. Those that were not here before are noted, to be removed again."""
    known = {label.folded: label.id for label in await list_labels(session)}
    made: list[int] = []
    for name, colour in LABELS:
        if name.casefold() not in known:
            label = Label(name=name, folded=name.casefold(), colour=colour, created_at=now)
            session.add(label)
            await session.flush()
            known[label.folded] = label.id
            made.append(label.id)
    noted = store.insert(Mark).values(name=MARK, value=json.dumps(made))
    await session.execute(noted.on_conflict_do_update(index_elements=["name"], set_={"value": json.dumps(made)}))
    return {name: known[name.casefold()] for name, _ in LABELS}


def _observations(number: int, talk: Talk, now: Millis) -> list[Observation]:
    """The chat and its messages, as a page of the API tells them."""
    chat, buyer = _name(number, talk), BUYERS + (number if talk.buyer_of is None else talk.buyer_of)
    unread_from = len(talk.lines) - talk.unread
    seen: list[ChatSeen | MessageSeen | Any] = [read_chat(_chat(chat, buyer, talk, now), SAMPLE_USER_ID, now)]
    for place, line in enumerate(talk.lines):
        record = _message(f"sample-{number}-{place}", line, buyer, place < unread_from, now)
        seen.append(read_message(record, SAMPLE_USER_ID, chat, now - SECOND))
        if isinstance(line[2], Kind) and line[2].type == "deleted":
            seen.append(read_message(record | {"content": {"text": DELETED}}, SAMPLE_USER_ID, chat, now))
    understood = [one for one in seen if isinstance(one, ChatSeen | MessageSeen)]
    return [*understood, Fetched(chat, now, verified_to=now)]


def _acts(
    talk: Talk, chat_id: int, version: int, labels: dict[str, int], operator_id: int, now: Millis
) -> list[Observation]:
    """What the team has done with it."""
    acts: list[Observation] = []
    if talk.closed:
        acts.append(Close(chat_id, version, now, by=operator_id))
    if talk.snoozed:
        acts.append(Snooze(chat_id, version, now + DAY, by=operator_id))
    if talk.mine:
        acts.append(HandOver(chat_id, None, operator_id, now, by=operator_id))
    if talk.label:
        acts.append(Labelled(chat_id, labels[talk.label], True, operator_id, now))
    if talk.note:
        acts.append(NoteWritten(chat_id, operator_id, "sample", talk.note, now))
    return acts


def _name(number: int, talk: Talk) -> str:
    return f"{talk.chat_type}-sample-{number}"


def _chat(name: str, buyer: int, talk: Talk, now: Millis) -> Json:
    times = [(now - minutes * MINUTE) // SECOND for _, minutes, _ in talk.lines]
    other = {"id": 1 if talk.chat_type == "a2u" else buyer, "name": talk.buyer}
    users = [other, {"id": SAMPLE_USER_ID, "name": SHOP}]
    chat: Json = {"id": name, "created": times[0], "updated": times[-1], "users": users}
    if talk.item:
        item = ITEMS[talk.item]
        photo = f"{SCHEME}{item.photo}"
        chat["context"] = {
            "type": "item",
            "value": {
                "id": ITEMS_FROM + list(ITEMS).index(talk.item),
                "title": item.title,
                "price_string": item.price,
                "status_id": 10,
                "images": {"main": {"140x105": photo}},
            },
        }
    return chat


def _message(name: str, line: Line, buyer: int, read: bool, now: Millis) -> Json:
    who, minutes, said = line
    kind = said.type if isinstance(said, Kind) else "system" if who == "A" else "text"
    return {
        "id": name,
        "author_id": {"B": buyer, "S": SAMPLE_USER_ID, "A": 1}[who],
        "created": (now - minutes * MINUTE) // SECOND,
        "type": "text" if kind == "deleted" else kind,
        "content": _content(said) if isinstance(said, Kind) else {"text": said},
        "isRead": read if who == "B" else minutes > READ_AFTER,
    }


def _content(said: Kind) -> Json:
    match said.type:
        case "image":
            return {"image": {"sizes": {"640x480": f"{SCHEME}corner"}}, "text": said.text}
        case "location":
            return {
                "location": {"kind": "house", "lat": 55.7895, "lon": 49.1136, "text": said.text, "title": said.text}
            }
        case "link":
            return {"link": {"text": said.text, "url": said.text, "preview": None}}
        case "item":
            item = ITEMS[said.text]
            photo = f"{SCHEME}{item.photo}"
            return {"item": {"image_url": photo, "item_url": "", "price_string": item.price, "title": item.title}}
        case "appCall":
            return {}
        case _:
            return {"text": said.text}
