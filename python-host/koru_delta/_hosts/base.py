"""The host protocol: one instance of the module, called synchronously."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol

from koru_delta._protocol import Reply
from koru_delta.errors import KoruDeltaError, LimitExceededError

if TYPE_CHECKING:
    from koru_delta._hosts.read_ahead import ReadAhead


class InstanceLostError(KoruDeltaError):
    """The instance trapped or misbehaved; whatever the log holds is safe."""

    def __init__(self, message: str, *, timed_out: bool = False) -> None:
        super().__init__(message, suggestion="open the database again, and report what led to it")
        self.timed_out = timed_out


def what_stopped(error: InstanceLostError, seconds: float, *, in_memory: bool) -> KoruDeltaError:
    """What is said of an instance that was lost. Without a file, what it held is lost with it."""
    lost = "; the database in memory is lost with it" if in_memory else ""
    if not error.timed_out:
        return InstanceLostError(error.message + lost) if lost else error
    advice = "ask for less at a time, or raise Config.operation_timeout"
    return LimitExceededError(
        f"the operation took longer than {seconds} s and was stopped"
        f"{lost or '; nothing was written'}",
        suggestion=f"make a new one, or give it a path; {advice}" if lost else advice,
    )


class Host(Protocol):
    """One instance of the module and its linear memory. Not thread-safe."""

    def call(self, opcode: int, request: bytes) -> Reply:
        """Carry out one request.

        Raises:
            InstanceLostError: If the instance trapped or misbehaved. It is never called again.
            LimitExceededError: If the request does not fit the memory; nothing was done.
        """
        ...

    def call_reading(
        self, opcode: int, head: bytes, size: int, read: Callable[[memoryview], int]
    ) -> Reply | None:
        """Carry out a request whose last ``size`` bytes ``read`` puts where they are handed over.

        The memoryview is good during that call only. If ``read`` returns another number than
        ``size``, nothing is carried out, and None is returned.

        Raises:
            InstanceLostError: As :meth:`call`.
            LimitExceededError: As :meth:`call`.
        """
        ...

    def read_ahead(
        self, read_into: Callable[[int, memoryview], int], size: int
    ) -> ReadAhead | None:
        """Begin to read a file ahead of its opening; None where that is of no use."""
        ...

    def fill(self, address: int, parts: Iterable[memoryview]) -> None:
        """Copy bytes, one part after the other, to an address that the module gave."""
        ...

    @property
    def memory_bytes(self) -> int:
        """Bytes of linear memory taken."""
        ...

    def close(self) -> None:
        """Free the instance. A second call does nothing."""
        ...
