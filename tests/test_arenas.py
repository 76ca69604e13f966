"""Threads share glibc's heaps, so that what one has freed another takes."""

import subprocess
import sys

# A dozen threads at once, each of which asks the allocator itself for memory. Then glibc tells its heaps.
ASKED = """
import ctypes, threading
from golub import arenas
arenas.share()
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fdopen.restype = ctypes.c_void_p
together = threading.Barrier(12)
def ask():
    libc.malloc(ctypes.c_size_t(5000))
    together.wait()
threads = [threading.Thread(target=ask) for _ in range(12)]
for thread in threads: thread.start()
for thread in threads: thread.join()
out = ctypes.c_void_p(libc.fdopen(1, b"w"))
libc.malloc_info(0, out)
libc.fflush(out)
"""


def heaps(**environment: str) -> int:
    run = subprocess.run([sys.executable, "-c", ASKED], check=True, capture_output=True, text=True, env=environment)
    assert "<malloc" in run.stdout
    return run.stdout.count("<heap nr=")


def test_many_threads_have_two_heaps_unless_the_owner_says_otherwise() -> None:
    assert heaps() == 2
    assert heaps(MALLOC_ARENA_MAX="5") == 5
