"""What searches and queries find."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from struct import Struct, unpack_from
from typing import Any, Final

from koru_delta import _json
from koru_delta._results.versions import BYTES_VALUE, JSON_VALUE, RECORD
from koru_delta._times import to_datetime

_hit_places: Final = Struct("<16sQ16xHHHHI4xB").unpack_from
_Names = tuple[str, str, str, datetime]


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
        snippet: Of a text search: text around what was found; else None.
        highlights: Where in the snippet the words are: from and to, in characters.
    """

    namespace: str
    key: str
    score: float
    value: Any
    version_id: str
    timestamp: datetime
    snippet: str | None = None
    highlights: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Record:
    """One value that a query selected.

    Attributes:
        namespace: Namespace of the key.
        key: The key.
        value: The value, or the fields of it that were selected.
        version_id: Id of the version that holds it.
        timestamp: When that was written, UTC.
    """

    namespace: str
    key: str
    value: Any
    version_id: str
    timestamp: datetime


_new: Final = object.__new__
_set_namespace: Final = vars(Record)["namespace"].__set__
_set_key: Final = vars(Record)["key"].__set__
_set_value: Final = vars(Record)["value"].__set__
_set_version_id: Final = vars(Record)["version_id"].__set__
_set_timestamp: Final = vars(Record)["timestamp"].__set__


def records_from_payload(payload: bytes) -> list[Record]:
    """The records of a reply of versions."""
    names, values = _versions(payload, 0)[:2]
    found: list[Record] = []
    for (namespace, key, version_id, timestamp), value in zip(names, values, strict=True):
        # Much is selected at once, and a frozen class's own __init__ takes twice as long as this.
        record = _new(Record)
        _set_namespace(record, namespace)
        _set_key(record, key)
        _set_value(record, value)
        _set_version_id(record, version_id)
        _set_timestamp(record, timestamp)
        found.append(record)
    return found


def matches_from_payload(payload: bytes) -> list[list[Match]]:
    """The hits of each query of a search's reply: counts, scores, and versions."""
    counts, scores, start = _scores(payload)
    names, values, _ = _versions(payload, start)
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


def text_matches_from_payload(payload: bytes) -> list[Match]:
    """The hits of one search of text: counts, scores, versions, and snippets."""
    _, scores, start = _scores(payload)
    names, values, start = _versions(payload, start)
    snippets = _json.loads(payload[start + 4 :])
    return [
        Match(
            namespace, key, score, value, version_id, timestamp,
            None if snippet is None else snippet[0],
            () if snippet is None else tuple((begin, end) for begin, end in snippet[1]),
        )
        for (namespace, key, version_id, timestamp), score, value, snippet in zip(
            names, scores, values, snippets, strict=True
        )
    ]  # fmt: skip


def _scores(payload: bytes) -> tuple[tuple[int, ...], tuple[float, ...], int]:
    """Hits of each query, their scores, and where the versions begin."""
    queries = int.from_bytes(payload[:4], "little")
    counts = unpack_from(f"<{queries}I", payload, 4)
    total = sum(counts)
    start = 4 + 4 * queries
    return counts, unpack_from(f"<{total}f", payload, start), start + 4 * total


def _versions(payload: bytes, start: int) -> tuple[list[_Names], list[Any], int]:
    """Names and values of a payload of versions, and where it ends: one decoder call for all."""
    count = int.from_bytes(payload[start : start + 4], "little")
    lengths = unpack_from(f"<{count}I", payload, start + 4)
    start += 4 + 4 * count
    names: list[_Names] = []
    texts: list[bytes] = []
    bytes_values: dict[int, bytes] = {}
    # Hits tend to share their namespace, and those of a batch their time.
    last_namespace, namespace = b"", ""
    last_us, timestamp = 0, to_datetime(0)
    for length in lengths:
        version_id, timestamp_us, namespace_len, key_len, model_len, causes, value_len, kind = (
            _hit_places(payload, start)
        )
        key_at = start + RECORD.size + namespace_len
        key_end = key_at + key_len
        value_at = key_end + model_len + 16 * causes
        value = payload[value_at : value_at + value_len]
        if kind == BYTES_VALUE:
            bytes_values[len(texts)] = value
        texts.append(value if kind == JSON_VALUE else b"null")
        name = payload[key_at - namespace_len : key_at]
        if name != last_namespace:
            last_namespace, namespace = name, name.decode()
        if timestamp_us != last_us:
            last_us, timestamp = timestamp_us, to_datetime(timestamp_us)
        names.append((namespace, payload[key_at:key_end].decode(), version_id.hex(), timestamp))
        start += length
    values: list[Any] = _json.loads(b"[%b]" % b",".join(texts))
    for index, value in bytes_values.items():
        values[index] = value
    return names, values, start
