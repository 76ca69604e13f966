"""Keys in a statement: of few numbers, however many there are.

`IN` names each of its keys, so that 37 of them make another statement than 38. A database prepares each statement for
itself and keeps it: SQLite on every connection, where one over a wide table takes a tenth of a megabyte.
"""

from collections.abc import Generator, Iterable, Sequence
from typing import TypeVar

CHUNK = 512  # keys at once; SQLite takes 32 766 parameters

T = TypeVar("T")


def padded(keys: Iterable[T]) -> Sequence[T]:
    """The same keys, the last as often as it takes to be as many as a power of two."""
    listed = list(keys)
    if listed:
        listed += listed[-1:] * ((1 << (len(listed) - 1).bit_length()) - len(listed))
    return listed


def chunks(keys: Sequence[T]) -> Generator[Sequence[T]]:
    """All of them, in lists of `CHUNK` at most, each `padded`."""
    for start in range(0, len(keys), CHUNK):
        yield padded(keys[start : start + CHUNK])
