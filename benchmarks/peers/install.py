"""Puts the peers into a folder: `python -m benchmarks.peers.install FOLDER`; `make bench-peers` does it by itself.

What cannot be had here is skipped, and said aloud: each function raises `SkippedError` with the reason. What is there
is not installed again.
"""

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.frame import SkippedError

PYTHON = ("flask==3.1.3", "gunicorn==27.0.1", "fastapi==0.165.0", "uvicorn[standard]==0.54.0")
NODE_RED = "node-red@4.1.8"
LONGEST = 900  # seconds for one of them


def python(folder: Path) -> Path:
    """A virtual environment's `bin`."""
    there = folder / "python"
    if not (there / "whole").exists():
        shutil.rmtree(there, ignore_errors=True)
        venv.create(there, with_pip=True)
        _run("Flask and FastAPI", [str(there / "bin/python"), "-m", "pip", "install", "--quiet", *PYTHON])
        (there / "whole").touch()
    return there / "bin"


def node_red(folder: Path) -> Path:
    """Its program."""
    program = folder / "node-red/node_modules/.bin/node-red"
    if not program.exists():
        if not (npm := shutil.which("npm")):
            raise SkippedError("Node-RED needs npm")
        (folder / "node-red").mkdir(parents=True, exist_ok=True)
        told = ["--no-audit", "--no-fund", "--loglevel=error", "--prefix", str(folder / "node-red")]
        _run("Node-RED", [npm, "install", *told, NODE_RED])
    return program


def webhook(folder: Path) -> Path:  # noqa: ARG001 - as the others
    """Debian's program of that name."""
    if not (program := shutil.which("webhook")):
        if not shutil.which("apt-get") or os.geteuid() != 0:
            raise SkippedError("webhook is installed by root, with apt-get install webhook")
        _run("webhook", ["apt-get", "install", "-qq", "-y", "--no-install-recommends", "webhook"])
        program = shutil.which("webhook")
    if not program:
        raise SkippedError("webhook could not be installed")
    return Path(program)


def n8n(folder: Path) -> Path:  # noqa: ARG001
    raise SkippedError("n8n is not installed by this script: it takes more than a gigabyte, and a workflow set by hand")


ALL: dict[str, Callable[[Path], Path]] = {"python": python, "node-red": node_red, "webhook": webhook, "n8n": n8n}


def _run(name: str, command: Sequence[str]) -> None:
    try:
        ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LONGEST)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SkippedError(f"{name} could not be installed: {error}") from error
    if ran.returncode:
        raise SkippedError(f"{name} could not be installed: {ran.stderr.strip()[-300:]}")


def main() -> None:
    folder = Path(sys.argv[1])
    for name, install in ALL.items():
        try:
            print(f"{name}: {install(folder)}")
        except SkippedError as error:
            print(f"{name}: skipped: {error}")


if __name__ == "__main__":
    main()
