"""Recently read values, kept as their bytes on the Python side.

Bytes and not objects: what a caller does to a value it was given must not show in the next read.
Values hold for one moment of the database, the sequence that reads may see: with the next write
they are all forgotten, so a kept value can never be an old one.
"""

from __future__ import annotations

from typing import Final

_MAX_VALUE_BYTES: Final = 4096


class HotCache:
    """At most ``size`` values; the one that was kept first makes room."""

    def __init__(self, size: int) -> None:
        """Begin empty."""
        self._size = size
        self._moment = -1
        self._values: dict[tuple[str, str], bytes] = {}

    def find(self, namespace: str, key: str, moment: int) -> bytes | None:
        """The bytes that were kept of a key at this moment."""
        if moment != self._moment:
            return None
        try:
            return self._values.get((namespace, key))
        except TypeError:  # A name that is no name: the engine's answer says so.
            return None

    def keep(self, namespace: str, key: str, moment: int, data: bytes) -> None:
        """Keep the bytes that were read of a key at a moment."""
        if moment != self._moment:
            if moment < self._moment:
                return
            self._values.clear()
            self._moment = moment
        if len(data) <= _MAX_VALUE_BYTES and self._size:
            values = self._values
            if len(values) >= self._size:
                values.pop(next(iter(values), ("", "")), None)
            values[namespace, key] = data

    def clear(self) -> None:
        """Forget everything."""
        self._values.clear()
