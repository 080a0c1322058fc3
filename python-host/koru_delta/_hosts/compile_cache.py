"""Where compiled modules are kept: a directory that only this user can write.

Compiling takes hundreds of milliseconds, loading a compiled module a few. But compiled code runs
outside the sandbox's protection, so it is taken from nowhere but a directory that belongs to this
user and that nobody else may write to. Without such a directory the module is compiled each time.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path


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


def cache_settings() -> Path | None:
    """The settings file of wasmtime's cache; None where there is no private directory for it."""
    try:
        directory = _cache_home() / "koru-delta" / "compiled"
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not _is_private(directory) or not _is_private(directory.parent):
            return None
        # Beside the cache's directory: wasmtime removes what it does not know inside.
        settings = directory.parent / "compiled.toml"
        # A JSON string is a TOML basic string.
        text = f"[cache]\ndirectory = {json.dumps(str(directory))}\n"
        if not settings.exists() or settings.read_text() != text:
            temporary = settings.with_name(f"{settings.name}.{os.getpid()}")
            temporary.write_text(text)
            temporary.replace(settings)
    except (OSError, RuntimeError):
        return None
    return settings
