"""What a browser's storage says when it fails, and whether it keeps what it has."""

from __future__ import annotations

from koru_delta._javascript import error_name, error_text, has, js
from koru_delta.errors import StorageError


def quota_or(error: BaseException, action: str, path: str) -> StorageError:
    """A failure of the browser's storage, in words."""
    if "QuotaExceeded" in error_name(error) or "QuotaExceeded" in error_text(error):
        return StorageError(
            f"cannot {action} {path}: the browser's quota for this site is used up",
            suggestion="free some of the site's storage or of the disk; what was acknowledged is "
            "safe and can be read",
        )
    return StorageError(
        f"cannot {action} {path}: {error_text(error)}",
        suggestion="reload the page and open the database again; what was acknowledged is safe",
    )


async def ask_to_persist() -> bool:
    """Ask the browser to keep this site's data until the user removes it; whether it will.

    Raises:
        StorageError: If it cannot be asked here, and has not agreed before.
    """
    if not has("navigator", "storage", "persisted"):
        raise StorageError(
            "this browser cannot be asked to keep data",
            suggestion="serve the page by https, or from localhost",
        )
    if await js.navigator.storage.persisted():
        return True
    if not has("navigator", "storage", "persist"):
        raise StorageError(
            "a worker cannot ask the browser to keep data",
            suggestion="call navigator.storage.persist() in the page, outside the worker",
        )
    return bool(await js.navigator.storage.persist())
