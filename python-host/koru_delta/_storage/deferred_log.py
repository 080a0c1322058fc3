"""Group commit over a storage that only the event loop can wait for.

Groups are handed to the storage in order, on the spot; whoever awaits one has the storage settle
everything that was handed over, together with all that wait. Nothing is acknowledged before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from koru_delta._storage.base import DeferredStorage, UncleanError
from koru_delta._storage.commit_log import CommitLog, Group, Listeners
from koru_delta.errors import StorageError

if TYPE_CHECKING:
    from asyncio import Future


class DeferredLog(CommitLog):
    """The end of a deferred storage that writers append to."""

    storage: DeferredStorage

    def __init__(
        self,
        storage: DeferredStorage,
        sequence: int,
        *,
        wait: bool,
        on_failure: Callable[[], None],
        listeners: Listeners = (),
    ) -> None:
        """Begin after what the storage holds, up to ``sequence``; arguments as of the base.

        The storage itself knows whether to sync, so whoever waits at all waits for it.
        """
        super().__init__(
            storage,
            sequence,
            sync=wait,
            wait=wait,
            executor=None,
            on_failure=on_failure,
            listeners=listeners,
        )
        self._handed: list[Group] = []
        self._settling: Future[None] | None = None

    def flush_if_due(self, group: Group) -> None:
        """Have what has become large written, without waiting for it."""
        super().flush_if_due(group)
        if self._handed and (self._settling is None or self._settling.done()):
            self._settling = asyncio.ensure_future(self._settle())

    async def flush_somewhere(self) -> None:
        """Settle, together with who waits already."""
        settling = self._settling
        if settling is None or settling.done():
            settling = self._settling = asyncio.ensure_future(self._settle())
        # Shielded: a waiter that is cancelled must not take the settling of all others with it.
        await asyncio.shield(settling)

    def flush(self, waited_for: Group | None = None) -> None:
        """Hand the open group to the storage. It is acknowledged when the storage has settled."""
        group, self._group = self._group, Group(self)
        if self.failure is not None:
            group.error = self.failure
            group.done = True
        elif group.frames:
            try:
                self.storage.append(b"".join(group.frames))
            except StorageError as error:
                self._fail(group, error, poisoned=isinstance(error, UncleanError))
                group.done = True
            else:
                self._handed.append(group)
        else:
            group.done = True
        group.frames.clear()

    async def settle(self) -> None:
        """Return when everything that was written is durable.

        Raises:
            StorageError: If it could not be made so.
        """
        await self._settle()
        if self.failure is not None:
            raise self.failure

    async def reach(self) -> None:
        """Settle, whatever comes of it, and have the storage load what it holds."""
        await self._settle()
        await self.storage.load()

    async def _settle(self) -> None:
        """Settle; a failure is left in the groups that wait, and in ``failure``."""
        self.flush()
        handed = list(self._handed)
        try:
            await self.storage.settle()
        except StorageError as error:
            # What was handed over meanwhile comes behind what is lost, and is lost with it.
            for group in self._handed:
                self._fail(group, error, poisoned=isinstance(error, UncleanError))
                group.done = True
            self._handed.clear()
            if not handed:
                # A log that was to be replaced: what it held before is what there is.
                self.failure = error
                self._on_failure()
            return
        if not handed or self.failure is not None:
            return
        del self._handed[: len(handed)]
        self.synced = handed[-1].sequence
        self.acknowledged = max(self.acknowledged, self.synced)
        for group in handed:
            group.done = True
        self._tell()
        if self.end >= self.grown_at:
            self.on_growth()

    def close(self) -> None:
        """Hand over what is left: whoever closes settles before.

        Raises:
            StorageError: If what was gathered without a write-ahead log could not be written.
        """
        self.flush()
        if self.failure is not None and not self._wait:
            raise self.failure
