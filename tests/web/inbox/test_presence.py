"""A tab says where it is, and the streams of the others tell of it; no chat is another for it."""

import asyncio
from typing import Any, cast

import pytest
from fastapi import FastAPI
from sqlalchemy import event

from golub.model import Role
from golub.web import stream as stream_page
from golub.web.parts import Parts
from tests.talk import Talk, add_account
from tests.web.conftest import Visit
from tests.web.inbox.test_sight import narrow
from tests.web.listening import listening

pytestmark = pytest.mark.anyio

TAB = "0123456789abcdef"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_page, "TICK", 0.02)


async def test_colleagues_are_told_who_looks_and_who_types(
    site: FastAPI, parts: Parts, talk: Talk, visit: Visit
) -> None:
    await talk.says("c", "Почём?")
    chat_id = talk.chats["c"]
    anna, boris = await visit(Role.MANAGER), await visit(Role.ADMIN)
    assert anna.operator
    place = parts.live.place
    async with listening(site, boris) as stream:
        await stream.event("hello")
        await anna.post("/presence", {"tab": TAB, "chat": str(chat_id)})
        assert await stream.event("here") == [[chat_id, [[anna.operator.id, "manager-0", 0]]]]
        await anna.post("/presence", {"tab": TAB, "chat": str(chat_id), "typing": "true"})
        assert await stream.event("here") == [[chat_id, [[anna.operator.id, "manager-0", 1]]]]
        await boris.post("/presence", {"tab": TAB, "chat": str(chat_id)})
        assert await stream.event("here") == [[chat_id, [[anna.operator.id, "manager-0", 1]]]]  # never of himself
        async with listening(site, boris) as late:
            assert await late.event("here") == [[chat_id, [[anna.operator.id, "manager-0", 1]]]]
        await anna.post("/presence", {"tab": TAB})
        assert await stream.event("here") == [[chat_id, []]]
        assert stream.last_id == parts.live.place == place  # nothing has rung


async def test_it_costs_the_database_no_write(parts: Parts, talk: Talk, visit: Visit) -> None:
    await talk.says("c", "Почём?")
    anna = await visit(Role.MANAGER)
    said: list[str] = []
    for engine in (parts.store._read, parts.store._write, parts.store._apply):
        sync: Any = getattr(engine, "sync_engine", engine)
        event.listen(sync, "before_cursor_execute", lambda *told: said.append(told[2]))
    for typing in ("true", "false"):
        answer = await anna.post("/presence", {"tab": TAB, "chat": str(talk.chats["c"]), "typing": typing})
        assert answer.status_code == 204
    assert {statement.split()[0] for statement in said} - {"BEGIN"} == {"SELECT"}


async def test_nonsense_is_refused(talk: Talk, visit: Visit) -> None:
    await talk.says("c", "Почём?")
    anna = await visit(Role.MANAGER)
    for wrong, status in (
        ({"tab": TAB, "chat": "999999"}, 404),
        ({"tab": TAB, "chat": "-1"}, 422),
        ({"tab": TAB, "chat": "9" * 30}, 422),
        ({"tab": "<script>", "chat": "0"}, 422),
        ({"tab": TAB * 100, "chat": "0"}, 422),
        ({"chat": str(talk.chats["c"])}, 422),
    ):
        assert (await anna.post("/presence", wrong)).status_code == status, wrong
    assert (await anna.client.post("/presence", data={"tab": TAB})).status_code == 403


@pytest.mark.row(43)
@pytest.mark.usefixtures("quick")
async def test_nobody_is_told_of_chats_that_he_may_not_see(
    site: FastAPI, parts: Parts, talk: Talk, visit: Visit
) -> None:
    hidden = await add_account(parts, 94_235_312, "Чужой магазин")
    await talk.says("c", "Почём?")
    await hidden.says("h", "Почём?")
    seen_id, hidden_id = talk.chats["c"], hidden.chats["h"]
    owner, manager = await visit(Role.SUPER_ADMIN), await visit(Role.MANAGER)
    assert owner.operator
    assert manager.operator
    await narrow(parts, manager.operator, talk.account)
    async with asyncio.timeout(60), listening(site, manager) as stream:
        await stream.event("hello")
        await owner.post("/presence", {"tab": TAB, "chat": str(hidden_id), "typing": "true"})
        await hidden.says("h", "Ау")
        await owner.post("/presence", {"tab": TAB, "chat": str(seen_id)})
        await talk.says("c", "Ау")
        told: list[tuple[str, object]] = []
        while not {"rings", "here"} <= {name for name, _ in told}:
            told.append(await stream.next())
        rings = [ring for name, value in told if name == "rings" for ring in cast(list[Any], value)]
        here = [one for name, value in told if name == "here" for one in cast(list[Any], value)]
        assert {ring[0] for ring in rings} == {seen_id}
        assert here == [[seen_id, [[owner.operator.id, "super_admin-0", 0]]]]
        assert (await manager.post("/presence", {"tab": TAB, "chat": str(hidden_id)})).status_code == 404
        assert parts.live.here(hidden_id).operators == {}
        await narrow(parts, manager.operator, hidden.account)
        while (await stream.event("rings")) != []:
            pass  # until his tick finds that he may see another account: fetch everything
        await owner.post("/presence", {"tab": TAB, "chat": str(hidden_id)})
        told_last = dict(cast(Any, await stream.event("here")))
        assert told_last[hidden_id] == [[owner.operator.id, "super_admin-0", 0]]
