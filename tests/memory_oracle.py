"""What an agent should recall: BM25, recency and importance over plain dicts, for ASCII text.

Written to be read, and to know nothing of the package but the shape of stored values.
"""

from __future__ import annotations

import re
import sys
import time
import zlib
from dataclasses import dataclass
from math import log, sqrt
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

    from koru_delta.memory import AgentMemory, ConsolidationReport

K1 = 1.2
B = 0.75
FIELDS = ("content",)
"""What of a value is searched."""


def words(text: str) -> list[str]:
    """The words of an ASCII text."""
    return [word[:64] for word in re.findall(r"[a-z0-9]+", text.lower())]


@dataclass(frozen=True)
class Held:
    """A memory that an agent holds at the time of a question."""

    id: str
    value: dict[str, Any]
    written_us: int
    vector: tuple[float, ...] | None = None

    @property
    def words(self) -> list[str]:
        """The words that are searched."""
        return [word for field in FIELDS for word in words(self.value.get(field, ""))]


@dataclass(frozen=True)
class Settings:
    """How recalls are ranked; the defaults are those that are documented."""

    half_life: float = 7 * 24 * 3600
    weights: tuple[float, float, float] = (1.0, 0.3, 0.3)
    vector_share: float = 0.6
    min_cosine: float = 0.3


@dataclass(frozen=True)
class Expected:
    """A memory that should be recalled."""

    id: str
    relevance: float
    recency: float
    score: float


def text_relevances(held: list[Held], query: str) -> dict[str, float]:
    """BM25 of those that have a word of the query, as shares of the most there could be."""
    asked = words(query)
    documents = {one.id: one.words for one in held}
    average = sum(map(len, documents.values())) / max(1, len(documents))
    having = {word: sum(word in text for text in documents.values()) for word in set(asked)}
    idf = {
        word: log(1 + (len(documents) - count + 0.5) / (count + 0.5))
        for word, count in having.items()
    }
    most = sum(idf[word] * (K1 + 1) for word in asked)
    found: dict[str, float] = {}
    for name, text in documents.items():
        if not set(asked) & set(text):
            continue
        damping = K1 * (1 - B + B * len(text) / average)
        times = {word: text.count(word) for word in asked}
        score = sum(idf[word] * times[word] * (K1 + 1) / (times[word] + damping) for word in asked)
        found[name] = score / most
    return found


def cosine(left: tuple[float, ...], right: tuple[float, ...]) -> float:
    """The cosine of two vectors."""
    product = sum(a * b for a, b in zip(left, right, strict=True))
    return product / (sqrt(sum(a * a for a in left)) * sqrt(sum(b * b for b in right)))


def recall(
    held: list[Held],
    query: str,
    now_us: int,
    settings: Settings = Settings(),
    *,
    vector: tuple[float, ...] | None = None,
    memory_type: str | None = None,
    tags: tuple[str, ...] = (),
    min_relevance: float = 0.0,
) -> list[Expected]:
    """All memories that should be recalled, best first; equal scores by id."""
    by_text = text_relevances(held, query)
    expected: list[Expected] = []
    for one in held:
        if memory_type not in (None, one.value["type"]) or not set(tags) <= set(one.value["tags"]):
            continue
        relevance = by_text.get(one.id, 0.0)
        matches = one.id in by_text
        if vector is not None:
            near = 0.0 if one.vector is None else cosine(vector, one.vector)
            matches = matches or near >= settings.min_cosine
            share = settings.vector_share
            relevance = (1 - share) * relevance + share * max(0.0, near)
        if not matches or relevance <= 0 or relevance < min_relevance:
            continue
        age = max(0, now_us - one.written_us) / 1e6
        recency = 0.5 ** (age / settings.half_life)
        r, c, i = settings.weights
        mean = (r + c * recency + i * one.value["importance"]) / (r + c + i)
        expected.append(Expected(one.id, relevance, recency, relevance * mean))
    return sorted(expected, key=lambda one: (-one.score, one.id))


def word_vector(text: str, size: int = 256) -> tuple[float, ...]:
    """A stand-in for a model: each word, hashed, is a direction. No synonyms."""
    numbers = [0.0] * size
    numbers[0] = 0.01  # A text without words needs a direction too.
    for word in words(text):
        code = zlib.crc32(word.encode())
        numbers[code % size] += 1.0 if code & 1 << 31 else -1.0
    return tuple(numbers)


async def held_by(db: Any, namespace: str, *, at: Any = None, vectors: bool = False) -> list[Held]:
    """What an agent holds, read by the plain operations of the database."""
    found = []
    for key in await db.list_keys(namespace, at=at):
        versions = await db.history(namespace, key)
        if at is not None:
            versions = [one for one in versions if one.timestamp <= at]
        vector = tuple(map(float, await db.vector(namespace, key, at=at))) if vectors else None
        found.append(Held(key, versions[-1].value, versions[-1].timestamp_us, vector))
    return found


class Clock:
    """A wall clock of the package that a test sets, in whole seconds since 1970."""

    def __init__(self, patch: pytest.MonkeyPatch, seconds: int) -> None:
        self.seconds = seconds
        real = time.time_ns
        for name, module in list(sys.modules.items()):
            if name.startswith("koru_delta") and getattr(module, "time_ns", None) is real:
                patch.setattr(module, "time_ns", lambda: self.seconds * 10**9)


# What a support assistant might have noted in a month.
NOTES = [
    "Alice reported that the export to PDF fails with error 504 on large invoices",
    "Bob asked how to change the billing address of his company",
    "Alice reported that export to PDF fails with the error 504 on large invoices",
    "Carol cancelled her subscription because the mobile app is too slow",
    "Bob asked how to change the billing address of his company",
    "The nightly backup of the staging database took eleven minutes",
    "Dave wants to be called after five in the afternoon, never in the morning",
    "The nightly backup of the staging database took eleven minutes!",
    "Erin found a typo on the pricing page and got a voucher for it",
    "the nightly backup of the staging database took eleven minutes",
]
DUPLICATES = {(0, 2), (1, 4), (5, 7, 9)}


def embed(texts: list[str]) -> list[tuple[float, ...]]:
    """An embedder that knows words only."""
    return [word_vector(text) for text in texts]


async def remember(memory: AgentMemory, texts: list[str] = NOTES) -> list[str]:
    """The ids of texts that are remembered one after the other."""
    return [await memory.remember(text) for text in texts]


def groups(report: ConsolidationReport, ids: list[str]) -> set[tuple[int, ...]]:
    """Groups by the places of their members."""
    return {
        tuple(sorted(ids.index(one) for one in (group.id, *group.merged)))
        for group in report.merged
    }
