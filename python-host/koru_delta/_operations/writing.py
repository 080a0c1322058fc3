"""Putting, deleting, restoring, erasing."""

from __future__ import annotations

import json
from collections.abc import Iterable
from time import time_ns
from typing import Any, Final

from koru_delta import _json
from koru_delta import _protocol as op
from koru_delta._arguments import (
    UNSET,
    Item,
    Missing,
    VersionLike,
    check_batch,
    check_text,
    encode_batch,
    encode_deletions,
    put_control,
    version_id_bytes,
)
from koru_delta._operations.base import LONG_BYTES, Operations
from koru_delta._protocol import FLAG_PLAIN, NOW, REPLY_TRUE
from koru_delta._replies import raise_refused
from koru_delta._results.versions import Version, version_from_record
from koru_delta._vectors import Matrix, vector_bytes

_LONG_ITEMS: Final = 1000
"""More items than this go to a worker thread."""


class Writing(Operations):
    """What changes something."""

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
            ConflictError: If the key is not at ``expected_version``. It has the current id, of a
                version that can be read by then.
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
        done = session.try_append(op.PUT, request) if len(data) <= LONG_BYTES else None
        if done is None:
            done = await session.in_thread(session.append, op.PUT, request)
        reply, group = done
        if reply[0]:
            await raise_refused(reply, group, namespace, key, blocking=session.blocking)
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
        is_plain = caused_by == () and expected_version is UNSET
        control = {} if is_plain else put_control(caused_by, expected_version)
        if model != "":
            control["model"] = check_text("model", model)
        vector = vector_bytes(embedding)
        reply = await self._session.write(
            op.PUT, namespace, key, control=control or None, payload=data, flags=flags,
            vector=vector, long=len(data) > LONG_BYTES,
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
        start = 0 if long else encode_batch(batch, 0, payload, stop=LONG_BYTES)
        if start < len(batch):
            await session.in_thread(encode_batch, batch, start, payload)
        long = len(payload) > LONG_BYTES
        await session.write(op.PUT_BATCH, payload=bytes(payload), long=long)
        return len(batch)

    async def _write_together(
        self,
        puts: list[Item],
        deletes: Iterable[tuple[str, str]] = (),
        *,
        vectors: Any = None,
        vector_namespace: str = "",
        model: str = "",
    ) -> None:
        """Put, embed and delete in one commit.

        Args:
            puts: Tuples of namespace, key and value.
            deletes: Pairs of namespace and key; one without a value is left alone.
            vectors: A matrix, or list of vectors, for the first of ``puts``, one each.
            vector_namespace: The namespace of those.
            model: Model that made the vectors.
        """
        session = self._session
        payload = bytearray()
        matrix = None if vectors is None else Matrix(vectors)
        if matrix is None or not matrix.count:
            encode_batch(puts, 0, payload)
            encode_deletions(deletes, payload)
            long = len(payload) > LONG_BYTES
            await session.write(op.PUT_BATCH, payload=bytes(payload), long=long)
            return
        encode_batch(puts[: matrix.count], 0, payload)
        encode_batch(puts[matrix.count :], 0, payload, extra=FLAG_PLAIN)
        encode_deletions(deletes, payload)
        items = [bytes(payload)]
        await session.embed(vector_namespace, model, matrix, lambda: items)

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
        self._session.maintain_in_background()
        count: int = json.loads(reply[2])
        return count
