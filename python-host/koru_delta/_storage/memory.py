"""The log as bytes in memory: the reference backend, for tests and simulation."""

from __future__ import annotations


class MemoryStorage:
    """A log that lives as long as this object."""

    kind = "memory"

    def __init__(self, data: bytes = b"") -> None:
        """Begin with ``data``: nothing, or the bytes of a database file."""
        self.data = bytearray(data)

    @property
    def exists(self) -> bool:
        """Whether there is a log."""
        return bool(self.data)

    @property
    def size(self) -> int:
        """Bytes of log."""
        return len(self.data)

    def read(self, offset: int, size: int) -> bytes:
        """Bytes from ``offset`` on."""
        return bytes(self.data[offset : offset + size])

    def append(self, data: bytes) -> None:
        """Add bytes at the end."""
        self.data += data

    def sync(self) -> None:
        """Nothing to do: memory is as durable as it gets."""

    def truncate(self, size: int) -> None:
        """Cut the log."""
        del self.data[size:]

    def create(self, data: bytes) -> None:
        """Make the log consist of ``data``."""
        self.data[:] = data

    def begin_replacement(self) -> MemoryReplacement:
        """Other bytes beside these."""
        return MemoryReplacement(self)

    def close(self) -> None:
        """Nothing to let go of: the bytes stay for the next open."""

    def abandon(self) -> None:
        """Nothing to let go of."""


class MemoryReplacement:
    """Bytes that are to take the place of a storage's."""

    def __init__(self, storage: MemoryStorage) -> None:
        """Begin with nothing."""
        self._storage = storage
        self._data = bytearray()

    def append(self, data: bytes) -> None:
        """Add bytes at the end."""
        self._data += data

    def commit(self) -> None:
        """Be the storage's bytes."""
        self._storage.data[:] = self._data
        self.abandon()

    def abandon(self) -> None:
        """Forget the bytes."""
        self._data = bytearray()
