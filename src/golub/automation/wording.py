"""Making, changing, switching and removing rules: what a form may say, and the audit's word of each act."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from golub.audit import Action, By
from golub.automation.hours import Hours
from golub.clock import DAY, MINUTE, Millis
from golub.composing import prepared
from golub.composing.filling import NAMES, find_places
from golub.composing.prepared import NewPicture
from golub.errors import Invalid, NotFound, Rejected
from golub.model import Account, AutomaticRule, RuleKind, RulePicture

TEXTS = 3
PICTURES = 5
MOST = 100
MOST_MINUTES = DAY // MINUTE


@dataclass(frozen=True, slots=True)
class Wording:
    """What a form says. `pictures` are in their order: ids of those that stay, and new ones."""

    texts: Sequence[str]
    account_id: int | None = None
    item_id: int | None = None
    hours: Hours | None = None
    minutes: int = 0
    pictures: Sequence[int | NewPicture] = field(default_factory=tuple[int, ...])


async def list_all(session: AsyncSession) -> list[AutomaticRule]:
    order = {kind: number for number, kind in enumerate(RuleKind)}
    rules = await session.scalars(select(AutomaticRule).order_by(AutomaticRule.id))
    return sorted(rules, key=lambda rule: order[RuleKind(rule.kind)])


async def get(session: AsyncSession, rule_id: int) -> AutomaticRule:
    """Raises `NotFound`."""
    rule = await session.get(AutomaticRule, rule_id)
    if rule is None:
        raise NotFound("There is no such rule.")
    return rule


async def list_pictures(session: AsyncSession) -> dict[int, list[int]]:
    """Ids of the photos in their order, by rule."""
    found = select(RulePicture.rule_id, RulePicture.id).order_by(RulePicture.place, RulePicture.id)
    pictures: dict[int, list[int]] = {}
    for rule_id, picture_id in await session.execute(found):
        pictures.setdefault(rule_id, []).append(picture_id)
    return pictures


async def read_small(session: AsyncSession, picture_id: int) -> bytes:
    small = await session.scalar(select(RulePicture.small).where(RulePicture.id == picture_id))
    if small is None:
        raise NotFound("There is no such file.")
    return small


async def write(
    session: AsyncSession, kind: RuleKind, wording: Wording, *, rule_id: int | None, by: By, now: Millis
) -> AutomaticRule:
    """Makes one, which is off at first, or changes that one. Raises `Invalid` for what could not be sent."""
    texts = prepared.cleaned(wording.texts)
    _check(kind, wording, texts)
    if wording.account_id is not None and await session.get(Account, wording.account_id) is None:
        raise NotFound("There is no such account.")
    before: dict[str, Any] | None = None
    if rule_id is None:
        if (await session.scalar(select(func.count()).select_from(AutomaticRule)) or 0) >= MOST:
            raise Rejected("There are {count} rules already. Remove some first.", count=MOST)
        rule = AutomaticRule(kind=kind, active_since=None)
        session.add(rule)
    else:
        rule = await get(session, rule_id)
        before = _told(rule)
    rule.texts = texts
    rule.account_id = wording.account_id
    rule.item_id = wording.item_id
    rule.hours = wording.hours.kept if wording.hours else {}
    rule.minutes = wording.minutes
    rule.changed_at = now
    if rule.active_since is not None:
        rule.active_since = now  # what came before is not judged by other words
    await session.flush()
    await prepared.arrange(session, RulePicture, RulePicture.rule_id, rule.id, wording.pictures)
    action = Action.RULE_ADDED if before is None else Action.RULE_CHANGED
    await by.did(session, action, kind, before=before, after=_told(rule), now=now)
    return rule


async def switch(session: AsyncSession, rule_id: int, *, on: bool, by: By, now: Millis) -> None:
    """From now on, so that nobody who wrote before is answered."""
    rule = await get(session, rule_id)
    if (rule.active_since is not None) != on:
        before = _told(rule)
        rule.active_since = now if on else None
        await by.did(session, Action.RULE_CHANGED, rule.kind, before=before, after=_told(rule), now=now)


async def remove(session: AsyncSession, rule_id: int, *, by: By, now: Millis) -> None:
    rule = await get(session, rule_id)
    before = _told(rule)
    await session.delete(rule)
    await by.did(session, Action.RULE_REMOVED, rule.kind, before=before, now=now)


def _told(rule: AutomaticRule) -> dict[str, Any]:
    """For the audit; words that are sent to buyers belong into it, they are the shop's own."""
    told: dict[str, Any] = {
        "switched_on": rule.active_since is not None,
        "account": rule.account_id,
        "item": rule.item_id,
        "text": " / ".join(rule.texts),
    }
    if rule.hours:
        hours = Hours.of(rule.hours)
        told["hours"] = "; ".join(hours.written(day) or "–" for day in range(7))
        told["holidays"] = list(hours.holidays)
    return told | ({"minutes": rule.minutes} if rule.minutes else {})


def _check(kind: RuleKind, wording: Wording, texts: Sequence[str]) -> None:
    prepared.check(texts, wording.pictures, most_texts=TEXTS, most_pictures=PICTURES)
    if kind is RuleKind.NUDGE:
        if len(texts) != 1:
            raise Invalid("A nudge is one note.", field="text")
        if not 1 <= wording.minutes <= MOST_MINUTES:
            raise Invalid("Between 1 and {most} minutes.", field="minutes", most=MOST_MINUTES)
        return
    prepared.check_variables(texts)
    for text in texts:
        if operators := [place for place in find_places(text) if place.strip("{ }").casefold() in NAMES["operator"]]:
            raise Invalid("Nobody writes an automatic reply: leave out {place}.", field="text", place=operators[0])
    if kind is RuleKind.AWAY and wording.hours is None:
        raise Invalid("Give the hours of at least one day.", field="day1")
