"""The first steps: from no account to the first message, for a shop's owner who is no engineer.

Nothing is ticked off here: each step's state is worked out from what is true at the moment, so the page may be closed
and opened again on another day, and says what is left.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy.ext.asyncio import AsyncSession

from golub.accounts import Accounts, Holdings
from golub.clock import Millis
from golub.doctor import Check, Examination, Finding, Group, Verdict
from golub.doctor.shops import find_last_delivery, last_delivery
from golub.model import Account, AccountState, Mark, SubscriptionState
from golub.store import Store

MARK = "first_steps"  # is there once a person has put them aside


class Step(StrEnum):
    """In the order in which they are taken."""

    ADDRESS = "address"  # the world reaches us
    ACCOUNT = "account"
    HISTORY = "history"
    WEBHOOK = "webhook"
    DELIVERY = "delivery"  # a message came by it


class State(StrEnum):
    DONE = "done"
    YOURS = "yours"  # a person is to do it
    UNDER_WAY = "under_way"  # goes by itself
    WRONG = "wrong"  # a person is to mend it
    AFTER = "after"  # others come first


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an installation is. `account` is the one that is furthest, `troubles` what the doctor found on the way to
    our address; `delivered_at` is the first real delivery's place in the story: when the last one came."""

    states: Mapping[Step, State]
    account: Account | None
    holdings: Holdings | None
    troubles: Sequence[Finding]
    examination: Examination | None
    delivered_at: Millis | None

    @property
    def done(self) -> int:
        return sum(state is State.DONE for state in self.states.values())

    @property
    def is_complete(self) -> bool:
        return self.delivered_at is not None

    @property
    def current(self) -> Step | None:
        """Where a person has something to do, or to wait for."""
        return next((step for step in Step if self.states[step] not in (State.DONE, State.AFTER)), None)

    @property
    def moves(self) -> bool:
        """Whether something may change without this person's doing."""
        return any(self.states[step] is State.UNDER_WAY for step in Step)


async def find_progress(store: Store, accounts: Accounts, examination: Examination | None) -> Progress:
    account, delivered_at = await _furthest(store, accounts)
    holdings = await accounts.holdings(account.id) if account else None
    troubles = _troubles(examination)
    states = {
        Step.ADDRESS: State.DONE if delivered_at else _address(examination, troubles),
        Step.ACCOUNT: _account(account),
        Step.HISTORY: _history(account, holdings),
        Step.WEBHOOK: _webhook(account),
        Step.DELIVERY: _delivery(account, delivered_at),
    }
    return Progress(states, account, holdings, troubles, examination, delivered_at)


async def is_offered(session: AsyncSession) -> bool:
    """Whether the inbox is to lead there: until it is done, or was put aside."""
    return await find_last_delivery(session) is None and await session.get(Mark, MARK) is None


async def is_finished(store: Store) -> bool:
    return await last_delivery(store) is not None


async def put_aside(store: Store) -> None:
    async with store.write() as session:
        await session.execute(store.insert(Mark).values(name=MARK, value="later").on_conflict_do_nothing())


async def _furthest(store: Store, accounts: Accounts) -> tuple[Account | None, Millis | None]:
    """The account that the steps are about. Whoever connects a second one has gone this way before."""
    found = [(account, await last_delivery(store, account.id)) for account in await accounts.list()]
    found.sort(key=lambda one: (one[1] is None, one[0].webhook is None, one[0].paused_at is not None))
    return found[0] if found else (None, None)


def _troubles(examination: Examination | None) -> list[Finding]:
    if examination is None:
        return []
    return [one for one in examination.wrong if one.check.group is Group.WAY]


def _address(examination: Examination | None, troubles: Sequence[Finding]) -> State:
    if troubles:
        return State.WRONG
    if examination is None or examination.ended_at is None:
        return State.UNDER_WAY
    known = {one.check: one.verdict for one in examination.findings}
    return State.DONE if known.get(Check.PUBLIC_URL) is Verdict.OK else State.YOURS


def _account(account: Account | None) -> State:
    if account is None:
        return State.YOURS
    refused = account.state in {AccountState.WRONG_KEYS, AccountState.NO_ACCESS}
    return State.WRONG if refused or account.paused_at is not None else State.DONE


def _history(account: Account | None, holdings: Holdings | None) -> State:
    if account is None or holdings is None:
        return State.AFTER
    if account.backfill_offset is None and not holdings.unread_history:
        return State.DONE
    return State.UNDER_WAY if _account(account) is State.DONE else State.AFTER


def _webhook(account: Account | None) -> State:
    if account is None:
        return State.AFTER
    if account.webhook is None:
        return State.YOURS
    match account.webhook.subscription:
        case SubscriptionState.ACTIVE:
            return State.DONE
        case SubscriptionState.UNKNOWN:
            return State.UNDER_WAY
        case _:
            return State.WRONG


def _delivery(account: Account | None, delivered_at: Millis | None) -> State:
    if delivered_at:
        return State.DONE
    return State.UNDER_WAY if _webhook(account) is State.DONE else State.AFTER
