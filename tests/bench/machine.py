"""What the figures depend on: the machine, the versions, where files go."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sqlite3
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

DISTRIBUTIONS = ("koru-delta", "wasmtime", "orjson", "lmdb", "diskcache", "numpy")


def machine_lines(scratch: Path, seed: int) -> list[str]:
    """The heading of a run."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    versions = [python, f"SQLite {sqlite3.sqlite_version}"]
    versions += [f"{name} {version}" for name, version in installed(DISTRIBUTIONS)]
    machine = [_processor(), f"{os.cpu_count()} cores", f"{_memory_gb()} GB"]
    machine += [f"{platform.system()} {platform.release()}", f"load {_load()}"]
    return [
        f"Machine: {', '.join(machine)}",
        f"Versions: {', '.join(versions)}",
        f"Files on: {filesystem_of(scratch)}",
        f"Seed: {seed}",
    ]


def installed(names: Iterable[str]) -> list[tuple[str, str]]:
    """The named distributions that are installed, with their versions."""
    found = []
    for name in names:
        try:
            found.append((name, importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _load() -> str:
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    names = [
        line.partition(":")[2].strip()
        for line in text.splitlines()
        if line.startswith("model name")
    ]
    return names[0] if names else platform.machine()


def _memory_gb() -> str:
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.0f}"
    except (AttributeError, OSError, ValueError):
        return "?"


def filesystem_of(path: Path) -> str:
    """The kind of file system that holds `path`: syncing to one in memory would cost nothing."""
    try:
        mounts = Path("/proc/mounts").read_text(encoding="utf-8").splitlines()
    except OSError:
        return sys.platform
    kind, longest = "unknown", -1
    for line in mounts:
        _, point, found, *_ = line.split(" ")
        if path.resolve().is_relative_to(point) and len(point) >= longest:
            kind, longest = found, len(point)
    return kind
