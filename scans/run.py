"""`make scan`: bandit, and semgrep with the rules of `rules.yml`, over the source, each out of an environment of its
own that is installed by hashes; their reports go to `build/scan`. Ends with 1 where one found more than
`docs/security-review.md` explains, as counted in `explained.json`.
"""

import json
import os
import subprocess
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
    for name, scan in {"bandit": bandit, "semgrep": semgrep}.items():
        found = scan()
        new = found - Counter(explained[name])
        print(f"{name}: {dict(found) or 'nothing'}; unexplained: {dict(new) or 'nothing'}")
        unexplained |= bool(new)
    raise SystemExit(unexplained)


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
    """How often each of our rules found something, by file. Nothing is sent anywhere, and no rule is fetched."""
    report = PLACE / "semgrep.json"
    report.unlink(missing_ok=True)
    offline = ("--metrics=off", "--disable-version-check", "--no-git-ignore", "--quiet")
    run("semgrep", "scan", *offline, "--config", str(HERE / "rules.yml"), "--json", "--output", str(report), "src")
    told = json.loads(report.read_text())
    results: list[dict[str, Any]] = told["results"]
    return Counter(f"{one['check_id'].rpartition('.')[2]} {one['path']}" for one in results)


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
