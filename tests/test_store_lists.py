"""Statements about any number of keys are of few shapes."""

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event

from golub.fold import rows
from golub.store import Store
from golub.store.lists import CHUNK, chunks, padded


@given(st.lists(st.integers(), unique=True))
def test_no_key_is_lost_and_none_comes_in(keys: list[int]) -> None:
    assert set(padded(keys)) == set(keys)
    assert len(padded(keys)) in {0} | {1 << power for power in range(20)}
    assert len(padded(keys)) < max(2 * len(keys), 1) + (len(keys) == 1)


@given(st.integers(0, 3 * CHUNK))
def test_many_keys_come_in_lists_that_a_database_takes(number: int) -> None:
    found = list(chunks(range(number)))
    assert {key for chunk in found for key in chunk} == set(range(number))
    assert all(len(chunk) <= CHUNK for chunk in found)


async def test_a_hundred_numbers_of_keys_are_eight_statements(store: Store) -> None:
    told: set[str] = set()

    def listen(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        told.add(statement)

    with store.writing() as connection:
        event.listen(connection, "before_cursor_execute", listen)
        for number in range(1, 101):
            assert rows.find_messages(connection, [(1, str(key)) for key in range(number)]) == {}
    assert len(told) == 8  # of 1, 2, 4, … 128 keys
