"""Recently read values, kept as their bytes on the Python side.

Bytes and not objects: what a caller does to a value it was given must not show in the next read.
Values hold for one moment of the database, the sequence that reads may see: with the next write
they are all forgotten, so a kept value can never be an old one.
"""

from __future__ import annotations

from typing import Final

_MAX_VALUE_BYTES: Final = 4096


class HotCache:
    """At most ``size`` values; when they are that many, it begins anew."""

    def __init__(self, size: int) -> None:
        """Begin empty."""
        self.moment = -1
        """The moment that the kept values belong to."""
        self._room = self._size = size
        self._values: dict[str, dict[str, bytes]] = {}

    def find(self, namespace: str, key: str) -> bytes | None:
        """The bytes that were kept of a key at :attr:`moment`."""
        try:
            return self._values[namespace].get(key)
        except (KeyError, TypeError):  # A name that is no name: the engine's answer says so.
            return None

    def keep(self, namespace: str, key: str, moment: int, data: bytes) -> None:
        """Keep the bytes that were read of a key at a moment."""
        if len(data) > _MAX_VALUE_BYTES or moment < self.moment or not self._size:
            return
        if moment != self.moment or not self._room:
            self.clear()
            self.moment = moment
        self._room -= 1
        try:
            self._values[namespace][key] = data
        except KeyError:
            self._values[namespace] = {key: data}

    def clear(self) -> None:
        """Forget everything."""
        self.moment = -1
        self._room = self._size
        self._values = {}
