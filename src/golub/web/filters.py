"""The journal's filter in a URL: read from a query, written into every link and form that carries it on."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qsl, urlencode

from golub.clock import MINUTE, Millis
from golub.journal import TEXT_LIMIT, Kind, Trust, Wanted
from golub.model import Cause, DeliveryState
from golub.web.language import Reader
from golub.web.parts import parse_id

MINUTES = "%Y-%m-%dT%H:%M"  # what a browser's field for a moment gives
_ENUMS: dict[str, type[StrEnum]] = {"state": DeliveryState, "kind": Kind, "cause": Cause, "trust": Trust}
_ORDER = ("state", "account", "kind", "cause", "trust", "from", "to", "address", "text")
_TEXTS = {"text": TEXT_LIMIT, "address": 64}


@dataclass(frozen=True, slots=True)
class Choice:
    """What of a query made sense, by name; the rest filters nothing. Times are the reader's own."""

    fields: Mapping[str, str]
    wanted: Wanted

    @classmethod
    def of(cls, query: Mapping[str, str], reader: Reader) -> "Choice":
        fields: dict[str, str] = {}
        chosen: dict[str, Any] = {}
        for name, kind in _ENUMS.items():
            if (text := query.get(name, "")) and text in set(kind):
                fields[name], chosen[name] = text, kind(text)
        account = query.get("account", "")
        if (account_id := parse_id(account)) is not None:
            fields["account"], chosen["account_id"] = account, account_id
        for name, column, more in (("from", "since", 0), ("to", "until", MINUTE)):  # to the end of that minute
            if (moment := _moment(query.get(name, ""), reader)) is not None:
                fields[name], chosen[column] = query[name], moment + more
        for name, limit in _TEXTS.items():
            if text := query.get(name, "").replace("\0", "").strip()[:limit]:
                fields[name] = chosen[name] = text
        return cls(fields, Wanted(**chosen))

    @classmethod
    def parse(cls, query: str, reader: Reader) -> "Choice":
        """What `query` wrote."""
        return cls.of(dict(parse_qsl(query.removeprefix("?"))), reader)

    @classmethod
    def back(cls, wanted: Wanted, reader: Reader) -> "Choice":
        """The choice that makes this filter."""
        fields = {name: str(value) for name, value in wanted.document().items()}
        if "account_id" in fields:
            fields["account"] = fields.pop("account_id")
        for name, column, less in (("from", "since", 0), ("to", "until", MINUTE)):
            if (moment := fields.pop(column, None)) is not None:
                local = datetime.fromtimestamp((int(moment) - less) / 1000, reader.zone)
                fields[name] = local.strftime(MINUTES)
        return cls(fields, wanted)

    @property
    def query(self) -> str:
        """`?state=ignored&account=2`, or nothing for the whole journal."""
        return self.other()

    @property
    def is_detailed(self) -> bool:
        """Whether it filters by more than the fields that are always in sight."""
        return bool(self.fields.keys() - {"state", "account", "kind"})

    def joined(self, more: str) -> str:
        return f"{self.query}&{more}" if self.fields else f"?{more}"

    def other(self, **changes: str | None) -> str:
        """The query of this choice with other fields; None takes one away."""
        chosen = {**self.fields, **changes}
        fields = {name: value for name in _ORDER if (value := chosen.get(name))}
        return f"?{urlencode(fields)}" if fields else ""


def _moment(text: str, reader: Reader) -> Millis | None:
    try:
        found = datetime.strptime(text[:16], MINUTES).replace(tzinfo=reader.zone)
        return max(0, int(found.timestamp() * 1000))
    except (ValueError, OverflowError):
        return None
