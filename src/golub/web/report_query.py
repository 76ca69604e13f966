"""What a report is asked, as a URL carries it: read from a query, written into every link and form of its pages."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from urllib.parse import parse_qsl, urlencode

from golub.clock import SECOND
from golub.model import Operator, Role
from golub.reports import Period
from golub.web.language import Reader
from golub.web.parts import parse_id

PRESETS = {"today": 1, "7": 7, "30": 30, "90": 90}
DEFAULT = "7"
OWN = "own"  # the name of a period with dates of its own
LONGEST = 366  # days
_ORDER = ("period", "from", "to", "account", "operator", "item")


@dataclass(frozen=True, slots=True)
class Asked:
    """What of a query made sense, by name; the rest narrows nothing."""

    fields: Mapping[str, str]
    period: Period
    account_id: int | None
    operator_id: int | None
    item_id: int | None

    @classmethod
    def of(cls, query: Mapping[str, str], reader: Reader, operator: Operator) -> "Asked":
        """A manager may ask of his own answers and of everybody's together."""
        fields: dict[str, str] = {}
        ids: dict[str, int] = {}
        for name in ("account", "operator", "item"):
            text = query.get(name, "")
            if (row_id := parse_id(text)) is not None:
                fields[name], ids[name] = text, row_id
        if "operator" in ids and ids["operator"] != operator.id and not sees_operators(operator):
            del fields["operator"], ids["operator"]
        period = _period(query, reader, fields)
        return cls(fields, period, ids.get("account"), ids.get("operator"), ids.get("item"))

    @classmethod
    def parse(cls, query: str, reader: Reader, operator: Operator) -> "Asked":
        """What `query` wrote."""
        return cls.of(dict(parse_qsl(query.removeprefix("?"))), reader, operator)

    @property
    def name(self) -> str:
        return self.fields.get("period", DEFAULT)

    @property
    def query(self) -> str:
        return self.other()

    def other(self, **changes: str | int | None) -> str:
        """The query of this with other fields; None takes one away. Names that Python has itself end in `_`."""
        given = {name.rstrip("_"): "" if value is None else str(value) for name, value in changes.items()}
        chosen = {**self.fields, **given}
        known = [name for name in _ORDER if chosen.get(name)]
        further = [name for name in given if name not in _ORDER and given[name]]
        return f"?{urlencode({name: chosen[name] for name in (*known, *further)})}" if known or further else ""

    def day(self, number: int) -> str:
        """Of a step of the period, as `from` and `to` say it."""
        return (self.period.first + timedelta(days=number)).isoformat()


def sees_operators(operator: Operator) -> bool:
    return Role(operator.role).covers(Role.ADMIN)


def _period(query: Mapping[str, str], reader: Reader, fields: dict[str, str]) -> Period:
    today = datetime.fromtimestamp(reader.now / SECOND, reader.zone).date()
    chosen = query.get("period", DEFAULT)
    first, last = _date(query.get("from", "")), _date(query.get("to", ""))
    if chosen == OWN and (first or last):
        last = min(last or today, today)
        first = max(min(first or last, last), last - timedelta(days=LONGEST - 1))
        fields |= {"period": OWN, "from": first.isoformat(), "to": last.isoformat()}
        return Period(first, last, reader.zone, reader.now)
    if chosen not in PRESETS:
        chosen = DEFAULT
    if chosen != DEFAULT:
        fields["period"] = chosen
    return Period(today - timedelta(days=PRESETS[chosen] - 1), today, reader.zone, reader.now)


def _date(text: str) -> date | None:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if 2000 <= found.year < 9999 else None
