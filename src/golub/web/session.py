"""Who is asking: an operator's browser, or a program with a key of his. Every route passes `guard` before anything else
happens; handlers name what they need.

    async def inbox(request: Request, operator: Signed) -> HTMLResponse: ...

`Signed`, `Admin` and `SuperAdmin` are the operator, with at least that role; `Seen` is which accounts he may see, and
`Doer` what the audit is told of him.
"""

from dataclasses import dataclass
from typing import Annotated, cast
from urllib.parse import quote

from fastapi import Depends, Request, Response

from golub.audit import By
from golub.errors import Forbidden, GolubError, Invalid, NotFound, Unavailable
from golub.model import ApiKey, Operator, Role, Session
from golub.operators import ABSOLUTE_LIFE
from golub.settings import Settings
from golub.sight import ALL_ACCOUNTS, Sight, find_sight, sees_all
from golub.web import csrf
from golub.web.access import ACCESS, ANY_KEY, ANYONE, SCOPES, UNGUARDED
from golub.web.address import client_address
from golub.web.parts import Parts, parts_of

COOKIE = "session"
# All that is open to whoever must set up a second factor first.
SETTING_UP = frozenset({"/me/second-factor", "/me/second-factor/confirm", "/me/proof"})


class Led(Forbidden):
    """Not so, or not yet: `page` is where a person goes first. Programs get 403."""

    def __init__(self, message: str, *, page: str, code: str) -> None:
        super().__init__(message, code=code)
        self.page = page


class NotSignedIn(GolubError):
    """Pages lead to the sign-in page, programs get 401."""

    status = 401
    code = "not_signed_in"


@dataclass(frozen=True)
class Keyed:
    """A program, by its key, and for whom it acts."""

    key: ApiKey
    operator: Operator


@dataclass(frozen=True)
class Signing:
    """A signed-in browser: its session, and whose it is."""

    session: Session
    operator: Operator


def address_of(request: Request) -> str:
    return client_address(request.scope, parts_of(request).settings.trusted_proxies)


def is_api(request: Request) -> bool:
    return request.url.path.startswith("/api/")


async def guard(request: Request) -> None:
    """Refuses what `ACCESS` does not allow, and what another site sent. Runs before every handler."""
    path, parts = request.scope["route"].path, parts_of(request)
    needed = ACCESS.get(path)
    if needed is None:
        raise NotFound("There is no such page.")
    if path in UNGUARDED:
        return
    if parts.halted:
        raise Unavailable(parts.halted, code=parts.health.halted_by)
    secret, key = request.cookies.get(COOKIE, ""), _bearer(request) if is_api(request) else None
    if key is None:
        found = await parts.operators.find_session(secret) if secret else None
        request.state.signing = Signing(*found) if found else None
    else:
        request.state.keyed = await _find_keyed(request, parts, key)
    operator = operator_of(request)
    if needed is not ANYONE and operator is None:
        raise NotSignedIn("Not authenticated")
    if not is_api(request):
        await csrf.check_page(request, parts.settings, csrf_token(request))
    elif key is None:
        csrf.check_api(request, parts.settings)
    else:  # which no browser sends by itself
        csrf.check_json(request)
    if isinstance(needed, Role) and operator and not Role(operator.role).covers(needed):
        raise Forbidden("Access denied")
    if keyed := keyed_of(request):
        _check_scope(keyed.key, request.method, path)
    if needed is not ANYONE and operator and path not in SETTING_UP and lacks_second_factor(operator, parts.settings):
        raise Led(
            "Super administrators need a second factor here: set it up first.",
            page="/me/second-factor",
            code="second_factor_needed",
        )


def _bearer(request: Request) -> str | None:
    """The key that the request carries. Raises `Invalid` where it carries a session as well, or two keys: whose doing
    it would be is not to be guessed."""
    sent = [value.partition(" ") for value in request.headers.getlist("authorization")]
    keys = [key.strip() for scheme, _, key in sent if scheme.lower() == "bearer"]
    if len(keys) + (COOKIE in request.cookies) > 1 and keys:
        raise Invalid("Send one API key or the session's cookie, not both.", code="two_credentials")
    return keys[0] if keys else None


async def _find_keyed(request: Request, parts: Parts, key: str) -> Keyed:
    found = await parts.operators.find_key(key, address_of(request))
    if found is None:
        raise NotSignedIn(
            "This API key is unknown, has expired or was revoked. Make a new one on your profile's page.",
            code="wrong_key",
        )
    return Keyed(*found)


def _check_scope(key: ApiKey, method: str, path: str) -> None:
    needed = SCOPES.get((method, path))
    if needed is None:
        raise Forbidden("API keys do not open this address.", code="no_keys")
    if needed is not ANY_KEY and not key.has(needed):
        raise Forbidden("This API key may not do that: it would need {scope}.", code="scope", scope=str(needed))


def lacks_second_factor(operator: Operator, settings: Settings) -> bool:
    needed = settings.second_factor_required and operator.role == Role.SUPER_ADMIN
    return needed and operator.second_factor_at is None


def signing_of(request: Request) -> Signing | None:
    """The browser that `guard` found; None before it ran, on error pages, and for a program with a key."""
    return cast(Signing | None, getattr(request.state, "signing", None))


def keyed_of(request: Request) -> Keyed | None:
    return cast(Keyed | None, getattr(request.state, "keyed", None))


def operator_of(request: Request) -> Operator | None:
    """Who is signed in, or for whom a program acts."""
    found = signing_of(request) or keyed_of(request)
    return found.operator if found else None


def csrf_token(request: Request) -> str:
    """The token that the next unsafe request of this browser must carry."""
    signing = signing_of(request)
    return signing.session.csrf if signing else csrf.visitor_token(request)


def _at_least(role: Role) -> object:
    async def operator(request: Request) -> Operator:
        found = operator_of(request)
        if found is None:
            raise NotSignedIn("Not authenticated")
        if not Role(found.role).covers(role):
            raise Forbidden("Access denied")
        return found

    return Depends(operator)


Signed = Annotated[Operator, _at_least(Role.MANAGER)]
Admin = Annotated[Operator, _at_least(Role.ADMIN)]
SuperAdmin = Annotated[Operator, _at_least(Role.SUPER_ADMIN)]


async def _sight(request: Request, operator: Signed) -> Sight:
    if sees_all(operator):
        return ALL_ACCOUNTS  # every page asks, and the database need not hear of it
    async with parts_of(request).store.read() as session:
        return await find_sight(session, operator)


Seen = Annotated[Sight, Depends(_sight)]


async def _doer(request: Request) -> By:
    """Who asks, and from where; a stranger where nobody has signed in."""
    keyed = keyed_of(request)
    return By(operator_of(request), address_of(request), keyed.key.name if keyed else "")


Doer = Annotated[By, Depends(_doer)]


def set_cookie(response: Response, secret: str, settings: Settings) -> None:
    response.set_cookie(
        COOKIE,
        secret,
        max_age=ABSOLUTE_LIFE // 1000,
        httponly=True,
        samesite="lax",
        secure=settings.cookie_secure,
        path="/",
    )


def drop_cookie(response: Response, settings: Settings) -> None:
    response.delete_cookie(COOKIE, httponly=True, samesite="lax", secure=settings.cookie_secure, path="/")


def sign_in_url(request: Request) -> str:
    """Where to sign in, and to come back from there when it was a page that was asked for."""
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return f"/sign-in?next={quote(wanted)}" if request.method == "GET" and wanted != "/" else "/sign-in"
