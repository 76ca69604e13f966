"""POST /token and the check that stands before every call.

Live oddities: an expired token answers 403 with `{"result": {"message": "access token expired"}}`, not 401, and
client_credentials hands out no refresh token. The 401 without a token and the refusals of `/token` are RFC 6749's
shapes: nobody has published Avito's.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from golub.simulator import wire
from golub.simulator.policy import Policy
from golub.simulator.wire import Json
from golub.simulator.world import CHAT_ALPHABET, Account, World

SCOPE = "messenger:read,messenger:write,user:read"


@dataclass(slots=True)
class Token:
    account: Account
    expires: float


class Tokens:
    """Who holds which token. Two tokens of one key pair live side by side, as they do at Avito."""

    def __init__(self, world: World, policy: Policy, rng: Random, clock: Callable[[], float]) -> None:
        self._world = world
        self._policy = policy
        self._rng = rng
        self._clock = clock
        self._access: dict[str, Token] = {}
        self._refresh: dict[str, Account] = {}
        self._codes: dict[str, Account] = {}

    def answer(self, form: Mapping[str, str]) -> tuple[int, Json]:
        """Status and body for one POST /token."""
        grant = form.get("grant_type", "")
        client = next((a for a in self._world.accounts.values() if a.client_id == form.get("client_id")), None)
        if grant not in ("client_credentials", "authorization_code", "refresh_token"):
            return 400, {"error": "unsupported_grant_type", "error_description": "unknown grant_type"}
        if not client or client.client_secret != form.get("client_secret") or client.revoked:
            return 401, {"error": "invalid_client", "error_description": "client authentication failed"}
        if grant == "client_credentials":
            return 200, self._issue(client)
        known = self._codes if grant == "authorization_code" else self._refresh
        account = known.pop(form.get("code" if grant == "authorization_code" else "refresh_token", ""), None)
        if not account:
            return 400, {"error": "invalid_grant", "error_description": f"unknown or used {grant}"}
        refresh = self._secret(40)
        self._refresh[refresh] = account  # rotates: the one that was used is gone
        return 200, self._issue(account) | {"refresh_token": refresh, "scope": SCOPE}

    def authorize(self, account: Account) -> str:
        """A code as the consent page would have handed out."""
        code = self._secret(22)
        self._codes[code] = account
        return code

    def expire(self, account: Account) -> None:
        for token in self._access.values():
            if token.account is account:
                token.expires = float("-inf")

    def owner(self, authorization: str | None) -> int | None:
        """Whose token that is, also an expired one."""
        token = self._access.get((authorization or "").partition(" ")[2].strip())
        return token.account.user_id if token else None

    def check(self, authorization: str | None, user_id: int | None) -> Account | tuple[int, Json]:
        """The account that may go on, or the refusal. `user_id` None: any account (subscriptions name none)."""
        scheme, _, secret = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not secret:
            return 401, wire.error(401, "Unauthorized")
        token = self._access.get(secret.strip())
        if not token:
            return 403, wire.result_error("invalid access token")
        if token.expires <= self._clock():
            return 403, wire.result_error("access token expired")
        if user_id is not None and user_id != token.account.user_id:
            return 403, wire.error(403, "Forbidden")
        return token.account

    def _issue(self, account: Account) -> Json:
        secret = self._secret(22)
        self._access[secret] = Token(account, self._clock() + self._policy.token_seconds)
        return {"access_token": secret, "expires_in": self._policy.token_seconds, "token_type": "Bearer"}

    def _secret(self, length: int) -> str:
        return "".join(self._rng.choices(CHAT_ALPHABET[:62], k=length))
