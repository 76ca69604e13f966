"""Whatever the other side answers: tried again for three days, left alone while it is down, and given up in the end."""

from typing import Any

import pytest
from sqlalchemy import event, update

from golub.clock import DAY, HOUR, MINUTE, SECOND
from golub.guarded import Call, Failure
from golub.jumps import Jumps
from golub.model import Relay, RelayedState, RelayState
from golub.relay.request import LONGEST_HOLD, PAUSES, hold_after, hold_asked, pause_after
from tests.relay.post import CRM, Post, said


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


async def test_everything_but_2xx_is_a_failure_that_is_tried_again(post: Post) -> None:
    await post.relays.add(post.account_id, CRM)
    for number, status in enumerate((301, 302, 401, 404, 429, 500, 503)):
        post.receiver.answer = lambda _, status=status: (status, {"location": "https://elsewhere.example.com/"})
        post.receiver.got.clear()
        await post.arrive(said(number))
        await post.send()
        row = (await post.rows())[-1]
        assert (row.state, row.last_error) == (RelayedState.QUEUED, str(status))
        assert len(post.receiver.got) == 1  # no redirect is followed
        post.receiver.answer = lambda _: 202
        post.clock.step(6 * SECOND)
        await post.send()
        assert await post.states() == [RelayedState.SENT] * (number + 1)


async def test_a_receiver_that_asks_for_time_gets_it_within_reason(post: Post) -> None:
    await post.relays.add(post.account_id, CRM)
    post.receiver.answer = lambda _: (429, {"retry-after": "120"})
    await post.arrive(said(1, "u2i-a"))
    await post.send()
    post.receiver.answer = lambda _: 200
    await post.arrive(said(1, "u2i-b"))
    post.clock.step(120 * SECOND - 1)
    await post.send()
    assert len(post.receiver.got) == 1  # held: the other chat waits too
    post.clock.step(1)
    await post.send()
    assert post.receiver.bodies[1:] == [said(1, "u2i-a"), said(1, "u2i-b")]


@pytest.mark.parametrize(
    ("given", "hold"),
    [
        ("120", 120 * SECOND),
        ("Fri, 15 Jan 2027 08:02:00 GMT", 120 * SECOND),
        ("Tue, 22 Sep 2026 13:33:20 GMT", 0),  # long ago
        ("999999999", LONGEST_HOLD),
        ("soon", 0),
        ("nan", 0),
        ("-5", 0),
    ],
)
def test_what_retry_after_asks_for(given: str, hold: int) -> None:
    assert hold_asked(Call(status=429, retry_after=given), 1_800_000_000_000) == hold
    assert hold_asked(Call(status=500, retry_after=given), 1_800_000_000_000) == 0  # throttles nobody


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


async def test_a_receiver_that_is_down_is_left_alone_and_gets_everything_once_it_is_back(post: Post) -> None:
    await post.relays.add(post.account_id, CRM)
    post.receiver.answer = lambda _: 502
    chats = [f"u2i-{number}" for number in range(20)]
    await post.arrive(*(said(number, chat) for number in (1, 2) for chat in chats))
    until = post.clock() + 3 * HOUR
    while post.clock() < until:  # a turn whenever something is due
        due = await post.relays.run_once()
        assert due is None or due > post.clock()
        post.clock.now = due or post.clock()
    assert len(post.receiver.got) < 80
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


async def test_a_clock_that_was_a_day_ahead_stops_no_relay(post: Post) -> None:
    """It fails for a moment by then, and for longer than a day by a clock that is put right afterwards."""
    relay = await post.relays.add(post.account_id, CRM)
    jumps = Jumps(post.store, post.clock, "0" * 16)
    await jumps.run_once()
    post.receiver.answer = lambda _: 500
    await post.arrive(said(1))
    await post.send()
    post.clock.step(3 * DAY)
    await jumps.run_once()
    await post.send()
    assert (await post.relays.get(relay.id)).state == RelayState.STALLED
    await post.relays.add(post.account_id, f"{CRM}/2")
    await post.arrive(said(2))
    await post.send()  # the second one begins to fail now
    now = post.clock.step(-3 * DAY)
    await jumps.run_once()
    post.receiver.answer = lambda _: 200
    await post.relays.run_once()
    for standing in (await post.relays.list_all())[post.account_id]:
        assert standing.relay.state == RelayState.WORKING
        assert standing.relay.failing_since == now or standing.relay.failing_since is None
    post.clock.step(5 * MINUTE + 30 * SECOND)
    await post.send()
    assert await post.states() == [RelayedState.SENT] * 3


async def test_a_failure_is_dated_when_it_is_written_down(post: Post) -> None:
    """A clock is set back while that waits for its turn: what is due was moved already."""
    await post.relays.add(post.account_id, CRM)
    post.clock.step(3 * DAY)
    await post.arrive(said(1))

    def answer(_: Any) -> int:
        event.listen(post.store._write.sync_engine, "begin", lambda _: post.clock.step(-3 * DAY), once=True)
        return 500

    post.receiver.answer = answer
    await post.relays.run_once()
    (row,) = await post.rows()
    assert row.due_at is not None
    assert row.due_at <= post.clock() + 6 * SECOND


def test_pauses_and_holds() -> None:
    down = Call(failure=Failure.TIMEOUT)
    assert [pause_after(tries, down, 0, 0) for tries in range(1, 11)] == [*PAUSES, None]
    assert pause_after(1, Call(status=503, retry_after="60"), 0, 0) == 60 * SECOND
    assert pause_after(1, Call(status=500, retry_after="60"), 0, 0) == 5 * SECOND
    assert [hold_after(failures, down, 0) for failures in (1, 2, 3, 50)] == [0, 0, 8 * SECOND, 5 * MINUTE]
