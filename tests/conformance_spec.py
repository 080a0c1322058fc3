"""What the engine should answer and write, from docs/abi.md and the file format alone.

A second, naive implementation for the conformance vectors. It shares no code with the engine: bytes
of the log come from `log_format.py`, hashes from `blake3_reference.py`, and everything is looked up
by going through all versions.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from blake3_reference import blake3
from log_format import COMMIT, ERASURE, VERSION, Frame, crc32c

if TYPE_CHECKING:
    from collections.abc import Iterable

JSON_VALUE, BYTES_VALUE, DELETED = 0, 1, 2
NOW = 2**64 - 1
YES = 2
NOTHING = bytes(16)
MAGIC = b"\x89KORU\r\n\x1a"


@dataclass(frozen=True)
class Reply:
    """What a request should come to. Of an error: the status, and details in its JSON."""

    status: int = 0
    flags: int = 0
    payload: bytes = b""
    journal: bytes = b""
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Version:
    """One version of a key."""

    namespace: str
    key: str
    time_us: int
    previous: bytes
    kind: int
    value: bytes
    causes: tuple[bytes, ...] = ()
    vector: bytes = b""
    model: str = ""
    sequence: int = 0

    @property
    def body(self) -> bytes:
        """The record without its id and its vector."""
        names = [text.encode() for text in (self.namespace, self.key, self.model)]
        head = struct.pack(
            "<Q16sHHHHIIB7x",
            self.time_us, self.previous, *map(len, names), len(self.causes), len(self.value),
            len(self.vector) // 4, self.kind,
        )  # fmt: skip
        return b"".join([head, *names, *self.causes, self.value])

    @property
    def digest(self) -> bytes:
        return blake3(self.body + self.vector)

    @property
    def id(self) -> bytes:
        return self.digest[:16]

    @property
    def record(self) -> bytes:
        """As replies have it: without the vector."""
        return self.id + self.body

    @property
    def is_value(self) -> bool:
        return self.kind != DELETED


def file_header(
    database_id: bytes, *, epoch: int = 1, is_snapshot: bool = False, first_sequence: int = 1
) -> bytes:
    """The first 64 bytes of a file: a new one, or one that begins with a snapshot."""
    numbers = (epoch, int(is_snapshot), first_sequence)
    head = MAGIC + struct.pack("<HH12x16sIIQ4x", 1, 0, database_id, *numbers)
    return head + struct.pack("<I", crc32c(head))


def versions_payload(found: list[Version]) -> bytes:
    """A payload of versions."""
    records = [version.record for version in found]
    counts = struct.pack(f"<{len(records) + 1}I", len(records), *map(len, records))
    return counts + b"".join(records)


def hits_payload(found: list[tuple[float, Version]], parts: str | None = None) -> bytes:
    """A payload of the hits of one query, with the JSON of snippets or of the parts of scores."""
    scores = [score for score, _ in found]
    payload = struct.pack(f"<II{len(found)}f", 1, len(found), *scores)
    payload += versions_payload([version for _, version in found])
    if parts is None:
        return payload
    return payload + struct.pack("<I", len(parts.encode())) + parts.encode()


def compact(value: Any) -> bytes:
    """JSON as the engine writes it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


class SpecDatabase:
    """The database as a list of versions, with its log."""

    def __init__(self, database_id: bytes) -> None:
        self.database_id = database_id
        self.versions: list[Version] = []
        self.head = bytes(32)
        self.commits = 0
        self.sequence = 0
        self.time_us = 0
        self.acknowledged = 0
        self.synced = 0

    def begin(self, now_us: int, acknowledged: int, synced: int) -> None:
        """Take the host's time and sequences of the next request."""
        self.now_us = now_us
        self.acknowledged = acknowledged
        self.synced = synced

    # Reading: what is acknowledged, as of a time.

    def history(self, namespace: str, key: str, at: int = NOW) -> list[Version]:
        return [
            one
            for one in self.versions
            if (one.namespace, one.key) == (namespace, key)
            and one.time_us <= at
            and one.sequence <= self.acknowledged
        ]

    def current(self, namespace: str, key: str, at: int = NOW) -> Version | None:
        seen = self.history(namespace, key, at)
        return seen[-1] if seen and seen[-1].is_value else None

    def present(self, namespace: str, at: int = NOW) -> list[Version]:
        """The versions that are a key's value, by key."""
        keys = sorted({one.key for one in self.versions if one.namespace == namespace})
        return self.values(namespace, keys, at)

    def values(self, namespace: str, keys: Iterable[str], at: int = NOW) -> list[Version]:
        """The versions that are values of these keys, in their order, of those that have one."""
        found = [self.current(namespace, key, at) for key in keys]
        return [one for one in found if one is not None]

    def namespaces(self, at: int = NOW) -> list[str]:
        names = sorted({one.namespace for one in self.versions})
        return [name for name in names if self.present(name, at)]

    def by_id(self, version_id: bytes) -> Version | None:
        known = (one for one in self.versions if one.sequence <= self.acknowledged)
        return next((one for one in known if one.id == version_id), None)

    def get(self, namespace: str, key: str, at: int = NOW) -> Reply:
        found = self.current(namespace, key, at)
        if found is None:
            return Reply(status=3)
        return Reply(flags=YES | (1 if found.kind == BYTES_VALUE else 0), payload=found.value)

    # Writing.

    def write(self, *drafts: dict[str, Any]) -> list[Version]:
        """Versions of one commit; their frames are in `journal`."""
        self.time_us = max(self.now_us, self.time_us + 1)
        entries, digests = [], []
        for draft in drafts:
            chain = [
                one
                for one in self.versions
                if (one.namespace, one.key) == (draft["namespace"], draft["key"])
            ]
            previous = chain[-1].id if chain else NOTHING
            self.sequence += 1
            fields = {"kind": JSON_VALUE, "value": b"", **draft}
            version = Version(
                time_us=self.time_us, previous=previous, sequence=self.sequence, **fields
            )
            self.versions.append(version)
            entries.append(self._frame(VERSION, version.record + version.vector))
            digests.append(version.digest)
        self.journal = self._commit(entries, digests)
        return self.versions[-len(drafts) :]

    def erase(self, namespace: str, key: str) -> int:
        """Remove a key; the frames are in `journal`."""
        gone = [one for one in self.versions if (one.namespace, one.key) == (namespace, key)]
        self.journal = b""
        if gone:
            self.time_us = max(self.now_us, self.time_us + 1)
            names = (namespace.encode(), key.encode())
            payload = struct.pack("<QHH", self.time_us, *map(len, names)) + b"".join(names)
            self.sequence += 1
            self.versions = [one for one in self.versions if one not in gone]
            self.journal = self._commit([self._frame(ERASURE, payload)], [blake3(payload)])
        return len(gone)

    def _commit(self, entries: list[bytes], digests: list[bytes]) -> bytes:
        self.head = blake3(self.head + b"".join(digests))
        self.commits += 1
        self.sequence += 1
        commit = self._frame(COMMIT, struct.pack("<I4x", len(entries)) + self.head)
        return b"".join(entries) + commit

    def _frame(self, kind: int, payload: bytes) -> bytes:
        return Frame(0, kind, 1, self.sequence, self.synced, payload).to_bytes(self.database_id)
