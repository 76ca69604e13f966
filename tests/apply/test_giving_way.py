"""Apply rests in a burst of webhooks that leaves no room on the processor, and at no other time."""

import pytest

from golub.apply.giving_way import LONGEST, PAUSE, rest


@pytest.mark.parametrize(
    ("passed", "process", "own", "arrived"),
    [
        (0.1, 0.08, 0.04, 350),  # steady, and room is left
        (0.1, 0.1, 0.1, 0),  # it catches up, and nobody else wants anything
        (0.1, 0.1, 0.03, 5),  # somebody else is busy: a report
        (0.1, 0.1, 0.07, 350),  # it is apply itself that takes the most
        (0.0, 0.0, 0.0, 0),
    ],
)
def test_with_room_left_apply_goes_on(passed: float, process: float, own: float, arrived: float) -> None:
    assert rest(passed, process, own, arrived) == PAUSE


def test_in_a_burst_it_takes_a_tenth_of_a_processor() -> None:
    own = 0.03
    rested = rest(0.1, 0.1, own, 900)
    assert own / (own + rested) == pytest.approx(0.1)
    assert rest(own + rested, own + rested, own, 3000) == pytest.approx(rested)  # and goes on so


def test_no_rest_is_longer_than_a_reader_would_bear() -> None:
    assert rest(1.0, 1.0, 0.5, 9000) == LONGEST
