"""The page of backups: what there is, one made by a press, and what a person is told when none could be made."""

import re
import threading
from pathlib import Path

import pytest
from sqlalchemy import select

from golub.backup import Backups, Progress, folder
from golub.clock import Millis
from golub.errors import Unavailable
from golub.model import Action, AuditEntry, Role
from golub.web.admin.backups import STEPS
from golub.web.parts import Parts
from tests.conftest import SteppedClock
from tests.web.conftest import Visit


class HeldClock:
    """Stands still, and holds whatever thread but the loop's asks it: a backup begins only when it is let go."""

    def __init__(self, now: Millis) -> None:
        self.go = threading.Event()
        self._now = now
        self._loop = threading.get_ident()

    def __call__(self) -> Millis:
        if threading.get_ident() != self._loop:
            self.go.wait()
        return self._now


async def test_a_press_makes_one_and_the_page_shows_it(parts: Parts, visit: Visit, clock: SteppedClock) -> None:
    held = HeldClock(clock())
    parts.backups = Backups(parts.settings, parts.vault, held)
    admin = await visit(Role.ADMIN)
    empty = await admin.get("/admin/backups")
    assert "No backup yet" in empty.text
    assert str(parts.settings.effective_backup_dir) in empty.text
    pressed = await admin.post("/admin/backups")
    assert (pressed.status_code, pressed.headers["location"]) == (303, "/admin/backups")
    try:
        busy = await admin.get("/admin/backups")
        assert 'hx-get="/admin/backups/progress"' in busy.text
        assert re.search(r"<button[^>]* disabled", busy.text)
        assert (await admin.post("/admin/backups")).status_code == 303, "a second press changes nothing"
    finally:
        held.go.set()
    await parts.backups.wait()
    assert (await admin.get("/admin/backups/progress")).headers["hx-refresh"] == "true"
    made = parts.backups.list_all()
    page = (await admin.get("/admin/backups")).text
    assert [backed.path.name in page for backed in made] == [True]
    assert "0 messages" in page
    assert "by hand" in page
    async with parts.store.read() as session:
        entries = list(await session.scalars(select(AuditEntry).where(AuditEntry.action == Action.BACKED_UP)))
    assert [entry.operator_id for entry in entries] == [admin.operator and admin.operator.id]


async def test_the_part_that_is_asked_for_again_says_what_is_done_just_now(parts: Parts, visit: Visit) -> None:
    admin = await visit(Role.ADMIN)
    for step, words in STEPS.items():
        parts.backups.progress = Progress(step, 0.42, parts.clock())
        part = (await admin.get("/admin/backups/progress")).text
        assert words in part
        assert 'value="42"' in part
        assert not [others for others in STEPS.values() if others != words and others in part]


@pytest.mark.parametrize("locale", ["en", "ru"])
async def test_a_failure_and_a_damaged_file_are_told(parts: Parts, visit: Visit, locale: str) -> None:
    admin = await visit(Role.ADMIN)
    assert admin.operator
    await parts.operators.set_locale(admin.operator.id, locale)
    error = Unavailable("The backup could not be written: {reason}", reason="<b>disk</b>")
    folder.remember_failure(parts.backups.folder, parts.clock(), error)
    damage(parts.backups.folder / folder.name_of(parts.clock(), "scheduled"))
    page = (await admin.get("/admin/backups")).text
    assert "&lt;b&gt;disk" in page
    assert ("Не удалось записать копию" if locale == "ru" else "could not be written") in page
    assert ("Повреждена" if locale == "ru" else "Damaged") in page


def damage(path: Path) -> None:
    path.write_bytes(b"PK\x03\x04 and no more")


async def test_no_archive_can_be_downloaded(parts: Parts, visit: Visit) -> None:
    admin = await visit(Role.SUPER_ADMIN)
    await admin.post("/admin/backups")
    await parts.backups.wait()
    name = parts.backups.list_all()[0].path.name
    for url in (f"/admin/backups/{name}", f"/static/../backups/{name}", f"/backups/{name}"):
        assert (await admin.get(url)).status_code == 404
