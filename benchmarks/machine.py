"""The machine that is measured on: what it is, who else is at work there, and which processor gets whom."""

import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import golub  # noqa: F401 - it chooses the sqlite3 that everybody gets

_ALLOWED = sorted(os.sched_getaffinity(0))  # before anybody is pinned
TICKS = os.sysconf("SC_CLK_TCK")
PACKAGES = ("uvicorn", "uvloop", "httptools", "starlette", "fastapi", "sqlalchemy", "psycopg", "playwright")


@dataclass(frozen=True)
class Cores:
    """Processors for the server that is measured, and for whoever loads it; the same where there is only one."""

    server: frozenset[int]
    load: frozenset[int]


def cores() -> Cores:
    """The last one is the load's: interrupts mostly come to the first."""
    return Cores(frozenset(_ALLOWED[:1]), frozenset(_ALLOWED[-1:]))


def pin(processors: frozenset[int], pid: int = 0) -> None:
    os.sched_setaffinity(pid, processors)


def processor_seconds(pid: int) -> float:
    """What the process and those that it started have taken, user and system."""
    ticks = 0
    for one in family(pid):
        try:
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / TICKS


def family(pid: int) -> Sequence[int]:
    """The process and all below it."""
    found = [pid]
    for one in found:
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            try:
                found += [int(child) for child in task.read_text().split()]
            except OSError:
                continue
    return found


def memory(pid: int) -> float:
    """Proportional set size in MB (10⁶ bytes), of the process and those that it started."""
    total = 0
    for one in family(pid):
        for line in Path(f"/proc/{one}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total / 1e6


def busy(seconds: float) -> float:
    """How many processors somebody uses while we do nothing."""
    before = _ticks()
    time.sleep(seconds)
    after = _ticks()
    return (sum(after[:3]) + sum(after[5:8]) - sum(before[:3]) - sum(before[5:8])) / TICKS / seconds


def stolen() -> float:
    """Seconds that the host has kept from us, since the machine started."""
    return _ticks()[7] / TICKS


def _ticks() -> list[int]:
    """user, nice, system, idle, iowait, irq, softirq, steal"""
    return [int(ticks) for ticks in Path("/proc/stat").read_text().partition("\n")[0].split()[1:9]]


def commit(root: Path) -> str:
    """Its short hash; behind a plus, that of what differs from it in the code and the benchmarks."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False).stdout.strip()

    ours = ("--", "src", "benchmarks", ":!benchmarks/results")
    changed = git("diff", "HEAD", *ours) + git("ls-files", "--others", "--exclude-standard", *ours)
    differs = f"+{sha256(changed.encode()).hexdigest()[:6]}" if changed else ""
    return (git("rev-parse", "--short=12", "HEAD") or "unknown") + differs


def describe() -> dict[str, Any]:
    import sqlite3

    model = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    memory_kib = int(Path("/proc/meminfo").read_text().split()[1])
    ours = cores()
    return {
        "processor": model[0] if model else platform.machine(),
        "processors": os.cpu_count(),
        "memory_mb": memory_kib * 1024 // 10**6,
        "kernel": platform.release(),
        "python": sys.version.split()[0],
        "sqlite": sqlite3.sqlite_version,
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        "server_on": sorted(ours.server),
        "load_on": sorted(ours.load),
        "load_average": [round(one, 2) for one in os.getloadavg()],
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
