"""The automation's pages: rules made, drawn, tried, switched and removed; who may; and automatic words in a thread."""

from sqlalchemy import select

from golub.automation import Automation
from golub.automation.rules import SETTLE
from golub.clock import MINUTE
from golub.model import AuditEntry, AutomaticRule, Role
from golub.simulator import Simulator
from golub.web.parts import Parts
from tests.conftest import ONE_DATABASE, SteppedClock
from tests.talk import Talk
from tests.web.conftest import Browser, Visit
from tests.web.inbox.reading import Read, read
from tests.web.inbox.test_photos import photo

SCRIPT = {"HX-Request": "true"}
RULES = "/admin/automation"
EVIL = "<script>alert(1)</script> \u202e{item}"


async def write(browser: Browser, kind: str, text: str, *, to: str = "", status: int = 303, **more: object) -> Read:
    form = {"csrf": browser.csrf, "kind": kind, "text": [text], **more}
    answer = await browser.client.post(f"{RULES}{to}", data=form)
    assert answer.status_code == status, answer.text
    return Read(answer.text)


@ONE_DATABASE
async def test_rules_from_the_form_to_the_thread(
    parts: Parts, talk: Talk, visit: Visit, clock: SteppedClock, sim: Simulator
) -> None:
    admin, manager = await visit(Role.ADMIN), await visit(Role.MANAGER)
    for page in ("", "/new?kind=away", "/log", "/dry-run"):
        assert (await manager.get(f"{RULES}{page}")).status_code == 403
    assert "No rule of this kind yet" in (await read(admin, RULES)).text
    assert "There is no rule to try" in (await read(admin, f"{RULES}/dry-run")).text
    assert "Nothing was done yet" in (await read(admin, f"{RULES}/log")).text

    drawn = await admin.post("/quick-replies/pictures", content=photo(), headers={"X-CSRF-Token": admin.csrf})
    name = Read(drawn.text).all("input", name="picture")[0]["value"]
    await write(admin, "greeting", EVIL, picture=[name], account=str(talk.account.id))
    days = ["9–13, 14–18"] * 5 + ["", ""]
    await write(admin, "away", "Мы закрыты", day=days, holidays="01.01")
    await write(admin, "nudge", "Ждёт {minutes} минут", minutes="15")
    shown = await read(admin, RULES)
    assert "<script>" not in shown.text.replace(EVIL, "")
    assert "9:00–13:00, 14:00–18:00" in shown.text
    assert len(shown.all("img", alt="Photo")) == 1
    async with parts.store.read() as session:
        rules = {rule.kind: rule.id for rule in await session.scalars(select(AutomaticRule))}
        said = [entry.action for entry in await session.scalars(select(AuditEntry).order_by(AuditEntry.id))]
    assert said[-3:] == ["rule_added"] * 3
    again = await read(admin, f"{RULES}/{rules['away']}")
    assert [one["value"] for one in again.all("input", name="day")][:1] == ["9:00–13:00, 14:00–18:00"]

    wrong = await write(admin, "away", "Мы закрыты", day=["когда как"], holidays="", status=422)
    assert "Write the hours like" in wrong.text
    assert "leave out {operator}" in (await write(admin, "greeting", "Я {operator}", status=422)).text
    assert "There is no variable {x}" in (await write(admin, "greeting", "{x}", status=422)).text
    assert "minutes" in (await write(admin, "nudge", "Ждёт", minutes="0", status=422)).text
    assert (await admin.get(f"{RULES}/999")).status_code == 404

    clock.step(MINUTE)
    await talk.facts("chat", name="Ирина <b>", item="Диван")
    await talk.says("chat", "Ещё продаёте?", at=clock())
    clock.step(SETTLE)
    tried = await read(admin, f"{RULES}/dry-run?rule={rules['greeting']}")
    part = tried.all("section", id="dry-run")[0]["hx-get"]
    result = await read(admin, part, headers=SCRIPT)
    assert ("Finished" in result.text, "Ирина <b>" in result.text, "would have been sent" in result.text) == (True,) * 3
    assert "Finished" in (await read(admin, part)).text  # without scripts

    for kind in ("greeting", "nudge"):
        await admin.post(f"{RULES}/{rules[kind]}/switch", {"on": "true"})
    clock.step(MINUTE)
    await talk.facts("other", name="Олег", item="Стул")
    await talk.says("other", "Торг?", at=clock())
    engine = Automation(parts.store, parts.applier, parts.outbox, lambda: None, parts.clock)
    clock.step(SETTLE)
    await engine.run_once()
    clock.step(15 * MINUTE)
    await engine.run_once()
    thread = await read(admin, f"/inbox/{talk.chats['other']}")
    assert thread.text.count("automatic") >= 3  # a photo, a text, a note
    assert "Ждёт 15 минут" in thread.text
    log = await read(admin, f"{RULES}/log?rule={rules['greeting']}")
    assert ("Олег" in log.text, "Ирина" in log.text, "in the queue" in log.text) == (True, False, True)
    assert "1 time this week" in (await read(admin, RULES)).text

    await admin.post(f"{RULES}/{rules['greeting']}/remove")
    assert "removed since" in (await read(admin, f"{RULES}/log?outcome=done")).text
    async with parts.store.read() as session:
        said = [entry.action for entry in await session.scalars(select(AuditEntry).order_by(AuditEntry.id))]
    assert said[-3:] == ["rule_changed", "rule_changed", "rule_removed"]
