"""What stands where an instance would be, and what says why a name is none."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NoReturn

from koru_delta._protocol import Reply
from koru_delta.errors import DatabaseClosedError, KoruDeltaError, ValidationError


class Refusal:
    """Stands where an instance would be, and says why there is none."""

    memory_bytes = 0

    def fill(self, address: int, parts: Iterable[memoryview]) -> None:
        """Nothing to fill."""

    def __init__(self, error: KoruDeltaError) -> None:
        self._error = error

    def call(self, opcode: int, request: bytes) -> Reply:
        """Refuse."""
        # A new error each time: tracebacks and notes of one must not gather in another.
        error = self._error
        raise type(error)(error.message, suggestion=error.suggestion)

    def call_reading(
        self, opcode: int, head: bytes, size: int, read: Callable[[memoryview], int]
    ) -> Reply:
        """Refuse."""
        return self.call(opcode, head)

    def read_ahead(self, read_into: Callable[[int, memoryview], int], size: int) -> None:
        """Nothing to open."""

    def close(self) -> None:
        """Nothing to free."""


def closed(when: str) -> Refusal:
    return Refusal(
        DatabaseClosedError(
            f"the database is {when}",
            suggestion="use it inside `async with Database(...)`, or await Database.create()",
        )
    )


def refuse_names(namespace: object, key: object) -> NoReturn:
    """Say what is wrong with a name that cannot be encoded."""
    for what, name in (("namespace", namespace), ("key", key)):
        if not isinstance(name, str):
            raise ValidationError(
                f"the {what} is of type {type(name).__name__}", suggestion=f"give a str as {what}"
            )
        try:
            name.encode()
        except UnicodeEncodeError:
            raise ValidationError(
                f"the {what} {name!r} contains a lone surrogate",
                suggestion="names are UTF-8 text: decode them with the right encoding",
            ) from None
    raise AssertionError("both names can be encoded")
