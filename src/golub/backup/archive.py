"""The file that a backup is: a zip of its members and of `manifest.json`, which has the SHA-256 of each.

Any tool opens it. It is written under another name beside its own, synced and read back before it gets its own, so an
archive that has its name is whole. What is read out of one is checked against the manifest on the way.
"""

import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any

from golub.clock import Millis
from golub.errors import Rejected

FORMAT = 1
MANIFEST = "manifest.json"
CHUNK = 1 << 20
SYNCED_EVERY = 8 << 20  # bytes: more unwritten at once would hold up the spool's own fsync
PACKED = {".webp", ".jpg", ".png", ".mp3", ".m4a", ".ogg"}  # squeezing these again gains nothing
PLACES = {"golub.db", "spool.db", "secret.key.sealed", "texts.sealed", "tables", "outgoing", "media"}

Moved = Callable[[int], None]  # so many bytes more; may raise to end the work


@dataclass(frozen=True, slots=True)
class Member:
    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """`columns` are those of each table, where the main database is PostgreSQL; `counts` its rows either way."""

    version: str  # of the Golub that made it
    schema: str
    database: str  # sqlite or postgresql
    reason: str
    begun_at: Millis  # every delivery acked before is inside
    ended_at: Millis
    key_check: str  # names the key that sealed the secrets inside, without revealing it
    has_key: bool
    has_media: bool
    counts: dict[str, int]
    columns: dict[str, list[str]]
    members: list[Member]
    format: int = FORMAT

    @classmethod
    def parse(cls, raw: bytes) -> "Manifest":
        """Raises `ValueError`, `TypeError` or `KeyError` for what is none."""
        found: dict[str, Any] = json.loads(raw)
        if found["format"] != FORMAT:
            raise ValueError(found["format"])
        members = [Member(**member) for member in found.pop("members")]
        if not all(_belongs(member.name) for member in members):
            raise ValueError("a member outside the archive's places")
        return cls(members=members, **found)

    def member(self, name: str) -> Member | None:
        return next((member for member in self.members if member.name == name), None)


@dataclass
class Writer:
    """Adds members to an archive that is being written."""

    zip: zipfile.ZipFile
    file: IO[bytes]
    moved: Moved
    members: list[Member] = field(default_factory=list[Member])
    _unsynced: int = 0

    def add_file(self, name: str, path: Path) -> None:
        self.add(name, _chunks(path), squeeze=path.suffix not in PACKED)

    def add(self, name: str, chunks: Iterable[bytes], *, squeeze: bool = True) -> None:
        entry = zipfile.ZipInfo(name)
        entry.compress_type = zipfile.ZIP_DEFLATED if squeeze else zipfile.ZIP_STORED
        entry.external_attr = 0o600 << 16
        digest, size = hashlib.sha256(), 0
        with self.zip.open(entry, "w", force_zip64=True) as member:
            for chunk in chunks:
                digest.update(chunk)
                member.write(chunk)
                size += len(chunk)
                self._count(len(chunk))
        self.members.append(Member(name, size, digest.hexdigest()))

    def _count(self, size: int) -> None:
        self._unsynced += size
        if self._unsynced >= SYNCED_EVERY:
            self._unsynced = 0
            self.file.flush()
            os.fdatasync(self.file.fileno())
        self.moved(size)


@contextmanager
def writing(draft: Path, moved: Moved) -> Generator[Writer]:
    """A new archive; the caller adds the manifest last, with `seal`. Synced on leaving, and gone after an error."""
    descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            with zipfile.ZipFile(file, "w", compresslevel=1) as archive:
                yield Writer(archive, file, moved)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def seal(writer: Writer, manifest: Manifest) -> None:
    writer.zip.writestr(MANIFEST, json.dumps(asdict(manifest), ensure_ascii=False, indent=1) + "\n")


def read_manifest(path: Path) -> Manifest:
    """Raises `Rejected` for a file that is no archive of ours, or a newer Golub's."""
    try:
        with zipfile.ZipFile(path) as archive:
            return Manifest.parse(archive.read(MANIFEST))
    except FileNotFoundError:
        raise Rejected("There is no file {path}.", path=path) from None
    except (OSError, zipfile.BadZipFile, ValueError, TypeError, KeyError) as error:
        raise Rejected("{path} is no backup of Golub, or is damaged.", path=path) from error


@contextmanager
def opened(path: Path) -> Generator[zipfile.ZipFile]:
    """Reads members; a file that is damaged where the manifest was not is told as such."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, EOFError, KeyError, ValueError) as error:
        raise Rejected("{path} is damaged: {reason}", path=path, reason=str(error)) from error


def read(archive: zipfile.ZipFile, member: Member) -> Generator[bytes]:
    """The member's bytes. Raises `Rejected` when they are not what the manifest says: for more of them at once, since
    a few that unpack to a full disk need no end."""
    digest, left = hashlib.sha256(), member.bytes
    with archive.open(member.name) as source:
        while left >= 0 and (chunk := source.read(CHUNK)):
            left -= len(chunk)
            if left >= 0:
                digest.update(chunk)
                yield chunk
    if left or digest.hexdigest() != member.sha256:
        raise Rejected("{path} is damaged: {reason}", path=archive.filename or "", reason=member.name)


def verify(path: Path, manifest: Manifest, moved: Moved) -> None:
    """Reads all of it back. Raises `Rejected`."""
    with opened(path) as archive:
        for member in manifest.members:
            for chunk in read(archive, member):
                moved(len(chunk))


def extract(archive: zipfile.ZipFile, member: Member, to: Path, moved: Moved) -> None:
    """Writes a member to a new file and syncs it."""
    to.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with os.fdopen(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        for chunk in read(archive, member):
            file.write(chunk)
            moved(len(chunk))
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Without it a power cut may take a file's new name away."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _chunks(path: Path) -> Generator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def _belongs(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return bool(parts) and parts[0] in PLACES and ".." not in parts and "\\" not in name
