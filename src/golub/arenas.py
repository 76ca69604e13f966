"""What one thread has freed is there for the others to take. glibc gives the threads of a process up to eight heaps a
core, and memory goes back only to the heap it came from: with a dozen threads that read the database, a server that
holds no more than an hour ago still grows. Beside the interpreter's lock two heaps are enough."""

import ctypes
import os
import sys

_ARENA_MAX = -8  # M_ARENA_MAX of glibc's malloc.h
_ARENAS = 2


def share() -> None:
    """To be called before threads start. The owner's own MALLOC_ARENA_MAX stays; other libraries have one heap."""
    if sys.platform == "linux" and "MALLOC_ARENA_MAX" not in os.environ:
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(_ARENA_MAX, _ARENAS)
