"""The page of the threat model, out of `tests/hostile/rows.py` and the tests that bear its numbers."""

from tests.hostile.rows import OPEN, ROWS, proofs


def page() -> str:
    found = proofs()
    closed, tests = len(ROWS) - len(OPEN), {proof for some in found.values() for proof in some}
    lines = [
        "<!-- Made by `make docs` out of tests/hostile/rows.py and the marks of the tests. -->",
        "# What an attacker gets",
        "",
        "The threat model as a table: what somebody sends, and what he must get. Each row names the tests that prove",
        "it; `pytest --row 14` runs those of row 14. Where a database has a part in the answer, they run on SQLite and",
        "on PostgreSQL. [SECURITY.md](../SECURITY.md) says who these people are, and",
        "[security-review.md](security-review.md) what else was tried.",
        "",
        f"{len(ROWS)} rows, {closed} of them proved, by {len(tests)} tests.",
        "",
        "| Row | What is sent | What it gets | Proved by |",
        "|---:|---|---|---|",
    ]
    for number, row in ROWS.items():
        named = "<br>".join(f"`{proof.path.removeprefix('tests/')}` {proof.name}" for proof in found[number])
        proved = named or f"**open**: {OPEN.get(number, '')}"
        lines.append(f"| {number} | {_cell(row.sent)} | {_cell(row.gets)} | {proved} |")
    return "\n".join([*lines, ""])


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
