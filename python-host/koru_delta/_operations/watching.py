"""Following changes as they are committed."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from koru_delta import _protocol as op
from koru_delta._arguments import check_name, where_bytes
from koru_delta._operations.base import Operations
from koru_delta._protocol import REPLY_TRUE
from koru_delta._results.versions import Version
from koru_delta._times import to_microseconds
from koru_delta._workers import HAS_THREADS
from koru_delta.errors import DatabaseClosedError

if TYPE_CHECKING:
    from koru_delta._results.changes import Change
    from koru_delta._session import Session
    from koru_delta._times import Time


class Watching(Operations):
    """What follows changes."""

    def watch(
        self,
        namespace: str | None = None,
        key: str | None = None,
        *,
        where: Mapping[str, Any] | None = None,
        since: Time | None = None,
    ) -> Watch:
        """Every committed change from now on, once and in commit order.

        Nothing is queued: a watch remembers how far it has read and asks for what came after, so
        a slow reader costs no memory and misses nothing but what was erased meanwhile
        (:attr:`Change.missed` counts that). To go on later, or after opening again, give the
        last change's version as ``since``. Closing the database ends the iteration.

        Args:
            namespace: Only changes of this namespace.
            key: Only changes of this key.
            where: Only changes where the new value or the one before it matches this filter, so
                that what leaves a selection is told too.
            since: Begin after this version, or after this time, instead of now.

        Raises:
            ValidationError: For a bad name, filter or time.
            DatabaseClosedError: If the database is not open.

        Example:
            >>> async for change in db.watch("users", since=0):
            ...     print(change.kind, change.key)
            ...     break
            put bob
        """
        return Watch(self._session, namespace, key, where, since)


class Watch(AsyncIterator["Change"]):
    """Changes as they are committed; see :meth:`Database.watch`."""

    def __init__(
        self,
        session: Session,
        namespace: str | None,
        key: str | None,
        where: Mapping[str, Any] | None,
        since: Time | None,
    ) -> None:
        """Take note of the present moment, or of where to begin."""
        self._session = session
        self._namespace = "" if namespace is None else check_name("namespace", namespace)
        self._key = "" if key is None else check_name("key", key)
        self._filter = b"" if where is None else where_bytes(where)
        self._found: deque[Change] = deque()
        self._ended = False
        self._more = True
        self._cursor: dict[str, Any] = {}
        if isinstance(since, Version):
            self._cursor = {"timestamp": since.timestamp_us, "after": since.version_id}
        elif since is not None:
            self._cursor = {"timestamp": to_microseconds(since) + 1}
        # Reads one page now: it finds the present moment, and what is wrong with the arguments.
        self._take(session.read_now(op.CHANGES, **self._arguments()))

    def _arguments(self) -> dict[str, Any]:
        return {
            "namespace": self._namespace,
            "key": self._key,
            "control": self._cursor,
            "payload": self._filter,
        }

    def _take(self, reply: tuple[int, int, bytes, bytes, int]) -> None:
        from koru_delta._results.changes import changes_from_payload  # Here: not all watch.

        page = changes_from_payload(reply[2])
        self._cursor = {"timestamp": page.timestamp, "taken": page.taken}
        self._more = bool(reply[1] & REPLY_TRUE)
        self._found.extend(page.changes)

    async def fetch(self) -> bool:
        """Ask for more; whether it is worth asking again at once."""
        try:
            self._take(await self._session.read(op.CHANGES, **self._arguments()))
        except DatabaseClosedError:
            return True  # Asking again finds that it has ended.
        return self._more or bool(self._found)

    def next_found(self) -> Change | None:
        """The next of the changes that were fetched.

        Raises:
            StopAsyncIteration: If the database was closed, or the watch.
        """
        if self._found:
            return self._found.popleft()
        if self._ended or not self._session.is_open:
            self._ended = True
            raise StopAsyncIteration
        return None

    @contextmanager
    def listening(self, tell: Callable[[], None]) -> Generator[None]:
        """Have ``tell`` called, on any thread, when more was committed."""
        self._session.listeners.append(tell)
        try:
            yield
        finally:
            self._session.listeners.remove(tell)

    def __aiter__(self) -> Self:
        """Itself."""
        return self

    async def __anext__(self) -> Change:
        """The next change, as soon as there is one."""
        import asyncio  # Here: it takes longer to import than everything else of ours.

        change = self.next_found()
        if change is not None:
            return change
        loop = asyncio.get_running_loop()
        committed = asyncio.Event()

        def tell() -> None:
            if not committed.is_set() and not loop.is_closed():
                loop.call_soon_threadsafe(committed.set)

        with self.listening(tell):
            while (change := self.next_found()) is None:
                committed.clear()
                if not await self.fetch():
                    await committed.wait()
                else:
                    await asyncio.sleep(0)  # A long feed gives others their turn at each page.
        return change

    async def aclose(self) -> None:
        """End the iteration."""
        self._ended = True
        self._found.clear()


class SyncWatch(Iterator["Change"]):
    """A :class:`Watch` whose iteration blocks."""

    def __init__(
        self, watch: Watch, run: Callable[[Any], Any], timeout: float | None = None
    ) -> None:
        """Follow a watch; end after ``timeout`` seconds without a change."""
        self._watch = watch
        self._run = run
        self._timeout = timeout

    def __next__(self) -> Change:
        """The next change, as soon as there is one."""
        if not HAS_THREADS:
            return self._next_by_switching()
        committed = threading.Event()
        with self._watch.listening(committed.set):
            while (change := self._next_found()) is None:
                committed.clear()
                if not self._run(self._watch.fetch()) and not committed.wait(self._timeout):
                    raise StopIteration
        return change

    def _next_by_switching(self) -> Change:
        """As ``__next__``, where waiting is the event loop's matter."""
        try:
            change: Change = self._run(self._next_in_time())
        except (StopAsyncIteration, TimeoutError):
            raise StopIteration from None
        return change

    async def _next_in_time(self) -> Change:
        """The next change. What is there already is found whatever the timeout, also none."""
        import asyncio

        while (change := self._watch.next_found()) is None:
            if not await self._watch.fetch():
                return await asyncio.wait_for(anext(self._watch), self._timeout)
        return change

    def _next_found(self) -> Change | None:
        try:
            return self._watch.next_found()
        except StopAsyncIteration:
            raise StopIteration from None

    def close(self) -> None:
        """End the iteration."""
        self._run(self._watch.aclose())
