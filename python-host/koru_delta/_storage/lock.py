"""One writer: a lock that the kernel frees when its process dies.

The lock file is never deleted, so there is no stale lock and no race about a new one. The process
id inside is for messages only.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Final

from koru_delta.errors import DatabaseLockedError, StorageError

_ASK_AGAIN_SECONDS: Final = 0.02

if sys.platform == "win32":
    import msvcrt

    def _try_lock(fd: int) -> None:
        # Past the bytes that hold the process id, so that others can read them.
        os.lseek(fd, 64, os.SEEK_SET)
        msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _try_lock(fd: int) -> None:
        # flock, not lockf: a second open in the same process must fail as well.
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _lock_within(fd: int, timeout: float) -> bool:
    """Whether the lock was had in time. Asking again and again: flock has no timeout."""
    end = time.monotonic() + timeout
    while True:
        try:
            _try_lock(fd)
        except OSError:
            left = end - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(left, _ASK_AGAIN_SECONDS))
        else:
            return True


def lock(path: Path, timeout: float = 0.0) -> int:
    """Lock a database file; the descriptor that holds the lock until it is closed.

    Waits for another holder, ``timeout`` seconds at most.

    Raises:
        DatabaseLockedError: If another handle holds it; the message names its process.
        StorageError: If the lock file cannot be opened.
    """
    lock_path = path.with_name(path.name + ".lock")
    try:
        fd = os.open(lock_path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
    except OSError as error:
        raise StorageError(
            f"cannot open the lock file {lock_path}: {error.strerror}",
            suggestion="check that the directory exists and is writable, or open read-only",
        ) from error
    if not _lock_within(fd, timeout):
        holder = os.pread(fd, 32, 0).decode(errors="replace") if hasattr(os, "pread") else ""
        os.close(fd)
        holder = holder.strip() or "unknown"
        where = " (this process)" if holder == str(os.getpid()) else ""
        raise DatabaseLockedError(
            f"{path} is open already, in process {holder}{where}",
            suggestion="close it there, share that handle, open with read_only=True, or wait for "
            "it with Config.lock_timeout",
        )
    try:
        os.lseek(fd, 0, os.SEEK_SET)
        os.ftruncate(fd, 0)
        os.write(fd, f"{os.getpid()}\n".encode())
    except OSError as error:
        os.close(fd)
        raise StorageError(
            f"cannot write the lock file {lock_path}: {error.strerror}",
            suggestion="check the disk and its free space",
        ) from error
    return fd
