"""The seeded world: three shops, their chats and weeks of history. The same seed gives the same world.

Times are told back from the clock; everything else depends on the seed alone.
"""

from random import Random
from typing import TYPE_CHECKING

from golub.simulator.catalogue import BUYERS, SHOPS, ShopPlan
from golub.simulator.dialogues import CAPTIONS, FOLLOW_UPS, OPENINGS, TALKS, TRADE_OPENINGS, spoken
from golub.simulator.world import Account, Chat, Item

if TYPE_CHECKING:
    from golub.simulator.simulator import Simulator

DAY = 86_400


def seed_demo(sim: "Simulator", chats: int = 14) -> list[Account]:
    """Three shops with `chats` chats each. Client ids are `demo-electronics`, `demo-parts`, `demo-furniture`."""
    rng, ids = Random(f"{sim.seed}:demo"), sim.world.rng
    sim.world.rng = Random(f"{sim.seed}:demo-ids")  # also in a simulator that has been running
    try:
        return [seed_shop(sim, plan, chats, rng) for plan in SHOPS]
    finally:
        sim.world.rng = ids


def seed_shop(sim: "Simulator", plan: ShopPlan, chats: int, rng: Random) -> Account:
    shop = sim.add_account(plan.user_id, plan.name, f"demo-{plan.trade}", f"demo-secret-{plan.user_id}")
    items = plan.items()
    names = rng.sample(BUYERS, len(BUYERS))
    for number in range(chats):
        started = sim.now() - rng.randrange(3600, 21 * DAY)
        name = names[number % len(names)]
        if number % 7 == 6:
            _profile_talk(sim, shop, name, started)
        else:
            _item_talk(sim, shop, name, rng.choice(items), plan.trade, started, rng)
    _notice(sim, shop)
    return shop


def opening(rng: Random, trade: str, item: Item | None) -> str:
    line = rng.choice(OPENINGS + TRADE_OPENINGS.get(trade, ()))
    return line.format(title=spoken(item.title) if item else "товар")


def _item_talk(sim: "Simulator", shop: Account, name: str, item: Item, trade: str, at: int, rng: Random) -> None:
    chat = sim.add_chat(shop, name, item, created=at)
    if rng.random() < 0.45:
        at = _exchange(sim, chat, rng.choice(TALKS), at, rng)
    else:
        sim.buyer_says(chat, opening(rng, trade, item), quiet=True, at=at)
        if rng.random() < 0.5:
            at = _later(sim, at, rng)
            sim.buyer_says(chat, rng.choice(FOLLOW_UPS), quiet=True, at=at)
    extra = rng.random()
    at = _later(sim, at, rng)
    if extra < 0.15:
        sim.buyer_says(chat, rng.choice(CAPTIONS), type="image", quiet=True, at=at)
    elif extra < 0.25:
        sim.buyer_says(chat, type="voice", quiet=True, at=at)
    elif extra < 0.32:
        sim.buyer_says(chat, type="location", quiet=True, at=at)
    elif extra < 0.40:
        sim.buyer_says(chat, type="appCall", quiet=True, at=at)
    _read_by_shop(chat, rng)


def _profile_talk(sim: "Simulator", shop: Account, name: str, at: int) -> None:
    """A chat by profile: no item, type u2u, which the API hides unless it is asked."""
    chat = sim.add_chat(shop, name, chat_type="u2u", created=at)
    sim.buyer_says(chat, "Здравствуйте! Видел несколько ваших объявлений. Оптом скидка есть?", quiet=True, at=at)
    sim.shop_said(chat, "Здравствуйте! От трёх позиций минус 7 %.", at=at + 840)
    sim.buyer_says(chat, "Принято, составлю список", quiet=True, at=at + 1500)


def _notice(sim: "Simulator", shop: Account) -> None:
    """Avito's own chat (a2u) with a system message."""
    at = sim.now() - 2 * DAY
    chat = sim.add_chat(shop, "Авито", chat_type="a2u", buyer_id=1, created=at)
    sim.system(chat, "[Системное сообщение] Отвечайте быстрее: значок «Отвечает за час» уже близко", quiet=True, at=at)


def _exchange(sim: "Simulator", chat: Chat, talk: tuple[tuple[str, str], ...], at: int, rng: Random) -> int:
    for who, line in talk:
        if who == "B":
            sim.buyer_says(chat, line, quiet=True, at=at)
        else:
            for message in chat.history:
                message.is_read = True
            sim.shop_said(chat, line, at=at)
        at = _later(sim, at, rng)
    return at


def _later(sim: "Simulator", at: int, rng: Random) -> int:
    return min(at + rng.randrange(20, 5400), sim.now() - 30)


def _read_by_shop(chat: Chat, rng: Random) -> None:
    if rng.random() < 0.6:
        for message in chat.history:
            message.is_read = True
    for message in chat.unseen:
        message.read = message.created + 60
    chat.unseen.clear()
