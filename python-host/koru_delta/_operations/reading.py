"""Getting and listing, now or as of a time."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from koru_delta import _json
from koru_delta import _protocol as op
from koru_delta._arguments import (
    MISSING,
    check_keys,
    check_limit,
    check_text,
)
from koru_delta._operations.base import Operations
from koru_delta._protocol import FLAG_QUIET, NOW, REPLY_BYTES, REPLY_TRUE
from koru_delta._replies import raise_error
from koru_delta._results.versions import record_pairs
from koru_delta._times import to_microseconds

if TYPE_CHECKING:
    from koru_delta._times import Time

_LONG_ITEMS: Final = 1000
"""More items than this go to a worker thread."""


class Reading(Operations):
    """What reads values and names."""

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
            reply = await session.fetched(reply, op.GET, request)
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
        return dict(await self._taken_apart(record_pairs, reply[2]))

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
