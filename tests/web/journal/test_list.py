"""The journal's page: what came, newest first, and what became of it; its filters, and who sees it."""

from collections.abc import Sequence

from golub.model import Role
from tests import shapes
from tests.conftest import ONE_DATABASE
from tests.door import World
from tests.web.conftest import Browser, Visit
from tests.web.journal.post import PAGE, Post, event, listed, message, opened


async def test_every_delivery_is_listed_newest_first_with_what_became_of_it(post: Post, admin: Browser) -> None:
    applied = await post.brings(message())
    probe = await post.brings(b"{}")
    ignored = await post.brings(event("user", id=5))
    unknown = await post.brings(event("promotion", novelty=[1]))
    hint = await post.brings(message(id="m-2"), bare=True)
    broken = await post.brings(b"[not json")
    page = await opened(admin, PAGE)
    assert listed(page) == [broken, hint, unknown, ignored, probe, applied]
    for key, told in (
        (broken, "In quarantine The body is not JSON"),
        (hint, "without a secret Awaits confirmation Golub is asking Avito"),
        (unknown, "promotion Passed over A kind of event that Golub does not know"),
        (ignored, "User Passed over This kind of event is not chosen"),
        (probe, "Probe"),
        (applied, "Message Applied"),
    ):
        assert told in page.within(f"delivery-{key}").replace("— ", ""), key
        assert "Велосипеды" in page.within(f"delivery-{key}")
    (chat,) = await post.chats()
    links = [link["href"] for link in page.all("a") if link["href"].startswith("/inbox/")]
    assert links == [f"/inbox/{chat.id}"], "of what was applied, and nothing else"
    assert "Quarantine 1 · Awaits confirmation 1 · Applied 1 · Passed over 2 · Probes 1" in page.text


async def test_filters_by_outcome_account_and_kind(world: World, post: Post, admin: Browser) -> None:
    applied = await post.brings(message())
    stranger = await post.brings(shapes.message(user_id=404), bare=True)
    chat = await post.brings(event("chat", chat_id="u2i-abc"))
    other = await post.brings(event("promotion"))
    broken = await post.brings(b"nonsense")
    account = f"account={world.account_id}"
    for query, expected in (
        ("state=applied", [chat, applied]),
        ("state=quarantined", [broken]),
        ("state=waiting", [stranger]),
        ("state=probe", []),
        ("kind=message", [stranger, applied]),
        ("kind=chat", [chat]),
        ("kind=other", [other]),
        (account, [broken, other, chat, applied]),
        (f"{account}&kind=message", [applied]),
        (f"{account}&kind=message&state=waiting", []),
        ("account=9", []),
        ("state=nonsense&kind=&account=x", [broken, other, chat, stranger, applied]),
    ):
        page = await opened(admin, f"{PAGE}?{query}")
        assert listed(page) == expected, query
    page = await opened(admin, f"{PAGE}?{account}&kind=message")
    assert f"{PAGE}?state=quarantined&{account}&kind=message" in {link["href"] for link in page.all("a")}
    (form,) = [form for form in page.forms if form.action == PAGE]
    assert [value for _, value in form.fields if value] == []


@ONE_DATABASE
async def test_an_empty_journal_says_what_to_do(visit: Visit, admin: Browser) -> None:
    page = await opened(admin, PAGE)
    assert "Nothing has come yet" in page.text
    assert "/admin/webhooks" not in {link["href"] for link in page.all("a")}, "he may not go there"
    owner = await visit(Role.SUPER_ADMIN)
    assert "/admin/webhooks" in {link["href"] for link in (await opened(owner, PAGE)).all("a", **{"class": BUTTON})}
    for query, told in (
        ("state=quarantined", "The quarantine is empty"),
        ("state=waiting", "Nothing awaits confirmation"),
        ("kind=chat", "Nothing of this kind"),
        (f"before=1.{'0' * 32}", "Nothing older"),
    ):
        assert told in (await opened(admin, f"{PAGE}?{query}")).text


BUTTON = "button button-primary"


@ONE_DATABASE
async def test_only_administrators_see_it_and_apply_again(post: Post, visit: Visit) -> None:
    key = await post.brings(b"[")
    urls: Sequence[str] = (PAGE, f"{PAGE}/{key}", f"{PAGE}/quarantined")
    for role, status in ((None, 303), (Role.MANAGER, 403), (Role.ADMIN, 200), (Role.SUPER_ADMIN, 200)):
        browser = await visit(role)
        assert [(await browser.get(url)).status_code for url in urls] == [status] * 3, role
        answer = await browser.post(f"{PAGE}/{key}/replay")
        assert answer.status_code == (403 if status == 403 else 303)
        assert answer.headers.get("location", PAGE).startswith(PAGE) or role is None
    without_token = await (await visit(Role.ADMIN)).client.post(f"{PAGE}/{key}/replay")
    assert without_token.status_code == 403


@ONE_DATABASE
async def test_the_navigation_has_the_journal_and_counts_its_quarantine(post: Post, visit: Visit) -> None:
    admin, manager = await visit(Role.ADMIN), await visit(Role.MANAGER)
    page = await opened(admin, "/guide")
    assert PAGE in {link["href"] for link in page.all("a")}
    assert page.all("span", id="rail-count-deliveries")[0]["hx-get"] == f"{PAGE}/quarantined"
    page = await opened(manager, "/guide")
    assert PAGE not in {link["href"] for link in page.all("a")}
    assert not page.all("span", id="rail-count-deliveries")

    count = await opened(admin, f"{PAGE}/quarantined")
    assert "hidden" in count.all("span", id="rail-count-deliveries")[0]
    for _ in range(2):
        await post.brings(b"[")
    count = await opened(admin, f"{PAGE}/quarantined")
    assert count.text == "In quarantine: 2"
    assert "hidden" not in count.all("span", id="rail-count-deliveries")[0]
