"""Group commit: frames in the engine's order, one append and one sync for all that wait.

Writers add their frames to the open group and wait for it. Whoever comes first flushes it for all:
on the calling thread while syncing is quick (handing it to another thread costs as much as the
sync itself), in a worker thread once syncs take longer than the event loop should stand
still. There is no artificial delay: a group is what gathered during one turn of the event loop, or
while the flush before it was under way.

A failed append that could be taken back fails its group and everything after it until the engine
was rebuilt from the file. A failed sync poisons the log: what the disk holds is not known, so
nothing is written any more.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Collection, Generator
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from koru_delta._storage.base import Storage, UncleanError
from koru_delta.errors import StorageError

if TYPE_CHECKING:
    from asyncio import Future
    from concurrent.futures import Executor

Listeners: TypeAlias = Collection[Callable[[], None]]
"""What is called, on any thread, when more was acknowledged."""

_QUICK_SYNC_SECONDS: Final = 0.001
_SLOWNESS_WEIGHT: Final = 0.2
_BUFFER_BYTES: Final = 4 * 1024 * 1024
"""Without a write-ahead log, this much gathers before it is written."""


class Group:
    """Frames that are appended and synced together. Await it to have them acknowledged."""

    __slots__ = ("done", "error", "frames", "log", "sequence", "size")

    def __init__(self, log: CommitLog) -> None:
        self.log = log
        self.frames: list[bytes] = []
        self.size = 0
        self.sequence = 0
        self.done = False
        self.error: StorageError | None = None

    def __await__(self) -> Generator[Any, None, None]:
        """Return when the group may be acknowledged.

        Raises:
            StorageError: If it could not be written.
        """
        log = self.log
        if log.waits_for_sync:
            yield  # One turn of the event loop: whoever is ready joins the group.
            while not self.done:
                yield from log.flush_somewhere().__await__()
        else:
            log.flush_if_due(self)
        if self.error is not None:
            raise self.error

    def wait(self) -> None:
        """As awaiting it, for a thread that may stand still."""
        if self.log.waits_for_sync:
            self.log.flush(self)
        else:
            self.log.flush_if_due(self)
        if self.error is not None:
            raise self.error


class NoLog:
    """Stands where a database in memory has no log: every write is acknowledged at once."""

    synced = 0
    taken = 0
    pending = None

    def __init__(self, listeners: Listeners = ()) -> None:
        """Begin before the first write."""
        self.acknowledged = 0
        self.listeners = listeners

    def append(self, _frames: bytes, sequence: int) -> None:
        """Acknowledge: reads see up to ``sequence``."""
        self.acknowledged = sequence
        if self.listeners:
            for tell in tuple(self.listeners):
                tell()

    def restart(self, sequence: int) -> None:
        """Go on with another instance that holds the same."""
        self.acknowledged = sequence

    async def settle(self) -> None:
        """Nothing to wait for."""

    async def reach(self) -> None:
        """Nothing to read."""

    def close(self) -> None:
        """Nothing to write."""


class CommitLog:
    """The end of a storage that writers append to."""

    def __init__(
        self,
        storage: Storage,
        sequence: int,
        *,
        sync: bool,
        wait: bool,
        executor: Executor | None,
        on_failure: Callable[[], None],
        listeners: Listeners = (),
    ) -> None:
        """Begin after what the storage holds, all of it synced, up to ``sequence``.

        Args:
            storage: Where to append.
            sequence: Sequence of the last frame that it holds.
            sync: Whether a write waits for a sync.
            wait: Whether a write waits for the append.
            executor: Runs flushes that would hold up the event loop; None where there are no
                threads.
            on_failure: Called when the storage turned out to hold less than the engine.
            listeners: Called, on any thread, when more was acknowledged.
        """
        self.storage = storage
        self.acknowledged = sequence
        self.synced = sequence
        self.taken = sequence
        self.failure: StorageError | None = None
        self.poisoned = False
        self.end = storage.size
        self._on_failure = on_failure
        self.listeners = listeners
        self.waits_for_sync = sync
        self.grown_at: float = math.inf
        """Size from which on ``on_growth`` is called after a write."""
        self.on_growth: Callable[[], None] = lambda: None
        self._wait = wait
        self._executor = executor
        self._group = self._last = Group(self)
        self._mutex = threading.Lock()
        self._flushing = threading.Lock()
        self._slowness = 0.0
        self._flight: Future[None] | None = None

    def append(self, frames: bytes, sequence: int) -> Group | None:
        """Add a write's frames to the open group, in the engine's order; None if it has none."""
        if not frames:
            return None
        with self._mutex:
            group = self._last = self._group
            group.frames.append(frames)
            group.size += len(frames)
            group.sequence = self.taken = sequence
            self.end += len(frames)
            if not self._wait and self.failure is None:
                self.acknowledged = sequence
        if not self._wait:
            self._tell()
        return group

    @property
    def pending(self) -> Group | None:
        """The group of the last write, while it may have to be waited for."""
        last = self._last
        return None if last.done or not last.size else last

    def flush_if_due(self, group: Group) -> None:
        """Append, without a sync, what is to be acknowledged or has become large."""
        if self._wait or group.size > _BUFFER_BYTES:
            self.flush(group)

    async def flush_somewhere(self) -> None:
        """Flush here if syncs are quick, else in a worker thread, together with who waits there."""
        executor = self._executor
        if executor is None or (
            self._slowness <= _QUICK_SYNC_SECONDS and not self._flushing.locked()
        ):
            self.flush()
            return
        import asyncio  # Here: it takes longer to import than everything else of ours.

        loop, flight = asyncio.get_running_loop(), self._flight
        # One that has ended may still stand here: to wait for it would take no time, for ever. One
        # of another loop cannot be waited for, and if that loop was closed it never ends.
        if flight is None or flight.done() or flight.get_loop() is not loop:
            flight = self._flight = loop.run_in_executor(executor, self.flush)
        # Shielded: a waiter that is cancelled must not take the flush of all others with it.
        await asyncio.shield(flight)

    def flush(self, waited_for: Group | None = None) -> None:
        """Append and sync the open group. Its error, if any, is left in it.

        Args:
            waited_for: The group that matters to the caller: nothing is done if another flush has
                taken it along meanwhile.
        """
        with self._flushing:
            if waited_for is not None and waited_for.done:
                return
            with self._mutex:
                group, self._group = self._group, Group(self)
                failure = self.failure
            if failure is not None:
                group.error = failure
            elif group.frames:
                self._write(group)
            group.frames.clear()
            group.done = True

    def _write(self, group: Group) -> None:
        try:
            self.storage.append(b"".join(group.frames))
        except StorageError as error:
            self._fail(group, error, poisoned=isinstance(error, UncleanError))
            return
        if self.waits_for_sync:
            try:
                self.sync()
            except StorageError as error:
                self._fail(group, error, poisoned=True)
                return
            self.synced = group.sequence
        self.acknowledged = max(self.acknowledged, group.sequence)
        self._tell()
        if self.end >= self.grown_at:
            self.on_growth()

    def _tell(self) -> None:
        if self.listeners:
            for tell in tuple(self.listeners):
                tell()

    def _fail(self, group: Group, error: StorageError, *, poisoned: bool) -> None:
        with self._mutex:
            group.error = self.failure = error
            self.poisoned = poisoned
        if not poisoned:
            self._on_failure()

    def flush_all(self) -> None:
        """Write what is open, so that everything the engine has is acknowledged.

        Raises:
            StorageError: If that fails, or something before it did.
        """
        self.flush()
        if self.failure is not None:
            raise StorageError(self.failure.message, suggestion=self.failure.suggestion)

    def poison(self, error: StorageError) -> None:
        """Write nothing any more: what the disk holds is not known."""
        with self._mutex:
            self.failure, self.poisoned = error, True

    def restart(self, sequence: int) -> None:
        """Go on after the engine was rebuilt from the storage."""
        with self._mutex:
            if not self.poisoned:
                self.failure = None
            self.end = self.storage.size
            self.acknowledged = self.synced = self.taken = sequence

    def sync(self) -> None:
        """Sync the storage, and note how long it takes."""
        start = time.perf_counter()
        self.storage.sync()
        taken = time.perf_counter() - start
        self._slowness += _SLOWNESS_WEIGHT * (taken - self._slowness)

    async def settle(self) -> None:
        """Return when everything flushed is durable: it is, but over a deferred storage.

        Raises:
            StorageError: If it could not be made so.
        """

    async def reach(self) -> None:
        """Bring the log within reach, before it is read again: it is, as above."""

    def close(self) -> None:
        """Write and sync what is left.

        Raises:
            StorageError: If that fails; what was acknowledged with a sync is safe.
        """
        last = self._group
        self.flush()
        if last.error is not None and not self._wait:
            raise last.error
        if self.failure is None and self.synced < self.acknowledged:
            self.sync()
