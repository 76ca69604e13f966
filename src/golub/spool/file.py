"""What is in `spool.db` and beside it: the schema, and each statement that the spool's writer runs.

Three tables: `received` holds the deliveries, `progress` a short line for each (so that counting and finding what is
pending never reads a body), `tokens` the hashes that this node lets in. `crashes` counts, for a delivery that was
being applied when the process died, how often that happened. Nobody but the spool uses this module.
"""

import fcntl
import json
import os
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from golub.clock import Millis
from golub.errors import Conflict, Rejected

LOCK_WAIT = 1.0  # seconds; nobody but us should ever hold this file
ROW_BYTES = 128  # of a delivery beside its headers and body
INSERT_AT_ONCE = 64  # rows a statement; each number of rows is a statement of its own, and all stay prepared
FORGET_AT_ONCE = 512
FREE_PAGES = 16384  # kept in the file for the next burst; what is beyond goes back to the disk …
FREE_PAGES_AT_ONCE = 256  # … so many at a time

# Only ever add to this list, and only what older releases can live with (new tables, no new columns). A release that
# cannot help shutting older ones out sets `application_id` to the number of the first entry that can use the file.
_SCHEMA = (
    """
    CREATE TABLE received (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        received_at INTEGER NOT NULL,
        account_id INTEGER,
        token_id INTEGER,
        address TEXT NOT NULL,
        headers BLOB NOT NULL,
        body BLOB NOT NULL
    );
    CREATE TABLE progress (
        seq INTEGER PRIMARY KEY,
        id BLOB NOT NULL,
        size INTEGER NOT NULL,
        bare INTEGER NOT NULL,
        drained_at INTEGER
    );
    CREATE INDEX drained ON progress (seq) WHERE drained_at IS NOT NULL;
    CREATE TABLE crashes (id BLOB PRIMARY KEY, times INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE tokens (
        hash BLOB PRIMARY KEY,
        token_id INTEGER NOT NULL,
        account_id INTEGER NOT NULL,
        retired_at INTEGER
    ) WITHOUT ROWID;
    """,
)


@dataclass(frozen=True, slots=True)
class Received:
    """One webhook POST as received."""

    id: bytes  # 16 random bytes, given at receipt
    received_at: Millis
    account_id: int | None  # from the token; None on the bare path
    token_id: int | None
    address: str
    headers: bytes  # a JSON array of [name, value] pairs; the token is never inside
    body: bytes
    seq: int = 0  # place in the spool, given at commit, never reused
    began: float = field(default=0.0, compare=False)  # by `time.perf_counter`, when its request came
    ack_ms: int | None = field(default=None, compare=False)  # from then until it was committed, if that is still known

    @property
    def size(self) -> int:
        return len(self.headers) + len(self.body) + ROW_BYTES


@dataclass(frozen=True, slots=True)
class TokenEntry:
    """A webhook token that this node lets in: `hash` is the SHA-256 of its text."""

    hash: bytes
    token_id: int
    account_id: int
    retired_at: Millis | None = None  # from then on it is as unknown as any other


@dataclass(slots=True)
class Tally:
    """What is in the file, kept in memory so that nobody has to ask for it."""

    pending: int = 0
    pending_bytes: int = 0
    bare_bytes: int = 0  # of the pending ones, those that came without a token
    lowest: int = 0  # seq of the first and the last pending delivery; 0 when there is none
    newest: int = 0
    drained: int = 0
    drained_bytes: int = 0


def own(folder: Path) -> int:
    """Locks the folder for this process; the descriptor holds the lock. Raises `Conflict` where another one has it.

    A file of its own, since closing any descriptor of `spool.db` would drop the locks that SQLite has on it.
    """
    descriptor = os.open(folder / "spool.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        owner = os.pread(descriptor, 20, 0).decode(errors="replace").strip() or "?"
        os.close(descriptor)
        raise Conflict(
            "Another Golub (process {owner}) uses the folder {folder}: one folder, one process.",
            code="folder_in_use",
            owner=owner,
            folder=folder,
        ) from error
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    return descriptor


def refuse_second(folder: Path) -> None:
    """Raises `Conflict` where another process has the folder, and takes nothing: for whoever would rather hear of it
    before the rest of Golub is loaded, which takes seconds."""
    if (folder / "spool.lock").exists():
        os.close(own(folder))


def owner_of(folder: Path) -> str:
    """The process that has the folder, or nothing."""
    try:
        refuse_second(folder)
    except Conflict as error:
        return str(error.fields["owner"])
    return ""


def connect(path: Path, *, cache_kib: int = 8192) -> sqlite3.Connection:
    new = not path.exists()
    connection = sqlite3.connect(
        path, timeout=LOCK_WAIT, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    for pragma in (
        *(["auto_vacuum=INCREMENTAL"] if new else []),  # later it would be a write, and do nothing
        "journal_mode=WAL",
        "synchronous=FULL",
        "wal_autocheckpoint=0",  # a connection of its own checkpoints, so that no ack waits for it
        f"cache_size=-{cache_kib}",
        "mmap_size=0",
        "trusted_schema=OFF",
        "journal_size_limit=67108864",
    ):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def prepare(path: Path) -> sqlite3.Connection:
    """The writer's first connection, with the schema of this release or a newer one, and its promise checked."""
    connection = connect(path)
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (oldest,) = connection.execute("PRAGMA application_id").fetchone()
    if oldest > len(_SCHEMA):
        connection.close()
        raise Rejected("{path} was written by a newer Golub. Install that release again, or a newer one.", path=path)
    for number, script in enumerate(_SCHEMA[version:], start=version + 1):
        connection.executescript(f"BEGIN IMMEDIATE; {script} PRAGMA user_version={number}; COMMIT;")
    _settle(connection)
    effective = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
    if effective != ["wal", 2]:
        raise Rejected("{path} cannot be written safely here ({effective}).", path=path, effective=effective)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # or a power cut could take the whole new file away
    finally:
        os.close(folder)
    return connection


def _settle(connection: sqlite3.Connection) -> None:
    """Empties the log that the last process left. If that one ended because a sync failed, the log may hold pages that
    the kernel takes for clean and the disk never got; behind them no commit of ours would be safe."""
    try:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_FULL:  # a full disk is waited out with the log as it is
            raise


def count(connection: sqlite3.Connection, tally: Tally) -> Tally:
    """Brings the whole tally in line with the file; reads all of `progress`."""
    tally.pending, tally.pending_bytes, tally.bare_bytes, tally.lowest, tally.newest = connection.execute(
        "SELECT count(*), coalesce(sum(size), 0), coalesce(sum(size * bare), 0), coalesce(min(seq), 0), "
        "coalesce(max(seq), 0) FROM progress WHERE drained_at IS NULL"
    ).fetchone()
    tally.drained, tally.drained_bytes = connection.execute(
        "SELECT count(*), coalesce(sum(size), 0) FROM progress WHERE drained_at IS NOT NULL"
    ).fetchone()
    return tally


def last_seq(connection: sqlite3.Connection) -> int:
    """The highest ever given: AUTOINCREMENT remembers it also when the table is empty."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'received'").fetchone()
    return row[0] if row else 0


def insert(connection: sqlite3.Connection, tally: Tally, rows: Sequence[Received], first_seq: int) -> None:
    """Many rows a statement: each step lets the event loop have the interpreter, and getting it back takes long."""
    if not rows:
        return
    numbered = list(enumerate(rows, start=first_seq))
    _insert(
        connection,
        "received VALUES",
        "(?,?,?,?,?,?,?)",
        [(seq, r.received_at, r.account_id, r.token_id, r.address, r.headers, r.body) for seq, r in numbered],
    )
    lines = [(seq, r.id, r.size, int(r.token_id is None)) for seq, r in numbered]
    _insert(connection, "progress VALUES", "(?,?,?,?,NULL)", lines)
    tally.pending += len(lines)
    tally.pending_bytes += sum(size for _, _, size, _ in lines)
    tally.bare_bytes += sum(size * bare for _, _, size, bare in lines)
    tally.lowest = tally.lowest or first_seq
    tally.newest = first_seq + len(lines) - 1


def _insert(connection: sqlite3.Connection, into: str, places: str, rows: Sequence[tuple[object, ...]]) -> None:
    for start in range(0, len(rows), INSERT_AT_ONCE):
        part = rows[start : start + INSERT_AT_ONCE]
        connection.execute(f"INSERT INTO {into} {','.join([places] * len(part))}", list(chain.from_iterable(part)))


def mark_drained(connection: sqlite3.Connection, tally: Tally, ids: Iterable[bytes], at: Millis) -> None:
    """Marks those of `ids` that are pending. It looks for them from the oldest one on, where apply is at work, so
    that no index of random ids has to be written with every delivery."""
    names = json.dumps([one.hex().upper() for one in ids])
    found, number, size, bare = connection.execute(
        "SELECT json_group_array(seq), count(*), coalesce(sum(size), 0), coalesce(sum(size * bare), 0) FROM ("
        "  SELECT seq, size, bare FROM progress WHERE seq >= ?1 AND drained_at IS NULL"
        "  AND hex(id) IN (SELECT value FROM json_each(?2)) ORDER BY seq LIMIT json_array_length(?2))",
        (tally.lowest, names),
    ).fetchone()
    connection.execute("UPDATE progress SET drained_at = ? WHERE seq IN (SELECT value FROM json_each(?))", (at, found))
    tally.pending -= number
    tally.pending_bytes -= size
    tally.bare_bytes -= bare
    tally.drained += number
    tally.drained_bytes += size
    pending = "SELECT seq FROM progress WHERE seq >= ? AND drained_at IS NULL ORDER BY seq"
    first = connection.execute(f"{pending} LIMIT 1", (tally.lowest,)).fetchone()
    last = first and connection.execute(f"{pending} DESC LIMIT 1", (tally.lowest,)).fetchone()
    tally.lowest, tally.newest = (first[0], last[0]) if first else (0, 0)


def forget(connection: sqlite3.Connection, tally: Tally, *, before: Millis, keep_bytes: int) -> int:
    """Deletes drained rows, oldest first, some at a time: those drained `before`, and what is beyond `keep_bytes`."""
    gone: list[int] = []
    for seq, size, drained_at in connection.execute(
        "SELECT seq, size, drained_at FROM progress WHERE drained_at IS NOT NULL ORDER BY seq LIMIT ?",
        (FORGET_AT_ONCE,),
    ):
        if drained_at > before and tally.drained_bytes <= keep_bytes:
            break
        gone.append(seq)
        tally.drained -= 1
        tally.drained_bytes -= size
    for table in ("received", "progress"):
        connection.execute(
            f"DELETE FROM {table} WHERE seq IN (SELECT value FROM json_each(?))",  # noqa: S608 - only our own words
            (json.dumps(gone),),
        )
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    if free > FREE_PAGES:
        connection.execute(f"PRAGMA incremental_vacuum({FREE_PAGES_AT_ONCE})").fetchall()
    return len(gone)


class Applying:
    """Which deliveries are being applied at this moment, for whoever starts after a crash.

    A small file and no table: it must outlive the process, not the machine, so writing it costs no fsync. Its room
    is taken at the start, so a full disk does not stop it.
    """

    _ID = 16

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        held = os.pread(self._file, self._ID, 0)
        number = int.from_bytes(held) if len(held) == self._ID else 0
        ids = os.pread(self._file, self._ID * min(number, 1 << 16), self._ID)
        self.found = [ids[at : at + self._ID] for at in range(0, len(ids) - self._ID + 1, self._ID)]
        if os.fstat(self._file).st_size < self._ID * 513:
            os.pwrite(self._file, bytes(self._ID * 513), 0)

    def begin(self, ids: Sequence[bytes]) -> None:
        os.pwrite(self._file, b"".join(ids), self._ID)
        os.pwrite(self._file, len(ids).to_bytes(self._ID), 0)  # last: until then nothing is being applied

    def end(self) -> None:
        os.pwrite(self._file, bytes(self._ID), 0)

    def count_crashes(self, connection: sqlite3.Connection) -> dict[bytes, int]:
        """Adds what was being applied to the counts, once, and returns them all."""
        connection.execute("BEGIN IMMEDIATE")
        for one in self.found:
            connection.execute(
                "INSERT INTO crashes SELECT id, 1 FROM progress WHERE id = ? AND drained_at IS NULL"
                " ON CONFLICT DO UPDATE SET times = times + 1",
                (one,),
            )
        connection.execute("COMMIT")
        self.end()
        return dict(connection.execute("SELECT id, times FROM crashes").fetchall())

    def close(self) -> None:
        self.end()
        os.close(self._file)
