"""A house in which all is well: the doctor finds nothing, and says what it saw."""

from pathlib import Path

from golub.doctor import Check, Verdict
from tests.doctor import house


async def test_nothing_is_wrong(tmp_path: Path, database_url: str) -> None:
    async with house.opened(tmp_path, database_url) as home:
        await home.buyer_writes()
        found = await home.examine()
    wrong = [(one.check, one.verdict, one.what) for one in found if one.verdict not in {Verdict.OK, Verdict.UNKNOWN}]
    assert wrong == []
    assert {one.check for one in found} == set(Check)
    assert [one.check for one in found if one.verdict is Verdict.UNKNOWN] == [Check.SIGNATURE]
