"""Memory that an opening will need, made present ahead of it.

A page of new memory costs a fault when it is first touched: two to three microseconds, a quarter of
the opening of a large file. Linux can be asked for a range at a time (``MADV_POPULATE_WRITE``, from
5.14 on), and that on another thread, while the engine goes on. It changes no byte. Where the system
does not know it, each page is faulted in when it is touched, as without it.
"""

from __future__ import annotations

import ctypes
import sys
from queue import SimpleQueue
from threading import Thread
from typing import Any, Final

_MADV_POPULATE_WRITE: Final = 23
_STEP_BYTES: Final = 1 << 20
"""Populated by one system call: what a growth of the memory may have to wait for."""
_LEAST_BYTES: Final = 8 << 20
"""Below this, starting a thread takes longer than the faults."""
_MEMORY_EIGHTHS: Final = 11
"""Bytes of memory that the engine takes for a byte of log, codes of vectors included; eighths."""


def can_prefault(size: int) -> bool:
    """Whether it is worth it for a log of ``size`` bytes, here."""
    return sys.platform == "linux" and size >= _LEAST_BYTES


class Prefault:
    """Follows a memory that grows. Stop it before the memory is freed."""

    def __init__(self, expected: int, size: int) -> None:
        """Start for a log of ``expected`` bytes; the memory is populated for no more than that.

        The memory has ``size`` bytes, which are in use.
        """
        self._left = expected
        self.covered = size
        """Bytes of the memory that were taken care of."""
        self._ranges: SimpleQueue[tuple[int, int] | None] = SimpleQueue()
        madvise: Any = ctypes.CDLL(None).madvise
        madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        self._madvise = madvise
        self._thread = Thread(target=self._populate, name="koru-delta-prefault", daemon=True)
        self._thread.start()

    def took(self, size: int) -> None:
        """So many bytes of the log went in."""
        self._left -= size

    def follow(self, address: int, size: int) -> None:
        """The memory at ``address`` has grown to ``size`` bytes."""
        start, self.covered = self.covered, size
        needed = min(size - start, max(self._left, 0) * _MEMORY_EIGHTHS // 8)
        if needed > 0:
            self._ranges.put((address + start, needed))

    def stop(self) -> None:
        """Return when the memory is not looked at any more."""
        self._left = 0
        self._ranges.put(None)
        self._thread.join()

    def _populate(self) -> None:
        while (found := self._ranges.get()) is not None:
            address, size = found
            for start in range(0, size, _STEP_BYTES):
                if self._left <= 0:
                    break
                if self._madvise(
                    address + start, min(_STEP_BYTES, size - start), _MADV_POPULATE_WRITE
                ):
                    return
