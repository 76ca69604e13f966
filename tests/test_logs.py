"""The log's second guard: what lets somebody in is masked wherever it stands."""

import json
from pathlib import Path

import pytest
import structlog

from tests.guide.town import _logging

SECRET = "jsk6GgLujwvlvDEOnUhlLWQmdd1lvn3VXpnfMtO7OWo"


@pytest.mark.parametrize("place", ["/webhook/avito", "/setup", "/enter", "/password"])
def test_neither_a_field_nor_an_errors_own_words_hold_a_secret(tmp_path: Path, place: str) -> None:
    with _logging(tmp_path):
        log = structlog.get_logger("golub.test")
        try:
            raise ValueError(f"cannot answer {place}/{SECRET}")
        except ValueError:
            log.exception("A request failed.", path=f"{place}/{SECRET}")
    written = (tmp_path / "logs" / "app.log").read_text()
    told = json.loads(written)
    assert told["path"] == f"{place}/***"
    assert f"ValueError: cannot answer {place}/***" in told["exception"]
    assert SECRET not in written
