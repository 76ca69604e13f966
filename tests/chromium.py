"""The Chromium that browser tests drive: `GOLUB_TEST_CHROMIUM`, or the first one on PATH."""

import os
import shutil
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.async_api import Browser

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

PATIENCE = 60_000  # ms until an expectation is given up; what it waits for comes by itself, and sooner


def find() -> Path | None:
    named = os.environ.get("GOLUB_TEST_CHROMIUM")
    path = named or next(filter(None, map(shutil.which, NAMES)), None)
    return Path(path) if path else None


def version() -> str | None:
    if not (path := find()):
        return None
    shown = subprocess.run([path, "--version"], check=True, capture_output=True, text=True)
    return " ".join(shown.stdout.split()[:2])


@asynccontextmanager
async def launched() -> AsyncGenerator["Browser"]:
    """To open contexts in, which share nothing but the process: starting one takes a second of a core."""
    from playwright.async_api import async_playwright, expect  # late: most processes of a suite drive none

    expect.set_options(timeout=PATIENCE)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=find(), args=FLAGS)
        yield browser
        await browser.close()
