"""What every story needs: a simulated Avito on a real port, `golub serve` as a process of its own that it calls, and
the verdict at the end.

The simulator's log is the witness: what it got a 2xx for must be in the journal and among the messages, once. Avito's
API answers nothing but errors once the webhook stands, so nothing can be healed by reading it back.
"""

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random, SystemRandom
from typing import Any

from sqlalchemy import select

from golub.app import Golub
from golub.model import DEFAULT_EVENT_TYPES, Chat, Delivery, Message
from golub.settings import Settings
from golub.simulator import Simulator, read
from golub.simulator.serve import bind, serving
from golub.store import Store
from tests import processes
from tests.conftest import StartGolub

CHATS = 5
PATIENT = (0.5, 1, 2, 4, 8, 15, 30, 60, 120, *(240,) * 20)  # seconds between repeats: in the end all get through

Key = tuple[str, str]  # chat and message, as Avito names them


@dataclass
class Verdict:
    sent: int
    sent_missing: int  # matters only where Avito repeats what was not acked
    acked: int
    acked_missing: int
    applied_twice: int
    slowest: float  # ms, of the acked …
    slowest_refusal: float  # … and of those that got a 503
    statuses: Counter[int | None]

    @property
    def figures(self) -> dict[str, int]:
        counted = {"acked": self.acked, "acked_missing": self.acked_missing, "applied_twice": self.applied_twice}
        return counted | {"sent": self.sent, "slowest_ms": round(self.slowest)}

    def is_prompt(self, *, busy: bool = False) -> bool:
        """Each delivery had its 200 within Avito's two seconds. A `busy` machine, which has other things to do, may
        have been too late for one in ten of them; it never answered anything else."""
        late = self.statuses[None]
        told = self.statuses[200] > 0 and not self.statuses.keys() - {200, None}
        return told and (late * 10 <= self.sent if busy else late == 0 and self.slowest < 2000)

    def __str__(self) -> str:
        statuses = ", ".join(f"{status}: {number}" for status, number in sorted(self.statuses.items(), key=str))
        return (
            f"sent={self.sent} sent_missing={self.sent_missing} acked={self.acked} acked_missing={self.acked_missing} "
            f"applied_twice={self.applied_twice} slowest={self.slowest:.0f}ms answers=({statuses})"
        )


@dataclass
class Scene:
    simulator: Simulator
    golub: processes.Golub
    settings: Settings
    rng: Random
    log: Path
    spoken: int = field(default=0)

    async def talk(self, rate: float) -> None:
        """Buyers write, `rate` messages a second, until it is cancelled."""
        chats = list(self.simulator.world.chats.values())
        loop = asyncio.get_running_loop()
        began, before = loop.time(), self.spoken
        while True:
            while self.spoken - before < (loop.time() - began) * rate:
                self.spoken += 1
                self.simulator.buyer_says(self.rng.choice(chats), f"Сообщение {self.spoken}")
            await asyncio.sleep(1 / rate)  # the buyers' pace

    @asynccontextmanager
    async def talking(self, rate: float) -> AsyncGenerator[None]:
        """Buyers write while the block runs; afterwards every delivery has had its last answer."""
        talk = asyncio.create_task(self.talk(rate))
        try:
            yield
        finally:
            talk.cancel()
            await asyncio.wait([talk])
        await self.simulator.idle()

    async def acked(self, more: int) -> None:
        """Until so many more deliveries were acked."""
        before = len(self.simulator.acked)
        async with asyncio.timeout(processes.PATIENCE):
            while len(self.simulator.acked) < before + more:  # noqa: ASYNC110 - the oracle tells nobody
                await asyncio.sleep(0.01)  # between two looks

    async def applied(self, within: float) -> None:
        """Until the running process has applied all that was acked. Fails when it takes longer."""
        async with asyncio.timeout(within):
            while self._missing(read(self.log).acked, await self._stored()):  # noqa: ASYNC110 - another process: nothing tells us
                await asyncio.sleep(0.05)  # between two looks at the database

    async def judge(self) -> Verdict:
        """Once the process has ended: applies what it left in its spool, and compares."""
        async with Golub(self.settings).working() as parts:
            assert await asyncio.to_thread(parts.applier.wait_applied, processes.PATIENCE)
        stored = messages, journal = await self._stored()
        witness = read(self.log)
        posts = Counter((r["chat"], r["message"]) for r in witness.records if r["kind"] == "sent")
        answers = [r for r in witness.records if r["kind"] == "answer"]
        twice = [key for key, number in messages.items() if number > 1]
        twice += [key for key, number in journal.items() if number > posts[key]]
        verdict = Verdict(
            sent=len(witness.sent),
            sent_missing=len(self._missing(witness.sent, stored)),
            acked=len(witness.acked),
            acked_missing=len(self._missing(witness.acked, stored)),
            applied_twice=len(twice),
            slowest=max((r["ms"] for r in answers if r["acked"]), default=0.0),
            slowest_refusal=max((r["ms"] for r in answers if r["status"] == 503), default=0.0),
            statuses=Counter(r["status"] for r in answers),
        )
        print(f"\nseed={self.simulator.seed} {verdict}", file=sys.stderr)
        return verdict

    def _missing(self, wanted: set[tuple[int, str, str]], stored: tuple[Counter[Key], Counter[Key]]) -> set[Key]:
        messages, journal = stored
        return {(chat, message) for _, chat, message in wanted} - (messages.keys() & journal.keys())

    async def _stored(self) -> tuple[Counter[Key], Counter[Key]]:
        """How often each message is among the messages, and in the journal."""
        store = Store(self.settings.effective_database_url)
        try:
            async with store.read() as session:
                rows = await session.execute(select(Chat.avito_id, Message.avito_id).join(Chat))
                messages = Counter((row[0], row[1]) for row in rows)
                named = select(Delivery.chat_avito_id, Delivery.message_avito_id)
                rows = await session.execute(named.where(Delivery.token_id.is_not(None)))  # others are not Avito's
                return messages, Counter((row[0], row[1]) for row in rows)
        finally:
            await store.close()


def free_address() -> str:
    """For a process that is started and killed on it. Below the ports that the kernel gives away by itself: another
    story may be running beside this one, and a client that finds nobody there must not meet itself."""
    while True:
        with suppress(OSError):
            bound, url = bind(port=SystemRandom().randrange(10_000, 32_000))
            bound.close()
            return url


@asynccontextmanager
async def scene(
    tmp_path: Path,
    start: StartGolub,
    *,
    seed: int,
    database_url: str = "",
    folder: Path | None = None,
    retries: Sequence[float] = (),
    program: Sequence[str] = processes.PROGRAM,
    **environment: str,
) -> AsyncGenerator[Scene]:
    """A shop whose webhook is registered at a serving process. Without `retries` Avito repeats nothing: what is lost
    stays lost. `folder` is where the process lives, by default below `tmp_path`."""
    bound, avito_url = bind()
    log = tmp_path / "oracle.jsonl"
    simulator = Simulator(log, seed=seed, base_url=avito_url, retries=retries)
    shop = simulator.add_account(94_235_311, "Лавка")
    for number in range(CHATS):
        simulator.add_chat(shop, f"Покупатель {number}")
    own_url = free_address()
    chosen: dict[str, Any] = {
        "data_dir": folder or tmp_path / "golub",
        "database_url": database_url,
        "port": own_url.rpartition(":")[2],
        "public_url": own_url,
        "avito_url": avito_url,
        "allow_loopback_webhook": "true",
    }
    settings = Settings.model_validate(chosen)
    async with serving(simulator, bound):
        async with Golub(settings).working() as parts:
            account = (await parts.accounts.connect(shop.client_id, shop.client_secret)).account
            url = parts.subscriptions.recommended_url()
            await parts.subscriptions.register(account.id, url, DEFAULT_EVENT_TYPES, skip_probe=True)
        simulator.fault("*", status=500, times=None)
        given = {f"GOLUB_{name.upper()}": str(value) for name, value in chosen.items()}
        golub = await start("serve", program=program, **given, **environment)
        golub.folder = settings.data_dir
        yield Scene(simulator, golub, settings, Random(seed), log)
