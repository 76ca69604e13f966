"""Who may see what: every route, by every role, from the table in `access`; what the table does not name is refused."""

import inspect
import re
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.routing import Mount

from docs import generate
from golub.model import Role
from golub.web.access import ACCESS
from golub.web.routes import ROUTERS
from golub.web.session import guard
from tests.web.conftest import Visit


def routes(routers: Sequence[APIRouter] = ROUTERS) -> Iterator[APIRoute]:
    for router in routers:
        for route in router.routes:
            assert isinstance(route, APIRoute), "a mount or a bare route would pass no guard"
            yield route


def doors(routers: Sequence[APIRouter] = ROUTERS) -> list[tuple[str, str]]:
    return sorted({(method, route.path) for route in routes(routers) for method in route.methods or ()})


@pytest.mark.row(44)
def test_every_route_is_in_the_table_and_every_line_is_a_route() -> None:
    assert {path for _, path in doors()} == set(ACCESS)


@pytest.mark.row(44)
def test_a_planted_route_turns_the_check_and_the_page_red(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither this table nor `docs/routes.md` can be right any more, so that nobody merges it unthought."""
    planted = APIRouter()
    planted.add_api_route("/admin/planted", lambda: "secret")
    assert {path for _, path in doors((*ROUTERS, planted))} - set(ACCESS) == {"/admin/planted"}
    monkeypatch.setattr(generate, "ROUTERS", (*ROUTERS, planted))
    with pytest.raises(KeyError, match="/admin/planted"):
        generate.routes_page()


async def test_only_the_static_files_stand_beside_the_guard(site: FastAPI) -> None:
    assert [dependency.dependency for dependency in site.router.dependencies] == [guard]
    assert [route.path for route in site.routes if isinstance(route, Mount)] == ["/static"]


@pytest.mark.row(44)
async def test_a_route_that_the_table_forgot_is_refused_to_everybody(site: FastAPI, visit: Visit) -> None:
    async def forgotten() -> str:
        return "secret"

    site.add_api_route("/admin/forgotten", forgotten)
    for role in (None, *Role):
        answer = await (await visit(role)).get("/admin/forgotten")
        assert (answer.status_code, "secret" in answer.text) == (404, False)


async def test_a_number_that_no_database_holds_is_no_failure_of_ours(visit: Visit) -> None:
    owner = await visit(Role.SUPER_ADMIN)
    numbered = [(method, path) for method, path in doors() if re.search(r"\{(?!delivery)\w+_id\}", path)]
    assert len(numbered) > 20
    for method, path in numbered:
        if "/media/" not in path:  # its signature comes first
            url = re.sub(r"\{\w+_id\}", "9" * 25, path)
            if path.startswith("/api/"):
                answer = await owner.client.request(method, url, json={})
            else:
                answer = await (owner.get(url) if method == "GET" else owner.post(url))
            assert answer.status_code in (404, 422), path


def test_no_request_goes_to_another_thread_for_what_is_at_hand() -> None:
    """As FastAPI does with each thing that a handler needs, and with the handler, where they are not asynchronous."""
    asked = set[Any]()
    waiting = [route.dependant for route in routes(ROUTERS)]
    while waiting:
        one = waiting.pop()
        asked.add(one.call)
        waiting += one.dependencies
    assert len(asked) > 200
    assert [call for call in asked if not inspect.iscoroutinefunction(call)] == []


@pytest.fixture
def hollow(site: FastAPI) -> FastAPI:
    """The same site, its guard and its addresses, with nothing behind them: who gets in is all that shows."""

    async def inside() -> str:
        return "inside"

    empty = APIRouter()
    for method, path in doors():
        empty.add_api_route(path, inside, methods=[method])
    site.router.routes[:] = [route for route in site.routes if getattr(route, "path", "") == "/static"]
    site.include_router(empty)
    return site


@pytest.mark.row(44)
async def test_each_role_gets_what_the_table_says(hollow: FastAPI, visit: Visit) -> None:
    browsers = {role: await visit(role) for role in (None, *Role)}
    for method, path in doors():
        needed, url = ACCESS[path], re.sub(r"\{[^}]*\}", "7", path)
        for role, browser in browsers.items():
            answer = await browser.client.request(method, url, headers={"X-CSRF-Token": browser.csrf})
            if not isinstance(needed, Role) or (role and role.covers(needed)):
                expected = 200
            elif path.startswith("/api/"):
                expected = 403 if role else 401
                assert answer.json()["error"] == ("Access denied" if role else "Not authenticated")
            else:
                expected = 403 if role else 303
                assert role or answer.headers["location"].startswith("/sign-in")
            assert answer.status_code == expected, f"{method} {path} as {role}: {answer.status_code}"


async def test_streams_pictures_and_htmx_are_not_sent_to_a_page(visit: Visit) -> None:
    stranger = await visit(None)
    stream = await stranger.get("/guide", headers={"Accept": "text/event-stream"})
    assert (stream.status_code, stream.headers["content-type"]) == (401, "text/plain; charset=utf-8")
    assert (await stranger.get("/guide", headers={"Sec-Fetch-Dest": "image"})).status_code == 401
    part = await stranger.get("/guide", headers={"HX-Request": "true"})
    assert (part.status_code, part.headers["hx-redirect"]) == (401, "/sign-in")


@pytest.mark.row(51)
async def test_nothing_that_strangers_look_for_is_there(visit: Visit) -> None:
    stranger = await visit(None)
    for url in (
        "/docs",
        "/redoc",
        "/openapi.json",
        "/debug",
        "/.env",
        "/.git/config",
        "/backup.db",
        "/static/../golub.db",
        "/static/%2e%2e/routes.py",
        "/static/..%2f..%2fapp.py",
        "/static/",
        "/metrics",
    ):
        assert (await stranger.get(url)).status_code == 404, url
