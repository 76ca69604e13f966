"""Whether a delivery came from where it may: what apply asks for each, off the way of the acks."""

from dataclasses import dataclass

from sqlalchemy import Connection, select

from golub.allowlist.networks import has
from golub.model import AllowList, AllowListMode


@dataclass(frozen=True, slots=True)
class Gate:
    """An account's list, as far as apply needs it. `networks` is empty where none counts."""

    mode: AllowListMode = AllowListMode.OBSERVE
    networks: str = ""

    def refuses(self, address: str) -> bool:
        """Whether it goes to quarantine."""
        return self.mode is AllowListMode.ENFORCE and not has(self.networks, address)

    def flags(self, address: str) -> bool:
        """Whether it is applied, and marked."""
        return self.mode is AllowListMode.FLAG and not has(self.networks, address)


OPEN = Gate()


def load_gates(connection: Connection) -> dict[int, Gate]:
    """Few rows, read for every batch: a change in the panel counts at once, on every node."""
    rows = connection.execute(select(AllowList.account_id, AllowList.mode, AllowList.networks))
    return {account_id: Gate(AllowListMode(mode), networks) for account_id, mode, networks in rows}
