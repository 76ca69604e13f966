"""A disk that takes five milliseconds to flush, for one process: a few lines of C before its libc.

Flushes are delayed where the process asks for them, so everything else is as it is. It needs a C compiler, which Golub
itself does not; where there is none, the parts that want it are skipped.
"""

import shutil
import subprocess
from pathlib import Path

from benchmarks.frame import SkippedError

FLUSH = 0.005  # seconds

_SOURCE = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>
static void wait_for_disk(void) { struct timespec t = {0, NANOSECONDS}; while (nanosleep(&t, &t)); }
int fsync(int fd) {
  static int (*real)(int); if (!real) real = dlsym(RTLD_NEXT, "fsync");
  wait_for_disk(); return real(fd);
}
int fdatasync(int fd) {
  static int (*real)(int); if (!real) real = dlsym(RTLD_NEXT, "fdatasync");
  wait_for_disk(); return real(fd);
}
"""


def environment(folder: Path) -> dict[str, str]:
    """With which a process has such a disk. Raises `SkippedError`."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise SkippedError("a slow disk needs a C compiler (apt-get install gcc libc6-dev)")
    source, library = folder / "slow_disk.c", folder / "slow_disk.so"
    if not library.exists():
        folder.mkdir(parents=True, exist_ok=True)
        source.write_text(_SOURCE.replace("NANOSECONDS", str(round(FLUSH * 1e9))))
        ran = subprocess.run(
            [compiler, "-shared", "-fPIC", "-O2", "-o", library, source, "-ldl"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if ran.returncode:
            raise SkippedError(f"the C compiler does not work: {ran.stderr.strip()[:200]}")
    return {"LD_PRELOAD": str(library)}
