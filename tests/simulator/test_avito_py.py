"""A third published client, avito-py: the whole way from chats to subscriptions, as it is but for the host.

It wants Python 3.12, so it runs as a process of its own: with the first such Python that this machine has, with its
wheel unpacked beside it (by hash), and with the pure-Python libraries that it needs from our own environment. Of what
comes it reads ids more than words: it looks for a message's text where the specification has none.
"""

import asyncio
import json
import os
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import httpx2
import pytest
from PIL import Image

from golub.simulator import Simulator
from golub.simulator.serve import bind, serving
from tests import machine
from tests.simulator.conftest import Receiver
from tests.simulator.test_clients import HOOK, HOOKED, KINDS, READ, WRITTEN

HERE = Path(__file__).parent
PINNED = HERE / "avito-py.txt"


@pytest.fixture(scope="module")
def python() -> str:
    machine.must_have(machine.Need.PYTHON_312)
    return machine.newer_python() or ""


@pytest.fixture(scope="module")
def unpacked(python: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its wheel and nothing else; after the first time out of uv's cache."""
    folder = tmp_path_factory.mktemp("avito-py")
    command = [machine.UV, "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--python", python]
    done = subprocess.run([*command, "--target", folder, "-r", PINNED], capture_output=True, text=True, check=False)
    if done.returncode:
        machine.must_have(machine.Need.AVITO_PY)
    assert done.returncode == 0, done.stderr
    return folder


async def test_avito_py(receiver: Receiver, python: str, unpacked: Path, tmp_path: Path) -> None:
    bound, url = bind()
    sim = Simulator(base_url=url, deliver=httpx2.ASGITransport(app=receiver))
    chat = sim.add_chat(sim.add_account(101, "Лавка", "key", "secret"), "Анна")
    for kind in KINDS:
        sim.buyer_says(chat, "Здравствуйте!" if kind == "text" else "", type=kind, quiet=True)
    Image.new("RGB", (40, 30), (200, 30, 30)).save(tmp_path / "a.png")
    async with serving(sim, bound):
        walking = await asyncio.create_subprocess_exec(
            python, HERE / "avito_py_walk.py", url, tmp_path / "a.png", HOOK,
            env={"PATH": os.environ["PATH"], "NO_PROXY": "127.0.0.1",
                 "PYTHONPATH": os.pathsep.join([str(unpacked), sysconfig.get_path("purelib")])},
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert walking.stdout
        async with asyncio.timeout(60):
            await walking.stdout.readline()
            told, complaint = await walking.communicate("\n".join(sim.world.images).encode() + b"\n")
        assert walking.returncode == 0, complaint.decode()[-2000:]
        sim.buyer_says(chat, "А доставка есть?")
        await sim.idle()
    saw: dict[str, Any] = json.loads(told)
    history = [message.id for message in chat.history]
    assert saw["chats"] == [chat.id]
    assert saw["messages"] == history[: len(KINDS)][::-1]
    assert [saw["sent"], saw["shown"]] == history[len(KINDS) : -1]
    assert [(one.type, one.text) for one in chat.history if one.outgoing] == [("text", "Да, в наличии"), ("image", "")]
    assert (saw["read"], saw["subscribed"], saw["subscriptions"]) == (True, True, [HOOK])
    assert receiver.events[-1]["payload"]["value"]["content"]["text"] == "А доставка есть?"
    assert {call.status for call in sim.calls} == {200}
    assert {call.operation for call in sim.calls} == READ | WRITTEN | HOOKED | {"token", "chatRead"}
