"""The secrets of cookies and one-time links: 32 random bytes in the hand of one person, their SHA-256 with us."""

import hashlib
import secrets


def new_secret() -> str:
    return secrets.token_urlsafe(32)


def digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()
