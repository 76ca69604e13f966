"""PostgreSQL's hosts, where the address names several: first the one that answered last.

A host that is gone refuses nothing. By itself the driver would ask it first, each time for two seconds, and a page does
not wait that long: no page would ever come to the host behind it.
"""

import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine, event

DOUBTED_AFTER = 0.5  # seconds without an answer, after which the next connection asks another host first


class Hosts:
    """What the connections of a store have learnt from each other. Threads share it: it is a guess, and never wrong for
    longer than an attempt."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._answered = ""
        self._asked: dict[str, float] = {}  # who was asked first, and has not answered since

    def watch(self, engine: Engine) -> None:
        """Puts the hosts of every new connection in order, and remembers who answered."""

        @event.listens_for(engine, "do_connect")
        def _ask(_dialect: Any, _record: Any, _given: Any, parameters: dict[str, Any]) -> None:
            parameters.update(self.ordered(parameters.get("host", ""), str(parameters.get("port", ""))))

        @event.listens_for(engine, "connect")
        def _answer(connection: Any, _record: Any) -> None:
            self.answered(getattr(connection, "driver_connection", connection).info.host)

    def ordered(self, hosts: str, ports: str = "") -> dict[str, str]:
        """Both lists, as libpq writes them, in the order in which they are to be tried. One host stays as it is."""
        names = hosts.split(",")
        if len(names) < 2:
            return {}
        now = self._monotonic()
        found = list(zip(names, ports.split(",") if "," in ports else [ports] * len(names), strict=True))
        found.sort(key=lambda one: (self._doubted_since(one[0], now), one[0] != self._answered))
        first = found[0][0]
        if first not in self._asked or self._doubted_since(first, now):
            self._asked[first] = now
        return {"host": ",".join(name for name, _ in found)} | (
            {"port": ",".join(port for _, port in found)} if ports else {}
        )

    def answered(self, host: str) -> None:
        self._answered = host
        self._asked.clear()  # whoever was asked before it has had his turn

    def _doubted_since(self, host: str, now: float) -> float:
        """When it was asked; 0 while it may still answer. So hosts of which none answers are asked in turn."""
        asked = self._asked.get(host, now)
        return asked if now - asked > DOUBTED_AFTER else 0
