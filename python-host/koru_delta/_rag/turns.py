"""Who writes documents, one at a time; and what need not be looked up again while nobody does."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from koru_delta._forks import NO_FORK

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Lock

    from koru_delta._session import Session


class Turns:
    """One database's turns of writing documents.

    Documents are written through :func:`writing` only, and no other process has the file open, so
    what was found out about them holds until the next turn ends, or the database is opened again.
    """

    def __init__(self) -> None:
        """Nobody has written."""
        self._thread = threading.Lock()
        self._tasks: WeakKeyDictionary[AbstractEventLoop, Lock] = WeakKeyDictionary()
        self._log: object = None
        self._known: dict[tuple[str, str], bool] = {}
        self.count = 0
        """How many turns have ended."""

    def known(self, session: Session, namespace: str, model: str) -> bool | None:
        """What was :meth:`learn` ed; None for nothing."""
        return self._known.get((namespace, model)) if self._log is session.log else None

    def learn(
        self, session: Session, namespace: str, model: str, fact: bool, *, count: int
    ) -> None:
        """Keep what was found out when there had been ``count`` turns, if it is still so."""
        if count == self.count:
            if self._log is not session.log:
                self._log = session.log
                self._known.clear()
            self._known[namespace, model] = fact

    def end(self) -> None:
        """Something was written."""
        self.count += 1
        self._known.clear()

    @asynccontextmanager
    async def alone(self, session: Session) -> AsyncGenerator[None]:
        """Wait until no other task or thread is in here."""
        if session.blocking:
            with self._thread:
                yield
            return
        import asyncio  # Here: it takes longer to import than everything else of ours.

        lock = self._tasks.setdefault(asyncio.get_running_loop(), asyncio.Lock())
        async with lock:
            yield


_turns: WeakKeyDictionary[Session, Turns] = WeakKeyDictionary()


def turns_of(session: Session) -> Turns:
    """The turns of a database."""
    with NO_FORK:
        return _turns.setdefault(session, Turns())


@asynccontextmanager
async def writing(session: Session) -> AsyncGenerator[None]:
    """A turn of writing documents."""
    turns = turns_of(session)
    async with turns.alone(session):
        try:
            yield
        finally:
            turns.end()
