"""The simulator on a real socket and as a process that ends cleanly."""

import signal
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from golub.simulator import Simulator, read
from golub.simulator.serve import bind, serving
from tests.simulator.conftest import Receiver


async def test_webhooks_over_real_sockets(log_path: Path) -> None:
    """One simulator delivers to another one's control API: two servers, and nothing in between is replaced."""
    there, here = bind(), bind()
    receiver = Simulator(base_url=there[1])
    async with (
        serving(receiver, there[0]),
        serving(Simulator(log_path, base_url=here[1]), here[0]),
        httpx2.AsyncClient(base_url=here[1], trust_env=False) as client,
    ):
        await client.post("/_sim/accounts", json={"user_id": 1})
        await client.patch("/_sim/accounts/1", json={"subscription": f"{there[1]}/_sim/accounts/1/expire"})
        chat = (await client.post("/_sim/accounts/1/chats", json={"buyer": "Анна", "text": "привет"})).json()
        truth = (await client.get("/_sim/idle")).json()
        assert (truth["sent"], truth["acked"]) == (1, 0)  # that account is unknown there: 404
        receiver.add_account(1)
        await client.post(f"/_sim/chats/{chat['id']}/messages", json={"text": "ещё"})
        assert (await client.get("/_sim/idle")).json()["acked"] == 1
        picture = (await client.get(chat["item"]["picture"])).raise_for_status()
        assert picture.headers["content-type"] == "image/jpeg"
    assert len(read(log_path).acked) == 1


async def test_a_dead_receiver_is_a_failure_and_no_more(sim: Simulator, receiver: Receiver) -> None:
    bound, url = bind()
    bound.close()
    async with Simulator() as alone:
        shop = alone.add_account(1)
        shop.subscription = f"{url}/hook"
        message = alone.buyer_says(alone.add_chat(shop), "привет")
        await alone.idle()
    assert message.delivery
    assert (message.delivery.state, message.delivery.reason) == ("failed", "ConnectError")


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_the_process_ends_cleanly(tmp_path: Path, ending: signal.Signals) -> None:
    program = (
        "import sys, pathlib; from golub.simulator.serve import run; "
        "run('127.0.0.1', 0, log_path=pathlib.Path(sys.argv[1]), pace=5.0)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "log.jsonl")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout
        url = process.stdout.readline().split()[2]
        with httpx2.Client(base_url=url, trust_env=False) as client:
            assert len(client.get("/_sim/accounts").json()["accounts"]) == 3
        process.send_signal(ending)
        rest = process.stdout.read()
        assert process.wait(20) == 0, rest
    assert "Traceback" not in rest
