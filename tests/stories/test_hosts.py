"""Several hosts: two take webhooks, two work, one has PostgreSQL, one its standby. They die or are cut off in turn."""

import asyncio
import time
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

import httpx2
import pytest
from sqlalchemy import make_url

from golub.cli.people import create_operator
from golub.model import OutgoingState, Role
from tests import machine, postgres
from tests.conftest import AtScale, StartGolub
from tests.hosts import Host, network
from tests.postgres import OwnPostgres
from tests.promises import Figures
from tests.stories.fleet import Fleet, fleet
from tests.stories.panel import LOGIN, PASSWORD, sign_in
from tests.stories.test_fleet import outgoing_states, write_replies
from tests.stories.test_outages import configure

pytestmark = [pytest.mark.story, pytest.mark.anyio, pytest.mark.postgres]

RATE = 60
SAID_WITHIN = 10.0  # seconds in which a page says that the database is gone; those that were under way wait for it
BACK_WITHIN = 10.0  # seconds from the standby's taking over until pages are there


@pytest.mark.promise("P12", "P14")
async def test_hosts_die_or_are_cut_off_in_turn_and_the_database_moves_to_its_standby(
    tmp_path: Path, start_golub: StartGolub, at_scale: AtScale, seed: int, figures: Figures
) -> None:
    machine.must_have(machine.Need.HOSTS, machine.Need.OWN_POSTGRES)
    away, between = at_scale(4, 25), at_scale(1, 5)  # seconds
    with network("web1", "web2", "work1", "work2", "db1", "db2") as hosts, databases(*hosts[4:]) as (first, second):
        nodes, (place, other) = hosts[:4], hosts[4:]
        async with fleet(tmp_path, start_golub, address_of(first, place, other), seed=seed, places=nodes) as town:
            await create_operator(town.settings, LOGIN, "Вера", Role.SUPER_ADMIN, PASSWORD)
            async with town.talking(RATE):
                for number, host in enumerate(nodes):
                    host.cut_off()
                    await write_replies(town, number)
                    await asyncio.sleep(away)  # it is gone for so long
                    host.connect()
                    await asyncio.sleep(between)  # so that they live for a while
                for number in range(2):
                    await write_replies(town, len(nodes) + number)
                    await town.kill_one_of_each(number)
                    await asyncio.sleep(between)  # so that they live for a while
                await asyncio.to_thread(first.stop)
                await asyncio.sleep(between)  # so that they live for a while
                await asyncio.to_thread(first.start)
                await write_replies(town, len(nodes) + 2)
                await town.acked(RATE)
                said, back = await moved(town, first, second, place, away)
                await write_replies(town, len(nodes) + 3)
                await town.acked(2 * RATE)
            await town.applied(60)
            await town.end()
            verdict = await town.judge()
            sent = Counter(
                call.body["message"]["text"] for call in town.simulator.calls if call.operation == "postSendMessage"
            )
            states = await outgoing_states(town)
    figures(
        **verdict.figures,
        replies=sum(states.values()),
        posted=sum(sent.values()),
        page_refused_after=round(said, 1),
        page_back_after=round(back, 1),
    )
    assert verdict.acked > 500
    assert (verdict.acked_missing, verdict.applied_twice) == (0, 0), verdict
    assert max(sent.values()) == 1, "a reply was sent twice"
    assert states[OutgoingState.SENT] > 0
    assert said < SAID_WITHIN
    assert back < BACK_WITHIN


async def moved(town: Fleet, first: OwnPostgres, second: OwnPostgres, place: Host, away: float) -> tuple[float, float]:
    """The database's host vanishes, and its standby takes over. Returns how long a page took to say so, and to be there
    again, both in seconds, of the slower of the two processes that show pages."""
    async with Operators() as clients:
        pages = [await clients.signed_in(web.url, town.url) for web in town.webs]
        place.cut_off()
        began = time.monotonic()
        slowest = 0.0
        while time.monotonic() - began < away:
            for page in pages:
                asked = time.monotonic()
                assert (await page.get("/inbox")).status_code == 503
                slowest = max(slowest, time.monotonic() - asked)
            await asyncio.sleep(0.2)  # as a person asks again
        await asyncio.to_thread(first.stop)  # or there would be two that take writes, once it is back
        await asyncio.to_thread(second.promote)
        began = time.monotonic()
        for page in pages:
            while (await page.get("/inbox")).status_code != 200:  # noqa: ASYNC110 - nothing tells us
                await asyncio.sleep(0.1)  # between two looks
        return slowest, time.monotonic() - began


class Operators:
    """Operators' browsers, each at one process."""

    def __init__(self) -> None:
        self._clients: list[httpx2.AsyncClient] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for client in self._clients:
            await client.aclose()

    async def signed_in(self, url: str, public_url: str) -> httpx2.AsyncClient:
        """At one process, with what the sign-in at the public address gave."""
        async with httpx2.AsyncClient(base_url=public_url, headers={"Origin": public_url}, trust_env=False) as door:
            assert (await sign_in(door)).status_code == 303
            cookies = "; ".join(f"{one.name}={one.value}" for one in door.cookies.jar)
        client = httpx2.AsyncClient(base_url=url, headers={"Cookie": cookies}, trust_env=False, timeout=30)
        self._clients.append(client)
        return client


@contextmanager
def databases(*places: Host) -> Generator[Sequence[OwnPostgres]]:
    """One, and one that has all that the first confirms."""
    with ExitStack() as stack:
        first = stack.enter_context(postgres.own(on=places[0]))
        second = stack.enter_context(postgres.own(standby_of=first, on=places[1]))
        configure(first, "synchronous_standby_names", "*")
        yield first, second


def address_of(first: OwnPostgres, *places: Host) -> str:
    """A new database's, that names both hosts and asks for the one that takes writes."""
    given = {"host": ",".join(place.address for place in places), "target_session_attrs": "read-write"}
    return make_url(first.create()).set(query=given).render_as_string(hide_password=False)
