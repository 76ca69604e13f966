"""`make scan`: bandit over the source, semgrep with our own rules, and wapiti against a demo, as a stranger and as each
role. Each tool lives in an environment of its own, installed by hashes; reports go to `build/scan`. Ends with 1 where
one of them found something that `docs/security-review.md` does not explain.
"""

import http.cookiejar
import json
import os
import re
import secrets
import subprocess
import sys
import urllib.parse
import urllib.request
import venv
from collections import Counter
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent
PLACE = ROOT / "build/scan"
PLANTED = HERE / "planted/semgrep.py"
GOLUB = Path(sys.executable).with_name("golub")
# Those that need no answer from outside; log4shell, shellshock and their like are of other people's software.
MODULES = (
    "xss,permanentxss,sql,timesql,ldap,xxe,exec,file,redirect,crlf,csrf,upload,methods,backup,htaccess,"
    "cookieflags,http_headers,csp,information_disclosure"
)
ROLES = ("", "manager", "admin", "super_admin")
SECONDS = int(os.environ.get("SCAN_SECONDS", "600"))  # of crawling as one role; a module may take as long again
# They would end the session, or change who may have one; other tests look at these.
LEFT_OUT = ("/sign-out", "/me", "/admin/operators", "/admin/backups", "/stream", "/admin/sample")
# What stands in docs/security-review.md with its reason: by tool, how often each may be found.
EXPLAINED = json.loads((HERE / "explained.json").read_text())


def main() -> None:
    PLACE.mkdir(parents=True, exist_ok=True)
    wanted = sys.argv[1:] or ["bandit", "semgrep", "wapiti"]
    found = {tool: {"bandit": bandit, "semgrep": semgrep, "wapiti": wapiti}[tool]() for tool in wanted}
    new = {tool: counts - Counter(EXPLAINED[tool]) for tool, counts in found.items()}
    for tool, counts in found.items():
        print(f"{tool}: {dict(counts) or 'nothing'}; unexplained: {dict(new[tool]) or 'nothing'}")
    raise SystemExit(any(new.values()))


def bandit() -> Counter[str]:
    report = PLACE / "bandit.json"
    run("bandit", "-q", "-r", "src", "-f", "json", "-o", str(report))
    results: list[dict[str, Any]] = json.loads(report.read_text())["results"]
    return Counter(f"{one['test_id']} {one['issue_severity']}" for one in results)


def semgrep() -> Counter[str]:
    """Our rules over the source, and over lines that break each of them, which it must find."""
    report = PLACE / "semgrep.json"
    own = {"SEMGREP_SEND_METRICS": "off", "SEMGREP_ENABLE_VERSION_CHECK": "0"}
    rules = str(HERE / "semgrep.yaml")
    where = ("src", str(PLANTED.relative_to(ROOT)))
    run(
        "semgrep",
        "scan",
        "--no-git-ignore",
        "-j",
        "1",
        "--timeout",
        "120",
        "--config",
        rules,
        "--json",
        "-o",
        str(report),
        *where,
        must=True,
        **own,
    )
    told = json.loads(report.read_text())
    assert not told["errors"], told["errors"]
    found = {(one["path"], one["start"]["line"], one["check_id"].rpartition(".")[2]) for one in told["results"]}
    planted = {(line, rule) for path, line, rule in found if path == where[1]}
    wanted: set[tuple[int, str]] = set()
    for number, line in enumerate(PLANTED.read_text().splitlines(), 1):
        if breaks := re.search("# ruleid: (\\S+)", line):
            wanted.add((number + 1, breaks[1]))
    if planted != wanted:
        raise SystemExit(f"semgrep's rules miss {wanted - planted} and find {planted - wanted} in {where[1]}")
    for path, number, rule in sorted(found):
        if path != where[1]:
            print(f"{path}:{number}: {rule}")
    return Counter(rule for path, _, rule in found if path != where[1])


def wapiti() -> Counter[str]:
    """Against a demo of its own, which it may break."""
    folder, word = PLACE / "demo", secrets.token_urlsafe(12)
    environment = {**os.environ, "GOLUB_PORT": "0", "GOLUB_SIMULATOR_PORT": "0", "GOLUB_OPERATOR_PASSWORD": word}
    demo = subprocess.Popen(
        [GOLUB, "demo", "--data-dir", folder, "--pace", "30"], env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert demo.stdout
        url = next(found[1] for line in demo.stdout if (found := re.search(r"Golub: (http://[^/\s]+)", line)))
        counts: Counter[str] = Counter()
        for role in ROLES:
            if role:
                add = [GOLUB, "operator", "add", f"scan-{role}", "--role", role, "--data-dir", folder]
                subprocess.run(add, env=environment, check=True)
            counts += _attack(url, role, _signed_in(url, f"scan-{role}", word) if role else "")
            print(f"wapiti as {role or 'a stranger'}: so far {dict(counts) or 'nothing'}", flush=True)
        return counts
    finally:
        demo.terminate()
        demo.wait(30)


def _attack(url: str, role: str, cookie: str) -> Counter[str]:
    report = PLACE / f"wapiti-{role or 'stranger'}.json"
    given = ["-H", f"Origin: {url}", *(["-C", cookie, "--drop-set-cookie"] if cookie else [])]
    for path in LEFT_OUT:
        given += ["-x", f"{url}{path}*", "-x", f"{url}{path}"]
    for start in ("/", "/sign-in", "/inbox", "/admin/accounts", "/reports", "/quick-replies"):
        given += ["-s", f"{url}{start}"]
    limits = ["-d", "4", "--max-links-per-page", "40", "--max-files-per-dir", "15", "--max-parameters", "15"]
    limits += ["--max-scan-time", str(SECONDS), "--max-attack-time", str(SECONDS), "--tasks", "4", "-t", "10"]
    output = ["--flush-session", "--no-bugreport", "-f", "json", "-o", str(report), "-v", "0"]
    kept = ["--store-session", str(PLACE / "session"), "--store-config", str(PLACE / "config")]
    run("wapiti", "-u", f"{url}/", "-m", MODULES, *given, *limits, *output, *kept)
    told = json.loads(report.read_text())
    print(f"{report.name}: {told['infos'].get('crawled_pages_nbr')} pages crawled", flush=True)
    kinds = {**told["vulnerabilities"], **told["anomalies"]}
    return Counter({f"{role or 'stranger'}: {kind}": len(found) for kind, found in kinds.items() if found})


def _signed_in(url: str, login: str, password: str) -> str:
    """The session's cookie."""
    jar = http.cookiejar.CookieJar()
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar), urllib.request.ProxyHandler({}))
    page = opener.open(f"{url}/sign-in").read().decode()
    token = re.search(r'name="csrf" value="([^"]+)"', page)
    assert token
    form = {"login": login, "password": password, "csrf": token[1]}
    asked = urllib.request.Request(f"{url}/sign-in", urllib.parse.urlencode(form).encode(), {"Origin": url})
    opener.open(asked).read()
    return next(f"session={one.value}" for one in jar if one.name == "session")


def run(tool: str, *words: str, must: bool = False, **environment: str) -> None:
    """The tool out of its environment, which is made where there is none. Not `must`: it ends with 1 at a finding."""
    place = PLACE / tool
    if not (place / "bin" / tool).exists():
        venv.create(place, with_pip=True, clear=True)
        install = [place / "bin/pip", "install", "--quiet", "--require-hashes", "--only-binary", ":all:"]
        subprocess.run([*install, "-r", HERE / f"{tool}.txt"], check=True)
    own = {**os.environ, "PATH": f"{place / 'bin'}:{os.environ['PATH']}", **environment}
    # In a session of its own: semgrep, where it is slow, ends its whole process group.
    subprocess.run([place / "bin" / tool, *words], cwd=ROOT, env=own, check=must, start_new_session=True)


if __name__ == "__main__":
    main()
