"""The signature lab: which scheme, if any, explains the signatures that come with deliveries, proved on real traffic.

Avito signs what it sends and does not publish how. Apply tries every scheme that makes sense (`Trial`), a loop counts
what came of it (`Lab`), and a person may make one that has proved itself a rule (`Register`). Promises:
- Only deliveries that came with the account's secret and that Avito's API has borne out are counted, each message once,
  so a stranger moves no number.
- A scheme is offered as a rule only where its key is secret, and after it fitted for long without a miss.
- Under a rule what does not fit is kept in quarantine. Nothing but a person changes an account's mode.
"""

from golub.signatures.lab import Lab
from golub.signatures.register import PROVED_BY, PROVED_FOR, Register, Standing
from golub.signatures.schemes import Bytes, Digest, Key, Outcome, Scheme, Signed, Writing, openssl_line, written
from golub.signatures.trying import Sitting, Trial, Tried

__all__ = [
    "PROVED_BY",
    "PROVED_FOR",
    "Bytes",
    "Digest",
    "Key",
    "Lab",
    "Outcome",
    "Register",
    "Scheme",
    "Signed",
    "Sitting",
    "Standing",
    "Trial",
    "Tried",
    "Writing",
    "openssl_line",
    "written",
]
