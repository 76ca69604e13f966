"""The page of the signature lab: its states in words, the rule that a person makes, and secrets that stay secret."""

import re
from typing import Any

import pytest
from sqlalchemy import select, update

from golub.clock import DAY
from golub.model import AuditEntry, Delivery, Role, SignatureLab, SignatureSecret, SignatureTally
from golub.signatures import Outcome
from golub.web.parts import Parts
from tests.conftest import ONE_DATABASE
from tests.door import World
from tests.web.conftest import Browser, Visit

pytestmark = [pytest.mark.anyio, ONE_DATABASE]

HEADER = "x-avito-messenger-signature"
KEYED = f"{HEADER}:client_secret:body:hmac:hex"
PUBLIC = f"{HEADER}:client_id:body:hmac:hex"


@pytest.fixture
def parts(world_parts: Parts) -> Parts:
    return world_parts


async def stands(world: World, confirmed: int, signed: int, *fits: tuple[str, int]) -> None:
    """As if the lab had counted that over a day and a half."""
    now, key = world.clock(), world.account_id
    async with world.store.write() as session:
        await session.merge(
            SignatureLab(account_id=key, confirmed=confirmed, signed=signed, last_at=now, counted_to=now)
        )
        for scheme, run in fits:
            since = now - DAY * 3 // 2
            await session.merge(
                SignatureTally(account_id=key, scheme=scheme, fits=run, run=run, run_since=since, last_at=now)
            )


def page(world: World) -> str:
    return f"/admin/webhooks/{world.account_id}/signature"


@pytest.mark.parametrize(
    ("badge", "counted"),
    [
        ("Nothing counted yet", None),
        ("None seen", (5, 0)),
        ("There is one, of an unknown kind", (105, 105)),
        ("Fits, but proves no sender", (105, 105, (PUBLIC, 105))),
        ("Fits 7 in a row", (112, 112, (KEYED, 7))),
        ("Fits, and may be demanded", (105, 105, (KEYED, 105))),
    ],
)
async def test_each_state_says_what_it_means(world: World, owner: Browser, badge: str, counted: Any) -> None:
    if counted:
        await stands(world, *counted)
    text = (await owner.get(page(world))).text
    assert badge in text
    assert ("Demand it…" in text) is (badge == "Fits, and may be demanded")
    assert "HMAC-SHA256" in text
    assert "openssl dgst -sha256" in text


async def test_a_person_demands_it_stops_and_switches_off(world: World, owner: Browser) -> None:
    await stands(world, 105, 105, (KEYED, 105), (PUBLIC, 105))
    refused = await owner.post(page(world) + "/demand", {"scheme": PUBLIC})
    assert refused.status_code == 409
    assert "has not proved itself yet" in refused.text
    answer = await owner.post(page(world) + "/demand", {"scheme": KEYED})
    assert answer.status_code == 303
    text = (await owner.get(answer.headers["location"])).text
    assert "From now on the signature is demanded" in text
    assert "Stop demanding it" in text
    await owner.post(page(world) + "/mode", {"mode": "observe"})
    await owner.post(page(world) + "/mode", {"mode": "off"})
    assert "Look at signatures" in (await owner.get(page(world))).text
    async with world.store.read() as session:
        entries = (await session.scalars(select(AuditEntry).order_by(AuditEntry.id))).all()
    changed = [one.after for one in entries if one.action == "signature_mode_changed"]
    assert len(changed) == 3
    assert KEYED in changed[0]
    assert "What is demanded of the signatures of" in (await owner.get("/admin/audit")).text


async def test_only_a_super_admin_may(world: World, visit: Visit) -> None:
    await stands(world, 105, 105, (KEYED, 105))
    for role in (Role.ADMIN, Role.MANAGER):
        browser = await visit(role)
        assert (await browser.get(page(world))).status_code in (403, 404)
        for path, form in (("demand", {"scheme": KEYED}), ("mode", {"mode": "off"}), ("secrets", {"header": "x"})):
            assert (await browser.post(f"{page(world)}/{path}", form)).status_code in (403, 404)
    async with world.store.read() as session:
        assert (await session.scalars(select(SignatureLab.mode))).all() == ["observe"]


async def test_a_secret_of_the_owner_s_is_kept_sealed_and_never_shown(world: World, owner: Browser) -> None:
    secret = "canary-of-the-signing-proxy"
    answer = await owner.post(page(world) + "/secrets", {"header": "X-Proof", "secret": secret, "signed": "body"})
    assert answer.status_code == 303
    text = (await owner.get(answer.headers["location"])).text
    assert "x-proof" in text
    assert secret not in text
    async with world.store.read() as session:
        (kept,) = (await session.scalars(select(SignatureSecret))).all()
        entries = (await session.scalars(select(AuditEntry))).all()
    assert secret.encode() not in bytes(kept.secret)
    assert all(secret not in one.before + one.after + one.subject for one in entries)
    assert (await owner.post(f"{page(world)}/secrets/{kept.id}/remove")).status_code == 303
    assert (await owner.post(f"{page(world)}/secrets/{kept.id}/remove")).status_code == 404

    wrong = await owner.post(page(world) + "/secrets", {"header": "<script>", "secret": secret})
    assert wrong.status_code == 400
    assert "A header&#39;s name has letters" in wrong.text
    assert not re.search(r"<script>", wrong.text)
    assert secret not in wrong.text


async def test_no_page_shows_a_key(world: World, owner: Browser) -> None:
    await world.subscriptions.register(world.account_id, world.subscriptions.recommended_url(), ["message"])
    await stands(world, 105, 105, (KEYED, 105), (f"{HEADER}:path_token:url_body:hmac:base64", 105))
    text = (await owner.get(page(world))).text
    assert world.shop.client_secret not in text
    webhook = await world.subscriptions.get(world.account_id)
    assert (await world.subscriptions.url_of(webhook)).rpartition("/")[2] not in text


async def test_the_page_of_webhooks_and_the_journal_tell_it_too(world: World, owner: Browser) -> None:
    await world.subscriptions.register(world.account_id, world.subscriptions.recommended_url(), ["message"])
    world.avito.policy.change(signature_scheme="body_by_client_secret")
    world.avito.buyer_says(world.avito.add_chat(world.shop), "Ещё продаёте?")
    await world.avito.idle()
    async with world.applying() as applier:
        assert applier.wait_applied(10)
    assert page(world) in (await owner.get("/admin/webhooks")).text
    async with world.store.read() as session:
        delivery = (await session.scalars(select(Delivery).where(Delivery.event_type != ""))).one()
    assert delivery.signature == KEYED
    key = delivery.id.hex()
    shown = (await owner.get(f"/admin/deliveries/{key}")).text
    assert "it fits" in shown
    assert "the client secret" in shown
    body = await owner.get(f"/admin/deliveries/{key}/body")
    assert body.content == delivery.body
    assert body.headers["content-disposition"] == 'attachment; filename="body.json"'
    assert body.headers["content-type"] == "application/octet-stream"
    assert f"/admin/deliveries/{key}" in (await owner.get(page(world))).text
    for odd in (*Outcome, "", "some:scheme:of a:later release"):
        async with world.store.write() as session:
            await session.execute(update(Delivery).values(signature=odd))
        assert (await owner.get(f"/admin/deliveries/{key}")).status_code == 200
        assert (await owner.get(page(world))).status_code == 200


async def test_a_rule_of_a_later_release_is_told_of(world: World, owner: Browser) -> None:
    await stands(world, 1, 1)
    async with world.store.write() as session:
        await session.execute(update(SignatureLab).values(mode="enforce", scheme="x-signature:ed25519:body:sign:hex"))
    assert "This Golub does not know the demanded way of signing" in (await owner.get(page(world))).text
