"""Operators: who they are, how they sign in, and the sessions that follow, what each works on; a module a noun.

Secrets (session cookies, one-time links) are 32 random bytes; only their SHA-256 is kept.
"""

from golub.operators.people import Operators
from golub.operators.sessions import ABSOLUTE_LIFE, IDLE_LIFE, LISTENS_EVERY

__all__ = ["ABSOLUTE_LIFE", "IDLE_LIFE", "LISTENS_EVERY", "Operators"]
