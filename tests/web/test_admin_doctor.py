"""The doctor's page: begins by itself, shows how far it is, names what to mend first, and hands out its archive."""

import io
import zipfile

import httpx2
import pytest
from sqlalchemy import select

from golub.doctor import Doctor, Reach
from golub.model import Action, AuditEntry, Role
from golub.web.parts import Parts
from tests.web.conftest import Visit


@pytest.fixture(autouse=True)
async def doctor(parts: Parts) -> Doctor:
    """One who reaches nobody: there is no public address, and Avito tells no time."""
    avito = httpx2.MockTransport(lambda _: httpx2.Response(404))
    parts.doctor = Doctor(parts.settings, parts.store, parts.clock, parts.vault, reach=Reach(), avito=avito)
    return parts.doctor


async def test_the_first_visit_begins_an_examination_and_the_page_follows_it(visit: Visit, doctor: Doctor) -> None:
    admin = await visit(Role.ADMIN)
    page = (await admin.get("/admin/doctor")).text
    assert "Nothing was looked at yet" in page
    assert 'hx-post="/admin/doctor" hx-trigger="load"' in page
    part = await admin.post("/admin/doctor", headers={"HX-Request": "true"})
    assert "The doctor is looking" in part.text
    assert 'hx-get="/admin/doctor/findings" hx-trigger="load delay' in part.text
    assert doctor._task
    await doctor._task
    ended = (await admin.get("/admin/doctor/findings")).text
    assert "<html" not in ended
    assert "hx-trigger" not in ended
    assert "Mend this first" in ended
    assert ended.index("Golub does not know the address") < ended.index("No channel for alerts")
    assert "GOLUB_PUBLIC_URL=https://golub.example.ru" in ended
    assert (await admin.get("/admin/doctor")).text.count('id="findings"') == 1


async def test_without_scripts_the_button_leads_back_to_the_page(visit: Visit, doctor: Doctor) -> None:
    answer = await (await visit(Role.ADMIN)).post("/admin/doctor")
    assert (answer.status_code, answer.headers["location"]) == (303, "/admin/doctor")
    await doctor.close()


async def test_links_lead_only_where_the_operator_may_go(visit: Visit, doctor: Doctor) -> None:
    await doctor.examine()
    links = {}
    for role in (Role.ADMIN, Role.SUPER_ADMIN):
        page = (await (await visit(role)).get("/admin/doctor")).text
        links[role] = 'href="/admin/alerts"' in page, 'href="/admin/backups"' in page.partition('id="findings"')[2]
    assert links == {Role.ADMIN: (False, True), Role.SUPER_ADMIN: (True, True)}


@pytest.mark.row(13)
async def test_more_than_six_examinations_a_minute_are_refused(visit: Visit, doctor: Doctor) -> None:
    admin = await visit(Role.ADMIN)
    answers: list[int] = []
    for _ in range(7):
        answers.append((await admin.post("/admin/doctor")).status_code)
        assert doctor._task
        await doctor._task
    assert answers == [303] * 6 + [429]


async def test_the_archive_is_handed_out_and_written_into_the_audit(visit: Visit, parts: Parts) -> None:
    answer = await (await visit(Role.ADMIN)).post("/admin/doctor/bundle")
    assert answer.headers["content-type"] == "application/zip"
    assert "attachment" in answer.headers["content-disposition"]
    assert "findings.txt" in zipfile.ZipFile(io.BytesIO(answer.content)).namelist()
    async with parts.store.read() as session:
        told = await session.scalar(select(AuditEntry).order_by(AuditEntry.id.desc()).limit(1))
    assert told
    assert (told.action, told.subject) == (Action.EXPORTED, "doctor")


@pytest.mark.parametrize("role", [None, Role.MANAGER])
async def test_it_is_no_page_for_others(role: Role | None, visit: Visit) -> None:
    answer = await (await visit(role)).get("/admin/doctor")
    assert "findings" not in answer.text
