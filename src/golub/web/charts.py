"""Columns of a chart, as places in an SVG: shares of its width in per cent, and pixels from its top. Pages draw them.

A chart is for eyes, and its links for pointers; beside each stands a table with the same numbers and links.
"""

from collections.abc import Sequence
from dataclasses import dataclass

HEIGHT = 140  # pixels of the tallest bar
HEAD = 18  # above it: the words of the highest line
LEAST = 2  # pixels: what is there is seen
LABELS = 8  # under a chart at most: more do not fit on a phone

_TIMES = (60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 43200)  # seconds that people count in
_DAY = 86400


@dataclass(frozen=True, slots=True)
class Bar:
    """`is_cut`: it is taller than the chart."""

    series: int
    left: float
    width: float
    top: float
    height: float
    is_cut: bool


@dataclass(frozen=True, slots=True)
class Column:
    place: int
    left: float
    middle: float
    width: float
    bars: Sequence[Bar]
    is_labelled: bool


@dataclass(frozen=True, slots=True)
class Chart:
    """`lines`: values with the height at which each is drawn."""

    columns: Sequence[Column]
    lines: Sequence[tuple[float, float]]
    height: int = HEIGHT + HEAD

    @property
    def ground(self) -> float:
        return self.height + 0.5


def draw(*series: Sequence[float | None], top: float, beside: bool = False) -> Chart:
    """`series` of the same length, each value not below 0. They stand in front of each other, the last in front, or
    `beside` each other. `top`: the value of a bar of full height."""
    count = len(series[0])
    column = 100 / max(count, 1)
    label_each = -(-count // LABELS)
    share = 0.72 / (len(series) if beside else 1)
    columns: list[Column] = []
    for place in range(count):
        left = place * column
        bars = [
            _bar(number, values[place], top, left + column * (0.14 + (share * number if beside else 0)), column * share)
            for number, values in enumerate(series)
        ]
        columns.append(
            Column(
                place,
                round(left, 3),
                round(left + column / 2, 3),
                round(column, 3),
                [bar for bar in bars if bar is not None],
                place % label_each == 0,
            )
        )
    return Chart(columns, [(top, HEAD + 0.5), (top / 2, HEAD + HEIGHT / 2 + 0.5)])


def _bar(series: int, value: float | None, top: float, left: float, width: float) -> Bar | None:
    if not value:
        return None
    height = min(max(value / top * HEIGHT, LEAST), HEIGHT)
    return Bar(series, round(left, 3), round(width, 3), round(HEAD + HEIGHT - height, 1), round(height, 1), value > top)


def top_of(values: Sequence[float]) -> int:
    """A round number, even so that its half is one too, not below the greatest."""
    greatest = max(values, default=0)
    step = 1
    while True:
        for nice in (2, 4, 6, 10):
            if nice * step >= greatest:
                return nice * step
        step *= 10


def top_of_times(seconds: Sequence[float]) -> int:
    greatest = max(seconds, default=0)
    found = next((nice for nice in _TIMES if nice >= greatest), 0)
    return found or top_of([greatest / _DAY]) * _DAY


def share_of(value: float, greatest: float) -> float:
    """The width of a lying bar, in per cent."""
    return round(min(max(value / greatest * 100, 1.0), 100.0), 2) if value and greatest else 0.0
