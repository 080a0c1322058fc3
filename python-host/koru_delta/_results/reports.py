"""What a database reports of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


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
class IndexStats:
    """One index of a namespace.

    Attributes:
        namespace: The namespace.
        kind: ``field``, which ``create_index`` made, or ``text``, which the first search or recall
            of a namespace made, and which goes when memory runs short.
        field: Dotted path of its field; None for the text of all fields.
        documents: Values that are found by it; None for one that memory had no room for when the
            database was opened, so that nothing uses it.
        bytes: Memory that it takes.
    """

    namespace: str
    kind: str
    field: str | None
    documents: int | None
    bytes: int


@dataclass(frozen=True, slots=True)
class CompactReport:
    """What a compaction came to.

    Attributes:
        bytes_before: Bytes of the file before; 0 in memory.
        bytes_after: Bytes of the file after; 0 in memory.
        memory_before: Bytes of linear memory before.
        memory_after: Bytes of linear memory after.
        versions_before: Versions held before, deletions included.
        versions_after: Versions held after.
        versions_dropped: Versions that retention dropped.
        seconds: How long it took.
    """

    bytes_before: int
    bytes_after: int
    memory_before: int
    memory_after: int
    versions_before: int
    versions_after: int
    versions_dropped: int
    seconds: float


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was exported.

    Attributes:
        bytes: Bytes of the file.
        versions: Versions in it, deletions included.
        head: Hash of the latest commit in it.
    """

    bytes: int
    versions: int
    head: str


@dataclass(frozen=True, slots=True)
class SalvageReport:
    """What was intact of a damaged file, and what was lost.

    Attributes:
        bytes_read: Bytes of the damaged file.
        bytes_written: Bytes of the new file.
        bytes_lost: Bytes of the damaged file that were not taken, zeros at its end left out.
        lost: Where they are: pairs of the first byte and the one after the last.
        keys: Keys with a value in the new file.
        versions: Versions in the new file, deletions included.
    """

    bytes_read: int
    bytes_written: int
    bytes_lost: int
    lost: tuple[tuple[int, int], ...]
    keys: int
    versions: int


@dataclass(frozen=True, slots=True)
class Stats:
    """Sizes and counts of an open database.

    Attributes:
        keys: Keys that hold a value.
        versions: Versions held, deletions included.
        namespaces: Namespaces that hold a key with a value.
        memory_bytes: Bytes of linear memory that the engine has taken.
        memory_used_bytes: Bytes of it that are in use, or will be once the codes of all vectors
            are derived.
        record_bytes: Bytes of the versions themselves, in memory or not.
        versions_on_disk: Versions whose values are in the file only: old ones, once memory fills.
        record_bytes_on_disk: Bytes of those.
        disk_bytes: Bytes of log in the file; 0 in memory.
        max_memory_bytes: Cap of linear memory.
        max_disk_bytes: Cap of the file; None for none.
        storage: Kind of storage: ``memory`` or ``file``.
        path: The file; None in memory.
        recovered_bytes: Bytes of a torn tail that were cut off when the database was opened.
        vector_index: How ``similar`` searches: as ``Config.vector_index`` says.
        vectors: One entry for each namespace and model that has vectors.
        indexes: One entry for each index of a field or of text.
        versions_dropped: Versions that retention has dropped since the database was made.
        last_compaction: What the last compaction since it was opened came to; None before one.
    """

    keys: int
    versions: int
    namespaces: int
    memory_bytes: int
    memory_used_bytes: int
    record_bytes: int
    versions_on_disk: int
    record_bytes_on_disk: int
    disk_bytes: int
    max_memory_bytes: int
    max_disk_bytes: int | None
    storage: str
    path: str | None
    recovered_bytes: int
    vector_index: str
    vectors: tuple[VectorStats, ...]
    indexes: tuple[IndexStats, ...]
    versions_dropped: int
    last_compaction: CompactReport | None


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


@dataclass(frozen=True, slots=True)
class Explanation:
    """How a query ran.

    Attributes:
        path: ``scan`` (every key of the namespace), ``index`` (an index narrowed the filter) or
            ``index order`` (an index has the order, and reading stopped when enough was found).
        index: The field whose index was used; None for none.
        examined: Values that were looked at.
        matched: Values that matched the filter, as far as they were looked at.
        returned: Values that were selected after offset and limit.
    """

    path: str
    index: str | None
    examined: int
    matched: int
    returned: int


@dataclass(frozen=True, slots=True)
class Index:
    """An index of a field.

    Attributes:
        namespace: The namespace.
        field: Dotted path of the field.
        bytes: Memory that it takes.
    """

    namespace: str
    field: str
    bytes: int


@dataclass(frozen=True, slots=True)
class View:
    """A view's definition.

    Attributes:
        name: Name of the view.
        namespace: Namespace that it selects from.
        where: Its filter; None for all values.
        order_by: Its order: pairs of field and ``asc`` or ``desc``; empty for the order of keys.
    """

    name: str
    namespace: str
    where: dict[str, Any] | None
    order_by: tuple[tuple[str, str], ...]
