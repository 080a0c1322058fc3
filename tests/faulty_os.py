"""An operating system that fails on purpose: the n-th call that changes a file raises.

Works through the functions of `os`, and only on files below one directory. Each call is counted
where it would change what a disk holds: writes, syncs, truncation, allocation. Writes of nothing
but zeros, which no log has, are "zeros", and no "pwrite": they only set room aside.
"""

from __future__ import annotations

import errno
import os
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import pytest

WRITES = ("write", "pwrite", "writev", "pwritev")
SYNCS = ("fsync", "fdatasync")
ZEROS = "zeros"
OTHERS = ("ftruncate", "truncate", "posix_fallocate", ZEROS, "rename", "replace")


def _path_of(target: Any) -> str:
    if isinstance(target, int):
        return os.readlink(f"/proc/self/fd/{target}")
    return os.path.abspath(str(target))


@dataclass
class FaultyOs:
    """What was called so far, and which call is to fail how."""

    directory: Path
    calls: list[str] = field(default_factory=list)
    names: tuple[str, ...] = WRITES + SYNCS + OTHERS
    fail_at: int | None = None
    error: int = errno.EIO
    short: bool = False
    fired: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def arm(
        self, fail_at: int, names: tuple[str, ...], error: int = errno.EIO, short: bool = False
    ) -> None:
        """The call with this index from now on, among those named, fails."""
        self.calls.clear()
        self.fail_at, self.names, self.error, self.short = fail_at, names, error, short
        self.fired = False

    def disarm(self) -> None:
        """Everything works again."""
        self.fail_at = None

    def _wrap(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def faulty(target: Any, *arguments: Any, **keywords: Any) -> Any:
            called = ZEROS if name in WRITES and not any(memoryview(arguments[0])) else name
            if not _path_of(target).startswith(str(self.directory)) or called not in self.names:
                return real(target, *arguments, **keywords)
            with self._lock:
                index = len(self.calls)
                self.calls.append(called)
                if index == self.fail_at:
                    self.fired = True
            if index != self.fail_at:
                return real(target, *arguments, **keywords)
            if self.short and name in ("write", "pwrite"):
                data = memoryview(arguments[0]).cast("B")
                real(target, data[: len(data) // 2], *arguments[1:])
            raise OSError(self.error, os.strerror(self.error))

        return faulty


@contextmanager
def faulty_os(monkeypatch: pytest.MonkeyPatch, directory: Path) -> Iterator[FaultyOs]:
    """Puts the failing functions in the place of the real ones."""
    faulty = FaultyOs(directory)
    with monkeypatch.context() as patch:
        for name in (*WRITES, *SYNCS, *OTHERS):
            if hasattr(os, name):
                patch.setattr(os, name, faulty._wrap(name, getattr(os, name)))
        yield faulty
