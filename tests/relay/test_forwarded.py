"""What is forwarded, to the byte, and what is not."""

import asyncio
import json
import threading
from pathlib import Path

import pytest
from sqlalchemy import delete, event, select

from golub.errors import Invalid
from golub.model import Delivery, DeliveryState, Relay, RelayedState
from golub.relay import Relays
from golub.relay.request import headers_of
from golub.store import Store
from tests import shapes, shop
from tests.conftest import SteppedClock
from tests.relay.post import CRM, Post, said


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


def test_odd_headers_of_a_journal_do_no_harm() -> None:
    assert headers_of([["a"], "b", ["c", 1], 7, ["X-Golub-Delivery", "forged"]], b"\x01") == [
        ("c", "1"),
        ("x-golub-delivery", "01"),
    ]


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


async def test_a_name_that_leads_into_our_network_is_not_called(post: Post) -> None:
    relays = Relays(post.store, shop.VAULT, post.settings, post.clock, post.receiver.guarded("10.0.0.7"))
    await relays.add(post.account_id, CRM)
    await post.arrive(said(1))
    await post.send(relays)
    assert post.receiver.got == []
    assert [row.last_error for row in await post.rows()] == ["closed"]
