"""Passwords: which are good enough, and hashing that cannot be used to bury the process.

One argon2id hash takes about 0.2 s and 64 MiB: two run at once on threads of their own, a few wait, the rest is told to
come back. The webhook shares nothing with them.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import TypeVar

from pwdlib.hashers.argon2 import Argon2Hasher

from golub.errors import Invalid, Paced

SHORTEST = 8  # characters
LONGEST = 1024  # bytes
FEW_DIGITS = 12
SHORTEST_CORE = 4
PASSES, MEMORY = 3, 64 << 10  # RFC 9106, 4: where memory is scarce; KiB. Far less in tests alone
AT_ONCE = 2
WAITING = 8

_AROUND = "0123456789 !@#$%^&*()-_=+.,;:?/\\|'\"№"

_Result = TypeVar("_Result")


class Passwords:
    """Made once a process; `close` lets a hash that is running end."""

    def __init__(self) -> None:
        self._hasher = Argon2Hasher(time_cost=PASSES, memory_cost=MEMORY)
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="argon2")
        self._asked = 0
        self._nobody = ""

    async def hash(self, password: str, *, login: str = "") -> str:
        """Raises `Invalid` for a password that is too short, too long or easily guessed."""
        check_strength(password, login=login)
        return await self._run(lambda: self._hasher.hash(_bytes(password)))

    async def verify(self, password: str, kept: str | None) -> bool:
        """Whether it is the password. `None`, for a login that is not there, takes as long and is never right."""
        if len(_bytes(password)) > LONGEST:
            return False
        if kept is None and not self._nobody:
            self._nobody = await self._run(lambda: self._hasher.hash("nobody's"))
        hashed = kept or self._nobody
        right = await self._run(lambda: self._hasher.verify(_bytes(password), hashed))
        return right and kept is not None

    async def warm(self) -> None:
        """Makes the hash that unknown logins are checked against, so that the first of them takes no longer; and reads
        the words, for whoever chooses a password first."""
        await asyncio.gather(self.verify("", None), asyncio.to_thread(_cores))

    def close(self) -> None:
        self._threads.shutdown(cancel_futures=True)

    async def _run(self, work: Callable[[], _Result]) -> _Result:
        if self._asked >= AT_ONCE + WAITING:
            raise Paced("Too many people are signing in at this moment. Try again in a few seconds.", retry_after=3)
        self._asked += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._asked -= 1


def check_strength(password: str, *, login: str = "") -> None:
    """Length is what counts; no rules about digits and signs, which make passwords worse."""
    if len(password) < SHORTEST:
        raise Invalid("The password must have at least {shortest} characters.", field="password", shortest=SHORTEST)
    if len(_bytes(password)) > LONGEST:
        raise Invalid("The password must have at most {longest} bytes.", field="password", longest=LONGEST)
    folded = password.casefold()
    core = folded.strip(_AROUND)
    if folded in _weak() or core in _cores() or folded == login or len(set(folded)) < 3 or _is_number(password, core):
        raise Invalid("This password is among the first that are guessed. Choose another one.", field="password")


def _is_number(password: str, core: str) -> bool:
    """A date, a telephone: few enough to go through them all."""
    return not core and sum(char.isdigit() for char in password) < FEW_DIGITS


@cache
def _cores() -> frozenset[str]:
    """What is guessed first is guessed with a year or an exclamation mark around it next."""
    cores = (word.strip(_AROUND) for word in _weak())
    return frozenset(core for core in cores if len(core) >= SHORTEST_CORE)


@cache
def _weak() -> frozenset[str]:
    """Ours, which are what people here use, and the commonest of the world, which the build takes out of a wheel."""
    folder = Path(__file__).parent
    files = (folder / "weak_passwords.txt", folder / "vendor" / "common_passwords.txt")
    return frozenset(word for file in files for word in file.read_text(encoding="utf-8").casefold().split())


def _bytes(password: str) -> bytes:
    return password.encode(errors="surrogatepass")
