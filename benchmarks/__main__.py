"""Measures Golub against its goals, and prints what, goal, measured and verdict.

    python -m benchmarks [NAME …] [--full] [--again] [--rounds 3] [--list]

Without names it runs all but `peers`, which installs other programs. What was finished on this commit is not run
again, unless `--again` asks for it: so a run may be stopped at any time. Results go to `benchmarks/results`.
"""

import argparse
import importlib
import json
import os
import pkgutil
import sys
from pathlib import Path
from typing import Any, cast

from rich.console import Console
from rich.table import Table

from benchmarks import charts, frame, suite

ORDER = ("ack", "apply", "see", "read", "sweep", "start", "size", "idle", "peers")
ONLY_WHEN_ASKED = {"peers"}
COLOURS = {"kept": "green", "missed": "red", "not measured": "yellow"}


def names() -> list[str]:
    found = [one.name for one in pkgutil.iter_modules(suite.__path__)]
    return sorted(found, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))


def find(name: str) -> frame.Benchmark:
    return cast(frame.Benchmark, importlib.import_module(f"benchmarks.suite.{name}"))


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(names()))
    parser.add_argument("--full", action="store_true", help="at full size: hours")
    parser.add_argument("--again", action="store_true", help="also what is finished")
    parser.add_argument("--rounds", type=int, default=frame.ROUNDS)
    parser.add_argument("--list", action="store_true", help="say what there is, and end")
    parser.add_argument("--results", type=Path, default=frame.RESULTS, help="where results go")
    parser.add_argument("--towns", type=Path, default=frame.BUILD / "towns", help="where made-up messages are kept")
    asked = parser.parse_args()
    if unknown := set(asked.names) - set(names()):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(names())}")
    if asked.list:
        for name in names():
            print(f"{name:8} {(find(name).__doc__ or '').partition(chr(10))[0]}")
        return
    results: list[dict[str, Any]] = []
    asked.results.mkdir(parents=True, exist_ok=True)
    for name in asked.names or [name for name in names() if name not in ONLY_WHEN_ASKED]:
        print(f"{name}: load average {os.getloadavg()[0]:.2f}")
        try:
            result = frame.run(
                name, find(name), full=asked.full, again=asked.again, rounds=asked.rounds, towns=asked.towns
            )
        except KeyboardInterrupt:
            print("\nstopped; the same command goes on where it was", file=sys.stderr)
            raise SystemExit(130) from None
        written = json.dumps(result, ensure_ascii=False, indent=1) + "\n"
        (asked.results / f"{name}.json").write_text(written)
        results.append(result)
    charts.draw(asked.results)
    show(results)
    missed = [one["says"] for result in results for one in result["figures"] if one["verdict"] == "missed"]
    raise SystemExit(1 if missed else 0)


def show(results: list[dict[str, Any]]) -> None:
    table = Table(box=None, pad_edge=False)
    for column in ("", "what", "goal", "measured", "verdict"):
        table.add_column(column, justify="right" if column in ("goal", "measured") else "left", overflow="fold")
    for result in results:
        for one in result["figures"]:
            verdict = one["verdict"] + (f": {one['reason']}" if one["reason"] else "")
            colour = COLOURS.get(one["verdict"], "")
            table.add_row(
                result["benchmark"],
                one["says"],
                one["goal"],
                frame.shown(one["value"], one["unit"]),
                f"[{colour}]{verdict}[/]" if colour else verdict,
            )
    console = Console(width=None if sys.stdout.isatty() else 150, highlight=False)
    console.print(table)
    for result in results:
        if result["disturbed"]:
            ran = len(result["parts"])
            console.print(
                f"{result['benchmark']}: disturbed in {len(result['disturbed'])} of {ran} parts, so repeat it"
            )
            console.print("\n".join(f"  {one}" for one in result["disturbed"][:6]))


if __name__ == "__main__":
    main()
