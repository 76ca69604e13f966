"""When the next request of an account may leave: never faster than Avito bears, and operators first.

Three rules for each account, and none of them looks at another account:
- at most `per_minute` requests in any minute, as Avito counts them: a request is counted from its start until a
  minute after its answer. Everything but an operator's own action keeps to 80 % of it;
- after a 429 nothing leaves before the time that Avito named;
- after a failure background work waits longer and longer, an operator's action a second.

With `shares` the first two hold over all processes on one database; without them this process is the only one. Times
here are the loop's monotonic ones: a jump of the system clock stalls nothing.
"""

import asyncio
import heapq
import itertools
import math
import random
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from enum import IntEnum
from functools import partial

import structlog

from golub import metrics
from golub.avito.errors import Down
from golub.avito.shares import BACKGROUND_SHARE, WINDOW, Shares, Word
from golub.errors import Ambiguous, Paced, Rejected, Unavailable
from golub.runner import Loop

AT_ONCE = 4  # background requests of one account under way; operators get as many again
LEAST_LIMIT = 60
LONGEST_BACKOFF = 60.0
FAILURE_GAP = 1.0  # seconds between two requests while Avito fails
BLOCK = 0.04  # of an account's minute, taken from all processes' at once …
OPERATORS_BLOCK = 0.01  # … and for an operator's action
TAKE_AGAIN = 0.25  # seconds until what was not free is asked for again
TIDY_EVERY = 1.0  # seconds until what Avito told another process binds this one


class Lane(IntEnum):
    """Who goes first."""

    OPERATOR = 0  # somebody waits for it
    PROMPT = 1  # a new chat, a hint, the sweep
    BULK = 2  # history


PATIENCE = {Lane.OPERATOR: 3.0, Lane.PROMPT: 10.0, Lane.BULK: 20.0}  # seconds in the queue before `Paced`


log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Account:
    limit: int
    held: list[int]  # of the minute, by lane; each lane may use its own and those of the lanes that come after it
    holder: str = ""  # the name under which it is held
    taking: asyncio.Lock = field(default_factory=asyncio.Lock)
    to_tell: Word | None = None
    to_keep: bool = False  # some was given up here, and the others may not know yet
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

    def __init__(
        self,
        per_minute: int,
        shares: Shares | None = None,
        *,
        window: float = WINDOW,
        failure_gap: float = FAILURE_GAP,
    ) -> None:
        self._window = window
        self._gap = failure_gap
        self._shares = shares
        self._accounts: defaultdict[int, _Account] = defaultdict(self._new_account)
        self._per_minute = per_minute
        self._tickets = itertools.count()

    def _new_account(self) -> _Account:
        return _Account(self._per_minute, [0, 0, 0] if self._shares else _alone(self._per_minute))

    async def run(self) -> None:
        """Gives back shares that are not needed, and hears what Avito told other processes."""
        if self._shares:
            await Loop("pace", longest_wait=TIDY_EVERY).run(partial(self._look_after, self._shares))

    async def _look_after(self, shares: Shares) -> None:
        try:
            await self._tidy(shares)
        except Unavailable as error:  # no longer pause than usual: Avito's word to another process binds this one
            log.warning("shares of the budget could not be looked after", reason=str(error))

    @asynccontextmanager
    async def turn(self, account_id: int, lane: Lane) -> AsyncGenerator[None]:
        """Waits for this request's turn and counts it. Raises `Paced` where the queue is too long for its lane.

        `Down` and `Ambiguous` raised inside count as failures, `Paced` is Avito's word, a refusal is an answer.
        """
        account, asked, outcome = self._accounts[account_id], _now(), "ok"
        await self._admit(account_id, account, lane)
        started = account.started_at = _now()
        metrics.avito_wait_seconds.labels(lane.name.lower()).observe(started - asked)
        account.under_way += 1
        try:
            yield
        except Paced as paced:
            outcome = "paced"
            account.all_at = max(account.all_at, _now() + paced.retry_after)
            await self._tell(account_id, account, Word(paced.retry_after, None))
            raise
        except (Down, Ambiguous) as error:
            outcome = "ambiguous" if isinstance(error, Ambiguous) else "down"
            self._failed(account, started)
            raise
        except Rejected:
            outcome = "refused"
            account.failures = 0
            raise
        else:
            account.failures = 0
        finally:
            metrics.avito_requests.labels(outcome).inc()
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
            known, told = account.limit, min(self._per_minute, int(limit[:9]))
            self._limit(account, told)
            if self._shares and told != known:
                account.to_tell = Word(0, told)
        if remaining and remaining.isascii() and remaining.isdigit() and int(remaining[:9]) <= AT_ONCE:
            account.background_at = max(account.background_at, _now() + self._gap)

    async def _admit(self, account_id: int, account: _Account, lane: Lane) -> None:
        ticket = (lane, next(self._tickets))
        heapq.heappush(account.waiting, ticket)
        latest = _now() + PATIENCE[lane]
        try:
            while True:
                wait = self._wait(account, ticket)
                if wait <= 0 and (wait := self._until_room(account, lane)) <= 0:
                    return
                if self._shares and wait == TAKE_AGAIN and await self._take(self._shares, account_id, account, lane):
                    continue
                left = latest - _now()
                if left <= 0 or left < wait < math.inf:
                    pause = max(wait, self._gap) if wait < math.inf else self._gap
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
        """Seconds until this ticket should look again; 0: it may go where there is room; infinity: when something has
        changed."""
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
        return 0

    def _until_room(self, account: _Account, lane: Lane) -> float:
        """Seconds until the minute has room for one more; with shares `TAKE_AGAIN`, for more can be had at any time."""
        now = _now()
        if self._shares and account.holder != self._shares.holder:  # away for too long: it is not ours any more
            account.held = [0, 0, 0]
        while account.answered and account.answered[0] <= now - self._window:
            account.answered.popleft()
        too_many = account.under_way + len(account.answered) - sum(account.held[lane:]) + 1
        if too_many <= 0:
            return 0
        if self._shares:
            return TAKE_AGAIN
        if too_many > len(account.answered):
            return math.inf
        return max(account.answered[too_many - 1] + self._window - now, 0.001)

    async def _take(self, shares: Shares, account_id: int, account: _Account, lane: Lane) -> bool:
        """Whether there is something new to look at."""
        wanted = max(1, int(account.limit * (OPERATORS_BLOCK if lane is Lane.OPERATOR else BLOCK)))
        async with account.taking:
            if self._until_room(account, lane) <= 0:
                return True  # somebody else has taken some meanwhile
            try:
                granted, word = await shares.take(account_id, lane, wanted)
            except Unavailable as error:  # nothing has left: whoever wanted it comes again soon, and not after a lease
                raise Paced(error.message, retry_after=self._gap) from error
            if account.holder != shares.holder:
                account.holder, account.held = shares.holder, [0, 0, 0]
            account.held[lane] += granted
        self._hear(account, word)
        return granted > 0

    async def _tidy(self, shares: Shares) -> None:
        concerned = {key: one for key, one in self._accounts.items() if any(one.held) or one.to_tell or one.to_keep}
        if not concerned:
            return
        for account_id, account in concerned.items():
            if account.to_tell:
                await self._tell(account_id, account, account.to_tell)
        await self._give_back(shares, concerned)
        for account_id, word in (await shares.words(concerned)).items():
            self._hear(self._accounts[account_id], word)

    async def _give_back(self, shares: Shares, accounts: Mapping[int, _Account]) -> None:
        """Nothing is taken meanwhile: the others are told what is held, and not how much less."""
        holder, kept = shares.holder, dict[int, list[int]]()
        async with AsyncExitStack() as still:
            for account_id, account in accounts.items():
                if account.taking.locked():
                    continue
                if account.holder != holder:
                    account.to_keep = False
                    continue
                used = self.used(account_id)
                spare = max(1, int(account.limit * BLOCK)) if used else 0
                if sum(account.held) > used + 2 * spare:
                    account.held, account.to_keep = _reduced(account.held, used + spare), True
                if account.to_keep:
                    await still.enter_async_context(account.taking)
                    kept[account_id] = account.held
            if kept:
                await shares.keep(holder, kept)
                for account_id in kept:
                    accounts[account_id].to_keep = False

    async def _tell(self, account_id: int, account: _Account, word: Word) -> None:
        """To the other processes; what cannot be told now is told by `run`."""
        if not self._shares:
            return
        account.to_tell = Word(word.pause, word.limit or (account.to_tell.limit if account.to_tell else None))
        try:
            await self._shares.tell(account_id, account.to_tell)
        except Unavailable:
            return
        account.to_tell = None

    def _hear(self, account: _Account, word: Word) -> None:
        if word.pause:
            account.all_at = max(account.all_at, _now() + word.pause)
        if word.limit:
            self._limit(account, min(self._per_minute, word.limit))

    def _limit(self, account: _Account, limit: int) -> None:
        if not self._shares:
            account.held = _alone(limit)
        elif limit < account.limit:
            account.held = [part * limit // account.limit for part in account.held]
            account.to_keep = True
        account.limit = limit

    def _failed(self, account: _Account, started: float) -> None:
        """Requests that were under way together fail together: that is one failure."""
        if started < account.failed_at:
            return
        account.failures += 1
        account.failed_at = _now()
        backoff = min(LONGEST_BACKOFF, self._gap * 2 ** min(account.failures - 1, 16))
        account.background_at = account.failed_at + max(self._gap, backoff * random.uniform(0.7, 1.3))  # noqa: S311


def _alone(limit: int) -> list[int]:
    """All of it, where there is no other process."""
    background = max(1, int(limit * BACKGROUND_SHARE))
    return [limit - background, 0, background]


def _reduced(held: list[int], to: int) -> list[int]:
    """What any lane may use is kept first."""
    kept = [0, 0, 0]
    for lane in reversed(Lane):
        kept[lane] = min(held[lane], to - sum(kept))
    return kept


def _now() -> float:
    return asyncio.get_running_loop().time()
