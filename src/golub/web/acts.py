"""What was done with a chat, as its thread draws it: one quiet line each. The words are the template's."""

from dataclasses import dataclass

from golub.inbox.acts import BEHIND_NOTES, Done
from golub.model import ActKind

_GLYPHS = {
    ActKind.OWNED: "user-round-check",
    ActKind.SNOOZED: "alarm-clock",
    ActKind.WOKEN: "alarm-clock",
    ActKind.CLOSED: "circle-check",
    ActKind.REOPENED: "rotate-ccw",
    ActKind.LABELLED: "tag",
    ActKind.UNLABELLED: "tag",
}


@dataclass(frozen=True, slots=True)
class ShownAct:
    done: Done
    kind = "act"

    @property
    def glyph(self) -> str:
        return _GLYPHS[ActKind(self.done.act.kind)]

    @property
    def order(self) -> str:
        """Its place among messages and notes, as their `data-order` has it."""
        return f"{self.done.act.at}.{BEHIND_NOTES + self.done.act.id}"
