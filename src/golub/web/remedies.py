"""The doctor's findings in the reader's words, for pages that name what to mend."""

from collections.abc import Sequence
from dataclasses import dataclass

from golub.doctor import Finding
from golub.doctor.finding import Words, Written
from golub.model import Operator
from golub.web.access import may_open


@dataclass(frozen=True, slots=True)
class Row:
    """A finding in the reader's words; `page` is empty where this operator may not go there."""

    finding: Finding
    written: Written
    page: str


def rows_of(findings: Sequence[Finding], operator: Operator, words: Words) -> list[Row]:
    return [Row(one, one.write(words), one.page if may_open(operator, one.page) else "") for one in findings]
