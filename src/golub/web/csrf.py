"""No other site may make a browser act here in a signed-in person's name.

Pages: an unsafe request must come from our own origin *and* carry the session's token, as form field `csrf` or header
`X-CSRF-Token`; before sign-in the token is a cookie's own value (double submit). `/stream` tells much and can send no
token: our own origin, as far as the browser says. `/api/`: a request with neither Origin nor Sec-Fetch-Site comes from
no browser and passes; with either it must be same-origin; bodies are JSON only, which no foreign form can send. Who
comes with an API key has no cookie that a browser would send unasked, and passes from everywhere.
"""

import hmac
import secrets
from urllib.parse import urlsplit

from fastapi import Request, Response

from golub.errors import Forbidden, Invalid
from golub.settings import Settings

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
COOKIE = "visitor"
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


def check_api(request: Request, settings: Settings) -> None:
    """Raises `Forbidden` for another site's request, `Invalid` for a body that is not JSON."""
    if request.method not in SAFE_METHODS:
        _check_origin(request, settings)
    check_json(request)


def check_json(request: Request) -> None:
    """Raises `Invalid` for a body that is not JSON."""
    if request.method in SAFE_METHODS:
        return
    has_body = request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
    if has_body and _media_type(request) != "application/json":
        raise Invalid("Send JSON, with the header Content-Type: application/json.", code="not_json")


async def check_page(request: Request, settings: Settings, token: str) -> None:
    """Raises `Forbidden` unless the request comes from our own page. `token` is what the page was given."""
    if request.method in SAFE_METHODS:
        return
    if not _same_origin(request, settings):
        raise Forbidden("This request came from another site.", code="cross_site")
    sent = request.headers.get("x-csrf-token", "")
    if not sent and is_form(request):
        field = (await request.form()).get("csrf", "")
        sent = field if isinstance(field, str) else ""
    if not token or not hmac.compare_digest(sent.encode(), token.encode()):
        raise Forbidden("This page is out of date. Reload it and try again.", code="stale_page")


def check_stream(request: Request, settings: Settings) -> None:
    """Raises `Forbidden` where another site's page listens. Who says nothing of itself is no browser, or an old one,
    which sends the cookie of another site's request to nobody anyway (`SameSite`)."""
    _check_origin(request, settings)


def is_form(request: Request) -> bool:
    """Its body may have been read for the token, and then it can be had as `form()` alone."""
    return _media_type(request) in _FORMS


def visitor_token(request: Request) -> str:
    """The token of a browser that has not signed in; `keep_visitor` puts it into the answer."""
    kept = request.cookies.get(COOKIE, "")
    if len(kept) < 32:
        kept = getattr(request.state, "visitor", "") or secrets.token_urlsafe(32)
        request.state.visitor = kept
    return kept


def keep_visitor(request: Request, response: Response, settings: Settings) -> None:
    """Sets the cookie when this answer made a new token."""
    if made := getattr(request.state, "visitor", ""):
        response.set_cookie(COOKIE, made, httponly=True, samesite="lax", secure=settings.cookie_secure, path="/")


def _check_origin(request: Request, settings: Settings) -> None:
    if ("origin" in request.headers or "sec-fetch-site" in request.headers) and not _same_origin(request, settings):
        raise Forbidden("This request came from another site.", code="cross_site")


def _same_origin(request: Request, settings: Settings) -> bool:
    """Browsers say where a request comes from. A request that says nothing is not taken for one of ours."""
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    if site is not None and (site != "same-origin" or origin in (None, "null")):
        return site == "same-origin"  # under our own `no-referrer` policy browsers send forms with the origin "null"
    return origin == _own_origin(request, settings)


def _own_origin(request: Request, settings: Settings) -> str:
    """As the browser sees it: the proxy that speaks HTTPS for us talks plain HTTP to us. The host is an allowed one."""
    host = request.headers.get("host", "")
    if settings.public_url and urlsplit(settings.public_url).netloc == host:
        return settings.public_url
    return f"{request.url.scheme}://{host}"


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
