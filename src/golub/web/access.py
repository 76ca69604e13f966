"""Who may use which URL. What is not here is refused to everybody, so a new route must be thought about first."""

from enum import StrEnum

from golub.model import Role


class Anyone(StrEnum):
    """Not a role: the page is for people who have not signed in (yet)."""

    ANYONE = "anyone"


ANYONE = Anyone.ANYONE

# By the path as the route writes it; all its methods alike.
ACCESS: dict[str, Role | Anyone] = {
    "/": ANYONE,
    "/healthz/live": ANYONE,
    "/healthz/ready": ANYONE,
    "/metrics": ANYONE,  # guards itself: loopback or a token
    "/manifest.webmanifest": ANYONE,
    "/preferences": ANYONE,
    "/sign-in": ANYONE,
    "/sign-out": ANYONE,
    "/setup/{secret}": ANYONE,
    "/enter/{secret}": ANYONE,
    "/password/{secret}": ANYONE,
    "/guide": Role.MANAGER,
    "/admin/operators": Role.ADMIN,
    "/admin/operators/{operator_id}": Role.ADMIN,
    "/admin/operators/{operator_id}/link": Role.ADMIN,
}
