"""Every row of the threat model has a test, or stands on the list of those that are open."""

import pytest

from tests.hostile.marks import DATABASES
from tests.hostile.rows import OPEN, ROWS, proofs

BOTH = {"sqlite", "postgres"}


def test_the_table_is_whole() -> None:
    assert list(ROWS) == list(range(1, 61))


def test_every_row_is_proved_or_open() -> None:
    found = proofs()
    assert sorted(number for number, tests in found.items() if not tests) == sorted(OPEN)
    assert found.keys() <= ROWS.keys()


def test_what_a_database_has_a_part_in_is_proved_on_both(request: pytest.FixtureRequest) -> None:
    """Of the rows whose tests were all collected: every one in a whole run."""
    seen = request.config.stash[DATABASES]
    collected = {name for _, name in seen}
    lacking: dict[int, set[str]] = {}
    for number, tests in proofs().items():
        named = {f"{proof.path}::{proof.name}" for proof in tests}
        if number in OPEN or not ROWS[number].stored or not named <= collected:
            continue
        if lacks := BOTH - set[str]().union(*(seen.get((number, name), set()) for name in named)):
            lacking[number] = lacks
    assert lacking == {}
