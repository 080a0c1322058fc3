"""From a reply's status to an exception."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

from koru_delta._protocol import Reply, Status
from koru_delta.errors import (
    ConflictError,
    CorruptionError,
    KeyNotFoundError,
    KoruDeltaError,
    LimitExceededError,
    SerializationError,
    StorageError,
    UnsupportedFormatError,
    ValidationError,
)

if TYPE_CHECKING:
    from koru_delta._storage.commit_log import Group


def raise_error(
    reply: Reply, namespace: str = "", key: str = "", *, item: str = "item"
) -> NoReturn:
    """Raise the error that a reply reports; ``item`` is what an index in it counts."""
    status = reply[0]
    try:
        details = json.loads(reply[2])
        message, suggestion = details["message"], details["suggestion"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise KoruDeltaError(f"the engine's error {status} cannot be read") from None
    if "index" in details:
        message = f"{item} {details['index']}: {message}"
    match status:
        case Status.INVALID:
            raise ValidationError(message, suggestion=suggestion)
        case Status.SERIALIZATION:
            raise SerializationError(message, suggestion=suggestion)
        case Status.NOT_FOUND:
            raise KeyNotFoundError(
                message,
                suggestion=suggestion,
                namespace=namespace,
                key=key,
                suggestions=tuple(details.get("suggestions", ())),
            )
        case Status.CONFLICT:
            raise ConflictError(message, suggestion=suggestion, current=details.get("current"))
        case Status.LIMIT:
            raise LimitExceededError(message, suggestion=suggestion)
        case Status.CORRUPT:
            raise CorruptionError(message, suggestion=suggestion, offset=details.get("offset"))
        case Status.UNSUPPORTED:
            raise UnsupportedFormatError(message, suggestion=suggestion)
        case _:
            raise KoruDeltaError(message, suggestion=suggestion)


async def raise_refused(
    reply: Reply, group: Group | None, namespace: str, key: str, *, blocking: bool
) -> NoReturn:
    """Raise what a write came to: a conflict when the version that it names can be read.

    Told before, whoever reads again would find what it found before, as often as it tries.

    Args:
        reply: The reply.
        group: Of a conflict, that of the writes before it, if they may have to be waited for.
        namespace: Namespace of the write.
        key: Key of the write.
        blocking: Whether the thread may stand still.
    """
    if group is not None:
        # If that version is lost, there is nothing to wait for either.
        with suppress(StorageError):
            if blocking:
                group.wait()
            else:
                await group
    raise_error(reply, namespace, key)
