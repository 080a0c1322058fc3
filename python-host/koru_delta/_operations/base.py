"""What every operation works on."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

from koru_delta._session import Session
from koru_delta._upkeep.upkeep import Upkeep

if TYPE_CHECKING:
    from koru_delta._protocol import Reply
    from koru_delta.config import Config


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


def _call_timed(session: Session, opcode: int, request: bytes) -> tuple[Reply, float]:
    start = perf_counter()
    return session.call(opcode, request), perf_counter() - start
