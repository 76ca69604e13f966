"""Writes the pages that say what can be set and called, out of the code that reads and serves it: `make docs`.

A page that differs from what this makes fails the suite, so no setting and no route goes undocumented.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from fastapi.routing import APIRoute
from pydantic import AliasChoices
from pydantic.fields import FieldInfo

from docs import hostile, promised, supply
from golub import metrics
from golub.doctor import FAULTS, GROUPS, TITLES, Check
from golub.model import Role
from golub.settings import WEBHOOK_PATH, Settings
from golub.web.access import ACCESS, ANYONE, SCOPES
from golub.web.api.document import document
from golub.web.routes import ROUTERS

MADE = "<!-- Made by `make docs`; change the descriptions in the code. -->"


def settings_page() -> str:
    rows = [_setting(name, field) for name, field in Settings.model_fields.items()]
    return "\n".join(
        [
            MADE,
            "# Settings",
            "",
            "Read from the environment once, at start. Each has a default that is right for one shop on one machine.",
            "Names in the last column are read as well, after ours.",
            "",
            "| Setting | Default | What it does | Also |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


def routes_page() -> str:
    rows = [
        f"| {', '.join(sorted(route.methods or ()))} | `{route.path}` | {_who(route)} | {_scopes(route)} "
        f"| {_what(route)} |"
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute)
    ]
    return "\n".join(
        [
            MADE,
            "# Routes",
            "",
            f"Avito's own door is `{WEBHOOK_PATH}` and `{WEBHOOK_PATH}/<token>`: see the [guide](guide/en.md).",
            "It stands before everything below. A route that is not here answers 404 to everybody.",
            "",
            *_counts(),
            "",
            "By an API key ([guide](guide/en.md)) an address is reached where it names a scope, and by its operator's",
            "role all the same; every other address knows nothing of keys.",
            "",
            "| Methods | Path | Who may | With a key | What it does |",
            "|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


def metrics_page() -> str:
    rows = [
        f"| `{metric.name}{'_total' if metric.type == 'counter' else ''}` | {metric.type} | {metric.documentation} |"
        for metric in metrics.REGISTRY.collect()
    ]
    return "\n".join(
        [
            MADE,
            "# Metrics",
            "",
            "`/metrics` serves them in Prometheus' format: to this machine, asked by its own name, and to whoever has",
            "the token of `GOLUB_METRICS_TOKEN_FILE` (`Authorization: Bearer …`); everybody else gets 404.",
            "[grafana/golub.json](grafana/golub.json) is a dashboard of them all for Grafana 10 or newer: import the",
            "file, choose your Prometheus.",
            "",
            "```yaml",
            "scrape_configs:",
            "  - job_name: golub",
            "    scheme: https",
            "    authorization: {credentials_file: /etc/prometheus/golub.token}",
            "    static_configs: [{targets: [golub.example.ru]}]",
            "```",
            "",
            "`/healthz/live` is 200 for as long as the process turns: a proxy or balancer looks at this one.",
            "`/healthz/ready` is for monitoring: 503 with reasons (`code`, `text`) where this process needs a person",
            "or a restart, 200 and `degraded` where something else does: an account, a disk that fills, a worker that",
            "is away. Webhooks are kept in both cases, so never take a node out of service for it.",
            "",
            "Labels are few: accounts by Avito's number, states, outcomes, loops. No chat, buyer or address is there.",
            "",
            "| Metric | Kind | What it counts |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def doctor_page() -> str:
    rows: list[str] = []
    for check in Check:
        rows += [
            f"| {GROUPS[check.group]}: {TITLES[check]} | `{fault.name}` | {fault.verdict} | {_cell(fault.what)} "
            f"| {_cell(fault.fix)} |"
            for fault in FAULTS.values()
            if fault.check is check
        ]
    return "\n".join(
        [
            MADE,
            "# What the doctor finds",
            "",
            "`golub doctor` and the page `/admin/doctor` look at these, in this order, and name the first thing to",
            "mend with the lines to copy. `golub doctor --json` is for programs; the command ends with 0 where nothing",
            "is wrong (warnings do not count), 1 where something is, 2 where it could not look. `--bundle FILE.zip`",
            "writes an archive for asking for help, without secrets, messages and names.",
            "",
            f"{len(TITLES)} checks, {len(FAULTS)} faults. Each fault is planted in `tests/doctor`, and the doctor must",
            "name it first.",
            "",
            "| Check | Fault | Verdict | What is wrong | Fix |",
            "|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


def openapi() -> str:
    """The API's document, as a running Golub gives it to those who may ask."""
    return json.dumps(document(), ensure_ascii=False, indent=2) + "\n"


PAGES: dict[str, Callable[[], str]] = {
    "doctor.md": doctor_page,
    "settings.md": settings_page,
    "routes.md": routes_page,
    "metrics.md": metrics_page,
    "promises.md": promised.page,
    "openapi.json": openapi,
    "hostile.md": hostile.page,
    "licences.md": supply.page,
    "sbom.json": supply.bill,
}


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _setting(name: str, field: FieldInfo) -> str:
    ours = f"GOLUB_{name.upper()}"
    names = [ours]
    if isinstance(field.validation_alias, AliasChoices):
        names = [str(choice) for choice in field.validation_alias.choices]
    if ours not in names or not field.description:
        raise ValueError(f"{name} needs a description, and {ours} among its names")
    also = ", ".join(f"`{other}`" for other in names if other != ours)
    return f"| `{ours}` | {_shown(field.default)} | {field.description} | {also} |"


def _shown(default: Any) -> str:
    match default:
        case None | "":
            return ""
        case bool():
            return f"`{str(default).lower()}`"
        case tuple():
            return f"`{','.join(str(part) for part in cast(tuple[object, ...], default))}`"
        case _:
            return f"`{default}`"


def _counts() -> list[str]:
    """How many there are, and how many each role may use, of all methods."""
    doors = [
        (method, ACCESS[route.path])
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    ]
    rows = [("a stranger", sum(needed is ANYONE for _, needed in doors))]
    rows += [
        (str(role), sum(not isinstance(needed, Role) or role.covers(needed) for _, needed in doors)) for role in Role
    ]
    changing = sum(method not in ("GET", "HEAD") for method, _ in doors)
    return [
        f"{len(doors)} routes, counted by method, at {len(ACCESS)} paths; {changing} of them change something.",
        "`tests/web/test_access.py` asks for each of them as each of these, and a route without an entry fails it:",
        "",
        "| Who | May use |",
        "|---|---:|",
        *(f"| {who} | {count} |" for who, count in sorted(rows, key=lambda row: row[1])),
    ]


def _who(route: APIRoute) -> str:
    who = ACCESS[route.path]
    return "anyone" if who is ANYONE else f"{who} and above" if who is not Role.SUPER_ADMIN else str(who)


def _scopes(route: APIRoute) -> str:
    return ", ".join(
        f"`{SCOPES[method, route.path]}`" for method in route.methods or () if (method, route.path) in SCOPES
    )


def _what(route: APIRoute) -> str:
    """The first paragraph of its docstring; else its name, which says enough."""
    paragraph = " ".join((route.endpoint.__doc__ or "").partition("\n\n")[0].split())
    return paragraph or route.name.replace("_", " ").capitalize()


if __name__ == "__main__":
    for page, make in PAGES.items():
        (Path(__file__).parent / page).write_text(make())
