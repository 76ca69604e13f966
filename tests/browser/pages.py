"""The pages that somebody can open, and what they need to show something."""

import re
from collections.abc import Sequence

from sqlalchemy import select

from golub import inbox
from golub.audit import CONSOLE
from golub.automation import wording
from golub.buyers import get_buyer
from golub.composing import quick_replies
from golub.model import Chat, Delivery, Role, RuleKind, Scope
from golub.sight import ALL_ACCOUNTS
from golub.web.access import ACCESS
from golub.web.routes import ROUTERS
from tests.browser.conftest import World

# As the routes write them. The others are parts of a page, files, or nobody's to open by an address alone.
PAGES = {
    "/guide": "/guide",
    "/inbox": "/inbox",
    "/inbox/search": "/inbox/search?q=alert",
    "/inbox/{chat_id}": "/inbox/{chat}",
    "/inbox/{chat_id}/quick-replies": "/inbox/{chat}/quick-replies",
    "/quick-replies": "/quick-replies",
    "/quick-replies/new": "/quick-replies/new?chat={chat}",
    "/quick-replies/{quick_id}": "/quick-replies/{quick}",
    "/reports": "/reports",
    "/reports/chats": "/reports/chats",
    "/reports/waiting": "/reports/waiting",
    "/admin/operators": "/admin/operators",
    "/admin/operators/{operator_id}": "/admin/operators/{operator}",
    "/admin/audit": "/admin/audit",
    "/admin/api-keys": "/admin/api-keys",
    "/admin/labels": "/admin/labels",
    "/admin/accounts": "/admin/accounts",
    "/admin/accounts/{account_id}": "/admin/accounts/{account}",
    "/admin/accounts/{account_id}/new-chats": "/admin/accounts/{account}/new-chats",
    "/admin/accounts/{account_id}/remove": "/admin/accounts/{account}/remove",
    "/admin/deliveries": "/admin/deliveries",
    "/admin/replays": "/admin/replays",
    "/admin/deliveries/{delivery_id}": "/admin/deliveries/{delivery}",
    "/admin/webhooks": "/admin/webhooks",
    "/admin/webhooks/{account_id}/signature": "/admin/webhooks/{account}/signature",
    "/admin/webhooks/{account_id}/networks": "/admin/webhooks/{account}/networks",
    "/admin/buyers": "/admin/buyers?q=alert",
    "/admin/buyers/{chat_id}": "/admin/buyers/{chat}",
    "/admin/buyers/erasures/{erasure_id}": "/admin/buyers/erasures/{erasure}",
    "/admin/doctor": "/admin/doctor",
    "/admin/status": "/admin/status",
    "/admin/alerts": "/admin/alerts",
    "/admin/backups": "/admin/backups",
    "/admin/automation": "/admin/automation",
    "/admin/automation/new": "/admin/automation/new?kind=away",
    "/admin/automation/dry-run": "/admin/automation/dry-run?rule={rule}",
    "/admin/automation/{rule_id}": "/admin/automation/{rule}",
    "/admin/automation/log": "/admin/automation/log",
    "/admin/start": "/admin/start",
    "/me": "/me",
    "/me/api-keys": "/me/api-keys",
    "/me/proof": "/me/proof?next=/me",
    "/me/second-factor": "/me/second-factor",
    "/sign-in": "/sign-in",
}
NO_PAGES = re.compile(
    r"/$|/healthz|/metrics|/manifest|/worker|/offline|/setup|/enter|/password|/stream|/media|/api|.*/csv/|.*/pictures/"
    r"|/inbox/(list|rows)|.*/(thread|messages|quarantined|newer|findings|bundle|now|badge|progress|body)$"
    r"|/admin/(replays/|relays)|/admin/accounts/.*/history|/admin/webhooks/.*/(first|listed|url)$"
    r"|/admin/start/(link|steps)$|/sign-in/code$"
)


def pages_of_routes() -> set[str]:
    """What somebody can open."""
    found = {route.path for router in ROUTERS for route in router.routes if "GET" in route.methods}  # type: ignore[attr-defined]
    return {path for path in found if path in ACCESS and not NO_PAGES.match(path)}


async def furnish(golub: World, chats: Sequence[int], words: str) -> dict[str, object]:
    """In these `words`, by the team's own hands, whatever else the pages show. Returns what stands in their addresses;
    the first chat is the one that is opened."""
    parts, now = golub.parts, golub.parts.clock()
    boss = await parts.operators.find("anna")
    assert boss
    other = await parts.operators.create("other", "correct horse battery", name=words, role=Role.MANAGER)
    await parts.operators.make_key(boss, words[:100], list(Scope), days=30, by=CONSOLE)
    async with parts.store.write() as session:
        label = await inbox.add_label(session, words[:30], inbox.COLOURS[0], by=CONSOLE, now=now)
        reply = quick_replies.Wording(words[:50], [words, words], own=False)
        quick = await quick_replies.write(session, ALL_ACCOUNTS, boss, reply, quick_id=None, by=CONSOLE, now=now)
        said = wording.Wording([words])
        rule = await wording.write(session, RuleKind.GREETING, said, rule_id=None, by=CONSOLE, now=now)
    care = inbox.Care(parts.store, parts.applier)
    async with parts.store.read() as session:
        delivery = await session.scalar(select(Delivery.id).limit(1))
        assert delivery
        rows = [await session.get_one(Chat, chat) for chat in chats]
    for chat in rows:
        await care.label(chat, label.id, True, boss, now=now)
        await care.hand_over(chat, boss, other.id, now=now)
    gone = golub.sim.add_chat(golub.shop, words)
    golub.sim.buyer_says(gone, words)
    gone_id = await golub.chat_id(gone)
    async with parts.store.read() as session:
        buyer = await get_buyer(session, gone_id)
    return {
        "erasure": await parts.erasures.start(gone_id, buyer.confirmation, CONSOLE),
        "chat": chats[0],
        "account": golub.account_id,
        "quick": quick.id,
        "operator": other.id,
        "rule": rule.id,
        "delivery": delivery.hex(),
    }
