"""Compaction: everything is copied into a new instance and a new file, which then take over.

The file becomes shorter, memory of what was erased or dropped is given back, and nothing needs to
be moved about in an instance that is in use. While it is copied, reads and writes go on; they wait
for the last part only. A failure before the new file is in its place leaves the old one as it was.
"""

from __future__ import annotations

import json
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from koru_delta import _protocol as op
from koru_delta._results.reports import CompactReport
from koru_delta._storage.base import UncleanError
from koru_delta._storage.commit_log import CommitLog
from koru_delta._upkeep.snapshots import (
    BegunAnewError,
    Retention,
    Snapshot,
    Successor,
    TextIndex,
    call_held,
    holding,
)
from koru_delta._workers import HAS_THREADS, OneBehind, worker_threads
from koru_delta.errors import CorruptionError, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from koru_delta._hosts.base import Host
    from koru_delta._session import Session
    from koru_delta._storage.base import Replacement, Storage

_ATTEMPTS: Final = 3
"""So often it begins anew after an erasure; then nothing may come in between."""
_MAINTENANCE_SLICE: Final = 8192


class Sizes(NamedTuple):
    """What there was before."""

    disk: int
    memory: int
    versions: int


class Compaction:
    """One compaction of a session, which is called on a thread that may stand still."""

    def __init__(
        self, session: Session, retention: Retention, cancelled: Callable[[], bool]
    ) -> None:
        """Prepare."""
        self._session = session
        self._retention = retention
        self._cancelled = cancelled

    def run(self) -> CompactReport:
        """Compact.

        Raises:
            CancelledError: If it is not wanted any more; nothing was changed.
            KoruDeltaError: Whatever kept it from it; nothing was changed, unless it is an
                ``UncleanError``.
        """
        started = perf_counter()
        for _ in range(_ATTEMPTS):
            try:
                return self._attempt(started, hold=False)
            except BegunAnewError:
                continue
        return self._attempt(started, hold=True)

    def _attempt(self, started: float, *, hold: bool) -> CompactReport:
        session = self._session
        storage = session.storage
        replacement = None if storage is None else begin_replacement(storage)
        successor = Successor(session)
        # It takes a part in while the next is made and written: both are the engine's work, each
        # in an instance of its own.
        following = OneBehind(worker_threads() if HAS_THREADS else None)
        sequence = 0

        def write(data: bytes) -> None:
            erasures = snapshot.progress.get("erasures")

            def feed() -> None:
                nonlocal sequence
                sequence = successor.feed(data, erasures)

            following.add(feed)
            if replacement is not None:
                replacement.append(data)

        snapshot = Snapshot(session, write, retention=self._retention, cancelled=self._cancelled)
        adopted = False
        try:
            if not hold:
                snapshot.catch_up()
                following.settle()
                self._maintain(successor, snapshot)
                snapshot.catch_up()
            with holding(session, flush=True) as host:
                before = self._sizes(host)
                snapshot.end(host)
                following.settle()
                if successor.head() != call_held(session, host, op.HEAD, {})[2]:
                    raise CorruptionError("the snapshot does not lead to the head of the database")
                failure = commit(replacement)
                adopted = True
                session.adopt(successor.host, sequence)
                if failure is not None:
                    if isinstance(session.log, CommitLog):
                        session.log.poison(failure)
                    raise failure
        finally:
            following.stop()
            if not adopted:
                if replacement is not None:
                    replacement.abandon()
                successor.close()
        session.maintain_in_background()
        return CompactReport(
            bytes_before=before.disk,
            bytes_after=0 if storage is None else snapshot.size,
            memory_before=before.memory,
            memory_after=session.memory_bytes(),
            versions_before=before.versions,
            versions_after=snapshot.progress["versions"],
            versions_dropped=snapshot.progress["dropped"],
            seconds=perf_counter() - started,
        )

    def _maintain(self, successor: Successor, snapshot: Snapshot) -> None:
        """Have the new instance ready for searches before it takes over."""
        texts: list[TextIndex] = snapshot.progress["texts"] or []
        for text in texts:
            successor.maintain(0, [text])
        while not successor.maintain(_MAINTENANCE_SLICE, []):
            snapshot.check()

    def _sizes(self, host: Host) -> Sizes:
        session = self._session
        stats: dict[str, Any] = json.loads(call_held(session, host, op.STATS, {})[2])
        disk = 0 if session.storage is None else session.storage.size
        return Sizes(disk, host.memory_bytes, stats["versions"])


def begin_replacement(storage: Storage) -> Replacement:
    """Another log beside that of a storage.

    Raises:
        StorageError: If it cannot be made, or the storage has none.
    """
    begin: Callable[[], Replacement] | None = getattr(storage, "begin_replacement", None)
    if begin is None:
        raise StorageError(
            f"the storage {storage.kind!r} has no begin_replacement, so its log cannot be replaced",
            suggestion="give it that method, as koru_delta.storage.Replacement says",
        )
    return begin()


def commit(replacement: Replacement | None) -> UncleanError | None:
    """Put a replacement in place; the error, if that was done and may not last."""
    if replacement is None:
        return None
    try:
        replacement.commit()
    except UncleanError as error:
        return error
    return None
