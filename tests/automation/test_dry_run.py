"""A dry run says what the rules then do: over a week that was played live, and over that week with the rules off."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from golub.automation.dry_run import CHATS_AT_ONCE, try_rules
from golub.automation.rules import Rule
from golub.clock import DAY, HOUR, MINUTE, SECOND
from golub.model import Message, RuleKind
from golub.simulator import Chat
from tests.automation.house import Acts, House
from tests.conftest import ONE_DATABASE

WEEK = {"week": [[[540, 780], [840, 1080]]] * 5 + [[], []], "holidays": ["2026-09-23"]}
CHATS = 5


@ONE_DATABASE
async def test_a_dry_run_over_a_week_equals_what_the_rules_did(home: House) -> None:
    """Two shops live through the same week, message by message; the rules are on in one of them."""
    began = home.clock()
    mine: dict[str, Any] = {"account_id": home.accounts[0]}
    await home.rule(RuleKind.GREETING, "Здравствуйте, {buyer}!", **mine)
    await home.rule(RuleKind.AWAY, "Мы закрыты.", hours=WEEK, **mine)
    await home.rule(RuleKind.NUDGE, "Ждёт {minutes} минут", minutes=15, **mine)
    await play_week(home, random.Random(7))
    rules = await home.rules()
    did = await home.acts()
    assert await home.acts(1) == []
    kinds = Counter((kind, outcome) for _, kind, outcome in did)
    assert {("greeting", "done"), ("away", "done"), ("away", "told"), ("nudge", "done")} <= kinds.keys()
    assert sorted(await tried(home, rules, began)) == sorted(did)
    elsewhere = [replace(rule, account_id=home.accounts[1]) for rule in rules]
    assert sorted(await tried(home, elsewhere, began)) == sorted(did)


async def play_week(home: House, chance: random.Random) -> None:
    chats: list[tuple[Chat, ...]] = []
    for number in range(CHATS + 5):
        if number < CHATS:
            chats.append(tuple(home.sim.add_chat(shop, f"Покупатель {number}") for shop in home.shops))
        talk = chats[number % CHATS]
        for part in range(chance.choice((1, 2))):
            for chat in talk:
                home.sim.buyer_says(chat, f"вопрос {number}.{part}")
        await home.turn()
        await home.wait(6 * SECOND)
        quick = chance.random() < 0.4
        await home.wait((7 if quick else 20) * MINUTE)
        if chance.random() < 0.7:
            for chat in talk:
                await home.answers(chat, f"ответ {number}")
        await home.wait(13 * MINUTE)  # whoever has waited for fifteen is found now
        await home.wait(chance.randrange(10, 24) * HOUR)


async def tried(home: House, rules: Sequence[Rule], since: int) -> Acts:
    found: list[tuple[str, str, str]] = []
    after: int | None = 0
    async with home.store.read() as session:
        while after is not None:
            part = await try_rules(session, rules, since=since, now=home.clock(), after=after)
            assert part.chats <= CHATS_AT_ONCE
            for one in part.found:
                message = await session.get_one(Message, one.line.id)
                found.append((message.text, one.verdict.rule.kind.value, one.verdict.outcome.value))
            after = part.next
    assert 6 * DAY < home.clock() - since < 7 * DAY
    return found
