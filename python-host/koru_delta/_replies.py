"""From a reply's status to an exception."""

from __future__ import annotations

import json
from typing import NoReturn

from koru_delta._protocol import Reply, Status
from koru_delta.errors import (
    ConflictError,
    CorruptionError,
    KeyNotFoundError,
    KoruDeltaError,
    LimitExceededError,
    SerializationError,
    UnsupportedFormatError,
    ValidationError,
)


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
