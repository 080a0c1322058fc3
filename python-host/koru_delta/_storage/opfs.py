"""The log in the browser's private file system, by the synchronous handles that a worker gets.

A database is a directory of three files: two for the log, ``a`` and ``b``, and ``current``, which
says which of them it is. So the whole log is replaced by writing the other file and then one
record; no file is renamed, which a file that is open could not be.

``current`` has two places for that record, written by turns, each with a checksum: a record that
was torn leaves the one before it. All handles are taken when the database is opened, and with them
the browser refuses every other writer, beside the Web Lock.
"""

from __future__ import annotations

import contextlib
import zlib
from struct import Struct
from typing import Any, Final
from urllib.parse import quote

from koru_delta._javascript import JsException, error_name, ffi, has, js, js_object
from koru_delta._storage.base import UncleanError
from koru_delta._storage.quota import ask_to_persist, quota_or
from koru_delta._storage.web_lock import WebLock
from koru_delta.errors import CorruptionError, DatabaseLockedError, StorageError

_ROOT: Final = "koru-delta"
_LOGS: Final = ("a", "b")
_RECORD: Final = Struct("<8sQQI")
"""Magic, generation, which of the files, crc32 of the bytes before."""
_MAGIC: Final = b"KORUOPFS"
_PLACE_BYTES: Final = 4096
"""The records' places lie in different blocks of any disk."""


def is_here() -> bool:
    """Whether synchronous handles can be had: in a worker of a page with a secure context."""
    return has("FileSystemFileHandle", "prototype", "createSyncAccessHandle") and has(
        "navigator", "storage", "getDirectory"
    )


async def find_directory(path: str, *, create: bool) -> Any:
    """The directory of a database; None if there is none and none is made."""
    if not has("navigator", "storage", "getDirectory"):
        return None
    options = js_object(create=create)
    try:
        root = await js.navigator.storage.getDirectory()
        parent = await root.getDirectoryHandle(_ROOT, options)
        return await parent.getDirectoryHandle(quote(path, safe="") or "%", options)
    except JsException as error:
        if error_name(error) == "NotFoundError" and not create:
            return None
        raise quota_or(error, "open", path) from error


def _current(content: bytes, path: str) -> tuple[int, int]:
    """Generation, and which file is the log; generation 0 for none.

    Raises:
        CorruptionError: If both records are damaged.
    """
    found, damaged = (0, 1), 0
    for place in (0, _PLACE_BYTES):
        record = content[place : place + _RECORD.size]
        if not record.strip(b"\0"):
            continue
        if len(record) == _RECORD.size:
            magic, generation, which, checksum = _RECORD.unpack(record)
            if magic == _MAGIC and checksum == zlib.crc32(record[:-4]) and which < len(_LOGS):
                found = max(found, (generation, which))
                continue
        damaged += 1
    if damaged == 2:
        raise CorruptionError(
            f"the record of which file is the log of {path} is damaged",
            suggestion="restore the database from a copy",
        )
    return found


async def read_whole(path: str) -> bytes | None:
    """The log as it is now, for reading only; None if there is none. Takes no lock."""
    directory = await find_directory(path, create=False)
    if directory is None:
        return None
    try:
        generation, which = _current(await _content(directory, "current"), path)
        return await _content(directory, _LOGS[which]) if generation else None
    except JsException as error:
        if error_name(error) == "NotFoundError":
            return None
        raise quota_or(error, "read", path) from error


async def _content(directory: Any, name: str) -> bytes:
    file = await (await directory.getFileHandle(name)).getFile()
    data: bytes = (await file.arrayBuffer()).to_bytes()
    return data


class OpfsStorage:
    """A log in the browser's private file system. Made by :func:`open_opfs`."""

    kind = "opfs"

    def __init__(self, path: str, lock: WebLock, logs: list[Any], current: Any) -> None:
        """Take the handles of the two logs and of ``current`` over."""
        self.path = path
        self._lock = lock
        self._logs = logs
        self._current = current
        self._at: Any = js_object(at=0)
        self._closed = False
        self._generation, self._which = _current(self._read(current, 0, 2 * _PLACE_BYTES), path)
        self._size = int(self._log.getSize()) if self._generation else 0

    @property
    def _log(self) -> Any:
        return self._logs[self._which]

    @property
    def _other(self) -> Any:
        return self._logs[1 - self._which]

    @property
    def exists(self) -> bool:
        """Whether there is a log."""
        return self._generation > 0

    @property
    def size(self) -> int:
        """Bytes of log."""
        return self._size

    def read(self, offset: int, size: int) -> bytes:
        """Bytes from ``offset`` on."""
        try:
            return self._read(self._log, offset, min(size, max(self._size - offset, 0)))
        except JsException as error:
            raise quota_or(error, "read", self.path) from error

    def append(self, data: bytes) -> None:
        """Add bytes at the end: all of them, or none and an error."""
        try:
            self._write(self._log, data, self._size)
        except StorageError as error:
            self._cut_back(error)
            raise
        except JsException as error:
            failure = quota_or(error, "write to", self.path)
            self._cut_back(failure)
            raise failure from error
        self._size += len(data)

    def sync(self) -> None:
        """Return when everything appended would survive power loss."""
        try:
            self._log.flush()
        except JsException as error:
            raise quota_or(error, "sync", self.path) from error

    def truncate(self, size: int) -> None:
        """Cut the log to ``size`` bytes, durably."""
        try:
            self._log.truncate(size)
            self._log.flush()
        except JsException as error:
            raise quota_or(error, "cut", self.path) from error
        self._size = size

    def create(self, data: bytes) -> None:
        """Make the log consist of ``data``: in the other file, which then becomes the log."""
        replacement = self.begin_replacement()
        replacement.append(data)
        replacement.commit()

    def begin_replacement(self) -> OpfsReplacement:
        """The other file, emptied."""
        try:
            self._other.truncate(0)
        except JsException as error:
            raise quota_or(error, "empty the other file of", self.path) from error
        return OpfsReplacement(self)

    def write_beside(self, data: bytes, offset: int) -> None:
        """Write to the other file."""
        try:
            self._write(self._other, data, offset)
        except JsException as error:
            raise quota_or(error, "write to", self.path) from error

    def put_in_place(self, size: int) -> None:
        """Make the other file, of that size, the log."""
        try:
            self._other.flush()
            self._switch(1 - self._which)
        except JsException as error:
            raise quota_or(error, "replace", self.path) from error
        self._size = size

    async def persist(self) -> bool:
        """Ask the browser to keep this site's data; whether it will."""
        return await ask_to_persist()

    def abandon(self) -> None:
        """Let go without touching the log."""
        self.close()

    def close(self) -> None:
        """Close the handles, and unlock. A second call does nothing."""
        if not self._closed:
            self._closed = True
            for handle in (*self._logs, self._current):
                handle.close()
            self._lock.release()

    def _switch(self, which: int) -> None:
        """Make a file, whose content is durable, the log."""
        generation = self._generation + 1
        record = _RECORD.pack(_MAGIC, generation, which, 0)[:-4]
        record += zlib.crc32(record).to_bytes(4, "little")
        self._write(self._current, record, generation % 2 * _PLACE_BYTES)
        self._current.flush()
        self._generation, self._which = generation, which
        # What was the log is garbage now: a failure to empty it loses nothing.
        with contextlib.suppress(JsException):
            self._logs[1 - which].truncate(0)

    def _read(self, handle: Any, offset: int, size: int) -> bytes:
        view = js.Uint8Array.new(size)
        self._at.at = offset
        count = int(handle.read(view, self._at))
        data: bytes = view.to_bytes()
        return data[:count]

    def _write(self, handle: Any, data: bytes, offset: int) -> None:
        self._at.at = offset
        written = int(handle.write(ffi.to_js(data), self._at))
        if written != len(data):
            raise StorageError(
                f"cannot write to {self.path}: {written} of {len(data)} bytes were taken",
                suggestion="free some space; what was acknowledged is safe and can be read",
            )

    def _cut_back(self, cause: StorageError) -> None:
        """After a write that failed in the middle: the log ends where it ended before."""
        try:
            self._log.truncate(self._size)
            self._log.flush()
        except JsException as error:
            raise UncleanError(
                cause.message, suggestion="reload the page and open the database again"
            ) from error


class OpfsReplacement:
    """The other file of a storage, which is to become the log."""

    def __init__(self, storage: OpfsStorage) -> None:
        """Begin with nothing."""
        self._storage = storage
        self._size = 0

    def append(self, data: bytes) -> None:
        """Add bytes at the end."""
        self._storage.write_beside(data, self._size)
        self._size += len(data)

    def commit(self) -> None:
        """Become the log, durably."""
        self._storage.put_in_place(self._size)

    def abandon(self) -> None:
        """Nothing to do: the other file is garbage until it is begun again."""


async def open_opfs(path: str, lock: WebLock) -> OpfsStorage:
    """Open, or prepare, the database of a path; the lock is held already.

    Raises:
        DatabaseLockedError: If something else has its files open.
        CorruptionError: If it cannot be told which file is the log.
        StorageError: If the browser refuses.
    """
    directory = await find_directory(path, create=True)
    handles: list[Any] = []
    try:
        for name in (*_LOGS, "current"):
            file = await directory.getFileHandle(name, js_object(create=True))
            handles.append(await file.createSyncAccessHandle())
        return OpfsStorage(path, lock, handles[:2], handles[2])
    except BaseException as error:
        for handle in handles:
            handle.close()
        if not isinstance(error, JsException):
            raise
        if error_name(error) == "NoModificationAllowedError":
            raise DatabaseLockedError(
                f"the files of {path} are open already, in another tab or worker",
                suggestion="close it there, or open with read_only=True",
            ) from error
        raise quota_or(error, "open", path) from error
