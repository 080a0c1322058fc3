"""A search finds what a naive one in float64 finds, on every path, with and without filters."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from query_oracle import matches
from vector_oracle import (
    INDEXES,
    METRICS,
    assert_exact,
    best,
    corpus,
    corpus_scores,
    scores,
)

from koru_delta import Config, Database, SyncDatabase, ValidationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Opener

RECALL_FLOOR = 0.95
DERIVED_WITHIN_SECONDS = 60
COLOURS = ["red", "green", "blue", "grey", "black"]


def metadata(i: int) -> dict[str, Any]:
    """Values of several types and depths, some of them absent."""
    value: dict[str, Any] = {
        "i": i,
        "half": i % 2,
        "tenth": i % 10,
        "percent": i % 100,
        "mille": i % 1000,
        "price": i / 4,
        "colour": COLOURS[i % 5],
        "tags": [COLOURS[i % 5], f"tag-{i % 7}"],
        "title": f"Package {i} for {COLOURS[i % 3]}",
        "at": {"shelf": {"row": i % 20}, "side": "left" if i % 3 else None},
    }
    if i % 4 == 0:
        value["rare"] = bool(i % 8)
    return value


EVERY_ROW = range(2000)
VALUES = [metadata(i) for i in EVERY_ROW]
FILTERS: list[dict[str, Any]] = [
    {},
    {"half": 1},
    {"tenth": 3},
    {"percent": {"$eq": 17}},
    {"mille": 500},
    {"i": -1},
    {"colour": {"$ne": "red"}},
    {"rare": {"$ne": True}},
    {"price": {"$gt": 400.25}},
    {"price": {"$gte": 400.25, "$lt": 410}},
    {"i": {"$lt": 7}},
    {"i": {"$lte": 7}},
    {"colour": {"$gt": "green"}},
    {"colour": {"$gte": 5}},
    {"percent": {"$in": [1, 2, "3", None, 99]}},
    {"percent": {"$in": []}},
    {"colour": {"$nin": ["red", "blue", 1]}},
    {"rare": {"$nin": [True]}},
    {"rare": {"$exists": True}},
    {"rare": {"$exists": False}},
    {"at.side": {"$exists": True}},
    {"at.side": None},
    {"tags": {"$contains": "tag-3"}},
    {"title": {"$contains": "for green"}},
    {"title": {"$regex": "^Package 1[0-9]+ for (red|blue)$"}},
    {"at.shelf.row": {"$gte": 18}},
    {"at.shelf": {"$eq": {"row": 4}}},
    {"at.shelf.none": {"$exists": True}},
    {"$and": [{"half": 0}, {"colour": "red"}]},
    {"$or": [{"mille": 1}, {"colour": "blue", "tenth": 2}]},
    {"$not": {"half": 0}},
    {"price": {"$not": {"$gt": 3}}},
    {
        "$or": [{"$and": [{"half": 1}, {"$not": {"tenth": 3}}]}, {"at.shelf.row": 4}],
        "i": {"$gt": 9},
    },
]


@pytest.fixture(scope="module", params=[(i, m) for m in METRICS for i in INDEXES], ids="-".join)
def filled(request: pytest.FixtureRequest) -> Iterator[tuple[SyncDatabase, str]]:
    """The corpus with metadata, in a database of each index and metric, and the metric."""
    index, metric = request.param
    data = corpus()
    with SyncDatabase(Config(vector_index=index, vector_metric=metric)) as db:
        assert db.embed_batch("corpus", data.keys, data.rows, VALUES) == len(data.rows)
        yield db, metric


def test_real_embeddings_are_found_on_every_path(filled: tuple[SyncDatabase, str]) -> None:
    db, metric = filled
    data = corpus()
    truths = corpus_scores(metric)
    exact = db.similar_batch("corpus", data.queries, exact=True)
    batch = db.similar_batch("corpus", data.queries)
    found_right = 0
    for truth, without_loss, found in zip(truths, exact, batch, strict=True):
        assert_exact(without_loss, truth, data.keys, EVERY_ROW, 10)
        wanted = {data.keys[row] for row in best(truth, EVERY_ROW, 10)}
        found_right += len(wanted & {match.key for match in found})
        for match in found:
            assert match.score == pytest.approx(truth[int(match.key)], rel=1e-5, abs=1e-5)
            assert match.value == VALUES[int(match.key)]
    assert found_right / (10 * len(batch)) >= RECALL_FLOOR


def test_a_batch_of_queries_finds_what_each_finds_alone(filled: tuple[SyncDatabase, str]) -> None:
    db, _ = filled
    queries = corpus().queries[:10]
    for options in ({}, {"exact": True}, {"where": {"half": 1}}):
        batch = db.similar_batch("corpus", queries, **options)
        assert batch == [db.similar("corpus", query, **options) for query in queries]


def test_the_path_that_was_taken_is_reported(filled: tuple[SyncDatabase, str]) -> None:
    db, metric = filled
    db.similar("corpus", corpus().queries[0], exact=True)
    (held,) = db.stats().vectors
    assert (held.path, held.vectors, held.held, held.dimension) == ("exact", 2000, 2000, 384)
    assert held.metric == metric
    wanted = db.stats().vector_index
    deadline = time.monotonic() + DERIVED_WITHIN_SECONDS
    while db.stats().vectors[0].behind:  # What is behind is scanned.
        assert time.monotonic() < deadline
        time.sleep(0.01)
    db.similar("corpus", corpus().queries[0])
    path = db.stats().vectors[0].path
    assert path == wanted or (wanted == "auto" and path is not None)


def test_filters_find_what_plain_python_finds(filled: tuple[SyncDatabase, str]) -> None:
    db, metric = filled
    data = corpus()
    for number, where in enumerate(FILTERS):
        allowed = [i for i, value in enumerate(VALUES) if matches(value, where)]
        query, truth = data.queries[number], corpus_scores(metric)[number]
        found = db.similar("corpus", query, where=where, exact=True)
        assert_exact(found, truth, data.keys, allowed, 10)
        found = db.similar("corpus", query, where=where)
        assert len(found) == min(10, len(allowed)), where
        assert {int(match.key) for match in found} <= set(allowed), where


def test_filters_let_through_every_match(filled: tuple[SyncDatabase, str]) -> None:
    db, metric = filled
    for where in FILTERS if metric == "cosine" else FILTERS[:2]:
        found = db.similar("corpus", corpus().queries[0], 2000, where=where)
        allowed = [i for i, value in enumerate(VALUES) if matches(value, where)]
        assert sorted(int(match.key) for match in found) == allowed, where


def test_no_selectivity_loses_matches(filled: tuple[SyncDatabase, str]) -> None:
    db, metric = filled
    for field, every in (("half", 2), ("tenth", 10), ("percent", 100), ("mille", 1000)):
        allowed = range(1, len(VALUES), every)
        right = total = 0
        batch = db.similar_batch("corpus", corpus().queries, where={field: 1})
        for truth, found in zip(corpus_scores(metric), batch, strict=True):
            wanted = best(truth, allowed, 10)
            rows = {int(match.key) for match in found}
            assert len(rows) == len(wanted)
            assert rows <= set(allowed)
            right += len(rows & set(wanted))
            total += len(wanted)
        assert right / total >= RECALL_FLOOR, field


async def found_keys(db: Database, where: dict[str, Any], **options: Any) -> set[str]:
    """All keys that a filter lets through; it is remembered from the first call on."""
    return {m.key for m in await db.similar("notes", [1.0, 1.0], 1000, where=where, **options)}


@pytest.mark.parametrize("vector_index", INDEXES)
async def test_a_remembered_filter_sees_every_change(
    open_database: Opener, vector_index: str
) -> None:
    db = await open_database(vector_index=vector_index)
    yes, no = {"g": 1}, {"g": 2}
    await db.embed_batch("notes", ["a", "b"], [[1, 2], [2, 1]], [yes, no])
    assert await found_keys(db, yes) == {"a"}
    await db.embed("notes", "c", [3, 1], yes)
    assert await found_keys(db, yes) == {"a", "c"}
    moment = await db.embed("notes", "a", [1, 3], no)
    await db.embed("notes", "b", [1, 3], yes)
    assert await found_keys(db, yes) == {"b", "c"}
    await db.embed("notes", "b", [2, 2])
    assert await found_keys(db, yes) == {"b", "c"}
    await db.delete("notes", "c")
    await db.put("notes", "b", yes)
    assert await found_keys(db, yes) == set()
    assert await found_keys(db, yes, at=moment) == {"c"}
    assert await found_keys(db, no, at=moment) == {"a", "b"}
    await db.restore("notes", "c", (await db.history("notes", "c"))[0])
    assert await found_keys(db, yes) == {"c"}


async def test_a_remembered_filter_sees_what_takes_the_place_of_erased_keys(db: Database) -> None:
    where = {"g": 1}
    keys = [f"{i}" for i in range(20)]
    await db.embed_batch("notes", keys, [[1, 2]] * 20, [where] * 20)
    for turn in range(3):
        for key in keys[:10]:
            await db.erase("notes", key)
        assert await found_keys(db, where) == set(keys[10:])
        value = where if turn != 1 else {"g": 2}
        await db.embed_batch("notes", keys[:10], [[2, 1]] * 10, [value] * 10)
        assert await found_keys(db, where) == set(keys if turn != 1 else keys[10:])


@pytest.mark.parametrize("refused", [[1.0, float("nan")], [0.0, 0.0]])
async def test_a_remembered_filter_sees_what_comes_after_a_refused_vector(
    db: Database, refused: list[float]
) -> None:
    where = {"g": 1}
    await db.embed("notes", "first", [1, 2], where)
    for embed in (
        lambda: db.embed("notes", "no", refused, where),
        lambda: db.embed_batch("notes", ["no"], [refused], [where]),
    ):
        with pytest.raises(ValidationError, match=r"component|length"):
            await embed()
        assert await found_keys(db, where) == {"first"}
    await db.embed("notes", "second", [2, 1], where)
    assert await found_keys(db, where) == {"first", "second"}
    await db.embed_batch("notes", ["third"], [[2, 1]], [where])
    assert await found_keys(db, where) == {"first", "second", "third"}


async def test_a_remembered_filter_sees_what_comes_after_refused_metadata(db: Database) -> None:
    where = {"g": 1}
    await db.embed("notes", "first", [1, 2], where)
    with pytest.raises(ValidationError, match="row 1"):
        await db.embed_batch("notes", ["x", "y"], [[1, 2], [2, 1]], [where, {"g": {1}}])
    assert await found_keys(db, where) == {"first"}
    await db.embed_batch("notes", ["x", "y"], [[1, 2], [2, 1]], [where, where])
    assert await found_keys(db, where) == {"first", "x", "y"}


async def test_more_filters_than_are_remembered_stay_right(db: Database) -> None:
    await db.embed_batch(
        "notes", [f"{i}" for i in range(200)], [[1, 2]] * 200, [{"i": i} for i in range(200)]
    )
    for _ in range(2):
        for i in range(200):
            assert await found_keys(db, {"i": i}) == {f"{i}"}


async def test_rows_of_other_lengths_are_compared_right(open_database: Opener) -> None:
    random = np.random.default_rng(3)
    for metric in METRICS:
        db = await open_database(vector_metric=metric)
        for dimension in (1, 2, 3, 5, 8, 17, 63, 100, 1025):
            rows = (random.normal(size=(70, dimension)) * 10).astype("f4")
            keys = [f"{i:03}" for i in range(70)]
            space = f"d{dimension}"
            await db.embed_batch(space, keys, rows)
            query = random.normal(size=dimension)
            truth = scores(metric, rows, query)
            found = await db.similar(space, query, 70, exact=True)
            assert_exact(found, truth, keys, range(70), 70)
