"""Seals what must not be read from the database alone: client secrets, access tokens, path tokens.

A ciphertext is `key id (4 bytes) · nonce (12) · AES-256-GCM`. The keys live in `secret.key` (0600, made at first run),
the same on every node, a line each. One of them seals: the one that the database names (`use`), or the first. The
others only open what they sealed once; `golub.reseal` changes the one for the other.
"""

import hashlib
import hmac
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from golub.errors import Unavailable
from golub.model.table import Sealed

KEY_BYTES = 32
_ID_BYTES = 4
_NONCE_BYTES = 12


class Key:
    """`check` names the key without revealing it; `id`, its beginning, stands before each ciphertext."""

    def __init__(self, raw: bytes) -> None:
        if len(raw) != KEY_BYTES:
            raise ValueError(f"the secret key must have {KEY_BYTES} bytes, not {len(raw)}")
        self.raw = raw
        digest = hashlib.sha256(b"golub vault\0" + raw).digest()
        self.cipher = AESGCM(raw)
        self.signing = hashlib.sha256(b"golub sign\0" + raw).digest()
        self.id = digest[:_ID_BYTES]
        self.check = digest.hex()

    def sign(self, text: str) -> str:
        return hmac.new(self.signing, text.encode(), hashlib.sha256).hexdigest()[:32]


class Vault:
    """Seals and opens short texts."""

    def __init__(self, *keys: bytes) -> None:
        self.keys = [Key(raw) for raw in keys]
        self._key = self.keys[0]

    @classmethod
    def from_phrase(cls, phrase: str) -> "Vault":
        """A key given in the environment; whoever chooses it answers for its strength."""
        if len(phrase) < KEY_BYTES:
            raise ValueError("GOLUB_SECRET_KEY must have at least 32 characters")
        return cls(hashlib.sha256(phrase.encode()).digest())

    @classmethod
    def from_file(cls, path: Path) -> "Vault":
        """Reads the keys, or makes one where there is none; a half-written file can never be read as a key."""
        try:
            return cls(*_read(path))
        except FileNotFoundError:
            draft = _drafted(path, [secrets.token_bytes(KEY_BYTES)])
            try:
                os.link(draft, path)  # fails where another process was first: its key counts
            except FileExistsError:
                pass
            finally:
                draft.unlink()
            return cls(*_read(path))

    @property
    def check(self) -> str:
        """Of the key that seals."""
        return self._key.check

    @property
    def key_id(self) -> bytes:
        return self._key.id

    def knows(self, check: str) -> bool:
        return any(key.check == check for key in self.keys)

    def use(self, check: str) -> None:
        """From now on this key seals. Raises `StopIteration` for one that we do not know."""
        self._key = next(key for key in self.keys if key.check == check)

    def sign(self, text: str) -> str:
        """A tag in hex that nobody without the key can make. The same text has the same tag, on every node."""
        return self._key.sign(text)

    def is_signed(self, text: str, tag: str) -> bool:
        """Whether one of our keys made the tag: a page that was opened before the key changed still holds the old."""
        return any(hmac.compare_digest(tag.encode(), key.sign(text).encode()) for key in self.keys)

    def seal(self, text: str) -> Sealed:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return Sealed(self._key.id + nonce + self._key.cipher.encrypt(nonce, text.encode(), self._key.id))

    def open(self, sealed: Sealed) -> str:
        """Raises `Unavailable` for a value that none of our keys sealed, or that was changed."""
        key_id, nonce, body = sealed[:4], sealed[4:16], sealed[16:]
        for key in self.keys:
            if key.id == key_id:
                try:
                    return key.cipher.decrypt(nonce, body, key_id).decode()
                except InvalidTag:
                    continue
        raise Unavailable("This secret was sealed with another key: restore secret.key, or enter it again.")


def write_keys(path: Path, keys: Sequence[Key]) -> None:
    """In the place of what is there, whole or not at all, for the same owner. Raises `OSError`."""
    draft = _drafted(path, [key.raw for key in keys])
    try:
        before = path.stat()
        if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
            os.chown(draft, before.st_uid, before.st_gid)  # a command of root's, for a server that is not root
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _read(path: Path) -> list[bytes]:
    return [bytes.fromhex(line) for line in path.read_text().split()] or [b""]


def _drafted(path: Path, keys: Sequence[bytes]) -> Path:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)  # of a process of this number that was killed
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write("".join(f"{raw.hex()}\n" for raw in keys))
        file.flush()
        os.fsync(file.fileno())
    return draft
