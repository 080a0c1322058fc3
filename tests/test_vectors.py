"""Vectors belong to versions: written, found, overwritten, restored, erased, and kept in time."""

from __future__ import annotations

import asyncio
import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from vector_oracle import INDEXES, corpus

from koru_delta import Database, KeyNotFoundError, Match, ValidationError, Version

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import FileOpener, Opener

X, Y, XY = [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]


async def keys_near(db: Database, query: Any, **options: Any) -> list[str]:
    return [match.key for match in await db.similar("notes", query, **options)]


async def test_an_embedded_key_is_found_with_its_value(db: Database) -> None:
    version = await db.embed("notes", "mars", [0.6, 0.8], {"title": "Mars"})
    assert isinstance(version, Version)
    assert (version.namespace, version.key, version.value) == ("notes", "mars", {"title": "Mars"})
    (match,) = await db.similar("notes", X)
    assert match == Match(
        "notes", "mars", match.score, {"title": "Mars"}, version.version_id, version.timestamp
    )
    assert match.score == pytest.approx(0.6, abs=1e-6)
    assert await db.get("notes", "mars") == {"title": "Mars"}
    assert list(await db.vector("notes", "mars")) == list(np.array([0.6, 0.8], "f4"))


@pytest.mark.parametrize("value", [{"title": "Mars"}, [1, None], "text", 5, b"raw", False])
async def test_metadata_none_keeps_the_value(db: Database, value: Any) -> None:
    first = await db.put("notes", "mars", value)
    second = await db.embed("notes", "mars", X)
    assert second.previous == first.version_id
    assert second.value == value
    assert await db.get("notes", "mars") == value
    assert await db.embed_batch("notes", ["mars", "new"], [Y, Y]) == 2
    assert await db.get("notes", "mars") == value
    assert await db.get("notes", "new") is None
    assert [match.value for match in await db.similar("notes", Y)] == [value, None]


async def test_metadata_none_of_a_deleted_key_brings_no_value_back(db: Database) -> None:
    await db.put("notes", "mars", "old")
    await db.delete("notes", "mars")
    assert (await db.embed("notes", "mars", X)).value is None


async def test_a_put_with_an_embedding_is_an_embed(db: Database) -> None:
    cause = await db.put("sources", "page", "text")
    version = await db.put(
        "notes",
        "mars",
        {"n": 1},
        embedding=X,
        model="small",
        caused_by=cause,
        expected_version=None,
    )
    assert (version.model, version.caused_by) == ("small", (cause.version_id,))
    assert [m.version_id for m in await db.similar("notes", X)] == [version.version_id]
    assert list(await db.vector("notes", "mars")) == X


async def test_a_put_without_a_vector_leaves_the_key_without_one(db: Database) -> None:
    await db.embed("notes", "mars", X, 1)
    await db.embed("notes", "venus", X, 2)
    await db.put("notes", "mars", 3)
    assert await keys_near(db, X) == ["venus"]
    with pytest.raises(KeyNotFoundError, match="mars"):
        await db.vector("notes", "mars")
    await db.put_batch([("notes", "venus", 4)])
    assert await keys_near(db, X) == []


async def test_vector_of_a_missing_key_is_an_error(db: Database) -> None:
    with pytest.raises(KeyNotFoundError, match="mars"):
        await db.vector("notes", "mars")


async def test_every_change_takes_effect_at_once(db: Database) -> None:
    first = await db.embed("notes", "mars", X, 1)
    await db.embed("notes", "venus", [0.6, 0.8], 2)
    assert await keys_near(db, X) == ["mars", "venus"]
    second = await db.embed("notes", "mars", Y, 3)
    assert (await db.similar("notes", Y))[0].version_id == second.version_id
    assert await keys_near(db, X) == ["venus", "mars"]
    await db.delete("notes", "mars")
    assert await keys_near(db, X) == ["venus"]
    restored = await db.restore("notes", "mars", first)
    assert restored.value == 1
    assert list(await db.vector("notes", "mars")) == X
    assert await keys_near(db, X) == ["mars", "venus"]
    assert await db.erase("notes", "mars") == 4
    assert await keys_near(db, X) == ["venus"]
    assert await db.similar("notes", X, at=first) == []
    assert (await db.stats()).vectors[0].held == 1


async def test_models_are_searched_on_their_own(db: Database) -> None:
    await db.embed("notes", "a", X, model="small")
    await db.embed("notes", "b", X, model="large")
    await db.embed("notes", "c", [1.0, 2.0, 3.0], model="wide")
    assert await keys_near(db, X, model="small") == ["a"]
    assert await keys_near(db, X, model="large") == ["b"]
    assert await keys_near(db, [3.0, 2.0, 1.0]) == ["c"]
    assert {(v.model, v.dimension, v.vectors) for v in (await db.stats()).vectors} == {
        ("small", 2, 1),
        ("large", 2, 1),
        ("wide", 3, 1),
    }
    await db.embed("notes", "a", Y, model="large")
    assert await keys_near(db, X, model="small") == []
    assert await keys_near(db, X, model="large") == ["b", "a"]


async def test_no_namespace_searches_all_of_them(db: Database) -> None:
    await db.embed("b", "k2", XY, 1)
    await db.embed("b", "k1", XY, 2)
    await db.embed("a", "k9", XY, 3)
    await db.embed("c", "other", [1.0, 1.0, 1.0])
    await db.embed("d", "k0", X, 4)
    found = await db.similar(None, XY)
    assert [(m.namespace, m.key) for m in found] == [
        ("a", "k9"),
        ("b", "k1"),
        ("b", "k2"),
        ("d", "k0"),
    ]
    assert len(await db.similar(None, XY, top_k=2)) == 2
    assert await db.similar_batch(None, [XY, XY]) == [found, found]
    assert [m.value for m in await db.similar(None, XY, where={"x": 1})] == []


async def test_vectors_of_different_models_are_never_compared(db: Database) -> None:
    await db.embed("a", "one", X, model="small")
    await db.embed("b", "other", X, model="large")
    await db.embed("c", "third", XY, model="small")
    await db.embed("c", "wide", [1.0, 1.0, 1.0], model="wide")
    with pytest.raises(ValidationError, match=r'several models.*"large", "small"$'):
        await db.similar(None, X)
    found = await db.similar(None, X, model="small")
    assert [(m.namespace, m.key) for m in found] == [("a", "one"), ("c", "third")]
    assert [m.key for m in await db.similar(None, [1.0, 1.0, 1.0])] == ["wide"]


async def test_nothing_is_near_where_nothing_is(db: Database) -> None:
    assert await db.similar("notes", X) == []
    assert await db.similar(None, X) == []
    assert await db.similar_batch("notes", [X, Y]) == [[], []]
    assert await db.similar_batch("notes", []) == []
    assert await db.embed_batch("notes", [], []) == 0
    assert (await db.stats()).vectors == ()


@pytest.mark.parametrize("vector_index", INDEXES)
async def test_the_threshold_is_inclusive(open_database: Opener, vector_index: str) -> None:
    db = await open_database(vector_index=vector_index, vector_metric="dot")
    await db.embed_batch("notes", [f"{i}" for i in range(9)], [[float(i), 0.0] for i in range(9)])
    for threshold, expected in ((7, ["8", "7"]), (7.5, ["8"]), (8, ["8"]), (9, [])):
        assert await keys_near(db, X, threshold=threshold) == expected
    assert len(await keys_near(db, X, threshold=-1e300)) == 9
    found = await db.similar("notes", [0.1, 0.3], top_k=9)
    assert await db.similar("notes", [0.1, 0.3], threshold=found[4].score) == found[:5]


@pytest.mark.parametrize("vector_index", INDEXES)
async def test_ties_are_in_the_order_of_keys(open_database: Opener, vector_index: str) -> None:
    db = await open_database(vector_index=vector_index)
    keys = [f"{i:03}" for i in range(100)]
    shuffled = [keys[i * 37 % 100] for i in range(100)]
    await db.embed_batch("notes", shuffled, [XY] * 100)
    for top_k in (1, 10, 99, 100, 10_000):
        assert await keys_near(db, X, top_k=top_k, exact=True) == keys[:top_k]
    found = await keys_near(db, X)
    assert found == sorted(found)
    assert len(found) == 10


async def test_the_past_is_searched_as_it_was(db: Database) -> None:
    before = await db.put("other", "x", 1)
    a1 = await db.embed("notes", "a", X, {"v": 1})
    b1 = await db.embed("notes", "b", [0.6, 0.8], {"v": 1})
    a2 = await db.embed("notes", "a", Y, {"v": 2})
    await db.delete("notes", "b")
    b2 = (await db.history("notes", "b"))[-1]
    a3 = await db.put("notes", "a", {"v": 3})
    expected: list[tuple[Version, list[tuple[str, int]]]] = [
        (before, []),
        (a1, [("a", 1)]),
        (b1, [("a", 1), ("b", 1)]),
        (a2, [("b", 1), ("a", 2)]),
        (b2, [("a", 2)]),
        (a3, []),
    ]
    for version, hits in expected:
        for moment in (version, version.timestamp, version.timestamp.isoformat()):
            for exact in (True, False):
                found = await db.similar("notes", X, at=moment, exact=exact)
                assert [(m.key, m.value["v"]) for m in found] == hits
        batch = await db.similar_batch("notes", [X, X], at=version, where={"v": 2})
        assert [[m.key for m in found] for found in batch] == [[k for k, v in hits if v == 2]] * 2
    instant = datetime.timedelta(microseconds=1)
    assert await keys_near(db, X, at=a1.timestamp - instant) == []
    assert list(await db.vector("notes", "a", at=a1)) == X
    assert list(await db.vector("notes", "a", at=a2)) == Y
    assert list(await db.vector("notes", "b", at=a2)) == list(np.array([0.6, 0.8], "f4"))


async def test_a_batch_is_whole_and_has_its_values(db: Database) -> None:
    data = corpus()
    keys, rows = data.keys[:300], data.rows[:300]
    assert await db.embed_batch("notes", keys, rows, [{"i": i} for i in range(300)]) == 300
    assert await db.list_keys("notes") == keys
    for i in (0, 150, 299):
        assert np.array_equal(await db.vector("notes", keys[i]), rows[i])
        (match,) = await db.similar("notes", rows[i], top_k=1)
        assert (match.key, match.value) == (keys[i], {"i": i})
        assert match.score == pytest.approx(1.0, abs=1e-5)
    again = await db.embed_batch("notes", ["k", "k"], [rows[0], rows[1]], ["first", "last"])
    assert again == 2
    assert [v.value for v in await db.history("notes", "k")] == ["first", "last"]
    assert np.array_equal(await db.vector("notes", "k"), rows[1])


async def test_vectors_are_counted_and_measured(db: Database) -> None:
    data = corpus()
    await db.embed_batch("notes", data.keys, data.rows)
    await db.delete("notes", data.keys[0])
    (held,) = (await db.stats()).vectors
    assert (held.namespace, held.model, held.dimension) == ("notes", "", 384)
    assert (held.metric, held.vectors, held.held, held.path) == ("cosine", 1999, 2000, None)
    assert held.bytes_per_vector == held.bytes / 2000
    assert 4 * 384 <= held.bytes_per_vector <= 2 * 4 * 384
    assert (await db.stats()).vector_index == "auto"
    await db.similar("notes", data.queries[0], exact=True)
    assert (await db.stats()).vectors[0].path == "exact"


async def test_vectors_are_part_of_history_causes_and_the_hash_chain(db: Database) -> None:
    first = await db.embed("notes", "a", X, {"n": 1}, model="m")
    head = db.head
    derived = await db.put("notes", "b", 1, embedding=Y, model="m", caused_by=first)
    assert db.head != head
    assert (await db.lineage(derived))[0].version_id == first.version_id
    assert (await db.effects(first))[0].version_id == derived.version_id
    again = await db.restore("notes", "a", first)
    assert again.model == "m"
    assert again.caused_by == (first.version_id,)
    assert [(v.value, v.model) for v in await db.history("notes", "a")] == [({"n": 1}, "m")] * 2
    assert await db.version(first.version_id) == first
    report = await db.verify()
    assert (report.ok, report.versions, report.problems) == (True, 3, ())
    assert (await db.health()).healthy


@pytest.mark.parametrize("vector_index", INDEXES)
async def test_vectors_are_searchable_straight_after_reopening(
    open_file: FileOpener, reopen: Callable[..., Any], vector_index: str
) -> None:
    data = corpus()
    db = await open_file(vector_index=vector_index)
    await db.embed_batch("notes", data.keys, data.rows, [{"i": i % 7} for i in range(2000)])
    moment = await db.embed("notes", "single", data.rows[0], {"i": 1}, model="m")
    await db.delete("notes", "0001")
    await db.embed("notes", "0002", data.queries[0])
    await db.erase("notes", "0003")

    async def answers(db: Database) -> list[Any]:
        search: dict[str, Any] = {"top_k": 20, "exact": True}
        return [
            await db.similar_batch("notes", data.queries, model="", **search),
            await db.similar_batch("notes", data.queries, model="", where={"i": 3}, **search),
            await db.similar_batch("notes", data.queries[:5], model="", at=moment, **search),
            await db.similar("notes", data.queries[0], model="m"),
            list(await db.vector("notes", "0002")),
            db.head,
        ]

    before = await answers(db)
    held = [(v.namespace, v.model, v.vectors) for v in (await db.stats()).vectors]
    db = await reopen(db, vector_index=vector_index)
    assert await answers(db) == before
    assert sorted(held) == sorted(
        (v.namespace, v.model, v.vectors) for v in (await db.stats()).vectors
    )
    assert (await db.verify()).ok
    (match,) = await db.similar("notes", data.rows[9], top_k=1, model="")
    assert match.key == data.keys[9]


async def test_a_search_sees_only_acknowledged_writes(open_file: FileOpener) -> None:
    db = await open_file()
    acknowledged: set[int] = set()
    started = -1
    done = False

    async def write() -> None:
        nonlocal started, done
        for i in range(150):
            started = i
            await db.embed("notes", f"{i}", [1.0, float(i)], i)
            acknowledged.add(i)
        done = True

    async def search() -> None:
        while not done:
            known = set(acknowledged)
            found = {m.value for m in await db.similar("notes", X, top_k=1000)}
            assert known <= found <= set(range(started + 1))
            for value in found - known:
                assert await db.contains("notes", f"{value}")
            await asyncio.sleep(0)

    await asyncio.gather(write(), search(), search())


async def test_concurrent_overwrites_never_hide_a_key_or_show_it_twice(db: Database) -> None:
    await db.embed_batch("notes", ["a", "b", "c"], [X, Y, XY], [0, 0, 0])
    done = False

    async def overwrite(key: str) -> None:
        for i in range(60):
            await db.embed("notes", key, [1.0, i / 10], i)

    async def search() -> None:
        while not done:
            assert sorted(await keys_near(db, X)) == ["a", "b", "c"]
            assert sorted(await keys_near(db, X, where={"$not": {"x": 1}})) == ["a", "b", "c"]
            await asyncio.sleep(0)

    searching = asyncio.create_task(search())
    await asyncio.gather(*map(overwrite, "abc"))
    done = True
    await searching


async def test_a_namespace_embeds_and_searches(db: Database) -> None:
    notes = db.namespace("notes")
    await notes.embed("a", X, 1)
    await notes.embed("b", Y, 2, model="")
    await notes.put("c", 3, embedding=XY)
    assert [m.key for m in await notes.similar(X)] == ["a", "c", "b"]
