"""An agent's namespace: writing memories and reading them by id."""

from __future__ import annotations

import json
from collections.abc import Coroutine, Iterable
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

from koru_delta import _json
from koru_delta import _protocol as op
from koru_delta._arguments import MISSING, VersionLike, check_batch, check_text
from koru_delta._memory.accesses import accesses_of
from koru_delta._memory.arguments import agent_namespaces
from koru_delta._protocol import REPLY_TRUE
from koru_delta._results.memories import Memory, check_memory, memory
from koru_delta._results.versions import Version, versions_from_payload
from koru_delta._times import to_microseconds
from koru_delta.errors import KeyNotFoundError, ValidationError

if TYPE_CHECKING:
    from koru_delta._embedders import Embedder
    from koru_delta._times import Time
    from koru_delta.database import Database

_T = TypeVar("_T")
Cause: TypeAlias = Version | Memory | str
"""A version or its id, or a memory or its id, which stands for its present version."""


class Store:
    """The memories of one agent in a database."""

    def __init__(self, db: Database, agent_id: str, embedder: object) -> None:
        """Bind the agent; nothing is read."""
        self.db = db
        self.agent_id = agent_id
        self.namespace, accesses = agent_namespaces(agent_id)
        self.accesses = accesses_of(db, accesses)
        self.embedder: Embedder | None = None
        if embedder is not None:
            # Here: it imports asyncio, which takes longer than everything else of ours.
            from koru_delta._embedders import embedder_for

            self.embedder = embedder_for(embedder, blocking=db._session.blocking)

    async def write(
        self, memory_id: str, value: dict[str, Any], caused_by: Cause | Iterable[Cause]
    ) -> str:
        """Write a memory in one commit, with its vector if there is an embedder."""
        causes: list[str] | tuple[()] = () if caused_by == () else await self.causes(caused_by)
        embedder = self.embedder
        if embedder is None:
            await self.db.put(self.namespace, memory_id, value, caused_by=causes)
            return memory_id
        data = _json.encode(value)  # What cannot be stored is not worth a vector.
        vector = await embedder.document(value["content"])
        await self.db._put_vector(self.namespace, memory_id, data, vector, embedder.model, causes)
        return memory_id

    async def write_many(self, memories: dict[str, dict[str, Any]]) -> None:
        """Write several memories in one commit."""
        puts = check_batch((self.namespace, one, value) for one, value in memories.items())
        if self.embedder is None or not puts:
            await self.db.put_batch(puts)
            return
        await self.db._session.in_thread(_check_values, memories)
        texts = [value["content"] for value in memories.values()]
        vectors = await self.embedder.documents(texts)
        await self.db._write_together(
            puts, vectors=vectors, vector_namespace=self.namespace, model=self.embedder.model
        )

    async def causes(self, caused_by: Any) -> list[str]:
        """Ids of the versions that causes stand for."""
        if isinstance(caused_by, Version | Memory | str):
            return [await self._cause(caused_by)]
        if not hasattr(caused_by, "__iter__"):
            raise ValidationError(
                f"caused_by is of type {type(caused_by).__name__}",
                suggestion="give ids of memories, or versions",
            )
        return [await self._cause(cause) for cause in caused_by]

    async def _cause(self, cause: Cause) -> str:
        if isinstance(cause, Version | Memory):
            return cause.version_id
        if not isinstance(cause, str) or "/" not in cause:  # No version's id has a slash.
            return cause
        version = await self.last_version(cause)
        if version is None:
            raise ValidationError(
                f"caused_by names a memory that never was: {cause!r:.100}",
                suggestion="give what remember or learn returned, or a version",
            )
        return version.version_id

    async def last_version(self, memory_id: str) -> Version | None:
        """The newest version of a memory that is no deletion; None if it never was."""
        versions = await self.db.history(self.namespace, memory_id, limit=2)
        return next((one for one in reversed(versions) if not one.deleted), None)

    async def history(self, memory_id: str) -> list[Version]:
        """The versions of a memory, oldest first, deletions included."""
        return await self.db.history(self.namespace, check_text("the memory's id", memory_id))

    async def versions(self, ids: list[str]) -> list[Version]:
        """The present versions of some memories; those that are not there are left out."""
        if not ids:
            return []
        payload = json.dumps(ids).encode()
        reply = await self.db._session.read(op.GET_MANY, self.namespace, payload=payload)
        versions = versions_from_payload(reply[2])
        for version in versions:
            check_memory(version.key, version.value)
        return versions

    async def present(self, memory_id: str) -> Version:
        """The present version of a memory."""
        versions = await self.db.history(self.namespace, memory_id, limit=1)
        if not versions or versions[0].deleted:
            raise self._unknown(memory_id)
        check_memory(memory_id, versions[0].value)
        return versions[0]

    async def get(self, memory_id: str, default: Any, at: Time | None) -> Any:
        """A memory, now or as of a time."""
        versions = await self.history(memory_id)
        if at is not None:
            moment = to_microseconds(at)
            versions = [one for one in versions if one.timestamp_us <= moment]
        if not versions or versions[-1].deleted:
            if default is MISSING:
                raise self._unknown(memory_id)
            return default
        version = versions[-1]
        check_memory(memory_id, version.value)
        access = await self.accesses.of(self.db, memory_id, at)
        return memory(version, versions[0].timestamp_us, access)

    def _unknown(self, memory_id: str) -> KeyNotFoundError:
        return KeyNotFoundError(
            f"agent {self.agent_id!r} has no memory {memory_id!r:.100}",
            suggestion="see its history: it may have been forgotten",
            namespace=self.namespace,
            key=memory_id,
        )

    async def together(self, work: list[Coroutine[Any, Any, _T]]) -> list[_T]:
        """The results of coroutines that write, which share commits of the log.

        All of them have ended when this returns or raises.
        """
        if self.db._session.blocking:
            return [await one for one in work]
        import asyncio  # Here: it takes longer to import than everything else of ours.

        results = await asyncio.gather(*work, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return cast("list[_T]", results)

    async def vector(self, memory_id: str) -> memoryview[float] | None:
        """The vector of a memory's present version, as bytes of float32; None without one."""
        reply = await self.db._session.read(op.VECTOR, self.namespace, memory_id)
        return memoryview(reply[2]).cast("f") if reply[1] & REPLY_TRUE else None

    async def rewrite(
        self,
        before: Version,
        value: dict[str, Any],
        caused_by: Iterable[VersionLike],
        vector: Any = None,
        model: str = "",
        *,
        keep: bool = True,
    ) -> Version:
        """Write a changed memory, with a vector, or with the one that it had.

        Raises:
            ConflictError: If ``before`` is not its present version.
        """
        if vector is None and keep:
            vector, model = await self.vector(before.key), before.model
        return await self.db.put(
            self.namespace, before.key, value,
            embedding=vector, model=model, caused_by=caused_by, expected_version=before,
        )  # fmt: skip


def _check_values(memories: dict[str, dict[str, Any]]) -> None:
    """Refuse what cannot be stored, before anybody makes vectors of it."""
    for value in memories.values():
        _json.encode(value)
