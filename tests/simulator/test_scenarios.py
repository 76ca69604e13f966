"""Each scenario, played: what a client or a receiver then sees, that it ends, and that a seed repeats it."""

import asyncio
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path

import httpx2
import pytest
from typer.testing import CliRunner

from golub.cli import cli
from golub.simulator import SCENARIOS, Account, Chat, Simulator
from golub.simulator.scenarios import BURST, ENDLESS, PAST_THE_CAP
from golub.simulator.serve import bind, serving
from tests.simulator.conftest import Clock, Receiver, get_token
from tests.simulator.test_api import CHATS, messages_of, png, send_to

ROOT = Path(__file__).parents[2]
WORDS = ROOT / "src/golub/simulator/page/words.js"
GUIDE = ROOT / "docs/simulator.md"
SELF = "/core/v1/accounts/self"
HI = {"type": "text", "message": {"text": "Здравствуйте!"}}

Check = Callable[["Scene"], Awaitable[None]]
CHECKS: dict[str, Check] = {}


class Scene:
    def __init__(
        self, sim: Simulator, shop: Account, chat: Chat, avito: httpx2.AsyncClient, receiver: Receiver
    ) -> None:
        self.sim, self.shop, self.chat, self.avito, self.receiver = sim, shop, chat, avito, receiver

    async def say(self, count: int) -> None:
        for number in range(count):
            self.sim.buyer_says(self.chat, str(number))
        await self.sim.idle()

    async def status(self, path: str = SELF) -> int:
        return (await self.avito.get(path)).status_code


def check(name: str) -> Callable[[Check], Check]:
    def keep(run: Check) -> Check:
        CHECKS[name] = run
        return run

    return keep


@check("burst")
async def _burst(scene: Scene) -> None:
    await scene.sim.idle()
    assert len(scene.receiver.bodies) == BURST
    assert len({value["chat_id"] for value in scene.receiver.values}) == BURST // 10


@check("duplicates")
async def _duplicates(scene: Scene) -> None:
    await scene.say(2)
    assert set(Counter(value["id"] for value in scene.receiver.values).values()) == {3}
    assert len({event["id"] for event in scene.receiver.events}) == 6


@check("disorder")
async def _disorder(scene: Scene) -> None:
    await scene.sim.idle()
    came = [int(value["content"]["text"].split()[1]) for value in scene.receiver.values]
    assert sorted(came) == list(range(1, 11))
    assert any(before > after for before, after in pairwise(came))


@check("drop")
async def _drop(scene: Scene) -> None:
    await scene.say(200)
    assert 30 < len(scene.sim.dropped) < 90
    assert len(scene.receiver.bodies) + len(scene.sim.dropped) == 200


@check("silence")
async def _silence(scene: Scene) -> None:
    await scene.say(5)
    assert not scene.receiver.bodies
    assert (await scene.avito.post("/messenger/v1/subscriptions")).json()["subscriptions"]


@check("theft")
async def _theft(scene: Scene) -> None:
    await scene.say(1)
    assert not scene.receiver.bodies
    (found,) = (await scene.avito.post("/messenger/v1/subscriptions")).json()["subscriptions"]
    assert found["url"].startswith("https://crm.example.com/")


@check("unsubscribed")
async def _unsubscribed(scene: Scene) -> None:
    await scene.say(1)
    assert not scene.receiver.bodies
    assert (await scene.avito.post("/messenger/v1/subscriptions")).json() == {"subscriptions": []}


@check("echo-first")
async def _echo_first(scene: Scene) -> None:
    sent = (await scene.avito.post(send_to(scene.chat), json=HI)).json()
    assert [value["id"] for value in scene.receiver.values] == [sent["id"]]  # without waiting for it


@check("lost-answer")
async def _lost_answer(scene: Scene) -> None:
    lost = asyncio.create_task(scene.avito.post(send_to(scene.chat), json=HI))
    async with asyncio.timeout(60):
        while not scene.chat.history:  # noqa: ASYNC110 - an answer would say so, and none comes
            await asyncio.sleep(0)
    assert not lost.done()
    lost.cancel()
    with pytest.raises(asyncio.CancelledError):
        await lost
    assert len(scene.chat.history) == 1
    assert (await scene.avito.post(send_to(scene.chat), json=HI)).status_code == 200
    assert len(scene.chat.history) == 2


@check("slow")
async def _slow(scene: Scene) -> None:
    coming = asyncio.create_task(scene.avito.get(SELF))
    await scene.sim.arrived("self")
    assert not coming.done()
    scene.sim.release()
    assert (await coming).json()["id"] == 101


@check("429-retry-after")
async def _too_many(scene: Scene) -> None:
    answer = await scene.avito.get(SELF)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "2")
    assert [await scene.status() for _ in range(20)] == [429] * 19 + [200]


@check("429")
async def _too_many_untold(scene: Scene) -> None:
    answer = await scene.avito.get(SELF)
    assert (answer.status_code, "retry-after" in answer.headers) == (429, False)


@check("429-absurd")
async def _too_many_absurd(scene: Scene) -> None:
    assert (await scene.avito.get(SELF)).headers["retry-after"] == "1000000"
    assert await scene.status() == 200


@check("500")
async def _errors(scene: Scene) -> None:
    assert {await scene.status() for _ in range(30)} == {200, 500}


@check("html")
async def _html(scene: Scene) -> None:
    answer = await scene.avito.get(SELF)
    assert (answer.status_code, answer.headers["content-type"]) == (502, "text/html; charset=utf-8")
    assert "<html>" in answer.text
    assert (await scene.avito.post("/token")).status_code == 502


@check("cut")
async def _cut(scene: Scene) -> None:
    fates = Counter[str]()
    for _ in range(30):
        try:
            fates[str(await scene.status())] += 1
        except httpx2.RemoteProtocolError:
            fates["cut"] += 1
    assert fates["cut"] + fates["200"] == 30
    assert min(fates["cut"], fates["200"]) > 0


@check("malformed")
async def _malformed(scene: Scene) -> None:
    broken = 0
    for _ in range(20):
        answer = await scene.avito.get(CHATS)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
        try:
            answer.json()
        except ValueError:
            broken += 1
    assert 0 < broken < 20


@check("wrong-shape")
async def _wrong_shape(scene: Scene) -> None:
    assert not isinstance((await scene.avito.get(CHATS)).json()["chats"], list)
    assert (await scene.avito.get(f"{CHATS}/{scene.chat.id}")).json() == []
    assert None in (await scene.avito.get(messages_of(scene.chat))).json()["messages"]


@check("oversized")
async def _oversized(scene: Scene) -> None:
    answer = await scene.avito.get(SELF)
    assert len(answer.content) > ENDLESS
    assert answer.json()["id"] == 101


@check("page-cap")
async def _page_cap(scene: Scene) -> None:
    last = (await scene.avito.get(f"{CHATS}?chat_types=u2i,u2u&limit=100&offset=1000")).json()["chats"]
    assert len(last) == 100
    assert len(scene.shop.chats) > PAST_THE_CAP > 1100
    assert await scene.status(f"{CHATS}?chat_types=u2i,u2u&offset=1100") == 400
    assert not scene.receiver.bodies


@check("token-expired")
async def _token_expired(scene: Scene) -> None:
    assert (await scene.avito.get(SELF)).json() == {"result": {"message": "access token expired"}}
    scene.avito.headers["authorization"] = f"Bearer {await get_token(scene.avito, scene.shop)}"
    assert await scene.status() == 200


@check("token-revoked")
async def _token_revoked(scene: Scene) -> None:
    assert await scene.status() == 403
    form = {"grant_type": "client_credentials", "client_id": "key", "client_secret": "secret"}
    assert (await scene.avito.post("/token", data=form)).status_code == 401


@check("unpaid")
async def _unpaid(scene: Scene) -> None:
    assert (await scene.status(CHATS), await scene.status()) == (402, 200)


@check("voice-expired")
async def _voice_expired(scene: Scene) -> None:
    await scene.sim.idle()
    voice = scene.receiver.values[0]["content"]["voice"]["voice_id"]
    answer = await scene.avito.get(f"/messenger/v1/accounts/101/getVoiceFiles?voice_ids={voice}")
    assert await scene.status(answer.json()["voices_urls"][voice]) == 403


@check("deleted")
async def _deleted(scene: Scene) -> None:
    await scene.sim.idle()
    same = scene.receiver.values[0]["id"]
    (last,) = [value for value in scene.receiver.values[1:] if value["id"] == same]
    assert (last["type"], last["content"]) == ("text", {"text": "Сообщение удалено"})


@check("bare-chat")
async def _bare(scene: Scene) -> None:
    await scene.sim.idle()
    chat = (await scene.avito.get(f"{CHATS}/{scene.receiver.values[0]['chat_id']}")).json()
    assert set(chat) == {"id", "created", "updated", "last_message"}


@check("author-0")
async def _nobody(scene: Scene) -> None:
    await scene.sim.idle()
    assert [value.get("author_id", "none") for value in scene.receiver.values] == [0, "none"]


@pytest.fixture
def scene(sim: Simulator, shop: Account, chat: Chat, avito: httpx2.AsyncClient, receiver: Receiver) -> Scene:
    return Scene(sim, shop, chat, avito, receiver)


@pytest.mark.parametrize("name", SCENARIOS)
async def test_a_scenario_does_what_it_says_and_ends(scene: Scene, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = scene.sim.policy.as_json()
    assert scene.sim.play(name).name == name
    await CHECKS[name](scene)
    scene.sim.end(name)
    await scene.sim.idle()
    assert (scene.sim.faults.armed, scene.sim.policy.as_json()) == ([], policy)
    assert (scene.shop.paid, scene.shop.revoked) == (True, False)
    scene.shop.subscription, scene.shop.stolen = "http://golub.test/hook", False
    scene.avito.headers["authorization"] = f"Bearer {await get_token(scene.avito, scene.shop)}"
    before = len(scene.receiver.bodies)
    await scene.say(1)
    assert len(scene.receiver.bodies) == before + 1
    assert await scene.status(CHATS) == 200


async def test_no_two_touch_the_same_switch() -> None:
    """They may be played together, and each puts back what was before it."""
    switches = [key for scenario in SCENARIOS.values() for key in (*scenario.policy, *scenario.shop)]
    assert len(switches) == len(set(switches))


async def test_the_same_seed_plays_the_same(time: Clock) -> None:
    async def story(seed: int) -> list[tuple[object, ...]]:
        receiver = Receiver()
        async with Simulator(seed=seed, clock=time, deliver=httpx2.ASGITransport(app=receiver)) as sim:
            sim.add_account(1).subscription = "http://golub.test/hook"
            sim.play("drop")
            for name in ("burst", "deleted", "author-0"):
                sim.play(name)
            await sim.idle()
            return [*sorted(sim.acked), *sorted(sim.dropped), *((m.id, m.text) for m in sim.world.walk())]

    assert await story(3) == await story(3)
    assert await story(3) != await story(4)


async def test_one_shop_has_trouble_and_its_neighbour_none(sim: Simulator, anyone: httpx2.AsyncClient) -> None:
    ill, well = sim.add_account(1), sim.add_account(2)
    sim.play("html", ill)
    for shop, status in ((ill, 502), (well, 200)):
        headers = {"authorization": f"Bearer {await get_token(anyone, shop)}"}
        for path in ("/messenger/v1/subscriptions", f"/messenger/v1/accounts/{shop.user_id}/uploadImages"):
            files = {"uploadfile[]": ("a.png", png())} if "upload" in path else None
            assert (await anyone.post(path, headers=headers, files=files)).status_code == status


async def test_what_waits_happens_at_the_first_webhook(
    sim: Simulator, avito: httpx2.AsyncClient, receiver: Receiver
) -> None:
    sim.stage.play("author-0", wait=True)
    sim.stage.play("bare-chat", wait=True)
    sim.end("bare-chat")
    assert not sim.world.chats
    for _ in range(2):
        await avito.post("/messenger/v3/webhook", json={"url": "http://golub.test/hook"})
    await sim.idle()
    assert [value["type"] for value in receiver.values] == ["system", "system"]


async def test_they_are_played_from_outside(sim: Simulator, shop: Account, anyone: httpx2.AsyncClient) -> None:
    listed = (await anyone.get("/_sim/scenarios")).json()["scenarios"]
    assert [one["name"] for one in listed] == list(SCENARIOS)
    assert all(one["says"].endswith(".") and not one["playing"] for one in listed)
    assert (await anyone.post("/_sim/scenario", json={"name": "unpaid", "account": 101})).status_code == 201
    assert (await anyone.post("/_sim/scenario", json={"name": "echo-first"})).status_code == 201
    assert (shop.paid, set(sim.stage.playing)) == (False, {"unpaid", "echo-first"})
    assert (await anyone.delete("/_sim/scenario?name=unpaid")).json() == {"ok": True}
    assert (shop.paid, sim.policy.echo_first) == (True, True)
    await anyone.delete("/_sim/scenario")
    assert not sim.policy.echo_first
    for body, status in (({"name": "nope"}, 400), ({"name": "drop", "account": 9}, 404), ({}, 400)):
        assert (await anyone.post("/_sim/scenario", json=body)).status_code == status


async def test_a_cut_answer_on_a_real_socket() -> None:
    bound, url = bind()
    async with (
        serving(Simulator(), bound),
        httpx2.AsyncClient(base_url=url, trust_env=False) as client,
    ):
        await client.post("/_sim/faults", json={"operation": "*", "cut": True, "times": 3})
        for path in ("/core/v1/accounts/self", "/messenger/v1/subscriptions", "/nothing"):
            with pytest.raises(httpx2.RemoteProtocolError):
                await client.get(path)
        assert (await client.get("/core/v1/accounts/self")).status_code == 401


def test_the_page_has_a_name_for_each() -> None:
    words = WORDS.read_text()
    assert {name: words.count(f'"scenario {name}":') for name in SCENARIOS} == dict.fromkeys(SCENARIOS, 2)


def test_the_guide_has_a_line_for_each() -> None:
    rows = [line for line in GUIDE.read_text().splitlines() if line.startswith("| `")]
    assert rows == [f"| `{scenario.name}` | {scenario.says} |" for scenario in SCENARIOS.values()]


def test_the_command_lists_and_plays(tmp_path: Path) -> None:
    golub = [sys.executable, "-c", "from golub.cli import main; main()", "simulate"]
    listed = CliRunner().invoke(cli, ["simulate", "--list-scenarios"]).stdout
    assert [line.split()[0] for line in listed.splitlines()] == list(SCENARIOS)
    wrong = CliRunner().invoke(cli, ["simulate", "--scenario", "nope"])
    assert (wrong.exit_code, "no such scenario: nope" in wrong.stderr) == (2, True)
    log = tmp_path / "log.jsonl"
    command = [*golub, "--port", "0", "--log", str(log), "--scenario", "unpaid", "--scenario", "drop"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        url = process.stdout.readline().split()[2]
        with httpx2.Client(base_url=url, trust_env=False) as client:
            assert not any(shop["paid"] for shop in client.get("/_sim/accounts").json()["accounts"])
            assert [fault["operation"] for fault in client.get("/_sim/faults").json()["faults"]] == ["webhook"]
        process.terminate()
        assert process.wait(20) == 0
    assert json.loads(log.read_text().splitlines()[0])["kind"] == "start"
