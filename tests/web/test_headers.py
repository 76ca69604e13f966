"""What every answer carries, which hosts are answered, and how a failure looks from outside."""

import json
import re
from collections.abc import AsyncGenerator

import httpx2
import pytest
from fastapi import FastAPI
from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send
from structlog.testing import capture_logs

from golub.app import UPGRADING
from golub.errors import Ambiguous, Conflict, GolubError, Invalid, NotFound, Paced, Unavailable
from golub.health import Code
from golub.model import Role
from golub.settings import Settings
from golub.web.access import ACCESS, ANYONE
from golub.web.headers import SECURITY_HEADERS, Envelope
from golub.web.parts import Parts
from golub.web.routes import build
from tests.web.conftest import Visit


@pytest.fixture
def failing(site: FastAPI, monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    errors: dict[str, Exception] = {
        "unavailable": Unavailable("The database does not answer. Try again in a moment."),
        "paced": Paced("Too many attempts. Try again in {seconds} s.", retry_after=7.2, seconds=7),
        "invalid": Invalid("The two passwords differ.", field="again"),
        "conflict": Conflict("There is an operator with the login {login} already.", login="<b>anna</b>"),
        "missing": NotFound("There is no such page."),
        "ambiguous": Ambiguous("Avito's answer to the message was lost."),
        "bug": KeyError("a secret that must not be told"),
    }

    def route(name: str, error: Exception) -> None:
        async def fail() -> None:
            raise error

        for prefix in ("", "/api"):
            path = f"{prefix}/fail/{name}"
            site.add_api_route(path, fail, methods=["GET"])
            monkeypatch.setitem(ACCESS, path, ANYONE)

    for name, error in errors.items():
        route(name, error)
    return site


@pytest.mark.row(6, 54)
async def test_every_answer_carries_the_security_headers(failing: FastAPI, visit: Visit) -> None:
    stranger, boss = await visit(None), await visit(Role.SUPER_ADMIN)
    answers = [
        *[await stranger.get(path) for path in ("/", "/sign-in", "/nothing", "/guide", "/api/nothing")],
        *[await stranger.get(path) for path in ("/static/golub.css", "/static/nothing", "/healthz/live")],
        *[await stranger.get(f"/fail/{name}") for name in ("unavailable", "paced", "conflict", "bug")],
        *[await stranger.get(f"/api/fail/{name}") for name in ("unavailable", "bug")],
        await stranger.get("/sign-in", headers={"Host": "evil.example"}),
        await stranger.client.request("TRACE", "/sign-in"),
        await stranger.client.post("/preferences", content=b"x" * (2 << 20)),
        await boss.get("/admin/operators"),
    ]
    assert {answer.status_code for answer in answers} >= {200, 303, 404, 405, 409, 413, 421, 429, 500, 503}
    for answer in answers:
        for name, value in SECURITY_HEADERS.items():
            assert answer.headers.get(name) == value, (answer.url, name)


@pytest.mark.row(53)
async def test_pages_are_stored_nowhere_and_files_for_ever(visit: Visit) -> None:
    boss = await visit(Role.SUPER_ADMIN)
    page = await boss.get("/admin/operators")
    assert (page.headers["cache-control"], page.headers["vary"]) == ("no-store, private", "Cookie")
    sheet = next(part for part in page.text.split('"') if part.startswith("/static/golub.css?v="))
    kept = await boss.get(sheet)
    assert (kept.status_code, kept.headers["cache-control"]) == (200, "public, max-age=31536000, immutable")
    assert (await boss.get("/static/golub.css")).headers["cache-control"] == "no-cache"


@pytest.mark.row(3)
async def test_no_page_has_a_script_or_a_style_in_it(visit: Visit) -> None:
    boss, stranger = await visit(Role.SUPER_ADMIN), await visit(None)
    for page in (await boss.get("/admin/operators"), await stranger.get("/sign-in"), await stranger.get("/nothing")):
        assert " style=" not in page.text
        assert "<style" not in page.text
        assert " onclick=" not in page.text
        scripts = re.findall(r"<script([^>]*)>(.*?)</script>", page.text, re.DOTALL)
        assert scripts
        assert all(" src=" in attributes and not body for attributes, body in scripts)


@pytest.mark.row(32)
@pytest.mark.parametrize(
    ("host", "answered"),
    [
        ("golub.example.ru", True),
        ("GOLUB.example.ru:443", True),
        ("localhost:8080", True),
        ("127.0.0.1", True),
        ("127.0.0.2:8080", True),
        ("[::1]:8080", True),
        ("10.0.0.5:8080", True),
        ("192.168.1.4", True),
        ("evil.example", False),
        ("golub.example.ru.evil.example", False),
        ("golub.example.ru@evil.example", False),
        ("evil.example:golub.example.ru", False),
        ("", False),
        (":8080", False),
        ("[::1", False),
        ("10.0.0.6", False),
    ],
)
async def test_only_our_own_hosts_are_answered(parts: Parts, host: str, answered: bool) -> None:
    """192.168.1.4 is the address that the connection arrived at."""
    parts.settings = Settings.model_validate({"public_url": "https://golub.example.ru", "host": "10.0.0.5"})
    site = Envelope(_welcome, parts.settings)
    status: list[int] = []

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            status.append(message["status"])

    async def receive() -> Message:
        return {"type": "http.request"}

    scope: Scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "headers": [(b"host", host.encode())],
        "server": ("192.168.1.4", 8080),
    }
    await site(scope, receive, send)
    assert status == [200 if answered else 421]
    scope["headers"] = [(b"host", host.encode()), (b"host", b"localhost")]
    await site(scope, receive, send)
    assert status[1] == 421


async def _welcome(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@pytest.mark.row(54)
async def test_https_is_remembered_where_it_is_ours(parts: Parts) -> None:
    for url, told in (("https://golub.example.ru", True), ("http://golub.example.ru", False), ("", False)):
        parts.settings = Settings.model_validate({"public_url": url})
        transport = httpx2.ASGITransport(build(parts))
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
            assert ("strict-transport-security" in (await client.get("/healthz/live")).headers) is told


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("unavailable", 503, "unavailable"),
        ("paced", 429, "paced"),
        ("invalid", 400, "invalid"),
        ("conflict", 409, "conflict"),
        ("missing", 404, "not_found"),
        ("ambiguous", 502, "ambiguous"),
    ],
)
async def test_errors_become_pages_toasts_and_json(
    failing: FastAPI, visit: Visit, name: str, status: int, code: str
) -> None:
    stranger = await visit(None)
    page, toast = (
        await stranger.get(f"/fail/{name}"),
        await stranger.get(f"/fail/{name}", headers={"HX-Request": "true"}),
    )
    api = await stranger.get(f"/api/fail/{name}")
    assert [page.status_code, toast.status_code, api.status_code] == [status] * 3
    assert page.text.startswith("<!doctype html>")
    assert "<b>anna" not in page.text
    assert (toast.headers["hx-retarget"], toast.headers["hx-reswap"]) == ("#toasts", "beforeend")
    assert toast.text.startswith("<div")
    assert api.json()["code"] == code
    assert api.json()["error"] != api.json()["message"], "the message is in the reader's language"
    assert ("retry-after" in page.headers) is (status in (429, 503))
    if name == "paced":
        assert page.headers["retry-after"] == "7"


@pytest.mark.row(50, 52)
async def test_a_bug_tells_strangers_a_number_and_the_log_everything(failing: FastAPI, visit: Visit) -> None:
    stranger = await visit(None)
    with capture_logs() as lines:
        page, api = await stranger.get("/fail/bug"), await stranger.get("/api/fail/bug")
    assert (page.status_code, api.status_code) == (500, 500)
    for answer in (page, api):
        assert "secret that must not be told" not in answer.text
        assert "Traceback" not in answer.text
    assert [line["request_id"] in answer.text for line, answer in zip(lines, (page, api), strict=True)] == [True, True]
    assert set(api.json()) == {"error", "request_id"}


async def test_half_an_answer_is_cut_off(site: FastAPI, visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    async def half() -> StreamingResponse:
        async def pieces() -> AsyncGenerator[bytes]:
            yield b"half of "
            raise RuntimeError("the rest is missing")

        return StreamingResponse(pieces())

    site.add_api_route("/half", half)
    monkeypatch.setitem(ACCESS, "/half", ANYONE)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(site), base_url="http://localhost") as client:
        with pytest.raises(RuntimeError):
            await client.get("/half")


@pytest.mark.row(52)
async def test_api_errors_are_json_whatever_happens(visit: Visit) -> None:
    stranger = await visit(None)
    for answer in (
        await stranger.get("/api/nothing"),
        await stranger.client.post("/api/admin/webhooks", content=b"{", headers={"Content-Type": "application/json"}),
        await stranger.client.request("PATCH", "/api/admin/webhooks"),
    ):
        assert answer.headers["content-type"] == "application/json"
        assert "error" in json.loads(answer.text)


async def test_a_node_with_another_key_says_so(parts: Parts, visit: Visit) -> None:
    boss = await visit(Role.SUPER_ADMIN)
    parts.health.halted = "This database's secrets were sealed with another key."
    boss.client.cookies.set("locale", "en", domain="localhost.local")
    page = await boss.get("/admin/operators")
    assert (page.status_code, page.headers["retry-after"]) == (503, "1")
    assert "sealed with another key" in page.text
    assert "start Golub again" in page.text
    assert "Reload the page in a few seconds" not in page.text, "which would not help"
    assert (await boss.get("/static/golub.css")).status_code == 200
    ready = await boss.get("/healthz/ready")
    assert ready.status_code == 503
    assert [(reason["code"], reason["text"]) for reason in ready.json()["reasons"]] == [("wrong_key", parts.halted)]


async def test_a_page_that_an_upgrade_keeps_back_looks_again_by_itself(parts: Parts, visit: Visit) -> None:
    parts.health.halted, parts.health.halted_by = UPGRADING, Code.MIGRATING
    page = await (await visit(None)).get("/sign-in")
    assert page.status_code == 503
    assert "Golub обновляется" in page.text
    assert '<meta http-equiv="refresh" content="10">' in page.text


def test_the_tree_of_errors_has_a_status_for_each() -> None:
    def below(error: type[GolubError]) -> set[type[GolubError]]:
        return {error}.union(*(below(child) for child in error.__subclasses__()))

    assert all(400 <= error.status < 600 for error in below(GolubError))
