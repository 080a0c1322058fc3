"""The asynchronous database: the whole public face of the engine."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Generator, Iterable, Mapping
from time import perf_counter, time_ns
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from koru_delta import _json
from koru_delta import _protocol as op
from koru_delta._arguments import (
    MISSING,
    UNSET,
    Item,
    Missing,
    VersionLike,
    check_batch,
    check_keys,
    check_limit,
    check_text,
    encode_batch,
    encode_embed_items,
    print_progress,
    put_control,
    similar_control,
    version_id_bytes,
    with_progress,
)
from koru_delta._protocol import FLAG_KEEP, FLAG_QUIET, NOW, REPLY_BYTES, REPLY_TRUE
from koru_delta._replies import raise_error
from koru_delta._session import Session
from koru_delta._times import to_microseconds
from koru_delta._vectors import Matrix, to_array, vector_bytes
from koru_delta.config import Config
from koru_delta.errors import KeyNotFoundError, ValidationError
from koru_delta.namespace import Namespace
from koru_delta.results import (
    Health,
    Match,
    Stats,
    VerifyReport,
    Version,
    matches_from_payload,
    record_pairs,
    vector_stats,
    version_from_record,
    versions_from_payload,
)

if TYPE_CHECKING:
    from koru_delta._times import Time

__all__ = ["Database"]


_LONG_BYTES: Final = 256 * 1024
"""A request with more bytes than this goes to a worker thread."""
_LONG_ITEMS: Final = 1000
_LONG_SEARCH_SECONDS: Final = 0.004
"""Searches that are expected to take longer go to a worker thread."""
_MAX_QUERIES: Final = 10_000


class Database:
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
        self._config = config if isinstance(config, Config) else Config(path=config)
        self._session = Session(self._config)
        self._search_seconds = 0.0

    # Opening and closing.

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

    # Writing.

    async def put(
        self,
        namespace: str,
        key: str,
        value: Any,
        *,
        embedding: Any = None,
        model: str = "",
        caused_by: VersionLike | Iterable[VersionLike] = (),
        expected_version: VersionLike | Missing | None = UNSET,
    ) -> Version:
        """Write a new version of a key. Durable when it returns (see ``Config.sync_on_write``).

        Args:
            namespace: 1 to 1024 bytes of UTF-8 without NUL; never a path.
            key: The same.
            value: JSON (dict with str keys, list, str, int of 64 bits, finite float, bool, None)
                or ``bytes``, up to 8 MiB encoded.
            embedding: A vector that finds this version in :meth:`similar`; see :meth:`embed`.
            model: Name of the model that made it.
            caused_by: Versions, or their ids, that this one is derived from.
            expected_version: Write only if the key's latest version is this one; None for a key
                that holds no value.

        Returns:
            The version that was written.

        Raises:
            ValidationError: For a bad name, or a cause that does not exist.
            SerializationError: For a value that would be changed by storing it, with its place.
            LimitExceededError: For a value over 8 MiB, or when memory or disk are full.
            ConflictError: If the key is not at ``expected_version``; it has the current id.
            StorageError: If the log could not be written.

        Example:
            >>> first = await db.put("users", "alice", {"age": 30})
            >>> second = await db.put("users", "alice", {"age": 31}, expected_version=first)
            >>> second.previous == first.version_id
            True
        """
        flags, data = _json.encode(value)
        if embedding is not None:
            return await self._put_vector(
                namespace, key, (flags, data), embedding, model, caused_by, expected_version
            )
        control = b""
        if expected_version is not UNSET or caused_by != ():
            control = json.dumps(put_control(caused_by, expected_version)).encode()
        # The shortest way in: what Session.write does, without what a put does not need.
        session = self._session
        request = session.request(namespace, key, NOW, control, data, flags, time_ns() // 1000)
        done = session.try_append(op.PUT, request) if len(data) <= _LONG_BYTES else None
        if done is None:
            done = await session.in_thread(session.append, op.PUT, request)
        reply, group = done
        if reply[0]:
            raise_error(reply, namespace, key)
        if group is not None:
            if session.blocking:
                group.wait()
            else:
                await group
        return version_from_record(reply[2])

    async def _put_vector(
        self,
        namespace: str,
        key: str,
        value: tuple[int, bytes],
        embedding: Any,
        model: str,
        caused_by: VersionLike | Iterable[VersionLike] = (),
        expected_version: VersionLike | Missing | None = UNSET,
    ) -> Version:
        flags, data = value
        control = put_control(caused_by, expected_version)
        control["model"] = check_text("model", model)
        vector = vector_bytes(embedding)
        reply = await self._session.write(
            op.PUT, namespace, key, control=control, payload=data, flags=flags, vector=vector,
            long=len(data) > _LONG_BYTES,
        )  # fmt: skip
        if self._config.vector_index == "hnsw":
            self._session.maintain_in_background()
        return version_from_record(reply[2])

    async def put_batch(self, items: Iterable[Item]) -> int:
        """Write several versions at one time, all or none.

        Args:
            items: Up to 100,000 tuples of namespace, key and value, and 64 MiB of them. A key may
                come more than once: each gives a version, and the last is the value.

        Returns:
            How many versions were written.

        Raises:
            ValidationError: For an item that is not such a tuple, or a bad name; the message
                names the item.
            SerializationError: For a value that would be changed by storing it.
            LimitExceededError: For a batch, or a value, over its limit.
            StorageError: If the log could not be written.

        Example:
            >>> await db.put_batch([("users", "bob", {"age": 40}), ("users", "eve", {"age": 50})])
            2
        """
        batch = check_batch(items)
        session = self._session
        payload = bytearray()
        long = len(batch) > _LONG_ITEMS
        start = 0 if long else encode_batch(batch, 0, payload, stop=_LONG_BYTES)
        if start < len(batch):
            await session.in_thread(encode_batch, batch, start, payload)
        long = len(payload) > _LONG_BYTES
        await session.write(op.PUT_BATCH, payload=bytes(payload), long=long)
        return len(batch)

    async def delete(self, namespace: str, key: str) -> bool:
        """Delete a key by writing a deleted version; its history stays.

        Returns:
            Whether there was a value; without one nothing is written.

        Raises:
            ValidationError: For a bad name.
            StorageError: If the log could not be written.
        """
        reply = await self._session.write(op.DELETE, namespace, key)
        return bool(reply[1] & REPLY_TRUE)

    async def restore(self, namespace: str, key: str, version_id: VersionLike) -> Version:
        """Write an old value of a key, and its vector, as a new version caused by the old one.

        Returns:
            The version that was written.

        Raises:
            KeyNotFoundError: For an unknown version.
            ValidationError: For a version of another key, or a deletion.
            StorageError: If the log could not be written.
        """
        payload = version_id_bytes(version_id)
        reply = await self._session.write(op.RESTORE, namespace, key, payload=payload)
        return version_from_record(reply[2])

    async def erase(self, namespace: str, key: str) -> int:
        """Remove every version of a key. They cannot be read again from now on.

        Their bytes stay in the file until it is compacted.

        Returns:
            How many versions there were.

        Raises:
            ValidationError: For a bad name.
            StorageError: If the log could not be written.
        """
        reply = await self._session.write(op.ERASE, namespace, key)
        count: int = json.loads(reply[2])
        return count

    # Reading.

    async def get(
        self, namespace: str, key: str, default: Any = MISSING, *, at: Time | None = None
    ) -> Any:
        """The value of a key, now or as of a time.

        Args:
            namespace: Namespace of the key.
            key: The key.
            default: What to return for a key without a value, instead of raising.
            at: A datetime (naive means UTC), ISO 8601 string, POSIX seconds or Version. What was
                written at that very time is seen.

        Raises:
            KeyNotFoundError: If the key has no value (then); it names near keys.
            ValidationError: For a bad name or time.

        Example:
            >>> await db.get("users", "zoe", default=None) is None
            True
        """
        # The shortest way in: what Session.read does, without what a get does not need.
        session = self._session
        moment = session.log.acknowledged
        hot = session.hot
        if at is None and hot.moment == moment:
            data = hot.find(namespace, key)
            if data is not None:
                return _json.loads(data)
        time = NOW if at is None else to_microseconds(at)
        flags = 0 if default is MISSING else FLAG_QUIET
        request = session.request(namespace, key, time, b"", b"", flags)
        reply = session.try_call(op.GET, request)
        if reply is None:
            reply = await session.in_thread(session.call, op.GET, request)
        status, found, data, _, _ = reply
        if status:
            raise_error(reply, namespace, key)
        if not found & REPLY_TRUE:
            return default
        if found & REPLY_BYTES:
            return data
        if at is None:
            hot.keep(namespace, key, moment, data)
        return _json.loads(data)

    async def get_at(self, namespace: str, key: str, timestamp: Time) -> Any:
        """The value of a key as of a time: ``get(namespace, key, at=timestamp)``."""
        return await self.get(namespace, key, at=timestamp)

    async def get_many(
        self, namespace: str, keys: Iterable[str], *, at: Time | None = None
    ) -> dict[str, Any]:
        """The values of several keys; those without one are left out.

        Raises:
            ValidationError: For a bad name or time.
        """
        wanted = check_keys(keys)
        if not wanted:
            return {}
        payload = json.dumps(wanted).encode()
        return await self._values(namespace, payload, at, long=len(wanted) > _LONG_ITEMS)

    async def _values(
        self, namespace: str, payload: bytes, at: Time | None, *, long: bool
    ) -> dict[str, Any]:
        reply = await self._session.read(
            op.GET_MANY, namespace, at=to_microseconds(at), payload=payload, long=long
        )
        return dict(record_pairs(reply[2]))

    async def contains(self, namespace: str, key: str, *, at: Time | None = None) -> bool:
        """Whether a key has a value, now or as of a time.

        Raises:
            ValidationError: For a bad name or time.
        """
        reply = await self._session.read(op.CONTAINS, namespace, key, at=to_microseconds(at))
        return bool(reply[1] & REPLY_TRUE)

    async def list_keys(
        self,
        namespace: str,
        *,
        prefix: str = "",
        start_after: str | None = None,
        limit: int | None = None,
        at: Time | None = None,
    ) -> list[str]:
        """Keys that have a value, sorted by their UTF-8 bytes.

        Args:
            namespace: Namespace to list.
            prefix: Only keys that begin with this.
            start_after: Only keys after this one: the last of the page before.
            limit: At most so many; None for all.
            at: As of this time.

        Raises:
            ValidationError: For a bad name, limit or time.
        """
        control = {
            "prefix": check_text("prefix", prefix),
            "start_after": None if start_after is None else check_text("start_after", start_after),
            "limit": check_limit(limit),
        }
        reply = await self._session.read(
            op.LIST_KEYS, namespace, at=to_microseconds(at), control=control, long=limit is None
        )
        keys: list[str] = json.loads(reply[2])
        return keys

    async def list_namespaces(self) -> list[str]:
        """Namespaces in which a key has a value, sorted by their UTF-8 bytes."""
        reply = await self._session.read(op.LIST_NAMESPACES)
        names: list[str] = json.loads(reply[2])
        return names

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

    # History.

    async def history(self, namespace: str, key: str, *, limit: int | None = None) -> list[Version]:
        """The versions of a key, oldest first, deletions included.

        Args:
            namespace: Namespace of the key.
            key: The key; one that never was has no versions.
            limit: Only the newest so many; None for all.

        Raises:
            ValidationError: For a bad name or limit.
        """
        control = {"limit": check_limit(limit)}
        reply = await self._session.read(op.HISTORY, namespace, key, control=control)
        return versions_from_payload(reply[2])

    async def version(self, version_id: VersionLike) -> Version:
        """The version with an id.

        Raises:
            KeyNotFoundError: For an unknown version.
            ValidationError: For something that is not an id.
        """
        payload = version_id_bytes(version_id)
        reply = await self._session.read(op.VERSION, key=payload.decode(), payload=payload)
        return version_from_record(reply[2])

    async def diff(
        self,
        namespace: str,
        key: str,
        v1: VersionLike | None = None,
        v2: VersionLike | None = None,
    ) -> list[dict[str, Any]]:
        """What changed between two versions of a key, as a JSON Patch (RFC 6902).

        Args:
            namespace: Namespace of the key.
            key: The key.
            v1: Version to start from; None for the one before ``v2``.
            v2: Version to arrive at; None for the latest.

        Returns:
            Operations that turn the value of ``v1`` into that of ``v2``. What was before the first
            version, and a deletion, count as no document: the root is added or removed.

        Raises:
            KeyNotFoundError: For a key without versions, or an unknown version.
            ValidationError: For a version of another key, or one that holds bytes.

        Example:
            >>> await db.diff("users", "alice")
            [{'op': 'replace', 'path': '/age', 'value': 31}]
        """
        control = {
            "from": None if v1 is None else version_id_bytes(v1).decode(),
            "to": None if v2 is None else version_id_bytes(v2).decode(),
        }
        reply = await self._session.read(op.DIFF, namespace, key, control=control)
        patch: list[dict[str, Any]] = _json.loads(reply[2])
        return patch

    async def lineage(self, version_id: VersionLike, *, depth: int | None = None) -> list[Version]:
        """The versions that led to one, along ``caused_by``, nearest first, each once.

        Args:
            version_id: A version or its id.
            depth: At most so many steps; None for all.

        Raises:
            KeyNotFoundError: For an unknown version.
            ValidationError: For something that is not an id, or a bad depth.
        """
        return await self._walk(op.LINEAGE, version_id, depth)

    async def effects(self, version_id: VersionLike, *, depth: int | None = None) -> list[Version]:
        """The versions that one led to, along ``caused_by``, nearest first, each once.

        Args:
            version_id: A version or its id.
            depth: At most so many steps; None for all.

        Raises:
            KeyNotFoundError: For an unknown version.
            ValidationError: For something that is not an id, or a bad depth.
        """
        return await self._walk(op.EFFECTS, version_id, depth)

    async def _walk(self, opcode: int, start: VersionLike, depth: int | None) -> list[Version]:
        payload = version_id_bytes(start)
        control = {"limit": check_limit(depth, "depth")}
        reply = await self._session.read(
            opcode, key=payload.decode(), payload=payload, control=control
        )
        return versions_from_payload(reply[2])

    # Vectors.

    async def embed(
        self, namespace: str, key: str, embedding: Any, metadata: Any = None, *, model: str = ""
    ) -> Version:
        """Write a new version of a key with a vector.

        A vector belongs to the version it was written with: a later :meth:`put` without one leaves
        the key without one.

        Args:
            namespace: Namespace of the key.
            key: The key.
            embedding: A list, tuple, ``array.array``, buffer or NumPy array of up to 8,192 numbers,
                kept as float32. The first of a namespace and model fixes their number.
            metadata: The key's new value; None keeps the present one.
            model: Name of the model that made the vector.

        Returns:
            The version that was written.

        Raises:
            ValidationError: For another dimension than the others of this namespace and model have,
                NaN, infinities, or a vector without direction under cosine.
            LimitExceededError: When memory or disk are full; nothing was written.
            StorageError: If the log could not be written.

        Example:
            >>> await db.embed("notes", "mars", [0.9, 0.1, 0.0], {"title": "Mars"})
            Version('notes', 'mars', ...)
        """
        value = (FLAG_KEEP, b"") if metadata is None else _json.encode(metadata)
        return await self._put_vector(namespace, key, value, embedding, model)

    async def embed_batch(
        self,
        namespace: str,
        keys: Iterable[str],
        embeddings: Any,
        metadata: Iterable[Any] | None = None,
        *,
        model: str = "",
        progress: bool | Callable[[int, int], object] = False,
    ) -> int:
        """Write many versions with vectors.

        The rows are copied once, from where they are to where they will live. All of them are
        checked before the first is written; then they are written in commits of some 16 MiB.

        Args:
            namespace: Namespace of the keys.
            keys: One key for each row.
            embeddings: A matrix of one row for each key: a two-dimensional array, or a list of
                vectors. A C-contiguous float32 array is not copied on the Python side.
            metadata: One value for each key; None keeps the present ones.
            model: Name of the model that made the vectors.
            progress: True prints to standard error; a function is called with the number of rows
                written and their total, in a worker thread.

        Returns:
            How many versions were written.

        Raises:
            ValidationError: For a bad row, which it names, or different numbers of keys, rows and
                metadata. Nothing was written.
            SerializationError: For metadata that would be changed by storing it.
            LimitExceededError: When memory or disk are full; nothing was written.
            StorageError: If the log could not be written.
        """
        matrix = Matrix(embeddings)
        names = check_keys(keys)
        values = None if metadata is None else list(metadata)
        for what, count in (
            ("keys", len(names)),
            ("metadata", None if values is None else len(values)),
        ):
            if count is not None and count != matrix.count:
                raise ValidationError(
                    f"there are {matrix.count} embeddings and {count} {what}",
                    suggestion="give as many of each",
                )
        if not names:
            return 0
        name = check_text("model", model)
        report = print_progress if progress is True else progress or None
        session = self._session

        def embed_rows() -> None:
            items = encode_embed_items(names, values, 4 * matrix.dimension)
            session.embed_rows(namespace, name, matrix, with_progress(items, len(names), report))

        await session.in_thread(embed_rows)
        session.maintain_in_background()
        return len(names)

    async def similar(
        self,
        namespace: str | None,
        query: Any,
        top_k: int = 10,
        *,
        threshold: float | None = None,
        where: Mapping[str, Any] | None = None,
        model: str | None = None,
        at: Time | None = None,
        exact: bool = False,
    ) -> list[Match]:
        """The versions whose vectors are nearest to a query, best first.

        Scores always come from float32. By the default ``Config.vector_index`` the best ten are
        those of an exact search in more than 98 of 100 cases (recall@10).

        Args:
            namespace: Namespace to search; None for all with vectors of this dimension.
            query: A vector, as :meth:`embed` takes it.
            top_k: At most so many hits, 1 to 10,000.
            threshold: Only hits that score at least this.
            where: Only keys whose value matches this filter: ``{"year": {"$gte": 1990}}``, with
                $eq $ne $gt $gte $lt $lte $in $nin $exists $contains $regex $and $or $not and
                dotted paths. It is applied inside the search: no match is lost to it. The matches
                of a filter are remembered, so asking it again costs little.
            model: Model of the vectors; None for the one that there is of this dimension.
            at: As of this time.
            exact: Search without loss.

        Raises:
            ValidationError: For a bad query, another dimension, an unknown model, a bad filter,
                ``top_k`` or threshold.

        Example:
            >>> [match.key for match in await db.similar("notes", [1.0, 0.0, 0.0], top_k=1)]
            ['mars']
        """
        found = await self._similar(
            namespace,
            vector_bytes(query, "the query"),
            1,
            top_k,
            threshold,
            where,
            model,
            at,
            exact,
        )
        return found[0]

    async def similar_batch(
        self,
        namespace: str | None,
        queries: Any,
        top_k: int = 10,
        *,
        threshold: float | None = None,
        where: Mapping[str, Any] | None = None,
        model: str | None = None,
        at: Time | None = None,
        exact: bool = False,
    ) -> list[list[Match]]:
        """:meth:`similar` for several queries, a matrix or list of vectors, in one call."""
        matrix = Matrix(queries, "the queries")
        if not matrix.count:
            return []
        if matrix.count > _MAX_QUERIES:
            raise ValidationError(
                f"there are {matrix.count} queries; the limit is {_MAX_QUERIES}",
                suggestion="search in several calls",
            )
        return await self._similar(
            namespace, matrix.joined(), matrix.count, top_k, threshold, where, model, at, exact
        )

    async def _similar(
        self,
        namespace: str | None,
        vector: bytes | memoryview,
        queries: int,
        top_k: int,
        threshold: float | None,
        where: Mapping[str, Any] | None,
        model: str | None,
        at: Time | None,
        exact: bool,
    ) -> list[list[Match]]:
        control = similar_control(queries, top_k, threshold, model, exact)
        if namespace == "":
            raise ValidationError(
                "the namespace is empty", suggestion="name one, or give None to search all"
            )
        payload = b"" if where is None else _json.encode(where)[1]
        start = perf_counter()
        reply = await self._session.read(
            op.SIMILAR, "" if namespace is None else namespace, at=to_microseconds(at),
            control=control, payload=payload, vector=vector,
            long=queries * self._search_seconds > _LONG_SEARCH_SECONDS,
        )  # fmt: skip
        # How long a search takes is known best from the one before.
        self._search_seconds = (perf_counter() - start) / queries
        return matches_from_payload(reply[2])

    async def vector(self, namespace: str, key: str, *, at: Time | None = None) -> Any:
        """The vector of a key, as it was given but for float32.

        Returns:
            A ``numpy.ndarray`` if NumPy has been imported, else an ``array.array``.

        Raises:
            KeyNotFoundError: If the key has no value (then), or its version no vector.
            ValidationError: For a bad name or time.
        """
        reply = await self._session.read(op.VECTOR, namespace, key, at=to_microseconds(at))
        if not reply[1] & REPLY_TRUE:
            raise KeyNotFoundError(
                f"{namespace!r}/{key!r} has no vector",
                suggestion="write one with embed; a put without one leaves the key without",
                namespace=namespace,
                key=key,
            )
        return to_array(reply[2])

    # Operating.

    @property
    def head(self) -> str:
        """Hash of the latest commit: 64 hexadecimal digits.

        The chain of commits shows damage. It shows tampering by someone who can write the file only
        if this hash was noted elsewhere.
        """
        return self._session.head

    async def stats(self) -> Stats:
        """Sizes, counts and limits. Linear in the number of keys."""
        session = self._session
        reply = await session.read(op.STATS, long=True)
        engine: dict[str, Any] = json.loads(reply[2])
        storage = session.storage
        return Stats(
            keys=engine["keys"],
            versions=engine["versions"],
            namespaces=engine["namespaces"],
            memory_bytes=await session.in_thread(session.memory_bytes),
            memory_used_bytes=engine["memory_used"],
            record_bytes=engine["record_bytes"],
            disk_bytes=0 if storage is None else storage.size,
            max_memory_bytes=self._config.max_memory_bytes,
            max_disk_bytes=self._config.max_disk_bytes,
            storage="memory" if storage is None else storage.kind,
            path=None if storage is None else str(self._config.file_path),
            recovered_bytes=session.recovered_bytes,
            vector_index=self._config.vector_index,
            vectors=tuple(vector_stats(held) for held in engine["vectors"]),
        )

    async def health(self) -> Health:
        """Whether the database can do its work: cheap enough to ask often."""
        session = self._session
        await session.read(op.HEAD)
        issues = session.issues
        return Health(healthy=not issues, issues=issues)

    async def verify(self) -> VerifyReport:
        """Rehash every version in memory, and read the whole file again with every link checked.

        Takes memory for a second copy of the data while it runs, and linear time.
        """
        session = self._session
        memory = json.loads((await session.read(op.VERIFY, long=True))[2])
        problems: list[str] = memory["problems"]
        file = await session.in_thread(session.verify_file)
        if file.problem is not None:
            problems.append(f"in the file: {file.problem}")
        return VerifyReport(
            ok=not problems,
            versions=memory["versions"],
            commits=max(memory["commits"], file.commits),
            head=memory["head"],
            problems=tuple(problems),
        )


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
