"""Letting others go on, with an event loop and without one."""

from __future__ import annotations

import time
from time import perf_counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from koru_delta._session import Session

_TURN_SECONDS: Final = 0.002


async def pause(session: Session, seconds: float) -> None:
    """Let others go on for some time."""
    if session.blocking:
        time.sleep(seconds)  # noqa: ASYNC251 - a blocking database has no loop
        return
    import asyncio  # Here: it takes longer to import than everything else of ours.

    await asyncio.sleep(seconds)


class Turns:
    """Gives the event loop its turn when a long computation has had its own."""

    def __init__(self, session: Session) -> None:
        """Begin a turn."""
        self._session = session
        self._end = perf_counter() + _TURN_SECONDS

    async def give(self) -> None:
        """Let others go on, if this has taken long enough."""
        if self._session.blocking or perf_counter() < self._end:
            return
        await pause(self._session, 0)
        self._end = perf_counter() + _TURN_SECONDS
