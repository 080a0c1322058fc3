"""When a database is compacted, and that only one compaction runs at a time."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any, Final

from koru_delta import _protocol as op
from koru_delta._storage.commit_log import CommitLog
from koru_delta._workers import HAS_THREADS, start_task, worker_threads
from koru_delta.errors import DatabaseClosedError, KoruDeltaError, StorageError

if TYPE_CHECKING:
    from koru_delta._results.reports import CompactReport
    from koru_delta._session import Session
    from koru_delta._upkeep.snapshots import Retention

AUTO_MIN_BYTES: Final = 8 * 1024 * 1024
"""A file is not compacted by itself before it has so many bytes."""
AUTO_GROWTH: Final = 2
"""Nor before it is so many times as large as when that was last asked."""
AUTO_SHARE: Final = 0.5
"""Nor if more than this part of it would stay."""


class Upkeep:
    """Compaction of one session. Methods block."""

    def __init__(self, session: Session) -> None:
        """Prepare for a session that is not open yet."""
        self._session = session
        self._running = threading.RLock()
        self._stopping = False
        self.last: CompactReport | None = None
        """The last compaction since the database was opened."""
        self.issues: list[str] = []
        """Why the last compaction by itself failed, if it did."""

    def opened(self) -> None:
        """The session is open: watch how its file grows."""
        self._stopping = False
        self.last = None
        self.issues = []
        self._watch()

    def stop(self) -> None:
        """Have a compaction under way end, and wait until it has. None begins after that."""
        self._stopping = True
        with self._running:
            pass

    def abandon(self) -> None:
        """In a forked child: whoever was compacting is not here."""
        self._running = threading.RLock()

    def _watch(self) -> None:
        """Look again when the file is some times as large as now."""
        log = self._session.log
        if self._session.config.auto_compact and isinstance(log, CommitLog):
            log.on_growth = self._grown
            log.grown_at = max(AUTO_MIN_BYTES, AUTO_GROWTH * log.end)

    def _grown(self) -> None:
        """Called after a write, by whoever wrote: have a worker thread look."""
        log = self._session.log
        if isinstance(log, CommitLog):
            log.grown_at = float("inf")
            if HAS_THREADS:
                worker_threads().submit(self._compact_if_worthwhile)
            else:
                start_task(self._compact_in_turn())

    def _compact_if_worthwhile(self) -> None:
        with self._running:
            try:
                if not self._stopping and self._is_worthwhile():
                    self._compact(self._retention())
                    self.issues = []
            except DatabaseClosedError:
                return
            except KoruDeltaError as error:
                self.issues = [f"compacting failed: {error.message}"]
            if not self._stopping:
                self._watch()

    async def _compact_in_turn(self) -> None:
        """The same without threads; a deferred storage is settled before and after."""
        log = self._session.log
        try:
            await log.settle()
            self._compact_if_worthwhile()
            await log.settle()
        except KoruDeltaError as error:
            self.issues = [f"compacting failed: {error.message}"]

    def _is_worthwhile(self) -> bool:
        from koru_delta._upkeep.snapshots import call_held, holding

        with holding(self._session, flush=False) as host:
            log = self._session.log
            if not isinstance(log, CommitLog):
                return False
            reply = call_held(self._session, host, op.SNAPSHOT_SIZE, self._retention().control())
            size: dict[str, Any] = json.loads(reply[2])
            return bool(size["bytes"] <= AUTO_SHARE * log.end)

    def _retention(self) -> Retention:
        from koru_delta._upkeep.snapshots import Retention

        config = self._session.config
        return Retention.of(config.keep_versions, config.keep_history)

    def compact(self, retention: Retention | None) -> CompactReport:
        """Compact now, after a compaction that is under way.

        Args:
            retention: Which versions stay; None for what the config says.

        Raises:
            StorageError: If it is open read-only, or a file could not be written.
            LimitExceededError: If memory or time did not suffice.
            DatabaseClosedError: If it is not open, or was closed meanwhile.
            CorruptionError: If a version in memory is not what its id says.
        """
        from koru_delta._upkeep.snapshots import call_held, holding

        session = self._session
        with holding(session, flush=False) as host:
            call_held(session, host, op.HEAD, {})  # One that is not open says so.
        if session.config.read_only:
            raise StorageError(
                f"{session.config.file_path} is open read-only",
                suggestion="open it without read_only to compact it",
            )
        with self._running:
            report = self._compact(retention or self._retention())
            self.issues = []
            self._watch()
            return report

    def _compact(self, retention: Retention) -> CompactReport:
        from koru_delta._upkeep.compaction import Compaction  # Here: few need it at once.
        from koru_delta._upkeep.snapshots import CancelledError

        self._session._refuse_poisoned()
        try:
            report = Compaction(self._session, retention, lambda: self._stopping).run()
        except CancelledError:
            raise DatabaseClosedError(
                "the database was closed while it was compacted",
                suggestion="open it again: it is as it was before",
            ) from None
        self.last = report
        return report
