"""The blocking database: the same methods, without ``await``."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Coroutine, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Concatenate, ParamSpec, Self, TypeVar

from koru_delta._operations.watching import SyncWatch
from koru_delta._workers import HAS_THREADS
from koru_delta.config import Config
from koru_delta.database import Database
from koru_delta.errors import KoruDeltaError
from koru_delta.namespace import Namespace

if TYPE_CHECKING:
    from koru_delta._memory.blocking import SyncAgentMemory, SyncOpenAgent
    from koru_delta._results.reports import SalvageReport
    from koru_delta._times import Time

__all__ = ["SyncDatabase"]

_P = ParamSpec("_P")
_T = TypeVar("_T")


def _run(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """The result of a coroutine of a database that may block: it never waits for anything.

    Under Pyodide it does wait, and the stack is switched while it does.
    """
    if not HAS_THREADS:
        return _run_by_switching(coroutine)
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: _T = stop.value
        return result
    coroutine.close()
    raise AssertionError("a blocking database waited for the event loop")


def _run_by_switching(coroutine: Coroutine[Any, Any, _T]) -> _T:
    from koru_delta._javascript import ffi

    if ffi.can_run_sync():
        result: _T = ffi.run_sync(coroutine)
        return result
    coroutine.close()
    raise KoruDeltaError(
        "SyncDatabase has to wait, and Pyodide cannot without stack switching: it is missing here",
        suggestion="use the asynchronous Database; or a runtime with JavaScript Promise "
        "Integration, entered by runPythonAsync or an async function",
    )


def _blocking(
    method: Callable[Concatenate[Database, _P], Coroutine[Any, Any, _T]],
) -> Callable[Concatenate[SyncDatabase, _P], _T]:
    @functools.wraps(method)
    def call(self: SyncDatabase, /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        return _run(method(self._database, *args, **kwargs))

    return call


def _blocking_namespace(
    method: Callable[Concatenate[Namespace, _P], Coroutine[Any, Any, _T]],
) -> Callable[Concatenate[SyncNamespace, _P], _T]:
    @functools.wraps(method)
    def call(self: SyncNamespace, /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        return _run(method(self._namespace, *args, **kwargs))

    return call


class SyncDatabase:
    """A :class:`Database` whose methods block. Threads may share one.

    It needs no event loop, and works where one is running. Under Pyodide it needs a runtime with
    stack switching (JavaScript Promise Integration), and says so where that is missing.

    Example:
        >>> with SyncDatabase() as db:
        ...     version = db.put("users", "alice", {"age": 30})
        ...     db.get("users", "alice")
        {'age': 30}
    """

    def __init__(self, config: Config | str | os.PathLike[str] | None = None) -> None:
        """Prepare; nothing is opened until ``with`` or :meth:`create`."""
        self._database = Database(config)
        self._database._session.blocking = HAS_THREADS

    @classmethod
    def create(cls, config: Config | str | os.PathLike[str] | None = None) -> Self:
        """Open a database without ``with``; close it with :meth:`close`."""
        database = cls(config)
        _run(database._database._open())
        return database

    @classmethod
    def import_from(
        cls,
        source: str | os.PathLike[str] | BinaryIO,
        config: Config | str | os.PathLike[str] | None = None,
    ) -> Self:
        """As :meth:`Database.import_from`."""
        database = cls(config)
        _run(database._database._import(source))
        return database

    @classmethod
    def salvage(
        cls,
        source: str | os.PathLike[str],
        target: str | os.PathLike[str],
        *,
        max_memory_mb: int = 0,
    ) -> SalvageReport:
        """As :meth:`Database.salvage`."""
        from koru_delta._upkeep.salvage import salvage  # Here: few need it.

        return salvage(source, target, max_memory_mb)

    def __enter__(self) -> Self:
        """Open, unless :meth:`create` or :meth:`import_from` has."""
        if not self._database._session.is_open:
            _run(self._database._open())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    def __repr__(self) -> str:
        """Where it is, and whether it is open."""
        return repr(self._database).replace("<Database", f"<{type(self).__name__}", 1)

    def __getitem__(self, path: str) -> Any:
        """``db["users/alice"]`` is ``db.get("users", "alice")``."""
        pending = self._database[path]
        return self.get(pending.namespace, pending.key)

    def agent_memory(
        self, agent_id: str, embedder: object = None, **settings: Any
    ) -> SyncAgentMemory:
        """As :meth:`Database.agent_memory`."""
        from koru_delta._memory.blocking import SyncAgentMemory

        memory = self._database.agent_memory(agent_id, embedder, **settings)
        return SyncAgentMemory(self, memory, _run)

    @classmethod
    def for_agent(
        cls,
        agent_id: str,
        config: Config | str | os.PathLike[str] | None = None,
        embedder: object = None,
        **settings: Any,
    ) -> SyncOpenAgent:
        """As :meth:`Database.for_agent`."""
        from koru_delta._memory.blocking import SyncOpenAgent

        database = cls(config)
        return SyncOpenAgent(database, database.agent_memory(agent_id, embedder, **settings))

    def namespace(self, name: str) -> SyncNamespace:
        """The same operations bound to one namespace."""
        return SyncNamespace(self._database.namespace(name))

    @property
    def head(self) -> str:
        """Hash of the latest commit: 64 hexadecimal digits."""
        return self._database.head

    def watch(
        self,
        namespace: str | None = None,
        key: str | None = None,
        *,
        where: Mapping[str, Any] | None = None,
        since: Time | None = None,
        timeout: float | None = None,
    ) -> SyncWatch:
        """As :meth:`Database.watch`; ends after ``timeout`` seconds without a change."""
        watch = self._database.watch(namespace, key, where=where, since=since)
        return SyncWatch(watch, _run, timeout)

    close = _blocking(Database.close)
    put = _blocking(Database.put)
    put_batch = _blocking(Database.put_batch)
    delete = _blocking(Database.delete)
    restore = _blocking(Database.restore)
    erase = _blocking(Database.erase)
    get = _blocking(Database.get)
    get_at = _blocking(Database.get_at)
    get_many = _blocking(Database.get_many)
    contains = _blocking(Database.contains)
    list_keys = _blocking(Database.list_keys)
    list_namespaces = _blocking(Database.list_namespaces)
    history = _blocking(Database.history)
    version = _blocking(Database.version)
    diff = _blocking(Database.diff)
    lineage = _blocking(Database.lineage)
    effects = _blocking(Database.effects)
    embed = _blocking(Database.embed)
    embed_batch = _blocking(Database.embed_batch)
    similar = _blocking(Database.similar)
    similar_batch = _blocking(Database.similar_batch)
    vector = _blocking(Database.vector)
    query = _blocking(Database.query)
    count = _blocking(Database.count)
    aggregate = _blocking(Database.aggregate)
    explain = _blocking(Database.explain)
    create_index = _blocking(Database.create_index)
    drop_index = _blocking(Database.drop_index)
    list_indexes = _blocking(Database.list_indexes)
    create_view = _blocking(Database.create_view)
    view = _blocking(Database.view)
    drop_view = _blocking(Database.drop_view)
    list_views = _blocking(Database.list_views)
    search = _blocking(Database.search)
    hybrid = _blocking(Database.hybrid)
    stats = _blocking(Database.stats)
    health = _blocking(Database.health)
    verify = _blocking(Database.verify)
    compact = _blocking(Database.compact)
    export_to = _blocking(Database.export_to)
    persist = _blocking(Database.persist)


class SyncNamespace:
    """A :class:`Namespace` whose methods block."""

    def __init__(self, namespace: Namespace) -> None:
        """Bind the namespace of a blocking database."""
        self._namespace = namespace
        self.name = namespace.name

    put = _blocking_namespace(Namespace.put)
    put_batch = _blocking_namespace(Namespace.put_batch)
    get = _blocking_namespace(Namespace.get)
    get_many = _blocking_namespace(Namespace.get_many)
    get_at = _blocking_namespace(Namespace.get_at)
    all = _blocking_namespace(Namespace.all)
    contains = _blocking_namespace(Namespace.contains)
    list_keys = _blocking_namespace(Namespace.list_keys)
    history = _blocking_namespace(Namespace.history)
    diff = _blocking_namespace(Namespace.diff)
    embed = _blocking_namespace(Namespace.embed)
    embed_batch = _blocking_namespace(Namespace.embed_batch)
    similar = _blocking_namespace(Namespace.similar)
    similar_batch = _blocking_namespace(Namespace.similar_batch)
    vector = _blocking_namespace(Namespace.vector)
    restore = _blocking_namespace(Namespace.restore)
    delete = _blocking_namespace(Namespace.delete)
    erase = _blocking_namespace(Namespace.erase)
    query = _blocking_namespace(Namespace.query)
    count = _blocking_namespace(Namespace.count)
    aggregate = _blocking_namespace(Namespace.aggregate)
    create_index = _blocking_namespace(Namespace.create_index)
    drop_index = _blocking_namespace(Namespace.drop_index)
    search = _blocking_namespace(Namespace.search)
    hybrid = _blocking_namespace(Namespace.hybrid)

    def watch(
        self,
        key: str | None = None,
        *,
        where: Mapping[str, Any] | None = None,
        since: Time | None = None,
        timeout: float | None = None,
    ) -> SyncWatch:
        """As :meth:`SyncDatabase.watch`, of this namespace."""
        watch = self._namespace.watch(key, where=where, since=since)
        return SyncWatch(watch, _run, timeout)
