"""Whose turn it is to ask Avito for a token: one process at a time, and wrong keys at most once a minute by all.

In one process that is remembered; between several a row says it. A process that dies in its turn loses it by and by.
"""

from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from golub.clock import MINUTE, SECOND, Clock, Millis
from golub.errors import NotFound, Unavailable, WrongKeys
from golub.model import Pacing
from golub.store import Store

WRONG_KEYS_PAUSE = MINUTE  # between two attempts with keys that Avito does not know
LONGEST_TURN = 35 * SECOND  # a call may take thirty


class AloneTurns:
    """Of one process, which asks once at a time anyway."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._refused: dict[int, tuple[bytes, Millis]] = {}  # account: digest of its wrong keys, when

    async def take(self, account_id: int, keys: bytes) -> bool:
        """Whether it is our turn; `end` it. Raises `WrongKeys` for a digest of keys that were refused just now."""
        refused, at = self._refused.get(account_id, (b"", 0))
        if refused == keys and 0 <= self._clock() - at < WRONG_KEYS_PAUSE:
            raise _wrong_keys()
        return True

    async def end(self, account_id: int, refused: bytes | None) -> None:
        """`refused`: the digest of keys that Avito does not know."""
        if refused:
            self._refused[account_id] = refused, self._clock()
        else:
            self._refused.pop(account_id, None)


class SharedTurns:
    """The same over all processes on one PostgreSQL. Hosts whose clocks differ by more than a turn do not wait."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def take(self, account_id: int, keys: bytes) -> bool:
        """As above; False: somebody else asks. Raises `Unavailable`, and `NotFound` for an account that is gone."""
        now = self._clock()
        try:
            async with self._store.write() as session:
                new = self._store.insert(Pacing).values(account_id=account_id)
                await session.execute(new.on_conflict_do_nothing())
                turns = await session.get_one(Pacing, account_id, with_for_update=True)
                if turns.refused_keys == keys and 0 <= now - turns.refused_at < WRONG_KEYS_PAUSE:
                    raise _wrong_keys()
                if now < turns.token_asked_until <= now + LONGEST_TURN:
                    return False
                turns.token_asked_until = now + LONGEST_TURN
        except IntegrityError as error:
            raise NotFound("This account is no longer connected.") from error
        return True

    async def end(self, account_id: int, refused: bytes | None) -> None:
        values = {"refused_keys": refused, "refused_at": self._clock()} if refused else {"refused_keys": None}
        try:
            async with self._store.write() as session:
                await session.execute(
                    update(Pacing)
                    .where(Pacing.account_id == account_id)
                    .values(token_asked_until=0, **values)
                    .execution_options(synchronize_session=False)
                )
        except Unavailable:
            return  # the turn ends by itself


def _wrong_keys() -> WrongKeys:
    return WrongKeys("Avito does not know this client id and secret.")
