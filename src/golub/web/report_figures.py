"""The figures of a report as its page draws them and as its files hold them: rows with names, columns with places."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import cached_property
from typing import ClassVar

from golub.clock import SECOND, Millis
from golub.model import Account
from golub.reports import Answers, Question, Times, Traffic, Waiting
from golub.web import moments
from golub.web.charts import Chart, draw, share_of, top_of, top_of_times
from golub.web.language import Reader
from golub.web.links import visible
from golub.web.report_query import OWN, Asked

Cell = str | int | None


class Figure(StrEnum):
    DAYS = "days"
    HOURS = "hours"
    OPERATORS = "operators"
    ACCOUNTS = "accounts"
    ITEMS = "items"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class Row:
    """One operator, account or item. `id` None: answered at Avito itself. `link`: to the chats behind it."""

    id: int | None
    name: str
    times: Times
    link: str


@dataclass(frozen=True)
class Figures:
    asked: Asked
    question: Question
    answers: Answers
    traffic: Traffic
    waiting: Waiting
    accounts: Mapping[int, Account]
    operators: Mapping[int, str]
    items: Mapping[int, str]
    sees_operators: bool

    ITEMS: ClassVar[int] = 15  # of which most was answered

    @property
    def target(self) -> Millis:
        return self.question.target

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all happened."""
        return not (self.answers.all.asked or self.answers.new or any((*self.traffic.incoming, *self.traffic.outgoing)))

    @property
    def by_hour(self) -> bool:
        """Whether a column is an hour of the only day."""
        return self.asked.period.days == 1

    @cached_property
    def operator_rows(self) -> list[Row]:
        """Those who answered, the busiest first. A manager finds himself alone."""
        found = [
            Row(key, self.operators.get(key or 0, ""), times, self._chats(operator=key, by=None if key else "avito"))
            for key, times in self.answers.operators.items()
            if self.sees_operators or key in self.operators
        ]
        return sorted(found, key=lambda row: (-row.times.count, row.id or 0))

    @cached_property
    def account_rows(self) -> list[Row]:
        found = [
            Row(key, self.accounts[key].name, times, self._chats(account=key))
            for key, times in self.answers.accounts.items()
            if key in self.accounts
        ]
        return sorted(found, key=lambda row: (-row.times.asked, row.id or 0))

    @cached_property
    def item_rows(self) -> list[Row]:
        found = [Row(key, name, self.answers.items[key], self._chats(item=key)) for key, name in self.items.items()]
        return sorted(found, key=lambda row: (-row.times.asked, row.id or 0))

    @cached_property
    def hours(self) -> list[tuple[int, Times]]:
        """Of the reader's day, as far as anybody was answered or ought to have been."""
        return [(hour, self.answers.hours[hour]) for hour in range(24) if hour in self.answers.hours]

    @cached_property
    def steps(self) -> list[Millis]:
        """When each column begins."""
        return list(self.asked.period.steps)

    @cached_property
    def new_chart(self) -> Chart:
        new = self._of_steps(self.answers.new)
        return draw(new, top=top_of(new))

    @cached_property
    def missed_chart(self) -> Chart:
        """All that were missed, and in front of them the calls."""
        calls = self._of_steps(self.answers.missed_calls)
        chats = self._of_steps(self.answers.missed_chats)
        both = [one + other for one, other in zip(calls, chats, strict=True)]
        return draw(both, calls, top=top_of(both))

    @cached_property
    def traffic_chart(self) -> Chart:
        incoming, outgoing = self.traffic.incoming, self.traffic.outgoing
        return draw(incoming, outgoing, top=top_of([*incoming, *outgoing]), beside=True)

    @cached_property
    def hours_chart(self) -> Chart:
        """Nine of ten, and in front of it the median. A slow tenth must not flatten all medians: it is cut."""
        times = [self.answers.hours.get(hour, Times()) for hour in range(24)]
        medians = [one.median for one in times]
        slowest = max((one or 0 for one in medians), default=0)
        top = top_of_times([slowest * 2, self.target // SECOND * 1.2])
        return draw([one.p90 for one in times], medians, top=top)

    @property
    def target_line(self) -> float | None:
        """Where the target runs through the chart of hours."""
        chart = self.hours_chart
        top, above = chart.lines[0]
        share = self.target / SECOND / top
        return round(above + (1 - share) * (chart.height - above), 1) if share <= 1 else None

    def bar(self, row: Row, rows: Sequence[Row]) -> float:
        """Its median beside the others', in per cent."""
        return share_of(row.times.median or 0, max(one.times.median or 0 for one in rows))

    def waiting_bar(self, count: int) -> float:
        return share_of(count, max(self.waiting.counts))

    def link(self, step: int, only: str) -> str:
        """To the chats behind a column."""
        if self.by_hour:
            return self._chats(only=only, hour=self.asked.period.hour_of(self.steps[step]))
        day = (self.asked.period.first + timedelta(days=step)).isoformat()
        return self._chats(only=only, period=OWN, from_=day, to=day)

    def hour_link(self, hour: int) -> str:
        return self._chats(hour=hour)

    def _chats(self, **changes: str | int | None) -> str:
        return f"/reports/chats{self.asked.other(**changes)}"

    def _of_steps(self, counted: Mapping[int, int]) -> list[int]:
        return [counted.get(step, 0) for step in range(len(self.steps))]


def sheet(figure: Figure, figures: Figures, reader: Reader) -> Iterator[Sequence[Cell]]:
    """The rows of a file, with their heads; times in seconds, shares in per cent."""
    words = reader.words
    if figure is Figure.DAYS:
        yield (
            words("Hour") if figures.by_hour else words("Day"), words("New chats"), words("Missed chats"),
            words("Missed calls"), words("Messages in"), words("Messages out"), words("Closed without an answer"),
        )  # fmt: skip
        for step, at in enumerate(figures.steps):
            counted = (figures.answers.new, figures.answers.missed_chats, figures.answers.missed_calls)
            begins = moments.clock_time(reader, at) if figures.by_hour else moments.iso(reader, at)[:10]
            traffic = figures.traffic.incoming[step], figures.traffic.outgoing[step]
            closed = figures.answers.closed_chats.get(step, 0)
            yield (begins, *(one.get(step, 0) for one in counted), *traffic, closed)
    elif figure is Figure.WAITING:
        yield words("Waiting"), words("Chats")
        for step, count in enumerate(figures.waiting.counts):
            yield waited_words(figures, step, reader), count
    elif figure is Figure.HOURS:
        yield words("Hour"), *_heads(reader)
        for hour, times in figures.hours:
            yield f"{hour:02}:00", *_cells(times, figures, reader)
    else:
        rows = {
            Figure.OPERATORS: figures.operator_rows,
            Figure.ACCOUNTS: figures.account_rows,
            Figure.ITEMS: figures.item_rows,
        }[figure]
        head = {
            Figure.OPERATORS: words("Operator"),
            Figure.ACCOUNTS: words("Account"),
            Figure.ITEMS: words("Item"),
        }[figure]
        yield head, *_heads(reader)
        for row in rows:
            yield visible(row.name) or words("At Avito itself"), *_cells(row.times, figures, reader)


def waited_words(figures: Figures, step: int, reader: Reader) -> str:
    """«до 15 мин», «от 1 ч до 4 ч», «дольше 7 дн.»"""
    edges = [moments.duration(reader, edge // SECOND) for edge in figures.waiting.edges]
    if step == 0:
        return reader.words("up to {time}", time=edges[0])
    if step == len(edges):
        return reader.words("longer than {time}", time=edges[-1])
    return reader.words("{from_} to {to}", from_=edges[step - 1], to=edges[step])


def _heads(reader: Reader) -> Sequence[str]:
    words = reader.words
    return (
        words("Answers"),
        words("Median, seconds"),
        words("Nine of ten within, seconds"),
        words("Within the target, %"),
    )


def _cells(times: Times, figures: Figures, reader: Reader) -> Sequence[Cell]:
    share = times.in_time(figures.target)
    return times.count, times.median, times.p90, "" if share is None else moments.number(reader, round(share * 100, 1))
