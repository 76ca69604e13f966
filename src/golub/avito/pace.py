"""When the next request of an account may leave: never faster than Avito bears, and operators first.

Three rules for each account, and none of them looks at another account:
- at most `per_minute` requests in any minute, as Avito counts them: a request is counted from its start until a
  minute after its answer. Everything but an operator's own action keeps to 80 % of it;
- after a 429 nothing leaves before the time that Avito named;
- after a failure background work waits longer and longer, an operator's action a second.

Times here are the loop's monotonic ones: a jump of the system clock stalls nothing.
"""

import asyncio
import heapq
import itertools
import math
import random
from collections import defaultdict, deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import IntEnum

from golub.avito.errors import Down
from golub.errors import Ambiguous, Paced, Rejected

WINDOW = 60.0  # seconds
BACKGROUND_SHARE = 0.8
AT_ONCE = 4  # background requests of one account under way; operators get as many again
LEAST_LIMIT = 60
LONGEST_BACKOFF = 60.0
FAILURE_GAP = 1.0  # seconds between two requests while Avito fails


class Lane(IntEnum):
    """Who goes first."""

    OPERATOR = 0  # somebody waits for it
    PROMPT = 1  # a new chat, a hint, the sweep
    BULK = 2  # history


PATIENCE = {Lane.OPERATOR: 3.0, Lane.PROMPT: 10.0, Lane.BULK: 20.0}  # seconds in the queue before `Paced`


@dataclass(slots=True)
class _Account:
    limit: int
    waiting: list[tuple[Lane, int]] = field(default_factory=list[tuple[Lane, int]])
    under_way: int = 0
    answered: deque[float] = field(default_factory=deque[float])
    failures: int = 0
    failed_at: float = 0.0
    started_at: float = 0.0
    background_at: float = 0.0  # not before: the breaker
    all_at: float = 0.0  # not before: Avito said so
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()


class Pace:
    """`window` and `failure_gap` are shorter in tests alone."""

    def __init__(self, per_minute: int, *, window: float = WINDOW, failure_gap: float = FAILURE_GAP) -> None:
        self._window = window
        self._gap = failure_gap
        self._accounts: defaultdict[int, _Account] = defaultdict(lambda: _Account(per_minute))
        self._per_minute = per_minute
        self._tickets = itertools.count()

    @asynccontextmanager
    async def turn(self, account_id: int, lane: Lane) -> AsyncGenerator[None]:
        """Waits for this request's turn and counts it. Raises `Paced` where the queue is too long for its lane.

        `Down` and `Ambiguous` raised inside count as failures, `Paced` is Avito's word, a refusal is an answer.
        """
        account = self._accounts[account_id]
        await self._admit(account, lane)
        started = account.started_at = _now()
        account.under_way += 1
        try:
            yield
        except Paced as paced:
            account.all_at = max(account.all_at, _now() + paced.retry_after)
            raise
        except (Down, Ambiguous):
            self._failed(account, started)
            raise
        except Rejected:
            account.failures = 0
            raise
        else:
            account.failures = 0
        finally:
            account.under_way -= 1
            account.answered.append(_now())
            account.tell()

    def failures(self, account_id: int) -> int:
        """How often in a row Avito has failed for this account."""
        return self._accounts[account_id].failures

    def used(self, account_id: int) -> int:
        """Requests of the last minute, by this process."""
        account = self._accounts[account_id]
        since = _now() - self._window
        return account.under_way + sum(at > since for at in account.answered)

    def told(self, account_id: int, limit: str | None, remaining: str | None) -> None:
        """Takes Avito's own figures from its headers; they can only make us slower, and nonsense is ignored.

        Their unit is not published: less than `LEAST_LIMIT` is taken for something else than requests a minute.
        """
        account = self._accounts[account_id]
        if limit and limit.isascii() and limit.isdigit() and int(limit[:9]) >= LEAST_LIMIT:
            account.limit = min(self._per_minute, int(limit[:9]))
        if remaining and remaining.isascii() and remaining.isdigit() and int(remaining[:9]) <= AT_ONCE:
            account.background_at = max(account.background_at, _now() + self._gap)

    async def _admit(self, account: _Account, lane: Lane) -> None:
        ticket = (lane, next(self._tickets))
        heapq.heappush(account.waiting, ticket)
        latest = _now() + PATIENCE[lane]
        try:
            while (wait := self._wait(account, ticket)) > 0:
                left = latest - _now()
                if left <= 0 or left < wait < math.inf:
                    pause = wait if wait < math.inf else self._gap
                    raise Paced("Too much is under way at Avito for this account.", retry_after=pause)
                try:
                    async with asyncio.timeout(min(wait, left)):
                        await account.changed.wait()
                except TimeoutError:
                    continue
        finally:
            account.waiting.remove(ticket)
            heapq.heapify(account.waiting)
            account.tell()

    def _wait(self, account: _Account, ticket: tuple[Lane, int]) -> float:
        """Seconds until this ticket should look again; 0: it may go now; infinity: when something has changed."""
        now, lane = _now(), ticket[0]
        if ticket != account.waiting[0]:
            return math.inf
        earliest = account.all_at
        if lane is not Lane.OPERATOR:
            earliest = max(earliest, account.background_at)
        if account.failures:
            earliest = max(earliest, account.started_at + self._gap)
        if earliest > now:
            return earliest - now
        if account.under_way >= (2 * AT_ONCE if lane is Lane.OPERATOR else AT_ONCE):
            return math.inf
        while account.answered and account.answered[0] <= now - self._window:
            account.answered.popleft()
        quota = account.limit if lane is Lane.OPERATOR else max(1, int(account.limit * BACKGROUND_SHARE))
        too_many = account.under_way + len(account.answered) - quota + 1
        if too_many <= 0:
            return 0
        if too_many > len(account.answered):
            return math.inf
        return max(account.answered[too_many - 1] + self._window - now, 0.001)

    def _failed(self, account: _Account, started: float) -> None:
        """Requests that were under way together fail together: that is one failure."""
        if started < account.failed_at:
            return
        account.failures += 1
        account.failed_at = _now()
        backoff = min(LONGEST_BACKOFF, self._gap * 2 ** min(account.failures - 1, 16))
        account.background_at = account.failed_at + max(self._gap, backoff * random.uniform(0.7, 1.3))  # noqa: S311


def _now() -> float:
    return asyncio.get_running_loop().time()
