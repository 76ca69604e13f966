"""Turns of threads and tasks at one thing, in the order in which they came.

`asyncio.Lock` is for tasks alone and `threading.Lock` for threads, and that one is not fair.
"""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncGenerator, Generator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager

from golub.errors import Unavailable


class Turns:
    """Whoever waits longer than `patience` seconds gets `Unavailable`."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._guard = threading.Lock()  # held for moments only
        self._taken = False
        self._waiting: deque[Future[None]] = deque()

    @contextmanager
    def held(self) -> Generator[None]:
        """For a thread."""
        if turn := self._ask():
            try:
                turn.result(self._patience)
            except TimeoutError as error:
                self._give_up(turn)
                raise _too_late() from error
        try:
            yield
        finally:
            self._pass_on()

    @asynccontextmanager
    async def awaited(self) -> AsyncGenerator[None]:
        """For a task."""
        if turn := self._ask():
            try:
                async with asyncio.timeout(self._patience):
                    await asyncio.shield(asyncio.wrap_future(turn))
            except TimeoutError as error:
                self._give_up(turn)
                raise _too_late() from error
            except BaseException:
                self._give_up(turn)
                raise
        try:
            yield
        finally:
            self._pass_on()

    def _ask(self) -> Future[None] | None:
        """None: it is one's turn."""
        with self._guard:
            if not self._taken:
                self._taken = True
                return None
            turn = Future[None]()
            self._waiting.append(turn)
            return turn

    def _give_up(self, turn: Future[None]) -> None:
        if not turn.cancel():  # it came at this very moment
            self._pass_on()

    def _pass_on(self) -> None:
        with self._guard:
            while self._waiting:
                turn = self._waiting.popleft()
                if turn.set_running_or_notify_cancel():
                    turn.set_result(None)
                    return
            self._taken = False


def _too_late() -> Unavailable:
    return Unavailable("The database does not answer. Try again in a moment.")
