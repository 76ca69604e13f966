"""A webhook's URL: which ones we take, the secret at its end, and what its answer to a try must be."""

import hashlib
import re
import secrets
from urllib.parse import urlsplit

from golub.clock import SECOND
from golub.errors import Invalid
from golub.guarded import Call, Guarded
from golub.settings import WEBHOOK_PATH

PROBE_LIMIT = 2 * SECOND  # postWebhookV3: the URL must answer 200 within two seconds

_PATH = re.compile(re.escape(WEBHOOK_PATH) + r"(?:/(?P<token>[^/]*))?$")
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")  # 32 random bytes
_DOTS = "••••••••"
_FEWEST_CHARACTERS = 16  # different ones in a token; a random one has some thirty


def make_url(public_url: str) -> str:
    """The recommended URL, with a new secret in it."""
    return f"{public_url}{WEBHOOK_PATH}/{secrets.token_urlsafe(32)}"


def check_shape(url: str, guarded: Guarded) -> str:
    """The URL in its normal form. Raises `Invalid` with words that help."""
    url = guarded.check_url(url).rstrip("/")
    parts = urlsplit(url)
    if parts.query:
        raise Invalid("Leave out what stands after the question mark: Golub needs nothing there.", field="url")
    found = _PATH.search(parts.path)
    if not found:
        raise Invalid("The path must end in {path}, or Avito would not find Golub.", field="url", path=WEBHOOK_PATH)
    token = found["token"] or ""
    if token and (not _TOKEN.fullmatch(token) or len(set(token)) < _FEWEST_CHARACTERS):
        raise Invalid("The secret at the end is not whole. Take the recommended address as it is.", field="url")
    return url


def token_of(url: str) -> str | None:
    """The secret at the end of a URL that leads to a Golub; empty on the bare path, None where it leads elsewhere."""
    try:
        found = _PATH.search(urlsplit(url).path)
    except ValueError:
        return None
    return (found["token"] or "") if found else None


def mask(url: str) -> str:
    """The URL for eyes that need not know its secret, and for the database."""
    token = token_of(url)
    return url.replace(f"{WEBHOOK_PATH}/{token}", f"{WEBHOOK_PATH}/{_DOTS}") if token else url


def unmask(masked: str, token: str) -> str:
    """What `mask` was given."""
    return masked.replace(_DOTS, token)


def secret_hash(url: str) -> bytes | None:
    """Of the secret at its end; None where it has none."""
    return hash_of(token) if (token := token_of(url)) else None


def hash_of(token: str) -> bytes:
    """By which a token is matched; of it nothing can be learned."""
    return hashlib.sha256(token.encode()).digest()


def host_of(url: str) -> str:
    """For people: which service a URL belongs to. Never empty, whatever Avito tells us."""
    try:
        return urlsplit(url).hostname or "?"
    except ValueError:
        return "?"


def is_answered(call: Call) -> bool:
    """Whether a URL answered a try as Avito demands."""
    return call.status == 200 and call.took <= PROBE_LIMIT
