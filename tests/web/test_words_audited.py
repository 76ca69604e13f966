"""Labels and everybody's quick replies stand in the audit when they are made, changed and removed; an operator's own
quick replies do not."""

import json

import pytest
from sqlalchemy import select

from golub.audit import Action
from golub.model import AuditEntry, Label, QuickReply, Role
from golub.store import Store
from golub.web.parts import Parts
from tests.conftest import ONE_DATABASE
from tests.door import World
from tests.web.conftest import Visit

pytestmark = [pytest.mark.anyio, ONE_DATABASE]

WORDS = ("label_", "quick_reply_")


@pytest.fixture
def parts(world_parts: Parts) -> Parts:
    return world_parts


async def told(store: Store) -> list[tuple[str, str, dict[str, object], dict[str, object]]]:
    async with store.read() as session:
        rows = await session.scalars(select(AuditEntry).order_by(AuditEntry.id))
        return [
            (row.action, row.subject, json.loads(row.before or "{}"), json.loads(row.after or "{}"))
            for row in rows
            if row.action.startswith(WORDS)
        ]


async def test_labels_and_quick_replies_are_audited(parts: Parts, world: World, visit: Visit) -> None:
    admin, boss, manager = await visit(Role.ADMIN), await visit(Role.SUPER_ADMIN), await visit(Role.MANAGER)
    await admin.post("/admin/labels", {"name": "Срочно", "colour": "#c2410c"})
    await admin.post("/admin/labels", {"name": "Срочно", "colour": "#c2410c"})  # refused
    async with parts.store.read() as session:
        label = (await session.scalars(select(Label.id))).one()
    await admin.post(f"/admin/labels/{label}", {"name": "Срочно", "colour": "#c2410c"})  # as it was
    await admin.post(f"/admin/labels/{label}", {"name": "Сегодня", "colour": "#0369a1"})
    await admin.post(f"/admin/labels/{label}/remove")

    await manager.post("/quick-replies", {"name": "Моё", "text": "своё", "own": "yes"})
    await admin.post("/quick-replies", {"name": "Цена", "text": "5 ₽", "own": "no"})
    async with parts.store.read() as session:
        quick = (await session.scalars(select(QuickReply.id).where(QuickReply.owner_id.is_(None)))).one()
    await admin.post(f"/quick-replies/{quick}", {"name": "Цена", "text": "7 ₽", "own": "no"})
    await admin.post(f"/quick-replies/{quick}/remove")

    then = {"name": "Сегодня", "colour": "#0369a1"}
    rest = {"photos": 0, "account": None, "item": None, "everybody": True, "name": "Цена"}
    assert await told(parts.store) == [
        (Action.LABEL_ADDED, "Срочно", {}, {"colour": "#c2410c"}),
        (Action.LABEL_CHANGED, "Срочно", {"name": "Срочно", "colour": "#c2410c"}, then),
        (Action.LABEL_REMOVED, "Сегодня", {"colour": "#0369a1", "chats": 0}, {}),
        (Action.QUICK_REPLY_ADDED, "Цена", {}, rest | {"texts": ["5 ₽"]}),
        (Action.QUICK_REPLY_CHANGED, "Цена", rest | {"texts": ["5 ₽"]}, rest | {"texts": ["7 ₽"]}),
        (Action.QUICK_REPLY_REMOVED, "Цена", rest | {"texts": ["7 ₽"]}, {}),
    ]
    page = (await boss.get("/admin/audit?what=words")).text
    assert "Сегодня" in page
    assert "5 ₽" in page
