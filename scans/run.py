"""`make scan`: bandit, and semgrep with the rules of `rules.yml`, over the source, each out of an environment of its
own that is installed by hashes; their reports go to `build/scan`. Ends with 1 where one found more than
`docs/security-review.md` explains, as counted in `explained.json`, and where a rule of ours does not find what
`planted.toml` plants for it, or finds what is fine.
"""

import json
import os
import subprocess
import tempfile
import tomllib
import venv
from collections import Counter
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent
PLACE = ROOT / "build/scan"


def main() -> None:
    explained = json.loads((HERE / "explained.json").read_text())
    unexplained = False
    blind = misjudged()
    print(f"our rules: {', '.join(blind) or 'each finds what was planted for it, and nothing else there'}")
    for name, scan in {"bandit": bandit, "semgrep": semgrep}.items():
        found = scan()
        new = found - Counter(explained[name])
        print(f"{name}: {dict(found) or 'nothing'}; unexplained: {dict(new) or 'nothing'}")
        unexplained |= bool(new)
    raise SystemExit(unexplained or bool(blind))


def bandit() -> Counter[str]:
    """How often each of its tests found something, with the severity."""
    report = PLACE / "bandit.json"
    report.unlink(missing_ok=True)
    run("bandit", "-q", "-r", "src", "-f", "json", "-o", str(report))
    told = json.loads(report.read_text())
    assert not told["errors"], told["errors"]
    results: list[dict[str, Any]] = told["results"]
    return Counter(f"{one['test_id']} {one['issue_severity']}" for one in results)


def semgrep() -> Counter[str]:
    """How often each of our rules found something, by file."""
    return Counter(f"{rule} {path}" for rule, path in _found_by_our_rules("src", PLACE / "semgrep.json"))


def misjudged() -> list[str]:
    """What `planted.toml` says of our rules and is not so. Raises where a rule has nothing planted."""
    planted: dict[str, dict[str, Any]] = tomllib.loads((HERE / "planted.toml").read_text())
    rules = {line.split(": ")[1] for line in (HERE / "rules.yml").read_text().splitlines() if "- id: " in line}
    assert rules == planted.keys(), rules ^ planted.keys()
    expected: dict[tuple[str, str], bool] = {}
    with tempfile.TemporaryDirectory() as folder:  # semgrep passes over `build`
        for rule, told in planted.items():
            for kind in ("found", "fine"):
                for number, code in enumerate(told[kind]):
                    path = Path(folder) / f"{rule}-{kind}-{number}.{told['suffix']}"
                    path.write_text(code)
                    expected[rule, str(path)] = kind == "found"
        found = set(_found_by_our_rules(folder, PLACE / "planted.json"))
    return [
        f"{rule} {'misses' if must else 'finds'} {Path(path).name}"
        for (rule, path), must in expected.items()
        if ((rule, path) in found) != must
    ]


def _found_by_our_rules(where: str, report: Path) -> list[tuple[str, str]]:
    """Rule and file of each finding. Nothing is sent anywhere, and no rule is fetched."""
    report.unlink(missing_ok=True)
    offline = ("--metrics=off", "--disable-version-check", "--no-git-ignore", "--quiet")
    run("semgrep", "scan", *offline, "--config", str(HERE / "rules.yml"), "--json", "--output", str(report), where)
    told = json.loads(report.read_text())
    assert not told["errors"], told["errors"]
    results: list[dict[str, Any]] = told["results"]
    return [(one["check_id"].rpartition(".")[2], one["path"]) for one in results]


def run(tool: str, *words: str) -> None:
    """The tool out of its environment, which is made where there is none. It ends with 1 where it finds something."""
    place = PLACE / tool
    if not (place / "bin" / tool).exists():
        venv.create(place, with_pip=True, clear=True)
        install = [place / "bin/pip", "install", "--quiet", "--require-hashes", "--only-binary", ":all:"]
        subprocess.run([*install, "-r", HERE / f"{tool}.txt"], check=True)
    environment = {
        **os.environ,
        "PATH": f"{place / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}",
    }  # semgrep calls its own
    subprocess.run([place / "bin" / tool, *words], cwd=ROOT, env=environment, check=False)


if __name__ == "__main__":
    main()
