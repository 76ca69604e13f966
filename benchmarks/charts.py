"""Draws the results: an SVG beside each JSON, for the documentation; light or dark as whoever looks at it likes.

    python -m benchmarks.charts [--results DIR]

A chart holds what a result has figures of: bars of apply's and ack's rates, curves of pages over the number of
messages, and of the time until a message is seen over the inboxes that are open. Goals are dashed lines. What was not
measured is left out, and a result without any of these is not drawn.
"""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from benchmarks.frame import RESULTS, shown

WIDTH, HEIGHT = 720, 300
LEFT, RIGHT, TOP, BOTTOM = 64, 150, 48, 40  # px around the plot; the names of curves stand on the right
HEAD = 22
COLOURS = ("#0369a1", "#b45309", "#15803d", "#7e22ce", "#be123c")  # on white …
AT_NIGHT = ("#7dd3fc", "#fbbf24", "#86efac", "#d8b4fe", "#fda4af")  # … and on black
MOST_LABELS = 8

Result = Mapping[str, Any]
Values = Mapping[str, float]


@dataclass(frozen=True)
class Curve:
    """`points`: a value for each place, None where there is none."""

    name: str
    points: Sequence[float | None]


@dataclass(frozen=True)
class Chart:
    """Bars where `is_bars`, else lines. `goal` is a value that is to be met."""

    name: str
    title: str
    unit: str
    places: Sequence[str]
    curves: Sequence[Curve]
    is_bars: bool = False
    goal: float | None = None


def of_apply(values: Values) -> list[Chart]:
    """Rates by the size of batches."""
    sizes = sorted({int(name.rpartition("_")[2]) for name in values if name.rpartition("_")[2].isdigit()} | {256})
    curves = [
        Curve(title, [values.get(name if size == 256 else f"{name}_{size}") for size in sizes])
        for name, title in (("sqlite", "SQLite"), ("postgresql", "PostgreSQL"))
    ]
    places = [f"batches of {size}" for size in sizes]
    return [Chart("apply", "Deliveries applied per second, by the size of batches", "/s", places, curves, True, 8000)]


def of_read(values: Values) -> list[Chart]:
    """The median page by the number of messages."""
    sizes = sorted({int(name.rpartition("_")[2]) for name in values if "_p50_" in name})
    kinds = list(dict.fromkeys(name.partition("_")[0] for name in values if "_p50_" in name))
    return [
        Chart(
            f"read-{share}",
            f"A page among so many messages, {share}",
            "ms",
            [f"{size:_}".replace("_", " ") for size in sizes],
            [Curve(kind, [values.get(f"{kind}_{share}_{size}") for size in sizes]) for kind in kinds],
        )
        for share in ("p50", "p99")
    ]


def of_see(values: Values) -> list[Chart]:
    """Until a message is seen, by open inboxes; a curve for each rate."""
    cells = [name.split("_")[1:] for name in values if name.startswith("p50_")]
    rates = sorted({int(rate) for rate, _ in cells})
    inboxes = sorted({int(number) for _, number in cells})
    return [
        Chart(
            f"see-{share}",
            f"From a webhook to the page, {share}",
            "ms",
            [f"{number} open" for number in inboxes],
            [Curve(f"{rate}/s", [values.get(f"{share}_{rate}_{number}") for number in inboxes]) for rate in rates],
            goal=goal,
        )
        for share, goal in (("p50", 100), ("p99", 300))
    ]


def of_ack(values: Values) -> list[Chart]:
    """The share of a bare no-op, by connections."""
    places = [name for name in ("burst_64", "burst_256") if name in values]
    titles = [f"{name.rpartition('_')[2]} connections" for name in places]
    return [
        Chart("ack", "Durable answers in a burst, over a bare no-op", "×", titles,
              [Curve("Golub", [values[name] for name in places])], is_bars=True)
    ] if places else []  # fmt: skip


DRAWN: Mapping[str, Callable[[Values], list[Chart]]] = {
    "ack": of_ack,
    "apply": of_apply,
    "read": of_read,
    "see": of_see,
}


def charts_of(result: Result) -> list[Chart]:
    make = DRAWN.get(result["benchmark"])
    values = {one["name"]: one["value"] for one in result["figures"] if one["value"] is not None}
    if make is None or not values:
        return []
    return [
        chart for chart in make(values) if any(point is not None for curve in chart.curves for point in curve.points)
    ]


def svg(chart: Chart, told: str) -> str:
    """`told` stands below: where and when it was measured."""
    top = _round_up(max([point for curve in chart.curves for point in curve.points if point], default=1.0))
    if chart.goal is not None:
        top = max(top, _round_up(chart.goal))
    width, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    step = width / max(len(chart.places), 1)

    def across(place: float) -> float:
        return round(LEFT + step * (place + 0.5), 1)

    def down(value: float) -> float:
        return round(TOP + height * (1 - value / top), 1)

    drawn: list[str] = []
    for share in (0, 0.25, 0.5, 0.75, 1):
        at = down(top * share)
        drawn.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}"/>')
        drawn.append(_text(LEFT - 8, at + 4, shown(top * share, chart.unit), "end"))
    every = -(-len(chart.places) // MOST_LABELS)
    drawn += [
        _text(across(place), HEIGHT - BOTTOM + 18, name, "middle")
        for place, name in enumerate(chart.places)
        if place % every == 0
    ]
    names: list[tuple[float, int, str]] = []
    for number, curve in enumerate(chart.curves):
        there = [(place, point) for place, point in enumerate(curve.points) if point is not None]
        if not there:
            continue
        if chart.is_bars:
            share = 0.7 * step / len(chart.curves)
            for place, point in there:
                left = round(across(place) - 0.35 * step + share * number, 1)
                drawn.append(
                    f'<rect class="bar c{number}" x="{left}" y="{down(point)}" width="{round(share - 2, 1)}" '
                    f'height="{round(TOP + height - down(point), 1)}">{_tip(chart, curve, place, point)}</rect>'
                )
            names.append((TOP + 16.0 * number, number, curve.name))
        else:
            line = " ".join(f"{across(place)},{down(point)}" for place, point in there)
            drawn.append(f'<polyline class="line c{number}" points="{line}"/>')
            drawn += [
                f'<circle class="dot c{number}" cx="{across(place)}" cy="{down(point)}" r="3.5">'
                f"{_tip(chart, curve, place, point)}</circle>"
                for place, point in there
            ]
            names.append((down(there[-1][1]) + 4, number, f"{curve.name}, {shown(there[-1][1], chart.unit)}"))
    if chart.goal is not None:
        at = down(chart.goal)
        drawn.append(f'<line class="goal" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}"/>')
        drawn.append(_text(WIDTH - RIGHT, at - 5, f"goal {shown(chart.goal, chart.unit)}", "end"))
    for at, number, name in _apart(names):
        drawn.append(f'<text class="name c{number}" x="{WIDTH - RIGHT + 10}" y="{at}">{escape(name)}</text>')
    body = "\n".join(drawn)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT + HEAD}" width="{WIDTH}" '
        f'height="{HEIGHT + HEAD}" role="img" aria-label="{escape(chart.title, quote=True)}">\n'
        f"<title>{escape(chart.title)}</title>\n<style>{_style()}</style>\n"
        f'<text class="title" x="{LEFT}" y="26">{escape(chart.title)}</text>\n{body}\n'
        f'<text class="told" x="{LEFT}" y="{HEIGHT + 10}">{escape(told)}</text>\n</svg>\n'
    )


def told_of(result: Result) -> str:
    """Where it was measured, and how quiet it was there."""
    machine = result["machine"]
    quiet = "a quiet machine" if result["quiet"] else f"disturbed in {len(result['disturbed'])} parts"
    rounds = f"{result['rounds']} round" + ("s" if result["rounds"] != 1 else "")
    return f"{result['at'][:10]}, {result['commit']}, {machine['processor']}, median of {rounds}, {quiet}"


def _style() -> str:
    def colours(those: Sequence[str]) -> str:
        return "".join(
            f".line.c{n}{{stroke:{one}}}.bar.c{n},.dot.c{n},.name.c{n}{{fill:{one}}}" for n, one in enumerate(those)
        )

    return (
        "svg{font:12px system-ui,sans-serif}text{fill:#57534e}.title{font-size:14px;font-weight:600;fill:#1c1917}"
        ".told{font-size:10px}.grid{stroke:#d6d3d1;stroke-width:1}.goal{stroke:#57534e;stroke-dasharray:5 4}"
        f".line{{fill:none;stroke-width:2}}{colours(COLOURS)}"
        "@media(prefers-color-scheme:dark){text{fill:#a8a29e}.title{fill:#f5f5f4}.grid{stroke:#44403c}"
        f".goal{{stroke:#a8a29e}}{colours(AT_NIGHT)}}}"
    )


def _tip(chart: Chart, curve: Curve, place: int, point: float) -> str:
    return f"<title>{escape(f'{curve.name}, {chart.places[place]}: {shown(point, chart.unit)}')}</title>"


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}">{escape(words)}</text>'


def _apart(names: Sequence[tuple[float, int, str]], least: float = 15) -> list[tuple[float, int, str]]:
    """In their order, none over another, the lowest still in the picture."""
    found: list[tuple[float, int, str]] = []
    for at, number, name in sorted(names):
        found.append((max(at, found[-1][0] + least) if found else max(at, TOP + 4), number, name))
    over = max((found[-1][0] - (HEIGHT - BOTTOM + 4)) if found else 0, 0)
    return [(round(at - over, 1), number, name) for at, number, name in found]


def _round_up(value: float) -> float:
    """To a number that halves and quarters well."""
    step = 1e-6
    while step * 8 < value:
        step *= 10
    return next(nice * step for nice in (0.8, 1, 2, 4, 6, 8) if nice * step >= value)


def draw(results: Path = RESULTS) -> list[Path]:
    """Returns what was written."""
    written: list[Path] = []
    for path in sorted(results.glob("*.json")):
        result: Result = json.loads(path.read_text())
        for chart in charts_of(result):
            place = results / f"{chart.name}.svg"
            place.write_text(svg(chart, told_of(result)))
            written.append(place)
    return written


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.charts", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, default=RESULTS)
    for path in draw(parser.parse_args().results):
        print(path)


if __name__ == "__main__":
    main()
