"""The allow-list: which networks an account's deliveries come from, and whether others are let in at once.

Avito publishes no addresses of the messenger. So a loop notes where confirmed deliveries came from (`Watch`), a person
may make a list of it (`Register`), and apply asks whether a delivery is from there (`Gate`). Promises:
- Only deliveries that came with the account's secret and that Avito's API has borne out are counted, each message once,
  so a stranger moves no number.
- A list is enforced only after it has proved itself; what comes from elsewhere is then kept in quarantine, never lost.
- Nothing but a person changes an account's mode. The address is the one that `web.address` gives: a trusted proxy's
  word, and nobody else's.
"""

from golub.allowlist.gate import OPEN, Gate, load_gates
from golub.allowlist.networks import JOB_SECTION, MOST, address_range, has, is_closed, network_of, parse_networks
from golub.allowlist.register import PROVED_BY, PROVED_FOR, Elsewhere, Register, Seen, Standing
from golub.allowlist.watch import Watch

__all__ = [
    "JOB_SECTION",
    "MOST",
    "OPEN",
    "PROVED_BY",
    "PROVED_FOR",
    "Elsewhere",
    "Gate",
    "Register",
    "Seen",
    "Standing",
    "Watch",
    "address_range",
    "has",
    "is_closed",
    "load_gates",
    "network_of",
    "parse_networks",
]
