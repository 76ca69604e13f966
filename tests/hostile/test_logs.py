"""What strangers write into a log is one line of it."""

import json
from pathlib import Path

import pytest
import structlog

from golub.settings import Settings
from tests.guide.town import _logging

FORGED = 'x\n2026-11-23T00:00:00Z [info] signed in operator=1\r\n\x1b[2J\x1b]0;owned\x07\u2028{"level": "info"}'


@pytest.mark.row(35)
def test_a_line_that_is_sent_is_no_line_of_ours(tmp_path: Path) -> None:
    with _logging(tmp_path):
        log = structlog.get_logger("golub.test")
        log.warning("refused", address=FORGED, login=FORGED, agent=FORGED)
        try:
            raise ValueError(FORGED)
        except ValueError:
            log.exception(FORGED)
    written = (tmp_path / "logs" / "app.log").read_text(encoding="utf-8")
    lines = written.removesuffix("\n").split("\n")
    assert [json.loads(line)["level"] for line in lines] == ["warning", "error"]
    assert json.loads(lines[0])["login"] == FORGED
    assert not [char for char in written if ord(char) < 32 and char != "\n"]


@pytest.mark.row(31, 59)
@pytest.mark.parametrize(
    "careless",
    [
        {"trusted_proxies": "*"},
        {"trusted_proxies": "10.0.0.0/8, *"},
        {"public_url": "https://anna:secret@golub.example.ru"},
        {"avito_url": "https://key:secret@api.avito.ru"},
        {"allow_loopback_webhook": True},
    ],
)
def test_careless_settings_are_refused(careless: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"networks|password|simulator"):
        Settings.model_validate(careless)
