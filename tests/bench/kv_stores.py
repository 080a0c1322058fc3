"""The key-value contestants, each through its ordinary public Python API, at its best.

Every store offers whole loops (`puts`, `gets`, ...), so that what is timed is the loop an ordinary
user would write, with no wrapper call around each operation. Ours are coroutines that run inside
one running event loop; the peers are plain methods.

The peers get what a careful user would give them: a JSON encoder made once (compact separators),
upserts in autocommit mode, tables WITHOUT ROWID, one transaction around a batch.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import os
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Document = dict[str, Any]
Pair = tuple[str, Document]
Item = tuple[str, str, Document]
"""Namespace, key, document: what `put_batch` takes. Peers use the key and the document."""

NAMESPACE = "bench"

encode = json.JSONEncoder(separators=(",", ":")).encode
decode = json.loads


class DictText:
    """A dict from key to JSON text: no database at all."""

    def __init__(self) -> None:
        self.rows: dict[str, str] = {}

    def puts(self, pairs: Sequence[Pair]) -> None:
        rows = self.rows
        for key, document in pairs:
            rows[key] = encode(document)

    def gets(self, keys: Sequence[str]) -> Document:
        rows = self.rows
        found: Document = {}
        for key in keys:
            found = decode(rows[key])
        return found

    def batch(self, items: Sequence[Item]) -> None:
        self.rows.update((key, encode(document)) for _, key, document in items)

    def close(self) -> None:
        self.rows.clear()


class SqliteLatest:
    """One row for each key; a put replaces it. `synchronous` None means in memory."""

    PUT = (
        "INSERT INTO documents VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
    )
    GET = "SELECT value FROM documents WHERE key = ?"

    def __init__(
        self, path: Path | None = None, synchronous: str | None = None, journal: str = "WAL"
    ) -> None:
        self.connection = sqlite3.connect(path or ":memory:", isolation_level=None)
        if synchronous is not None:
            self.connection.execute(f"PRAGMA journal_mode = {journal}")
            self.connection.execute(f"PRAGMA synchronous = {synchronous}")
        self.connection.execute(
            "CREATE TABLE documents (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID"
        )

    def puts(self, pairs: Sequence[Pair]) -> None:
        connection = self.connection
        for key, document in pairs:
            connection.execute(self.PUT, (key, encode(document)))

    def gets(self, keys: Sequence[str]) -> Document:
        connection = self.connection
        found: Document = {}
        for key in keys:
            found = decode(connection.execute(self.GET, (key,)).fetchone()[0])
        return found

    def batch(self, items: Sequence[Item]) -> None:
        connection = self.connection
        connection.execute("BEGIN")
        connection.executemany(self.PUT, ((key, encode(document)) for _, key, document in items))
        connection.execute("COMMIT")

    def close(self) -> None:
        self.connection.close()


class SqliteWriters:
    """SQLite in a file, durable, with many writers: threads that wait for work, each with its own
    connection, in which it commits its own puts. SQLite tells them that another is at it and lets
    them try again until a timeout; or they take turns by a lock of their process.
    """

    TIMEOUT_SECONDS = 60.0

    def __init__(self, path: Path, writers: int, *, take_turns: bool) -> None:
        self.latest = SqliteLatest(path, "FULL")
        self.path = path
        self.turn: Any = threading.Lock() if take_turns else contextlib.nullcontext()
        self.own = threading.local()
        self.opened: list[sqlite3.Connection] = []
        self.all_there = threading.Barrier(writers)
        self.pool = ThreadPoolExecutor(writers, initializer=self.begin)
        list(self.pool.map(lambda _: self.all_there.wait(), range(writers)))

    def begin(self) -> None:
        """Opens a thread's connection. That there is a WAL is known from the file."""
        connection = sqlite3.connect(
            self.path, self.TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA synchronous = FULL")
        self.own.connection = connection
        self.opened.append(connection)

    def put(self, pair: Pair) -> None:
        key, document = pair
        row = (key, encode(document))
        with self.turn:
            self.own.connection.execute(SqliteLatest.PUT, row)

    def puts_at_once(self, pairs: Sequence[Pair]) -> None:
        for _ in self.pool.map(self.put, pairs):
            pass

    def close(self) -> None:
        self.pool.shutdown()
        for connection in self.opened:
            connection.close()
        self.latest.close()


class SqliteVersions:
    """In memory, every version kept: a put inserts, under the key and the microsecond."""

    PUT = "INSERT INTO versions VALUES (?, ?, ?)"
    GET = "SELECT value FROM versions WHERE key = ? ORDER BY at DESC LIMIT 1"
    AS_OF = "SELECT value FROM versions WHERE key = ? AND at <= ? ORDER BY at DESC LIMIT 1"
    HISTORY = "SELECT at, value FROM versions WHERE key = ? ORDER BY at"

    def __init__(self) -> None:
        self.last = 0
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        self.connection.execute(
            "CREATE TABLE versions (key TEXT, at INTEGER, value TEXT NOT NULL, "
            "PRIMARY KEY (key, at DESC)) WITHOUT ROWID"
        )

    def puts(self, pairs: Sequence[Pair]) -> None:
        connection, last = self.connection, self.last
        for key, document in pairs:
            last = max(last + 1, time.time_ns() // 1000)
            connection.execute(self.PUT, (key, last, encode(document)))
        self.last = last

    def gets(self, keys: Sequence[str]) -> Document:
        connection = self.connection
        found: Document = {}
        for key in keys:
            found = decode(connection.execute(self.GET, (key,)).fetchone()[0])
        return found

    def batch(self, items: Sequence[Item]) -> None:
        at = self.last = max(self.last + 1, time.time_ns() // 1000)
        connection = self.connection
        connection.execute("BEGIN")
        connection.executemany(
            self.PUT, ((key, at, encode(document)) for _, key, document in items)
        )
        connection.execute("COMMIT")

    def history(self, key: str) -> list[tuple[int, Document]]:
        return [(at, decode(value)) for at, value in self.connection.execute(self.HISTORY, (key,))]

    def moments(self, key: str) -> list[int]:
        return [at for at, _ in self.history(key)]

    def gets_as_of(self, key: str, moments: Sequence[int]) -> Document:
        connection = self.connection
        found: Document = {}
        for at in moments:
            found = decode(connection.execute(self.AS_OF, (key, at)).fetchone()[0])
        return found

    def close(self) -> None:
        self.connection.close()


class Lmdb:
    """A transaction for each put, synced by its commit (lmdb's default)."""

    def __init__(self, path: Path) -> None:
        self.environment: Any = importlib.import_module("lmdb").open(str(path), map_size=1 << 30)

    def puts(self, pairs: Sequence[Pair]) -> None:
        environment = self.environment
        for key, document in pairs:
            with environment.begin(write=True) as transaction:
                transaction.put(key.encode(), encode(document).encode())

    def gets(self, keys: Sequence[str]) -> Document:
        environment = self.environment
        found: Document = {}
        for key in keys:
            with environment.begin() as transaction:
                found = decode(transaction.get(key.encode()))
        return found

    def batch(self, items: Sequence[Item]) -> None:
        with self.environment.begin(write=True) as transaction, transaction.cursor() as cursor:
            cursor.putmulti(
                [(key.encode(), encode(document).encode()) for _, key, document in items]
            )

    def close(self) -> None:
        self.environment.close()


class Diskcache:
    """Its default settings: documents pickled into SQLite, WAL, synchronous NORMAL."""

    def __init__(self, path: Path) -> None:
        self.cache: Any = importlib.import_module("diskcache").Cache(str(path))

    def puts(self, pairs: Sequence[Pair]) -> None:
        cache = self.cache
        for key, document in pairs:
            cache[key] = document

    def gets(self, keys: Sequence[str]) -> Document:
        cache = self.cache
        found: Document = {}
        for key in keys:
            found = cache[key]
        return found

    def batch(self, items: Sequence[Item]) -> None:
        cache = self.cache
        with cache.transact():
            for _, key, document in items:
                cache[key] = document

    def close(self) -> None:
        self.cache.close()


class BareAppend:
    """Not a store: appends bytes to a file and syncs it, the floor under a durable put.

    As far as `room` goes, the bytes are written over zeros.
    """

    def __init__(
        self, path: Path, *, data_only: bool = False, size: int = 256, room: int = 0
    ) -> None:
        self.payload = b"\xa5" * size
        self.descriptor = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
        os.pwrite(self.descriptor, bytes(room), 0)
        os.fsync(self.descriptor)
        self.sync = os.fdatasync if data_only and hasattr(os, "fdatasync") else os.fsync

    def appends(self, count: int, of: int = 1) -> None:
        """Syncs after every payload, or every `of` payloads."""
        descriptor, sync, payload = self.descriptor, self.sync, self.payload * of
        for _ in range(count // of):
            os.write(descriptor, payload)
            sync(descriptor)

    def close(self) -> None:
        os.close(self.descriptor)


class KoruDelta:
    """koru-delta, in memory or in a file, through its async API."""

    def __init__(self, path: Path | None = None, *, sync_on_write: bool = True) -> None:
        module: Any = importlib.import_module("koru_delta")
        self.database: Any = module.Database(module.Config(path=path, sync_on_write=sync_on_write))

    async def open(self) -> KoruDelta:
        await self.database.__aenter__()
        return self

    async def puts(self, pairs: Sequence[Pair]) -> None:
        db = self.database
        for key, document in pairs:
            await db.put(NAMESPACE, key, document)

    async def gets(self, keys: Sequence[str]) -> Document:
        db = self.database
        found: Document = {}
        for key in keys:
            found = await db.get(NAMESPACE, key)
        return found

    async def batch(self, items: Sequence[Item]) -> None:
        await self.database.put_batch(items)

    async def history(self, key: str) -> list[tuple[int, Document]]:
        versions = await self.database.history(NAMESPACE, key)
        return [(version.timestamp_us, version.value) for version in versions]

    async def moments(self, key: str) -> list[Any]:
        return [version.timestamp for version in await self.database.history(NAMESPACE, key)]

    async def gets_as_of(self, key: str, moments: Sequence[Any]) -> Document:
        db = self.database
        found: Document = {}
        for at in moments:
            found = await db.get(NAMESPACE, key, at=at)
        return found

    async def puts_at_once(self, pairs: Sequence[Pair]) -> None:
        db = self.database
        await asyncio.gather(*(db.put(NAMESPACE, key, document) for key, document in pairs))

    async def close(self) -> None:
        await self.database.close()
