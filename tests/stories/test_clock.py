"""The clock of a running server is set forward and back: nothing is lost, repeated, reordered, or done in a storm."""

import asyncio
import re
from collections import Counter
from functools import partial
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import select

from golub.clock import SECOND
from golub.model import Direction, Message
from golub.store import Store
from tests.conftest import AtScale, StartGolub
from tests.guide.page import Page
from tests.processes import PATIENCE
from tests.promises import Figures
from tests.stories.panel import operator, patiently, signed_in
from tests.stories.scene import CHATS, Scene, scene
from tests.stories.shifted import Setting
from tests.stories.vitals import numbers

pytestmark = [pytest.mark.story, pytest.mark.promise("P19")]

HOUR, DAY = 3600, 86_400
YEAR_BACK = -365 * DAY
SHORT = (DAY, 0)  # seconds from the true time
JUMPS = (2 * HOUR, -2 * HOUR, 3 * DAY, 0, YEAR_BACK, 0)
NEGATIVE = re.compile(r"(?<!\w)[-−]\d+\s*(мс|с|сек|мин|ч|дн|д)\b")  # an age
CALLS_A_JUMP = 4 * CHATS + 15  # a sweep, a token, and each chat's reply, its tail and its neighbours


async def test_a_clock_that_jumps_loses_repeats_and_storms_nothing(
    tmp_path: Path, start_golub: StartGolub, at_scale: AtScale, seed: int, figures: Figures
) -> None:
    clock = Setting(tmp_path / "clock")
    most = 0
    async with (
        scene(tmp_path, start_golub, seed=seed, program=clock.program) as town,
        operator(town) as client,
    ):
        town.simulator.faults.clear()
        async with signed_in(town) as gone:
            ended = dict(gone.cookies)
            page = await patiently(lambda: gone.get("/inbox"))
            answer = await gone.post("/sign-out", data=dict(Page(page.text).form("/sign-out").filled()))
            assert answer.status_code == 303
        await turned(town)
        behind: set[str] = set()
        jumps = JUMPS * 3 if at_scale(0, 1) else SHORT
        for number, offset in enumerate(jumps):
            calls, spoken = len(town.simulator.calls), set(town.simulator.sent)
            clock.set(offset)
            async with town.talking(10):
                await turned(town)
                await write(client, f"Ответ {number}")
                await town.acked(10)
                await turned(town)
            await town.applied(PATIENCE)
            await all_replied(town, (number + 1) * CHATS)
            assert await is_out(town, ended)
            await nothing_is_younger_than_now(client)
            most = max(most, len(town.simulator.calls) - calls)
            if offset == YEAR_BACK:
                behind |= {message for _, _, message in town.simulator.sent - spoken}
        replies = Counter(
            call.body["message"]["text"] for call in town.simulator.calls if call.operation == "postSendMessage"
        )
        assert await town.golub.stop() == 0
        set_back = sum("the clock was set back" in line for line in town.golub.lines)
        failed = [line for line in town.golub.lines if "a turn failed" in line or "A request failed" in line]
        shown = await dates(town)
        verdict = await town.judge()
    figures(**verdict.figures, jumps=len(jumps), set_back=set_back, most_calls_a_jump=most)
    assert verdict.is_prompt(busy=bool(at_scale(1, 0))), verdict
    assert (verdict.acked_missing, verdict.applied_twice) == (0, 0), verdict
    assert set(replies.values()) == {CHATS}, "a reply was sent twice, or not at all"
    assert failed == []
    assert set_back > 0
    assert most <= CALLS_A_JUMP
    said = {
        message.id: message.created
        for chat in town.simulator.world.chats.values()
        for message in chat.history
        if not message.outgoing
    }
    assert {one: at for one, at in shown.items() if one not in behind} == {
        one: at for one, at in said.items() if one not in behind
    }, "a message has moved"


async def turned(town: Scene) -> None:
    """Until every loop that turns often has had two turns: the first one may have begun under another clock."""
    before = await turns(town)
    async with asyncio.timeout(PATIENCE):
        while True:
            now = await turns(town)
            if all(now[name] >= count + 2 for name, count in before.items()):
                return
            await asyncio.sleep(0.1)  # between two looks


async def turns(town: Scene) -> dict[str, float]:
    found = await numbers(town.golub)
    return {name: found[f'golub_loop_turns_total{{loop="{name}"}}'] for name in ("jumps", "backfill", "outbox")}


async def write(client: httpx2.AsyncClient, text: str) -> None:
    """To every chat, as a person at the panel, who sends it anyway when a buyer writes meanwhile."""
    for chat_id in range(1, CHATS + 1):
        path = f"/inbox/{chat_id}/reply"
        shown = await patiently(partial(client.get, f"/inbox/{chat_id}"))
        async with asyncio.timeout(PATIENCE):
            while True:
                form = Page(shown.text).form(path)
                filled = dict(form.filled(text=text, client_key=f"{text} {chat_id}"))
                shown = await patiently(partial(client.post, path, data=filled))
                if shown.status_code == 303:
                    break
                assert shown.status_code == 200, shown.text


async def all_replied(town: Scene, number: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while sum(call.operation == "postSendMessage" for call in town.simulator.calls) < number:  # noqa: ASYNC110
            await asyncio.sleep(0.05)  # between two looks


async def is_out(town: Scene, cookies: dict[str, str]) -> bool:
    async with httpx2.AsyncClient(base_url=town.golub.url, cookies=cookies, trust_env=False, timeout=60) as client:
        answer = await patiently(lambda: client.get("/inbox"))
    return answer.status_code == 303 and "/sign-in" in answer.headers["location"]


async def nothing_is_younger_than_now(client: httpx2.AsyncClient) -> None:
    for path in ("/inbox", "/inbox/1", "/admin/status", "/admin/accounts", "/admin/webhooks", "/admin/deliveries"):
        answer = await patiently(partial(client.get, path))
        assert answer.status_code == 200, path
        assert NEGATIVE.search(Page(answer.text).text) is None, path


async def dates(town: Scene) -> dict[str, int]:
    """What buyers wrote, and when as the thread has it: seconds. They are in its order by that."""
    store = Store(town.settings.effective_database_url)
    try:
        async with store.read() as session:
            found = await session.execute(
                select(Message.avito_id, Message.created_at).where(Message.direction == Direction.IN)
            )
            return {row.avito_id: row.created_at // SECOND for row in found}
    finally:
        await store.close()
