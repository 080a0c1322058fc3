"""Writing vectors, and searching by them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from koru_delta import _json
from koru_delta import _protocol as op
from koru_delta._arguments import (
    check_keys,
    check_text,
    encode_embed_items,
    print_progress,
    similar_control,
    where_bytes,
    with_progress,
)
from koru_delta._operations.base import LONG_SECONDS
from koru_delta._operations.writing import Writing
from koru_delta._protocol import FLAG_KEEP, REPLY_TRUE
from koru_delta._replies import raise_error
from koru_delta._results.matches import Match, matches_from_payload
from koru_delta._results.versions import Version
from koru_delta._times import to_microseconds
from koru_delta._vectors import Matrix, to_array, vector_bytes
from koru_delta.errors import KeyNotFoundError, ValidationError

if TYPE_CHECKING:
    from koru_delta._times import Time

_LONG_ROWS: Final = 256
"""More rows than this are converted on a worker thread."""
_MAX_QUERIES: Final = 10_000


class Vectors(Writing):
    """What writes and searches vectors."""

    _search_seconds = 0.0
    """How long the last search took."""

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
                in any layout, kept as float32; ``bytes`` are no numbers. The first of a namespace
                and model fixes how many there are.
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
        checked before the first is written; then they are written in commits of some 4 MiB.

        Args:
            namespace: Namespace of the keys.
            keys: One key for each row.
            embeddings: A matrix of one row for each key: a two-dimensional array, or a list of
                vectors. A C-contiguous float32 array is not copied on the Python side.
            metadata: One value for each key; None keeps the present ones.
            model: Name of the model that made the vectors.
            progress: True prints to standard error; a function is called with the number of rows
                written and their total: in a worker thread, but for the last time.

        Returns:
            How many versions were written.

        Raises:
            ValidationError: For a bad row, which it names, or different numbers of keys, rows and
                metadata. Nothing was written.
            SerializationError: For metadata that would be changed by storing it.
            LimitExceededError: When memory or disk do not have room for the vectors; nothing was
                written. If it is the metadata that does not fit, commits before stay.
            StorageError: If the log could not be written; commits before stay.
        """
        matrix = await self._matrix(embeddings, "the embeddings")
        names = check_keys(keys)
        if metadata is not None and not isinstance(metadata, Iterable):
            raise ValidationError(
                f"metadata is of type {type(metadata).__name__}", suggestion="give one value a row"
            )
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

        def encoded() -> Iterable[bytes]:
            items = encode_embed_items(names, values, 4 * matrix.dimension)
            return with_progress(items, len(names), report)

        await self._session.embed(namespace, name, matrix, encoded)
        if report is not None:
            report(len(names), len(names))
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
            namespace: Namespace to search; None for all with vectors of this dimension, if these
                are of one model, or of the one that is named.
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
            ValidationError: For a bad query, another dimension, an unknown model, no model where
                there are several, a bad filter, ``top_k`` or threshold.

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
        matrix = await self._matrix(queries, "the queries")
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
        payload = b"" if where is None else where_bytes(where)
        space = "" if namespace is None else namespace
        options, as_of = _json.options(control), to_microseconds(at)
        session = self._session
        request = session.request(space, "", as_of, options, payload, 0, 0, vector)
        start = perf_counter()
        is_long = queries * self._search_seconds > LONG_SECONDS
        reply = None if is_long else session.try_call(op.SIMILAR, request)
        if reply is None:
            reply, seconds = await self._answer_later(op.SIMILAR, request)
        else:
            seconds = perf_counter() - start
        if reply[0]:
            reply = await session.fetched(reply, op.SIMILAR, request)
            if reply[0]:
                raise_error(reply, space, item="query")
        # How long a search takes is known best from the one before.
        self._search_seconds = seconds / queries
        return await self._taken_apart(matches_from_payload, reply[2])

    async def _matrix(self, rows: Any, what: str) -> Matrix:
        """Rows as a matrix; many are converted on a worker thread."""
        try:
            is_long = len(rows) > _LONG_ROWS
        except TypeError:
            is_long = False  # It is no matrix, which Matrix says.
        return await self._session.in_thread(Matrix, rows, what) if is_long else Matrix(rows, what)

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
