"""Documents that are equal in an indexed field: in the order of their keys, no more than needed."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING, Any

import pytest
from query_oracle import Row, query

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import FileOpener, Opener

    from koru_delta import Database, Record

COUNT = 3000
LONG = "x" * 300


def value_of(number: int) -> dict[str, Any]:
    return {"age": number % 7, "name": f"n{number % 11}", "long": f"{LONG}{number % 3}"}


async def shuffled(db: Database, fields: tuple[str, ...]) -> dict[str, Row]:
    """Documents written in no order; half of the index's work is done before, half after."""
    numbers = list(range(COUNT))
    random.Random(5).shuffle(numbers)
    rows = [Row(f"{number:05}", value_of(number)) for number in numbers]
    half = COUNT // 2
    await db.put_batch([("n", row.key, row.value) for row in rows[:half]])
    for field in fields:
        await db.create_index("n", field)
    await db.put_batch([("n", row.key, row.value) for row in rows[half:]])
    return {row.key: row for row in rows}


def keys(found: list[Record] | list[Row]) -> list[str]:
    return [one.key for one in found]


ORDERS: list[list[tuple[str, bool]]] = [
    [("age", False)],
    [("age", True)],
    [("age", False), ("$key", True)],
    [("age", True), ("$key", False)],
    [("age", True), ("$key", True), ("name", False)],
]
WHERES: list[dict[str, Any] | None] = [
    None,
    {"age": {"$gte": 2, "$lt": 5}},
    {"age": {"$gt": 2}, "name": {"$ne": "n3"}},
]


async def test_an_order_with_many_ties_looks_at_what_it_returns(db: Database) -> None:
    rows = await shuffled(db, ("age",))
    for order, where, offset in itertools.product(ORDERS, WHERES, (0, 5)):
        order_by = [(path, "desc" if descending else "asc") for path, descending in order]
        told = await db.explain("n", where, order_by=order_by, limit=10, offset=offset)
        assert (told.path, told.returned) == ("index order", 10)
        assert told.examined <= 2 * (10 + offset), (order, where)
        found = await db.query("n", where, order_by=order_by, limit=10, offset=offset)
        assert keys(found) == keys(query(list(rows.values()), where, order, 10, offset))


async def test_a_tie_broken_by_another_field_is_still_sorted(db: Database) -> None:
    rows = await shuffled(db, ("age", "long"))
    for field in ("age", "long"):
        order = [(field, True), ("name", False)]
        order_by = [(path, "desc" if descending else "asc") for path, descending in order]
        found = await db.query("n", order_by=order_by, limit=25, offset=3)
        assert keys(found) == keys(query(list(rows.values()), None, order, 25, 3))


async def test_values_that_an_index_cuts_are_told_apart(db: Database) -> None:
    rows = await shuffled(db, ("long",))
    for where in ({"long": f"{LONG}1"}, {"long": {"$gte": f"{LONG}1"}}, {"long": f"{LONG}9"}):
        wanted = query(list(rows.values()), where, [("long", False)])
        assert await db.count("n", where) == len(wanted)
        found = await db.query("n", where, order_by="long", limit=40)
        assert keys(found) == keys(wanted[:40])


@pytest.mark.parametrize("order_by", [None, "$key", "-$key", "age", "-age"], ids=str)
async def test_one_value_with_a_limit_is_read_no_further(
    db: Database, order_by: str | None
) -> None:
    rows = await shuffled(db, ("age",))
    told = await db.explain("n", {"age": 3}, order_by=order_by, limit=10, offset=4)
    assert (told.path, told.index, told.examined) == ("index", "age", 14)
    found = await db.query("n", {"age": 3}, order_by=order_by, limit=10, offset=4)
    order = [] if order_by is None else [(order_by.lstrip("-"), order_by.startswith("-"))]
    assert keys(found) == keys(query(list(rows.values()), {"age": 3}, order, 10, 4))


async def test_what_is_overwritten_deleted_or_erased_leaves_its_place(
    open_file: FileOpener, reopen: Callable[..., Any]
) -> None:
    db = await open_file(sync_on_write=False)
    rows = await shuffled(db, ("age", "name"))
    chosen = random.Random(6)
    for turn in range(300):
        key = f"{chosen.randrange(COUNT):05}"
        match turn % 5:
            case 0:
                await db.delete("n", key)
                rows.pop(key, None)
            case 1:
                await db.erase("n", key)
                rows.pop(key, None)
            case _:
                value = value_of(chosen.randrange(COUNT))
                await db.put("n", key, value)
                rows[key] = Row(key, value)
    for turn in range(2):
        db = await reopen(db) if turn else db
        for age in range(8):
            where = {"age": age}
            wanted = query(list(rows.values()), where)
            assert keys(await db.query("n", where)) == keys(wanted)
            assert await db.count("n", where) == len(wanted)
            assert keys(await db.query("n", where, limit=3)) == keys(wanted[:3])
        found = await db.query("n", order_by="-age", limit=700)
        assert keys(found) == keys(query(list(rows.values()), None, [("age", True)], 700))


COUNTED: list[tuple[dict[str, Any], bool]] = [
    ({"age": 3}, True),
    ({"age": 3.0}, True),
    ({"age": {"$in": [1, 2, 9]}}, True),
    ({"age": {"$gte": 1, "$lt": 6}}, True),
    ({"$or": [{"age": 1}, {"age": {"$gt": 1, "$lte": 2}}]}, False),
    ({"age": {"$exists": True}}, False),
    ({"age": {"$gte": 1}, "name": "n3"}, False),
    ({"age": {"$not": {"$gt": 2}}}, False),
    ({"tags": "a"}, True),
    ({"tags": ["a", "b"]}, True),
    ({"tags": {"$in": ["a", "b"]}}, False),
    ({"tags": {"$gte": "a", "$lt": "c"}}, False),
]


async def test_counting_by_an_index_counts_each_document_once(db: Database) -> None:
    rows = await shuffled(db, ("age", "tags"))
    for number in range(0, COUNT, 10):
        value = {"tags": [["a"], ["a", "b"], ["b", "b", "c"], []][number // 10 % 4]}
        await db.put("n", f"{number:05}", value)
        rows[f"{number:05}"] = Row(f"{number:05}", value)
    await db.delete("n", "00003")
    del rows["00003"]
    for where, _ in COUNTED:
        wanted = query(list(rows.values()), where)
        assert await db.count("n", where) == len(wanted), where
        assert keys(await db.query("n", where)) == keys(wanted), where
    wide = {"age": list(range(100)), "tags": "a"}
    await db.put("n", "wide", wide)
    rows["wide"] = Row("wide", wide)
    for where, _ in COUNTED:
        assert await db.count("n", where) == len(query(list(rows.values()), where)), where


@pytest.mark.parametrize("vector_index", ["auto", "quantized", "exact", "hnsw"])
async def test_few_rows_of_an_index_are_searched_without_loss(
    open_database: Opener, vector_index: str
) -> None:
    db = await open_database(vector_index=vector_index)
    chosen = random.Random(7)
    vectors = [[chosen.gauss(0, 1) for _ in range(24)] for _ in range(2000)]
    names = [f"{number:04}" for number in range(2000)]
    await db.embed_batch("n", names, vectors, [{"group": number % 97} for number in range(2000)])
    await db.create_index("n", "group")
    await db.put("n", "0005", {"group": 5}, embedding=vectors[6])
    await db.delete("n", "0102")
    await db.erase("n", "0199")
    await db.put("n", "0296", {"group": 6}, embedding=vectors[296])
    where = {"group": 5}
    exact = await db.similar("n", vectors[5], 10, where={"$and": [where, {}]}, exact=True)
    found = await db.similar("n", vectors[5], 10, where=where)
    if vector_index == "quantized":
        assert {match.key for match in found} <= {
            record.key for record in await db.query("n", where)
        }
    else:
        assert found == exact
    assert not {"0102", "0199", "0296"} & {match.key for match in found}
