"""What a rule wants of a message: pure functions, asked alike by what runs by itself and by the dry run.

A reply goes to a message of a buyer who said something, once, whichever rules are there: outside working hours the
`away` rule alone is asked, once for each stretch in which the shop is closed; else the greeting, in a chat in which
nobody has spoken before. A nudge goes to the team, once for each wait. Of several rules of a kind the nearest counts:
that of the item, then of the account, then of all.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from golub.automation.hours import Hours
from golub.clock import DAY, MINUTE, SECOND, Millis
from golub.composing.filling import fill
from golub.model import Outcome, RuleKind

SETTLE = 5 * SECOND  # after a message came: whoever writes in several goes, or is answered at once, gets one answer
LATE = 15 * MINUTE  # after a message was written, or a nudge was due, nothing is done unasked any more
MOST_A_DAY = 3  # automatic replies to one chat

SAYS = frozenset({"text", "image", "voice", "video", "file", "location", "link", "item"})
"""The types to which a reply may go: not calls, deletions, Avito's own messages, or what we do not know."""


class Side(Enum):
    BUYER = "buyer"
    TEAM = "team"  # through Golub or written at Avito
    GOLUB = "golub"  # an automatic reply, which answers nobody
    AVITO = "avito"


@dataclass(frozen=True, slots=True)
class Rule:
    id: int
    kind: RuleKind
    account_id: int | None
    item_id: int | None
    texts: tuple[str, ...] = ()
    pictures: bool = False
    hours: Hours | None = None
    minutes: int = 0
    since: Millis = 0  # what came before, or was due before, is left alone


@dataclass(frozen=True, slots=True)
class Line:
    """A message of a chat, or a reply of an operator that is on its way (`id` 0)."""

    id: int
    at: Millis
    known_at: Millis
    side: Side
    type: str = "text"
    quiet: bool = False
    deleted_at: Millis | None = None
    confirmed: bool = True


@dataclass(frozen=True, slots=True)
class Talk:
    """A chat as the rules see it. `lines` in their order; `begun`: somebody had spoken before them, `waited`: and it
    was the buyer, with nobody's answer. `barred`: no reply may go there, and why. `rested_at`: closed or snoozed since
    then; up to `settled_to` the chat was closed once. `replied`: when automatic replies went out."""

    chat_id: int
    account_id: int
    item_id: int | None
    zone: str
    lines: Sequence[Line]
    begun: bool = False
    waited: bool = False
    barred: Outcome | None = None
    rested_at: Millis | None = None
    settled_to: int = 0
    values: Mapping[str, str] = field(default_factory=dict[str, str])
    replied: Sequence[Millis] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """The rule that a message is about, and what it does. `UNCONFIRMED` may change until the message is late."""

    rule: Rule
    outcome: Outcome
    texts: tuple[str, ...] = ()


def reply_to(rules: Iterable[Rule], talk: Talk, line: Line, now: Millis) -> Verdict | None:
    """None: no rule answers this message, or not yet: ask again at `line.known_at + SETTLE`."""
    if line.side is not Side.BUYER or line.quiet or line.type not in SAYS or now < line.known_at + SETTLE:
        return None
    rule = _answering(rules, talk, line)
    if rule is None or line.known_at < rule.since:
        return None
    filled = [fill(text, talk.values) for text in rule.texts]
    outcome = Outcome.DONE
    if talk.barred:
        outcome = talk.barred
    elif line.deleted_at is not None and line.deleted_at <= now:
        outcome = Outcome.DELETED
    elif any(one.side is Side.TEAM for one in _after(talk, line, now)):
        outcome = Outcome.ANSWERED
    elif rule.hours and any(at >= rule.hours.closed_since(line.at, talk.zone) for at in talk.replied):
        outcome = Outcome.TOLD
    elif sum(at > now - DAY for at in talk.replied) >= MOST_A_DAY:
        outcome = Outcome.CAPPED
    elif not line.confirmed:
        outcome = Outcome.UNCONFIRMED
    elif is_late(line, now):
        outcome = Outcome.LATE
    elif any(one.missing for one in filled):
        outcome = Outcome.UNFILLED
    return Verdict(rule, outcome, tuple(one.text for one in filled))


def nudge_about(rules: Iterable[Rule], talk: Talk, line: Line, now: Millis) -> Verdict | None:
    """None: no wait began with this message, it is over, or it has not lasted long enough."""
    rule = nearest(rules, talk, RuleKind.NUDGE)
    if rule is None or line.side is not Side.BUYER or line.quiet or line.type == "deleted":
        return None
    due = nudged_at(rule, line)
    if now < due or due < rule.since or not _begins_wait(talk, line, now):
        return None
    if talk.rested_at is not None and talk.rested_at <= now:
        return None
    outcome = Outcome.LATE if now - due > LATE else Outcome.DONE
    minutes = str(rule.minutes)
    return Verdict(rule, outcome, tuple(text.replace("{minutes}", minutes) for text in rule.texts))


def nudged_at(rule: Rule, line: Line) -> Millis:
    """When that rule is to speak of a wait that began with this message."""
    return line.at + rule.minutes * MINUTE


def is_late(line: Line, now: Millis) -> bool:
    """Also where one of two clocks has jumped, and the message seems to come from another time."""
    return abs(now - line.at) > LATE


def nearest(rules: Iterable[Rule], talk: Talk, kind: RuleKind) -> Rule | None:
    """The rule of this kind that counts in a chat."""
    fitting = [
        rule
        for rule in rules
        if rule.kind is kind
        and rule.account_id in (None, talk.account_id)
        and (rule.item_id is None or rule.item_id == talk.item_id)
    ]
    return min(fitting, key=lambda rule: (rule.item_id is None, rule.account_id is None, rule.id), default=None)


def _answering(rules: Iterable[Rule], talk: Talk, line: Line) -> Rule | None:
    rules = tuple(rules)
    away = nearest(rules, talk, RuleKind.AWAY)
    if away and away.hours and not away.hours.open_at(line.at, talk.zone):
        return away
    return nearest(rules, talk, RuleKind.GREETING) if _opens(talk, line) else None


def _opens(talk: Talk, line: Line) -> bool:
    """Whether nobody had spoken in the chat before."""
    return not talk.begun and not any(
        one.side is not Side.AVITO and one.deleted_at is None for one in _before(talk, line)
    )


def _begins_wait(talk: Talk, line: Line, now: Millis) -> bool:
    if line.deleted_at is not None and line.deleted_at <= now:
        return False
    if any(one.side is Side.TEAM for one in _after(talk, line, now)):
        return False
    waits = talk.waited
    for one in _before(talk, line):
        if one.side is Side.TEAM:
            waits = False
        elif one.side is Side.BUYER and not one.quiet and one.deleted_at is None:
            waits = not one.id <= talk.settled_to < line.id
    return not waits


def _before(talk: Talk, line: Line) -> Iterable[Line]:
    return (one for one in talk.lines if one.id and (one.at, one.id) < (line.at, line.id))


def _after(talk: Talk, line: Line, now: Millis) -> Iterable[Line]:
    """What was known at that time; what is on its way has no number yet, and comes last."""
    return (
        one
        for one in talk.lines
        if one.known_at <= now and ((one.at, one.id) > (line.at, line.id) if one.id else one.at >= line.at)
    )
