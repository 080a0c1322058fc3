"""Errors, and what to do about each.

Every error has a ``suggestion``: what to do next. The tree::

    KoruDeltaError
    ├── KeyNotFoundError (also a KeyError)
    ├── ValidationError (also a ValueError)
    │   └── SerializationError (also a TypeError)
    ├── ConflictError
    ├── LimitExceededError
    ├── DatabaseClosedError
    └── StorageError (also an OSError)
        ├── DatabaseLockedError
        ├── CorruptionError
        └── UnsupportedFormatError
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "ConflictError",
    "CorruptionError",
    "DatabaseClosedError",
    "DatabaseLockedError",
    "KeyNotFoundError",
    "KoruDeltaError",
    "LimitExceededError",
    "SerializationError",
    "StorageError",
    "UnsupportedFormatError",
    "ValidationError",
]


class KoruDeltaError(Exception):
    """Base of every error that koru_delta raises.

    Attributes:
        message: What happened.
        suggestion: What to do next.
    """

    def __init__(self, message: str, *, suggestion: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.suggestion = suggestion or "see the message; if it makes no sense, report a bug"

    def __str__(self) -> str:
        """The message and the suggestion."""
        return f"{self.message}; {self.suggestion}"

    def name_file(self, path: str) -> None:
        """Say which file it is about, unless the message does already."""
        if path not in self.message:
            self.message = f"{path}: {self.message}"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle with all attributes, so that errors cross process boundaries whole."""
        return _rebuild, (type(self), self.__dict__)


def _rebuild(kind: type[KoruDeltaError], attributes: dict[str, Any]) -> KoruDeltaError:
    error = kind.__new__(kind, attributes["message"])
    error.__dict__.update(attributes)
    return error


class KeyNotFoundError(KoruDeltaError, KeyError):
    """There is no such key, or no such version.

    Attributes:
        namespace: Namespace that was searched; empty for a search by version id.
        key: Key, or version id, that was not found.
        suggestions: Near keys, nearest first.
    """

    def __init__(
        self,
        message: str,
        *,
        suggestion: str = "",
        namespace: str = "",
        key: str = "",
        suggestions: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message, suggestion=suggestion)
        self.namespace = namespace
        self.key = key
        self.suggestions = suggestions
        if suggestions:
            self.add_note(f"Did you mean: {', '.join(suggestions)}?")


class ValidationError(KoruDeltaError, ValueError):
    """An argument is not acceptable. Nothing was changed."""


class SerializationError(ValidationError, TypeError):
    """A value cannot be stored as it is. The message has the place in it: ``$.items[3].price``."""


class ConflictError(KoruDeltaError):
    """The key has moved on from ``expected_version``. Nothing was written.

    Attributes:
        current: Id of the key's latest version; None if it never had one.
    """

    def __init__(self, message: str, *, suggestion: str = "", current: str | None = None) -> None:
        super().__init__(message, suggestion=suggestion)
        self.current = current


class LimitExceededError(KoruDeltaError):
    """A limit of size, count, memory, disk or time was reached. Nothing was written."""


class DatabaseClosedError(KoruDeltaError):
    """The database is not open: not yet, or no longer."""


class StorageError(KoruDeltaError, OSError):
    """The file could not be read or written."""


class DatabaseLockedError(StorageError):
    """Another handle has the database open."""


class CorruptionError(StorageError):
    """Stored bytes are damaged. The file was left as it is.

    Attributes:
        offset: Byte of the file where the damage begins; None if not known.
    """

    def __init__(self, message: str, *, suggestion: str = "", offset: int | None = None) -> None:
        super().__init__(message, suggestion=suggestion)
        self.offset = offset


class UnsupportedFormatError(StorageError):
    """The file is not a koru-delta database, or one of a later format."""
