"""The page of status: one sentence, what to do about it, and each account in a line."""

import pytest
from sqlalchemy import update

from golub import metrics
from golub.meter import REFUSED, SLOWER, STEPS, Acks
from golub.model import Account, AccountState, Role
from golub.web.admin.status import CHART_HEIGHT, LEAST_HEIGHT, columns_of
from golub.web.parts import Parts
from tests.door import FOREIGN, World
from tests.web.conftest import Browser, Visit

PAGE = "/admin/status"


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """The page is the same on either."""
    return sqlite_url


@pytest.fixture
def parts(world_parts: Parts) -> Parts:
    return world_parts


async def register(world: World) -> None:
    url = world.subscriptions.recommended_url()
    await world.subscriptions.register(world.account_id, url, ["message"], skip_probe=True)
    async with world.store.write() as session:
        await session.execute(update(Account).values(backfill_offset=None, backfilled_at=1, swept_at=world.clock()))


async def test_all_is_well_in_one_sentence(world: World, owner: Browser) -> None:
    await register(world)
    page = (await owner.get(PAGE)).text
    assert "All is well" in page
    assert "Велосипеды" in page
    assert "Nobody will be told" in page  # no channel yet
    now = (await owner.get(f"{PAGE}/now")).text
    assert "All is well" in now
    assert now.partition("<section")[0] in page  # the same part, which looks again by itself
    assert "hidden" in (await owner.get(f"{PAGE}/badge")).text


async def test_what_is_wrong_stands_on_top_with_the_button_that_mends_it(world: World, owner: Browser) -> None:
    await register(world)
    world.avito.steal_subscription(world.shop, FOREIGN)
    await world.subscriptions.check(world.account_id)
    async with world.store.write() as session:
        await session.execute(update(Account).values(state=AccountState.WRONG_KEYS))
    page = (await owner.get(PAGE)).text
    assert "All is well" not in page
    stolen, keys = page.index("now gets the messages from Avito"), page.index("Avito does not accept the keys")
    assert stolen < keys  # what hides messages comes first
    assert f'href="/admin/accounts/{world.account_id}"' in page
    assert f'href="/admin/accounts/{world.account_id}#keys"' in page
    assert "</span>2</span>" in (await owner.get(f"{PAGE}/badge")).text


async def test_before_anything_is_connected_it_says_what_comes_next(world: World, owner: Browser) -> None:
    async with world.store.write() as session:
        await session.execute(Account.__table__.delete())  # pyright: ignore[reportAttributeAccessIssue]
    page = (await owner.get(PAGE)).text
    assert "Three steps to the first message" in page
    assert 'href="/admin/start"' in page


async def test_without_a_webhook_one_step_is_left(world: World, owner: Browser) -> None:
    async with world.store.write() as session:
        await session.execute(update(Account).values(backfill_offset=None, backfilled_at=1, swept_at=1))
    page = (await owner.get(PAGE)).text
    assert "One step is left" in page
    assert f'href="/admin/webhooks#account-{world.account_id}"' in page


async def test_an_administrator_is_not_sent_where_he_may_not_go(world: World, visit: Visit) -> None:
    await register(world)
    async with world.store.write() as session:
        await session.execute(update(Account).values(deaf_since=world.clock()))
    admin = await visit(Role.ADMIN)
    page = (await admin.get(PAGE)).text
    assert "Ask a super administrator." in page
    assert 'href="/admin/webhooks' not in page
    assert (await (await visit(Role.MANAGER)).get(PAGE)).status_code == 403


async def test_answer_times_are_drawn_and_written(world: World, owner: Browser) -> None:
    assert "Avito has sent nothing in this time." in (await owner.get(PAGE)).text
    for seconds in (0.003, 0.004, 0.3):
        metrics.webhook_seconds.observe(seconds)
    page = (await owner.get(f"{PAGE}?hours=24")).text
    assert "3 answers" in page
    assert "99 of 100 within 500 ms" in page
    assert "up to 5 ms" in page
    assert "?hours=24" in page


def test_one_late_answer_among_thousands_shows() -> None:
    columns = {column.step: column for column in columns_of(Acks({2: 10_000, SLOWER: 1, REFUSED: 1}))}
    assert len(columns) == len(STEPS) + 2
    assert (columns[2].height, columns[SLOWER].height, columns[REFUSED].height) == (
        CHART_HEIGHT,
        LEAST_HEIGHT,
        LEAST_HEIGHT,
    )
    assert columns[5].height == 0


@pytest.mark.parametrize(("locale", "words"), [("ru", "Всё в порядке"), ("en", "All is well")])
async def test_it_speaks_the_operators_language(
    world: World, owner: Browser, parts: Parts, locale: str, words: str
) -> None:
    await register(world)
    assert owner.operator
    await parts.operators.set_locale(owner.operator.id, locale)
    assert words in (await owner.get(PAGE)).text
