"""A crowd of chats: any number of them exist at once, and each tells its history when somebody first looks.

What a list needs without looking (when, whose, about what, unread or not) is made at the start, a few microseconds a
chat. The messages come from the seed and the chat's id, so they are the same whenever and in whatever order they are
asked for. There are no voice messages among them: a voice must be known by its id before its chat was looked at.
"""

from functools import partial
from random import Random
from typing import TYPE_CHECKING

from golub.simulator.catalogue import BUYERS, SHOPS
from golub.simulator.contents import content_for
from golub.simulator.dialogues import CAPTIONS, FOLLOW_UPS, TALKS
from golub.simulator.seed import opening
from golub.simulator.world import CHAT_ALPHABET, Account, Chat, Item, Message

if TYPE_CHECKING:
    from golub.simulator.simulator import Simulator

MOST_CHATS = 1_000_000
DAY = 86_400
SPAN = 365 * DAY  # over which the chats were last active
LONGEST_PAUSE = 5_400  # s between two messages
LONGEST_TALK = 16  # messages; so a talk always fits into the day before it ended
UNREAD = 0.05
BY_PROFILE = 1 / 7  # chats without an item, which the API hides unless it is asked for u2u

Line = tuple[bool, str, str]  # whether the buyer says it, type, text


def seed_crowd(sim: "Simulator", shop: Account, chats: int) -> None:
    """Gives a shop so many chats more. No webhooks: it is history. Raises ValueError for more than a million."""
    if not 0 < chats <= MOST_CHATS:
        raise ValueError(f"1 to {MOST_CHATS} chats")
    rng = Random(f"{sim.seed}:crowd:{shop.user_id}:{len(shop.chats)}")
    goods, tell, now = _goods(shop), partial(_tell, sim), sim.now()
    for _ in range(chats):
        item = None if rng.random() < BY_PROFILE else rng.choice(goods)
        kind = "u2i" if item else "u2u"
        ended = now - rng.randrange(60, SPAN)
        began = ended - rng.randrange(DAY, 5 * DAY)
        chat_id = f"{kind}-{''.join(rng.choices(CHAT_ALPHABET, k=22))}"
        buyer_id = rng.randrange(60_000_000, 2_100_000_000)
        chat = Chat(chat_id, shop, buyer_id, rng.choice(BUYERS), item, kind, began, ended)
        chat.untold, chat.untold_unread = tell, rng.random() < UNREAD
        sim.world.chats[chat_id] = chat
        shop.moved(chat, ended)


def _goods(shop: Account) -> list[Item]:
    for plan in SHOPS:
        if plan.user_id == shop.user_id:
            return plan.items()
    return [Item(f"Товар {n}, новый", 450 + 50 * n, shop.user_id * 1000 + n) for n in range(1, 201)]


def _tell(sim: "Simulator", chat: Chat) -> None:
    """Writes the history of one chat, which ends when the chat was last active."""
    rng = Random(f"{sim.seed}:{chat.id}")
    lines = _lines(rng, chat)
    times = [chat.updated]
    while len(times) < len(lines):
        times.append(times[-1] - rng.randrange(20, LONGEST_PAUSE))
    for (buyer, kind, text), at in zip(lines, reversed(times), strict=True):
        author = chat.buyer_id if buyer else chat.account.user_id
        content = content_for(kind, text, rng, sim.base_url, chat.item)
        message = Message(f"{rng.getrandbits(128):032x}", chat, author, at, kind, content)
        message.is_read = True
        message.read = None if buyer else at + 60
        chat.history.append(message)
        sim.world.messages[message.id] = message
    if chat.untold_unread:
        chat.history[-1].is_read = False


def _lines(rng: Random, chat: Chat) -> list[Line]:
    """What is said. The buyer has the last word in a chat that is unread."""
    lines: list[Line] = []
    if rng.random() < 0.6:
        lines += [(who == "B", "text", text) for who, text in rng.choice(TALKS)]
    else:
        lines.append((True, "text", opening(rng, "", chat.item)))
    if rng.random() < 0.15:
        lines.append((True, "image", rng.choice(CAPTIONS)))
    if rng.random() < 0.08:
        lines.append((True, rng.choice(("location", "appCall")), ""))
    while rng.random() < 0.4 and len(lines) < LONGEST_TALK - 1:
        lines.append((True, "text", rng.choice(FOLLOW_UPS)))
    if chat.untold_unread and not lines[-1][0]:
        lines.append((True, "text", rng.choice(FOLLOW_UPS)))
    return lines
