"""Versions, what changed between them, and what led to what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from koru_delta import _json
from koru_delta import _protocol as op
from koru_delta._arguments import (
    VersionLike,
    check_limit,
    version_id_bytes,
)
from koru_delta._operations.base import Operations
from koru_delta._protocol import NOW
from koru_delta._results.versions import Version, version_from_record, versions_from_payload
from koru_delta._times import to_microseconds

if TYPE_CHECKING:
    from koru_delta._times import Time


class History(Operations):
    """What looks at versions."""

    async def history(
        self, namespace: str, key: str, *, limit: int | None = None, before: Time | None = None
    ) -> list[Version]:
        """The versions of a key, oldest first, deletions included.

        Args:
            namespace: Namespace of the key.
            key: The key; one that never was has no versions.
            limit: Only the newest so many; None for all.
            before: Only those that were written before a time, or before a version: a history that
                is longer than memory is read in pieces, the newest first.

        Raises:
            ValidationError: For a bad name, limit or time.
            LimitExceededError: If it is too much for memory at once.

        Example:
            >>> newest = await db.history("users", "alice", limit=1)
            >>> await db.history("users", "alice", limit=1, before=newest[0])
            [Version('users', 'alice', ...)]
        """
        control = {"limit": check_limit(limit)}
        at = NOW if before is None else max(0, to_microseconds(before) - 1)
        reply = await self._session.read(op.HISTORY, namespace, key, at=at, control=control)
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
