"""How a database is opened."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from koru_delta.errors import ValidationError

__all__ = ["Config"]

if TYPE_CHECKING:
    from koru_delta._storage.base import Storage

_INDEXES: Final = ("auto", "exact", "quantized", "hnsw")
_METRICS: Final = ("cosine", "dot", "l2")
_STORAGE: Final = (
    "kind", "exists", "size", "read", "append", "sync", "truncate", "create", "abandon", "close",
)  # fmt: skip
_MIB: Final = 1024 * 1024
_MIN_MEMORY_MB: Final = 4
MAX_MEMORY_BYTES: Final = 4 * 1024 * _MIB
"""What 32-bit addresses reach."""
MAX_KEPT: Final = 2**32 - 1
"""Most versions that a rule of retention may name."""
MAX_HISTORY_SECONDS: Final = 1e11
"""Longest time that one may name: 3,000 years."""
_IN_PYODIDE: Final = sys.platform == "emscripten"
_TIMEOUT_SECONDS: Final = 0.0 if _IN_PYODIDE else 30.0


@dataclass(frozen=True, slots=True)
class Config:
    """Settings of one database. Every field is checked at construction.

    Attributes:
        path: The database file; ``~`` expands and missing directories are made. None for a
            database in memory. A lock file, ``<path>.lock``, stands beside it.
        max_memory_mb: Cap of the engine's memory in MiB, at least 4; 0 for the 4096 that
            WebAssembly reaches. A write that would pass it raises ``LimitExceededError``.
        max_disk_mb: Cap of the file in MiB; 0 for none. A write that would pass it raises
            ``LimitExceededError``; deleting and erasing stay possible.
        enable_wal: Write each change to the log before it is acknowledged. With False changes are
            gathered in memory and written in large blocks, the last when the database is closed:
            fastest, and a process that dies loses what was not written yet.
        sync_on_write: Sync the log before a change is acknowledged, so that it survives power
            loss. With False it survives the death of the process only.
        hot_cache_size: How many recently read values of up to 4 KiB are kept on the Python side,
            so that reading them again does not enter the engine; 0 for none.
        read_only: Open without a lock and refuse every write.
        operation_timeout: Seconds after which a single operation inside the engine is stopped
            with ``LimitExceededError``; 0 for never. The engine is then made anew from the file; a
            database in memory is lost. Under Pyodide the engine runs on the
            interpreter's own thread, where nothing can stop it: 0 is the default and all that is
            accepted there.
        lock_timeout: Seconds to wait for another process, or browser tab, that has the database
            open, before ``DatabaseLockedError`` is raised; 0 for not at all.
        vector_index: How ``similar`` searches. ``exact``: without loss. ``quantized``: by short
            codes, rescored from float32. ``hnsw``: by a graph, which is built in the background and
            pays from some 100,000 vectors on. ``auto``: quantised where that is faster than exact.
        vector_metric: How vectors are compared: ``cosine``; ``dot``, the inner product; or
            ``l2``, of which the score is the negated squared distance, so that higher is nearer.
        keep_versions: What compaction keeps: the last so many versions of each key; None for no
            such rule. Each rule keeps, so a version goes only if no rule that is given keeps it;
            without rules nothing goes. The latest version of a key stays, unless it is a deletion.
        keep_history: What compaction keeps: versions that were some key's value at any moment of so
            many seconds, or of a ``timedelta``, before it; None for no such rule.
        auto_compact: Compact the file in the background when it has grown to twice its size, has at
            least 8 MiB, and would shrink to half or less.
        storage: A place for the log of your own, instead of a path: anything with the methods of
            :class:`koru_delta.storage.Storage`. It is closed with the database.
        module: Under Pyodide, a ready ``WebAssembly.Module`` of ``koru_delta_core.wasm``, for
            places that forbid compiling one from bytes.

    Raises:
        ValidationError: That names the field.
    """

    path: str | os.PathLike[str] | None = None
    max_memory_mb: int = 512
    max_disk_mb: int = 10240
    enable_wal: bool = True
    sync_on_write: bool = True
    hot_cache_size: int = 1000
    read_only: bool = False
    operation_timeout: float = _TIMEOUT_SECONDS
    lock_timeout: float = 0.0
    vector_index: Literal["auto", "exact", "quantized", "hnsw"] = "auto"
    vector_metric: Literal["cosine", "dot", "l2"] = "cosine"
    keep_versions: int | None = None
    keep_history: float | timedelta | None = None
    auto_compact: bool = True
    storage: Storage | None = None
    module: Any = None

    def __post_init__(self) -> None:
        """Check every field."""
        path = self.path
        if path is not None and (not isinstance(path, str | os.PathLike) or not os.fspath(path)):
            raise _refuse("path", path, "a path, or None for a database in memory")
        if path is not None:
            _check_path(os.fspath(path))
        self._check_int("max_memory_mb", MAX_MEMORY_BYTES // _MIB)
        if 0 < self.max_memory_mb < _MIN_MEMORY_MB:
            raise _refuse("max_memory_mb", self.max_memory_mb, f"0 or at least {_MIN_MEMORY_MB}")
        self._check_int("max_disk_mb", 2**43)
        self._check_int("hot_cache_size", 2**31)
        for name in ("enable_wal", "sync_on_write", "read_only", "auto_compact"):
            if not isinstance(getattr(self, name), bool):
                raise _refuse(name, getattr(self, name), "True or False")
        for name, known in (("vector_index", _INDEXES), ("vector_metric", _METRICS)):
            if getattr(self, name) not in known:
                raise _refuse(name, getattr(self, name), f"one of {', '.join(known)}")
        check_retention(self.keep_versions, self.keep_history, "Config.")
        for name in ("operation_timeout", "lock_timeout"):
            seconds = getattr(self, name)
            is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
            if not is_number or not 0 <= seconds <= 1e9:
                raise _refuse(name, seconds, "a number of seconds, or 0 for none")
        if _IN_PYODIDE and self.operation_timeout:
            wanted = "0: under Pyodide nothing can stop an operation that is under way"
            raise _refuse("operation_timeout", self.operation_timeout, wanted)
        if self.module is not None and not _IN_PYODIDE:
            wanted = "None: a ready module is for Pyodide, and wasmtime compiles its own"
            raise _refuse("module", self.module, wanted)
        if self.storage is not None and path is not None:
            raise _refuse("storage", self.storage, "a path or a storage, not both")
        missing = [name for name in _STORAGE if not hasattr(self.storage, name)]
        if self.storage is not None and missing:
            wanted = (
                f"what has the methods of koru_delta.storage.Storage; {missing[0]!r} is missing"
            )
            raise _refuse("storage", self.storage, wanted)
        if self.read_only and path is None and self.storage is None:
            raise _refuse("read_only", True, "a path with it: an empty memory cannot be read")

    def _check_int(self, name: str, limit: int) -> None:
        value = getattr(self, name)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= limit:
            raise _refuse(name, value, f"a whole number from 0 to {limit}")

    @property
    def file_path(self) -> Path | None:
        """The database file, with ``~`` and symbolic links resolved; None in memory."""
        return None if self.path is None else Path(self.path).expanduser().resolve()

    @property
    def max_memory_bytes(self) -> int:
        """Cap of linear memory in bytes."""
        return self.max_memory_mb * _MIB or MAX_MEMORY_BYTES

    @property
    def max_disk_bytes(self) -> int | None:
        """Cap of the file in bytes; None for none."""
        return self.max_disk_mb * _MIB or None


def check_retention(keep_versions: object, keep_history: object, owner: str = "") -> None:
    """Check the rules of retention.

    Raises:
        ValidationError: That names the one that cannot be meant.
    """
    count = keep_versions
    is_count = isinstance(count, int) and not isinstance(count, bool) and 1 <= count <= MAX_KEPT
    if count is not None and not is_count:
        wanted = f"a whole number from 1 to {MAX_KEPT}, or None"
        raise refuse(f"{owner}keep_versions", count, wanted)
    seconds: Any = keep_history
    if isinstance(keep_history, timedelta):
        seconds = keep_history.total_seconds()
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if seconds is not None and not (is_number and 0 <= seconds <= MAX_HISTORY_SECONDS):
        raise refuse(f"{owner}keep_history", keep_history, "seconds or a timedelta, or None")


def _check_path(path: str | bytes) -> None:
    if not isinstance(path, str) or "\0" in path:
        raise _refuse("path", path, "a str without NUL characters")
    try:
        path.encode()
        Path(path).expanduser()
    except UnicodeEncodeError:
        raise _refuse("path", path, "text without lone surrogates") from None
    except RuntimeError:
        raise _refuse("path", path, "a path whose home directory exists") from None


def _refuse(field: str, value: object, wanted: str) -> ValidationError:
    return refuse(f"Config.{field}", value, wanted)


def refuse(name: str, value: object, wanted: str) -> ValidationError:
    """The error for a setting that cannot be meant."""
    return ValidationError(f"{name} is {value!r}", suggestion=f"give {wanted}")
