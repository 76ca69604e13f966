"""The sample shop: shown like a real one, never told to Avito, and removed without a trace."""

import pytest
from sqlalchemy import func, select, text

from golub import sample
from golub.errors import Paused
from golub.model import SAMPLE_USER_ID, Account, Chat, Label, Mark, Message, OutgoingMessage, OutgoingState, Role, Table
from golub.simulator import Simulator
from golub.web.parts import Parts
from tests.talk import Talk
from tests.web.conftest import Visit
from tests.web.inbox.reading import read, reply


async def rows(parts: Parts) -> dict[str, int]:
    """How many there are in every table."""
    names = [*(table.name for table in Table.metadata.sorted_tables), "search_entries"]
    async with parts.store.read() as session:
        return {name: await session.scalar(text(f"SELECT count(*) FROM {name}")) or 0 for name in names}


async def test_it_is_loaded_answered_and_removed_without_a_trace(
    parts: Parts, talk: Talk, visit: Visit, sim: Simulator
) -> None:
    admin, manager = await visit(Role.ADMIN), await visit(Role.MANAGER)
    await talk.says("real", "настоящий вопрос")
    async with parts.store.write() as session:
        session.add(Label(name="торг", folded="торг", colour="#112233", created_at=1))
    before, files = await rows(parts), {path for path in parts.settings.data_dir.rglob("*") if path.is_file()}
    assert (await manager.post("/admin/sample")).status_code == 403

    assert (await admin.post("/admin/sample")).headers["location"] == "/inbox"
    assert (await admin.post("/admin/sample")).status_code == 409
    async with parts.store.read() as session:
        account = (await session.scalars(select(Account).where(Account.user_id == SAMPLE_USER_ID))).one()
        chats = list(await session.scalars(select(Chat).where(Chat.account_id == account.id)))
        kinds = set(await session.scalars(select(Message.type).where(Message.account_id == account.id)))
        deleted = await session.scalar(select(func.count()).where(Message.deleted_at.is_not(None)))
    assert (len(chats), deleted) == (31, 1)
    assert kinds >= {"text", "image", "location", "link", "item", "appCall", "system"}
    assert {chat.state for chat in chats} == {"open", "waiting", "snoozed", "closed"}
    assert sum(chat.owner_id == admin.operator.id for chat in chats if admin.operator) == 5
    page = await read(admin, "/inbox")
    assert "A sample shop" in page.text
    assert len(page.all("img", **{"class": "photo"})) > 20
    photo = await admin.get(page.all("img", **{"class": "photo"})[0]["src"])
    assert (photo.status_code, photo.headers["content-type"]) == (200, "image/webp")
    assert "антикоготь" in (await read(admin, "/inbox/search?q=антикоготь")).text.lower()

    (anna,) = (chat for chat in chats if chat.buyer_name == "Анна")
    thread = await read(admin, f"/inbox/{anna.id}")
    assert "nobody gets them" in thread.text
    await reply(admin, anna.id, "Да, раскладывается вперёд")
    await parts.outbox.run_once()
    async with parts.store.read() as session:
        (sent,) = await session.scalars(select(OutgoingMessage))
    assert sent.state == OutgoingState.SENT
    assert "Да, раскладывается вперёд" in (await read(admin, f"/inbox/{anna.id}")).words
    await admin.post(f"/inbox/{anna.id}/buyer-note", {"text": "проба"})
    with pytest.raises(Paused):
        await parts.avito.subscriptions(account.id)
    assert not sim.calls, "Avito has heard nothing"

    assert (await admin.post("/admin/sample/remove")).headers["location"] == "/inbox"
    after = await rows(parts)
    assert after.pop("audit") == before.pop("audit") + 2  # who loaded it, who removed it
    assert after.pop("marks") - before.pop("marks") in (0, 1)  # the audit's newest number
    assert after == before
    async with parts.store.read() as session:
        assert await session.get(Mark, sample.MARK) is None
    assert {path for path in parts.settings.data_dir.rglob("*") if path.is_file()} == files
    assert "A sample shop" not in (await read(admin, "/inbox")).text
    assert (await admin.post("/admin/sample/remove")).status_code == 303
