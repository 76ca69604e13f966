"""The API keeps its own document: schemathesis makes requests out of it, good and bad, as everybody, and every answer
is one that the document tells, in its shape, and none is a failure of ours.

Here a few requests for each address; with `--full` thousands, and schemathesis' own runner with all its phases besides.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from golub.audit import By
from golub.model import Role, Scope
from golub.server import Server
from golub.simulator import Account, Item
from golub.web.access import SCOPES
from golub.web.routes import ROUTERS
from tests.conftest import ONE_DATABASE, AtScale
from tests.guide.town import PATIENCE, Browser, Town
from tests.web.test_access import doors, routes

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
# What the runner adds: methods that are not there, answers without credentials, ids that were removed.
RUNNER_CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance,unsupported_method,ignored_auth,use_after_free,negative_data_rejection"
)
UNHURRIED = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
DOCUMENT = "/api/openapi.json"
ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def at_a_port(town: Town) -> AsyncGenerator[str]:
    server = Server(town.golub.asgi, "127.0.0.1", 0)
    serving = asyncio.create_task(server.run())
    yield f"http://127.0.0.1:{server.port}"
    server.stop()
    await serving


async def callers(town: Town, boss: Browser) -> dict[str, dict[str, str]]:
    """Each with the headers by which he is known."""
    found: dict[str, dict[str, str]] = {"nobody": {}, "a stranger with a made-up key": _bearer("golub_" + "0" * 64)}
    browsers = {Role.SUPER_ADMIN: boss}
    for role in Role:
        browser = browsers.get(role) or await town.sign_in(role)
        found[str(role)] = {"Cookie": f"session={browser.session}"}
    signed_in = await town.parts.operators.find_session(boss.session)
    assert signed_in
    operators, by = town.parts.operators, By(signed_in[1])
    for scopes in ([Scope.CHATS_READ], list(Scope)):
        _, secret = await operators.make_key(signed_in[1], "CRM", scopes, days=None, by=by)
        found[f"a key for {' '.join(scopes)}"] = _bearer(secret)
    return found


def _bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


async def a_chat(town: Town, shop: Account) -> None:
    chat = town.sim.add_chat(shop, "Анна", Item("Стол", 100))
    town.sim.buyer_says(chat, "здравствуйте")
    town.sim.buyer_says(chat, "", "voice")
    await town.applied()


def ask(document: dict[str, object], url: str, headers: dict[str, str], chats: list[int], most: int) -> dict[str, int]:
    """Makes requests and judges each answer; returns how many of each status there were. Raises what was found."""
    seen: dict[str, int] = {}
    schema = schemathesis.openapi.from_dict(document)
    # Whoever is known sends nothing made up beside it: two are refused at once, and nothing else would be asked.
    schema.config.generation.update(with_security_parameters=not headers)
    for found in schema.get_all_operations():
        operation = cast(Any, found).ok()
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):

            @settings(max_examples=most, deadline=None, database=None, suppress_health_check=UNHURRIED)
            @given(case=operation.as_strategy(generation_mode=mode), known=st.sampled_from([*chats, None]))
            def one(case: "Case[Any]", known: int | None) -> None:
                if known and "chat_id" in case.path_parameters:
                    case.path_parameters["chat_id"] = known
                answer = case.call(base_url=url, headers=headers, timeout=PATIENCE)
                case.validate_response(answer, checks=CHECKS)
                told = str(answer.status_code)
                seen[told] = seen.get(told, 0) + 1

            # What takes nothing can be asked wrongly in no way.
            with suppress(*[Unsatisfiable] if mode is GenerationMode.NEGATIVE else []):
                one()
    return seen


@pytest.mark.row(52)
@ONE_DATABASE
async def test_every_answer_is_as_the_document_says(
    town: Town, boss: Browser, shop: Account, at_scale: AtScale
) -> None:
    await a_chat(town, shop)
    async with at_a_port(town) as url, httpx2.AsyncClient(base_url=url, timeout=PATIENCE) as client:
        known = await callers(town, boss)
        document = (await client.get(DOCUMENT, headers=known["super_admin"])).json()
        listed = (await client.get("/api/chats", headers=known["super_admin"])).json()["chats"]
        counts = dict[str, dict[str, int]]()
        for who, headers in known.items():
            chats = [chat["id"] for chat in listed]
            counts[who] = await asyncio.to_thread(ask, document, url, headers, chats, at_scale(2, 300))
    print(json.dumps(counts))
    assert counts["nobody"].keys() <= {"401", "400", "422", "429"}, "whoever guesses at keys must wait"
    assert "401" in counts["a stranger with a made-up key"]
    assert counts["manager"].keys() >= {"200", "403"}
    assert "200" in counts["super_admin"]


def test_the_document_has_every_address_of_the_api() -> None:
    text = (ROOT / "docs/openapi.json").read_text()
    written = json.loads(text)
    named = {name.rpartition("/")[2] for name in re.findall(r'"\$ref": "([^"]+)"', text)}
    assert named == set(written["components"]["schemas"]), "every shape is there, and used"
    told = {(method.upper(), path) for path, operations in written["paths"].items() for method in operations}
    assert told == {(method, path) for method, path in doors() if path.startswith("/api/")} == set(SCOPES)
    assert list(routes(ROUTERS))
    for path, operations in written["paths"].items():
        for method, operation in operations.items():
            assert {"400", "401", "403", "429", "500", "503"} <= operation["responses"].keys()
            scope = SCOPES[method.upper(), path]
            assert operation["security"][0] == {"session": []}
            assert operation["security"][1] == {"key": [str(scope)] if scope in set(Scope) else []}


@pytest.mark.row(50, 51)
@ONE_DATABASE
async def test_the_document_is_not_for_strangers_and_holds_nothing_of_ours(
    town: Town, boss: Browser, shop: Account
) -> None:
    stranger = await town.client()
    assert (await stranger.get(DOCUMENT)).status_code == 401
    assert (await stranger.get("/openapi.json")).status_code == 404
    manager = await town.sign_in(Role.MANAGER)
    told = (await manager.client.get(DOCUMENT)).text
    assert shop.subscription
    for secret in (
        shop.client_secret,
        shop.client_id,
        shop.subscription,
        manager.session,
        "golub.example.ru",
        shop.name,
    ):
        assert secret not in told


@ONE_DATABASE
async def test_schemathesis_own_runner_finds_nothing(
    town: Town, boss: Browser, shop: Account, at_scale: AtScale, tmp_path: Path
) -> None:
    """In the suite as one program alone; with `--full` as everybody, through all its phases."""
    await a_chat(town, shop)
    known = await callers(town, boss)
    failed: list[str] = []
    async with at_a_port(town) as url, httpx2.AsyncClient(base_url=url, timeout=PATIENCE) as client:
        document = tmp_path / "openapi.json"
        document.write_text((await client.get(DOCUMENT, headers=known["super_admin"])).text)
        for who, headers in list(known.items())[-at_scale(1, len(known)) :]:
            run = await asyncio.to_thread(run_over, document, url, headers, at_scale(1, 100), at_scale(1, 0))
            print(f"== {who}\n{run.stdout[-4000:]}{run.stderr[-1000:]}")
            if run.returncode and not only_waits(run.stdout):
                failed.append(who)
    assert failed == []


def only_waits(told: str) -> bool:
    """Whether all that was found is that whoever guesses at keys is told to wait, where 401 was expected."""
    found = re.findall(r"^- ST\d+ ", told, re.MULTILINE)
    return 0 < len(found) == told.count("Expected 401 or 403, got `429 Too Many Requests`")


def run_over(
    document: Path, url: str, headers: dict[str, str], most: int, short: int
) -> subprocess.CompletedProcess[str]:
    program: list[str | Path] = [Path(sys.executable).with_name("schemathesis"), "run", document, "--url", url]
    program += ["--checks", RUNNER_CHECKS, "--no-color", "--seed=1", f"--max-examples={most}"]
    program += ["--request-timeout", str(PATIENCE), "--phases", "examples,fuzzing"] if short else []
    program += ["--generation-with-security-parameters", "false"] if headers else []
    program += [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
    chosen = {**os.environ, "NO_COLOR": "1"}
    return subprocess.run(program, check=False, capture_output=True, text=True, cwd=document.parent, env=chosen)
