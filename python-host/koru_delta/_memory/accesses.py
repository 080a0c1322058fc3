"""How often memories were recalled, and when last.

Counting must not make each recall a durable write: the counts of an agent are kept here, one
:class:`Accesses` for each agent of an open database, and what changed is written in one commit when
it concerns :data:`_FLUSH_AT` memories, when somebody asks, and when the database closes. A process
that dies loses the counts since the last of these, and nothing else.
"""

from __future__ import annotations

import threading
import warnings
import weakref
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from koru_delta._forks import NO_FORK
from koru_delta._memory.turns import pause
from koru_delta._results.memories import Access
from koru_delta.errors import KoruDeltaError

if TYPE_CHECKING:
    from koru_delta._times import Time
    from koru_delta.database import Database

_FLUSH_AT: Final = 256
"""Memories whose counts changed, from which on they are written."""
_BATCH: Final = 10_000
_PAUSE_SECONDS: Final = 0.001
_NEVER: Final[Access] = (0, 0)


class Accesses:
    """The counts of one agent. Threads may share them.

    The database is an argument of what needs it, and not held: it holds these.
    """

    def __init__(self, namespace: str, owing: set[Accesses]) -> None:
        """Begin with what the namespace holds, which is read when it is first needed.

        While counts wait to be written, this is in ``owing``.
        """
        self.namespace = namespace
        self._owing = owing
        self._lock = threading.Lock()
        self._counts: dict[str, Access] = {}
        self._unwritten: dict[str, int] = {}
        """Accesses since the counts were written, by memory."""
        self._flushing = False
        self._complete: bool | None = None
        """Whether the namespace holds nothing that is not here; None before it was looked at."""

    @property
    def unwritten(self) -> int:
        """How many accesses have not been written."""
        with self._lock:
            return sum(self._unwritten.values())

    async def count(self, db: Database, ids: list[str], now_us: int) -> list[Access]:
        """Count an access to each of some memories, and return their counts."""
        if not self._complete:
            await self._load(db, ids)
        counts, unwritten = self._counts, self._unwritten
        found: list[Access] = []
        with self._lock:
            for one in ids:
                access = (counts.get(one, _NEVER)[0] + 1, now_us)
                counts[one] = access
                found.append(access)
                unwritten[one] = unwritten.get(one, 0) + 1
            self._owing.add(self)
        if len(unwritten) >= _FLUSH_AT and not self._flushing:
            with suppress(KoruDeltaError):  # A recall does not fail for that: it is tried again.
                await self.flush(db)
        return found

    async def of(self, db: Database, memory_id: str, at: Time | None = None) -> Access:
        """The counts of a memory, without counting."""
        if at is not None:
            return (await self.then(db, [memory_id], at))[0]
        await self._load(db, [memory_id])
        return self._counts.get(memory_id, _NEVER)

    async def then(self, db: Database, ids: list[str], at: Time) -> list[Access]:
        """The counts that had been written at a time."""
        found = await db.get_many(self.namespace, ids, at=at)
        return [_access(found.get(one)) for one in ids]

    async def flush(self, db: Database) -> None:
        """Write what changed. Of a database that is open read-only the counts stay here."""
        if db._config.read_only:
            return
        while not self._begin():  # One after the other: later counts must not be overwritten.
            await pause(db._session, _PAUSE_SECONDS)
        try:
            while self._unwritten:
                await self._write(db)
        finally:
            self._flushing = False
        with self._lock:
            if not self._unwritten:
                self._owing.discard(self)

    def _begin(self) -> bool:
        with self._lock:
            begins = not self._flushing
            self._flushing = True
            return begins

    async def _write(self, db: Database) -> None:
        with self._lock:
            batch = dict(islice(self._unwritten.items(), _BATCH))
            items = [(self.namespace, one, _value(self._counts[one])) for one in batch]
            for one in batch:
                del self._unwritten[one]
        try:
            await db.put_batch(items)
        except BaseException:
            self._owe(batch)
            raise

    def _owe(self, times: dict[str, int]) -> None:
        with self._lock:
            for one, more in times.items():
                if one in self._counts:
                    self._unwritten[one] = self._unwritten.get(one, 0) + more

    async def erase(self, db: Database, memory_id: str) -> None:
        """Remove the counts of a memory for good."""
        with self._lock:
            self._counts.pop(memory_id, None)
            self._unwritten.pop(memory_id, None)
        await db.erase(self.namespace, memory_id)

    async def _load(self, db: Database, ids: list[str]) -> None:
        if self._complete is None:
            self._complete = not await db.list_keys(self.namespace, limit=1)
        if self._complete:
            return
        missing = [one for one in ids if one not in self._counts]
        if not missing:
            return
        found = await db.get_many(self.namespace, missing)
        with self._lock:
            for one in missing:
                self._counts.setdefault(one, _access(found.get(one)))

    def forget(self) -> None:
        """Begin anew: the database was closed."""
        with self._lock:
            self._counts.clear()
            self._unwritten.clear()
            self._complete = None
            self._owing.discard(self)


def _access(value: dict[str, Any] | None) -> Access:
    return _NEVER if value is None else (value["count"], value["last"])


def _value(access: Access) -> dict[str, int]:
    return {"count": access[0], "last": access[1]}


class _Agents:
    """The counts of a database's agents: held while somebody uses them or they wait."""

    def __init__(self) -> None:
        self.owing: set[Accesses] = set()
        self.used: weakref.WeakValueDictionary[str, Accesses] = weakref.WeakValueDictionary()


_agents: weakref.WeakKeyDictionary[Database, _Agents] = weakref.WeakKeyDictionary()


def accesses_of(db: Database, namespace: str) -> Accesses:
    """The counts of an agent: the same for all who ask while the database is open."""
    with NO_FORK:
        agents = _agents.setdefault(db, _Agents())
        accesses = agents.used.get(namespace)
        if accesses is None:
            accesses = agents.used[namespace] = Accesses(namespace, agents.owing)
        return accesses


async def close_accesses(db: Database) -> None:
    """Write the counts of all agents, before a database closes.

    What cannot be written is a warning: closing must not fail for it.
    """
    with NO_FORK:
        agents = _agents.get(db)
    if agents is None:
        return
    try:
        if db._session.is_open:
            for accesses in list(agents.owing):
                await accesses.flush(db)
    except KoruDeltaError as error:
        warnings.warn(
            f"access counts of memories were not kept: {error}", RuntimeWarning, stacklevel=2
        )
    finally:
        for accesses in list(agents.used.values()):
            accesses.forget()
