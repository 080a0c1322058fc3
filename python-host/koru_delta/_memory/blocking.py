"""An agent's memory whose methods block."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar

from koru_delta._memory.agent import AgentMemory
from koru_delta._memory.kinds import Episodes, Facts, Procedures

if TYPE_CHECKING:
    from koru_delta.sync_database import SyncDatabase

_P = ParamSpec("_P")
_T = TypeVar("_T")
_A = TypeVar("_A")


class Run(Protocol):
    """What carries out a coroutine of a database that blocks."""

    def __call__(self, coroutine: Coroutine[Any, Any, _T], /) -> _T:
        """The coroutine's result."""
        ...


class _Blocking(Generic[_A]):
    """Something with coroutine methods, and what carries them out."""

    def __init__(self, asynchronous: _A, run: Run) -> None:
        self._asynchronous = asynchronous
        self._run = run


def _blocking(
    method: Callable[Concatenate[_A, _P], Coroutine[Any, Any, _T]],
) -> Callable[Concatenate[_Blocking[_A], _P], _T]:
    @functools.wraps(method)
    def call(self: _Blocking[_A], /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        return self._run(method(self._asynchronous, *args, **kwargs))

    return call


class SyncEpisodes(_Blocking[Episodes]):
    """:class:`Episodes` whose methods block."""

    remember = _blocking(Episodes.remember)
    remember_many = _blocking(Episodes.remember_many)


class SyncFacts(_Blocking[Facts]):
    """:class:`Facts` whose methods block."""

    learn = _blocking(Facts.learn)
    get = _blocking(Facts.get)
    history = _blocking(Facts.history)


class SyncProcedures(_Blocking[Procedures]):
    """:class:`Procedures` whose methods block."""

    learn = _blocking(Procedures.learn)
    get = _blocking(Procedures.get)
    history = _blocking(Procedures.history)
    record_outcome = _blocking(Procedures.record_outcome)


class SyncAgentMemory(_Blocking[AgentMemory]):
    """An :class:`AgentMemory` whose methods block. Threads may share one.

    Made by :meth:`SyncDatabase.agent_memory`, or with a database of its own by
    :meth:`SyncDatabase.for_agent`.

    Attributes:
        db: The database.
        agent_id: Name of the agent.
        namespace: Where its memories are.
        episodes: What happened.
        facts: What it knows.
        procedures: What it knows how to do.

    Example:
        >>> with SyncDatabase.for_agent("assistant-42") as memory:
        ...     episode = memory.remember("Alice moved from Berlin to Lisbon")
        ...     [hit.content for hit in memory.recall("Lisbon")]
        ['Alice moved from Berlin to Lisbon']
    """

    def __init__(self, db: SyncDatabase, memory: AgentMemory, run: Run) -> None:
        """Bind the memory of a database that blocks."""
        super().__init__(memory, run)
        self.db = db
        self.agent_id = memory.agent_id
        self.namespace = memory.namespace
        self.episodes = SyncEpisodes(memory.episodes, run)
        self.facts = SyncFacts(memory.facts, run)
        self.procedures = SyncProcedures(memory.procedures, run)

    def __repr__(self) -> str:
        """The agent and the database."""
        return f"<{type(self).__name__} {self.agent_id!r} of {self.db!r}>"

    remember = _blocking(AgentMemory.remember)
    recall = _blocking(AgentMemory.recall)
    get = _blocking(AgentMemory.get)
    history = _blocking(AgentMemory.history)
    lineage = _blocking(AgentMemory.lineage)
    forget = _blocking(AgentMemory.forget)
    consolidate = _blocking(AgentMemory.consolidate)
    undo = _blocking(AgentMemory.undo)
    stats = _blocking(AgentMemory.stats)
    flush = _blocking(AgentMemory.flush)


class SyncOpenAgent:
    """A database with one agent's memory: what :meth:`SyncDatabase.for_agent` gives to ``with``."""

    def __init__(self, db: SyncDatabase, memory: SyncAgentMemory) -> None:
        """Bind both; nothing is opened."""
        self._db = db
        self._memory = memory

    def __enter__(self) -> SyncAgentMemory:
        """Open the database."""
        self._db.__enter__()
        return self._memory

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the database."""
        self._db.__exit__(kind, error, traceback)
