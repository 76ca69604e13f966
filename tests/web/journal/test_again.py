"""A delivery that is applied again by a press."""

from golub.clock import SECOND
from golub.model import Cause, Delivery, DeliveryState
from golub.web.causes import CAUSES
from tests.door import World
from tests.guide.page import Page
from tests.web.conftest import Browser
from tests.web.journal.post import PAGE, Post, message, opened


async def replayed(browser: Browser, key: str) -> Page:
    """Presses the button on the delivery's page."""
    page = await opened(browser, f"{PAGE}/{key}")
    assert "Apply again" in page.buttons
    answer = await browser.post(f"{PAGE}/{key}/replay")
    assert answer.status_code == 303
    return await opened(browser, answer.headers["location"])


async def test_a_type_that_was_not_chosen_is_applied_once_it_is(post: Post, admin: Browser) -> None:
    await post.choose("chat")
    key = await post.brings(message())
    page = await replayed(admin, key)
    assert "Nothing has changed" in page.text
    assert await post.messages() == []

    await post.choose("chat", "message")
    page = await replayed(admin, key)
    assert "Now it is applied" in page.text
    (chat,) = await post.chats()
    assert f"/inbox/{chat.id}" in {link["href"] for link in page.all("a")}
    for _ in range(2):
        page = await replayed(admin, key)
        assert "It was applied before, and all that it tells was there already." in page.text
    assert [(one.id, one.version, one.unread) for one in await post.chats()] == [(chat.id, chat.version, chat.unread)]
    assert len(await post.messages()) == 1
    assert len(await post.kept()) == 1


async def test_what_is_in_quarantine_stays_there_with_its_cause_and_its_bytes(post: Post, admin: Browser) -> None:
    key = await post.brings(b"[not json")
    for _ in range(2):
        page = await replayed(admin, key)
        assert "It was tried again and ended as before" in page.text
        assert CAUSES[Cause.NOT_JSON].title in page.text
    (kept,) = await post.kept()
    assert (kept.state, kept.cause, bytes(kept.body)) == (DeliveryState.QUARANTINED, Cause.NOT_JSON, b"[not json")


async def test_a_hint_is_asked_about_again_and_what_is_settled_is_left_alone(
    world: World, post: Post, admin: Browser
) -> None:
    key = await post.brings(message(), bare=True)
    await post.applier.confirm(world.account_id, "u2i-abc")
    page = await opened(admin, f"{PAGE}/{key}")
    assert CAUSES[Cause.NOT_CONFIRMED].title in page.text
    page = await replayed(admin, key)
    assert "It still awaits confirmation." in page.text
    assert CAUSES[Cause.UNCONFIRMED].title in page.text
    assert world.backfill.times == 1
    (kept,) = await post.kept()
    assert kept.due_at == world.clock()

    async with world.store.write() as session:
        (await session.get_one(Delivery, kept.id)).state = DeliveryState.APPLIED
    probe = await post.brings(b"")
    for settled in (key, probe):
        assert "Apply again" not in (await opened(admin, f"{PAGE}/{settled}")).buttons
        was = [(one.state, one.applied_at) for one in await post.kept()]
        world.clock.step(SECOND)
        assert (await admin.post(f"{PAGE}/{settled}/replay")).status_code == 303
        assert [(one.state, one.applied_at) for one in await post.kept()] == was
