"""Operators: who they are, how they sign in, and the sessions that follow, what each works on; a module a noun.

Secrets (session cookies, API keys, one-time links) are 32 random bytes; only their SHA-256 is kept.
"""

from golub.operators.api_keys import KEYS_MOST, LIVES, NAME_LONGEST, scopes_for
from golub.operators.people import Operators
from golub.operators.second_factor import HALF_LIFE, too_late, uri_of
from golub.operators.sessions import ABSOLUTE_LIFE, IDLE_LIFE, LISTENS_EVERY, PROOF_LIFE, handle_of

__all__ = [
    "ABSOLUTE_LIFE",
    "HALF_LIFE",
    "IDLE_LIFE",
    "KEYS_MOST",
    "LISTENS_EVERY",
    "LIVES",
    "NAME_LONGEST",
    "PROOF_LIFE",
    "Operators",
    "handle_of",
    "scopes_for",
    "too_late",
    "uri_of",
]
