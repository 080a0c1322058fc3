"""The protocol between a host and the module, as the engine's ``protocol.rs`` lays it out.

A test holds the numbers here against that file.
"""

from __future__ import annotations

from struct import Struct
from typing import TypeAlias

ABI_VERSION = 1

REQUEST_HEADER = Struct("<QQQIIIIIIQ")
"""Time, acknowledged sequence, as-of time, lengths of namespace, key, control and payload, flags,
length of vector, synced sequence."""
REPLY_HEADER = Struct("<IIIIIIQ")
"""Status, flags, payload address and length, journal address and length, sequence."""
BATCH_ITEM = Struct("<IIII")
"""Lengths of namespace, key and value, flags."""

NOW = 2**64 - 1

FLAG_BYTES = 1
FLAG_QUIET = 2
FLAG_END = 4
FLAG_KEEP = 8
FLAG_DELETE = 16
FLAG_PLAIN = 32
REPLY_BYTES = 1
REPLY_TRUE = 2

OPEN = 1
REPLAY = 2
PUT = 3
PUT_BATCH = 4
GET = 5
GET_MANY = 6
CONTAINS = 7
DELETE = 8
HISTORY = 9
VERSION = 10
DIFF = 11
RESTORE = 12
LIST_KEYS = 13
LIST_NAMESPACES = 14
LINEAGE = 15
EFFECTS = 16
ERASE = 17
STATS = 18
VERIFY = 19
HEAD = 20
EMBED_RESERVE = 21
EMBED_BATCH = 22
SIMILAR = 23
VECTOR = 24
MAINTAIN = 25
QUERY = 26
COUNT = 27
AGGREGATE = 28
EXPLAIN = 29
CREATE_INDEX = 30
DROP_INDEX = 31
LIST_INDEXES = 32
SEARCH = 33
HYBRID = 34
CREATE_VIEW = 35
VIEW = 36
DROP_VIEW = 37
LIST_VIEWS = 38
CHANGES = 39
RECALL = 40
SNAPSHOT = 41
SNAPSHOT_SIZE = 42
FETCH = 43


Reply: TypeAlias = tuple[int, int, bytes, bytes, int]
"""Status, flags, payload, journal, sequence. A plain tuple: one is made for every call."""


class Status:
    """Kinds of errors, and ``FETCH``, which is none; the status of a reply."""

    INVALID = 1
    SERIALIZATION = 2
    NOT_FOUND = 3
    CONFLICT = 4
    LIMIT = 5
    CORRUPT = 6
    UNSUPPORTED = 7
    INTERNAL = 8
    FETCH = 9


def pack(*, control: bytes = b"", payload: bytes = b"", flags: int = 0) -> bytes:
    """A request without names."""
    return pack_head(len(payload), control=control, flags=flags) + payload


def pack_head(size: int, *, control: bytes = b"", flags: int = 0) -> bytes:
    """What comes before a payload of ``size`` bytes in a request without names."""
    return REQUEST_HEADER.pack(0, 0, NOW, 0, 0, len(control), size, flags, 0, 0) + control
