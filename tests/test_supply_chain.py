"""What is installed is what was locked: every file by its hash, as a wheel, from one place, under a licence we know."""

import json
import subprocess
import tomllib
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from docs import supply
from hatch_build import COMMON, COMMONEST, FILES, PASSWORDS, VENDOR

ROOT = Path(__file__).parents[1]
KNOWN = {
    "0BSD", "Apache-2.0", "Apache-2.0 AND BSD-2-Clause", "MIT-0", "Zlib",
    "Apache-2.0 OR BSD-2-Clause", "Apache-2.0 OR BSD-3-Clause", "BSD-2-Clause", "BSD-3-Clause",
    "ISC", "LGPL-3.0-only", "MIT", "MIT AND PSF-2.0", "MIT OR Apache-2.0", "MIT-CMU", "MPL-2.0", "PSF-2.0",
}  # fmt: skip
# Taken in before there was this rule; a newer version of theirs has to wait like any other.
TAKEN_EARLY = {
    "annotated-doc": "0.0.7", "fastapi": "0.165.0", "httpcore2": "2.16.2", "httpx2": "2.16.2", "platformdirs": "4.14.7",
    "python-multipart": "0.0.34", "ruff": "0.17.6", "sqlalchemy": "2.1.9", "typer": "0.29.2", "uv": "0.13.9",
}  # fmt: skip


@pytest.mark.row(60)
def test_nothing_is_taken_in_before_others_have_looked_at_it_for_a_week() -> None:
    """What is stolen or planted in a release is usually found within days. Only the day of the calendar counts here."""
    young: dict[str, str] = {}
    for package in supply.locked().values():
        known = TAKEN_EARLY.get(package["name"]) == package["version"]
        for file in package.get("wheels", []):
            if not known and datetime.now(UTC) - datetime.fromisoformat(file["upload-time"]) < timedelta(days=7):
                young[package["name"]] = package["version"]
    assert young == {}


@pytest.mark.row(60)
def test_every_file_that_may_be_installed_is_locked_by_its_hash() -> None:
    others = [package for package in supply.locked().values() if package["name"] != "golub"]
    assert len(others) > 50
    for package in others:
        files = [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]
        assert files, package["name"]
        for file in files:
            assert file["hash"].startswith("sha256:"), package["name"]
            assert len(file["hash"]) == len("sha256:") + 64
            assert file["url"].startswith("https://files.pythonhosted.org/packages/")


@pytest.mark.row(60)
@pytest.mark.parametrize("tag", ["cp311", "cp313"])
def test_nothing_has_to_be_built_on_a_common_server(tag: str) -> None:
    """A source package runs its author's code when it is installed. Every one that we ship has a wheel."""
    python = int(tag.removeprefix("cp3"))
    for package in supply.shipped():
        names = [wheel["url"].rpartition("/")[2] for wheel in package["wheels"]]
        fit = [
            name
            for name in names
            if name.endswith("-none-any.whl")
            or ("x86_64" in name and "manylinux" in name and (f"-{tag}-" in name or _stable(name, python)))
        ]
        assert fit, f"{package['name']} has no wheel for {tag} on Linux"


def _stable(name: str, python: int) -> bool:
    _, _, rest = name.partition("-cp3")
    return ("-abi3-" in name and int(rest.partition("-")[0] or 0) <= python) or "-py3-none-manylinux" in name


def test_every_licence_is_known() -> None:
    assert {package["name"]: supply.licence(package["name"]) for package in supply.shipped()
            if supply.licence(package["name"]) not in KNOWN} == {}  # fmt: skip


@pytest.mark.row(60)
def test_the_bill_names_every_part_once_with_its_hashes() -> None:
    told = json.loads(supply.bill())
    assert (told["bomFormat"], told["specVersion"]) == ("CycloneDX", "1.6")
    refs = [part["bom-ref"] for part in told["components"]]
    assert len(set(refs)) == len(refs)
    assert {part["name"] for part in told["components"]} >= {"starlette", "sqlalchemy", "pillow", "htmx.min.js"}
    assert "pytest" not in {part["name"] for part in told["components"]}
    for part in told["components"]:
        hashes = [
            *part.get("hashes", []),
            *(one for file in part.get("externalReferences", []) for one in file["hashes"]),
        ]
        assert hashes
        assert all(len(one["content"]) == 64 for one in hashes)


@pytest.mark.row(60)
def test_browser_code_is_the_file_that_was_looked_at() -> None:
    there = {path.name: sha256(path.read_bytes()).hexdigest() for path in (ROOT / VENDOR).iterdir()}
    assert there == {name: file.sha256 for name, file in FILES.items()}


@pytest.mark.row(60)
def test_the_common_passwords_are_those_of_a_pinned_wheel() -> None:
    words = (ROOT / COMMON).read_text(encoding="utf-8").split("\n")
    assert (len(words), words[:3], words[-1]) == (COMMONEST + 1, ["123456", "password", "12345678"], "")
    listed = subprocess.run(["git", "ls-files", "src"], check=True, cwd=ROOT, capture_output=True, text=True).stdout
    assert str(COMMON) not in listed
    assert PASSWORDS.sha256 in supply.page()


def test_what_we_ask_for_by_name_has_an_exact_version() -> None:
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    loose = [one for one in asked if "==" not in one]
    assert loose == ["rich>=14"], "uv.lock holds it all the same"
