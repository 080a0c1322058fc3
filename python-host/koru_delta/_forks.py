"""What a fork must not cut in two, and what becomes of open sessions in a forked child.

A child has its parent's memory and only the thread that forked. What another thread was doing at
that moment stays half done there, and a lock that it held stays locked: a module whose import was
cut so can never be imported there. So all that the package imports late is imported before a fork
that could cut it, and what else is made for the whole process is made under a lock that a fork
waits for.
"""

from __future__ import annotations

import importlib
import os
import sys
import threading
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from koru_delta._session import Session

NO_FORK: Final = threading.RLock()
"""Held while something is made that all databases of the process share. A fork waits for it: it is
held for a moment's work, never for another thread or a user's function."""

COMPILING: Final = threading.RLock()
"""As :data:`NO_FORK`, while the engine is compiled, which can take a second: only who needs the
engine waits for it, not an event loop on its way to a worker thread."""

IMPORTED_LATE: Final = (
    "asyncio",
    "concurrent.futures.thread",
    "hashlib",
    "koru_delta._embedders",
    "koru_delta._memory.agent",
    "koru_delta._memory.blocking",
    "koru_delta._memory.consolidation",
    "koru_delta._memory.undoing",
    "koru_delta._results.changes",
    "koru_delta._results.reports",
    "koru_delta._storage.deferred_log",
    "koru_delta._storage.file",
    "koru_delta._upkeep.compaction",
    "koru_delta._upkeep.copies",
    "koru_delta._upkeep.salvage",
    "koru_delta._upkeep.snapshots",
    "koru_delta.memory",
    "koru_delta.rag",
    "koru_delta.results",
    "koru_delta.sync_database",
    "orjson",
)
"""What functions of the package import when they first need it."""

open_sessions: weakref.WeakSet[Session] = weakref.WeakSet()


def _before_fork() -> None:
    COMPILING.acquire()
    NO_FORK.acquire()
    if len(sys._current_frames()) > 1:  # Else no other thread is in the middle of an import.
        for name in IMPORTED_LATE:
            with suppress(ImportError):  # orjson may be missing.
                importlib.import_module(name)


def _let_go() -> None:
    NO_FORK.release()
    COMPILING.release()


def _after_in_child() -> None:
    _let_go()
    # Memory is copied by a fork; locks, threads and the right to write are not.
    for session in list(open_sessions):
        session.abandon()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_let_go, after_in_child=_after_in_child
    )
