"""What a search by vector should find: in float64, naively. Filters are those of query_oracle."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from koru_delta import Match

    Array = np.ndarray[Any, Any]

CORPUS = Path(__file__).parent / "fixtures" / "corpus"
DIMENSION = 384
QUERIES = 50
INDEXES = ("exact", "quantized", "hnsw", "auto")
METRICS = ("cosine", "dot", "l2")


@dataclass(frozen=True)
class Corpus:
    """Real embeddings, and queries of which they hold the nearest."""

    rows: Array
    queries: Array

    @property
    def keys(self) -> list[str]:
        return [f"{i:04}" for i in range(len(self.rows))]


@cache
def corpus() -> Corpus:
    codes = np.fromfile(CORPUS / "minilm-384.i8", dtype="i1").reshape(-1, DIMENSION)
    scale = np.fromfile(CORPUS / "minilm-384.scale.f32", dtype="<f4")
    vectors = codes.astype("<f4") * scale[:, None]
    return Corpus(vectors[:-QUERIES].copy(), vectors[-QUERIES:].copy())


def scores(metric: str, rows: Any, query: Any) -> Array:
    """The score of each row, in float64: higher is nearer."""
    rows, query = np.asarray(rows, "f8"), np.asarray(query, "f8")
    if metric == "l2":
        distances: Array = -((rows - query) ** 2).sum(axis=1)
        return distances
    products: Array = rows @ query
    if metric == "dot":
        return products
    cosines: Array = products / (np.linalg.norm(rows, axis=1) * np.linalg.norm(query))
    return cosines


@cache
def corpus_scores(metric: str) -> list[Array]:
    """The scores of the corpus for each of its queries."""
    return [scores(metric, corpus().rows, query) for query in corpus().queries]


def best(truth: Array, allowed: Sequence[int], top_k: int) -> list[int]:
    """The rows with the highest scores among some, best first; the earlier row wins a tie."""
    order = np.argsort(-truth[list(allowed)], kind="stable")[:top_k]
    return [allowed[position] for position in order]


def assert_exact(
    found: list[Match], truth: Array, keys: Sequence[str], allowed: Sequence[int], top_k: int
) -> None:
    """The hits are the best of the oracle, but for the order of what float32 cannot tell apart."""
    expected = best(truth, allowed, top_k)
    slack = 1e-5 * max(1.0, float(np.abs(truth).max(initial=0.0)))
    row_of = {key: row for row, key in enumerate(keys)}
    rows = [row_of[match.key] for match in found]
    assert len(rows) == len(expected)
    assert len(set(rows)) == len(rows)
    assert set(rows) <= set(allowed)
    for match, row, wanted in zip(found, rows, expected, strict=True):
        assert abs(match.score - truth[row]) <= slack
        assert abs(truth[row] - truth[wanted]) <= 2 * slack
    assert [m.score for m in found] == sorted((m.score for m in found), reverse=True)
