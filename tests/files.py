"""Looking at files from the outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def names_in(directory: Path) -> list[str]:
    """The names of everything below a directory, in order."""
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))


def content_of(path: Path) -> bytes:
    """All bytes of a file."""
    return path.read_bytes()


def write_content(path: Path, content: bytes) -> None:
    """Makes a file consist of these bytes."""
    path.write_bytes(content)


def remove(path: Path) -> None:
    """Removes a file from where it is; who has it open keeps it."""
    path.unlink()


def size_of(path: Path) -> int:
    """How many bytes a file has."""
    return path.stat().st_size


def stored_at(path: Path) -> bytes:
    """All bytes of a database's file; none where databases are not files, as in a browser."""
    return path.read_bytes() if path.exists() else b""


def inode_of(path: Path) -> int:
    """Which file a path leads to."""
    return path.stat().st_ino


def mode_of(path: Path) -> int:
    """The permission bits of a file."""
    return path.stat().st_mode & 0o7777
