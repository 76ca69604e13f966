"""What the first page would have to wait for is there before it is asked for."""

import gc
from collections.abc import Generator

import pytest
from fastapi import FastAPI
from jinja2 import Environment

from golub.web import language, page, warming
from tests.web.conftest import Visit


@pytest.fixture
def thawed() -> Generator[None]:
    """The garbage collector of the tests' own process goes on with everything."""
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("thawed")
async def test_a_first_page_compiles_nothing_and_reads_no_catalogue(
    visit: Visit, site: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    page._environment.cache_clear()
    language.words.cache_clear()
    language._zones.cache_clear()
    before = gc.get_freeze_count()
    warming.warm(site)
    assert gc.get_freeze_count() > before

    def late(*_: object, **__: object) -> None:
        raise AssertionError("too late")

    monkeypatch.setattr(Environment, "compile", late)
    monkeypatch.setattr(page._Compiled, "load_bytecode", late)
    monkeypatch.setattr(language, "read_po", late)
    monkeypatch.setattr(language, "available_timezones", late)
    browser = await visit(None)
    for locale, words in (("ru", "Войти"), ("en", "Sign in")):
        browser.client.cookies.set("locale", locale, domain="localhost.local")
        answer = await browser.get("/sign-in")
        assert answer.status_code == 200
        assert words in answer.text


async def test_all_routes_are_made_ready(site: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    for route in site.router.routes:
        monkeypatch.setattr(route, "matches", lambda _, of=route: asked.append(type(of).__name__))
    monkeypatch.setattr(gc, "freeze", lambda: None)
    warming.warm(site)
    assert len(asked) == len(site.router.routes)


def test_where_nothing_may_be_written_each_process_compiles_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    page._environment.cache_clear()
    monkeypatch.setattr("jinja2.FileSystemBytecodeCache.dump_bytecode", refuse)
    monkeypatch.setattr("jinja2.FileSystemBytecodeCache.load_bytecode", lambda *_: None)
    reader = language.Reader("ru", language.DEFAULT_ZONE, 0)
    assert "Ой" in page.fragment(reader, "toast.html", kind="bad", message="Ой", request_id="")
    page._environment.cache_clear()
