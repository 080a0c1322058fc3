"""The asynchronous database: the whole public face of the engine."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from koru_delta._operations.history import History
from koru_delta._operations.operating import Operating
from koru_delta._operations.querying import Querying
from koru_delta._operations.reading import Reading
from koru_delta._operations.searching import Searching
from koru_delta._operations.vectors import Vectors
from koru_delta._operations.watching import Watching
from koru_delta.config import Config
from koru_delta.errors import ValidationError
from koru_delta.namespace import Namespace

if TYPE_CHECKING:
    from koru_delta._memory.agent import AgentMemory, OpenAgent

__all__ = ["Database"]


class Database(Vectors, Searching, Querying, Watching, Reading, History, Operating):
    """An embedded, versioned database.

    Every write is kept, with its time and its cause, and every read can be asked of the past.

    Args:
        config: A path, a :class:`Config`, or nothing for a database in memory.

    Example:
        >>> async with Database() as db:
        ...     await db.put("users", "alice", {"age": 30})
        ...     await db.get("users", "alice")
        {'age': 30}
    """

    def __init__(self, config: Config | str | os.PathLike[str] | None = None) -> None:
        """Prepare; nothing is opened until ``async with`` or :meth:`create`."""
        super().__init__(config if isinstance(config, Config) else Config(path=config))

    @classmethod
    async def create(cls, config: Config | str | os.PathLike[str] | None = None) -> Self:
        """Open a database without ``async with``; close it with :meth:`close`.

        Raises:
            DatabaseLockedError: If another handle has the file open for writing.
            CorruptionError: If acknowledged data in the file is damaged; nothing is repaired.
            UnsupportedFormatError: If the file is no koru-delta database, or of a later format.
            LimitExceededError: If the data does not fit ``max_memory_mb``.
            StorageError: If the file cannot be read or made.
        """
        database = cls(config)
        await database._open()
        return database

    async def _open(self) -> None:
        if self._session.is_open:
            raise ValidationError("the database is open already", suggestion="use it, or close it")
        await self._session.in_thread(self._session.open)

    async def close(self) -> None:
        """Write what is left, free the memory and unlock the file. Closing twice is fine.

        Raises:
            StorageError: If what ``enable_wal=False`` had gathered could not be written.
        """
        memories = sys.modules.get("koru_delta._memory.accesses")
        if memories is not None and self._session.is_open:
            await memories.close_accesses(self)
        await self._session.in_thread(self._session.close)

    async def __aenter__(self) -> Self:
        """Open, unless :meth:`create` has."""
        if not self._session.is_open:
            await self._open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close."""
        await self.close()

    def __del__(self) -> None:
        """Warn about a database that was not closed, and close it."""
        session = getattr(self, "_session", None)
        if session is not None and session.is_open:
            warnings.warn(f"{self!r} was not closed", ResourceWarning, source=self, stacklevel=2)
            session.close()

    def __repr__(self) -> str:
        """Where it is, and whether it is open."""
        state = "open" if self._session.is_open else "closed"
        return f"<{type(self).__name__} {self._config.path or 'in memory'}, {state}>"

    def agent_memory(self, agent_id: str, embedder: object = None, **settings: Any) -> AgentMemory:
        """What an agent remembers, kept in this database.

        Args:
            agent_id: Name of the agent.
            embedder: As :class:`AgentMemory` takes it; None to find memories by their words.
            settings: The other arguments of :class:`AgentMemory`.

        Example:
            >>> memory = db.agent_memory("assistant-7")
            >>> await memory.facts.learn("bob.drink", "Bob prefers tea")
            'fact/bob.drink'
        """
        from koru_delta._memory.agent import AgentMemory  # Here: not everybody needs it.

        return AgentMemory(self, agent_id, embedder, **settings)

    @classmethod
    def for_agent(
        cls,
        agent_id: str,
        config: Config | str | os.PathLike[str] | None = None,
        embedder: object = None,
        **settings: Any,
    ) -> OpenAgent:
        """A database with one agent's memory, for ``async with``.

        Args:
            agent_id: Name of the agent.
            config: A path, a :class:`Config`, or nothing for a database in memory.
            embedder: As :class:`AgentMemory` takes it.
            settings: The other arguments of :class:`AgentMemory`.

        Example:
            >>> async with Database.for_agent("assistant-7") as memory:
            ...     (await memory.stats()).episodes
            0
        """
        from koru_delta._memory.agent import OpenAgent

        return OpenAgent(cls(config), agent_id, embedder, **settings)

    def namespace(self, name: str) -> Namespace:
        """The same operations bound to one namespace.

        Example:
            >>> users = db.namespace("users")
            >>> await users.get("bob")
            {'age': 40}
        """
        return Namespace(self, name)

    def __getitem__(self, path: str) -> Pending:
        """``await db["users/alice"]`` is ``await db.get("users", "alice")``.

        The first slash parts namespace and key.
        """
        namespace, slash, key = path.partition("/") if isinstance(path, str) else ("", "", "")
        if not slash:
            raise ValidationError(
                f"{path!r} is not of the form namespace/key",
                suggestion='write db["users/alice"], or await db.get(namespace, key)',
            )
        return Pending(self, namespace, key)


class Pending:
    """A value on its way: what ``db["namespace/key"]`` gives to await."""

    def __init__(self, database: Database, namespace: str, key: str) -> None:
        """Remember what to read."""
        self._database = database
        self.namespace = namespace
        self.key = key

    def __await__(self) -> Generator[Any, None, Any]:
        """Read it."""
        return self._database.get(self.namespace, self.key).__await__()
