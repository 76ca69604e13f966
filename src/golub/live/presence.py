"""Who of the team looks at which chat, and who types in it: known for some seconds, and written nowhere.

Every tab that is looked at says again and again where it is. Who falls silent has left, whatever ended him: a tab, a
browser, a node. Nothing here is a change of a chat, and nobody is rung for it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

LIFE = 10.0  # seconds that a word of a tab holds; the browser repeats it every 4 (`static/presence.js`)
TABS_AN_OPERATOR = 12  # the oldest is forgotten first


@dataclass(frozen=True, slots=True)
class Beat:
    """A tab of an operator's browser is at a chat now; at chat 0 it is nowhere."""

    operator_id: int
    tab: str
    account_id: int = 0
    chat_id: int = 0
    typing: bool = False


@dataclass(frozen=True, slots=True)
class Here:
    """Who is at a chat: operators' ids, and whether each types."""

    account_id: int = 0
    operators: dict[int, bool] = field(default_factory=dict[int, bool])


NOBODY = Here()


class Presence:
    """Whoever calls it holds the hub's lock. `take` and `expire` return the chats at which something is another now."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._tabs: dict[tuple[int, str], tuple[Beat, float]] = {}  # the oldest word first
        self._chats: dict[int, Here] = {}

    def __len__(self) -> int:
        return len(self._tabs)

    @property
    def chats(self) -> set[int]:
        """Those at which there is somebody."""
        return set(self._chats)

    def at(self, chat_id: int) -> Here:
        return self._chats.get(chat_id, NOBODY)

    def take(self, beat: Beat) -> set[int]:
        before = self._tabs.pop((beat.operator_id, beat.tab), None)
        touched = {before[0].chat_id} if before else set[int]()
        if beat.chat_id:
            mine = [key for key in self._tabs if key[0] == beat.operator_id]
            for key in mine[: max(0, len(mine) + 1 - TABS_AN_OPERATOR)]:
                touched.add(self._tabs.pop(key)[0].chat_id)
            self._tabs[beat.operator_id, beat.tab] = (beat, self._monotonic() + LIFE)
            touched.add(beat.chat_id)
        return self._look_again(touched)

    def expire(self) -> set[int]:
        now = self._monotonic()
        gone = [key for key, (_, until) in self._tabs.items() if until <= now]
        return self._look_again({self._tabs.pop(key)[0].chat_id for key in gone})

    def _look_again(self, touched: set[int]) -> set[int]:
        """Of a chat that was touched: whether it is another one than before."""
        changed = set[int]()
        for chat_id in touched:
            beats = [beat for beat, _ in self._tabs.values() if beat.chat_id == chat_id]
            operators = dict[int, bool]()
            for beat in beats:
                operators[beat.operator_id] = operators.get(beat.operator_id, False) or beat.typing
            now = Here(beats[-1].account_id, operators) if beats else NOBODY
            if now != self.at(chat_id):
                changed.add(chat_id)
                if beats:
                    self._chats[chat_id] = now
                else:
                    del self._chats[chat_id]
        return changed
