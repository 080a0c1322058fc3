"""Selecting, counting and aggregating values; indexes and views."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from koru_delta import _json
from koru_delta import _protocol as op
from koru_delta._arguments import PLAIN, check_text, where_bytes
from koru_delta._operations.base import LONG_BYTES, LONG_SECONDS, Operations
from koru_delta._protocol import NOW, REPLY_TRUE, Reply
from koru_delta._query_arguments import (
    OrderBy,
    aggregate_control,
    filter_bytes,
    order_list,
    query_control,
)
from koru_delta._replies import raise_error
from koru_delta._results.matches import Record, records_from_payload
from koru_delta._times import to_microseconds

if TYPE_CHECKING:
    from koru_delta._results.reports import Explanation, Index, View
    from koru_delta._times import Time
    from koru_delta.config import Config

_REMEMBERED: Final = 256
_DICT: Final[Any] = dict
"""To compare types with, by which a type checker is not to narrow what it knows."""


class TimedReads(Operations):
    """Reads that may take long or not: what took long last time goes to a worker thread."""

    def __init__(self, config: Config) -> None:
        """Prepare; nothing is opened."""
        super().__init__(config)
        self._quick: set[tuple[object, ...]] = set()
        """Kinds of what took little the last time."""

    async def _read_timed(
        self,
        opcode: int,
        namespace: str,
        key: str = "",
        *,
        control: dict[str, Any] | None = None,
        at: int = NOW,
        vector: bytes | memoryview = b"",
        where: Mapping[str, Any] | None = None,
        payload: bytes | None = None,
    ) -> Reply:
        if payload is None:
            payload = b"" if where is None else where_bytes(where)
        session = self._session
        options = b"" if control is None else _json.options(control)
        request = session.request(namespace, key, at, options, payload, 0, 0, vector)
        # What is asked for differs from time to time; by which fields tends to come again.
        ordered = None if control is None else str(control.get("order_by"))
        kind = (opcode, namespace, ordered, *(where or ()))
        reply = self._read_quickly(kind, opcode, request)
        if reply is None:
            reply = await self._read_on_a_thread(kind, opcode, request)
        if reply[0]:
            reply = await session.fetched(reply, opcode, request)
            if reply[0]:
                raise_error(reply, namespace, key, item="query")
        return reply

    def _read_quickly(self, kind: tuple[object, ...], opcode: int, request: bytes) -> Reply | None:
        """The reply to what took little the last time; None if a thread is to ask for it."""
        if kind not in self._quick:
            return None
        start = perf_counter()
        reply = self._session.try_call(opcode, request)
        if perf_counter() - start > LONG_SECONDS:
            self._quick.discard(kind)
        return reply

    async def _read_on_a_thread(
        self, kind: tuple[object, ...], opcode: int, request: bytes
    ) -> Reply:
        reply, seconds = await self._answer_later(opcode, request)
        if seconds <= LONG_SECONDS:
            if len(self._quick) >= _REMEMBERED:
                self._quick.clear()
            self._quick.add(kind)
        return reply


class Querying(TimedReads):
    """What asks about values."""

    async def query(
        self,
        namespace: str,
        where: Mapping[str, Any] | None = None,
        *,
        order_by: OrderBy | None = None,
        limit: int | None = None,
        offset: int = 0,
        select: Iterable[str] | None = None,
        at: Time | None = None,
    ) -> list[Record]:
        """The values of a namespace that match a filter.

        Time is linear in the keys of the namespace, unless :meth:`create_index` made an index that
        narrows the filter or has the order; :meth:`explain` tells.

        A path through arrays leads to several values, and so does an array to its elements: an
        operator matches if any of them does. ``$ne``, ``$nin`` and ``$not`` say the opposite of
        ``$eq``, ``$in`` and what they are about, so they match what is missing, too. null is a
        value: ``{"a": None}`` matches one that is there, ``{"a": {"$exists": False}}`` what is
        missing. Numbers compare exactly, and 1 equals 1.0; values of different types are neither
        equal nor ordered. ``$contains`` is about a part of a string or an element of an array.
        ``$regex`` takes Rust's syntax without look-around and back-references, in linear time;
        flags go in front, as in ``(?i)whale``, and are about ASCII.

        Args:
            namespace: Namespace to look in.
            where: A filter: ``{"age": {"$gte": 18}, "tags": "vip"}``, with $eq $ne $gt $gte $lt
                $lte $in $nin $exists $contains $regex $and $or $not and dotted paths. None for all.
            order_by: A field, ``"-field"`` for descending, or a list of such; ``"$key"`` and
                ``"$timestamp"`` are the key and the time of writing. What is missing comes before
                null, booleans, numbers, strings, arrays and objects; of several values the least
                counts, descending the greatest. Ties, and what is not ordered, go by key.
            limit: At most so many.
            offset: Leave out so many first.
            select: Dotted paths: values have these fields only.
            at: As of this time.

        Raises:
            ValidationError: For a bad filter, field, limit, offset or time; it names the place.

        Example:
            >>> [record.key for record in await db.query("users", {"age": {"$gte": 40}})]
            ['bob']
        """
        payload = None
        if (
            order_by is None and limit is None and select is None and at is None
            and where is not None and type(offset) is int and not offset
        ):  # fmt: skip
            payload = self._ask_quickly(namespace, where)
        if payload is None:
            control = query_control(order_by, limit, offset, select)
            reply = await self._read_timed(
                op.QUERY, namespace, control=control, where=where, at=to_microseconds(at)
            )
            payload = reply[2]
        if len(payload) > LONG_BYTES:  # As `_taken_apart`, without a coroutine of its own.
            return await self._session.in_thread(records_from_payload, payload)
        return records_from_payload(payload)

    def _ask_quickly(self, namespace: str, where: Mapping[str, Any]) -> bytes | None:
        """What a filter of one field and one plain value selects, by the shortest way.

        None if :meth:`_read_timed` is to ask for it, for whatever reason.
        """
        if type(where) is not _DICT or len(where) != 1:
            return None
        (name,) = where
        if type(name) is not str or type(where[name]) not in PLAIN or type(namespace) is not str:
            return None
        kind = (op.QUERY, namespace, None, name)
        if kind not in self._quick:
            return None
        try:
            payload = _json.dumps(where)
        except (TypeError, ValueError):
            return None
        start = perf_counter()
        reply = self._session.try_ask(op.QUERY, namespace, payload)
        if perf_counter() - start > LONG_SECONDS:
            self._quick.discard(kind)
        return None if reply is None or reply[0] else reply[2]

    async def count(
        self, namespace: str, where: Mapping[str, Any] | None = None, *, at: Time | None = None
    ) -> int:
        """How many values of a namespace match a filter; see :meth:`query`.

        Where an index answers the whole filter, no value is read: time is linear in what matches.

        Example:
            >>> await db.count("users")
            1
        """
        reply = await self._read_timed(op.COUNT, namespace, where=where, at=to_microseconds(at))
        return int(reply[2])

    async def aggregate(
        self,
        namespace: str,
        aggregates: Mapping[str, Any],
        *,
        group_by: str | Iterable[str] | None = None,
        where: Mapping[str, Any] | None = None,
        order_by: OrderBy | None = None,
        at: Time | None = None,
    ) -> list[dict[str, Any]]:
        """Sums, averages and the like over the values that match a filter.

        Args:
            namespace: Namespace to look in.
            aggregates: From names to ``{"$sum": path}``, ``$avg``, ``$min``, ``$max``, ``$first``,
                ``$last``, or ``{"$count": True}`` for all and ``{"$count": path}`` for those that
                have the field. Sums are exact for whole numbers and correctly rounded for others;
                what is no number is left out of sums and averages.
            group_by: One dict for each value of this field, or combination of several.
            where: A filter; see :meth:`query`.
            order_by: The order that $first and $last go by: by key, if not given.
            at: As of this time.

        Returns:
            A dict for each group, sorted by the group's values: those under their paths, then the
            aggregates under their names. Without ``group_by`` there is exactly one.

        Raises:
            ValidationError: For a bad aggregate, field, filter or time; it names the place.
            LimitExceededError: For more groups than the engine takes.

        Example:
            >>> await db.aggregate("users", {"oldest": {"$max": "age"}})
            [{'oldest': 40}]
        """
        reply = await self._read_timed(
            op.AGGREGATE, namespace,
            control=aggregate_control(aggregates, group_by, order_by),
            where=where, at=to_microseconds(at),
        )  # fmt: skip
        # Sums may be wider than 64 bits, which the standard library's decoder takes.
        found: list[dict[str, Any]] = json.loads(reply[2])
        return found

    async def explain(
        self,
        namespace: str,
        where: Mapping[str, Any] | None = None,
        *,
        order_by: OrderBy | None = None,
        limit: int | None = None,
        offset: int = 0,
        at: Time | None = None,
    ) -> Explanation:
        """How :meth:`query` with these arguments runs: it is run, and what it did is told.

        Example:
            >>> (await db.explain("users", {"age": 40})).path
            'scan'
        """
        from koru_delta._results.reports import Explanation

        reply = await self._read_timed(
            op.EXPLAIN, namespace,
            control=query_control(order_by, limit, offset), where=where,
            at=to_microseconds(at),
        )  # fmt: skip
        return Explanation(**_json.loads(reply[2]))

    async def create_index(self, namespace: str, field: str) -> bool:
        """Keep an index of a field, by its dotted path.

        Filters that ask for a value, one of several, or a range of the field use it, and so does
        an order by it; results are the same with and without. It holds present values, so queries
        of the past scan. It is stored with the database and kept up to date by every write.

        Returns:
            True if it is new, False if there was one.

        Raises:
            ValidationError: For a bad name or field.
            LimitExceededError: If memory has no room for it, or the namespace has 64 of them.

        Example:
            >>> await db.create_index("users", "age")
            True
        """
        reply = await self._session.write(
            op.CREATE_INDEX, namespace, check_text("the field", field), long=True
        )
        return bool(reply[1] & REPLY_TRUE)

    async def drop_index(self, namespace: str, field: str) -> bool:
        """Drop the index of a field; False if there was none."""
        reply = await self._session.write(op.DROP_INDEX, namespace, check_text("the field", field))
        return bool(reply[1] & REPLY_TRUE)

    async def list_indexes(self, namespace: str | None = None) -> list[Index]:
        """The indexes of a namespace, or of all, sorted by namespace and field."""
        from koru_delta._results.reports import Index

        reply = await self._session.read(op.LIST_INDEXES, namespace or "")
        return [Index(**index) for index in _json.loads(reply[2])]

    async def create_view(
        self,
        name: str,
        namespace: str,
        where: Mapping[str, Any] | None = None,
        *,
        order_by: OrderBy | None = None,
    ) -> None:
        """Keep the result of a query up to date with every write.

        The definition is stored with the database. A view of the same name is replaced.

        Args:
            name: Name of the view.
            namespace: Namespace that it selects from.
            where: A filter; see :meth:`query`.
            order_by: Its order; see :meth:`query`.

        Raises:
            ValidationError: For a bad name, filter or field.
            LimitExceededError: If memory has no room for it, or the namespace has 64 of them.

        Example:
            >>> await db.create_view("elders", "users", {"age": {"$gte": 40}}, order_by="-age")
            >>> [record.key for record in await db.view("elders")]
            ['bob']
        """
        await self._session.write(
            op.CREATE_VIEW, namespace, check_text("the view", name),
            control={"order_by": order_list(order_by)}, payload=filter_bytes(where), long=True,
        )  # fmt: skip

    async def view(
        self, name: str, *, limit: int | None = None, offset: int = 0, at: Time | None = None
    ) -> list[Record]:
        """What a view holds: linear in what is returned.

        As of a time, its definition of now is evaluated over the values of then.

        Raises:
            KeyNotFoundError: If there is no such view.
            ValidationError: For a bad limit, offset or time.
        """
        reply = await self._read_timed(
            op.VIEW, "", check_text("the view", name),
            control=query_control(None, limit, offset), at=to_microseconds(at),
        )  # fmt: skip
        return await self._taken_apart(records_from_payload, reply[2])

    async def drop_view(self, name: str) -> bool:
        """Drop a view; False if there was none. The values that it showed stay."""
        reply = await self._session.write(op.DROP_VIEW, "", check_text("the view", name))
        return bool(reply[1] & REPLY_TRUE)

    async def list_views(self) -> list[View]:
        """The views, sorted by name."""
        from koru_delta._results.reports import View

        reply = await self._session.read(op.LIST_VIEWS)
        return [
            View(
                name=view["name"],
                namespace=view["namespace"],
                where=_json.loads(view["filter"].encode()) if view["filter"] else None,
                order_by=tuple(
                    (path, "desc" if descending else "asc") for path, descending in view["order_by"]
                ),
            )
            for view in _json.loads(reply[2])
        ]
