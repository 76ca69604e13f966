"""Reports: how the team answers, drawn from `waits` and counted at the moment of asking, for whom it may be told.

Nothing is kept but the waits themselves and the target, so a report is never older than what it tells of. Pages and
files for spreadsheets rely on it.
"""

from golub.reports.answers import Answers, Times, Totals, count_answers, count_totals
from golub.reports.filling import Filling, find_progress
from golub.reports.messages import Traffic, count_messages
from golub.reports.names import find_items, list_accounts, list_operators
from golub.reports.question import Period, Question
from golub.reports.target import change_target, find_target
from golub.reports.waiting import Line, Only, Page, Waiting, count_waiting, list_waiting, list_waits

__all__ = [
    "Answers",
    "Filling",
    "Line",
    "Only",
    "Page",
    "Period",
    "Question",
    "Times",
    "Totals",
    "Traffic",
    "Waiting",
    "change_target",
    "count_answers",
    "count_messages",
    "count_totals",
    "count_waiting",
    "find_items",
    "find_progress",
    "find_target",
    "list_accounts",
    "list_operators",
    "list_waiting",
    "list_waits",
]
