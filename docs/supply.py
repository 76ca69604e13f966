"""What Golub is made of: the list of licences, and the bill of materials as CycloneDX writes it.

Out of `uv.lock`, which says what is installed with which hash, and out of what the installed packages say of
themselves; no network. Only what runs in production is listed, as installed on Linux.
"""

import json
import re
import tomllib
from functools import cache
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any

import hatch_build

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "uv.lock"

# Packages that do not say it in a form that a program can read: as their own LICENSE file does.
SAID_ELSEWHERE: dict[str, str] = {"htmx": "0BSD", "pysqlite3": "Zlib", "zxcvbn": "MIT"}
SPDX = {
    "MIT License": "MIT",
    "MIT license": "MIT",
    "BSD": "BSD-3-Clause",
    "BSD License": "BSD-3-Clause",
    "BSD 2-Clause License": "BSD-2-Clause",
    "BSD 3-Clause License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "ISC License": "ISC",
    "ISC License (ISCL)": "ISC",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "zlib/libpng License": "Zlib",
}

Package = dict[str, Any]


@cache
def locked() -> dict[str, Package]:
    return {package["name"]: package for package in tomllib.loads(LOCK.read_text())["package"]}


@cache
def shipped() -> list[Package]:
    """What an installation without the developers' tools has, by name."""
    found: dict[str, Package] = {}
    waiting = [(one["name"], frozenset[str](one.get("extra", []))) for one in locked()["golub"]["dependencies"]]
    while waiting:
        name, extras = waiting.pop()
        package = locked()[name]
        more = [*package.get("dependencies", [])] if name not in found else []
        for extra in extras:
            more += package.get("optional-dependencies", {}).get(extra, [])
        found[name] = package
        waiting += [
            (one["name"], frozenset[str](one.get("extra", [])))
            for one in more
            if _on_linux(one.get("marker", "")) and (one["name"] not in found or one.get("extra"))
        ]
    return [found[name] for name in sorted(found)]


def licence(name: str) -> str:
    """An SPDX expression; empty where nobody says."""
    if name in SAID_ELSEWHERE:
        return SAID_ELSEWHERE[name]
    try:
        told = metadata(name)
    except PackageNotFoundError:
        return ""
    if "License-Expression" in told:
        return told["License-Expression"]
    said = told["License"].strip().split("\n")[0] if "License" in told else ""
    classes = [str(one) for one in told.get_all("Classifier") or []]
    for one in (said, *(one.rpartition(" :: ")[2] for one in classes if one.startswith("License :: "))):
        if one in SPDX or re.fullmatch(r"[A-Za-z0-9.-]+(-[0-9.]+|-Clause)?", one):
            return SPDX.get(one, one)
    return ""


def page() -> str:
    rows = [
        f"| {package['name']} | {package['version']} | {licence(package['name'])} | {len(package.get('wheels', []))} |"
        for package in shipped()
    ]
    vendored = [
        f"| {name} | {one.distribution}, `{one.path}` | {licence('htmx')} | `{one.sha256}` |"
        for name, one in hatch_build.FILES.items()
    ]
    words = hatch_build.PASSWORDS
    vendored.append(
        f"| {hatch_build.COMMON.name} | {words.distribution}, `{words.path}` | {licence(words.distribution)} | "
        f"`{words.sha256}` |"
    )
    return "\n".join(
        [
            "<!-- Made by `make docs` out of uv.lock and what the packages say of themselves. -->",
            "# What Golub is made of",
            "",
            "Every package is locked with the hash of each of its files (`uv.lock`), comes from PyPI alone, and is",
            "installed as a wheel: nothing is built and no script of a package runs when it is installed.",
            "[sbom.json](sbom.json) is the same list for programs (CycloneDX 1.6).",
            "",
            f"{len(rows)} packages beside Golub itself, on Linux:",
            "",
            "| Package | Version | Licence | Locked wheels |",
            "|---|---|---|---:|",
            *rows,
            "",
            "Browser code and the list of common passwords are taken out of wheels at build time, and a file that",
            "differs stops the build:",
            "",
            "| File | From | Licence | SHA-256 |",
            "|---|---|---|---|",
            *vendored,
            "",
        ]
    )


def bill() -> str:
    parts: list[dict[str, Any]] = []
    for package in shipped():
        name, version = package["name"], package["version"]
        parts.append(
            {
                "type": "library",
                "bom-ref": f"pkg:pypi/{name}@{version}",
                "name": name,
                "version": version,
                "purl": f"pkg:pypi/{name}@{version}",
                "licenses": [{"expression": licence(name)}],
                "externalReferences": [
                    {
                        "type": "distribution",
                        "url": wheel["url"],
                        "hashes": [{"alg": "SHA-256", "content": wheel["hash"].removeprefix("sha256:")}],
                    }
                    for wheel in package.get("wheels", [])
                    if re.search(r"-none-any\.whl$|manylinux", wheel["url"])
                ],
            }
        )
    for name, one in hatch_build.FILES.items():
        parts.append(
            {
                "type": "file",
                "bom-ref": name,
                "name": name,
                "licenses": [{"expression": licence("htmx")}],
                "hashes": [{"alg": "SHA-256", "content": one.sha256}],
            }
        )
    words = hatch_build.PASSWORDS
    parts.append(
        {
            "type": "data",
            "bom-ref": hatch_build.COMMON.name,
            "name": hatch_build.COMMON.name,
            "description": f"out of {words.path}, which this hash is of",
            "licenses": [{"expression": licence(words.distribution)}],
            "hashes": [{"alg": "SHA-256", "content": words.sha256}],
        }
    )
    whole: dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": "golub",
                "name": "golub",
                "version": locked()["golub"]["version"],
                "licenses": [{"expression": "Apache-2.0"}],
            }
        },
        "components": parts,
        "dependencies": [{"ref": "golub", "dependsOn": [part["bom-ref"] for part in parts]}],
    }
    lines = [json.dumps(part, ensure_ascii=False) for part in whole.pop("components")]  # a line each, for the eye
    rest = json.dumps(whole, ensure_ascii=False).removesuffix("}")
    return rest + ', "components": [\n' + ",\n".join(lines) + "\n]}\n"


def _on_linux(marker: str) -> bool:
    """As far as our lock's markers go: other systems' own packages are left out."""
    return not re.search(r"(sys_platform|os_name|platform_system) == '(win32|nt|Windows|darwin|emscripten)'", marker)
