"""A report in words for the command line, and its exit code's reason."""

from collections.abc import Iterator
from datetime import UTC, datetime

from golub.clock import Millis
from golub.rebuild import Fault, Report

MEANS = {
    Fault.MISSING: "a delivery was applied, and the message is not there",
    Fault.OLDER: "the message is from before a delivery that was applied",
    Fault.OTHER: "the message has other words than the delivery of the same moment",
    Fault.UNTOLD: "the message says more than anybody told us",
    Fault.LOST: "a deletion, an edit or a reading that was told is not in the message",
    Fault.INCONSISTENT: "the message's unread mark does not follow from the rest of it",
}


def lines(report: Report) -> Iterator[str]:
    left_out = ", ".join(f"{number} {state}" for state, number in sorted(report.left_out.items())) or "none"
    yield f"deliveries in the journal: {report.deliveries}; folded again: {report.folded}; left out: {left_out}"
    yield f"messages that they tell of, compared with ours: {report.compared}"
    yield f"messages that only Avito's API (or we ourselves) told of: {report.api_only}"
    yield f"messages whose delivery is no longer in the journal: {report.older}"
    yield f"the journal is complete from: {_moment(report.complete_from)}"
    if report.is_good:
        yield "no difference: our messages are what the deliveries make of them"
        return
    for fault, number in sorted(report.faults.items()):
        yield f"DIFFERENCE, {number} times: {MEANS[Fault(fault)]}"
    for one in report.differences:
        yield f"  {one.fault}: account {one.account_id}, chat {one.chat_avito_id!r}, message {one.message_avito_id!r}"
    yield "To mend what is missing, apply the deliveries again: in the journal, “Apply again…”."


def _moment(at: Millis | None) -> str:
    return "it is empty" if at is None else datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
