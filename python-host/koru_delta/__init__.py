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

from typing import TYPE_CHECKING

from koru_delta._later import later as _later
from koru_delta._later import uncollected as _uncollected

with _uncollected():
    from koru_delta._results.matches import Match, Record
    from koru_delta._results.versions import Version
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

if TYPE_CHECKING:
    from koru_delta.memory import AgentMemory, MemoryRecall, MemoryType
    from koru_delta.rag import RAG, Document, RetrievedChunk
    from koru_delta.results import (
        Change,
        CompactReport,
        Explanation,
        ExportReport,
        Health,
        Index,
        IndexStats,
        SalvageReport,
        Stats,
        VectorStats,
        VerifyReport,
        View,
    )
    from koru_delta.sync_database import SyncDatabase

__version__ = "2.0.0"

__all__ = [
    "RAG",
    "AgentMemory",
    "Change",
    "CompactReport",
    "Config",
    "ConflictError",
    "CorruptionError",
    "Database",
    "DatabaseClosedError",
    "DatabaseLockedError",
    "Document",
    "Explanation",
    "ExportReport",
    "Health",
    "Index",
    "IndexStats",
    "KeyNotFoundError",
    "KoruDeltaError",
    "LimitExceededError",
    "Match",
    "MemoryRecall",
    "MemoryType",
    "Namespace",
    "Record",
    "RetrievedChunk",
    "SalvageReport",
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

# Most programs need few of these: their modules are imported when they are first asked for.
__getattr__ = _later(
    {
        "koru_delta.sync_database": ("SyncDatabase",),
        "koru_delta.memory": ("AgentMemory", "MemoryRecall", "MemoryType"),
        "koru_delta.rag": ("RAG", "Document", "RetrievedChunk"),
        "koru_delta.results": (
            *("Change", "CompactReport", "Explanation", "ExportReport", "Health", "Index"),
            *("IndexStats", "SalvageReport", "Stats", "VectorStats", "VerifyReport", "View"),
        ),
    }
)
