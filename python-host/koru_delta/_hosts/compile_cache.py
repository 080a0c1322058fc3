"""Where compiled modules are kept: a directory that only this user can write.

Compiling takes hundreds of milliseconds, mapping a compiled module less than one. But compiled code
runs outside the sandbox's protection, so it is taken from nowhere but a directory that belongs to
this user and that nobody else may write to. Without such a directory the module is compiled each
time.

wasmtime has a cache of its own, which compresses what it keeps: decompressing and copying took some
14 ms of each start. Here an entry is the file that wasmtime maps, named by the SHA-256 of the
module and by that of the code itself, which is checked: what a disk or a careless hand changed is
compiled anew. wasmtime itself refuses code of another release, of other settings or for another
processor.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import wasmtime

_KEPT: Final = 16
"""Entries that are kept, two a release: several releases may be in use by turns."""


def _cache_home() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def _is_private(status: os.stat_result, kind: Callable[[int], bool]) -> bool:
    if sys.platform == "win32":
        return kind(status.st_mode)  # A user's profile is closed to others by its access list.
    return (
        kind(status.st_mode)
        and status.st_uid == os.geteuid()
        and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    )


def cache_directory() -> Path | None:
    """The directory of compiled modules; None where there is no private one."""
    try:
        directory = _cache_home() / "koru-delta" / "compiled"
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        for part in (directory, directory.parent):
            if not _is_private(part.lstat(), stat.S_ISDIR):
                return None
    except (OSError, RuntimeError):
        return None
    return directory


def compiled(
    engine: wasmtime.Engine, module: bytes | Callable[[], bytes], digest: str | None = None
) -> wasmtime.Module:
    """The module, from the cache if it is there, else compiled and kept.

    Args:
        engine: Which engine is to run it.
        module: The module, or what reads it where it has to be compiled.
        digest: Its SHA-256 in hexadecimal digits, if that is known.

    Raises:
        WasmtimeError: If it is no module.
    """
    directory = cache_directory()
    if directory is None:
        return wasmtime.Module(engine, _read(module))
    # The place of wasmtime keeps installations of different releases from taking turns at an entry.
    place = _sha256(os.fsencode(wasmtime.__file__))
    stem = f"{digest or _sha256(_read(module))}.{place[:16]}."
    # An entry that cannot be used, or kept, costs time, nothing else.
    with contextlib.suppress(OSError):
        for name in os.listdir(directory):
            entry = directory / name
            with contextlib.suppress(OSError, ValueError, wasmtime.WasmtimeError):
                if name.startswith(stem) and _is_whole(entry, name.removeprefix(stem)):
                    return wasmtime.Module.deserialize_file(engine, str(entry))
    made = wasmtime.Module(engine, _read(module))
    with contextlib.suppress(OSError, wasmtime.WasmtimeError):
        _keep(directory, stem, made.serialize())
    return made


def _read(module: bytes | Callable[[], bytes]) -> bytes:
    return module if isinstance(module, bytes) else module()


def _sha256(data: bytes | bytearray | mmap.mmap) -> str:
    import hashlib  # Here: it takes milliseconds to import.

    return hashlib.sha256(data).hexdigest()


def _is_whole(entry: Path, digest: str) -> bool:
    """Whether an entry is a file of this user alone, with the content that its name says."""
    flags = ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY")
    fd = os.open(entry, sum((getattr(os, name, 0) for name in flags), os.O_RDONLY))
    try:
        if not _is_private(os.fstat(fd), stat.S_ISREG):
            return False
        with mmap.mmap(fd, 0, access=mmap.ACCESS_READ) as code:
            return _sha256(code) == digest
    finally:
        os.close(fd)


def _keep(directory: Path, stem: str, code: bytes | bytearray) -> None:
    """Write an entry whole or not at all, and let go what it replaces and the oldest if many."""
    entry = directory / f"{stem}{_sha256(code)}"
    temporary = directory / f"{os.getpid()}.{stem}new"
    try:
        with temporary.open("xb") as file:
            file.write(code)
            file.flush()
            os.fsync(file.fileno())  # A name must not outlive a crash that its content did not.
        temporary.replace(entry)
    finally:
        temporary.unlink(missing_ok=True)
    entries = [path for path in directory.iterdir() if not path.is_dir()]
    entries.sort(key=lambda path: path.lstat().st_mtime)
    for old in entries[:-_KEPT] + [path for path in entries if path.name.startswith(stem)]:
        if old != entry:
            old.unlink(missing_ok=True)
