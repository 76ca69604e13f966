"""What is counted of the journal's rows, to the last one: on which side of the line each kind of delivery falls."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from golub.allowlist import PROVED_BY, Gate, Register, Standing, Watch, load_gates
from golub.audit import ITSELF
from golub.clock import MINUTE, Millis
from golub.errors import Conflict
from golub.model import Account, AccountState, AllowListMode, Cause, Chat, Delivery, DeliveryState, Message
from golub.settings import Settings
from golub.store import Store
from tests.conftest import SteppedClock

pytestmark = pytest.mark.anyio

AVITO = ("185.89.12.7", "::ffff:185.89.13.200", "146.158.48.1")
LISTED = "185.89.12.0/22 146.158.48.0/21"
STRANGER = "8.8.8.8"
CHAT = "u2i-1"


@dataclass
class Journal:
    store: Store
    clock: SteppedClock
    watch: Watch
    lists: Register
    account_id: int
    chat_id: int
    rows: int = 0

    async def has(
        self,
        address: str,
        *,
        message: str = "",
        at: Millis = 0,
        confirmed: bool = True,
        token_id: int | None = 1,
        cause: Cause = Cause.NONE,
    ) -> str:
        """A delivery, and the message that it brought, unless an earlier one did. Returns the message's name."""
        self.rows += 1
        at = at or self.clock()
        name = message or f"m{self.rows}"
        state = DeliveryState.QUARANTINED if cause else DeliveryState.APPLIED
        async with self.store.write() as session:
            session.add(
                Delivery(
                    id=self.rows.to_bytes(16, "big"), account_id=self.account_id, token_id=token_id, received_at=at,
                    applied_at=at, address=address, headers=[], body=b"{}", state=state, cause=cause,
                    event_type="message", chat_avito_id=CHAT, message_avito_id=name,
                )
            )  # fmt: skip
            if not message:
                session.add(
                    Message(
                        chat_id=self.chat_id, account_id=self.account_id, avito_id=name, type="text", direction="in",
                        content={}, created_at=at, received_at=at, observed_at=at, confirmed=confirmed, source=0,
                        digest=b"",
                    )
                )  # fmt: skip
        return name

    async def has_many(self, count: int) -> None:
        for number in range(count):
            self.clock.step(15 * MINUTE)
            await self.has(AVITO[number % len(AVITO)])

    async def counted(self) -> Standing:
        self.clock.step(20 * MINUTE)
        await self.watch.run_once()
        return await self.lists.get(self.account_id)

    def gate(self) -> Gate:
        with self.store.writing() as connection:
            return load_gates(connection)[self.account_id]


@pytest.fixture
async def journal(store: Store, clock: SteppedClock, tmp_path: Path) -> Journal:
    async with store.write() as session:
        account = Account(user_id=77, client_id="c", client_secret=b"", created_at=1, state=AccountState.WORKING)
        session.add(account)
        await session.flush()
        chat = Chat(account_id=account.id, avito_id=CHAT)
        session.add(chat)
        await session.flush()
        keys = account.id, chat.id
    watch, lists = Watch(store, Settings(data_dir=tmp_path), clock), Register(store, clock)
    await watch.run_once()
    return Journal(store, clock, watch, lists, *keys)


async def test_a_hundred_prove_a_list_and_nobody_else_s_count(journal: Journal) -> None:
    lists, account_id = journal.lists, journal.account_id
    await journal.has_many(PROVED_BY - 1)
    seen = (await journal.counted()).seen
    assert [(one.row.network, one.row.confirmed, one.row.lowest, one.row.highest) for one in seen] == [
        ("146.158.48.0/24", 33, "146.158.48.1", "146.158.48.1"),
        ("185.89.12.0/24", 33, "185.89.12.7", "185.89.12.7"),
        ("185.89.13.0/24", 33, "185.89.13.200", "185.89.13.200"),
    ]
    await lists.keep(account_id, LISTED, by=ITSELF)
    with pytest.raises(Conflict):
        await lists.enforce(account_id, by=ITSELF)
    name = await journal.has("185.89.12.9")
    await journal.has(STRANGER, message=name, at=journal.clock() + 5 * MINUTE)  # the same once more, later
    await journal.has(STRANGER, confirmed=False)  # which Avito does not know
    await journal.has(STRANGER, token_id=None)  # on the bare path
    await journal.has(STRANGER, cause=Cause.BAD_SIGNATURE)
    standing = await journal.counted()
    assert (standing.kind, standing.row.confirmed, standing.outside, standing.row.doubtful) == ("proved", 100, 0, 0)


async def test_what_came_from_two_networks_at_once_or_from_none_is_told_apart(journal: Journal) -> None:
    await journal.lists.keep(journal.account_id, LISTED, by=ITSELF)
    name = await journal.has(STRANGER)
    await journal.has(AVITO[0], message=name, at=journal.clock() + 500)
    await journal.has("")
    standing = await journal.counted()
    assert (standing.row.doubtful, standing.row.unplaced, standing.seen) == (1, 1, ())
    assert (standing.outside, standing.is_proved) == (1, False)


async def test_under_the_rule_avito_s_own_from_elsewhere_show_that_the_list_is_wrong(journal: Journal) -> None:
    lists, account_id = journal.lists, journal.account_id
    await lists.keep(account_id, LISTED, by=ITSELF)
    await journal.has_many(PROVED_BY)
    assert (await journal.counted()).kind == "proved"
    await lists.enforce(account_id, by=ITSELF)
    gate = journal.gate()
    assert [gate.refuses(one) for one in (*AVITO, STRANGER, "", "unknown")] == [False] * 3 + [True] * 3
    assert not gate.flags(STRANGER)
    journal.clock.step(MINUTE)
    await journal.has(STRANGER, cause=Cause.IP_NOT_ALLOWED)
    standing = await journal.counted()
    assert (standing.kind, standing.held_back, standing.held_back_wrongly, standing.outside) == ("enforced", 1, True, 1)
    came = await lists.elsewhere(account_id, standing.row.networks)
    assert (came.deliveries, came.networks) == (1, (("8.8.8.0/24", 1),))
    await lists.keep(account_id, f"{standing.row.networks}\n{STRANGER}", by=ITSELF)
    standing = await lists.get(account_id)
    assert (standing.mode, standing.held_back_wrongly) == (AllowListMode.ENFORCE, False)
    assert not journal.gate().refuses(STRANGER)


async def test_two_processes_count_nothing_twice(journal: Journal, tmp_path: Path) -> None:
    await journal.has_many(5)
    other = Watch(journal.store, Settings(data_dir=tmp_path), journal.clock)
    journal.clock.step(20 * MINUTE)
    await other.run_once()
    assert (await journal.counted()).row.confirmed == 5
