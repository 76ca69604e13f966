"""Faults between Avito and an account."""

import asyncio
from typing import Any

from sqlalchemy import delete, insert, select, update

from golub.allowlist import network_of
from golub.clock import DAY, HOUR, MINUTE, now
from golub.model import (
    DEFAULT_EVENT_TYPES,
    Account,
    AccountState,
    AllowList,
    AllowListMode,
    Delivery,
    Message,
    Relay,
    RelayState,
    SeenNetwork,
    TimelineEntry,
    TimelineKind,
    Webhook,
)
from golub.vault import Vault
from tests.doctor.house import House
from tests.doctor.planting import plants
from tests.guide.town import PUBLIC

NEW_HOST = "new.example.ru"


@plants("no_accounts", shares=False)
async def _(home: House) -> None:
    await home.parts.accounts.remove(home.account_id)


@plants("wrong_keys", shares=False)
def _(home: House) -> None:
    home.shop.client_secret = "another"
    home.sim.expire_tokens(home.shop)


@plants("sealed_otherwise", shares=False)
async def _(home: House) -> None:
    await home.change(update(Account).values(client_secret=Vault(bytes(32)).seal("secret")))


@plants("not_paid", shares=False)
def _(home: House) -> None:
    home.sim.fault("*", status=402, times=None)


@plants("no_rights", shares=False)
def _(home: House) -> None:
    home.sim.fault("getSubscriptions", status=403, body={"result": {"message": "permission denied"}}, times=None)


@plants("avito_away", shares=False)
async def _(home: House) -> None:
    home.sim.fault("*", status=500, times=None)
    await home.change(update(Account).values(state=AccountState.UNREACHABLE, state_detail="HTTP 500"))


@plants("no_webhook", shares=False)
async def _(home: House) -> None:
    await home.change(delete(Webhook))


@plants("foreign_subscription", shares=False)
def _(home: House) -> None:
    home.sim.steal_subscription(home.shop, "https://crm.example.com/hook")


@plants("missing_subscription", shares=False)
def _(home: House) -> None:
    home.shop.subscription = None


@plants("stale_subscription", shares=False)
async def _(home: House) -> None:
    home.sim.fault("getSubscriptions", status=500, times=None)
    long_ago = now() - 2 * HOUR
    await home.change(update(Webhook).values(checked_at=long_ago, created_at=long_ago))


@plants("other_host", shares=False)
async def _(home: House) -> None:
    home.settings["public_url"] = f"https://{NEW_HOST}"
    home.names = {NEW_HOST: ["93.184.216.34"]}
    await home.certificate(host=NEW_HOST)


@plants("bare_url", shares=False)
async def _(home: House) -> None:
    await home.parts.subscriptions.register(
        home.account_id, f"{PUBLIC}/webhook/avito", DEFAULT_EVENT_TYPES, skip_probe=True
    )


@plants("deaf", shares=False)
async def _(home: House) -> None:
    await home.change(update(Account).values(deaf_since=now()))


@plants("silent", shares=False)
async def _(home: House) -> None:
    entry = {"account_id": home.account_id, "kind": TimelineKind.SILENT, "at": now(), "detail": "", "count": 0}
    await home.change(insert(TimelineEntry).values(**entry))


@plants("low_coverage", shares=False)
async def _(home: House) -> None:
    await _written(home, brought=2, missed=8)


@plants("some_missed", shares=False)
async def _(home: House) -> None:
    await _written(home, brought=18, missed=2)


@plants("relay_stopped", shares=False)
async def _(home: House) -> None:
    await _forwarded(home, state=RelayState.STALLED)


@plants("relay_failing", shares=False)
async def _(home: House) -> None:
    await _forwarded(home, state=RelayState.WORKING, failing_since=now() - HOUR, last_error="502")


@plants("senders_held_back", shares=False)
async def _(home: House) -> None:
    await _came_from(home, "8.8.8.8", mode=AllowListMode.ENFORCE, networks="203.0.113.0/24")


@plants("senders_hidden", shares=False)
async def _(home: House) -> None:
    await _came_from(home, "172.18.0.1", mode=AllowListMode.OBSERVE)


@plants("senders_elsewhere", shares=False)
async def _(home: House) -> None:
    await home.change(insert(AllowList).values(_list(home, mode=AllowListMode.FLAG, networks="203.0.113.0/24")))
    await home.buyer_writes()


async def _came_from(home: House, address: str, **chosen: Any) -> None:
    await home.change(insert(AllowList).values(_list(home, **chosen)))
    seen = {"account_id": home.account_id, "network": network_of(address), "lowest": address, "highest": address}
    times = {"first_at": now() - DAY, "last_at": now()}
    await home.change(insert(SeenNetwork).values(seen | times | {"confirmed": 3}))


def _list(home: House, **chosen: Any) -> dict[str, Any]:
    counted = {"confirmed": 3, "doubtful": 0, "unplaced": 0, "counted_to": now(), "counted_id": b"", "changed_at": 1}
    return {"account_id": home.account_id, "networks": "", **counted, **chosen}


@plants("quarantine_much", shares=False)
async def _(home: House) -> None:
    await home.post(b"no JSON", times=6)


@plants("quarantine_some", shares=False)
async def _(home: House) -> None:
    await home.post(b"no JSON")
    await home.change(update(Delivery).values(received_at=now() - 3 * DAY))


async def _written(home: House, *, brought: int, missed: int) -> None:
    """By buyers, an hour ago: some that the webhook brought at once, some that only the sweep found."""
    await home.buyer_writes()
    hour_ago, long_ago = now() - HOUR, now() - DAY
    await home.change(update(Account).values(created_at=long_ago))
    await home.change(update(Webhook).values(created_at=long_ago))
    await home.change(update(TimelineEntry).values(at=long_ago))
    await asyncio.to_thread(home.parts.applier.wait_applied, 10)
    table: Any = Message.__table__
    async with home.store.read() as session:
        row = dict((await session.execute(select(table))).mappings().first() or {})
    del row["id"]
    for number in range(brought + missed):
        at = hour_ago + number * MINUTE // 10
        fresh = {"avito_id": f"{number:032x}", "created_at": at, "received_at": at, "confirmed": True, "quiet": False}
        delivered = {"delivered_at": at + 1000 if number < brought else None}
        await home.change(insert(table).values({**row, **fresh, **delivered}))


async def _forwarded(home: House, **values: Any) -> None:
    known = {"account_id": home.account_id, "url": b"", "url_hash": b"1", "host": "crm.example.com", "created_at": 1}
    await home.change(insert(Relay).values(**known, **values))
