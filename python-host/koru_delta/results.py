"""What the methods return: frozen, slotted dataclasses, read by attribute."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from struct import Struct, unpack_from
from typing import Any, Final

from koru_delta import _json
from koru_delta._times import to_datetime

__all__ = ["Health", "Match", "Stats", "VectorStats", "VerifyReport", "Version"]

_RECORD: Final = Struct("<16sQ16sHHHHIIB7x")
_places: Final = Struct("<Q16xHHHHI4xB").unpack_from
_hit_places: Final = Struct("<16sQ16xHHHHI4xB").unpack_from
_PAGE_VERSIONS: Final = 256
_PAGE_BYTES: Final = 256 * 1024
_NO_ID: Final = bytes(16)
_JSON: Final = 0
_BYTES: Final = 1
_DELETED: Final = 2
_set = object.__setattr__


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Version:
    """One version of a key.

    Attributes:
        namespace: Namespace of the key.
        key: The key.
        value: The value; None for a deletion.
        version_id: 32 hexadecimal digits, unique to this write: half of a BLAKE3 hash over
            everything here.
        timestamp: When it was written, UTC. One per commit and ever increasing.
        timestamp_us: The same in whole microseconds since 1970.
        previous: Id of the key's version before this one; None for the first.
        caused_by: Ids of the versions it was derived from.
        deleted: Whether this version is a deletion.
        embedding: None; :meth:`Database.vector` reads a vector.
        model: Model that made the vector.
    """

    namespace: str
    key: str
    value: Any
    version_id: str
    timestamp: datetime
    timestamp_us: int
    previous: str | None
    caused_by: tuple[str, ...]
    deleted: bool
    embedding: Any
    model: str
    _record: bytes = field(default=b"", repr=False, compare=False)
    _page: list[Version] | None = field(default=None, repr=False, compare=False)

    def __getattr__(self, name: str) -> Any:
        # Reached only for a slot that is not filled yet: versions come as records and are taken
        # apart when somebody looks.
        if name in _PAGED:
            _fill_page(self._page or [self])
            return object.__getattribute__(self, name)
        if name not in _LAZY:
            raise AttributeError(name)
        _fill(self)
        return object.__getattribute__(self, name)

    def __hash__(self) -> int:
        """By id: a value may not be hashable."""
        return hash(self.version_id)

    def __repr__(self) -> str:
        """Short: the names, the id and the time."""
        what = "deleted" if self.deleted else f"value={self.value!r}"
        return (
            f"Version({self.namespace!r}, {self.key!r}, {what}, "
            f"version_id={self.version_id!r}, timestamp={self.timestamp.isoformat()!r})"
        )


_set_value: Final = vars(Version)["value"].__set__
_set_record: Final = vars(Version)["_record"].__set__
_new: Final = object.__new__
_set_timestamp_us: Final = vars(Version)["timestamp_us"].__set__
_set_page: Final = vars(Version)["_page"].__set__
_PAGED: Final = frozenset({"value", "timestamp_us"})
_LAZY: Final = frozenset(Version.__slots__) - {"_record", "_page", "__weakref__"}


def version_from_record(record: bytes) -> Version:
    """The version that a record holds. Constant time: it is taken apart when looked at."""
    version = _new(Version)
    _set_record(version, record)
    _set_page(version, None)
    return version


def versions_from_payload(payload: bytes) -> list[Version]:
    """The versions of a reply: a count, that many lengths, the records.

    They are taken apart when looked at. A value is looked at together with those of the same
    page: one call of the decoder for many values costs a fraction of many calls.
    """
    count = int.from_bytes(payload[:4], "little")
    start = 4 + 4 * count
    found: list[Version] = []
    page: list[Version] = []
    page_end = start + _PAGE_BYTES
    for length in unpack_from(f"<{count}I", payload, 4):
        if len(page) == _PAGE_VERSIONS or page_end < start:
            page = []
            page_end = start + _PAGE_BYTES
        version = _new(Version)
        _set_record(version, payload[start : start + length])
        _set_page(version, page)
        page.append(version)
        found.append(version)
        start += length
    return found


def record_pairs(payload: bytes) -> list[tuple[str, Any]]:
    """Keys and values of a reply of versions."""
    return [(version.key, version.value) for version in versions_from_payload(payload)]


def _fill_page(page: list[Version]) -> None:
    """Fill in the values and times of some versions."""
    texts: list[bytes] = []
    bytes_values: dict[int, bytes] = {}
    for version in page:
        record = version._record
        timestamp_us, namespace_len, key_len, model_len, cause_count, length, kind = _places(
            record, 16
        )
        _set_timestamp_us(version, timestamp_us)
        start = _RECORD.size + namespace_len + key_len + model_len + 16 * cause_count
        data = record[start : start + length]
        if kind == _BYTES:
            bytes_values[len(texts)] = data
        texts.append(data if kind == _JSON else b"null")
    values: list[Any] = _json.loads(b"[%b]" % b",".join(texts))
    for index, data in bytes_values.items():
        values[index] = data
    for version, value in zip(page, values, strict=True):
        _set_value(version, value)
        _set_page(version, None)


def _fill(version: Version) -> None:
    record = version._record
    (
        version_id, timestamp_us, previous, namespace_len, key_len, model_len, cause_count,
        _value_len, _dimension, kind,
    ) = _RECORD.unpack_from(record)  # fmt: skip
    start = _RECORD.size
    namespace = record[start : (start := start + namespace_len)].decode()
    key = record[start : (start := start + key_len)].decode()
    model = record[start : (start := start + model_len)].decode()
    causes = record[start : (start := start + 16 * cause_count)]
    deleted = kind == _DELETED
    _set(version, "namespace", namespace)
    _set(version, "key", key)
    _set(version, "version_id", version_id.hex())
    _set(version, "timestamp", to_datetime(timestamp_us))
    _set_timestamp_us(version, timestamp_us)
    _set(version, "previous", None if previous == _NO_ID else previous.hex())
    _set(version, "caused_by", tuple(causes[i : i + 16].hex() for i in range(0, len(causes), 16)))
    _set(version, "deleted", deleted)
    _set(version, "embedding", None)
    _set(version, "model", model)


@dataclass(frozen=True, slots=True)
class Match:
    """One hit of a search.

    Attributes:
        namespace: Namespace of the key.
        key: The key.
        score: How near it is: higher is nearer.
        value: The value.
        version_id: Id of the version that was found.
        timestamp: When that was written, UTC.
    """

    namespace: str
    key: str
    score: float
    value: Any
    version_id: str
    timestamp: datetime


def matches_from_payload(payload: bytes) -> list[list[Match]]:
    """The hits of each query of a search's reply: counts, scores, and versions."""
    queries = int.from_bytes(payload[:4], "little")
    counts = unpack_from(f"<{queries}I", payload, 4)
    total = sum(counts)
    start = 4 + 4 * queries
    scores = unpack_from(f"<{total}f", payload, start)
    # A count that is known, the lengths, the records.
    lengths = unpack_from(f"<{total}I", payload, start + 4 * total + 4)
    start += 8 * total + 4
    names: list[tuple[str, str, str, datetime]] = []
    texts: list[bytes] = []
    bytes_values: dict[int, bytes] = {}
    for length in lengths:
        version_id, timestamp_us, namespace_len, key_len, model_len, causes, value_len, kind = (
            _hit_places(payload, start)
        )
        key_at = start + _RECORD.size + namespace_len
        key_end = key_at + key_len
        value_at = key_end + model_len + 16 * causes
        value = payload[value_at : value_at + value_len]
        if kind == _BYTES:
            bytes_values[len(texts)] = value
        texts.append(value if kind == _JSON else b"null")
        namespace = payload[key_at - namespace_len : key_at].decode()
        key = payload[key_at:key_end].decode()
        names.append((namespace, key, version_id.hex(), to_datetime(timestamp_us)))
        start += length
    values: list[Any] = _json.loads(b"[%b]" % b",".join(texts))
    for index, value in bytes_values.items():
        values[index] = value
    hits = [
        Match(namespace, key, score, value, version_id, timestamp)
        for (namespace, key, version_id, timestamp), score, value in zip(
            names, scores, values, strict=True
        )
    ]
    found: list[list[Match]] = []
    begin = 0
    for count in counts:
        found.append(hits[begin : begin + count])
        begin += count
    return found


@dataclass(frozen=True, slots=True)
class VectorStats:
    """One set of vectors: those of a namespace and model.

    Attributes:
        namespace: The namespace.
        model: The model; empty for the default one.
        dimension: Components of each vector.
        metric: How they are compared.
        vectors: Vectors that a search of the present finds.
        held: Vectors held, those of the past included.
        bytes: Memory that they take, codes and graph included.
        bytes_per_vector: The same for each vector held.
        path: How the last search went: ``exact``, ``quantized`` or ``hnsw``; None before one.
        behind: Vectors that are found by a slower scan until work in the background reaches them.
    """

    namespace: str
    model: str
    dimension: int
    metric: str
    vectors: int
    held: int
    bytes: int
    bytes_per_vector: float
    path: str | None
    behind: int


def vector_stats(held: dict[str, Any]) -> VectorStats:
    """What the engine reports of a set of vectors."""
    return VectorStats(**held, bytes_per_vector=held["bytes"] / max(1, held["held"]))


@dataclass(frozen=True, slots=True)
class Stats:
    """Sizes and counts of an open database.

    Attributes:
        keys: Keys that hold a value.
        versions: Versions held, deletions included.
        namespaces: Namespaces that hold a key with a value.
        memory_bytes: Bytes of linear memory that the engine has taken.
        memory_used_bytes: Bytes of it that are in use.
        record_bytes: Bytes of the versions themselves.
        disk_bytes: Bytes of log in the file; 0 in memory.
        max_memory_bytes: Cap of linear memory.
        max_disk_bytes: Cap of the file; None for none.
        storage: Kind of storage: ``memory`` or ``file``.
        path: The file; None in memory.
        recovered_bytes: Bytes of a torn tail that were cut off when the database was opened.
        vector_index: How ``similar`` searches: as ``Config.vector_index`` says.
        vectors: One entry for each namespace and model that has vectors.
    """

    keys: int
    versions: int
    namespaces: int
    memory_bytes: int
    memory_used_bytes: int
    record_bytes: int
    disk_bytes: int
    max_memory_bytes: int
    max_disk_bytes: int | None
    storage: str
    path: str | None
    recovered_bytes: int
    vector_index: str
    vectors: tuple[VectorStats, ...]


@dataclass(frozen=True, slots=True)
class Health:
    """Whether an open database can do its work.

    Attributes:
        healthy: True if there is no issue.
        issues: What is wrong, in words.
    """

    healthy: bool
    issues: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What a rehash of everything found.

    Attributes:
        ok: True if every checksum, id and link holds.
        versions: Versions rehashed in memory.
        commits: Commits whose place in the chain was recomputed, in memory or in the file.
        head: Hash of the latest commit.
        problems: What does not hold, in words.
    """

    ok: bool
    versions: int
    commits: int
    head: str
    problems: tuple[str, ...]
