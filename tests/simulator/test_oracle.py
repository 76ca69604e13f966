"""The log that judges: never more generous than the truth, and readable after any end."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx2

from golub.simulator import Chat, Simulator, read
from tests.simulator.conftest import Receiver


async def test_the_file_says_what_the_simulator_says(
    sim: Simulator, chat: Chat, receiver: Receiver, log_path: Path
) -> None:
    receiver.answers = [200, 500]
    for text in ("раз", "два", "три"):
        sim.buyer_says(chat, text)
    sim.fault("webhook")
    sim.buyer_says(chat, "потеряно")
    await sim.idle()
    oracle = read(log_path)
    assert (oracle.sent, oracle.acked, oracle.dropped) == (sim.sent, sim.acked, sim.dropped)
    assert (len(oracle.sent), len(oracle.acked), len(oracle.dropped), oracle.torn) == (3, 2, 1, 0)
    assert oracle.happened == {message.key for message in chat.history}
    answer = next(record for record in oracle.records if record["kind"] == "answer")
    assert {"at", "envelope", "account", "chat", "message", "attempt", "status", "ms", "acked"} <= set(answer)


async def test_sent_is_written_before_the_request_leaves(log_path: Path) -> None:
    seen: list[int] = []

    async def look(scope: object, receive: object, send: object) -> None:
        seen.append(len(read(log_path).sent))
        raise ConnectionError

    async with Simulator(log_path, deliver=httpx2.ASGITransport(app=look)) as sim:
        shop = sim.add_account(1)
        shop.subscription = "http://golub.test/"
        message = sim.buyer_says(sim.add_chat(shop), "привет")
        await sim.idle()
    assert seen == [1]
    assert message.delivery
    assert (message.delivery.state, message.delivery.reason) == ("failed", "receiver raised ConnectionError")


def test_a_torn_line_costs_itself_only(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    whole = '{"kind":"sent","at":1,"envelope":"e","account":1,"chat":"c","message":"%s","change":"new","attempt":1}\n'
    path.write_text(whole % "a" + (whole % "b")[:40])
    assert read(path).sent == {(1, "c", "a")}
    assert read(path).torn == 1
    Simulator(path).log.close()
    path.write_text(path.read_text() + whole % "c")
    assert read(path).sent == {(1, "c", "a"), (1, "c", "c")}


async def test_a_second_run_on_the_same_log_makes_other_ids(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    ids: list[str] = []
    for _ in range(2):
        async with Simulator(path, seed=7) as sim:
            chat = sim.add_chat(sim.add_account(1))
            ids += [chat.id, sim.buyer_says(chat, "привет").id]
    assert len(set(ids)) == 4


def test_what_was_acked_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    program = """
import asyncio, pathlib, sys, httpx2
from golub.simulator import Simulator
async def ok(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})
async def main():
    async with Simulator(pathlib.Path(sys.argv[1]), deliver=httpx2.ASGITransport(app=ok)) as sim:
        shop = sim.add_account(1)
        shop.subscription = "http://golub.test/"
        chat = sim.add_chat(shop)
        for number in range(200):
            sim.buyer_says(chat, str(number))
        await sim.idle()
        print(len(sim.acked), flush=True)
        sim.buyer_says(chat, "last")
        await asyncio.Event().wait()
asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        acked = int(process.stdout.readline())
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    oracle = read(path)
    assert acked == 200
    assert len(oracle.acked) >= 200
    assert oracle.acked <= oracle.sent
