"""What can go wrong at Avito, by name. Each line of the table is one kind of day that a program must survive.

A scenario is a mixture of what the simulator can do anyway: `faults` and `policy` are the weather, until it ends;
`shop` changes every shop it is played for, until it ends; `past` is history, without a webhook; `happens` is what
buyers and Avito do, and stays. `stage` plays it. The same seed gives the same scenario.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

from golub.simulator.catalogue import BUYERS
from golub.simulator.crowd import seed_crowd
from golub.simulator.dialogues import FOLLOW_UPS
from golub.simulator.faults import Fault
from golub.simulator.world import Account, Chat

if TYPE_CHECKING:
    from golub.simulator.simulator import Simulator

Act = Callable[["Simulator", Account, Random], None]

BURST = 200  # messages, in a tenth as many chats
PAST_THE_CAP = 1_200  # chats; a list shows 1100
LATE = 3.0  # s
ENDLESS = 32 * 1024 * 1024  # bytes of an answer that is too long
HTML = "<!doctype html><html><body><h1>502 Bad Gateway</h1><hr>nginx</body></html>"
JSON = {"content-type": "application/json"}


@dataclass(frozen=True, slots=True)
class Scenario:
    name: str
    says: str
    faults: tuple[Fault, ...] = ()
    policy: Mapping[str, Any] = field(default_factory=dict[str, Any])
    shop: Mapping[str, Any] = field(default_factory=dict[str, Any])
    past: Act | None = None
    happens: Act | None = None


def always(operation: str, **how: Any) -> tuple[Fault, ...]:
    return (Fault(operation, times=None, **how),)


def visitor(sim: "Simulator", shop: Account, rng: Random) -> Chat:
    """A new buyer, who asks about something that other buyers ask about."""
    known = next((chat.item for chat in shop.newest_first()[:50] if chat.item), None)
    return sim.add_chat(shop, rng.choice(BUYERS), known)


def burst(sim: "Simulator", shop: Account, rng: Random) -> None:
    chats = [visitor(sim, shop, rng) for _ in range(BURST // 10)]
    for number in range(BURST):
        sim.buyer_says(rng.choice(chats), f"{rng.choice(FOLLOW_UPS)} № {number + 1}")


def row(sim: "Simulator", shop: Account, rng: Random) -> None:
    chat = visitor(sim, shop, rng)
    for number in range(10):
        sim.buyer_says(chat, f"Сообщение {number + 1} из 10")


def expired(sim: "Simulator", shop: Account, _rng: Random) -> None:
    sim.expire_tokens(shop)


def stolen(sim: "Simulator", shop: Account, _rng: Random) -> None:
    sim.steal_subscription(shop, "https://crm.example.com/avito")


def unsubscribed(_sim: "Simulator", shop: Account, _rng: Random) -> None:
    shop.subscription, shop.stolen = None, False


def spoken(sim: "Simulator", shop: Account, rng: Random) -> None:
    sim.buyer_says(visitor(sim, shop, rng), type="voice")


def taken_back(sim: "Simulator", shop: Account, rng: Random) -> None:
    chat = visitor(sim, shop, rng)
    said = sim.buyer_says(chat, "Мой номер пришлю здесь")
    sim.buyer_says(chat, rng.choice(FOLLOW_UPS))
    sim.delete(said)


def crowd(sim: "Simulator", shop: Account, _rng: Random) -> None:
    seed_crowd(sim, shop, PAST_THE_CAP)


def bare(sim: "Simulator", shop: Account, rng: Random) -> None:
    chat = visitor(sim, shop, rng)
    chat.omits |= {"users", "context"}
    sim.buyer_says(chat, rng.choice(FOLLOW_UPS))


def nobody(sim: "Simulator", shop: Account, rng: Random) -> None:
    for author in (0, None):
        sim.system(visitor(sim, shop, rng), "[Системное сообщение] Покупатель оформил доставку", author=author)


TABLE = (
    # Webhooks
    Scenario("burst", f"{BURST} messages in {BURST // 10} chats at once.", happens=burst),
    Scenario("duplicates", "Every webhook comes three times, under other envelopes.", policy={"duplicates": 2}),
    Scenario(
        "disorder",
        f"Every other webhook is {LATE:.0f} s late, and a buyer writes ten messages in a row.",
        faults=always("webhook", delay=LATE, share=0.5),
        happens=row,
    ),
    Scenario("drop", "Three webhooks in ten never leave, whichever they are.", faults=always("webhook", share=0.3)),
    Scenario("silence", "No webhook leaves, and the subscription still stands.", faults=always("webhook")),
    Scenario("theft", "Another service takes the subscription.", happens=stolen),
    Scenario("unsubscribed", "The subscription is gone, and nobody took it.", happens=unsubscribed),
    # Sending
    Scenario("echo-first", "The echo of a reply comes before the answer to it.", policy={"echo_first": True}),
    Scenario(
        "lost-answer",
        "The next text and the next image are sent, but the call never answers.",
        faults=(Fault("postSendMessage", hang=True, after=True), Fault("postSendImageMessage", hang=True, after=True)),
    ),
    # The API
    Scenario("slow", f"Every answer takes {LATE:.0f} s.", faults=always("*", delay=LATE)),
    Scenario(
        "429-retry-after",
        "The next 20 calls are too many: 429, with Retry-After: 2.",
        faults=(Fault("*", 429, times=20, headers={"retry-after": "2", "x-ratelimit-remaining": "0"}),),
    ),
    Scenario("429", "The next 20 calls are too many; for how long is not said.", faults=(Fault("*", 429, times=20),)),
    Scenario(
        "429-absurd",
        "The next call is to be repeated in eleven days.",
        faults=(Fault("*", 429, headers={"retry-after": "1000000"}),),
    ),
    Scenario("500", "Half of the calls answer 500, in Avito's JSON.", faults=always("*", status=500, share=0.5)),
    Scenario("html", "Every call answers 502 with a gateway's HTML page.", faults=always("*", status=502, body=HTML)),
    Scenario("cut", "A third of the answers break off in the middle.", faults=always("*", cut=True, share=1 / 3)),
    Scenario(
        "malformed",
        "Half of the answers are 200 and no JSON.",
        faults=always("*", status=200, body='{"chats": [{"id": "u2i-', headers=JSON, share=0.5),
    ),
    Scenario(
        "wrong-shape",
        "Chats and messages are JSON of another shape.",
        faults=(
            *always("getChatsV2", body={"chats": {"id": None}}),
            *always("getChatByIdV2", body=[]),
            *always("getMessagesV3", body={"messages": [None, 1, {"id": 7}]}),
        ),
    ),
    Scenario("oversized", f"Every answer is {ENDLESS >> 20} MiB too long.", faults=always("*", pad=ENDLESS)),
    Scenario("page-cap", f"{PAST_THE_CAP} older chats: more than the pages of a list can show.", past=crowd),
    # The account
    Scenario("token-expired", "All access tokens are expired; another one can be had.", happens=expired),
    Scenario(
        "token-revoked",
        "All access tokens are expired, and the key pair gets no other.",
        shop={"revoked": True},
        happens=expired,
    ),
    Scenario("unpaid", "The messenger is not paid for: 402.", shop={"paid": False}),
    # What is in a chat
    Scenario(
        "voice-expired",
        "A voice message comes, and links to voices are dead when they are given out.",
        policy={"voice_seconds": 0},
        happens=spoken,
    ),
    Scenario("deleted", "A buyer takes a message back: it comes again as plain text.", happens=taken_back),
    Scenario("bare-chat", "A message comes in a chat without users and context.", happens=bare),
    Scenario("author-0", "System messages come, one of the author 0 and one of none.", happens=nobody),
)
SCENARIOS: Mapping[str, Scenario] = {scenario.name: scenario for scenario in TABLE}
