"""What searches and queries find."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from struct import Struct, unpack_from
from typing import TYPE_CHECKING, Any, Final, TypeVar

from koru_delta import _json
from koru_delta._results.versions import BYTES_VALUE, JSON_VALUE, RECORD
from koru_delta._times import to_datetime

_lengths: Final = Struct("<40xHHHHI4xB").unpack_from
_count_and_lengths: Final = Struct("<I44xHHHHI4xB").unpack_from
_ONE_AT: Final = 8
"""Where the record begins in a reply of one version."""
_NAMES_AT: Final = RECORD.size
_ONE_NAMES_AT: Final = _ONE_AT + _NAMES_AT
_LATER: Final = frozenset({"namespace", "version_id", "timestamp"})
_UNSAID: Final[dict[str, Any]] = {"snippet": None, "highlights": ()}


class _Found:
    """A key and its value; what else a reply says of it is taken apart when somebody looks."""

    __slots__ = ("_head",)

    _head: bytes
    """The version's record up to the key."""

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            # Reached only for a slot that is not filled yet.
            if name in _LATER:
                return _fill(self, name)
            if name in _UNSAID and name in type(self).__slots__:
                return _UNSAID[name]
            kind = type(self).__name__
            raise AttributeError(f"{kind!r} object has no attribute {name!r}", name=name, obj=self)


@dataclass(frozen=True, slots=True)
class Match(_Found):
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
class Record(_Found):
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


_FoundT = TypeVar("_FoundT", bound=_Found)
_set: Final = object.__setattr__
_set_score: Final = vars(Match)["score"].__set__
_set_snippet: Final = vars(Match)["snippet"].__set__
_set_highlights: Final = vars(Match)["highlights"].__set__


def _draft_of(kind: type[_Found]) -> Any:
    """A class of the same slots that is not frozen.

    What is being made is of this class, and of the other once it is filled: to fill what is frozen
    takes three times as long.
    """
    return type("_Draft", (_Found,), {"__slots__": kind.__slots__})


_RecordDraft: Final = _draft_of(Record)
_DRAFTS: Final[dict[type[_Found], Any]] = {Record: _RecordDraft, Match: _draft_of(Match)}


def _fill(found: _Found, name: str) -> Any:
    """Take apart what is not, and return one of its parts."""
    head = found._head
    parts = {
        "namespace": head[_NAMES_AT:].decode(),
        "version_id": head[:16].hex(),
        "timestamp": to_datetime(int.from_bytes(head[16:24], "little")),
    }
    for part, value in parts.items():
        _set(found, part, value)
    return parts[name]


def records_from_payload(payload: bytes) -> list[Record]:
    """The records of a reply of versions."""
    if len(payload) > _ONE_AT:
        # Most often there is one: its way is the other one's, without lists.
        count, namespace_len, key_len, model_len, causes, value_len, kind = _count_and_lengths(
            payload
        )
        if count == 1 and kind == JSON_VALUE:
            key_at = _ONE_NAMES_AT + namespace_len
            key_end = key_at + key_len
            value_at = key_end + model_len + 16 * causes
            record = _RecordDraft()
            record._head = payload[_ONE_AT:key_at]
            record.key = payload[key_at:key_end].decode()
            record.value = _json.loads(payload[value_at : value_at + value_len])
            record.__class__ = Record
            return [record]
    return _versions(payload, 0, Record)[0]


def matches_from_payload(payload: bytes) -> list[list[Match]]:
    """The hits of each query of a search's reply: counts, scores, and versions."""
    counts, scores, start = _scores(payload)
    hits, _ = _versions(payload, start, Match)
    for hit, score in zip(hits, scores, strict=True):
        _set_score(hit, score)
    if len(counts) == 1:
        return [hits]
    found: list[list[Match]] = []
    begin = 0
    for count in counts:
        found.append(hits[begin : begin + count])
        begin += count
    return found


def text_matches_from_payload(payload: bytes) -> list[Match]:
    """The hits of one search of text: counts, scores, versions, and snippets."""
    _, scores, start = _scores(payload)
    hits, start = _versions(payload, start, Match)
    snippets = _json.loads(payload[start + 4 :])
    for hit, score, snippet in zip(hits, scores, snippets, strict=True):
        _set_score(hit, score)
        if snippet is not None:
            _set_snippet(hit, snippet[0])
            _set_highlights(hit, tuple((begin, end) for begin, end in snippet[1]))
    return hits


def _scores(payload: bytes) -> tuple[tuple[int, ...], tuple[float, ...], int]:
    """Hits of each query, their scores, and where the versions begin."""
    queries = int.from_bytes(payload[:4], "little")
    counts = unpack_from(f"<{queries}I", payload, 4)
    total = sum(counts)
    start = 4 + 4 * queries
    return counts, unpack_from(f"<{total}f", payload, start), start + 4 * total


def _versions(payload: bytes, start: int, kind: type[_FoundT]) -> tuple[list[_FoundT], int]:
    """What a payload of versions is about, and where it ends: one decoder call for all values."""
    count = int.from_bytes(payload[start : start + 4], "little")
    lengths = unpack_from(f"<{count}I", payload, start + 4)
    start += 4 + 4 * count
    draft = _DRAFTS[kind]
    hits: list[Any] = []
    texts: list[bytes] = []
    bytes_values: dict[int, bytes] = {}
    for length in lengths:
        namespace_len, key_len, model_len, causes, value_len, value_kind = _lengths(payload, start)
        key_at = start + _NAMES_AT + namespace_len
        key_end = key_at + key_len
        value_at = key_end + model_len + 16 * causes
        value = payload[value_at : value_at + value_len]
        if value_kind == BYTES_VALUE:
            bytes_values[len(texts)] = value
        texts.append(value if value_kind == JSON_VALUE else b"null")
        hit = draft()
        hit._head = payload[start:key_at]
        hit.key = payload[key_at:key_end].decode()
        hits.append(hit)
        start += length
    values: list[Any] = _json.loads(b"[%b]" % b",".join(texts))
    for index, value in bytes_values.items():
        values[index] = value
    for hit, one in zip(hits, values, strict=True):
        hit.value = one
        hit.__class__ = kind
    return hits, start
