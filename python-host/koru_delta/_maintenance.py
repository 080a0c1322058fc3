"""Deriving what searches gain from, in the background: a slice at a time, with pauses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from koru_delta._workers import work_in_background
from koru_delta.errors import KoruDeltaError

_SLICE: Final = 2048
"""Rows to code, or similarities to compute, in one go: what a request may have to wait for."""
_PAUSE_SECONDS: Final = 0.0005
_DELAY_PAUSES: Final = 20
"""Left to who asks right after opening or writing."""


class Maintenance:
    """The work that is left of one database."""

    def __init__(self, work: Callable[[int], bool], is_open: Callable[[], bool]) -> None:
        """Prepare. ``work`` does so much of it, and says whether nothing is left."""
        self._work = work
        self._is_open = is_open
        self._is_under_way = False

    def begin(self) -> None:
        """Have it done soon, unless it is being done."""
        if not self._is_under_way and self._is_open():
            self._is_under_way = True
            work_in_background(self._slices(), _PAUSE_SECONDS)

    def _slices(self) -> Iterator[None]:
        try:
            for _ in range(_DELAY_PAUSES):
                yield
            while self._is_open() and not self._work(_SLICE):
                yield
            self._is_under_way = False
            if self._is_open() and not self._work(0):
                self.begin()  # Something came in after the last slice.
        except KoruDeltaError:
            # Closed or lost meanwhile: whoever uses it next is told, or finds it rebuilt.
            self._is_under_way = False
