"""What an agent remembers, as its methods return it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from struct import Struct, unpack_from
from typing import Any, Final, NamedTuple, TypeAlias

from koru_delta import _json
from koru_delta._results.versions import JSON_VALUE, RECORD, Version
from koru_delta._times import to_datetime
from koru_delta.errors import KoruDeltaError


class MemoryType(StrEnum):
    """Kinds of memories. A member is a str: ``MemoryType.FACT == "fact"``."""

    EPISODE = "episode"
    """Something that happened."""
    FACT = "fact"
    """Something known, under a key."""
    PROCEDURE = "procedure"
    """Steps that do something, under a name."""


@dataclass(frozen=True, slots=True)
class Memory:
    """One memory of an agent.

    Attributes:
        id: What ``forget``, ``get``, ``history`` and ``caused_by`` take: the key in the agent's
            namespace.
        content: The text. Of a procedure its name and its steps, a line each.
        memory_type: Episode, fact or procedure.
        importance: From 0 to 1, as it was given.
        created_at: When it was first written, UTC.
        updated_at: When it was last written, UTC.
        last_accessed: When it was last recalled, UTC; None if never.
        access_count: How often it was recalled.
        tags: Its tags, in the order in which they were given.
        metadata: Its metadata.
        version_id: Id of the version of it that this is.
        name: Of a fact its key, of a procedure its name; None for an episode.
        steps: Of a procedure its steps; else empty.
        success_rate: Of a procedure the share of times that it worked, if that is known.
    """

    id: str
    content: str
    memory_type: MemoryType
    importance: float
    created_at: datetime
    updated_at: datetime
    last_accessed: datetime | None
    access_count: int
    tags: list[str]
    metadata: dict[str, Any]
    version_id: str
    name: str | None
    steps: list[str]
    success_rate: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryRecall(Memory):
    """A memory that was recalled, and why. This recall is counted in ``access_count``.

    Attributes:
        relevance: How well it fits the query, from 0 to 1.
        recency: From 1 for what was written just now towards 0; half after each half-life.
        score: What recalls are ranked by: relevance, lowered by age and unimportance.
    """

    relevance: float
    recency: float
    score: float
    _hit: tuple[Recalled, Access] | None = field(default=None, repr=False, compare=False)

    def __getattr__(self, name: str) -> Any:
        # Reached only for a slot that is not filled yet: a hit is taken apart when somebody looks.
        # What is looked at most, and often alone, does not need the rest to be made.
        if name in _ALONE and (found := self._hit) is not None:
            return _ALONE[name](found[0])
        if name not in _LAZY:
            raise AttributeError(name)
        _fill(self)
        return object.__getattribute__(self, name)


_new: Final = object.__new__
_set: Final = object.__setattr__
_set_hit: Final = vars(MemoryRecall)["_hit"].__set__
_FIELDS: Final = tuple(one.name for one in fields(Memory))
_LAZY: Final = {*_FIELDS, "relevance", "recency", "score"}


@dataclass(frozen=True, slots=True)
class MemoryStats:
    """How much an agent remembers.

    Attributes:
        episodes: Number of episodes.
        facts: Number of facts.
        procedures: Number of procedures.
        accesses: How often memories were recalled, forgotten ones included.
        oldest: When the oldest memory was written, UTC; None without any.
        newest: When the newest memory was written, UTC; None without any.
    """

    episodes: int
    facts: int
    procedures: int
    accesses: int
    oldest: datetime | None
    newest: datetime | None

    @property
    def total(self) -> int:
        """Number of memories of all kinds."""
        return self.episodes + self.facts + self.procedures


@dataclass(frozen=True, slots=True)
class MergedGroup:
    """Near-duplicates that became one memory.

    Attributes:
        id: The memory that stays: the newest of them.
        version_id: Version of it that was written.
        previous: Version of it before.
        merged: The others, newest first; they were deleted.
        merged_versions: The version of each of those.
    """

    id: str
    version_id: str
    previous: str
    merged: tuple[str, ...]
    merged_versions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ConsolidationReport:
    """What a consolidation did. ``undo`` takes it back.

    Attributes:
        agent_id: Whose memories they are.
        examined: Number of memories that were looked at.
        merged: The groups that became one memory each.
        forgotten: Memories that were deleted for their age and unimportance.
        forgotten_versions: The version of each of those.
    """

    agent_id: str
    examined: int
    merged: tuple[MergedGroup, ...]
    forgotten: tuple[str, ...]
    forgotten_versions: tuple[str, ...]


class Recalled(NamedTuple):
    """A hit of a recall, taken from the reply."""

    id: str
    value: dict[str, Any]
    version_id: str
    written_us: int
    score: float
    parts: list[Any]
    """Relevance, recency, importance, and when the key was first written, in microseconds."""


Access: TypeAlias = tuple[int, int]
"""How often a memory was recalled, and when last, in microseconds."""

_TYPES: Final = {kind.value: kind for kind in MemoryType}
_places: Final = Struct("<16sQ16xHHHHI4xB").unpack_from
_PARTS: Final = frozenset({"type", "content", "importance", "tags", "metadata"})


def check_memory(memory_id: str, value: Any) -> None:
    """Refuse a value of an agent's namespace that was not written as a memory.

    Raises:
        KoruDeltaError: If it is one.
    """
    if not issubclass(type(value), dict) or not _is_memory(value):
        raise no_memory(memory_id)


def _is_memory(value: dict[str, Any]) -> bool:
    return (
        value.keys() >= _PARTS
        and isinstance(value["content"], str)
        and isinstance(value["type"], str)
        and value["type"] in _TYPES
        and (value["type"] == "episode" or isinstance(value.get("name"), str))
    )


def no_memory(memory_id: str) -> KoruDeltaError:
    """The error for a value of an agent's namespace that is no memory."""
    return KoruDeltaError(
        f"{memory_id!r:.100} in the agent's namespace is no memory: it was put there otherwise",
        suggestion="delete it, db.delete(memory.namespace, key), and keep it in another namespace",
    )


def recalled_from_payload(payload: bytes) -> list[Recalled]:
    """The hits of a recall's reply, best first: a count, scores, versions, and parts of scores."""
    count = int.from_bytes(payload[4:8], "little")
    scores = unpack_from(f"<{count}f", payload, 8)
    lengths = unpack_from(f"<{count}I", payload, 12 + 4 * count)
    start = 12 + 8 * count
    names: list[tuple[str, str, int]] = []
    texts: list[bytes] = []
    kinds = bytearray()
    for length in lengths:
        version_id, written_us, namespace, key, model, causes, value, kind = _places(payload, start)
        kinds.append(kind)
        key_at = start + RECORD.size + namespace
        value_at = key_at + key + model + 16 * causes
        names.append((payload[key_at : key_at + key].decode(), version_id.hex(), written_us))
        texts.append(payload[value_at : value_at + value])
        start += length
    if max(kinds, default=JSON_VALUE) != JSON_VALUE:
        raise no_memory(next(name for (name, _, _), kind in zip(names, kinds, strict=True) if kind))
    values: list[Any] = _json.loads(b"[%b]" % b",".join(texts))
    for (memory_id, _, _), value in zip(names, values, strict=True):
        check_memory(memory_id, value)
    parts: list[list[Any]] = _json.loads(payload[start + 4 :])
    return [
        Recalled(memory_id, value, version_id, written_us, score, part)
        for (memory_id, version_id, written_us), value, score, part in zip(
            names, values, scores, parts, strict=True
        )
    ]


def _content(value: dict[str, Any]) -> str:
    """The text of a memory: that of a fact without its key."""
    content: str = value["content"]
    return content[len(value["name"]) + 2 :] if value["type"] == "fact" else content


_ALONE: Final[dict[str, Callable[[Recalled], Any]]] = {
    "id": lambda hit: hit.id,
    "content": lambda hit: _content(hit.value),
    "score": lambda hit: hit.score,
    "relevance": lambda hit: hit.parts[0],
    "importance": lambda hit: hit.value["importance"],
}


def recalls(hits: list[Recalled], accesses: list[Access]) -> list[MemoryRecall]:
    """Recalled memories with what is known of their accesses: taken apart when looked at."""
    found: list[MemoryRecall] = []
    for hit in zip(hits, accesses, strict=True):
        one = _new(MemoryRecall)
        _set_hit(one, hit)
        found.append(one)
    return found


def _fill(one: MemoryRecall) -> None:
    found = one._hit
    if found is None:  # Another thread has filled it meanwhile.
        return
    hit, (count, last_us) = found
    relevance, recency, _, created_us = hit.parts
    updated = to_datetime(hit.written_us)
    created = updated if created_us == hit.written_us else to_datetime(created_us)
    accessed = to_datetime(last_us) if count else None
    values = _values(hit.id, hit.value, created, updated, accessed, count, hit.version_id)
    for name, value in zip(_FIELDS, values, strict=True):
        _set(one, name, value)
    _set(one, "relevance", relevance)
    _set(one, "recency", recency)
    _set(one, "score", hit.score)
    _set_hit(one, None)


def memory(version: Version, created_us: int, access: Access) -> Memory:
    """A memory from its version, the time of its first version, and its accesses."""
    count, last_us = access
    accessed = to_datetime(last_us) if count else None
    created = to_datetime(created_us)
    return Memory(
        *_values(
            version.key, version.value, created, version.timestamp, accessed, count,
            version.version_id,
        )
    )  # fmt: skip


def _values(
    memory_id: str,
    value: dict[str, Any],
    created: datetime,
    updated: datetime,
    accessed: datetime | None,
    count: int,
    version_id: str,
) -> tuple[Any, ...]:
    """The fields of a memory, in their order."""
    return (
        memory_id,
        _content(value),
        _TYPES[value["type"]],
        value["importance"],
        created,
        updated,
        accessed,
        count,
        value["tags"],
        value["metadata"],
        version_id,
        value.get("name"),
        value.get("steps", []),
        value.get("success_rate"),
    )
