"""koru_delta: an embedded, versioned database for AI agents.

Every write is kept, with its time and its cause, and every read can be asked of the past. The
engine is one WebAssembly module without imports, so it runs the same everywhere and reaches
nothing outside its own memory.

    async with Database("~/.myapp/memory.koru") as db:
        await db.put("users", "alice", {"age": 30})
        user = await db.get("users", "alice")

:class:`Database` is asynchronous, :class:`SyncDatabase` has the same methods without ``await``.
Errors are drawn as a tree in :mod:`koru_delta.errors`; each has a ``suggestion``.
"""

from __future__ import annotations

from koru_delta.config import Config
from koru_delta.database import Database
from koru_delta.errors import (
    ConflictError,
    CorruptionError,
    DatabaseClosedError,
    DatabaseLockedError,
    KeyNotFoundError,
    KoruDeltaError,
    LimitExceededError,
    SerializationError,
    StorageError,
    UnsupportedFormatError,
    ValidationError,
)
from koru_delta.namespace import Namespace
from koru_delta.results import (
    Change,
    Explanation,
    Health,
    Index,
    Match,
    Record,
    Stats,
    VectorStats,
    VerifyReport,
    Version,
    View,
)
from koru_delta.sync_database import SyncDatabase

__version__ = "2.0.0"

__all__ = [
    "Change",
    "Config",
    "ConflictError",
    "CorruptionError",
    "Database",
    "DatabaseClosedError",
    "DatabaseLockedError",
    "Explanation",
    "Health",
    "Index",
    "KeyNotFoundError",
    "KoruDeltaError",
    "LimitExceededError",
    "Match",
    "Namespace",
    "Record",
    "SerializationError",
    "Stats",
    "StorageError",
    "SyncDatabase",
    "UnsupportedFormatError",
    "ValidationError",
    "VectorStats",
    "VerifyReport",
    "Version",
    "View",
]
