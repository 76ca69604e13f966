"""What README tells a person to do works, on a clean clone with an empty environment.

A block that opens with `sh run` is run. A command that serves is waited for until it prints its address and answers
there, and is then ended; every other one must end by itself, and well.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from urllib.request import urlopen

import pytest

ROOT = Path(__file__).parents[1]
READMES = ("README.md", "README.ru.md")
PAGES = sorted(str(path.relative_to(ROOT)) for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
SERVES = {"make demo", "make serve"}
SUITE = "make test"
READY = re.compile(r"Golub: (http://\S+)")
PATIENCE = 300  # seconds for one command, which may have to fetch packages first


def commands(readme: str) -> list[str]:
    blocks = re.findall(r"^```sh run\n(.*?)^```$", (ROOT / readme).read_text(), re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line and not line.startswith("#")]


def test_both_readmes_say_the_same_two_commands() -> None:
    assert [commands(readme) for readme in READMES] == [["make demo", "make test"]] * 2


def test_ci_runs_what_the_readme_says() -> None:
    """The suite does not run itself inside itself; it checks that CI runs the line that the reader is told."""
    lines = (ROOT / ".ci/run").read_text().splitlines()
    targets = {target for line in lines if line.startswith("exec make ") for target in line.split()[2:]}
    assert SUITE.split()[1] in targets


@pytest.mark.parametrize("page", READMES)
def test_every_make_target_that_is_named_exists(page: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z]+)\b(?=[`\n])", (ROOT / page).read_text())) - targets == set()


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    text = re.sub(r"```.*?```", "", (ROOT / page).read_text(), flags=re.DOTALL)
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text)
    local = [link for link in links if not re.match(r"[a-z]+:|/", link)]
    assert [link for link in local if not (ROOT / page).parent.joinpath(link).exists()] == []


@pytest.mark.story
def test_the_commands_work_on_a_clean_clone(tmp_path: Path) -> None:
    clone = tmp_path / "golub"
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", ROOT, clone], check=True)
    for command in commands("README.md"):
        if command == SUITE:
            continue
        if command in SERVES:
            with _serving(command, clone) as url, urlopen(url, timeout=10) as answer:
                assert answer.status == 200
        else:
            subprocess.run(command, shell=True, check=True, cwd=clone, env=_empty_environment(), timeout=PATIENCE)
    shutil.rmtree(clone)


@contextmanager
def _serving(command: str, folder: Path) -> Generator[str]:
    """The address that the command prints. On leaving, Ctrl-C is pressed, and it must end."""
    with subprocess.Popen(
        command.split(),
        cwd=folder,
        env=_empty_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        process_group=0,
    ) as process:
        # Ends the whole group should it hang, so that reading below ends too.
        alarm = Timer(PATIENCE, os.killpg, (process.pid, signal.SIGKILL))
        alarm.start()
        try:
            assert process.stdout
            said: list[str] = []
            for line in process.stdout:
                said.append(line)
                if ready := READY.search(line):
                    yield ready[1]
                    break
            else:
                pytest.fail(f"{command} printed no address:\n{''.join(said)}")
            os.killpg(process.pid, signal.SIGINT)
            process.stdout.read()
            process.wait()
        finally:
            alarm.cancel()
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def _empty_environment() -> dict[str, str]:
    """As after `env -i`, with a home for caches, and without the environment that this suite runs in."""
    own = str(Path(sys.executable).parent)
    path = [place for place in os.environ["PATH"].split(os.pathsep) if place != own]
    return {"PATH": os.pathsep.join(path), "HOME": os.environ["HOME"]}
