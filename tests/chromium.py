"""The Chromium that browser tests drive: `GOLUB_TEST_CHROMIUM`, or the first one on PATH."""

import os
import shutil
import subprocess
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")

# Without its own services the browser asks nobody but us, so a closed network neither slows nor breaks it.
FLAGS = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    *(["--no-sandbox"] if os.geteuid() == 0 else []),
)


def find() -> Path | None:
    named = os.environ.get("GOLUB_TEST_CHROMIUM")
    path = named or next(filter(None, map(shutil.which, NAMES)), None)
    return Path(path) if path else None


def version() -> str | None:
    if not (path := find()):
        return None
    shown = subprocess.run([path, "--version"], check=True, capture_output=True, text=True)
    return " ".join(shown.stdout.split()[:2])
