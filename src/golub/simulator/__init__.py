"""Our runnable Avito: its messenger API, its webhooks, its oddities, and a log that judges the receiver.

It knows Avito's wire format and nothing of Golub: whoever writes other software for Avito's messenger can use it alone.
"""

from golub.simulator.crowd import seed_crowd
from golub.simulator.faults import Fault
from golub.simulator.lively import Lively
from golub.simulator.oracle import Oracle, read
from golub.simulator.scenarios import SCENARIOS, Scenario
from golub.simulator.seed import seed_demo
from golub.simulator.simulator import Simulator
from golub.simulator.world import Account, Chat, Item, Message

__all__ = [
    "SCENARIOS",
    "Account",
    "Chat",
    "Fault",
    "Item",
    "Lively",
    "Message",
    "Oracle",
    "Scenario",
    "Simulator",
    "read",
    "seed_crowd",
    "seed_demo",
]
