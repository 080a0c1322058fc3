"""The asynchronous database: the whole public face of the engine."""

from __future__ import annotations

import functools
import os
import sys
import warnings
from collections.abc import Callable, Generator
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Self

from koru_delta._operations.history import History
from koru_delta._operations.operating import Operating
from koru_delta._operations.querying import Querying
from koru_delta._operations.reading import Reading
from koru_delta._operations.searching import Searching
from koru_delta._operations.vectors import Vectors
from koru_delta._operations.watching import Watching
from koru_delta._workers import HAS_THREADS
from koru_delta.config import Config
from koru_delta.errors import StorageError, ValidationError
from koru_delta.namespace import Namespace

if TYPE_CHECKING:
    from koru_delta._hosts.base import Host
    from koru_delta._memory.agent import AgentMemory, OpenAgent
    from koru_delta._results.reports import SalvageReport

__all__ = ["Database"]


class Database(Vectors, Searching, Querying, Watching, Reading, History, Operating):
    """An embedded, versioned database.

    Every write is kept, with its time and its cause, and every read can be asked of the past.

    Args:
        config: A path, a :class:`Config`, or nothing for a database in memory.
        module: Under Pyodide, what ``Config.module`` is.

    Example:
        >>> async with Database() as db:
        ...     await db.put("users", "alice", {"age": 30})
        ...     await db.get("users", "alice")
        {'age': 30}
    """

    def __init__(
        self, config: Config | str | os.PathLike[str] | None = None, *, module: Any = None
    ) -> None:
        """Prepare; nothing is opened until ``async with`` or :meth:`create`."""
        if not isinstance(config, Config):
            config = Config(path=config, module=module)
        elif module is not None:
            config = replace(config, module=module)
        super().__init__(config)

    @classmethod
    async def create(
        cls, config: Config | str | os.PathLike[str] | None = None, *, module: Any = None
    ) -> Self:
        """Open a database without ``async with``; close it with :meth:`close`.

        Raises:
            DatabaseLockedError: If another handle has the file open for writing.
            CorruptionError: If acknowledged data in the file is damaged; nothing is repaired.
            UnsupportedFormatError: If the file is no koru-delta database, or of a later format.
            LimitExceededError: If the data does not fit ``max_memory_mb``.
            StorageError: If the file cannot be read or made.
        """
        database = cls(config, module=module)
        await database._open()
        return database

    async def _open(self, load: Callable[[], tuple[Host, int]] | None = None) -> None:
        if self._session.is_open:
            raise ValidationError("the database is open already", suggestion="use it, or close it")
        session = self._session
        await session.prepare()
        await session.in_thread(session.open, load)
        try:
            await session.log.settle()
        except BaseException:
            session.close()
            raise

    @classmethod
    async def import_from(
        cls,
        source: str | os.PathLike[str] | BinaryIO,
        config: Config | str | os.PathLike[str] | None = None,
    ) -> Self:
        """Make a database of an exported file, or of any database file, and open it.

        Everything is checked first: each checksum, each version's id and the chain of commits.

        Args:
            source: A path, or a file that is open for reading in binary.
            config: Where to: a path where nothing is, a :class:`Config`, or nothing for memory.

        Raises:
            CorruptionError: If anything in it is damaged or missing.
            UnsupportedFormatError: If it is no koru-delta database, or of a later format.
            StorageError: If it cannot be read, or there is a database at the new path.
            LimitExceededError: If it does not fit ``max_memory_mb``.
            ValidationError: If it is neither a path nor a file in binary.

        Example:
            >>> report = await db.export_to("backup.koru", overwrite=True)
            >>> copy = await Database.import_from("backup.koru")
            >>> copy.head == db.head
            True
            >>> await copy.close()
        """
        database = cls(config)
        await database._import(source)
        return database

    async def _import(self, source: str | os.PathLike[str] | BinaryIO) -> None:
        from koru_delta._upkeep.copies import load_import  # Here: few need it at once.

        await self._open(functools.partial(load_import, self._session, source))

    @classmethod
    async def salvage(
        cls,
        source: str | os.PathLike[str],
        target: str | os.PathLike[str],
        *,
        max_memory_mb: int = 0,
    ) -> SalvageReport:
        """Write what is intact of a damaged file to a new file, which is a database.

        Only commits of which every checksum and every version's id hold are taken, in their order;
        a damaged one is left out whole. So a key may have an earlier value than it had, lack
        versions in the middle of its history, or have what an erasure took whose record is lost:
        look at the report. The damaged file is only read.

        Args:
            source: The damaged file. Nobody should be writing to it.
            target: A path where nothing is.
            max_memory_mb: Cap of the memory that it takes, as in :class:`Config`.

        Raises:
            CorruptionError: If the file's header, its first 64 bytes, is damaged.
            UnsupportedFormatError: If it is no koru-delta database, or of a later format.
            StorageError: If one cannot be read or the other written, or exists.
            LimitExceededError: If it does not fit the memory.

        Example:
            >>> report = await Database.salvage("damaged.koru", "salvaged.koru")
            >>> report.bytes_lost
            0
        """
        from koru_delta._upkeep.salvage import salvage  # Here: few need it.

        if not HAS_THREADS:
            raise StorageError(
                "salvage reads and writes files, and under Pyodide a path is no file",
                suggestion="salvage a copy of the file on a computer",
            )
        session = cls()._session
        return await session.in_thread(salvage, source, target, max_memory_mb)

    async def close(self) -> None:
        """Write what is left, free the memory and unlock the file. Closing twice is fine.

        Raises:
            StorageError: If what ``enable_wal=False`` had gathered could not be written.
        """
        memories = sys.modules.get("koru_delta._memory.accesses")
        if memories is not None and self._session.is_open:
            await memories.close_accesses(self)
        try:
            await self._session.log.settle()
        finally:
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
