"""Every attempt to break in gets what its line says, and leaves nothing behind."""

import re
from pathlib import Path
from typing import Any

import httpx2
from sqlalchemy import select

from golub.clock import now
from golub.model import Message, Note, Operator, OperatorAccount, QuickReply, Role, SavedView
from golub.simulator import Account, Item
from tests.guide.town import Browser, Town
from tests.hostile.attempts import ADMIN, ATTEMPTS, MANAGER, Attempt

REVIEW = Path(__file__).parents[2] / "docs/security-review.md"


async def token_of(client: httpx2.AsyncClient, page: str) -> str:
    return re.findall(r'name="csrf" value="([^"]+)"', (await client.get(page)).text)[0]


async def prepare(town: Town, boss: Browser, shop: Account, manager: Browser, admin: Browser) -> dict[str, str]:
    parts = town.parts
    secret = town.sim.add_account(7_002, "Тайная лавка")
    await town.serve(secret)
    town.sim.buyer_says(town.sim.add_chat(shop, "Анна", Item("Стол", 100)), "здравствуйте")
    town.sim.buyer_says(town.sim.add_chat(secret, "Тайный Покупатель", Item("Шкаф", 100)), "тайна")
    await town.applied()
    people: dict[str, Operator] = {}
    for name, browser in (("boss", boss), ("manager", manager), ("admin", admin)):
        found = await parts.operators.find_session(browser.session)
        assert found
        people[name] = found[1]
    async with parts.store.write() as session:
        said = {message.text: message for message in await session.scalars(select(Message))}
        chat, theirs = said["здравствуйте"].chat_id, said["тайна"].chat_id
        (await session.get_one(Operator, people["manager"].id)).every_account = False
        session.add(OperatorAccount(operator_id=people["manager"].id, account_id=town.accounts[shop.user_id]))
        made: list[Any] = [
            Note(chat_id=chat, operator_id=people["boss"].id, client_key="n", text="наше", created_at=now(), version=0),
            SavedView(operator_id=people["boss"].id, name="моё", view="all", created_at=now()),
            QuickReply(owner_id=people["boss"].id, name="моё", texts=["x"], changed_at=now()),
        ]
        session.add_all(made)
        await session.flush()
        note, view, quick = (one.id for one in made)
    opened = await parts.operators.find_session(boss.session)
    assert opened
    reset = await parts.operators.make_link("password", people["admin"].id)
    return {
        "chat": str(chat), "theirs": str(theirs), "theirs_name": "Тайный Покупатель", "note": str(note),
        "view": str(view), "quick": str(quick), "boss": str(people["boss"].id), "admin": str(people["admin"].id),
        "manager": str(people["manager"].id), "account": str(town.accounts[shop.user_id]), "other": str(secret.user_id),
        "hash": opened[0].hash.hex(), "csrf": opened[0].csrf, "zeros": "0" * 32, "reset": reset,
        "RESET": reset.swapcase(), "setup": await parts.operators.make_link("setup"),
    }  # fmt: skip


async def make(attempt: Attempt, client: httpx2.AsyncClient, scene: dict[str, str], token: str) -> httpx2.Response:
    method, path = attempt.request.split(" ", 1)
    headers = {name: value.format(**scene) for name, value in attempt.headers.items()}
    body: dict[str, Any] = {"content": attempt.body} if attempt.body else {}
    own = token if attempt.token is None else attempt.token.format(**scene)
    if method == "POST" and not attempt.body:
        body["data"] = {"csrf": own, **{name: value.format(**scene) for name, value in attempt.form.items()}}
    elif attempt.body:
        headers["X-CSRF-Token"] = own
    return await client.request(method, path.format(**scene), headers=headers, follow_redirects=False, **body)


async def test_every_attempt_fails(town: Town, boss: Browser, shop: Account) -> None:
    manager, admin = await town.sign_in(Role.MANAGER), await town.sign_in(Role.ADMIN)
    scene = await prepare(town, boss, shop, manager, admin)
    tokens = {MANAGER: await token_of(manager.client, "/inbox"), ADMIN: await token_of(admin.client, "/inbox")}
    went_wrong: list[str] = []
    for attempt in ATTEMPTS:
        client = {MANAGER: manager.client, ADMIN: admin.client}.get(attempt.who)
        if client is None:
            client = (await town.stranger()).client
        token = tokens.get(attempt.who) or await token_of(client, "/sign-in")
        answer = await make(attempt, client, scene, token)
        hidden = attempt.hides.format(**scene)
        if answer.status_code not in attempt.gets or (hidden and hidden in answer.text):
            went_wrong.append(f"{attempt.who}: {attempt.tries}: {answer.status_code}")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "evil.example" not in answer.headers.get("location", "")
    assert went_wrong == []

    await town.applied()
    async with town.parts.store.read() as session:
        operators = {one.id: one for one in await session.scalars(select(Operator))}
        texts = set(await session.scalars(select(Message.text)))
        note = await session.get_one(Note, int(scene["note"]))
        kept = [await session.get(SavedView, int(scene["view"])), await session.get(QuickReply, int(scene["quick"]))]
    assert {int(scene[name]): operators[int(scene[name])].role for name in ("boss", "admin", "manager")} == {
        int(scene["boss"]): Role.SUPER_ADMIN,
        int(scene["admin"]): Role.ADMIN,
        int(scene["manager"]): Role.MANAGER,
    }
    assert len(operators) == 3
    assert operators[int(scene["boss"])].active
    assert texts == {"здравствуйте", "тайна"}
    assert note.text == "наше"
    assert all(kept)
    assert "evil.example" not in (await boss.client.get("/inbox")).text
    assert await town.parts.operators.find_session(boss.session)


def test_every_attempt_is_written_down() -> None:
    written = REVIEW.read_text()
    assert [attempt.line for attempt in ATTEMPTS if attempt.line not in written] == []
    assert len(ATTEMPTS) >= 40
