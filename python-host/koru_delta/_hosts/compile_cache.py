"""Where compiled modules are kept: a directory that only this user can write.

Compiling takes hundreds of milliseconds, mapping a compiled module less than one. But compiled code
runs outside the sandbox's protection, so it is taken from nowhere but a directory that belongs to
this user and that nobody else may write to. Without such a directory the module is compiled each
time.

wasmtime has a cache of its own, which compresses what it keeps: decompressing and copying took some
14 ms of each start. Here an entry is the file that wasmtime maps, named by the SHA-256 of the
module. wasmtime itself refuses one of another release, of other settings or for another processor.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
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


def _is_private(directory: Path) -> bool:
    if sys.platform == "win32":
        return True  # A user's profile is closed to others by its access list.
    status = directory.lstat()
    return (
        stat.S_ISDIR(status.st_mode)
        and status.st_uid == os.geteuid()
        and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    )


def cache_directory() -> Path | None:
    """The directory of compiled modules; None where there is no private one."""
    try:
        directory = _cache_home() / "koru-delta" / "compiled"
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not _is_private(directory) or not _is_private(directory.parent):
            return None
    except (OSError, RuntimeError):
        return None
    return directory


def compiled(engine: wasmtime.Engine, module: bytes) -> wasmtime.Module:
    """The module, from the cache if it is there, else compiled and kept.

    Raises:
        WasmtimeError: If it is no module.
    """
    directory = cache_directory()
    if directory is None:
        return wasmtime.Module(engine, module)
    import hashlib  # Here: it takes milliseconds to import.

    # The place of wasmtime keeps installations of different releases from taking turns at an entry.
    place = hashlib.sha256(os.fsencode(wasmtime.__file__)).hexdigest()
    entry = directory / f"{hashlib.sha256(module).hexdigest()}.{place[:16]}"
    # An entry that cannot be used, or kept, costs time, nothing else.
    with contextlib.suppress(OSError, wasmtime.WasmtimeError):
        if stat.S_ISREG(entry.lstat().st_mode):
            return wasmtime.Module.deserialize_file(engine, str(entry))
    made = wasmtime.Module(engine, module)
    with contextlib.suppress(OSError, wasmtime.WasmtimeError):
        _keep(entry, made.serialize())
    return made


def _keep(entry: Path, code: bytes | bytearray) -> None:
    """Write an entry whole or not at all, and let the oldest go if there are many."""
    temporary = entry.with_name(f"{entry.name}.{os.getpid()}")
    try:
        with temporary.open("xb") as file:
            file.write(code)
            file.flush()
            os.fsync(file.fileno())  # A name must not outlive a crash that its content did not.
        temporary.replace(entry)
    finally:
        temporary.unlink(missing_ok=True)
    entries = [path for path in entry.parent.iterdir() if path.is_file()]
    for old in sorted(entries, key=lambda path: path.stat().st_mtime)[:-_KEPT]:
        old.unlink()
