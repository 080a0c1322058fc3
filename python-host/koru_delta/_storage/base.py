"""The storage protocol: what a database needs of the place where its log lives.

A backend holds one file's bytes. It never interprets them. Calls come from one thread at a time.

One that can do without a copy may have ``read_into(offset, buffer) -> int`` as well, which fills a
memoryview from ``offset`` on and returns how many bytes it wrote, fewer only where the log ends.

One that can be compacted has ``begin_replacement() -> Replacement`` as well: another log, which is
written beside this one and takes its place. Whatever fails before that leaves this one as it is.
One in a browser has ``async persist() -> bool`` as well, for ``Database.persist``. A
file has a property ``is_displaced`` as well, for ``Database.health``.

One whose place can only be awaited is a :class:`DeferredStorage`: its methods take note of what is
to be done, and :meth:`DeferredStorage.settle` does it.
"""

from __future__ import annotations

from typing import Final, Protocol, runtime_checkable

from koru_delta.errors import StorageError

DISPLACED: Final = (
    "the file is not at its path any more: it was removed or replaced while open, and what is "
    "written ends with this handle; export it with export_to, close, and put the copy in its place"
)
"""The issue of a storage with a true ``is_displaced``."""


class UncleanError(StorageError):
    """A write failed and could not be taken back: nothing more may be written to this log."""


class Storage(Protocol):
    """One log. Every method but ``close`` raises ``StorageError`` when the place fails it."""

    kind: str
    """Name of the backend, as ``Stats.storage`` shows it."""

    @property
    def exists(self) -> bool:
        """Whether there is a log yet; ``create`` makes one."""
        ...

    @property
    def size(self) -> int:
        """Bytes of log, without what a backend has set aside for growth."""
        ...

    def read(self, offset: int, size: int) -> bytes:
        """The bytes from ``offset`` on, ``size`` of them unless the log ends before."""
        ...

    def append(self, data: bytes) -> None:
        """Add bytes at the end: all of them, or none and an error."""
        ...

    def sync(self) -> None:
        """Return when everything appended would survive power loss."""
        ...

    def truncate(self, size: int) -> None:
        """Cut the log to its first ``size`` bytes, durably."""
        ...

    def create(self, data: bytes) -> None:
        """Make the log consist of ``data``, atomically and durably."""
        ...

    def abandon(self) -> None:
        """Let go without touching the log: for a forked child."""
        ...

    def close(self) -> None:
        """Let go of everything. A second call does nothing."""
        ...


class Replacement(Protocol):
    """A log that is to take another's place. Every method raises ``StorageError`` when it fails."""

    def append(self, data: bytes) -> None:
        """Add bytes at the end."""
        ...

    def commit(self) -> None:
        """Take the other log's place, atomically and durably: the storage goes on with these bytes.

        Raises:
            UncleanError: If that was done but may not outlast a loss of power: the storage goes on
                with these bytes, and nothing may be appended.
        """
        ...

    def abandon(self) -> None:
        """Be gone. Never raises; does nothing after ``commit``."""
        ...


class Replaceable(Protocol):
    """A storage whose log can be replaced."""

    def begin_replacement(self) -> Replacement:
        """An empty log beside this one. At most one at a time is begun."""
        ...


@runtime_checkable
class DeferredStorage(Storage, Protocol):
    """A log in a place that nobody can wait for without an event loop.

    ``create``, ``append`` and ``truncate`` take note, ``size`` is what it will be, and ``sync``
    does nothing. What was noted becomes durable in one step, whole or not at all.
    """

    async def load(self) -> None:
        """Bring the log within reach of ``read``, until something is settled."""
        ...

    async def settle(self) -> None:
        """Return when everything noted so far is durable.

        Raises:
            StorageError: If it could not be done. Nothing of it was then, and it is forgotten.
        """
        ...
