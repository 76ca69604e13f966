"""The rules that no linter knows: which way imports point, how long a module gets, which words a name may use, and that
whatever a person can set or call is written down."""

import ast
import enum
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from docs import generate
from docs.promised import PROMISES
from golub import model

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src/golub"
GENERATED = PACKAGE / "migrations/versions"  # by Alembic
SOURCES = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))

LONGEST = 400  # lines of a module
SAYS_NOTHING = {"helper", "helpers", "util", "utils", "common", "base", "service", "services", "data", "info"}
NOT_OURS = {"data_received"}  # asyncio.Protocol's
UNMAINTAINED = {"httpx", "requests"}
REPLACES_OUR_CODE = {"mock", "unittest.mock", "pytest_mock"}
REACHED = {"avito.ru", "api.telegram.org"}  # the only hosts that Golub calls by itself
LINKED = {"yandex.ru", "ru.wikipedia.org"}  # a person may click there
TEXTS = {".css", ".html", ".js", ".py", ".svg", ".txt"}
NAMED = {"127.0.0.1", "localhost", "example.com", "example.ru", "www.w3.org"}


def test_imports_point_down() -> None:
    run = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout.partition("Contracts:")[2] + run.stderr


def test_no_module_is_too_long() -> None:
    written = [path for path in SOURCES if path.parent != GENERATED]
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in written}
    assert {path: length for path, length in lengths.items() if length > LONGEST} == {}


def test_every_module_opens_with_what_it_promises() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in SOURCES
        if path.parent != GENERATED and path.read_text().strip() and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert silent == []


def test_names_say_something() -> None:
    named = [(name, name.rpartition(":")[2]) for name in _names()]
    assert [name for name, last in named if last not in NOT_OURS and SAYS_NOTHING & set(_words(last))] == []


def test_manager_is_a_role_and_nothing_else() -> None:
    assert [name for name in _names() if name.rpartition(":")[2].endswith(("Manager", "_manager.py"))] == []


def test_nothing_unmaintained_is_imported_and_no_code_of_ours_is_replaced() -> None:
    unwanted = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in SOURCES + TESTS
        for name in _imports(path)
        if name.split(".")[0] in UNMAINTAINED or name in REPLACES_OUR_CODE
    ]
    assert unwanted == []


def test_no_test_sleeps_without_a_reason() -> None:
    """Time that passes on purpose (a slow peer) says so at the end of its line."""
    sleeps = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in TESTS
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(r"\bsleep\((?!0\))[^#]*$", line)
    ]
    assert sleeps == [], "await a signal or step the clock"


@pytest.mark.parametrize("page", sorted(generate.PAGES))
def test_what_a_person_can_set_or_call_is_written_down(page: str) -> None:
    assert (ROOT / "docs" / page).read_text() == generate.PAGES[page](), "run `make docs`, and read what it wrote"


def test_every_promise_has_a_test() -> None:
    marks = re.findall(r"mark\.promise\(([^)]*)\)", "".join(path.read_text() for path in TESTS))
    proved = {name for mark in marks for name in re.findall(r"P\d+", mark)}
    assert sorted(PROMISES.keys() - proved) == []


def test_every_word_is_in_the_glossary() -> None:
    """Parts, tables and states are words that people meet: each is explained, and none goes by a refused name."""
    glossary = (ROOT / "docs/glossary.md").read_text()
    rows = [line.strip("| ").split("|") for line in glossary.splitlines() if line.startswith("| ")]
    explained = {row[0].strip() for row in rows}
    refused = {word.strip() for row in rows if len(row) == 4 for word in row[3].split(",")}
    parts = {part if part in explained else part.removesuffix("s") for part in _parts()}
    words: set[str] = set()
    for _, thing in inspect.getmembers(model, inspect.isclass):
        if issubclass(thing, model.Table) and thing is not model.Table:
            words.add(" ".join(_words(thing.__name__)).replace("one time", "one-time").replace("sign in", "sign-in"))
        elif issubclass(thing, enum.StrEnum) and thing.__name__.endswith("State"):
            words |= {state.value.replace("_", " ") for state in thing}
    assert sorted((parts | words) - explained) == []
    assert sorted(words & refused) == []


@pytest.mark.row(60)
def test_pages_load_nothing_from_other_hosts_and_no_code_calls_one() -> None:
    known = tuple(f".{host}" for host in REACHED | LINKED | NAMED)
    files = [path for path in PACKAGE.rglob("*") if path.suffix in TEXTS and "vendor" not in path.parts]
    foreign = {
        f"{path.relative_to(ROOT)}: {host}"
        for path in files
        for host in re.findall(r"https?://([\w.-]+\w)", path.read_text())
        if not f".{host}".endswith(known)
    }
    assert sorted(foreign) == []


def test_no_committed_file_names_a_developer_s_machine() -> None:
    here = [f"{path}/" for path in (ROOT, Path.home()) if path != Path(path.anchor)]
    named = [
        f"{path.relative_to(ROOT)}: {place}"
        for path in _tracked()
        for place in here
        if place.encode() in path.read_bytes()
    ]
    assert named == []


@pytest.mark.row(60)
def test_locked_dependencies_come_from_the_public_index() -> None:
    urls = re.findall(r'"(https?://[^"]+)"', (ROOT / "uv.lock").read_text())
    assert {urlsplit(url).hostname for url in urls} == {"pypi.org", "files.pythonhosted.org"}


def _tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], check=True, cwd=ROOT, capture_output=True, text=True).stdout
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


def _parts() -> set[str]:
    return {path.stem for path in PACKAGE.iterdir() if path.stem[0] != "_" and path.suffix in {".py", ""}}


def _names() -> Iterator[str]:
    """`path:name` of every module, class and function of ours; templates may be called base."""
    for path in SOURCES:
        where = path.relative_to(ROOT)
        yield f"{where}:{where.name}"
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{where}:{node.lineno}:{node.name}"


def _words(name: str) -> list[str]:
    """`SignInFailure`, `sign_in_failure` → sign, in, failure."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+", name.removesuffix(".py"))]


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
