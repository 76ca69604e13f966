"""From SQLite to PostgreSQL, as `docs/nodes.md` says: a new house takes the old one's place at the same address."""

from pathlib import Path

import pytest

from golub.export import Kind, export
from golub.model import DeliveryState, Role
from golub.simulator import Account
from tests.guide.town import Browser, Town, World, housed, world


async def moved_in(town: Town, shop: Account) -> Browser:
    """The account is connected and its webhook registered, on the pages; nobody has to confirm our own old address."""
    boss = await town.sign_in(Role.SUPER_ADMIN)
    await town.connect(boss, shop)
    page = await town.register(boss, shop)
    assert "done=registered" in page.url, page.text
    return boss


async def old_house(around: World, shop: Account, folder: Path, url: str) -> str:
    """Lived in, kept and left. Returns the address that Avito calls still."""
    async with housed(around, folder, url) as town:
        boss = await moved_in(town, shop)
        around.sim.buyer_says(around.sim.add_chat(shop, "Ирина"), "Торг есть?")
        await town.applied()
        made = await export(town.parts.store, folder / "kept", deliveries=True, clock=town.parts.clock, tell=print)
        assert (made.counts[Kind.MESSAGES], made.counts[Kind.DELIVERIES]) == (1, 2)  # a probe came first
        account = town.accounts[shop.user_id]
        page = await boss.open(f"/admin/accounts/{account}")
        assert "done=paused" in (await boss.send(page, f"/admin/accounts/{account}/pause")).url
        assert town.parts.spool.pending == 0
    return shop.subscription or ""


@pytest.mark.postgres
async def test_from_sqlite_to_postgresql(tmp_path: Path, sqlite_url: str, postgres_url: str) -> None:
    async with world(tmp_path) as around:
        shop = around.sim.add_account(7_001, "Велосипеды")
        old = await old_house(around, shop, tmp_path / "old", sqlite_url)
        around.street.leads_to = 503  # nobody is at home for a while
        missed = around.sim.add_chat(shop, "Олег")
        around.sim.buyer_says(missed, "Вы здесь?", quiet=True)
        async with housed(around, tmp_path / "new", postgres_url) as town:
            boss = await moved_in(town, shop)
            assert shop.subscription not in (old, None)
            stranger = await town.client()
            assert (await stranger.post(old, content=b"{}")).status_code == 404
            for words in ("Торг есть?", "Вы здесь?"):
                assert words in (await town.chat_page(boss, words)).text
            around.sim.buyer_says(missed, "Ещё здесь?")
            await town.applied()
            assert [one.state for one in await town.journal()][-1] == DeliveryState.APPLIED
            assert "Вы здесь?" in (await town.chat_page(boss, "Ещё здесь?")).text
        # To look something up: the old house on another port, without the public address.
        async with housed(around, tmp_path / "old", sqlite_url, public_url="", port=8001) as town:
            calls = len(around.sim.calls)
            boss = await town.sign_in(Role.ADMIN)
            assert "Торг есть?" in (await town.chat_page(boss, "Торг есть?")).text
            assert len(around.sim.calls) == calls, "a paused account asks Avito nothing"
