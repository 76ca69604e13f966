"""The wheel is complete: every template, text and migration is in it, and htmx, which git does not hold."""

import subprocess
import sys
import tomllib
from pathlib import Path
from zipfile import ZipFile

import pytest

from hatch_build import COMMON, FILES, VENDOR

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    folder = tmp_path_factory.mktemp("wheel")
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "build", "--quiet", "--wheel", "--out-dir", folder], check=True, cwd=ROOT)
    (wheel,) = folder.glob("*.whl")
    return set(ZipFile(wheel).namelist())


def test_everything_that_git_holds_of_the_package_is_in_it(packed: set[str]) -> None:
    listed = subprocess.run(["git", "ls-files", "-z", "src"], check=True, cwd=ROOT, capture_output=True, text=True)
    ours = {name.removeprefix("src/") for name in listed.stdout.split("\0") if name and (ROOT / name).exists()}
    assert ours - packed == set()


def test_what_is_copied_in_at_build_time_is_in_it(packed: set[str]) -> None:
    vendored = {f"{VENDOR.relative_to('src')}/{name}" for name in FILES}
    assert (vendored | {str(COMMON.relative_to("src"))}) - packed == set()


def test_the_guide_is_in_it(packed: set[str]) -> None:
    target = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    pages = {
        f"{inside}/{page.name}"
        for outside, inside in target["force-include"].items()
        for page in (ROOT / outside).glob("*.md")
    }
    assert pages
    assert pages - packed == set()
