"""`secret.key` inside an archive, sealed with a passphrase: whoever has the archive alone reads no secret."""

import json
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from golub.errors import Invalid, Rejected
from golub.settings import Settings

SHORTEST = 12  # characters
_COST = {"n": 1 << 16, "r": 8, "p": 1}  # 64 MiB and about a quarter of a second a guess
_BOUND_TO = b"golub secret.key"


def key_path(settings: Settings) -> Path | None:
    """The file of the key; None where the key is given in the environment."""
    return None if settings.secret_key else settings.secret_key_file or settings.data_dir / "secret.key"


def seal(settings: Settings, passphrase: str) -> bytes:
    """Raises `Invalid` for a passphrase that is easily guessed, `Rejected` where there is no file to seal."""
    if len(passphrase) < SHORTEST:
        raise Invalid("The passphrase must have at least {shortest} characters.", shortest=SHORTEST)
    path = key_path(settings)
    if path is None:
        raise Rejected("The key is given in GOLUB_SECRET_KEY: keep it where you keep your passwords.")
    try:
        key = path.read_bytes()
    except OSError as error:
        raise Rejected("{path} cannot be read.", path=path) from error
    salt, nonce = secrets.token_bytes(16), secrets.token_bytes(12)
    sealed = AESGCM(_derive(passphrase, salt)).encrypt(nonce, key, _BOUND_TO)
    return json.dumps({"salt": salt.hex(), "nonce": nonce.hex(), "sealed": sealed.hex(), "scrypt": _COST}).encode()


def unseal(raw: bytes, passphrase: str) -> bytes:
    """What `secret.key` held. Raises `Invalid` for another passphrase."""
    found = json.loads(raw)
    try:
        derived = _derive(passphrase, bytes.fromhex(found["salt"]))
        return AESGCM(derived).decrypt(bytes.fromhex(found["nonce"]), bytes.fromhex(found["sealed"]), _BOUND_TO)
    except InvalidTag:
        raise Invalid("This is not the passphrase that the backup was made with.") from None


def _derive(passphrase: str, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=32, **_COST).derive(passphrase.encode())
