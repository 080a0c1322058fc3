"""What every operation works on."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING, Final, TypeVar

from koru_delta._session import Session
from koru_delta._upkeep.upkeep import Upkeep

if TYPE_CHECKING:
    from koru_delta._protocol import Reply
    from koru_delta.config import Config


_T = TypeVar("_T")
LONG_SECONDS: Final = 0.004
"""What is expected to take longer goes to a worker thread. The way there and back takes some tenths
of a millisecond, where processors sleep in between."""
LONG_BYTES: Final = 256 * 1024
"""A value, batch or answer with more bytes than this is put or taken apart on a worker thread."""


class Operations:
    """A session, and how it was configured."""

    def __init__(self, config: Config) -> None:
        """Prepare; nothing is opened."""
        self._config = config
        self._session = Session(config)
        self._upkeep = self._session.upkeep = Upkeep(self._session)

    async def _answer_later(self, opcode: int, request: bytes) -> tuple[Reply, float]:
        """The reply to a request that changes nothing, by a worker thread; and how long it took.

        In seconds, without the way there and back: on a busy machine, what went there once would
        go there for ever because of it.
        """
        return await self._session.in_thread(_call_timed, self._session, opcode, request)

    async def _taken_apart(self, take_apart: Callable[[bytes], _T], payload: bytes) -> _T:
        """What an answer holds: a long one is taken apart on a worker thread."""
        if len(payload) > LONG_BYTES:
            return await self._session.in_thread(take_apart, payload)
        return take_apart(payload)


def _call_timed(session: Session, opcode: int, request: bytes) -> tuple[Reply, float]:
    start = perf_counter()
    return session.call(opcode, request), perf_counter() - start
