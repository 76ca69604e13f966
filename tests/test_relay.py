"""Forwarding: every delivery, as Avito sent it, in order per chat, at least once, whatever the other side does."""

import asyncio
import json
import os
import threading
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, event, func, select, update

from golub.apply import Applier
from golub.clock import DAY, HOUR, MINUTE, SECOND
from golub.errors import Conflict, Invalid, NotFound
from golub.guarded import Call, Failure
from golub.live import Live
from golub.model import Account, Delivery, DeliveryState, Relay, RelayedDelivery, RelayedState, RelayState, Webhook
from golub.relay import Relays
from golub.relay.courier import AT_ONCE, LEASE
from golub.relay.register import RELAYS_MOST, mask
from golub.relay.request import LONGEST_HOLD, PAUSES, headers_of, hold_after, pause_after
from golub.settings import Settings
from golub.spool import Received, Spool
from golub.store import Store
from tests import shapes, shop
from tests.conftest import SteppedClock
from tests.receiver import Receiver

CRM = "https://crm.example.com/hooks/avito"
HEADERS = [
    ["host", "golub.example.ru"],
    ["content-type", "application/json; charset=utf-8"],
    ["content-length", "3"],
    ["user-agent", "Go-http-client/1.1"],
    ["x-avito-messenger-signature", "5f" * 32],
    ["x-odd", "\u00ff\u00fe"],
    ["x-odd", "twice"],
    ["accept-encoding", "gzip"],
    ["connection", "keep-alive, x-for-the-proxy"],
    ["x-for-the-proxy", "1"],
    ["x-forwarded-for", "192.0.2.7"],
    ["x-forwarded-proto", "https"],
    ["x-real-ip", "192.0.2.7"],
    ["forwarded", "for=192.0.2.7"],
    ["via", "1.1 proxy"],
    ["cookie", "a=b"],
    ["transfer-encoding", "chunked"],
]


class Post:
    """What Avito sends comes in here, and what goes out arrives at `receiver`."""

    def __init__(self, store: Store, folder: Path, clock: SteppedClock) -> None:
        self.store = store
        self.clock = clock
        self.settings = Settings.model_validate({"data_dir": folder, "public_url": "https://golub.example.ru"})
        self.receiver = Receiver()
        self.spool = Spool(folder / "node", quota=8 << 20, clock=clock)
        self.spool.start()
        self.applier = Applier(self.spool, store, Live(), clock)
        self.relays = self.process()
        self.account_id = self.add_account(shapes.USER_ID, "https://golub.example.ru/webhook/avito/" + "s" * 43)

    def process(self) -> Relays:
        """Another process's relays, on the same database."""
        return Relays(self.store, shop.VAULT, self.settings, self.clock, self.receiver.guarded())

    def add_account(self, user_id: int, webhook: str) -> int:
        with self.store.writing() as connection:
            account = self.store.insert(Account).values(
                user_id=user_id, client_id="id", client_secret=b"", created_at=self.clock()
            )
            account_id = connection.execute(account.returning(Account.id)).scalar_one()
            connection.execute(
                self.store.insert(Webhook).values(
                    account_id=account_id, url=webhook, types=["message"], created_at=0, updated_at=0
                )
            )
            return account_id

    async def arrive(
        self, *bodies: bytes, bare: bool = False, account_id: int = 0, headers: list[list[str]] = HEADERS
    ) -> list[bytes]:
        """Received, acked and applied. Returns the deliveries' ids."""
        ids: list[bytes] = []
        for body in bodies:
            received = Received(
                id=os.urandom(16),
                received_at=self.clock(),
                account_id=None if bare else account_id or self.account_id,
                token_id=None if bare else 1,
                address="192.0.2.7",
                headers=json.dumps(headers).encode(),
                body=body,
            )
            await self.spool.put(received)
            ids.append(received.id)
        await asyncio.to_thread(self.applier.drain)
        return ids

    async def send(self, relays: Relays | None = None) -> None:
        """All that can go now, to the last."""
        before = -1
        while before < len(self.receiver.got):
            before = len(self.receiver.got)
            await (relays or self.relays).run_once()

    async def rows(self) -> list[RelayedDelivery]:
        async with self.store.read() as session:
            return list(await session.scalars(select(RelayedDelivery).order_by(RelayedDelivery.id)))

    async def count(self, *conditions: Any) -> int:
        async with self.store.read() as session:
            counted = select(func.count()).select_from(RelayedDelivery).where(*conditions)
            return await session.scalar(counted) or 0

    async def states(self) -> list[str]:
        return [row.state for row in await self.rows()]


@pytest.fixture
async def post(store: Store, tmp_path: Path, clock: SteppedClock) -> AsyncGenerator[Post]:
    made = Post(store, tmp_path, clock)
    yield made
    await asyncio.to_thread(made.applier.stop)
    await asyncio.to_thread(made.spool.close)


def said(number: int, chat: str = "u2i-abc") -> bytes:
    return shapes.message(id=f"m-{chat}-{number}", chat_id=chat, content={"text": f"{chat} №{number}"})


async def test_bytes_and_headers_are_those_that_avito_sent(post: Post) -> None:
    await post.relays.add(post.account_id, CRM)
    odd = b' {"id": "x",\r\n "payload" : {"type":"message" , "value": ' + json.dumps(shapes.value()).encode() + b"}}\n"
    (delivery,) = await post.arrive(odd)
    await post.send()
    (got,) = post.receiver.got
    assert got.url == CRM
    assert got.body == odd
    assert sorted(got.headers) == sorted(
        [
            (b"host", b"crm.example.com"),
            (b"content-length", str(len(odd)).encode()),
            (b"content-type", b"application/json; charset=utf-8"),
            (b"user-agent", b"Go-http-client/1.1"),
            (b"x-avito-messenger-signature", b"5f" * 32),
            (b"x-odd", b"\xff\xfe"),
            (b"x-odd", b"twice"),
            (b"accept-encoding", b"gzip"),
            (b"x-golub-delivery", delivery.hex().encode()),
        ]
    )
    assert await post.states() == [RelayedState.SENT]


async def test_a_real_socket_gets_the_same_bytes(post: Post) -> None:
    """And http on this very machine is only for a simulator."""
    requests: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        requests.append(head + await reader.readexactly(length))
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/bot"
    with pytest.raises(Invalid):
        await post.relays.add(post.account_id, url)
    settings = post.settings.model_copy(update={"allow_loopback_webhook": True})
    relays = Relays(post.store, shop.VAULT, settings, post.clock)
    await relays.add(post.account_id, url)
    body = said(1)
    (delivery,) = await post.arrive(body)
    await post.send(relays)
    server.close()
    (request,) = requests
    head, _, sent = request.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /bot HTTP/1.1\r\n")
    assert sent == body
    assert b"x-odd: \xff\xfe\r\n" in head
    assert f"x-golub-delivery: {delivery.hex()}".encode() in head


async def test_without_a_relay_nothing_is_queued_and_no_statement_is_run(post: Post) -> None:
    other = post.add_account(9_009, "https://golub.example.ru/webhook/avito/" + "o" * 43)
    await post.relays.add(other, CRM)
    statements: list[str] = []

    @event.listens_for(post.store._apply, "before_cursor_execute")
    def _(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        statements.append(statement)

    await post.arrive(said(1))
    assert statements
    assert not any("relayed_deliveries" in statement for statement in statements)
    assert await post.rows() == []


async def test_what_is_forwarded_and_what_is_not(post: Post) -> None:
    await post.relays.add(post.account_id, CRM)
    broken = b"{not json"
    ignored = shapes.envelope(shapes.value(), payload={"type": "chat", "value": {"id": "u2i-abc"}})
    quoted = json.dumps(ignored).encode()
    await post.arrive(said(1), broken, quoted)
    await post.arrive(b"{}", b"")  # probes
    await post.arrive(said(2), headers=[["x-golub-delivery", "ab" * 16]])  # another Golub's
    await post.arrive(said(3), bare=True)  # a stranger's: Avito knows our secret
    await post.send()
    assert sorted(post.receiver.bodies) == sorted([said(1), broken, quoted])


async def test_on_the_bare_path_avito_s_own_deliveries_are_forwarded(post: Post) -> None:
    bare = post.add_account(9_009, "https://golub.example.ru/webhook/avito")
    await post.relays.add(bare, CRM)
    await post.arrive(shapes.message(user_id=9_009), shapes.message(user_id=1), bare=True)
    await post.send()
    assert post.receiver.bodies == [shapes.message(user_id=9_009)]


async def test_a_delivery_that_is_drained_twice_is_forwarded_once(post: Post) -> None:
    await post.relays.add(post.account_id, CRM)
    await post.arrive(said(1))
    post.spool.offer_again()
    await asyncio.to_thread(post.applier.drain)
    await post.send()
    assert post.receiver.bodies == [said(1)]


async def test_a_failing_delivery_holds_back_its_own_chat_only(post: Post) -> None:
    await post.relays.add(post.account_id, CRM)
    broken = {said(1, "u2i-a")}
    post.receiver.answer = lambda got: 500 if got.body in broken else 200
    await post.arrive(*(said(number, chat) for number in (1, 2, 3) for chat in ("u2i-a", "u2i-b")))
    await post.send()
    assert post.receiver.bodies.count(said(1, "u2i-a")) == 1
    assert [body for body in post.receiver.bodies if body not in broken] == [said(n, "u2i-b") for n in (1, 2, 3)]
    broken.clear()
    post.receiver.got.clear()
    post.clock.step(6 * SECOND)
    await post.send()
    assert post.receiver.bodies == [said(number, "u2i-a") for number in (1, 2, 3)]


async def test_order_holds_while_a_third_of_the_answers_are_errors(post: Post) -> None:
    await post.relays.add(post.account_id, CRM)
    chats = [f"u2i-{number}" for number in range(12)]
    await post.arrive(*(said(number, chat) for number in range(6) for chat in chats))
    post.receiver.answer = lambda _: (200, 503, 200)[len(post.receiver.got) % 3]
    arrived: list[bytes] = []
    answer = post.receiver.answer

    def keep(got: Any) -> int:
        status = answer(got)
        if status == 200:
            arrived.append(got.body)
        return status  # pyright: ignore[reportReturnType]

    post.receiver.answer = keep
    while await post.count(RelayedDelivery.due_at.is_not(None)):
        await post.send()
        post.clock.step(10 * MINUTE)
    for chat in chats:
        assert [body for body in arrived if body in [said(n, chat) for n in range(6)]] == [
            said(number, chat) for number in range(6)
        ]


async def test_the_schedule_of_the_standard_webhooks_then_given_up(post: Post) -> None:
    relay = await post.relays.add(post.account_id, CRM)
    post.receiver.answer = lambda got: 200 if got.body == said(2, "u2i-b") else 500
    (delivery,) = await post.arrive(said(1, "u2i-a"))
    tried: list[int] = []
    for pause in (0, *PAUSES):
        (row,) = [row for row in await post.rows() if row.due_at is not None]
        assert row.due_at is not None
        assert pause <= row.due_at - post.clock() <= pause * 1.1
        post.clock.now = row.due_at - 1
        await post.send()
        assert len(post.receiver.got) == len(tried)
        async with post.store.write() as session:  # others of its messages arrive: the relay as such is well
            await session.execute(update(Relay).values(failing_since=None, failures=0, held_until=0))
        post.clock.step(1)
        await post.send()
        tried.append(post.clock())
        assert len(post.receiver.got) == len(tried)
    assert len(tried) == 10
    assert 75 * HOUR < tried[-1] - tried[0] < 84 * HOUR
    assert {got.delivery for got in post.receiver.got} == {delivery.hex()}
    (row,) = await post.rows()
    assert (row.state, row.due_at, row.last_error, row.attempts) == (RelayedState.GIVEN_UP, None, "500", 10)
    (standing,) = (await post.relays.list_all())[post.account_id]
    assert (standing.waiting, standing.given_up) == (0, 1)
    (undelivered,) = await post.relays.list_given_up(relay.id)
    assert (undelivered.event_type, undelivered.last_error) == ("message", "500")


async def test_what_is_refused_for_its_bytes_is_given_up_soon_and_frees_its_chat(post: Post) -> None:
    await post.relays.add(post.account_id, CRM)
    post.receiver.answer = lambda got: 422 if got.body == said(1) else 200
    await post.arrive(said(1), said(2))
    for pause in (0, 6 * SECOND, 6 * MINUTE):
        assert said(2) not in post.receiver.bodies
        post.clock.step(pause)
        await post.send()
    assert await post.states() == [RelayedState.GIVEN_UP, RelayedState.SENT]


@pytest.mark.parametrize("status", [301, 302, 401, 404, 429, 500, 503])
async def test_everything_but_2xx_is_a_failure_that_is_tried_again(post: Post, status: int) -> None:
    await post.relays.add(post.account_id, CRM)
    post.receiver.answer = lambda _: (status, {"location": "https://elsewhere.example.com/"})
    await post.arrive(said(1))
    await post.send()
    (row,) = await post.rows()
    assert (row.state, row.last_error) == (RelayedState.QUEUED, str(status))
    assert len(post.receiver.got) == 1  # no redirect is followed
    post.receiver.answer = lambda _: 202
    post.clock.step(6 * SECOND)
    await post.send()
    assert await post.states() == [RelayedState.SENT]


@pytest.mark.parametrize(
    ("given", "hold"),
    [
        ("120", 120 * SECOND),
        ("Tue, 22 Sep 2026 13:33:20 GMT", 0),  # long ago
        ("999999999", LONGEST_HOLD),
        ("soon", 0),
        ("nan", 0),
        ("-5", 0),
    ],
)
async def test_a_receiver_that_asks_for_time_gets_it_within_reason(post: Post, given: str, hold: int) -> None:
    post.clock.now = 1_800_000_000_000
    await post.relays.add(post.account_id, CRM)
    post.receiver.answer = lambda _: (429, {"retry-after": given})
    await post.arrive(said(1, "u2i-a"))
    await post.send()
    post.receiver.answer = lambda _: 200
    await post.arrive(said(1, "u2i-b"))
    await post.send()
    assert len(post.receiver.got) == (1 if hold else 2)  # held: the other chat waits too
    post.clock.step(hold)
    await post.send()
    assert said(1, "u2i-b") in post.receiver.bodies


async def test_gone_switches_the_relay_off(post: Post) -> None:
    relay = await post.relays.add(post.account_id, CRM)
    post.receiver.answer = lambda _: 410
    await post.arrive(said(1), said(2))
    await post.send()
    await post.arrive(said(3))
    post.clock.step(DAY)
    await post.send()
    assert len(post.receiver.got) == 1
    assert (await post.relays.get(relay.id)).state == RelayState.GONE
    assert await post.states() == [RelayedState.GIVEN_UP] * 2
    post.receiver.answer = lambda _: 200
    await post.relays.resume(relay.id)
    assert await post.relays.send_again(relay.id) == 2
    await post.send()
    assert post.receiver.bodies[1:] == [said(1), said(2)]


async def test_a_crash_between_sending_and_recording_sends_again_under_the_same_id(post: Post) -> None:
    await post.relays.add(post.account_id, CRM)
    post.receiver.open.clear()
    (delivery,) = await post.arrive(said(1))
    dying = asyncio.create_task(post.relays.run_once())
    await post.receiver.arrived.acquire()
    dying.cancel()
    await asyncio.gather(dying, return_exceptions=True)
    post.receiver.open.set()
    after = post.process()
    await post.send(after)
    assert len(post.receiver.got) == 1  # its lease: the one who sends may be alive
    post.clock.step(LEASE)
    await post.send(after)
    assert [got.delivery for got in post.receiver.got] == [delivery.hex()] * 2
    assert await post.states() == [RelayedState.SENT]


async def test_two_processes_send_each_delivery_once(post: Post) -> None:
    await post.relays.add(post.account_id, CRM)
    await post.arrive(*(said(1, f"u2i-{number}") for number in range(40)))
    first, second = post.process(), post.process()
    while await post.count(RelayedDelivery.due_at.is_not(None)):
        await asyncio.gather(first.run_once(), second.run_once())
    assert len(post.receiver.got) == 40
    assert len({got.delivery for got in post.receiver.got}) == 40


async def test_no_more_than_a_few_at_once(post: Post) -> None:
    await post.relays.add(post.account_id, CRM)
    await post.arrive(*(said(1, f"u2i-{number}") for number in range(30)))
    post.receiver.open.clear()
    sending = asyncio.create_task(post.send())
    for _ in range(AT_ONCE):
        await post.receiver.arrived.acquire()
    post.receiver.open.set()
    await sending
    assert len(post.receiver.got) == 30
    assert post.receiver.most_at_once == AT_ONCE


async def test_a_receiver_that_is_down_is_left_alone_and_gets_everything_once_it_is_back(post: Post) -> None:
    await post.relays.add(post.account_id, CRM)
    post.receiver.answer = lambda _: 502
    chats = [f"u2i-{number}" for number in range(20)]
    await post.arrive(*(said(number, chat) for number in (1, 2) for chat in chats))
    until = post.clock() + 8 * HOUR
    while post.clock() < until:
        await post.send()
        post.clock.step(MINUTE)
    assert len(post.receiver.got) < 200
    post.receiver.got.clear()
    post.receiver.answer = lambda _: 200
    await post.arrive(said(1, "u2i-new"))  # whose success shows that the others need not wait for their next try
    post.clock.step(5 * MINUTE)
    await post.send()
    expected = [said(number, chat) for number in (1, 2) for chat in chats]
    assert sorted(post.receiver.bodies) == sorted([*expected, said(1, "u2i-new")])


async def test_after_a_day_of_failure_the_relay_waits_for_a_click(post: Post) -> None:
    relay = await post.relays.add(post.account_id, CRM)
    post.receiver.answer = lambda _: 500
    await post.arrive(said(1))
    while (await post.relays.get(relay.id)).state == RelayState.WORKING:
        await post.send()
        post.clock.step(HOUR)
        assert post.clock() < 1_790_000_000_000 + 2 * DAY
    tried = len(post.receiver.got)
    await post.arrive(said(2))
    post.clock.step(DAY)
    await post.send()
    assert len(post.receiver.got) == tried
    post.receiver.answer = lambda _: 200
    post.receiver.got.clear()
    await post.relays.resume(relay.id)
    await post.send()
    assert post.receiver.bodies == [said(1), said(2)]
    found = await post.relays.get(relay.id)
    assert (found.state, found.failing_since, found.last_ok_at) == (RelayState.WORKING, None, post.clock())


async def test_a_pause_keeps_what_comes(post: Post) -> None:
    relay = await post.relays.add(post.account_id, CRM)
    await post.relays.pause(relay.id)
    await post.arrive(said(1), said(2))
    post.clock.step(DAY)
    await post.send()
    assert post.receiver.got == []
    (standing,) = (await post.relays.list_all())[post.account_id]
    assert standing.waiting == 2
    await post.relays.resume(relay.id)
    await post.send()
    assert post.receiver.bodies == [said(1), said(2)]


async def test_a_replay_sends_everything_since_then_in_order(post: Post) -> None:
    relay = await post.relays.add(post.account_id, CRM)
    await post.arrive(said(1))
    await post.send()
    since = post.clock.step(HOUR)
    for number in (2, 3):
        await post.arrive(said(number))
        post.clock.step(SECOND)
        await post.send()
    await post.arrive(b"{}")
    await post.arrive(said(4))
    post.receiver.got.clear()
    assert await post.relays.replay(relay.id, since) == 3
    await post.send()
    assert post.receiver.bodies == [said(number) for number in (2, 3, 4)]
    assert await post.count() == 4


async def test_one_of_those_given_up_is_sent_again(post: Post) -> None:
    relay = await post.relays.add(post.account_id, CRM)
    await post.arrive(said(1, "u2i-a"), said(1, "u2i-b"))
    async with post.store.write() as session:
        values = {"state": RelayedState.GIVEN_UP, "due_at": None, "finished_at": post.clock()}
        await session.execute(update(RelayedDelivery).values(values))
    first = (await post.rows())[0]
    assert await post.relays.send_again(relay.id, first.id) == 1
    assert await post.relays.send_again(relay.id + 1, first.id + 1) == 0  # of another relay
    await post.send()
    assert post.receiver.bodies == [said(1, "u2i-a")]
    assert await post.states() == [RelayedState.SENT, RelayedState.GIVEN_UP]


async def test_sent_rows_are_removed_after_three_days(post: Post) -> None:
    await post.relays.add(post.account_id, CRM)
    await post.arrive(said(1))
    await post.send()
    post.clock.step(3 * DAY - 1)
    await post.send()
    assert await post.count() == 1
    post.clock.step(2 * MINUTE)
    await post.send()
    assert await post.count() == 0


@pytest.mark.parametrize(
    "url",
    [
        "http://crm.example.com/hook",
        "https://127.0.0.1/hook",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/hook",
        "https://router.local/hook",
        "https://golub.example.ru/webhook/avito/" + "s" * 43,
        "",
    ],
)
async def test_addresses_that_we_must_not_call_are_refused(post: Post, url: str) -> None:
    with pytest.raises(Invalid):
        await post.relays.add(post.account_id, url)


async def test_a_name_that_leads_into_our_network_is_not_called(post: Post) -> None:
    relays = Relays(post.store, shop.VAULT, post.settings, post.clock, post.receiver.guarded("10.0.0.7"))
    await relays.add(post.account_id, CRM)
    await post.arrive(said(1))
    await post.send(relays)
    assert post.receiver.got == []
    assert [row.last_error for row in await post.rows()] == ["closed"]


async def test_an_address_is_kept_sealed_and_once(post: Post) -> None:
    relay = await post.relays.add(post.account_id, f"{CRM}/k3y-1234567890?token=s3cret")
    assert b"s3cret" not in relay.url
    (standing,) = (await post.relays.list_all())[post.account_id]
    assert standing.url == "crm.example.com/hooks/avito/••••?••••"
    with pytest.raises(Conflict):
        await post.relays.add(post.account_id, f"{CRM}/k3y-1234567890?token=s3cret")
    with pytest.raises(NotFound):
        await post.relays.add(post.account_id + 77, CRM)
    for number in range(1, RELAYS_MOST):
        await post.relays.add(post.account_id, f"{CRM}/{number}")
    with pytest.raises(Conflict):
        await post.relays.add(post.account_id, CRM)


async def test_a_relay_goes_with_its_account_and_with_a_click(post: Post) -> None:
    relay = await post.relays.add(post.account_id, CRM)
    await post.arrive(said(1))
    await post.relays.remove(relay.id)
    await post.relays.remove(relay.id)
    assert await post.rows() == []
    with pytest.raises(NotFound):
        await post.relays.get(relay.id)
    await post.relays.add(post.account_id, CRM)
    async with post.store.write() as session:
        await session.execute(delete(Webhook))
        await session.execute(delete(Account).where(Account.id == post.account_id))
    assert await post.relays.list_all() == {}
    async with post.store.read() as session:
        assert await session.scalar(select(func.count()).select_from(Delivery)) == 1


@pytest.mark.postgres
async def test_a_relay_that_is_removed_meanwhile_costs_no_delivery(
    postgres_url: str, tmp_path: Path, clock: SteppedClock
) -> None:
    """Its row vanishes between apply's look and apply's commit. SQLite has one writer, and cannot come to that."""
    store = Store(postgres_url)
    post = Post(store, tmp_path, clock)
    relay = await post.relays.add(post.account_id, CRM)
    queueing = threading.Event()

    @event.listens_for(store._apply, "before_cursor_execute")
    def _(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        if "relayed_deliveries" in statement:
            queueing.set()

    async with store.write() as session:
        await session.execute(delete(Relay).where(Relay.id == relay.id))
        applying = asyncio.create_task(post.arrive(said(1)))
        assert await asyncio.to_thread(queueing.wait, 10)
    await applying
    async with store.read() as session:
        assert (await session.scalars(select(Delivery.state))).all() == [DeliveryState.APPLIED]
    assert await post.rows() == []
    await asyncio.to_thread(post.applier.stop)
    await asyncio.to_thread(post.spool.close)
    await store.close()


async def test_the_running_loop_forwards_at_once(post: Post) -> None:
    await post.relays.add(post.account_id, CRM)
    post.applier.on_relayed = post.relays.nudge
    running = asyncio.create_task(post.relays.run())
    await post.arrive(said(1))
    async with asyncio.timeout(10):
        await post.receiver.arrived.acquire()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def test_pauses_and_holds() -> None:
    down = Call(failure=Failure.TIMEOUT)
    assert [pause_after(tries, down, 0, 0) for tries in range(1, 11)] == [*PAUSES, None]
    assert pause_after(1, Call(status=503, retry_after="60"), 0, 0) == 60 * SECOND
    assert pause_after(1, Call(status=500, retry_after="60"), 0, 0) == 5 * SECOND
    assert [hold_after(failures, down, 0) for failures in (1, 2, 3, 50)] == [0, 0, 8 * SECOND, 5 * MINUTE]


def test_odd_headers_of_a_journal_do_no_harm() -> None:
    assert headers_of([["a"], "b", ["c", 1], 7, ["X-Golub-Delivery", "forged"]], b"\x01") == [
        ("c", "1"),
        ("x-golub-delivery", "01"),
    ]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://crm.example.com/", "crm.example.com"),
        ("https://crm.example.com/hooks/avito", "crm.example.com/hooks/avito"),
        ("https://crm.example.com/in/a1b2c3d4e5", "crm.example.com/in/••••"),
        ("https://crm.example.com/x?key=1", "crm.example.com/x?••••"),
    ],
)
def test_an_address_is_shown_without_its_secrets(url: str, shown: str) -> None:
    assert mask(url) == shown
