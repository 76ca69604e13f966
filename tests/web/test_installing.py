"""What makes an application of the site: open to anyone, in the reader's language, and nobody's."""

import json

import httpx2

from golub.model import Role
from tests.web.conftest import Visit


def kept(answer: httpx2.Response) -> dict[str, list[str]]:
    first = answer.text.partition("\n")[0]
    return json.loads(first.removeprefix("const golub = ").removesuffix(";"))


async def test_the_worker_keeps_static_files_and_one_page_that_is_nobodys(visit: Visit) -> None:
    stranger, signed_in = await visit(None), await visit(Role.SUPER_ADMIN)
    worker = await stranger.get("/worker.js?locale=en")
    assert worker.headers["content-type"].startswith("text/javascript")
    assert worker.headers["cache-control"] == "public, no-cache"  # a new one is seen at once
    assert worker.text == (await signed_in.get("/worker.js?locale=en")).text
    told = kept(worker)
    assert len(told["assets"]) > 10
    for url in told["assets"]:
        answer = await stranger.get(url)
        assert (answer.status_code, "immutable" in answer.headers["cache-control"]) == (200, True), url
    page = (await signed_in.get(str(told["offline"]))).text
    assert "No connection to Golub" in page
    assert signed_in.csrf not in page
    assert page == (await stranger.get(str(told["offline"]))).text
    other = await stranger.get("/worker.js?locale=%3Cscript%3E")
    assert kept(other)["offline"] == "/offline?locale=ru"


async def test_the_manifest_names_pictures_that_are_there(visit: Visit) -> None:
    stranger = await visit(None)
    manifest = (await stranger.get("/manifest.webmanifest?locale=en")).json()
    assert manifest["lang"] == "en"
    assert {icon["purpose"] for icon in manifest["icons"]} == {"any", "maskable"}
    for icon in manifest["icons"]:
        answer = await stranger.get(icon["src"])
        assert (answer.status_code, answer.headers["content-type"]) == (200, icon["type"])


async def test_a_page_that_the_worker_asks_for_leads_to_the_sign_in(visit: Visit) -> None:
    """A browser names no destination there; without this somebody signed out would see bare words."""
    stranger = await visit(None)
    answer = await stranger.get("/inbox", headers={"Accept": "text/html,*/*", "Sec-Fetch-Dest": "empty"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=/inbox")
