"""Snapshots as the engine writes them, a part at a time.

The instance is held for one part, and reads and writes come in between. The last part is taken
while it is held, after the log was written, so it has everything.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from time import time_ns
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from koru_delta import _protocol as op
from koru_delta._hosts.base import InstanceLostError
from koru_delta._protocol import pack
from koru_delta._replies import raise_error
from koru_delta._storage.commit_log import CommitLog
from koru_delta.errors import KoruDeltaError, LimitExceededError

if TYPE_CHECKING:
    from koru_delta._hosts.base import Host
    from koru_delta._session import Session

TextIndex: TypeAlias = tuple[str, str]
"""An index of text as the engine names it: its namespace, and which strings it has."""
PART_BYTES: Final = 960 * 1024
"""Bytes of a part, about: a request that has it stays within what the module keeps for one."""


@dataclass(frozen=True, slots=True)
class Retention:
    """Which versions stay: each rule keeps, and without any all do."""

    keep_versions: int | None
    keep_history: float | None
    """In seconds."""

    @classmethod
    def of(cls, keep_versions: int | None, keep_history: float | timedelta | None) -> Retention:
        """The rules as people give them."""
        if isinstance(keep_history, timedelta):
            keep_history = keep_history.total_seconds()
        return cls(keep_versions, keep_history)

    def control(self) -> dict[str, Any]:
        """The rules as the engine takes them, as of now."""
        control: dict[str, Any] = {"keep_versions": self.keep_versions}
        if self.keep_history is not None:
            control["since"] = max(0, time_ns() // 1000 - int(self.keep_history * 1_000_000))
        return control


class BegunAnewError(Exception):
    """A key was erased, or the instance is another one: what was written is not to be used."""


class CancelledError(Exception):
    """The database is being closed."""


@contextmanager
def holding(session: Session, *, flush: bool) -> Generator[Host]:
    """The instance of a session, which nobody else calls meanwhile.

    Args:
        session: The session.
        flush: Whether to write what the log has open first, so that everything is acknowledged.

    Raises:
        DatabaseClosedError: If the database is not open.
        StorageError: If writing failed before, or does now.
    """
    with session._lock:
        if session._stale:
            session._rebuild()
        if flush and isinstance(session.log, CommitLog):
            session.log.flush_all()
        yield session._host


def call_held(session: Session, host: Host, opcode: int, control: dict[str, Any]) -> op.Reply:
    """Call an instance that the caller is :func:`holding`, as of what is acknowledged now."""
    log = session.log
    options = json.dumps(control).encode()
    head = op.REQUEST_HEADER.pack(
        0, log.acknowledged, op.NOW, 0, 0, len(options), 0, 0, 0, log.synced
    )
    reply = session.call_held(host, opcode, head + options)
    if reply[0]:
        raise_error(reply)
    return reply


def take_apart(payload: bytes) -> tuple[bytes, dict[str, Any]]:
    """The bytes of a part, and how far the snapshot has come."""
    end = len(payload) - 4
    length = int.from_bytes(payload[end:], "little")
    progress: dict[str, Any] = json.loads(payload[end - length : end])
    return payload[: end - length], progress


class Snapshot:
    """A snapshot of a session, being written."""

    def __init__(
        self,
        session: Session,
        write: Callable[[bytes], object],
        *,
        retention: Retention | None = None,
        new_id: bytes | None = None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        """Begin; ``write`` takes the bytes of the file, one part after the other."""
        self._session = session
        self._write = write
        self._cancelled = cancelled
        self._source: Host | None = None
        bound = session.config.max_memory_bytes // 64
        self._control: dict[str, Any] = {"max_bytes": min(PART_BYTES, bound)}
        if retention is not None:
            self._control |= retention.control()
        if new_id is not None:
            self._control["new_id"] = new_id.hex()
        self.progress: dict[str, Any] = {}
        """What the engine said of the part before."""
        self.size = 0

    def catch_up(self) -> None:
        """Write what is acknowledged and not written yet; not for ever, if writers are as fast.

        Raises:
            BegunAnewError: If another snapshot must be begun in this one's place.
            CancelledError: If it is not wanted any more.
        """
        bound = self._session.memory_bytes()
        begin = self.size
        complete = False
        while not complete and self.size - begin <= bound:
            with holding(self._session, flush=False) as host:
                data = self._part(host, last=False)
            self._take(data)
            complete = self.progress["complete"]

    def end(self, host: Host) -> None:
        """Write what is left, and the end. The caller is :func:`holding` the instance, flushed.

        Raises:
            BegunAnewError: As :meth:`catch_up`.
            CancelledError: As :meth:`catch_up`.
        """
        while not self.progress.get("ended"):
            self._take(self._part(host, last=True))

    def check(self) -> None:
        """Go on only if it is still wanted.

        Raises:
            CancelledError: If it is not.
        """
        if self._cancelled():
            raise CancelledError

    def _part(self, host: Host, *, last: bool) -> bytes:
        self.check()
        if self._source is None:
            self._source = host
        elif self._source is not host:
            raise BegunAnewError
        reply = call_held(self._session, host, op.SNAPSHOT, {**self._control, "last": last})
        data, self.progress = take_apart(reply[2])
        if self.progress["next"] is None:
            raise BegunAnewError
        self._control["after"] = self.progress["next"]
        return data

    def _take(self, data: bytes) -> None:
        self.size += len(data)
        self._write(data)


class Successor:
    """A new instance that takes a snapshot in while it is written."""

    def __init__(self, session: Session) -> None:
        """Make an empty instance with the caps of the session's."""
        self._session = session
        self.host = session._new_host()
        self._control: dict[str, Any] = {
            "open": session._open_control(self.host, session.storage),
            "writable": True,
            "verify": False,
        }
        self._offset = 0

    def feed(self, data: bytes, erasures: list[Any] | None = None) -> int:
        """Take a part in, the last one with what was erased; the sequence so far."""
        control: dict[str, Any] = {**self._control, "offset": self._offset}
        flags = 0
        if erasures is not None:
            flags, control["erasures"] = op.FLAG_END, erasures
        self._offset += len(data)
        reply = self._call(op.REPLAY, control, data, flags)
        progress = json.loads(reply[2])
        if progress.get("valid_bytes", progress.get("offset")) != self._offset:
            raise KoruDeltaError("the engine does not take in the snapshot that it wrote")
        return reply[4]

    def maintain(self, budget: int, texts: list[TextIndex]) -> bool:
        """Do a slice of what searches gain from, and make indexes of text; whether none is left."""
        reply = self._call(op.MAINTAIN, {"budget": budget, "texts": texts}, b"", 0)
        return bool(reply[1] & op.REPLY_TRUE)

    def head(self) -> bytes:
        """Hash of the latest commit."""
        return self._session._checked(self.host, op.HEAD, pack())[2]

    def close(self) -> None:
        """Free the instance."""
        self.host.close()

    def _call(self, opcode: int, control: dict[str, Any], payload: bytes, flags: int) -> op.Reply:
        request = pack(control=json.dumps(control).encode(), payload=payload, flags=flags)
        try:
            return self._session._checked(self.host, opcode, request)
        except InstanceLostError as error:
            if not error.timed_out:
                raise
            raise LimitExceededError(
                "a step of the compaction took longer than Config.operation_timeout",
                suggestion="raise Config.operation_timeout; nothing was changed",
            ) from error
