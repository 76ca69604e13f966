"""Delivers webhooks as Avito does: one POST an event, a short timeout, no order promised, retries by policy.

Everything it sends and every answer goes to the oracle's log first. `idle` returns when each queued event has reached
its final answer. Nothing here knows why an event happened.
"""

import asyncio
import hashlib
import hmac
import ssl
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from random import Random
from typing import Any

import httpx2

from golub.simulator import wire
from golub.simulator.faults import Faults
from golub.simulator.oracle import Oracle, OracleLog
from golub.simulator.policy import Policy
from golub.simulator.signing import SCHEMES
from golub.simulator.world import Account, Delivery

KEEPALIVE_SECONDS = 2.0  # below the 5 s after which most servers hang up, so that no POST meets a closing socket
KEPT_RECORDS = 20_000  # of the log, in memory, for the page and the control API


@dataclass(slots=True, eq=False)
class Event:
    """One event on its way. `value` is what a webhook carries; `raw` stands in for the whole body."""

    account: Account
    change: str
    at: int
    value: dict[str, Any] = field(default_factory=dict[str, Any])
    raw: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    content_type: str = "application/json"
    fate: Delivery = field(default_factory=Delivery)
    envelope: str = ""
    finished: asyncio.Event = field(default_factory=asyncio.Event)


class Deliveries:
    """The queue, its workers and the truth about both. Use it from one event loop only."""

    def __init__(
        self,
        policy: Policy,
        faults: Faults,
        log: OracleLog,
        rng: Random,
        clock: Callable[[], float],
        transport: httpx2.AsyncBaseTransport | None,
    ) -> None:
        self.oracle = Oracle()
        self._policy = policy
        self._faults = faults
        self._log = log
        self._rng = rng
        self._clock = clock
        self._transport = transport
        self._queue: asyncio.Queue[Event] = asyncio.Queue()
        self._workers: set[asyncio.Task[None]] = set()
        self._later: set[asyncio.TimerHandle] = set()
        self._open = 0  # events without a final answer
        self._idle = asyncio.Event()
        self._broken: BaseException | None = None
        self._idle.set()
        self._unverifiable = rng.randbytes(32)

    @property
    def backlog(self) -> int:
        return self._open

    def start(self) -> None:
        for number in range(self._policy.concurrency):
            worker = asyncio.create_task(self._work(), name=f"deliver {number}")
            worker.add_done_callback(self._ended)
            self._workers.add(worker)

    async def close(self) -> None:
        for handle in self._later:
            handle.cancel()
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        self._workers.clear()

    async def idle(self) -> None:
        """Raises what ended a worker, such as a log that cannot be written: then nothing it says is worth anything."""
        await self._idle.wait()
        if self._broken:
            raise self._broken

    def queue(self, event: Event) -> Event:
        """Takes an event; it leaves now, late, several times or never, by faults, policy and subscription."""
        reason, delay = self._fate(event)
        if reason:
            event.fate.state, event.fate.reason = "dropped", reason
            self._record("dropped", event, reason=reason)
            event.finished.set()
            return event
        self._open += 1
        self._idle.clear()
        self._send_later(event, delay)
        for _ in range(self._policy.duplicates if event.raw is None else 0):
            copy = Event(event.account, event.change, event.at, event.value)
            self._open += 1
            self._send_later(copy, delay)
        return event

    async def probe(self, url: str) -> bool:
        """What Avito asks one to try by hand: `curl --connect-timeout 2 URL -d '{}'` must answer 200."""
        form = {"content-type": "application/x-www-form-urlencoded"}
        try:
            async with asyncio.timeout(self._policy.timeout):
                async with self._client() as client:
                    return (await client.post(url, content=b"{}", headers=form)).status_code == 200
        except (TimeoutError, httpx2.HTTPError, httpx2.InvalidURL):
            return False

    def _fate(self, event: Event) -> tuple[str, float]:
        if fault := self._faults.take("webhook", event.account.user_id):
            if not fault.delay:
                return "fault", 0.0
            return "", fault.delay
        if not event.account.subscription:
            return "no subscription", 0.0
        return ("stolen subscription" if event.account.stolen else ""), 0.0

    def _send_later(self, event: Event, delay: float) -> None:
        if delay <= 0:
            self._queue.put_nowait(event)
            return

        def due() -> None:
            self._later.discard(handle)
            self._queue.put_nowait(event)

        handle = asyncio.get_running_loop().call_later(delay, due)
        self._later.add(handle)

    def _client(self) -> httpx2.AsyncClient:
        """A client of one worker: pools of one connection a host are 3× as fast as one pool that all search."""
        if self._transport is not None:
            return httpx2.AsyncClient(transport=self._transport, trust_env=False)
        young = httpx2.Limits(keepalive_expiry=KEEPALIVE_SECONDS)
        return httpx2.AsyncClient(verify=self._trust, limits=young, trust_env=False)

    @cached_property
    def _trust(self) -> ssl.SSLContext:
        """One for all workers, made when the first of them needs it: to read the certificates takes 50 ms."""
        return httpx2.create_ssl_context(trust_env=False)

    def _ended(self, worker: asyncio.Task[None]) -> None:
        if not worker.cancelled() and (problem := worker.exception()):
            self._broken = problem
            self._idle.set()

    async def _work(self) -> None:
        async with self._client() as client:
            await self._deliver_with(client)

    async def _deliver_with(self, client: httpx2.AsyncClient) -> None:
        while True:
            event = await self._queue.get()
            acked = await self._attempt(client, event)
            again = event.fate.state == "pending" and not acked and event.fate.attempts <= len(self._policy.retries)
            if again:
                self._send_later(event, self._policy.retries[event.fate.attempts - 1])
                continue
            if event.fate.state == "pending":
                event.fate.state = "acked" if acked else "failed"
            event.finished.set()
            self._open -= 1
            if not self._open:
                self._idle.set()

    async def _attempt(self, client: httpx2.AsyncClient, event: Event) -> bool:
        """One POST. True when it was acked and the log of that is on the disk."""
        url = event.account.subscription
        if not url or event.account.stolen:  # unsubscribed or stolen while it waited
            event.fate.state, event.fate.reason = "dropped", "no subscription"
            self._record("dropped", event, reason=event.fate.reason)
            return False
        event.fate.attempts += 1
        if not event.envelope or not self._policy.same_envelope:
            event.envelope = str(uuid.UUID(int=self._rng.getrandbits(128), version=4))
        body = wire.webhook_body(event.envelope, event.at, event.value) if event.raw is None else event.raw
        self._record("sent", event, attempt=event.fate.attempts)
        started = time.monotonic()
        status, problem = await self._post(client, url, body, event)
        acked = status is not None and 200 <= status < 300
        event.fate.status, event.fate.ms = status, round((time.monotonic() - started) * 1000, 1)
        event.fate.reason = problem
        answer = self._record(
            "answer",
            event,
            attempt=event.fate.attempts,
            status=status,
            ms=event.fate.ms,
            acked=acked,
            **({"error": problem} if problem else {}),
        )
        if acked:
            await self._log.synced()
        self.oracle.take(answer)
        return acked

    async def _post(self, client: httpx2.AsyncClient, url: str, body: bytes, event: Event) -> tuple[int | None, str]:
        headers = {"content-type": event.content_type, wire.SIGNATURE_HEADER: self._signature(url, body, event)} | {
            name.lower(): value for name, value in event.headers.items()
        }
        try:
            async with asyncio.timeout(self._policy.timeout):
                answer = await client.post(url, content=body, headers=headers, timeout=None)
                return answer.status_code, ""
        except TimeoutError:
            return None, "timeout"
        except (httpx2.HTTPError, httpx2.InvalidURL) as problem:
            return None, type(problem).__name__
        except Exception as problem:  # noqa: BLE001 - an ASGI receiver that raised is, to Avito, a dead connection
            return None, f"receiver raised {type(problem).__name__}"

    def _signature(self, url: str, body: bytes, event: Event) -> str:
        if self._policy.signature_scheme is not None:
            return SCHEMES[self._policy.signature_scheme](event.account, url, event.envelope, body)
        secret = self._policy.signature_secret
        key = secret.encode() if secret is not None else self._unverifiable
        return hmac.new(key, body, hashlib.sha256).hexdigest()

    def _record(self, kind: str, event: Event, **more: Any) -> dict[str, Any]:
        record: dict[str, Any] = {
            "kind": kind,
            "at": round(self._clock(), 3),
            "envelope": event.envelope,
            "account": event.account.user_id,
            "chat": event.value.get("chat_id", ""),
            "message": event.value.get("id", ""),
            "change": event.change,
        } | more
        self._log.write(record)
        if kind != "answer":  # an answer counts only once its line is on the disk
            self.oracle.take(record)
        if len(self.oracle.records) > KEPT_RECORDS:
            del self.oracle.records[: KEPT_RECORDS // 2]
        return record
