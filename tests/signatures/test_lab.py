"""The lab names the scheme that real traffic shows, makes no other a rule, and no forger moves its numbers."""

import asyncio
import base64
import hmac

import httpx2
import pytest
from sqlalchemy import select, update

from golub.alerts.kinds import AlertKind
from golub.audit import ITSELF, Action
from golub.clock import HOUR
from golub.errors import Conflict, Invalid
from golub.model import Account, AuditEntry, Cause, DeliveryState, SignatureMode
from golub.signatures import PROVED_BY, Digest, Lab, Outcome, Signed
from tests import shop
from tests.signatures.traffic import BARE, HEADER, Traffic

pytestmark = pytest.mark.anyio

FIVE = {
    "body_by_client_secret": f"{HEADER}:client_secret:body:hmac:hex",
    "url_and_body_by_client_secret": f"{HEADER}:client_secret:url_body:hmac:base64",
    "body_by_path_token": f"{HEADER}:path_token:body:hmac:hex",
    "client_secret_then_body": f"{HEADER}:client_secret:body:plain:hex",
    "envelope_by_client_secret": f"{HEADER}:client_secret:event_id:hmac:hex",
}
"""What the simulator calls them, and what we do."""


@pytest.mark.parametrize("scheme", FIVE)
async def test_it_names_the_scheme_after_a_hundred_and_enforces_it_without_loss(traffic: Traffic, scheme: str) -> None:
    account_id = traffic.world.account_id
    traffic.world.avito.policy.change(signature_scheme=scheme)
    await traffic.come(PROVED_BY - 1)
    almost = await traffic.counted()
    assert almost.kind == "fits"
    with pytest.raises(Conflict):
        await traffic.register_of.enforce(account_id, FIVE[scheme], by=ITSELF)

    await traffic.come(1)
    standing = await traffic.counted()
    assert [(str(fit.scheme), fit.tally.fits, fit.tally.run) for fit in standing.fits] == [(FIVE[scheme], 100, 100)]
    assert (standing.kind, standing.lab.confirmed, standing.lab.signed) == ("proved", 100, 100)
    await traffic.register_of.enforce(account_id, FIVE[scheme], by=ITSELF)

    await traffic.come(20)
    assert await traffic.post(b"{}", kind="application/x-www-form-urlencoded") == 200
    assert await traffic.post(b"") == 200
    await traffic.applied()
    states = [row.state for row in await traffic.journal() if row.event_type]
    assert states == [DeliveryState.APPLIED] * 120
    assert [row.state for row in await traffic.journal() if not row.event_type][-2:] == [DeliveryState.PROBE] * 2
    assert len(await traffic.texts()) == 120
    assert (await traffic.counted()).kind == "enforced"


async def test_a_hundred_within_a_day_are_not_enough(traffic: Traffic) -> None:
    traffic.world.avito.policy.change(signature_scheme="body_by_client_secret")
    await traffic.come(PROVED_BY + 1, every=13 * 60_000)  # 21.7 hours
    assert (await traffic.counted()).kind == "fits"
    await traffic.come(12, every=13 * 60_000)
    assert (await traffic.counted()).kind == "proved"


async def test_an_unknown_scheme_is_called_unknown_and_nothing_is_offered(traffic: Traffic) -> None:
    await traffic.come(PROVED_BY + 5)
    standing = await traffic.counted()
    assert (standing.kind, standing.fits, standing.lab.confirmed) == ("unknown", (), 105)
    assert {row.signature for row in await traffic.journal() if row.event_type} == {Outcome.UNKNOWN}
    for scheme in (*FIVE.values(), "", "x", f"{HEADER}:nothing:body:plain:hex"):
        with pytest.raises(Conflict):
            await traffic.register_of.enforce(traffic.world.account_id, scheme, by=ITSELF)
    assert (await traffic.register_of.get(traffic.world.account_id)).mode is SignatureMode.OBSERVE


@pytest.mark.parametrize(
    ("scheme", "named"),
    [
        ("body_by_client_id", f"{HEADER}:client_id:body:hmac:hex"),
        ("digest_of_body", f"{HEADER}:nothing:body:plain:hex"),
    ],
)
async def test_what_anybody_can_compute_is_named_and_never_offered(traffic: Traffic, scheme: str, named: str) -> None:
    traffic.world.avito.policy.change(signature_scheme=scheme)
    await traffic.come(PROVED_BY + 5)
    standing = await traffic.counted()
    assert (standing.kind, [str(fit.scheme) for fit in standing.fits]) == ("public", [named])
    with pytest.raises(Conflict):
        await traffic.register_of.enforce(traffic.world.account_id, named, by=ITSELF)


async def test_forged_deliveries_move_no_number(traffic: Traffic) -> None:
    traffic.world.avito.policy.change(signature_scheme="body_by_client_secret")
    await traffic.come(10)
    before = await traffic.counted()
    assert [fit.tally.run for fit in before.fits] == [10]
    real = [row for row in await traffic.journal() if row.event_type]
    for number in range(30):
        traffic.clock.step(HOUR)
        message_id = real[number % 10].message_avito_id
        assert await traffic.post(traffic.forged(f"{number:032x}")) == 200  # on the secret address, made up
        assert await traffic.post(traffic.forged(f"a{number:031x}"), signature="f" * 64) == 200
        assert await traffic.post(traffic.forged(message_id)) == 200  # … with the id of a real one
        assert await traffic.post(bytes(real[number % 10].body)) == 200  # … a real one again, unsigned
        assert await traffic.post(traffic.forged(message_id), url=BARE, signature="f" * 64) == 200
        await traffic.applied()
    after = await traffic.counted()
    assert (after.lab.confirmed, after.lab.signed, after.lab.last_at) == (10, 10, before.lab.last_at)
    assert [(str(fit.scheme), fit.tally.run, fit.tally.missed_at) for fit in after.fits] == [
        (FIVE["body_by_client_secret"], 10, None)
    ]
    await traffic.come(1)
    assert [fit.tally.run for fit in (await traffic.counted()).fits] == [11]


class Eavesdropper(httpx2.AsyncBaseTransport):
    """Sends a copy of whatever passes, unsigned, before it arrives: he reads along, and knows the address."""

    def __init__(self, behind: httpx2.AsyncBaseTransport) -> None:
        self.behind = behind

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        copy = httpx2.Request("POST", request.url, content=await request.aread())
        assert (await self.behind.handle_async_request(copy)).status_code == 200
        return await self.behind.handle_async_request(request)


async def test_who_is_faster_than_avito_makes_no_miss(traffic: Traffic) -> None:
    traffic.world.avito.policy.change(signature_scheme="body_by_client_secret")
    way = traffic.world.way
    way.ends.append(Eavesdropper(way.ends[-1]))
    await traffic.come(10)
    standing = await traffic.counted()
    assert (standing.lab.confirmed, [fit.tally.run for fit in standing.fits]) == (10, [10])
    assert len([row for row in await traffic.journal() if row.event_type]) == 20


async def test_a_miss_of_avito_s_own_begins_the_count_anew(traffic: Traffic) -> None:
    policy = traffic.world.avito.policy
    policy.change(signature_scheme="body_by_client_secret")
    await traffic.come(PROVED_BY)
    policy.change(signature_scheme=None)
    await traffic.come(1)
    policy.change(signature_scheme="body_by_client_secret")
    await traffic.come(PROVED_BY - 1)
    (fit,) = (await traffic.counted()).fits
    assert (fit.tally.fits, fit.tally.run, fit.is_proved) == (199, 99, False)


async def enforced(traffic: Traffic) -> None:
    traffic.world.avito.policy.change(signature_scheme="body_by_client_secret")
    await traffic.come(PROVED_BY)
    await traffic.counted()
    await traffic.register_of.enforce(traffic.world.account_id, FIVE["body_by_client_secret"], by=ITSELF)


async def test_under_the_rule_a_forgery_is_held_back_and_told_of(traffic: Traffic) -> None:
    await enforced(traffic)
    values = ("", "f" * 64, "f" * 63, "\u00ff" * 64, "F" * 65)
    for number, value in enumerate(values):
        assert await traffic.post(traffic.forged(f"{number:032x}"), signature=value) == 200
    await traffic.applied()
    assert "Переведите на карту" not in await traffic.texts()
    held = [row for row in await traffic.journal() if row.state == DeliveryState.QUARANTINED]
    assert [row.cause for row in held] == [Cause.BAD_SIGNATURE] * 5
    assert all(row.body for row in held)
    wrong = (await traffic.world.alerts.find()).wrong
    assert wrong[AlertKind.BAD_SIGNATURE, traffic.world.account_id] == "5"
    assert (AlertKind.QUARANTINE_GROWS, traffic.world.account_id) not in wrong

    replayed = await traffic.applier.replay([held[0].id])
    assert [one.now for one in replayed.taken] == [DeliveryState.QUARANTINED]  # a person lets none slip in either


async def test_another_algorithm_at_avito_loses_nothing_and_changes_no_mode(traffic: Traffic) -> None:
    await enforced(traffic)
    traffic.world.avito.policy.change(signature_scheme="client_secret_then_body")
    await traffic.come(12)
    assert len(await traffic.texts()) == 100
    standing = await traffic.counted()
    assert (standing.kind, standing.held_back) == ("enforced", 12)
    assert len(await traffic.texts()) == 112  # the sweep has fetched them
    runs = {str(fit.scheme): fit.tally.run for fit in standing.fits}
    assert runs == {FIVE["body_by_client_secret"]: 0, FIVE["client_secret_then_body"]: 12}

    await traffic.register_of.choose(traffic.world.account_id, SignatureMode.OBSERVE, by=ITSELF)
    held = [row.id for row in await traffic.journal() if row.state == DeliveryState.QUARANTINED]
    await traffic.applier.replay(held)
    assert (await traffic.register_of.get(traffic.world.account_id)).held_back == 0
    assert len(await traffic.texts()) == 112


async def test_new_keys_are_taken_at_once(traffic: Traffic) -> None:
    await enforced(traffic)
    world = traffic.world
    async with world.store.write() as session:
        changed = update(Account).where(Account.id == world.account_id)
        await session.execute(changed.values(client_secret=shop.VAULT.seal("another secret")))
    world.shop.client_secret = "another secret"
    await traffic.come(3)
    assert len(await traffic.texts()) == 103


async def test_switched_off_nothing_is_tried_and_the_proof_begins_anew(traffic: Traffic) -> None:
    account_id, register = traffic.world.account_id, traffic.register_of
    traffic.world.avito.policy.change(signature_scheme="body_by_client_secret")
    await traffic.come(5)
    await traffic.counted()
    await register.choose(account_id, SignatureMode.OFF, by=ITSELF)
    await traffic.come(2)
    assert (await traffic.counted()).lab.confirmed == 5
    assert [row.signature for row in await traffic.journal()][-2:] == ["", ""]
    await register.choose(account_id, SignatureMode.OBSERVE, by=ITSELF)
    await traffic.come(2)
    (fit,) = (await traffic.counted()).fits
    assert (fit.tally.fits, fit.tally.run) == (7, 2)
    with pytest.raises(Invalid):
        await register.choose(account_id, SignatureMode.ENFORCE, by=ITSELF)
    async with traffic.world.store.read() as session:
        actions = [row.action for row in await session.scalars(select(AuditEntry).order_by(AuditEntry.id))]
    assert actions[-2:] == [Action.SIGNATURE_MODE_CHANGED] * 2


class SigningProxy(httpx2.AsyncBaseTransport):
    """The owner's own, in front of us: it signs whatever passes."""

    def __init__(self, behind: httpx2.AsyncBaseTransport, secret: bytes) -> None:
        self.behind = behind
        self.secret = secret

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        made = hmac.digest(self.secret, await request.aread(), "sha256")
        request.headers["x-shop-proof"] = "sha256=" + base64.b64encode(made).decode()
        return await self.behind.handle_async_request(request)


async def test_the_owner_s_own_proxy_may_sign_with_a_secret_of_his(traffic: Traffic) -> None:
    account_id, register, way = traffic.world.account_id, traffic.register_of, traffic.world.way
    own = "a secret of the shop's own"
    await register.add_secret(account_id, "X-Shop-Proof", own, Signed.BODY, Digest.HMAC, by=ITSELF)
    (secret,) = (await register.get(account_id)).secrets
    way.ends.append(SigningProxy(way.ends[-1], own.encode()))
    await traffic.come(PROVED_BY)
    standing = await traffic.counted()
    named = f"x-shop-proof:own-{secret.id}:body:hmac:base64"
    assert (standing.kind, [str(fit.scheme) for fit in standing.fits]) == ("proved", [named])

    await register.enforce(account_id, named, by=ITSELF)
    with pytest.raises(Conflict):
        await register.remove_secret(account_id, secret.id, by=ITSELF)
    await traffic.come(3)
    way.ends.pop()
    await traffic.come(2)  # past the proxy
    assert len(await traffic.texts()) == PROVED_BY + 3
    await register.choose(account_id, SignatureMode.OBSERVE, by=ITSELF)
    await register.remove_secret(account_id, secret.id, by=ITSELF)
    assert (await register.get(account_id)).fits == ()


@pytest.mark.parametrize(
    ("header", "secret"),
    [
        ("Cookie", "x" * 16),
        ("", "x" * 16),
        ("a:b", "x" * 16),
        ("x" * 65, "x" * 16),
        ("X-A", "x" * 15),
        ("X-A", "x" * 257),
        ("X-A", " " + "x" * 16),
        ("X-A", "x" * 16 + "\n"),
    ],
)
async def test_a_secret_that_cannot_work_is_refused(traffic: Traffic, header: str, secret: str) -> None:
    with pytest.raises(Invalid):
        await traffic.register_of.add_secret(traffic.world.account_id, header, secret, None, None, by=ITSELF)


async def test_two_workers_count_once(traffic: Traffic) -> None:
    traffic.world.avito.policy.change(signature_scheme="body_by_client_secret")
    await traffic.come(10)
    other = Lab(traffic.world.store, traffic.world.settings, traffic.clock)
    await traffic.asked()
    await asyncio.gather(traffic.lab.run_once(), other.run_once())
    await traffic.lab.run_once()
    (fit,) = (await traffic.register_of.get(traffic.world.account_id)).fits
    assert fit.tally.fits == 10
