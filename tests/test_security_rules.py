"""What no line of ours may do, since it opened other people's servers: found in the syntax, not by eye.

Each rule has lines that break it, which it must find, and the few places that may, each with its reason; a reason that
nothing needs any more fails as well. Beside these: bandit's rules in ruff (`S`), and the house rules next door.
"""

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src/golub"
SECRET = re.compile(r"(^|_)(secret|token|digest|signature|csrf|password|hash|hmac|nonce)$")
BODIES = {
    "body",
    "text",
    "raw",
    "content",
    "headers",
    "password",
    "token",
    "secret",
    "cookie",
    "cookies",
    "phone",
    "form",
}

Find = Callable[[ast.AST], bool]


def called(node: ast.AST) -> str:
    """`subprocess.run` of a call; empty for anything else."""
    return (
        ast.unparse(node.func) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute) else ""
    )


def imported(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    if isinstance(node, ast.ImportFrom):
        return {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    return set()


def last_name(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def keyword(node: ast.AST, name: str) -> ast.expr | None:
    return next((one.value for one in node.keywords if one.arg == name), None) if isinstance(node, ast.Call) else None


def is_false(node: ast.AST | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


def makes_markup(node: ast.AST) -> bool:
    return called(node).rpartition(".")[2] == "Markup"


def builds_sql(node: ast.AST) -> bool:
    """Whatever is put together and then given to a database as its language."""
    name = called(node).rpartition(".")[2]
    if name not in {"text", "execute", "executemany", "executescript", "exec_driver_sql", "literal_column", "DDL"}:
        return False
    first = node.args[0] if isinstance(node, ast.Call) and node.args else None
    if isinstance(first, ast.JoinedStr):
        put_in = [part.value for part in first.values if isinstance(part, ast.FormattedValue)]
        return any(not last_name(value).isupper() and called(value) != "int" for value in put_in)
    if isinstance(first, ast.BinOp) and isinstance(first.op, ast.Mod | ast.Add):
        return any(
            not isinstance(one, ast.Constant) and not last_name(one).isupper() for one in (first.left, first.right)
        )
    # psycopg's own `sql.SQL(…).format(sql.Identifier(…))` quotes what it puts in.
    return called(first).endswith(".format") and "sql.SQL(" not in ast.unparse(first) if first else False


def trusts_anybody(node: ast.AST) -> bool:
    if any(is_false(keyword(node, name)) for name in ("verify", "check_hostname", "validate_cert")):
        return True
    if isinstance(node, ast.Assign) and is_false(node.value):
        return any(last_name(target) == "check_hostname" for target in node.targets)
    return last_name(node) in {"CERT_NONE", "_create_unverified_context"}


def compares_secrets(node: ast.AST) -> bool:
    """With `==`, which takes longer the more of it is right. A column in a query (`Model.hash`) is not Python's."""
    if not isinstance(node, ast.Compare) or not any(isinstance(op, ast.Eq | ast.NotEq) for op in node.ops):
        return False
    sides = [node.left, *node.comparators]
    if any(isinstance(side, ast.Constant) for side in sides):
        return False
    columns = [side for side in sides if isinstance(side, ast.Attribute)]
    if any(last_name(side.value)[:1].isupper() for side in columns):
        return False
    return any(SECRET.search(last_name(side)) or SECRET.search(called(side).rpartition(".")[2]) for side in sides)


WAYS_OUT = {
    "httpx2.AsyncClient", "httpx2.Client", "httpx2.AsyncHTTPTransport", "httpx2.HTTPTransport", "httpx2.get",
    "httpx2.post", "httpx2.request", "httpx2.stream", "asyncio.open_connection", "socket.create_connection",
    "asyncio.open_unix_connection",
}  # fmt: skip
WAYS_OUT_MODULES = {
    "urllib.request", "http.client", "smtplib", "ftplib", "poplib", "imaplib", "telnetlib", "xmlrpc.client", "aiohttp",
    "urllib3", "websockets", "websocket", "paramiko", "grpc",
}  # fmt: skip


def leaves_the_process(node: ast.AST) -> bool:
    return (
        called(node) in WAYS_OUT
        or bool(imported(node) & (WAYS_OUT_MODULES | WAYS_OUT))
        or (called(node).endswith(".create_connection"))
    )


def runs_programs(node: ast.AST) -> bool:
    if imported(node) & {"subprocess", "pty", "commands"}:
        return True
    name = called(node)
    return (
        name in {"os.system", "os.popen", "os.execv", "os.execve", "os.spawnv", "os.posix_spawn"}
        or "create_subprocess" in name
        or any(isinstance(value, ast.Constant) and value.value is True for value in [keyword(node, "shell")])
    )


def makes_code_of_text(node: ast.AST) -> bool:
    if imported(node) & {"pickle", "marshal", "shelve", "dill", "cloudpickle", "jsonpickle"}:
        return True
    name = called(node)
    if name == "yaml.load":
        return "Safe" not in ast.unparse(node)
    return name in {"eval", "exec", "compile", "__import__", "yaml.unsafe_load", "yaml.full_load"}


def guesses_a_place(node: ast.AST) -> bool:
    if called(node) in {"tempfile.mktemp", "mktemp", "os.tempnam"}:
        return True
    return (
        isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith(("/tmp/", "/var/tmp/"))
    )


def asserts(node: ast.AST) -> bool:
    return isinstance(node, ast.Assert)


def logs_what_people_wrote(node: ast.AST) -> bool:
    name = called(node)
    levels = "debug|info|warning|error|exception|critical|log|msg"
    if name != "logs.write_receipts" and not re.fullmatch(rf"(\w+_|_)?log(ger)?\.({levels})", name):
        return False
    assert isinstance(node, ast.Call)
    given = [*node.args, *(one.value for one in node.keywords)]
    within = {last_name(part) for value in given for part in but_for_lengths(value)}
    return bool({one.arg for one in node.keywords if one.arg} & BODIES or within & BODIES)


def but_for_lengths(node: ast.AST) -> Iterator[ast.AST]:
    if called(node) != "len":
        yield node
        for child in ast.iter_child_nodes(node):
            yield from but_for_lengths(child)


@dataclass(frozen=True)
class Rule:
    find: Find
    planted: tuple[str, ...]
    allowed: dict[str, str] = field(default_factory=dict[str, str])  # files, and why they may
    fine: tuple[str, ...] = ()  # lines that look like it and are not


RULES = {
    "markup is not made by hand": Rule(
        makes_markup,
        ("Markup(buyer.name)", "markupsafe.Markup(f'<b>{name}</b>')"),
        {
            "web/icons.py": "drawings of the icon package, which the build pins",
            "web/guide.py": "our own text, rendered with raw HTML switched off",
            "web/inbox.py": "a colour that has passed its pattern, put in by format, which escapes",
            "web/language.py": "a catalogue's text that has been escaped; what fills it is escaped by format",
        },
    ),
    "no statement is put together": Rule(
        builds_sql,
        (
            "session.execute(text(f'SELECT {name}'))",
            "c.execute('SELECT %s' % name)",
            "text('a' + name)",
            "c.execute('SELECT {}'.format(name))",
        ),
        {
            "doctor/stored.py": "names of settings from a list of ours",
            "spool/file.py": "pragmas and places for values, from constants of ours",
            "store/__init__.py": "pragmas and names of settings, from constants of ours",
            "store/lite.py": "pragmas, from constants of ours",
            "store/prepared.py": "names of tables, which take no parameters, out of our own schema",
            "moving/copying.py": "names of tables and columns, which take no parameters, out of our own schema",
            "moving/target.py": "names of settings, from constants of ours",
            "backup/sqlite.py": "names of tables and columns, which take no parameters, out of our own schema",
        },
        ("text('SELECT 1')", "session.execute(select(Chat).where(Chat.id == number))"),
    ),
    "every certificate is checked": Rule(
        trusts_anybody,
        (
            "httpx2.AsyncClient(verify=False)",
            "context.check_hostname = False",
            "context.verify_mode = ssl.CERT_NONE",
            "ssl._create_unverified_context()",
        ),
        {"doctor/reach.py": "sees what is wrong with a certificate after it was refused, and sends nothing over it"},
    ),
    "secrets are compared in constant time": Rule(
        compares_secrets,
        ("if given == token: ...", "sent != session.csrf", "digest(body) == signature", "a.hash == b.hash"),
        {
            "audit.py": "links of a chain that its reader may see",
            "web/sign_in.py": "two fields that one person has just typed",
            "fold/forgetting.py": "a condition for the database, about names that are no secrets",
            "operators/sessions.py": "one's own sessions, by hashes that the database gave",
            "signatures/register.py": "what one person has just typed, with itself, for spaces at its ends",
            "web/profile.py": "one's own sessions, by hashes that the database gave",
            "avito/auth.py": "whether a token of ours is the one that Avito refused; nobody else gives one",
        },
        ("Session.hash == digest", "field == 'token'", "hmac.compare_digest(sent, token)"),
    ),
    "there is one way out": Rule(
        leaves_the_process,
        (
            "httpx2.AsyncClient()",
            "import urllib.request",
            "from smtplib import SMTP",
            "asyncio.open_connection(h, 1)",
            "loop.create_connection(Protocol, h, 1)",
            "from httpx2 import AsyncClient",
        ),
        {
            "guarded.py": "the guard itself",
            "avito/exchange.py": "Avito's API, whose address only the environment gives",
            "doctor/ground.py": "asks Avito's API for the time, without redirects",
            "doctor/reach.py": "tries our own public address, each of its addresses past the guard's own check",
            "web/media.py": "Avito's hosts of pictures alone, at a public address that it has looked up and pinned",
            "alerts/smtp.py": "the mail server that the owner names, over TLS whose certificate fits",
        },
    ),
    "no program is started": Rule(
        runs_programs,
        ("import subprocess", "os.system('ls')", "asyncio.create_subprocess_shell(c)", "run(c, shell=True)"),
        {"redraw.py": "itself, with fixed arguments, to read strangers' pictures with little memory and no secrets"},
    ),
    "no text becomes code": Rule(
        makes_code_of_text,
        ("import pickle", "eval(x)", "yaml.load(x)", "from marshal import loads", "__import__(name)"),
        fine=("yaml.load(x, Loader=yaml.SafeLoader)", "re.compile(x)", "session.exec(x)"),
    ),
    "no file's name can be foreseen": Rule(guesses_a_place, ("tempfile.mktemp()", "Path('/tmp/golub')")),
    "no check vanishes under -O": Rule(asserts, ("assert operator.role == 'admin'",)),
    "no log holds what people wrote": Rule(
        logs_what_people_wrote,
        (
            "log.info('got', body=raw)",
            "_log.warning('x', why=message.text)",
            "log.error(f'{request.headers}')",
            "received_log.info('x', token=one)",
            "logs.write_receipts('x', ({'what': one.body} for one in rows))",
        ),
        fine=(
            "log.info('x', bytes=len(found))",
            "catalog.info(body=1)",
            "logs.write_receipts('x', ({'bytes': len(one.body)} for one in rows))",
        ),
    ),
}

PAGES = {
    "a template escapes everything": (
        r"\|\s*safe\b|Markup\(|autoescape\s+false|\{%-?\s*autoescape",
        "*.html",
        "{{ name | safe }}",
    ),
    "a script makes no markup of text": (
        r"\b(inner|outer)HTML\s*\+?=[^=]|insertAdjacentHTML|document\.write|srcdoc|\beval\(|new Function",
        "*.js",
        "row.innerHTML = name",
    ),
    "no page has code in it": (
        r"<script(?![^>]*\ssrc=)|<style|\son\w+=[\"']|\sstyle=[\"']|javascript:|hx-on|hx-vals=[\"']js:",
        "*.html",
        "<b onclick='x()'>",
    ),
}
SCRIPTS_MAY: dict[str, str] = {}


def found_in(rule: Rule, source: str) -> list[int]:
    return [getattr(node, "lineno", 0) for node in ast.walk(ast.parse(source)) if rule.find(node)]


def places(rule: Rule) -> Iterator[tuple[str, int]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        where = str(path.relative_to(PACKAGE))
        if not where.startswith(("simulator/", "migrations/versions/")) and where != "demo.py":
            yield from ((where, line) for line in found_in(rule, path.read_text()))


@pytest.mark.parametrize("name", RULES)
def test_a_rule_finds_what_is_planted(name: str) -> None:
    rule = RULES[name]
    for line in rule.planted:
        assert found_in(rule, line), line
    for line in rule.fine:
        assert not found_in(rule, line), line


@pytest.mark.parametrize("name", RULES)
def test_no_line_breaks_a_rule(name: str) -> None:
    rule = RULES[name]
    found = list(places(rule))
    assert [f"{where}:{line}" for where, line in found if where not in rule.allowed] == []
    assert sorted(rule.allowed.keys() - {where for where, _ in found}) == [], "no longer needed"


@pytest.mark.parametrize("name", PAGES)
def test_no_page_and_no_script_breaks_a_rule(name: str) -> None:
    pattern, files, planted = PAGES[name]
    assert re.search(pattern, planted)
    paths = [path for path in (PACKAGE / "web").rglob(files) if "vendor" not in path.parts]
    assert paths
    broken = [
        f"{path.relative_to(PACKAGE)}:{number}"
        for path in paths
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(pattern, line)
    ]
    assert [one for one in broken if one.rpartition(":")[0] not in SCRIPTS_MAY] == []
