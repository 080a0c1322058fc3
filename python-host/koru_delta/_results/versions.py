"""Versions, taken apart when looked at."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from struct import Struct, unpack_from
from typing import Any, Final

from koru_delta import _json
from koru_delta._times import to_datetime

RECORD: Final = Struct("<16sQ16sHHHHIIB7x")
_places: Final = Struct("<Q16xHHHHI4xB").unpack_from
_PAGE_VERSIONS: Final = 256
_PAGE_BYTES: Final = 256 * 1024
_NO_ID: Final = bytes(16)
JSON_VALUE: Final = 0
BYTES_VALUE: Final = 1
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
        start = RECORD.size + namespace_len + key_len + model_len + 16 * cause_count
        data = record[start : start + length]
        if kind == BYTES_VALUE:
            bytes_values[len(texts)] = data
        texts.append(data if kind == JSON_VALUE else b"null")
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
    ) = RECORD.unpack_from(record)  # fmt: skip
    start = RECORD.size
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
