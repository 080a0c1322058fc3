"""Values of the past that are in the file only: what an instance asks for, read and handed over.

An instance answers a request with the status ``FETCH`` if it takes such values. It is then asked
what to read (``op.FETCH``), gets that, until it wants nothing more, and gets the request again; as
often as it takes, since one value may tell which other is needed. The caller holds the instance all
the while. The engine checks what it is given against the version's hash.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from struct import Struct
from time import perf_counter
from typing import Final

from koru_delta import _protocol as op
from koru_delta._hosts.base import Host, InstanceLostError
from koru_delta._protocol import Reply, Status, pack
from koru_delta._storage.base import DeferredStorage, Storage
from koru_delta.errors import CorruptionError

_STRETCH: Final = Struct("<QI")
"""Offset and length of a stretch of the file."""
_NOTHING: Final = pack()
_ASKED_TOO_OFTEN: Final = 8
"""So many times over no operation reads the file; an engine gone mad would for ever."""
_SLACK_BYTES: Final = 16 * 1024 * 1024
_QUICK_BYTES: Final = 64 * 1024
"""Up to so much is read on the event loop, while that is quick."""
_QUICK_SECONDS: Final = 0.001
_SLOWNESS_WEIGHT: Final = 0.2


def can_fetch(storage: Storage) -> bool:
    """Whether values can be read from a storage while an instance is held."""
    return not isinstance(storage, DeferredStorage)


class _TooMuchError(Exception):
    """The event loop shall not wait for it."""


class Fetcher:
    """Reads for the instances of one storage."""

    def __init__(self, storage: Storage, flush: Callable[[], None] = lambda: None) -> None:
        """Prepare; ``flush`` has what is not in the storage yet written there."""
        self._storage = storage
        self._flush = flush
        self._slowness = 0.0

    @property
    def is_quick(self) -> bool:
        """Whether reading was fast enough lately for the event loop to wait for it."""
        return self._slowness <= _QUICK_SECONDS

    def answer(self, host: Host, opcode: int, request: bytes) -> Reply:
        """Carry out a request, and hand over what it takes. Blocks.

        Raises:
            CorruptionError: If the storage does not have what was written there.
            StorageError: If it could not be read.
            InstanceLostError: If the instance trapped or asks for what it cannot want.
        """
        return self._go_on(host, opcode, request, host.call(opcode, request), None)

    def answer_quickly(self, host: Host, opcode: int, request: bytes, reply: Reply) -> Reply | None:
        """As :meth:`answer`, of a request that came to ``reply``; None if that would take long."""
        try:
            return self._go_on(host, opcode, request, reply, _QUICK_BYTES)
        except _TooMuchError:
            return None

    def _go_on(
        self, host: Host, opcode: int, request: bytes, reply: Reply, most: int | None
    ) -> Reply:
        total = 0
        while reply[0] == Status.FETCH:
            reply = host.call(op.FETCH, _NOTHING)
            while not reply[0] and not reply[1] & op.REPLY_TRUE:
                stretches = self._stretches(reply[2])
                size = sum(length for _, length in stretches)
                total += size
                self._check_size(stretches, total, most)
                reply = self._hand_over(host, stretches, size)
            if reply[0]:
                break
            reply = host.call(opcode, request)
        return reply

    @staticmethod
    def _stretches(payload: bytes) -> list[tuple[int, int]]:
        """What to read: stretches of the file by ascending offset."""
        if not payload or len(payload) % _STRETCH.size:
            raise InstanceLostError("the engine stopped: it does not say what it needs")
        stretches: list[tuple[int, int]] = list(_STRETCH.iter_unpack(payload))
        end = 0
        for offset, length in stretches:
            if offset < end or not length:
                raise InstanceLostError("the engine stopped: it does not say what it needs")
            end = offset + length
        return stretches

    def _check_size(self, stretches: list[tuple[int, int]], total: int, most: int | None) -> None:
        """Have everything within reach, unless it is too much."""
        offset, length = stretches[-1]
        is_written = offset + length <= self._storage.size
        if most is not None and (total > most or not is_written):
            raise _TooMuchError
        if not is_written:
            self._flush()
        if total > _ASKED_TOO_OFTEN * self._storage.size + _SLACK_BYTES:
            raise InstanceLostError("the engine stopped: it asks for the file for ever")

    def _hand_over(self, host: Host, stretches: list[tuple[int, int]], size: int) -> Reply:
        head = op.pack_head(size)
        started = perf_counter()
        reply = host.call_reading(op.FETCH, head, size, functools.partial(self._read, stretches))
        if size <= _QUICK_BYTES:
            self._slowness += _SLOWNESS_WEIGHT * (perf_counter() - started - self._slowness)
        if reply is None:
            offset = stretches[0][0]
            raise CorruptionError(
                f"the file ends before versions that were read from it (at byte {offset})",
                suggestion="somebody else has cut it: restore a backup",
                offset=offset,
            )
        return reply

    def _read(self, stretches: list[tuple[int, int]], window: memoryview) -> int:
        """Fill a window with stretches, one after the other; how many bytes there were."""
        storage = self._storage
        read_into: Callable[[int, memoryview], int] | None = getattr(storage, "read_into", None)
        done = 0
        for offset, length in stretches:
            if read_into is not None:
                with window[done : done + length] as part:
                    count = read_into(offset, part)
            else:
                data = storage.read(offset, length)
                count = len(data)
                window[done : done + count] = data
            done += count
            if count < length:
                break
        return done
