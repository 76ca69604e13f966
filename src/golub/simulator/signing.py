"""How this Avito signs its webhooks. The real one does so in a way that nobody has published; these are guesses.

Each scheme takes the shop, the URL, the envelope's id and the body as they go out. The header is always the real one's.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable
from urllib.parse import urlsplit

from golub.simulator.world import Account

Sign = Callable[[Account, str, str, bytes], str]


def _body_by_client_secret(account: Account, _url: str, _envelope: str, body: bytes) -> str:
    return hmac.digest(account.client_secret.encode(), body, "sha256").hex()


def _url_and_body_by_client_secret(account: Account, url: str, _envelope: str, body: bytes) -> str:
    return base64.b64encode(hmac.digest(account.client_secret.encode(), url.encode() + body, "sha256")).decode()


def _body_by_path_token(_account: Account, url: str, _envelope: str, body: bytes) -> str:
    return hmac.digest(urlsplit(url).path.rpartition("/")[2].encode(), body, "sha256").hex()


def _client_secret_then_body(account: Account, _url: str, _envelope: str, body: bytes) -> str:
    return hashlib.sha256(account.client_secret.encode() + body).hexdigest()


def _envelope_by_client_secret(account: Account, _url: str, envelope: str, _body: bytes) -> str:
    return hmac.digest(account.client_secret.encode(), envelope.encode(), "sha256").hex()


def _body_by_client_id(account: Account, _url: str, _envelope: str, body: bytes) -> str:
    return hmac.digest(account.client_id.encode(), body, "sha256").hex()


def _digest_of_body(_account: Account, _url: str, _envelope: str, body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


SCHEMES: dict[str, Sign] = {
    "body_by_client_secret": _body_by_client_secret,
    "url_and_body_by_client_secret": _url_and_body_by_client_secret,  # in base64
    "body_by_path_token": _body_by_path_token,
    "client_secret_then_body": _client_secret_then_body,  # plain SHA-256
    "envelope_by_client_secret": _envelope_by_client_secret,
    "body_by_client_id": _body_by_client_id,  # a key that others know …
    "digest_of_body": _digest_of_body,  # … and none at all
}
