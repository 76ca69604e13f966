"""Changes the key that seals secrets, and seals everything anew under the new one: `golub secrets rotate`.

Promises, which the command and the guide rely on:
- Killed at any moment, every secret can be opened by what is in `secret.key`, and the same command goes on where it
  stood. The new key is written into the file first, before the one in use, and only opens yet: the database names the
  key that seals. One transaction seals every value anew, names the new key and tells the audit. What stands behind the
  key in use has been used before; it goes once neither a value nor a backup needs it.
- Every sealed column is found by its type, in any table.
- No process serves meanwhile: one that runs would go on sealing with the key that it read when it started. The node
  that is started later without the new key only receives, and says so (rule 10 of the design).
"""

import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Column, MetaData, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from golub import audit
from golub.clock import SECOND, Clock
from golub.errors import Conflict, NotFound, Rejected, Unavailable
from golub.model import KEY_CHECK, Action, Mark, Node, Sealed, SealedBytes, Table
from golub.nodes import LEASE
from golub.store import Store
from golub.vault import KEY_BYTES, Key, Vault, write_keys

Tell = Callable[[str, float], None]  # a step, which is a table's name but for the first and last, and its share


@dataclass(frozen=True, slots=True)
class Resealed:
    sealed: int
    lost: int  # values that no key here opens, and none did before: they stay as they are
    removed: int  # keys
    kept: int  # older keys that something still needs


async def rotate(
    store: Store,
    path: Path,
    needed: Collection[str],
    *,
    clock: Clock,
    tell: Tell,
    metadata: MetaData = Table.metadata,
) -> Resealed:
    """`path` is the file of the keys, `needed` the checks of those that backups were made with.

    Whoever calls it holds the data folder. Raises `NotFound` where there is no file, `Rejected` where it is not the one
    that this database needs, `Conflict` while a process serves elsewhere, `Unavailable` where the file or the database
    does not take it.
    """
    keys, at = await _keys(store, path)
    if at == 0:
        keys, at = [Key(secrets.token_bytes(KEY_BYTES)), *keys], 1
        _write(path, keys)
    new, vault = keys[0], Vault(*(key.raw for key in keys))  # the first of the file seals
    tell("key", 1.0)
    sealed = lost = 0
    async with store.write() as session:
        await _must_be_alone(store, session)
        for column in sealed_columns(metadata):
            for done, (of_row, value) in enumerate(rows := await _values(session, column)):
                tell(column.table.name, done / len(rows))
                try:
                    anew = vault.seal(vault.open(value))
                except Unavailable:
                    lost += 1
                    continue
                table = column.table
                by_key = [one == given for one, given in zip(table.primary_key.columns, of_row, strict=True)]
                await session.execute(update(table).where(*by_key).values({column: anew}))
                sealed += 1
        mark = await session.get_one(Mark, KEY_CHECK)
        mark.value = new.check
        told = {"key": new.id.hex(), "sealed": sealed, **({"lost": lost} if lost else {})}
        was = {"key": keys[at].id.hex()}
        await audit.CONSOLE.did(session, Action.SECRET_KEY_CHANGED, "", before=was, after=told, now=clock())
        tell("database", 1.0)
    removed, kept = await tidy(store, path, needed, metadata=metadata)
    return Resealed(sealed, lost, removed, kept)


async def tidy(
    store: Store, path: Path, needed: Collection[str], *, metadata: MetaData = Table.metadata
) -> tuple[int, int]:
    """Removes the keys that were used once and that nothing needs any more. Returns how many, and how many older ones
    stay. Raises as `rotate` does."""
    keys, at = await _keys(store, path)
    async with store.read() as session:
        used = {value[:4] for column in sealed_columns(metadata) for _, value in await _values(session, column)}
    older = keys[at + 1 :]
    kept = [key for key in older if key.id in used or key.check in needed]
    if kept != older:
        _write(path, [*keys[: at + 1], *kept])
    return len(older) - len(kept), len(kept)


def sealed_columns(metadata: MetaData = Table.metadata) -> Sequence[Column[Sealed | None]]:
    """Of all tables."""
    found = [column for table in metadata.sorted_tables for column in table.columns]
    return [column for column in found if isinstance(column.type, SealedBytes)]


async def _keys(store: Store, path: Path) -> tuple[list[Key], int]:
    """What is in the file, and which of them seals: those before it were never used, those behind it were."""
    vault = _opened(path)
    async with store.read() as session:
        await _must_be_alone(store, session)
        mark = await session.get(Mark, KEY_CHECK)
    if mark is None:
        raise NotFound("Golub has never run with this database: there is nothing to seal anew.")
    if not vault.knows(mark.value):
        raise Rejected("The key in {path} is not the one that sealed this database's secrets.", path=path)
    return vault.keys, [key.check for key in vault.keys].index(mark.value)


def _opened(path: Path) -> Vault:
    if not path.exists():  # `Vault` would make one
        raise NotFound("There is no key in {path}.", path=path)
    try:
        return Vault.from_file(path)
    except (ValueError, OSError) as error:
        raise Rejected("The secret key cannot be used: {reason}.", reason=str(error)) from error


async def _must_be_alone(store: Store, session: AsyncSession) -> None:
    lives = Node.stopped_at.is_(None), Node.seen_at > store.moment - int(LEASE * SECOND)
    if names := list(await session.scalars(select(Node.name).where(*lives).order_by(Node.name))):
        raise Conflict(
            "Stop these processes of Golub first: {names}. One that was killed counts for {seconds} seconds more.",
            names=", ".join(names),
            seconds=int(LEASE),
        )


async def _values(session: AsyncSession, column: Column[Sealed | None]) -> list[tuple[Sequence[object], Sealed]]:
    """By primary key."""
    rows = await session.execute(select(column, *column.table.primary_key.columns).where(column.is_not(None)))
    return [(row[1:], Sealed(bytes(row[0]))) for row in rows]


def _write(path: Path, keys: Sequence[Key]) -> None:
    try:
        write_keys(path, keys)
    except OSError as error:
        raise Unavailable("{path} could not be written: {reason}", path=path, reason=str(error)) from error
