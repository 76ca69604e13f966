"""Copies third-party browser code out of PyPI wheels into the package, so that none of it lives in git.

The wheels are pinned in `build-system.requires`, each file's SHA-256 here, and a file that differs stops the build.
Runs for every wheel, the editable one of `uv sync` included.
"""

from hashlib import sha256
from importlib.metadata import distribution
from pathlib import Path
from typing import Any, NamedTuple

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

VENDOR = Path("src/golub/web/static/vendor")


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


class VendorHook(BuildHookInterface[Any]):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        folder = Path(self.root) / VENDOR
        folder.mkdir(parents=True, exist_ok=True)
        for name, source in FILES.items():
            content = Path(str(distribution(source.distribution).locate_file(source.path))).read_bytes()
            found = sha256(content).hexdigest()
            if found != source.sha256:
                raise RuntimeError(
                    f"{source.path} of {source.distribution} has SHA-256 {found}, hatch_build.py pins {source.sha256}: "
                    "look at the new file before you pin it"
                )
            (folder / name).write_bytes(content)
