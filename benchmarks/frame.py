"""What a benchmark is, and how it is run: its parts in turn, three times over, and the medians of what they give.

A module in `benchmarks.suite` is a benchmark. Its docstring's first line says what it measures, and it has
- `FIGURES`, a sequence of `Figure`: what it gives, each with its goal where one is set;
- `parts(bench) -> Sequence[Part]`: what is run. A round runs each of them once, in this order, so what is to be
  compared stands side by side, and whatever disturbs the machine meets both;
- `values(measured) -> Mapping[str, float]`: the figures of one round, by name, from what its parts measured
  (`measured["part"]["rate"]`). A part that was skipped is not in `measured`; a figure that cannot be had is left out.

Every part that ended is written down at once, with what the machine did meanwhile. A run that was stopped goes on
where it was, on the same commit; a finished part is run again only when it is asked for.
"""

import json
import os
import shutil
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from benchmarks import machine
from benchmarks.machine import Cores

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build/benchmarks"  # what is made on the way; may be deleted
RESULTS = Path(__file__).parent / "results"
ROUNDS = 3
LOOK = 0.5  # seconds in which it is seen whether strangers are at work

Measures = Mapping[str, float]


class SkippedError(Exception):
    """What a part needs is not here; says what."""


@dataclass(frozen=True)
class Figure:
    """`name` is unique in its benchmark. With neither bound it is told, and judged by nobody."""

    name: str
    says: str
    unit: str  # "×", "/s", "ms", "µs", "s", "MB", "%", "B"
    at_least: float | None = None
    at_most: float | None = None

    @property
    def goal(self) -> str:
        if self.at_least is not None:
            return f"≥ {shown(self.at_least, self.unit)}"
        return f"≤ {shown(self.at_most, self.unit)}" if self.at_most is not None else ""

    def verdict(self, value: float) -> str:
        if self.at_least is None and self.at_most is None:
            return "told"
        low = self.at_least is not None and value < self.at_least
        high = self.at_most is not None and value > self.at_most
        return "missed" if low or high else "kept"


@dataclass(frozen=True)
class Part:
    """`measure` returns numbers by name, or raises `SkippedError`. `once`: in the first round alone."""

    name: str
    measure: Callable[[], Measures]
    once: bool = False


@dataclass(frozen=True)
class Bench:
    """What a benchmark is told. `folder` is its own, and stays between runs; `towns` are shared by all of them."""

    full: bool
    cores: Cores
    folder: Path
    towns: Path
    say: Callable[[str], None]

    def empty_folder(self, name: str) -> Path:
        """A new one, whatever was there."""
        path = self.folder / name
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        return path


class Benchmark(Protocol):
    """A module of `benchmarks.suite`."""

    FIGURES: Sequence[Figure]
    __doc__: str | None

    def parts(self, bench: Bench) -> Sequence[Part]: ...
    def values(self, measured: Mapping[str, Measures]) -> Mapping[str, float]: ...


@dataclass
class Ran:
    """One part of one round, as it is written down."""

    part: str
    round: int
    values: dict[str, float]
    skipped: str = ""
    seconds: float = 0.0
    load_average: float = 0.0
    others: float = 0.0  # of one processor, taken by strangers just before
    steal: float = 0.0  # of one processor, taken by the host meanwhile

    @property
    def disturbed(self) -> str:
        told = [
            f"{name} {100 * share:.0f} % of a processor"
            for name, share, most in (("others took", self.others, 0.1), ("the host took", self.steal, 0.02))
            if share > most
        ]
        return f"round {self.round}, {self.part}: {', '.join(told)}" if told else ""


@dataclass
class Journal:
    """What has been run already: a file, a line a part. Another commit, or another size, begins anew."""

    path: Path
    head: dict[str, Any]
    ran: list[Ran] = field(default_factory=list[Ran])

    @classmethod
    def open(cls, path: Path, head: dict[str, Any], *, again: bool) -> "Journal":
        found = cls(path, head)
        lines = path.read_text().splitlines() if path.exists() and not again else []
        if lines and json.loads(lines[0]) == head:
            found.ran = [Ran(**json.loads(line)) for line in lines[1:] if line.endswith("}")]
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(head) + "\n")
        return found

    def find(self, part: str, number: int) -> Ran | None:
        return next((one for one in self.ran if (one.part, one.round) == (part, number)), None)

    def add(self, one: Ran) -> None:
        self.ran.append(one)
        with self.path.open("a") as lines:
            lines.write(json.dumps(asdict(one)) + "\n")


def run(
    name: str,
    benchmark: Benchmark,
    *,
    full: bool,
    again: bool,
    rounds: int = ROUNDS,
    build: Path = BUILD,
    towns: Path | None = None,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Runs what of it is missing, and returns its result: what `benchmarks/results` holds of it."""
    cores = machine.cores()
    bench = Bench(full, cores, build / name, towns or build / "towns", lambda text: say(f"      {text}"))
    bench.folder.mkdir(parents=True, exist_ok=True)
    head = {"benchmark": name, "commit": machine.commit(ROOT), "full": full}
    journal = Journal.open(build / f"{name}.jsonl", head, again=again)
    parts = benchmark.parts(bench)
    for number in range(1, rounds + 1):
        for part in parts:
            if part.once and number > 1:
                continue
            if (done := journal.find(part.name, number)) is None:
                done = _measure(part, number)
                journal.add(done)
                told = done.skipped or ", ".join(f"{name} {value:.4g}" for name, value in done.values.items())
                say(f"  {name}, round {number} of {rounds}, {part.name}: {told}, {done.seconds:.0f} s")
                if done.disturbed:
                    say(f"      disturbed: {done.disturbed}")
    return head | result(benchmark, parts, journal, rounds)


def _measure(part: Part, number: int) -> Ran:
    others = machine.busy(LOOK)
    before, began = machine.stolen(), time.monotonic()
    values: dict[str, float] = {}
    skipped = ""
    try:
        values = dict(part.measure())
    except SkippedError as error:
        skipped = f"skipped: {error}"
    seconds = time.monotonic() - began
    steal = (machine.stolen() - before) / max(seconds, 0.01)
    return Ran(part.name, number, values, skipped, seconds, os.getloadavg()[0], others, steal)


def result(benchmark: Benchmark, parts: Sequence[Part], journal: Journal, rounds: int) -> dict[str, Any]:
    """The medians over the rounds, each beside its goal, and with what they were made of."""
    by_round: list[dict[str, float]] = []
    for number in range(1, rounds + 1):
        found = {part.name: journal.find(part.name, 1 if part.once else number) for part in parts}
        ended = {name: one.values for name, one in found.items() if one and not one.skipped}
        by_round.append(dict(benchmark.values(ended)))
    skipped = list(dict.fromkeys(one.skipped for one in journal.ran if one.skipped))
    disturbed = [one.disturbed for one in journal.ran if one.disturbed]
    return {
        "says": (benchmark.__doc__ or "").partition("\n")[0],
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "rounds": rounds,
        "machine": machine.describe(),
        "quiet": not disturbed,
        "disturbed": disturbed,
        "figures": [_judged(figure, by_round, skipped) for figure in benchmark.FIGURES],
        "parts": [asdict(one) for one in journal.ran],
    }


def _judged(figure: Figure, by_round: Sequence[Mapping[str, float]], skipped: Sequence[str]) -> dict[str, Any]:
    values = [one[figure.name] for one in by_round if figure.name in one]
    value = statistics.median(values) if values else None
    verdict = "not measured" if value is None else figure.verdict(value)
    return {
        "name": figure.name,
        "says": figure.says,
        "unit": figure.unit,
        "at_least": figure.at_least,
        "at_most": figure.at_most,
        "goal": figure.goal,
        "value": value,
        "rounds": values,
        "verdict": verdict,
        "reason": "; ".join(skipped) if value is None else "",
    }


def shown(value: float | None, unit: str) -> str:
    """As a person reads it."""
    if value is None:
        return "–"
    size = abs(value)
    number = f"{value:,.0f}".replace(",", " ") if size >= 100 else f"{value:.3g}" if size < 10 else f"{value:.1f}"
    return f"{number} {unit}".strip() if unit not in ("/s", "×") else f"{number}{unit}"
