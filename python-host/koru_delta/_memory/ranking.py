"""What fits a question, best first.

The engine ranks: one request brings what is to be returned, and nothing else crosses the boundary.
A memory matches if it has a word of the question, or a vector whose cosine with the question's is
at least ``min_cosine``; others, and what has a relevance of 0, are never returned. The parts:

- ``relevance``, from 0 to 1: BM25 divided by the most that a memory could have for this question,
  the sum over its words of ``idf * (k1 + 1)``; with the question's vector
  ``(1 - vector_share) * text + vector_share * max(0, cosine)``.
- ``recency``: ``0.5 ** (age / half_life)``, where age is the time since the memory was written.
- ``score``: ``relevance * (r + c * recency + i * importance) / (r + c + i)`` with the weights r, c
  and i: relevance, lowered for what is old and unimportant.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from math import inf
from time import time_ns
from typing import TYPE_CHECKING, Any, Final, TypeGuard

from koru_delta import _json
from koru_delta import _protocol as op
from koru_delta._arguments import check_text, check_top_k
from koru_delta._memory.arguments import (
    check_memory_type,
    check_seconds,
    check_share,
    check_tags,
)
from koru_delta._protocol import NOW
from koru_delta._results.memories import MemoryType, Recalled, recalled_from_payload
from koru_delta._times import to_microseconds
from koru_delta._vectors import vector_bytes
from koru_delta.errors import ValidationError

if TYPE_CHECKING:
    from koru_delta._times import Time
    from koru_delta.database import Database

_MAX_TEXT_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class RecallWeights:
    """How much relevance, recency and importance count in the score of a recall.

    They are shares: only their ratios matter. The score is relevance times the weighted mean of 1,
    recency and importance, so that with ``RecallWeights(1, 0, 0)`` it is the relevance alone.

    Attributes:
        relevance: Weight of what does not change with age and importance.
        recency: Weight of recency.
        importance: Weight of importance.

    Raises:
        ValidationError: If one is negative or not finite, or all are 0.

    Example:
        >>> RecallWeights(importance=1.0)
        RecallWeights(relevance=1.0, recency=0.3, importance=1.0)
    """

    relevance: float = 1.0
    recency: float = 0.3
    importance: float = 0.3

    def __post_init__(self) -> None:
        """Check each weight."""
        for name in ("relevance", "recency", "importance"):
            weight = getattr(self, name)
            is_number = isinstance(weight, int | float) and not isinstance(weight, bool)
            if not is_number or not 0 <= weight < inf:
                raise ValidationError(
                    f"RecallWeights.{name} is {weight!r:.60}", suggestion="give 0 or more"
                )
        if not 0 < self.relevance + self.recency + self.importance < inf:
            raise ValidationError(
                "the sum of RecallWeights is not positive and finite",
                suggestion="give moderate weights, of which one is not 0",
            )


HALF_LIFE: Final = timedelta(days=7)
WEIGHTS: Final = RecallWeights()
VECTOR_SHARE: Final = 0.6
MIN_COSINE: Final = 0.3


class Ranking:
    """How an agent ranks."""

    def __init__(
        self,
        half_life: timedelta | float,
        weights: RecallWeights,
        vector_share: float,
        min_cosine: float,
    ) -> None:
        """Check the settings."""
        if not isinstance(weights, RecallWeights):
            raise ValidationError(
                f"weights is of type {type(weights).__name__}",
                suggestion="give RecallWeights(relevance=..., recency=..., importance=...)",
            )
        self.control = {
            "half_life": check_seconds("half_life", half_life),
            "weights": [
                float(weights.relevance),
                float(weights.recency),
                float(weights.importance),
            ],
            "vector_share": check_share("vector_share", vector_share),
            "min_cosine": check_share("min_cosine", min_cosine),
        }


class Question:
    """The arguments of a recall, checked."""

    def __init__(
        self,
        query: str,
        limit: int,
        min_relevance: float,
        memory_type: MemoryType | str | None,
        tags: Iterable[str] | None,
        metadata: Mapping[str, Any] | None,
        since: Time | None,
        until: Time | None,
        at: Time | None,
    ) -> None:
        """Check them."""
        self.text = check_text("the query", query)
        self.limit = _check_limit(limit)
        self.min_relevance = check_share("min_relevance", min_relevance)
        self.filter = _filter(check_memory_type(memory_type), tags, metadata)
        times = (("since", since), ("until", until))
        self.written = {name: to_microseconds(at) for name, at in times if at is not None}
        self.at_us = to_microseconds(at)

    @property
    def searched_text(self) -> str:
        """The words of the query: its punctuation is no syntax, and its first 4 KiB count."""
        text = self.text.replace('"', " ").replace("+", " ").replace("-", " ").replace("*", " ")
        if len(text) <= _MAX_TEXT_BYTES // 4:
            return text
        return text.encode()[:_MAX_TEXT_BYTES].decode(errors="ignore")


async def recall_hits(
    db: Database,
    namespace: str,
    ranking: Ranking,
    question: Question,
    vector: Any | None,
    model: str | None,
) -> list[Recalled]:
    """What the engine finds, best first: one request.

    Args:
        db: The database.
        namespace: The agent's namespace.
        ranking: How to rank.
        question: What to look for.
        vector: The question's vector, or None.
        model: Its model.
    """
    now = time_ns() // 1000 if question.at_us == NOW else question.at_us
    control = {
        "text": question.searched_text,
        "limit": question.limit,
        "min_relevance": question.min_relevance,
        "now": now,
        "model": model,
        **question.written,
        **ranking.control,
    }
    reply = await db._read_timed(
        op.RECALL, namespace, control=control, payload=question.filter, at=question.at_us,
        vector=b"" if vector is None else vector_bytes(vector, "the query's vector"),
    )  # fmt: skip
    return await db._taken_apart(recalled_from_payload, reply[2])


def _check_limit(limit: int) -> int:
    try:
        return check_top_k(limit)
    except ValidationError as error:
        raise ValidationError(
            error.message.replace("top_k", "limit", 1), suggestion="ask for that many memories"
        ) from None


def _filter(
    memory_type: str | None, tags: Iterable[str] | None, metadata: Mapping[str, Any] | None
) -> bytes:
    parts: list[dict[str, Any]] = []
    if memory_type is not None:
        parts.append({"type": memory_type})
    if tags is not None:
        parts += [{"tags": tag} for tag in check_tags(tags)]
    if metadata is not None:
        if not isinstance(metadata, dict):
            raise ValidationError(
                f"metadata is of type {type(metadata).__name__}",
                suggestion='give a filter such as {"user": "bob"}',
            )
        _json.encode(metadata)  # It names the place of what is no JSON, and ends where it is deep.
        parts.append(_of_metadata(metadata))
    if not parts:
        return b""
    return _json.encode({"$and": parts} if len(parts) > 1 else parts[0])[1]


def _of_metadata(where: Mapping[str, Any]) -> dict[str, Any]:
    """A filter on metadata as one on values; the engine finds what is no filter."""
    found: dict[str, Any] = {}
    for name, operand in where.items():
        if name in ("$and", "$or") and _is_list(operand):
            found[name] = [_of_metadata(part) if _is_dict(part) else part for part in operand]
        elif name == "$not" and _is_dict(operand):
            found[name] = _of_metadata(operand)
        else:
            found[name if name.startswith("$") else f"metadata.{name}"] = operand
    return found


def _is_dict(value: Any) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def _is_list(value: Any) -> TypeGuard[list[Any]]:
    return isinstance(value, list)
