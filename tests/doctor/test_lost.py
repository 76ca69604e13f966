"""A subscription that is lost: nothing is said of the address and its deliveries as if Avito still called us."""

from pathlib import Path

import pytest
from sqlalchemy import update

from golub.clock import now
from golub.doctor import Check, Verdict
from golub.model import Account
from golub.web.language import words
from tests.doctor import house, plants_avito
from tests.doctor.planting import PLANTS

assert plants_avito


@pytest.mark.parametrize("lost", ["foreign_subscription", "missing_subscription"])
async def test_what_follows_from_it_is_not_told_as_another_trouble(lost: str, tmp_path: Path, sqlite_url: str) -> None:
    async with house.opened(tmp_path, sqlite_url) as home:
        await home.change(update(Account).values(deaf_since=now()))
        PLANTS[lost](home)
        found = {one.check: one for one in await home.examine()}
    fault = found[Check.SUBSCRIPTION].fault
    assert fault
    assert fault.name == lost
    for check in (Check.WEBHOOK_URL, Check.DELIVERIES):
        assert (found[check].verdict, found[check].account) == (Verdict.UNKNOWN, "Велосипеды")
        assert found[check].write(words("en")).what == "Not looked at: “Avito calls us” comes first."
