"""Memory that an opening will need, made present ahead of it.

A page of new memory costs a fault when it is first touched: two to three microseconds, a quarter of
the opening of a large file. Linux can be asked for a range at a time (``MADV_POPULATE_WRITE``, from
5.14 on), and that on another thread, while the engine goes on. It changes no byte. Where the system
does not know it, each page is faulted in when it is touched, as without it.
"""

from __future__ import annotations

import ctypes
import sys
from collections import deque
from typing import Any, Final

_MADV_POPULATE_WRITE: Final = 23
_STEP_BYTES: Final = 1 << 19
"""Populated by one system call: what a growth of the memory, or the next piece, may wait for."""
_MEMORY_EIGHTHS: Final = 9
"""Bytes of memory that the engine takes for a byte of log while it opens one; eighths."""


class Prefault:
    """A memory that grows, of which :meth:`step` makes a part present."""

    def __init__(self, left: int, size: int) -> None:
        """For a log of which ``left`` bytes are still to be handed over.

        The memory has ``size`` bytes, which are in use.
        """
        self.left = left
        """Bytes of the log that are still to come: memory is populated for no more than those."""
        self.covered = size
        """Bytes of the memory that were taken care of."""
        self._ranges: deque[tuple[int, int]] = deque()
        self._madvise: Any = None
        if sys.platform == "linux":
            self._madvise = ctypes.CDLL(None).madvise
            self._madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]

    def follow(self, address: int, size: int) -> None:
        """The memory at ``address`` has grown to ``size`` bytes."""
        start, self.covered = self.covered, size
        needed = min(size - start, max(self.left, 0) * _MEMORY_EIGHTHS // 8)
        if needed > 0:
            self._ranges.append((address + start, needed))

    def step(self) -> bool:
        """Make some of it present, on whichever thread; whether there was anything to do."""
        if self._madvise is None or not self._ranges or self.left <= 0:
            return False
        address, size = self._ranges.popleft()
        step = min(size, _STEP_BYTES)
        if size > step:
            self._ranges.appendleft((address + step, size - step))
        if self._madvise(address, step, _MADV_POPULATE_WRITE):
            self._madvise = None
            return False
        return True
