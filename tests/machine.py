"""What this machine has, looked at in one place: a test whose need is not there is skipped through here, and aloud.

A look asks whether the thing is there at all, before the test begins; one that is there and then fails is a failure.
With `CI` set these skips stay, but for what CI is to install; every other skip is a failure there (`conftest`).
"""

import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from enum import StrEnum
from functools import cache
from pathlib import Path

import pytest

from tests import chromium, postgres

OUT_OF_REACH = "not on this machine:"  # begins the reason of a skip that stays one in CI
OPEN_FILES = 4500  # that the greediest story has
AVITO_FILES = Path(os.environ.get("GOLUB_AVITO_OPENAPI") or Path(__file__).parents[2] / "shared/avito")

UV = str(Path(sys.executable).with_name("uv"))


class Need(StrEnum):
    """What a test may ask of the machine."""

    POSTGRES = "PostgreSQL"
    OWN_POSTGRES = "a PostgreSQL to stop and start"
    CHROMIUM = "Chromium"
    MEMORY_DISK = "a disk in memory"
    LOOP_DISK = "a disk in a file"
    HOSTS = "hosts of their own"
    STRACE = "strace"
    OPENSSL = "openssl"
    OPEN_FILES = "many open files"
    STALLED_READERS = "an end to stalled readers"
    PYTHON_312 = "Python 3.12"
    AVITO_FILES = "Avito's OpenAPI files"
    AVITO_PY = "an index of packages that has avito-py"


INSTALLED_IN_CI = {Need.POSTGRES, Need.OWN_POSTGRES, Need.CHROMIUM}


def must_have(*needs: Need) -> None:
    """Skips the test, or the module that is being read, where one of them is not there."""
    for need in needs:
        if reason := lack(need):
            skip(reason if need in INSTALLED_IN_CI else f"{OUT_OF_REACH} {reason}")


def skip(reason: str) -> None:
    pytest.skip(reason, allow_module_level=True)


@cache
def lack(need: Need) -> str | None:
    """Why it cannot be had here; None when it can."""
    return _LOOKS[need]()


def lacks() -> str:
    """For the head of a run. An index is asked only once something could not be installed: it may be far away."""
    return ", ".join(need for need in Need if need is not Need.AVITO_PY and lack(need)) or "nothing"


@cache
def newer_python() -> str | None:
    """3.12 or later: beside the one that runs, as pyenv keeps them, or on the path."""
    kept = sorted(Path(sys.base_prefix).parent.glob("3.*/bin/python3"), reverse=True)
    on_path = [shutil.which(f"python3.{minor}") for minor in (12, 13, 14)]
    asked = "import sys; sys.exit(sys.version_info < (3, 12))"
    for python in filter(None, [*map(str, kept), *on_path]):
        if _said([python, "-c", asked]) is None:
            return python
    return None


def _chromium() -> str | None:
    if chromium.find():
        return None
    return "no Chromium: install one (Debian: apt-get install chromium), or set GOLUB_TEST_CHROMIUM"


def _memory_disk() -> str | None:
    return _mounts("tmpfs", ["-t", "tmpfs", "-o", "size=1m", "golub"])


def _loop_disk() -> str | None:
    with tempfile.NamedTemporaryFile(prefix="golub-disk-") as image:
        image.truncate(1 << 20)
        made = _said(["mkfs.ext4", "-q", "-F", image.name])
        return f"no ext4 can be made: {made}" if made else _mounts("file", ["-o", "loop", image.name])


def _mounts(kind: str, arguments: list[str]) -> str | None:
    if os.geteuid():
        return "only root can mount a disk"
    with tempfile.TemporaryDirectory(prefix="golub-disk-") as folder:
        if said := _said(["mount", *arguments, folder]):
            return f"no {kind} can be mounted: {said}"
        subprocess.run(["umount", folder], check=True)
    return None


def _hosts() -> str | None:
    """As `tests/hosts.py` makes them."""
    if os.geteuid():
        return "only root can make network namespaces"
    name = f"golub-{os.getpid()}"
    if said := _said(["ip", "netns", "add", name]):
        return f"no network namespaces: {said}"
    try:
        if said := _said(["nsenter", f"--net=/run/netns/{name}", "true"]):
            return f"no program can be run in a network namespace: {said}"
        made = ["ip", "-netns", name, "link", "add"]
        return _said([*made, "one", "type", "bridge"]) or _said([*made, "two", "type", "veth", "peer", "name", "three"])
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


def _openssl() -> str | None:
    return None if shutil.which("openssl") else "no openssl (Debian: apt-get install openssl)"


def _strace() -> str | None:
    """Attached to one that is no child of it, as the stories do."""
    if not shutil.which("strace"):
        return "no strace (Debian: apt-get install strace)"
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as patient:
        command = ["strace", "-e", "trace=none", "-p", str(patient.pid)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
            assert tracer.stderr
            said = tracer.stderr.readline().strip()
            patient.communicate()  # its input ends, it ends, and the tracer with it
    return None if "attached" in said else said


def _open_files() -> str | None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = hard == resource.RLIM_INFINITY or hard >= OPEN_FILES
    return None if enough else f"no more than {hard} files may be open"


def _stalled_readers() -> str | None:
    return None if hasattr(socket, "TCP_USER_TIMEOUT") else "only Linux ends a connection whose reader takes nothing"


def _python_312() -> str | None:
    return None if newer_python() else "a Python 3.12 or later beside the one that runs the tests"


def _avito_files() -> str | None:
    """Avito's text, not ours to keep. A folder that was named must have them."""
    if os.environ.get("GOLUB_AVITO_OPENAPI") or AVITO_FILES.is_dir():
        return None
    return (
        f"no {AVITO_FILES.name} beside the checkout; GOLUB_AVITO_OPENAPI may name the folder of Avito's OpenAPI files"
    )


def _avito_py() -> str | None:
    asked = [UV, "pip", "install", "--quiet", "--no-deps", "--dry-run", "--python", newer_python() or ""]
    with tempfile.TemporaryDirectory() as folder:
        said = _said([*asked, "--target", folder, "avito-py"])
    return f"avito-py, which cannot be had: {said[-300:]}" if said else None


def _said(command: list[str]) -> str | None:
    """What it complained of; None when it went well."""
    try:
        done = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    except FileNotFoundError:
        return f"no {command[0]}"
    return (done.stderr.strip() or f"status {done.returncode}") if done.returncode else None


_LOOKS: dict[Need, Callable[[], str | None]] = {
    Need.POSTGRES: postgres.missing,
    Need.OWN_POSTGRES: postgres.missing_own,
    Need.CHROMIUM: _chromium,
    Need.MEMORY_DISK: _memory_disk,
    Need.LOOP_DISK: _loop_disk,
    Need.HOSTS: _hosts,
    Need.STRACE: _strace,
    Need.OPENSSL: _openssl,
    Need.OPEN_FILES: _open_files,
    Need.STALLED_READERS: _stalled_readers,
    Need.PYTHON_312: _python_312,
    Need.AVITO_FILES: _avito_files,
    Need.AVITO_PY: _avito_py,
}
