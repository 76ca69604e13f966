"""What can go wrong on purpose: a fault is one way of answering badly, armed for an operation.

Faults are looked up by operation: an operationId of Avito's OpenAPI file, "token", "self", "webhook", or "*" for any
API call. They are used in the order they were armed. Scenarios (named mixtures, `scenarios`) are built from `arm` and
`disarm` alone, so nothing else of the simulator needs to know them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any


@dataclass(slots=True)
class Fault:
    """One way of going wrong.

    On an API call: wait `delay` s, then answer `status` with `body` (JSON, or text/bytes as they are), or never answer
    (`hang`). With `after` the operation is carried out first and only its answer is lost: how a sent message becomes
    unconfirmed. A fault with a delay alone is a slow, correct answer. `pad` makes a correct answer so many bytes
    longer, and with `cut` the connection ends in the middle of it.
    On "webhook": a delay makes the delivery late; without one it is dropped for good and the oracle says so.
    """

    operation: str
    status: int | None = None
    body: Any = None
    delay: float = 0.0
    times: int | None = 1  # None: until cleared
    hang: bool = False
    after: bool = False
    cut: bool = False
    pad: int = 0
    share: float = 1.0  # which part of the calls is hit
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    account: int | None = None  # only this user_id
    hits: int = 0

    @property
    def spent(self) -> bool:
        return self.times is not None and self.hits >= self.times


class Faults:
    """The armed faults, and the dice for those that hit a share only."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self.armed: list[Fault] = []

    def arm(self, fault: Fault) -> Fault:
        if not 0.0 <= fault.share <= 1.0:
            raise ValueError("share must be between 0 and 1")
        self.armed.append(fault)
        return fault

    def clear(self, operation: str | None = None) -> None:
        self.armed = [f for f in self.armed if operation is not None and f.operation != operation]

    def disarm(self, fault: Fault) -> None:
        """This one; one that is spent already is no mistake."""
        self.armed = [armed for armed in self.armed if armed is not fault]

    def take(self, operation: str, account: int | None = None) -> Fault | None:
        """The fault that this call runs into, if any; counts the hit."""
        for fault in self.armed:
            if fault.operation not in (operation, "*") or (fault.operation == "*" and operation == "webhook"):
                continue
            if fault.account is not None and fault.account != account:
                continue
            if fault.share < 1.0 and self._rng.random() >= fault.share:
                continue
            fault.hits += 1
            if fault.spent:
                self.disarm(fault)
            return fault
        return None
