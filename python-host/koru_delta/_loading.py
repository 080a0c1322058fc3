"""How a session gets an instance: a new one, or one with what a storage holds."""

from __future__ import annotations

import contextlib
import functools
import json
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from koru_delta import _protocol as op
from koru_delta._fetching import can_fetch
from koru_delta._hosts.answers import check_file_header, progress_of
from koru_delta._hosts.choice import new_host
from koru_delta._protocol import Reply, pack
from koru_delta._replies import raise_error

if TYPE_CHECKING:
    from koru_delta._hosts.base import Host
    from koru_delta._hosts.read_ahead import ReadAhead
    from koru_delta._storage.base import Storage
    from koru_delta.config import Config

_READ_BYTES: Final = 960 * 1024
"""Bytes read at a time when opening: the request stays within what the module keeps for it."""
OLD_VALUES_SHARE = 0.5
"""Values of the past leave memory while more than this share of the engine's is in use."""


def _control(begun: str, offset: int, skip: int) -> bytes:
    """The control of a piece: where it begins in the file, and in the payload."""
    return f'{begun}, "offset": {offset}, "skip": {skip}}}'.encode()


class Loading:
    """What a session knows when it makes instances."""

    config: Config
    storage: Storage | None
    recovered_bytes: int
    _module: Any

    def _load(self) -> tuple[Host, int]:
        """A new instance with what the storage holds, and the sequence of the last frame."""
        stored = self.storage if self.storage is not None and self.storage.exists else None
        host = self._new_host()
        try:
            if stored is not None:
                sequence, valid, dropped = self._replay(host, stored, verify=False)
                if not self.config.read_only:
                    if valid < stored.size:
                        stored.truncate(valid)
                    self.recovered_bytes += dropped
            else:
                control = json.dumps(self._open_control(host, self.storage)).encode()
                reply = self._checked(host, op.OPEN, pack(control=control))
                sequence = reply[4]
                if self.storage is not None:
                    self.storage.create(check_file_header(reply[3]))
        except BaseException:
            host.close()
            raise
        return host, sequence

    def _new_host(self) -> Host:
        """A new instance."""
        return new_host(self.config, self._module)

    def _open_control(self, host: Host, source: Storage | None) -> dict[str, Any]:
        """How an instance is opened; from ``source`` its values of the past can be read again."""
        budget = self.config.max_memory_bytes - host.memory_bytes
        fetches = source is not None and can_fetch(source)
        return {
            "database_id": os.urandom(16).hex(),
            "journal": self.storage is not None and not self.config.read_only,
            "memory_budget": budget,
            "aside_above": int(OLD_VALUES_SHARE * budget) if fetches else None,
            "metric": self.config.vector_metric,
            "vector_index": self.config.vector_index,
        }

    def _replay(
        self, host: Host, storage: Storage, *, verify: bool, keeps_storage: bool = True
    ) -> tuple[int, int, int]:
        """Feed the log to a new instance: last sequence, valid bytes, dropped bytes."""
        options = {"verify": verify}
        sequence, progress = self._feed_all(host, storage, options, keeps_storage=keeps_storage)
        return sequence, progress["valid_bytes"], progress["dropped_bytes"]

    def _feed_all(
        self, host: Host, storage: Storage, options: dict[str, bool], *, keeps_storage: bool = True
    ) -> tuple[int, dict[str, Any]]:
        """Feed the log to a new instance: last sequence, and what the log came to.

        ``keeps_storage`` says that the storage is there as long as the instance.
        """
        control = {
            "open": self._open_control(host, storage if keeps_storage else None),
            "writable": not self.config.read_only,
            "verify": False,
            **options,
        }
        # Written once: of the next piece, only where it begins is another.
        begun = json.dumps(control)[:-1]
        size = storage.size
        piece = min(_READ_BYTES, self.config.max_memory_bytes // 64)
        offset = want = 0
        # Where memory is short and pieces are as well, none is read ahead.
        started = self._read_ahead(host, storage) if piece == _READ_BYTES else None
        with started or contextlib.nullcontext() as ahead:
            while True:
                control_of = functools.partial(_control, begun, offset)
                fed = ahead and ahead.feed(op.REPLAY, control_of, offset, want)
                if fed:
                    reply, length = fed
                else:
                    ahead = None  # A longer request may move the buffer that it reads to.
                    length = min(max(want, piece), max(size - offset, 0))
                    reply = self._feed(host, storage, control_of(0), (offset, length, size))
                if reply[0]:
                    raise_error(reply)
                progress = progress_of(reply[2], offset, length, size)
                if progress.valid_bytes is not None:
                    return reply[4], json.loads(reply[2])
                offset, want = progress.offset, progress.want

    @staticmethod
    def _read_ahead(host: Host, storage: Storage) -> ReadAhead | None:
        """What reads the storage ahead, where that is of use."""
        read_into: Callable[[int, memoryview], int] | None = getattr(storage, "read_into", None)
        return None if read_into is None else host.read_ahead(read_into, storage.size)

    @staticmethod
    def _feed(host: Host, storage: Storage, options: bytes, stretch: tuple[int, int, int]) -> Reply:
        """Hand one piece of the log over, by one copy where the storage can do that.

        ``stretch`` is where it begins, its length, and the size of the whole.
        """
        offset, length, size = stretch
        read_into: Callable[[int, memoryview], int] | None = getattr(storage, "read_into", None)
        if read_into is not None:
            flags = op.FLAG_END if offset + length >= size else 0
            head = op.pack_head(length, control=options, flags=flags)
            read = functools.partial(read_into, offset)
            reply = host.call_reading(op.REPLAY, head, length, read)
            if reply is not None:
                return reply
        # The storage has only copies to give, or became shorter: its writer has closed it.
        data = storage.read(offset, length)
        is_last = len(data) < length or offset + length >= size
        flags = op.FLAG_END if is_last else 0
        return host.call(op.REPLAY, pack(control=options, payload=data, flags=flags))

    @staticmethod
    def _checked(host: Host, opcode: int, request: bytes) -> Reply:
        reply = host.call(opcode, request)
        if reply[0]:
            raise_error(reply)
        return reply
