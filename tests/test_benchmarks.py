"""The frame of the benchmarks: medians of ratios, verdicts, what is skipped, and going on after a stop."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks import frame
from benchmarks.__main__ import find, names
from benchmarks.frame import Bench, Figure, Measures, Part, SkippedError


class Counting:
    """Ours does twice, three and five times what bare does; a third part needs what is not there."""

    __doc__: str | None = "What is measured.\n\nAnd more."
    FIGURES: Sequence[Figure] = (
        Figure("ratio", "ours over bare", "×", at_least=2.5),
        Figure("bare", "bare", "/s", at_most=50),
        Figure("absent", "absent", "ms", at_most=1),
    )

    def __init__(self, stop_at: int = 99) -> None:
        self.ran: list[str] = []
        self.stop_at = stop_at

    def parts(self, bench: Bench) -> Sequence[Part]:  # noqa: ARG002 - as the frame calls it
        def ours() -> Measures:
            if len(self.ran) == self.stop_at:
                raise KeyboardInterrupt
            self.ran.append("ours")
            return {"rate": 100.0 * (2, 3, 5)[len(self.ran) // 3]}

        def bare() -> Measures:
            self.ran.append("bare")
            return {"rate": 100.0}

        def absent() -> Measures:
            self.ran.append("absent")
            raise SkippedError("no such thing here")

        return [Part("bare", bare), Part("ours", ours), Part("absent", absent)]

    def values(self, measured: Mapping[str, Measures]) -> Mapping[str, float]:
        return {"ratio": measured["ours"]["rate"] / measured["bare"]["rate"], "bare": measured["bare"]["rate"]}


def run(benchmark: Counting, folder: Path, *, again: bool = False) -> dict[str, Any]:
    return frame.run("counting", benchmark, full=False, again=again, build=folder, say=lambda _: None)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is measured here, and nobody needs to be looked for."""
    monkeypatch.setattr(frame, "LOOK", 0.001)


def test_the_figure_is_the_median_of_the_rounds_and_stands_beside_its_goal(tmp_path: Path) -> None:
    result = run(Counting(), tmp_path)
    told = {one["name"]: (one["value"], one["rounds"], one["verdict"]) for one in result["figures"]}
    assert told == {
        "ratio": (3.0, [2.0, 3.0, 5.0], "kept"),
        "bare": (100.0, [100.0] * 3, "missed"),
        "absent": (None, [], "not measured"),
    }
    assert [one["reason"] for one in result["figures"]] == ["", "", "skipped: no such thing here"]
    assert (result["says"], result["rounds"], len(result["parts"])) == ("What is measured.", 3, 9)


def test_a_run_that_was_stopped_goes_on_where_it_was(tmp_path: Path) -> None:
    first = Counting(stop_at=4)
    with pytest.raises(KeyboardInterrupt):
        run(first, tmp_path)
    assert first.ran == ["bare", "ours", "absent", "bare"]
    second = Counting()
    second.ran = [*first.ran]
    assert run(second, tmp_path)["figures"][0]["rounds"] == [2.0, 3.0, 5.0]
    assert second.ran == ["bare", "ours", "absent"] * 3
    third = Counting()
    run(third, tmp_path)
    assert third.ran == []
    run(third, tmp_path, again=True)
    assert len(third.ran) == 9


def test_what_others_took_is_told() -> None:
    ran = frame.Ran("ours", 2, {}, others=0.4, steal=0.05)
    assert ran.disturbed == "round 2, ours: others took 40 % of a processor, the host took 5 % of a processor"
    assert frame.Ran("ours", 2, {}, others=0.02).disturbed == ""


@pytest.mark.parametrize("name", names())
def test_each_benchmark_has_what_the_frame_asks_for(name: str) -> None:
    benchmark = find(name)
    figures = [figure.name for figure in benchmark.FIGURES]
    assert len(set(figures)) == len(figures) > 0
    assert (benchmark.__doc__ or "").partition("\n")[0].endswith((".", ":"))
    assert set(benchmark.values({})) <= set(figures)  # also where nothing could be measured
