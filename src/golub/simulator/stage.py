"""Where scenarios are played: it arms what they say, remembers what was before, and puts that back when they end."""

from collections import Counter
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING, Any

from golub.simulator.faults import Fault
from golub.simulator.scenarios import SCENARIOS, Scenario
from golub.simulator.world import Account

if TYPE_CHECKING:
    from golub.simulator.simulator import Simulator


@dataclass(slots=True)
class Playing:
    """One scenario under way, and what there was before it."""

    faults: list[Fault]
    policy: dict[str, Any]
    shops: list[tuple[Account, dict[str, Any]]]


class Stage:
    def __init__(self, sim: "Simulator") -> None:
        self.playing: dict[str, Playing] = {}  # those that last; a burst is over when it was played
        self._sim = sim
        self._times: Counter[str] = Counter()
        self._waiting: list[tuple[Scenario, Account]] = []

    def play(self, name: str, account: Account | None = None, wait: bool = False) -> Scenario:
        """For one shop or for all that there are. Played again, it begins anew.

        `wait`: what happens in a shop waits until it has a webhook, for nobody would hear of it. Faults of `/token`
        and policies are everybody's, also when it is played for one shop.
        """
        if name not in SCENARIOS:
            raise ValueError(f"no such scenario: {name}; there are {', '.join(SCENARIOS)}")
        self.end(name)
        scenario, sim = SCENARIOS[name], self._sim
        shops = [account] if account else list(sim.world.accounts.values())
        only = account.user_id if account else None
        policy = {key: getattr(sim.policy, key) for key in scenario.policy}
        before = [(shop, {key: getattr(shop, key) for key in scenario.shop}) for shop in shops]
        faults = [sim.faults.arm(replace(fault, account=only)) for fault in scenario.faults]
        sim.policy.change(**scenario.policy)
        if faults or policy or scenario.shop:
            self.playing[name] = Playing(faults, policy, before)
        self._times[name] += 1
        for shop in shops:
            for key, value in scenario.shop.items():
                setattr(shop, key, value)
            if scenario.past:
                scenario.past(sim, shop, self._dice(scenario, shop))
            if wait and not shop.subscription:
                self._waiting.append((scenario, shop))
            elif scenario.happens:
                scenario.happens(sim, shop, self._dice(scenario, shop))
        return scenario

    def end(self, name: str | None = None) -> None:
        """One or all; one that is not playing is no mistake. Calls that hang in it are let go."""
        self._waiting = [pair for pair in self._waiting if name not in (None, pair[0].name)]
        for ended in [self.playing.pop(key) for key in list(self.playing) if name in (None, key)]:
            for fault in ended.faults:
                self._sim.faults.disarm(fault)
            self._sim.policy.change(**ended.policy)
            for shop, before in ended.shops:
                for key, value in before.items():
                    setattr(shop, key, value)
            if any(fault.hang for fault in ended.faults):
                self._sim.gate.release()

    def subscribed(self, account: Account) -> None:
        """A shop has a webhook now: what waited for it happens."""
        due = [scenario for scenario, shop in self._waiting if shop is account]
        self._waiting = [pair for pair in self._waiting if pair[1] is not account]
        for scenario in due:
            if scenario.happens:
                scenario.happens(self._sim, account, self._dice(scenario, account))

    def _dice(self, scenario: Scenario, shop: Account) -> Random:
        return Random(f"{self._sim.seed}:{scenario.name}:{shop.user_id}:{self._times[scenario.name]}")
