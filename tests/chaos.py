"""`make chaos`: the promises of docs/promises.md, one after another at their full counts.

Each run adds a line to docs/chaos.jsonl, passed or failed, and the page is made again from it. What has passed with the
very code that is here is not run again unless asked, so a run that was broken off goes on where it was. Two may run at
once, each with promises of its own.
"""

import argparse
import fcntl
import hashlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from docs import promised
from docs.promised import PROMISES, Run

ROOT = Path(__file__).parents[1]
CODE = ("src", "tests", "pyproject.toml", "uv.lock")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=(__doc__ or "").partition("\n\n")[2])
    parser.add_argument("promises", nargs="*", metavar="P1", help="default: all")
    parser.add_argument("--short", action="store_true", help="at the counts of `make test`")
    parser.add_argument("--again", action="store_true", help="also what has passed with this code")
    asked = parser.parse_args()
    if unknown := set(asked.promises) - PROMISES.keys():
        parser.error(f"nobody promised {', '.join(sorted(unknown))}")
    failed: list[str] = []
    for name in asked.promises or PROMISES:
        code = code_digest()
        if not asked.again and has_passed(name, code, full=not asked.short):
            print(f"{name}: has passed with this code")
            continue
        print(f"{name}: {PROMISES[name].says}", flush=True)
        run = try_out(name, code, full=not asked.short)
        if run is None:
            failed.append(name)
            print(f"{name}: was not run to its end\n", flush=True)
            continue
        record(run)
        for test in run["tests"]:
            told = (
                [test["reason"]] if "reason" in test else [f"{what}={count}" for what, count in test["figures"].items()]
            )
            print(f"  {test['outcome']}: {test['test']}", *told)
        print(f"{name}: {run['outcome']} in {run['seconds']} s\n", flush=True)
        if run["outcome"] != "passed":
            failed.append(name)
    if failed:
        print(f"not kept, or not tried: {', '.join(failed)}")
    return bool(failed)


def try_out(name: str, code: str, *, full: bool) -> Run | None:
    """Runs the tests that prove it. None: not all of them had their turn, or there is none."""
    began, at, on = time.monotonic(), datetime.now(UTC), commit()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "figures.jsonl"
        scale = ["--full", "-o", "faulthandler_timeout=0"] if full else []
        ended = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "--promise", name, "--figures", path, *scale],
            check=False,
            cwd=ROOT,
        )
        if ended.returncode not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            return None
        lines = path.read_text().splitlines()
    tests = [json.loads(line) for line in lines]
    for test in tests:
        del test["promises"]
    return {
        "promise": name,
        "outcome": outcome_of([test["outcome"] for test in tests]),
        "full": full,
        "seconds": round(time.monotonic() - began),
        "at": at.isoformat(timespec="seconds"),
        "commit": on,
        "code": code if code == code_digest() else "changed meanwhile",
        "machine": f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} CPUs",
        "tests": tests,
    }


def outcome_of(tests: list[str]) -> str:
    """One that was skipped proves nothing, so a promise with one has not passed."""
    return next((worst for worst in ("failed", "skipped", "passed") if worst in tests), "none")


def has_passed(name: str, code: str, *, full: bool) -> bool:
    return any(
        run["outcome"] == "passed" and (run["promise"], run["code"], run["full"]) == (name, code, full)
        for run in promised.runs()
    )


def record(run: Run) -> None:
    """One at a time, also among processes, line and page together."""
    with promised.RESULTS.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(json.dumps(run, ensure_ascii=False) + "\n")
        file.flush()
        promised.PAGE.write_text(promised.page())


def code_digest() -> str:
    """Of what decides whether a promise holds, committed or not."""
    digest = hashlib.sha256()
    for name in _git("ls-files", "-z", "--cached", "--others", "--exclude-standard", *CODE).split("\0"):
        path = ROOT / name
        if name and path.is_file():
            digest.update(name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]


def commit() -> str:
    """With a plus where something in the work tree is not committed."""
    return _git("rev-parse", "--short=9", "HEAD").strip() + ("+" if _git("status", "--porcelain", *CODE) else "")


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], check=True, cwd=ROOT, capture_output=True, text=True).stdout


if __name__ == "__main__":
    sys.exit(main())
