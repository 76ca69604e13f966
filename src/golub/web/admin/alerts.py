"""The page of alerts: who is told and how, what is wrong now, what was, and when nobody is to be woken.

Only super administrators come here, as for the webhooks: a channel sees account names and holds passwords.
"""

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from golub.alerts import AlertKind, Rules, path_of, text_of
from golub.audit import Action
from golub.errors import GolubError
from golub.model import Alert, ChannelKind
from golub.web.language import reader_of
from golub.web.page import render
from golub.web.parts import Given, Parts
from golub.web.session import Doer, SuperAdmin

router = APIRouter(prefix="/admin/alerts")

DONE = ("saved", "removed", "rules")

Text = Annotated[str, Form()]


@router.get("")
async def show(request: Request, parts: Given, _: SuperAdmin, done: str = "", kind: str = "") -> Response:
    """Whom Golub tells when something breaks, what is wrong now, and what was."""
    return await _page(request, parts, done=done if done in DONE else "", kind=_known(kind))


@router.post("/channels/{kind}")
async def save(
    request: Request,
    parts: Given,
    _: SuperAdmin,
    by: Doer,
    kind: ChannelKind,
    token: Text = "",
    chat: Text = "",
    host: Text = "",
    port: Text = "",
    security: Text = "tls",
    user: Text = "",
    password: Text = "",
    sender: Text = "",
    to: Text = "",
    url: Text = "",
    secret: Text = "",
) -> Response:
    """Sets a channel up, or changes it; a secret that is left empty stays."""
    given = {
        "token": token, "chat": chat, "host": host, "port": port, "security": security, "user": user,
        "password": password, "sender": sender, "to": to, "url": url, "secret": secret,
    }  # fmt: skip
    try:
        await parts.alerts.channels.save(kind, given, by=by)
    except GolubError as error:
        return await _page(request, parts, kind=kind, given=given, error=error, status=error.status)
    return RedirectResponse(f"/admin/alerts?done=saved&kind={kind}#channel-{kind}", 303)


@router.post("/channels/{kind}/remove")
async def remove(parts: Given, _: SuperAdmin, by: Doer, kind: ChannelKind) -> Response:
    """Nobody is told that way any more."""
    await parts.alerts.channels.remove(kind, by=by)
    return RedirectResponse(f"/admin/alerts?done=removed&kind={kind}#channel-{kind}", 303)


@router.post("/channels/{kind}/test")
async def send_test(request: Request, parts: Given, _: SuperAdmin, by: Doer, kind: ChannelKind) -> Response:
    """Sends a test through the channel, and says how it went in the other side's own words."""
    async with parts.store.write() as session:
        await by.did(session, Action.ALERT_TESTED, kind, now=parts.clock())
    return render(request, "admin/alert_test.html", sent=await parts.alerts.send_test(kind), channel=kind)


@router.post("/rules")
async def change_rules(
    request: Request,
    parts: Given,
    _: SuperAdmin,
    by: Doer,
    quiet_from: Text = "",
    quiet_to: Text = "",
    remind_hours: Annotated[int, Form()] = 24,
) -> Response:
    """Quiet hours, in the time zone of whoever sets them, and how often an open alert is called to mind."""
    try:
        rules = Rules.chosen(quiet_from, quiet_to, reader_of(request).zone.key, remind_hours)
    except GolubError as error:
        given = {"quiet_from": quiet_from, "quiet_to": quiet_to, "remind_hours": str(remind_hours)}
        return await _page(request, parts, given=given, error=error, status=error.status)
    await parts.alerts.change_rules(rules, by=by)
    return RedirectResponse("/admin/alerts?done=rules#rules", 303)


async def _page(
    request: Request,
    parts: Parts,
    *,
    done: str = "",
    kind: str = "",
    given: dict[str, str] | None = None,
    error: GolubError | None = None,
    status: int = 200,
) -> Response:
    names = {account.id: account.name for account in await parts.accounts.list()}
    locale = reader_of(request).locale

    def words(alert: Alert, closed: bool = False) -> str:
        name = names.get(alert.account_id, "Avito")
        return text_of(AlertKind(alert.kind), locale, closed=closed, account=name, detail=alert.detail)

    return render(
        request,
        "admin/alerts.html",
        status=status,
        done=done,
        kind=kind,
        given=given or {},
        error=error,
        kinds=tuple(ChannelKind),
        configured={one.kind: one for one in await parts.alerts.channels.list_all()},
        rules=await parts.alerts.rules(),
        zone=reader_of(request).zone.key,
        open_alerts=await parts.alerts.list_open(),
        closed_alerts=await parts.alerts.list_closed(),
        words=words,
        mended_at=_mended_at,
    )


def _mended_at(alert: Alert) -> str:
    return path_of(AlertKind(alert.kind), alert.account_id)


def _known(kind: str) -> str:
    return kind if kind in set(ChannelKind) else ""
