"""The dashboard that we ship asks for nothing that `/metrics` does not have, and Grafana 10 can read it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from golub import metrics

DASHBOARD: dict[str, Any] = json.loads((Path(__file__).parents[1] / "docs/grafana/golub.json").read_text())
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
DRAWN = [panel for panel in PANELS if panel["type"] != "row"]
QUERIES = [target["expr"] for panel in DRAWN for target in panel["targets"]]
ENDINGS = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}


def served() -> dict[str, set[str]]:
    """What `/metrics` has, by the name that a query uses, with the labels that it may name."""
    found: dict[str, set[str]] = {}
    for family in metrics.REGISTRY.collect():
        collector = metrics.REGISTRY._names_to_collectors.get(family.name)
        labels = set(getattr(collector, "_labelnames", ()))
        for ending in ENDINGS.get(family.type, ("",)):
            found[family.name + ending] = labels | ({"le"} if ending == "_bucket" else set())
    return found


@pytest.mark.parametrize("query", QUERIES)
def test_every_metric_that_it_asks_for_is_served(query: str) -> None:
    known, asked = served(), re.findall(r"\b((?:golub|process)_\w+)(?:\{([^}]*)\})?", query)
    assert asked
    for name, selector in asked:
        assert name in known, f"{name} is not among our metrics"
        named = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector)) - {"instance"}
        assert named <= known[name], f"{name} has no label {named - known[name]}"


def test_every_label_that_a_panel_sums_by_or_shows_is_there() -> None:
    known = served()
    for panel in DRAWN:
        for target in panel["targets"]:
            labels: set[str] = set().union(
                *(known[name] for name in re.findall(r"\b((?:golub|process)_\w+)", target["expr"]))
            )
            used = {
                one.strip() for found in re.findall(r"\bby \(([^)]*)\)", target["expr"]) for one in found.split(",")
            }
            used |= set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            assert used - {"instance"} <= labels, panel["title"]


def test_all_of_ours_is_on_it() -> None:
    asked = " ".join(QUERIES)
    missing = [
        family.name
        for family in metrics.REGISTRY.collect()
        if family.name.startswith("golub_") and not re.search(rf"\b{family.name}(_|\b)", asked)
    ]
    assert missing == []


def test_grafana_can_read_it() -> None:
    assert (DASHBOARD["title"], DASHBOARD["uid"]) == ("Golub", "golub")
    assert DASHBOARD["schemaVersion"] >= 36
    datasource, node = DASHBOARD["templating"]["list"]
    assert (datasource["type"], datasource["query"], node["type"]) == ("datasource", "prometheus", "query")
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    for panel in DRAWN:
        assert panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert {"fieldConfig", "options", "gridPos"} <= panel.keys()
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references)


def test_no_two_panels_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in PANELS:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
