"""`make scan`: bandit over the source, out of an environment of its own that is installed by hashes; its report goes to
`build/scan`. Ends with 1 where it found more than `docs/security-review.md` explains, as counted in `explained.json`.
"""

import json
import subprocess
import venv
from collections import Counter
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent
PLACE = ROOT / "build/scan"


def main() -> None:
    found = bandit()
    new = found - Counter(json.loads((HERE / "explained.json").read_text())["bandit"])
    print(f"bandit: {dict(found) or 'nothing'}; unexplained: {dict(new) or 'nothing'}")
    raise SystemExit(bool(new))


def bandit() -> Counter[str]:
    """How often each of its tests found something, with the severity."""
    report = PLACE / "bandit.json"
    report.unlink(missing_ok=True)
    run("bandit", "-q", "-r", "src", "-f", "json", "-o", str(report))
    told = json.loads(report.read_text())
    assert not told["errors"], told["errors"]
    results: list[dict[str, Any]] = told["results"]
    return Counter(f"{one['test_id']} {one['issue_severity']}" for one in results)


def run(tool: str, *words: str) -> None:
    """The tool out of its environment, which is made where there is none. It ends with 1 where it finds something."""
    place = PLACE / tool
    if not (place / "bin" / tool).exists():
        venv.create(place, with_pip=True, clear=True)
        install = [place / "bin/pip", "install", "--quiet", "--require-hashes", "--only-binary", ":all:"]
        subprocess.run([*install, "-r", HERE / f"{tool}.txt"], check=True)
    subprocess.run([place / "bin" / tool, *words], cwd=ROOT, check=False)


if __name__ == "__main__":
    main()
