"""Seals what must not be read from the database alone: client secrets, access tokens, path tokens.

A ciphertext is `key id (4 bytes) · nonce (12) · AES-256-GCM`. The key lives in `secret.key` (0600, made at first run),
the same on every node; its id tells which key sealed a value, so that keys can be changed one day.
"""

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from golub.errors import Unavailable

KEY_BYTES = 32
_ID_BYTES = 4
_NONCE_BYTES = 12


class Vault:
    """Seals and opens short texts. `check` names the key without revealing it."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"the secret key must have {KEY_BYTES} bytes, not {len(key)}")
        digest = hashlib.sha256(b"golub vault\0" + key).digest()
        self._cipher = AESGCM(key)
        self._signing = hashlib.sha256(b"golub sign\0" + key).digest()
        self.key_id = digest[:_ID_BYTES]
        self.check = digest.hex()

    @classmethod
    def from_phrase(cls, phrase: str) -> "Vault":
        """A key given in the environment; whoever chooses it answers for its strength."""
        if len(phrase) < KEY_BYTES:
            raise ValueError("GOLUB_SECRET_KEY must have at least 32 characters")
        return cls(hashlib.sha256(phrase.encode()).digest())

    @classmethod
    def from_file(cls, path: Path) -> "Vault":
        """Reads the key, or makes it where there is none; a half-written file can never be read as a key."""
        try:
            return cls(bytes.fromhex(path.read_text().strip()))
        except FileNotFoundError:
            draft = path.with_name(f".{path.name}.{os.getpid()}")
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_hex(KEY_BYTES) + "\n")
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(draft, path)  # fails where another process was first: its key counts
            except FileExistsError:
                pass
            finally:
                draft.unlink()
            return cls(bytes.fromhex(path.read_text().strip()))

    def sign(self, text: str) -> str:
        """A tag in hex that nobody without the key can make. The same text has the same tag, on every node."""
        return hmac.new(self._signing, text.encode(), hashlib.sha256).hexdigest()[:32]

    def seal(self, text: str) -> bytes:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return self.key_id + nonce + self._cipher.encrypt(nonce, text.encode(), self.key_id)

    def open(self, sealed: bytes) -> str:
        """Raises `Unavailable` for a value that another key sealed, or that was changed."""
        key_id, nonce, body = sealed[:4], sealed[4:16], sealed[16:]
        try:
            return self._cipher.decrypt(nonce, body, key_id).decode()
        except InvalidTag:
            raise Unavailable(
                "This secret was sealed with another key: restore secret.key, or enter it again."
            ) from None
