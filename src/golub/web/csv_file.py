"""Tables for spreadsheets: what Russian Excel opens by a double click, and what no cell of it can run.

Semicolons between, a byte order mark before (without it Excel takes UTF-8 for its own code page), CRLF at the end of
each row; a text that would be a formula gets an apostrophe before it, which shows that it is one.
"""

import csv
import io
from collections.abc import Iterable, Sequence

from fastapi import Response

_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "\0", "＝", "＋", "－", "＠")


def csv_file(name: str, rows: Iterable[Sequence[str | int | None]]) -> Response:
    """`name` is ours: ASCII, without quotes. None: an empty cell."""
    written = io.StringIO(newline="")
    table = csv.writer(written, delimiter=";", lineterminator="\r\n")
    for row in rows:
        table.writerow([_cell(value) for value in row])
    return Response(
        written.getvalue().encode("utf-8-sig", "replace"),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}.csv"'},
    )


def _cell(value: str | int | None) -> str | int:
    if not isinstance(value, str):
        return "" if value is None else value
    text = value.replace("\0", "")
    return f"'{text}" if value.startswith(_FORMULAS) or text.lstrip().startswith(_FORMULAS[:4]) else text
