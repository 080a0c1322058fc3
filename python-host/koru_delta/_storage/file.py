"""The log as a file: append, fdatasync, and nothing acknowledged before.

Room for growth is set aside in steps, and what is ahead of short appends is written with zeros
once, because a sync that finds its blocks written before has nothing but data to write: no size, no
extents, and no journal of the file system. What is set aside reads as zeros, which recovery takes
for the end of the log, and is cut off at close. Zeros are written only where room was promised
before, so that they never are what fills a disk, and long appends do without: these would write
everything twice to spare what is little beside them.

A file is compacted into ``<path>.compact``, which is synced and renamed over it. Whoever has the
old file open for reading keeps it. One that a crash has left is removed when the file is opened.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from pathlib import Path
from typing import Final

from koru_delta._storage.base import UncleanError
from koru_delta._storage.lock import lock
from koru_delta.errors import StorageError, UnsupportedFormatError

_GROWTH_BYTES: Final = 1024 * 1024
_ZEROS: Final = bytes(256 * 1024)
_FIRST_ZEROS: Final = 16 * 1024
"""Zeros are written in steps that double, so that opening for one short write stays cheap."""
_SHORT_BYTES: Final = 64 * 1024
"""Up to this length an append goes to where zeros were written."""
_SYNCED_BYTES: Final = 16 * 1024 * 1024
"""A replacement is synced in such steps, so that the last one, which writers wait for, is short."""

if sys.platform == "darwin":
    import fcntl

    def sync_file(fd: int) -> None:
        """Return when what was written would survive power loss."""
        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
elif hasattr(os, "fdatasync"):

    def sync_file(fd: int) -> None:
        """Return when what was written would survive power loss."""
        os.fdatasync(fd)
else:

    def sync_file(fd: int) -> None:
        """Return when what was written would survive power loss."""
        os.fsync(fd)


if hasattr(os, "preadv"):

    def _read_into(fd: int, buffer: memoryview, offset: int) -> int:
        return os.preadv(fd, [buffer], offset)
else:

    def _read_into(fd: int, buffer: memoryview, offset: int) -> int:
        data = os.pread(fd, len(buffer), offset)
        buffer[: len(data)] = data
        return len(data)


def failure(path: Path, action: str, error: OSError) -> StorageError:
    """What failed, and what to do about it."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        advice = "free some space on the disk; what was acknowledged is safe and can be read"
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        advice = "check the permissions of the file and its directory, or open read-only"
    else:
        advice = "check the disk; what was acknowledged before is not touched"
    return StorageError(f"cannot {action} {path}: {error.strerror or error}", suggestion=advice)


_CREATE_IT: Final = "check the path, or open it for writing once to create it"


class FileStorage:
    """A log in one file, locked against other writers."""

    kind = "file"

    def __init__(
        self,
        path: Path,
        *,
        read_only: bool,
        preallocate: bool,
        lock_timeout: float = 0.0,
        if_missing: str = _CREATE_IT,
    ) -> None:
        """Open or prepare ``path``; a file that does not exist has size 0 until ``create``.

        ``if_missing`` is what to do if there is none to read.

        Raises:
            DatabaseLockedError: If another handle has it open for writing.
            UnsupportedFormatError: If it is a directory or no ordinary file.
            StorageError: If it cannot be opened.
        """
        self.path = path
        self._read_only = read_only
        self._if_missing = if_missing
        self._preallocate = preallocate and hasattr(os, "posix_fallocate")
        self._fd = -1
        self._lock = -1
        self._size = 0
        self._allocated = 0
        self._written = 0
        """Up to here the file was written, be it with zeros. Never past ``_allocated``."""
        self._step = _FIRST_ZEROS
        if path.is_dir() or (path.exists() and not path.is_file()):
            raise UnsupportedFormatError(
                f"{path} is not a file",
                suggestion=f"give the path of a database file, such as {path / 'memory.koru'}",
            )
        if not read_only:
            self._make_directory()
            self._lock = lock(path, lock_timeout)
        try:
            if not read_only:
                _remove(self._temporary)
            self._open()
        except BaseException:
            self.close()
            raise

    @property
    def _temporary(self) -> Path:
        return self.path.with_name(self.path.name + ".compact")

    @property
    def is_displaced(self) -> bool:
        """Whether another file, or none, is at the path: this one then ends with the handle.

        Never of a file that is only read: a compaction by its writer leaves that one behind.
        """
        if self._read_only or self._fd < 0:
            return False
        held = os.fstat(self._fd)
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return True
        except OSError:
            return False  # What is there cannot be told.
        return not os.path.samestat(held, found)

    @property
    def exists(self) -> bool:
        """Whether there is a file."""
        return self._fd >= 0

    @property
    def size(self) -> int:
        """Bytes of log."""
        return self._size

    def read(self, offset: int, size: int) -> bytes:
        """Bytes from ``offset`` on."""
        try:
            data = os.pread(self._fd, size, offset)
            while 0 < len(data) < size and (
                more := os.pread(self._fd, size - len(data), offset + len(data))
            ):
                data += more
        except OSError as error:
            raise failure(self.path, "read", error) from error
        return data

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Fill ``buffer`` with the bytes from ``offset`` on; fewer only where the file ends."""
        done = 0
        try:
            while done < len(buffer):
                with buffer[done:] as rest:
                    count = _read_into(self._fd, rest, offset + done)
                if count == 0:
                    break
                done += count
        except OSError as error:
            raise failure(self.path, "read", error) from error
        return done

    def append(self, data: bytes) -> None:
        """Add bytes at the end: all of them, or none and an error."""
        end = self._size + len(data)
        if end > self._written and self._preallocate:
            self._grow(end, short=len(data) <= _SHORT_BYTES)
        written = 0
        try:
            while written < len(data):
                written += os.pwrite(
                    self._fd, data[written:] if written else data, self._size + written
                )
        except OSError as error:
            self._cut_back()
            raise failure(self.path, "write to", error) from error
        self._size = end
        if end > self._written:
            self._written = end
            self._allocated = max(self._allocated, end)

    def sync(self) -> None:
        """Return when everything appended would survive power loss."""
        try:
            sync_file(self._fd)
        except OSError as error:
            raise failure(self.path, "sync", error) from error

    def truncate(self, size: int) -> None:
        """Cut the log to ``size`` bytes, durably."""
        try:
            os.ftruncate(self._fd, size)
            os.fsync(self._fd)
        except OSError as error:
            raise failure(self.path, "cut", error) from error
        self._size = self._allocated = self._written = size

    def create(self, data: bytes) -> None:
        """Make the file consist of ``data``: written beside it, synced, and renamed over it."""
        temporary = self.path.with_name(self.path.name + ".new")
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.path)
            sync_directory(self.path)
        except OSError as error:
            raise failure(self.path, "create", error) from error
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self._open()

    def begin_replacement(self) -> FileReplacement:
        """An empty file beside this one."""
        return FileReplacement(self, self._temporary)

    def put_in_place(self, temporary: Path, fd: int, size: int) -> None:
        """Rename a synced file over this one, and go on with it.

        Raises:
            StorageError: If it could not be renamed: this file is as it was.
            UncleanError: If the directory could not be synced after that.
        """
        try:
            os.replace(temporary, self.path)
        except OSError as error:
            raise failure(self.path, "replace", error) from error
        old, self._fd = self._fd, fd
        self._size = self._allocated = self._written = size
        if old >= 0:
            os.close(old)
        try:
            sync_directory(self.path)
        except OSError as error:
            raise unclean(self.path, error) from error

    def close(self) -> None:
        """Cut off what was set aside, and unlock."""
        if self._fd >= 0:
            if self._allocated > self._size and not self._read_only:
                # Room set aside is no data: a failure to give it back loses nothing.
                with contextlib.suppress(OSError):
                    os.ftruncate(self._fd, self._size)
            os.close(self._fd)
            self._fd = -1
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def abandon(self) -> None:
        """Let go of the descriptors without touching the file: for a forked child."""
        self._allocated = self._size
        self.close()

    def _make_directory(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise failure(self.path.parent, "make the directory", error) from error

    def _open(self) -> None:
        flags = (os.O_RDONLY if self._read_only else os.O_RDWR) | getattr(os, "O_CLOEXEC", 0)
        try:
            self._fd = os.open(self.path, flags | getattr(os, "O_BINARY", 0))
        except FileNotFoundError:
            if self._read_only:
                raise StorageError(
                    f"there is no database at {self.path}",
                    suggestion=self._if_missing,
                ) from None
            return
        except OSError as error:
            raise failure(self.path, "open", error) from error
        self._size = self._allocated = self._written = os.fstat(self._fd).st_size

    def _grow(self, end: int, *, short: bool) -> None:
        """Set room aside for an append up to ``end``, and for others after it."""
        try:
            if end > self._allocated:
                target = (end // _GROWTH_BYTES + 1) * _GROWTH_BYTES
                os.posix_fallocate(self._fd, self._allocated, target - self._allocated)
                self._allocated = target
            if short:
                self._write_zeros(end)
        except OSError:
            # Only speed is lost: the write itself tells whether there is room.
            self._preallocate = False

    def _write_zeros(self, end: int) -> None:
        """Write the blocks behind ``end``, up to where the next step begins."""
        size = self._step - end % self._step
        self._written = end + os.pwrite(self._fd, memoryview(_ZEROS)[:size], end)
        self._step = min(2 * self._step, len(_ZEROS))

    def _cut_back(self) -> None:
        """After a write that failed in the middle: the file ends where it ended before."""
        try:
            os.ftruncate(self._fd, self._size)
            sync_file(self._fd)
            self._allocated = self._written = self._size
        except OSError as error:
            raise unclean(self.path, error) from error


def sync_directory(path: Path) -> None:
    """Return when the name of a file would survive power loss."""
    if sys.platform == "win32":
        return
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


class FileReplacement:
    """A file that is to take another's place."""

    def __init__(self, storage: FileStorage, path: Path) -> None:
        """Make an empty file.

        Raises:
            StorageError: If it cannot be made.
        """
        self._storage = storage
        self._path = path
        self._size = 0
        self._synced = 0
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC
        flags |= getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        try:
            self._fd = os.open(path, flags, 0o666)
            with contextlib.suppress(FileNotFoundError):
                os.chmod(path, storage.path.stat().st_mode & 0o777)
        except OSError as error:
            raise failure(path, "create", error) from error

    def append(self, data: bytes) -> None:
        """Add bytes at the end.

        Raises:
            StorageError: If that fails; nothing but ``abandon`` may follow.
        """
        end = self._size + len(data)
        try:
            while self._size < end:
                rest = data[len(data) - (end - self._size) :]
                self._size += os.pwrite(self._fd, rest, self._size)
            if self._size - self._synced >= _SYNCED_BYTES:
                sync_file(self._fd)
                self._synced = self._size
        except OSError as error:
            raise failure(self._path, "write to", error) from error

    def commit(self) -> None:
        """Sync, and take the other file's place."""
        try:
            sync_file(self._fd)
        except OSError as error:
            raise failure(self._path, "sync", error) from error
        try:
            self._storage.put_in_place(self._path, self._fd, self._size)
        except UncleanError:
            self._fd = -1
            raise
        self._fd = -1

    def abandon(self) -> None:
        """Remove the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            # One that stays is removed when the database is opened again.
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)


def _remove(path: Path) -> None:
    """Remove what a crash has left."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise failure(path, "remove", error) from error


def unclean(path: Path, error: OSError) -> UncleanError:
    """What cannot be taken back, in words."""
    return UncleanError(
        failure(path, "write to", error).message,
        suggestion="check the disk and open the database again",
    )
