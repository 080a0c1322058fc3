"""A database's operations bound to one namespace."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from koru_delta._arguments import MISSING, UNSET, Missing, VersionLike, bind_batch

if TYPE_CHECKING:
    from koru_delta._operations.watching import Watch
    from koru_delta._query_arguments import Fields, OrderBy
    from koru_delta._times import Time
    from koru_delta.database import Database
    from koru_delta.results import Match, Record, Version

__all__ = ["Namespace"]


class Namespace:
    """One namespace of a database; see :class:`Database` for what each method guarantees.

    Example:
        >>> users = db.namespace("users")
        >>> version = await users.put("carol", {"age": 25})
        >>> await users.get("carol")
        {'age': 25}
    """

    def __init__(self, database: Database, name: str) -> None:
        """Bind ``name``; nothing is checked or read yet."""
        self._database = database
        self.name = name

    def __repr__(self) -> str:
        """The name and the database."""
        return f"<Namespace {self.name!r} of {self._database!r}>"

    async def put(
        self,
        key: str,
        value: Any,
        *,
        embedding: Any = None,
        model: str = "",
        caused_by: VersionLike | Iterable[VersionLike] = (),
        expected_version: VersionLike | Missing | None = UNSET,
    ) -> Version:
        """Write a new version of a key."""
        return await self._database.put(
            self.name,
            key,
            value,
            embedding=embedding,
            model=model,
            caused_by=caused_by,
            expected_version=expected_version,
        )

    async def embed(
        self, key: str, embedding: Any, metadata: Any = None, *, model: str = ""
    ) -> Version:
        """Write a new version of a key with a vector."""
        return await self._database.embed(self.name, key, embedding, metadata, model=model)

    async def embed_batch(
        self,
        keys: Iterable[str],
        embeddings: Any,
        metadata: Iterable[Any] | None = None,
        *,
        model: str = "",
        progress: bool | Callable[[int, int], object] = False,
    ) -> int:
        """Write many versions with vectors."""
        return await self._database.embed_batch(
            self.name, keys, embeddings, metadata, model=model, progress=progress
        )

    async def vector(self, key: str, *, at: Time | None = None) -> Any:
        """The vector of a key."""
        return await self._database.vector(self.name, key, at=at)

    async def similar_batch(
        self,
        queries: Any,
        top_k: int = 10,
        *,
        threshold: float | None = None,
        where: Mapping[str, Any] | None = None,
        model: str | None = None,
        at: Time | None = None,
        exact: bool = False,
    ) -> list[list[Match]]:
        """The nearest versions for several queries, in one call."""
        return await self._database.similar_batch(
            self.name,
            queries,
            top_k,
            threshold=threshold,
            where=where,
            model=model,
            at=at,
            exact=exact,
        )

    async def similar(
        self,
        query: Any,
        top_k: int = 10,
        *,
        threshold: float | None = None,
        where: Mapping[str, Any] | None = None,
        model: str | None = None,
        at: Time | None = None,
        exact: bool = False,
    ) -> list[Match]:
        """The versions whose vectors are nearest to a query, best first."""
        return await self._database.similar(
            self.name,
            query,
            top_k,
            threshold=threshold,
            where=where,
            model=model,
            at=at,
            exact=exact,
        )

    async def put_batch(self, items: Iterable[tuple[str, Any]]) -> int:
        """Write several pairs of key and value at one time, all or none."""
        return await self._database.put_batch(bind_batch(self.name, items))

    async def get(self, key: str, default: Any = MISSING, *, at: Time | None = None) -> Any:
        """The value of a key, now or as of a time."""
        return await self._database.get(self.name, key, default, at=at)

    async def get_many(self, keys: Iterable[str], *, at: Time | None = None) -> dict[str, Any]:
        """The values of several keys; those without one are left out."""
        return await self._database.get_many(self.name, keys, at=at)

    async def get_at(self, key: str, timestamp: Time) -> Any:
        """The value of a key as of a time."""
        return await self._database.get_at(self.name, key, timestamp)

    async def all(self, *, at: Time | None = None) -> dict[str, Any]:
        """Every key that has a value, with it, sorted by the keys' UTF-8 bytes."""
        return await self._database._values(self.name, b"", at, long=True)

    async def contains(self, key: str, *, at: Time | None = None) -> bool:
        """Whether a key has a value, now or as of a time."""
        return await self._database.contains(self.name, key, at=at)

    async def list_keys(
        self,
        *,
        prefix: str = "",
        start_after: str | None = None,
        limit: int | None = None,
        at: Time | None = None,
    ) -> list[str]:
        """Keys that have a value, sorted by their UTF-8 bytes."""
        return await self._database.list_keys(
            self.name, prefix=prefix, start_after=start_after, limit=limit, at=at
        )

    async def history(
        self, key: str, *, limit: int | None = None, before: Time | None = None
    ) -> list[Version]:
        """The versions of a key, oldest first, deletions included."""
        return await self._database.history(self.name, key, limit=limit, before=before)

    async def diff(
        self, key: str, v1: VersionLike | None = None, v2: VersionLike | None = None
    ) -> list[dict[str, Any]]:
        """What changed between two versions of a key, as a JSON Patch."""
        return await self._database.diff(self.name, key, v1, v2)

    async def restore(self, key: str, version_id: VersionLike) -> Version:
        """Write an old value of a key as a new version."""
        return await self._database.restore(self.name, key, version_id)

    async def delete(self, key: str) -> bool:
        """Delete a key by writing a deleted version."""
        return await self._database.delete(self.name, key)

    async def erase(self, key: str) -> int:
        """Remove every version of a key."""
        return await self._database.erase(self.name, key)

    async def query(
        self,
        where: Mapping[str, Any] | None = None,
        *,
        order_by: OrderBy | None = None,
        limit: int | None = None,
        offset: int = 0,
        select: Iterable[str] | None = None,
        at: Time | None = None,
    ) -> list[Record]:
        """The values that match a filter."""
        return await self._database.query(
            self.name, where, order_by=order_by, limit=limit, offset=offset, select=select, at=at
        )

    async def count(self, where: Mapping[str, Any] | None = None, *, at: Time | None = None) -> int:
        """How many values match a filter."""
        return await self._database.count(self.name, where, at=at)

    async def aggregate(
        self,
        aggregates: Mapping[str, Any],
        *,
        group_by: str | Iterable[str] | None = None,
        where: Mapping[str, Any] | None = None,
        order_by: OrderBy | None = None,
        at: Time | None = None,
    ) -> list[dict[str, Any]]:
        """Sums, averages and the like over the values that match a filter."""
        return await self._database.aggregate(
            self.name, aggregates, group_by=group_by, where=where, order_by=order_by, at=at
        )

    async def create_index(self, field: str) -> bool:
        """Keep an index of a field; False if there was one."""
        return await self._database.create_index(self.name, field)

    async def drop_index(self, field: str) -> bool:
        """Drop the index of a field; False if there was none."""
        return await self._database.drop_index(self.name, field)

    async def search(
        self,
        text: str,
        top_k: int = 10,
        *,
        fields: Fields | None = None,
        where: Mapping[str, Any] | None = None,
        at: Time | None = None,
    ) -> list[Match]:
        """The values whose text fits best."""
        return await self._database.search(
            self.name, text, top_k, fields=fields, where=where, at=at
        )

    async def hybrid(
        self,
        text: str,
        query: Any,
        top_k: int = 10,
        *,
        weight: float = 0.5,
        fields: Fields | None = None,
        where: Mapping[str, Any] | None = None,
        model: str | None = None,
        at: Time | None = None,
    ) -> list[Match]:
        """The values that fit a text and a vector best."""
        return await self._database.hybrid(
            self.name, text, query, top_k,
            weight=weight, fields=fields, where=where, model=model, at=at,
        )  # fmt: skip

    def watch(
        self,
        key: str | None = None,
        *,
        where: Mapping[str, Any] | None = None,
        since: Time | None = None,
    ) -> Watch:
        """Every committed change from now on."""
        return self._database.watch(self.name, key, where=where, since=since)
