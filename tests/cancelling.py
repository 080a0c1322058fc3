"""A task that is cancelled at a chosen one of its suspensions."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator


class CancelledAt:
    """Awaits a coroutine and cancels its own task when that is suspended for the n-th time."""

    def __init__(self, work: Coroutine[Any, Any, Any], suspension: int) -> None:
        self._work = work
        self._left = suspension
        self.fired = False

    def __await__(self) -> Generator[Any, Any, Any]:
        inner = self._work.__await__()
        try:
            waited_for = next(inner)
            while True:
                if self._left == 0:
                    self.fired = True
                    task = asyncio.current_task()
                    assert task is not None
                    task.cancel()
                self._left -= 1
                try:
                    sent = yield waited_for
                except BaseException as error:  # noqa: BLE001
                    waited_for = inner.throw(error)
                else:
                    waited_for = inner.send(sent)
        except StopIteration as stop:
            return stop.value


async def cancel_at(work: Callable[[], Coroutine[Any, Any, Any]], suspension: int) -> bool | None:
    """Does the work in a task of its own, cancelled at a suspension.

    Returns:
        Whether it was carried out all the same; None if it had no such suspension.
    """
    cancelled = CancelledAt(work(), suspension)

    async def run() -> None:
        await cancelled

    task = asyncio.create_task(run())
    await asyncio.wait([task])
    if task.cancelled():
        return False
    task.result()
    return True if cancelled.fired else None
