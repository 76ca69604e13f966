"""What a running `golub` costs, and how quickly it answered Avito: read from outside, from /metrics and the oracle."""

import re
from dataclasses import dataclass
from pathlib import Path

import httpx2

from golub.simulator import read
from tests import processes

MEGABYTE = 1 << 20

_SAMPLE = re.compile(r"^([a-z_]+(?:\{[^}]*\})?) (\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Vitals:
    memory: float  # MB that are resident
    descriptors: int
    tasks: int
    logs: float  # MB of the larger of SQLite's logs, the spool's and the main database's
    cpu: float  # seconds since it began


async def numbers(golub: processes.Golub) -> dict[str, float]:
    async with httpx2.AsyncClient(base_url=golub.url, trust_env=False, timeout=20) as client:
        answer = await client.get("/metrics")
    assert answer.status_code == 200
    return {name: float(value) for name, value in _SAMPLE.findall(answer.text)}


async def vitals(golub: processes.Golub) -> Vitals:
    found = await numbers(golub)
    return Vitals(
        memory=found["process_resident_memory_bytes"] / MEGABYTE,
        descriptors=int(found["process_open_fds"]),
        tasks=int(found["golub_tasks"]),
        logs=max((log.stat().st_size for log in golub.folder.glob("*.db-wal")), default=0) / MEGABYTE,
        cpu=found["process_cpu_seconds_total"],
    )


def answered(log: Path, share: float, since: int = 0) -> float:
    """The ms within which this share of the webhooks got their answer, leaving out the first ones."""
    times = sorted([r["ms"] for r in read(log).records if r["kind"] == "answer"][since:])
    return times[min(len(times) - 1, int(len(times) * share))]
