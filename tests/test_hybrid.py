"""Text and vectors together: both scores, brought to 0 to 1 and added up."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from koru_delta import Config, Database, Match, SyncDatabase, ValidationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import FileOpener

WORDS = ["red", "blue", "sea", "sky", "ship", "star"]


async def fill(db: Database, count: int = 120) -> None:
    """Documents with text, with a vector, and with both, in several groups."""
    source = random.Random(4)
    for i in range(count):
        text = " ".join(source.choices(WORDS, k=source.randrange(1, 7)))
        value: dict[str, Any] = {"g": i % 4, "text": text, "title": source.choice(WORDS)}
        vector = [source.uniform(-1, 1) for _ in range(4)]
        if i % 5 == 0:
            await db.put("n", f"{i:03}", value)
        elif i % 5 == 1:
            await db.embed("n", f"{i:03}", vector, {"g": i % 4})
        else:
            await db.put("n", f"{i:03}", value, embedding=vector)


def keys(matches: list[Match]) -> list[str]:
    return [match.key for match in matches]


def fused(by_text: list[Match], by_vector: list[Match], weight: float) -> dict[str, float]:
    """The score of every key that one of the searches found; the best would have 1."""
    scores: dict[str, float] = {}
    worst = min((match.score for match in by_vector), default=0.0)
    for found, share, least in ((by_text, 1 - weight, 0.0), (by_vector, weight, worst)):
        span = found[0].score - least if found else 0.0
        for match in found:
            if share > 0:
                part = (match.score - least) / span if span else 1.0
                scores[match.key] = scores.get(match.key, 0.0) + share * part
    return scores


QUERY = [0.3, -0.2, 0.9, 0.1]
OPTIONS: list[dict[str, Any]] = [
    {},
    {"where": {"g": {"$in": [1, 3]}}},
    {"fields": "title"},
    {"fields": {"title": 3.0, "text": 1.0}, "where": {"g": 0}},
]


@pytest.mark.parametrize("options", OPTIONS, ids=repr)
@pytest.mark.parametrize("weight", [0.0, 0.25, 0.5, 0.9, 1.0])
def test_both_rankings_are_fused(weight: float, options: dict[str, Any]) -> None:
    with SyncDatabase() as db:
        for i in range(90):
            source = random.Random(i)
            text = " ".join(source.choices(WORDS, k=4))
            value = {"g": i % 4, "text": text, "title": source.choice(WORDS)}
            vector = [source.uniform(-1, 1) for _ in range(4)]
            db.put("n", f"{i:02}", value if i % 3 else {"g": i % 4}, embedding=vector)
        by_vector = {name: option for name, option in options.items() if name == "where"}
        text = "red ship -star"
        scores = fused(
            db.search("n", text, 100, **options), db.similar("n", QUERY, 100, **by_vector), weight
        )
        for top_k in (1, 10, 100):
            found = db.hybrid("n", text, QUERY, top_k, weight=weight, **options)
            assert len(found) == min(top_k, len(scores))
            best = sorted(scores.values(), reverse=True)
            for match, score in zip(found, best, strict=False):
                assert match.score == pytest.approx(scores[match.key], rel=1e-5)
                assert match.score == pytest.approx(score, rel=1e-5)
            assert found == sorted(found, key=lambda match: (-match.score, match.key))


async def test_a_weight_of_nothing_leaves_one_ranking(db: Database) -> None:
    await fill(db)
    for top_k in (1, 5, 40, 1000):
        by_text = await db.search("n", "blue sea", top_k)
        by_vector = await db.similar("n", QUERY, top_k)
        assert keys(await db.hybrid("n", "blue sea", QUERY, top_k, weight=0)) == keys(by_text)
        assert keys(await db.hybrid("n", "blue sea", QUERY, top_k, weight=1)) == keys(by_vector)
    assert await db.namespace("n").hybrid("sea", QUERY) == await db.hybrid("n", "sea", QUERY)


async def test_what_only_one_search_finds_is_found(db: Database) -> None:
    await db.put("n", "text", {"text": "red sea"})
    await db.embed("n", "vector", [1.0, 0.0], {"n": 1})
    await db.put("n", "both", {"text": "red ship"}, embedding=[1.0, 0.1])
    await db.put("n", "neither", {"text": "blue"})
    found = await db.hybrid("n", "red", [1.0, 0.0])
    assert found[0].key == "both"
    assert {match.key for match in found} == {"text", "vector", "both"}
    of = {match.key: match for match in found}
    assert of["vector"].snippet is None
    assert of["vector"].highlights == ()
    assert (of["text"].snippet, of["text"].highlights) == ("red sea", ((0, 3),))
    assert of["both"].value == {"text": "red ship"}
    assert of["both"].version_id == (await db.history("n", "both"))[-1].version_id
    for text in ("nowhere", "", "-red", "..."):
        assert set(keys(await db.hybrid("n", text, [1.0, 0.0]))) == {"vector", "both"}
        assert await db.hybrid("n", text, [1.0, 0.0], weight=0) == []


async def test_ties_go_by_key(db: Database) -> None:
    for i in (3, 1, 2, 5, 4):
        await db.put("n", f"text-{i}", "sea")
        await db.embed("n", f"vector-{i}", [1.0, 0.0], {})
    found = await db.hybrid("n", "sea", [1.0, 0.0], weight=0.5)
    # All scores are equal on both sides, which weigh the same: the order is that of keys.
    assert keys(found) == [f"{kind}-{i}" for kind in ("text", "vector") for i in range(1, 6)]
    assert {match.score for match in found} == {0.5}
    assert keys(await db.hybrid("n", "sea", [1.0, 0.0], 3)) == keys(found)[:3]


async def test_filters_and_times_apply_to_both(
    open_file: FileOpener, reopen: Callable[..., Any]
) -> None:
    db = await open_file()
    first = await db.put("n", "a", {"text": "sea", "g": 1}, embedding=[1.0, 0.0])
    await db.put("n", "b", {"text": "sea", "g": 2}, embedding=[1.0, 0.0])
    await db.put("n", "a", {"text": "sky", "g": 2}, embedding=[0.0, 1.0])
    await db.delete("n", "b")
    last = (await db.history("n", "b"))[-1]
    await db.put("n", "c", {"text": "sea", "g": 1})
    for _ in range(2):
        for weight in (0.0, 0.5, 1.0):
            options: dict[str, Any] = {"weight": weight}
            assert keys(await db.hybrid("n", "sea", [1, 0], at=first, **options)) == ["a"]
            assert await db.hybrid("n", "sea", [1, 0], where={"g": 2}, at=first, **options) == []
            only_text = [] if weight == 0 else ["a"]
            assert keys(await db.hybrid("n", "sea", [1, 0], at=last, **options)) == only_text
        now = await db.hybrid("n", "sea", [1, 0])
        assert {match.key for match in now} == {"a", "c"}
        assert keys(await db.hybrid("n", "sea", [1, 0], where={"g": 1})) == ["c"]
        db = await reopen(db)
    await db.erase("n", "a")
    assert await db.hybrid("n", "sea", [1, 0], at=first) == []
    assert keys(await db.hybrid("n", "sea", [1, 0])) == ["c"]


async def test_without_vectors_or_without_text_it_is_the_other_search(db: Database) -> None:
    await db.put("texts", "a", "red sea")
    assert keys(await db.hybrid("texts", "sea", [1.0, 2.0])) == ["a"]
    await db.embed("vectors", "b", [1.0, 2.0], {"n": 1})
    assert keys(await db.hybrid("vectors", "sea", [1.0, 2.0])) == ["b"]
    assert await db.hybrid("nowhere", "sea", [1.0, 2.0]) == []


async def test_models_and_dimensions_are_those_of_similar(db: Database) -> None:
    await db.embed("n", "a", [1.0, 0.0], {"text": "sea"}, model="m1")
    await db.embed("n", "b", [1.0, 0.0, 0.0], {"text": "sky"}, model="m2")
    assert keys(await db.hybrid("n", "x", [1.0, 0.0], model="m1")) == ["a"]
    assert keys(await db.hybrid("n", "x", [1.0, 0.0, 0.0])) == ["b"]
    for query, model in (([1.0, 0.0], "m2"), ([1.0] * 5, None), ([1.0, 0.0], "m3")):
        with pytest.raises(ValidationError):
            await db.similar("n", query, model=model)
        with pytest.raises(ValidationError):
            await db.hybrid("n", "sea", query, model=model)
    for bad in ([], [float("nan"), 0.0], [0.0, 0.0], "text", None):
        with pytest.raises(ValidationError):
            await db.hybrid("n", "sea", bad)
    assert keys(await db.hybrid("n", "sky", [1.0, 0.0])) == ["a", "b"]


@pytest.mark.parametrize("vector_index", ["exact", "quantized", "hnsw"])
def test_every_kind_of_vector_index(vector_index: Any) -> None:
    with SyncDatabase(Config(vector_index=vector_index)) as db:
        source = random.Random(1)
        names = [f"{i:04}" for i in range(2000)]
        vectors = [[source.gauss(0, 1) for _ in range(8)] for _ in names]
        values = [{"text": WORDS[i % 6], "g": i % 10} for i in range(2000)]
        db.embed_batch("n", names, vectors, values)
        found = db.hybrid("n", "ship", vectors[4], 20, where={"g": 4})
        assert found[0].key == "0004"
        assert {match.value["g"] for match in found} == {4}
        assert len(found) == 20
