"""The charts of the benchmarks: every value that was measured is in them, and nothing that was not."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from benchmarks.charts import draw

SVG = "{http://www.w3.org/2000/svg}"


def test_a_curve_has_a_point_for_each_value_and_the_goal_a_line(tmp_path: Path) -> None:
    figures = {f"{share}_{rate}_{number}": 40.0 * number for share in ("p50", "p99") for rate in (1, 100)
               for number in (1, 20)}  # fmt: skip
    written = _drawn(tmp_path, "see", figures | {"p50_500_1": None})
    assert [path.name for path in written] == ["see-p50.svg", "see-p99.svg"]
    tree = ET.parse(written[0])
    assert [one.text for one in tree.iter(f"{SVG}title")][1:] == [
        "1/s, 1 open: 40.0 ms", "1/s, 20 open: 800 ms", "100/s, 1 open: 40.0 ms", "100/s, 20 open: 800 ms"
    ]  # fmt: skip
    assert len(list(tree.iter(f"{SVG}polyline"))) == 2
    assert len([line for line in tree.iter(f"{SVG}line") if line.get("class") == "goal"]) == 1
    assert "disturbed in 1 parts" in "".join(tree.getroot().itertext())


def test_the_higher_value_stands_higher_and_all_is_within_the_picture(tmp_path: Path) -> None:
    (written,) = _drawn(tmp_path, "apply", {"sqlite": 900.0, "sqlite_16": 300.0, "postgresql": 12_000.0})
    bars = list(ET.parse(written).iter(f"{SVG}rect"))
    heights = {(one.findtext(f"{SVG}title") or "").partition(":")[0]: float(one.get("height", "0")) for one in bars}
    assert heights["SQLite, batches of 16"] < heights["SQLite, batches of 256"]
    assert heights["SQLite, batches of 256"] < heights["PostgreSQL, batches of 256"]
    assert all(float(one.get("y", "0")) > 0 for one in bars)
    assert len(bars) == 3


def test_what_is_not_measured_or_has_no_chart_is_not_drawn(tmp_path: Path) -> None:
    assert _drawn(tmp_path, "idle", {"processor": 0.5}) == []
    assert _drawn(tmp_path, "see", {"p50_1_1": None}) == []


def _drawn(folder: Path, benchmark: str, values: dict[str, float | None]) -> list[Path]:
    result: dict[str, Any] = {
        "benchmark": benchmark,
        "commit": "0123456789ab",
        "at": "2026-11-23T10:00:00+00:00",
        "rounds": 3,
        "quiet": False,
        "disturbed": ["round 1, a part: others took 90 % of a processor"],
        "machine": {"processor": "A processor <of> sorts"},
        "figures": [{"name": name, "value": value} for name, value in values.items()],
    }
    (folder / "result.json").write_text(json.dumps(result))
    return draw(folder)
