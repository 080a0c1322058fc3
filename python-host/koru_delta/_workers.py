"""The process's worker threads, for all databases; and what stands in for them."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from time import sleep
from typing import TYPE_CHECKING, Any, Final, TypeVar

from koru_delta._forks import NO_FORK
from koru_delta.errors import ValidationError

if TYPE_CHECKING:
    from asyncio import Task
    from concurrent.futures import Executor, Future, ThreadPoolExecutor
    from typing import Self

_T = TypeVar("_T")
HAS_THREADS: Final = sys.platform != "emscripten"
"""Under Pyodide there is one thread: what would run on a worker runs between turns of the loop."""

_executors: dict[str, ThreadPoolExecutor] = {}
_tasks: set[Task[Any]] = set()
"""The event loop itself holds tasks weakly."""


def worker_threads() -> ThreadPoolExecutor:
    """The process's worker threads, started when first needed."""
    return _threads("koru-delta")


def embedder_threads() -> ThreadPoolExecutor:
    """Threads for what a user's functions do: it may take long, and use a database meanwhile."""
    return _threads("koru-delta-embedder")


def _threads(prefix: str) -> ThreadPoolExecutor:
    from concurrent.futures import ThreadPoolExecutor

    with NO_FORK:
        executor = _executors.get(prefix)
        if executor is None:
            executor = _executors[prefix] = ThreadPoolExecutor(thread_name_prefix=prefix)
        return executor


def work_in_background(slices: Iterator[None], pause_seconds: float) -> None:
    """Go through slices of work, with a pause after each: on a worker thread if there are any."""
    if HAS_THREADS:
        worker_threads().submit(_work, slices, pause_seconds)
        return
    start_task(_work_in_turns(slices, pause_seconds))


class OneBehind:
    """Has work done one behind those who make it: while one piece is done, the next is made.

    For a thread that may stand still. Leaving the context settles the last piece.
    """

    def __init__(self, executor: Executor | None) -> None:
        """Do it on a thread of ``executor``, or here when it has none to spare."""
        self._executor = executor
        self._last: tuple[Callable[[], object], Future[object]] | None = None

    def add(self, work: Callable[[], object]) -> None:
        """Begin a piece, once the one before is done; raise what that one, or this one, raised."""
        if self._executor is None:
            work()
            return
        self.settle()
        self._last = work, self._executor.submit(work)

    def settle(self) -> None:
        """Return when the last piece is done; raise what it raised."""
        last, self._last = self._last, None
        if last is not None:
            work, doing = last
            # What no thread has begun is done here: threads may all be waiting as we are.
            if doing.cancel():
                work()
            else:
                doing.result()

    def stop(self) -> None:
        """Return when nothing is done any more; what was not begun stays undone."""
        last, self._last = self._last, None
        if last is not None and not last[1].cancel():
            last[1].exception()  # Waits for it. Whoever stops has no use for what it raised.

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.settle()


def start_task(coroutine: Coroutine[Any, Any, None]) -> None:
    """Have the running event loop carry something out that nobody awaits."""
    import asyncio

    task = asyncio.get_running_loop().create_task(coroutine)
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)


def _work(slices: Iterator[None], pause_seconds: float) -> None:
    for _ in slices:
        sleep(pause_seconds)


async def _work_in_turns(slices: Iterator[None], pause_seconds: float) -> None:
    import asyncio

    for _ in slices:
        await asyncio.sleep(pause_seconds)


def run_to_the_end(work: Awaitable[_T], what: str) -> _T:
    """Carry out what a function of a user's gave to await, for a blocking database.

    Raises:
        ValidationError: If an event loop runs in this thread, which must not stand still.
    """
    import asyncio

    async def wait() -> _T:
        return await work

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(wait())
    if isinstance(work, Coroutine):
        work.close()
    raise ValidationError(
        f"{what} is async, and a blocking database cannot wait for it while an event loop runs in "
        "this thread",
        suggestion="use the asynchronous Database here, or a blocking function",
    )


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_executors.clear)  # Threads do not come along.
