"""What goes on beside an opening, on another thread.

The next piece of the file is read to where it is handed over, and memory that the engine will need
is made present. The engine says after each piece where to go on, mostly a little before its end:
where a frame begins of which the rest is still to come. So each of two places has room in front of
it for such a beginning. One is read to while the engine takes in what is in the other; it skips
whatever of the request is not its own.

A copy whose two ends lie differently in their cache lines takes up to five times as long as others.
So pieces begin at multiples of a line in the file as in memory.
"""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Final, Self

from koru_delta._hosts.prefault import Prefault
from koru_delta._protocol import FLAG_END, REQUEST_HEADER, Reply, pack_head

HEAD_BYTES: Final = 1024
"""Of each request, in front of the window."""
WINDOW_BYTES: Final = (1 << 21) - HEAD_BYTES
_LEAST_BYTES: Final = 8 << 20
"""Below this, starting a thread takes longer than what it saves."""
_FRONT_BYTES: Final = 64 * 1024
"""Room in front of each piece."""
_LINE_BYTES: Final = 64
"""Of the processor's cache, or a multiple; a divisor of the room in front."""
_FAILED: Final = -1


def can_read_ahead(size: int) -> bool:
    """Whether it is worth it for a file of ``size`` bytes."""
    return size >= _LEAST_BYTES


class ReadAhead:
    """A file on its way into an engine, which is asked for nothing else meanwhile.

    Leave it before the engine's memory is freed.
    """

    def __init__(
        self,
        engine: tuple[Callable[[int, bytes, int], Reply], Callable[[], tuple[int, int]]],
        window: memoryview,
        read_into: Callable[[int, memoryview], int],
        size: int,
    ) -> None:
        """Begin to read the first of ``size`` bytes.

        Args:
            engine: What carries out a request of which the last bytes are in the window, and what
                says where the engine's memory is and how long.
            window: Memory of the engine's, behind the head of its requests.
            read_into: What reads from an offset on, and returns how many bytes it had.
            size: Bytes of the file.
        """
        self._call, self._memory = engine
        self._window = window
        self._read_into = read_into
        self._size = size
        begin = -ctypes.addressof(ctypes.c_char.from_buffer(window)) % _LINE_BYTES + _FRONT_BYTES
        half = (len(window) - begin + _FRONT_BYTES) // 2 // _LINE_BYTES * _LINE_BYTES
        self._starts = (begin, begin + half)
        """Where pieces are read to, by turns."""
        self._room = half - _FRONT_BYTES
        self._half = 0
        """Where the next piece is read to."""
        self._end = 0
        """Up to where in the file pieces were handed over."""
        self._last = 0
        """Where the last one ends in the window."""
        self._ordered = 0
        """Bytes that are on their way."""
        self._prefault = Prefault(size, self._memory()[1])
        self._orders: SimpleQueue[tuple[int, memoryview] | None] = SimpleQueue()
        self._counts: SimpleQueue[int] = SimpleQueue()
        self._thread = Thread(target=self._work, name="koru-delta-read-ahead", daemon=True)
        self._thread.start()
        self._order()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Return when nothing looks at the memory any more."""
        self._prefault.left = 0
        self._orders.put(None)
        self._thread.join()

    def feed(
        self, opcode: int, options: Callable[[int], bytes], offset: int, want: int
    ) -> tuple[Reply, int] | None:
        """Hand over what is at hand from ``offset`` on, of which ``want`` bytes are needed.

        Args:
            opcode: Of the request.
            options: Its control, given how many bytes of the payload are to be skipped.
            offset: Where in the file.
            want: Fewer only where the file ends.

        Returns:
            The reply and the number of bytes, or None where they cannot be had in this way: they
            are more than the window takes, or the file did not give them. Then it is of no more
            use: nothing is being read, and nothing will be.
        """
        place = self._next(offset, want)
        if place is None:
            return None
        start, end = place
        written = options(start).ljust(HEAD_BYTES - REQUEST_HEADER.size)
        done = offset + end - start
        flags = FLAG_END if done >= self._size else 0
        reply = self._call(opcode, pack_head(end, control=written, flags=flags), end)
        self._prefault.left = self._size - done
        address, memory = self._memory()
        if memory > self._prefault.covered:
            self._prefault.follow(address, memory)
            self._orders.put((0, self._window[:0]))  # Wakes the thread.
        return reply, end - start

    def _next(self, offset: int, want: int) -> tuple[int, int] | None:
        """Where in the window the bytes from ``offset`` on are; the piece after them is ordered."""
        left = self._end - offset
        count = self._arrived()
        if (
            count == _FAILED
            or not 0 <= left <= _FRONT_BYTES
            or not self._suffices(offset, left + count, want)
        ):
            # It goes on elsewhere than was foreseen: behind a long frame, or the file is at fault.
            if want > self._room:
                return None
            left = -(offset % _LINE_BYTES)  # It begins before it, where a line does.
            self._end = offset + left
            self._order()
            count = self._arrived()
            if count == _FAILED or not self._suffices(offset, left + count, want):
                return None
        start = self._starts[self._half]
        self._window[start - left : start] = self._window[self._last - left : self._last]
        self._end += count
        self._last = start + count
        self._half = 1 - self._half
        self._order()
        return start - left, self._last

    def _suffices(self, offset: int, count: int, want: int) -> bool:
        return count >= want or offset + count >= self._size

    def _order(self) -> None:
        """Have the next piece read, if there is one, to the half that is free."""
        self._ordered = max(min(self._room, self._size - self._end), 0)
        if self._ordered:
            start = self._starts[self._half]
            self._orders.put((self._end, self._window[start : start + self._ordered]))

    def _arrived(self) -> int:
        """Wait for what was ordered, and say how many bytes it is."""
        if not self._ordered:
            return 0
        count = self._counts.get()
        ordered, self._ordered = self._ordered, 0
        return count if count == ordered else _FAILED

    def _work(self) -> None:
        while True:
            try:
                order = self._orders.get_nowait()
            except Empty:
                if self._prefault.step():
                    continue
                order = self._orders.get()
            if order is None:
                return
            offset, place = order
            if place:
                count = _FAILED
                with contextlib.suppress(Exception):  # Whoever reads it again is told what it is.
                    count = self._read_into(offset, place)
                self._counts.put(count)
