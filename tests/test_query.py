"""Queries: every operator, orders, slices, selections, the past, and writers at work meanwhile."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any

import pytest
from json_values import same
from query_oracle import Row, matches, query
from turns import give_a_turn

from koru_delta import Database, Record, Version

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import FileOpener

PEOPLE: dict[str, Any] = {
    "ann": {"age": 41, "city": "Rome", "tags": ["vip", "new"], "at": {"x": 1, "y": [1, 2]}},
    "bob": {"age": 17.5, "city": "Oslo", "tags": [], "at": {"x": 1.0}},
    "cid": {"age": None, "city": "rome", "tags": "vip"},
    "dan": {"city": "", "items": [{"price": 5, "n": 1}, {"price": 7.5}, 3, [{"price": 9}]]},
    "eve": {"age": "41", "city": ["Rome", "Oslo"], "tags": [["vip"], None], "": {"": 7}},
    "fay": {"age": True, "a.b": 1, "a": {"b": {"c": [0, 3]}}, "0": "zero"},
    "gus": "Rome",
    "hal": ["Rome", {"age": 41}],
    "ivy": 41,
    "jon": b"Rome",
    "kim": None,
    "lea": {},
}
NO_DICTS = "gus hal ivy jon kim"
EVERYBODY = "ann bob cid dan eve fay gus hal ivy jon kim lea"

OPERATORS: list[tuple[dict[str, Any], str]] = [
    ({}, EVERYBODY),
    ({"$and": [{}]}, EVERYBODY),
    ({"age": 41}, "ann"),
    ({"age": 41.0}, "ann"),
    ({"age": {"$eq": "41"}}, "eve"),
    ({"age": None}, "cid"),
    ({"age": True}, "fay"),
    ({"age": 1}, ""),
    ({"age": {"$ne": 41}}, f"bob cid dan eve fay {NO_DICTS} lea"),
    ({"age": {"$ne": None}}, f"ann bob dan eve fay {NO_DICTS} lea"),
    ({"age": {"$gt": 17.5}}, "ann"),
    ({"age": {"$gte": 17.5}}, "ann bob"),
    ({"age": {"$lt": 41}}, "bob"),
    ({"age": {"$lte": 41}}, "ann bob"),
    ({"age": {"$gt": ""}}, "eve"),
    ({"city": {"$gt": "Oslo"}}, "ann cid eve"),
    ({"city": {"$lt": "Rome"}}, "bob dan eve"),
    ({"city": {"$lte": ""}}, "dan"),
    ({"age": {"$in": [41, "41", None]}}, "ann cid eve"),
    ({"age": {"$in": []}}, ""),
    ({"age": {"$nin": [41, "41", None, True]}}, f"bob dan {NO_DICTS} lea"),
    ({"age": {"$nin": []}}, EVERYBODY),
    ({"age": {"$exists": True}}, "ann bob cid eve fay"),
    ({"age": {"$exists": False}}, f"dan {NO_DICTS} lea"),
    ({"tags": "vip"}, "ann cid"),
    ({"tags": ["vip", "new"]}, "ann"),
    ({"tags": ["new", "vip"]}, ""),
    ({"tags": []}, "bob"),
    ({"tags": ["vip"]}, "eve"),
    ({"tags": None}, "eve"),
    ({"tags": {"$ne": "vip"}}, f"bob dan eve fay {NO_DICTS} lea"),
    ({"tags": {"$in": ["new", []]}}, "ann bob"),
    ({"tags": {"$contains": "vip"}}, "ann cid"),
    ({"tags": {"$contains": "ip"}}, "cid"),
    ({"tags": {"$contains": ["vip"]}}, "eve"),
    ({"tags": {"$contains": ""}}, "cid"),
    ({"city": {"$contains": "om"}}, "ann cid"),
    ({"city": {"$regex": "om"}}, "ann cid eve"),
    ({"city": {"$regex": "^(?:Ro|Os)"}}, "ann bob eve"),
    ({"city": {"$regex": "(?i)^rome$"}}, "ann cid eve"),
    ({"age": {"$regex": "4"}}, "eve"),
    ({"at": {"x": 1}}, "bob"),
    ({"at": {"y": [1.0, 2], "x": 1}}, "ann"),
    ({"at.x": 1}, "ann bob"),
    ({"at.y": 2}, "ann"),
    ({"at.y.0": 1}, "ann"),
    ({"at.y.2": {"$exists": True}}, ""),
    ({"items.price": 7.5}, "dan"),
    ({"items.price": {"$gt": 7.5}}, ""),
    ({"items.price": {"$gt": 5, "$lt": 7}}, "dan"),
    ({"items.0.price": 5}, "dan"),
    ({"items.3.price": 9}, "dan"),
    ({"items.3.0.price": 9}, "dan"),
    ({"items": 3}, "dan"),
    ({"items.n": {"$exists": True}}, "dan"),
    ({"a.b": 1}, ""),
    ({"a.b.c": {"$gt": 1, "$lt": 2}}, "fay"),
    ({"0": "zero"}, "fay"),
    ({".": 7}, "eve"),
    ({"age": {"$not": {"$gt": 17.5}}}, f"bob cid dan eve fay {NO_DICTS} lea"),
    ({"age": {"$not": {"$not": {"$gt": 17.5}}}}, "ann"),
    ({"$not": {"age": {"$exists": True}}}, f"dan {NO_DICTS} lea"),
    ({"$and": [{"at.x": 1}, {"city": "Oslo"}]}, "bob"),
    ({"$or": [{"age": 41}, {"city": ""}]}, "ann dan"),
    ({"$or": [{"age": 41}, {"$and": [{"tags": "vip"}, {"age": None}]}], "tags": "vip"}, "ann cid"),
    ({"age": 41, "city": "Oslo"}, ""),
]


async def put_all(db: Database, values: dict[str, Any], namespace: str = "people") -> list[Row]:
    """Writes values in an order that is not that of their keys."""
    rows = []
    for key in sorted(values, key=lambda key: key[::-1]):
        version = await db.put(namespace, key, values[key])
        rows.append(Row(key, values[key], version.timestamp_us))
    return rows


def keys(records: list[Record]) -> list[str]:
    return [record.key for record in records]


async def test_every_operator(db: Database) -> None:
    rows = await put_all(db, PEOPLE)
    for where, expected in OPERATORS:
        assert [row.key for row in query(rows, where)] == expected.split(), where
        assert keys(await db.query("people", where)) == expected.split(), where
        assert await db.count("people", where) == len(expected.split()), where


async def test_a_record_is_a_version_in_short(db: Database) -> None:
    version = await db.put("people", "ann", {"age": 41})
    await db.put("people", "raw", b"\x00\xff")
    record, raw = await db.query("people")
    assert record == Record("people", "ann", {"age": 41}, version.version_id, version.timestamp)
    assert (raw.key, raw.value) == ("raw", b"\x00\xff")
    assert await db.namespace("people").query({"age": 41}) == [record]
    assert await db.namespace("people").count() == 2


async def test_integers_and_floats_are_compared_exactly(db: Database) -> None:
    numbers = [
        0, -0.0, 1, 1.0, 2**53, float(2**53), 2**53 + 1, 2**63 - 1, 2**63, float(2**63),
        2**64 - 1, float(2**64), -(2**63), -(2**63) + 1, float(-(2**63)), 0.1, 5e-324, 1e308,
    ]  # fmt: skip
    rows = await put_all(db, {f"{i:02}": {"n": n} for i, n in enumerate(numbers)}, "numbers")
    assert keys(await db.query("numbers", {"n": 2**53 + 1})) == ["06"]
    assert keys(await db.query("numbers", {"n": float(2**53)})) == ["04", "05"]
    assert keys(await db.query("numbers", {"n": {"$in": [1, 0.1]}})) == ["02", "03", "15"]
    for number in numbers:
        for operator in ("$eq", "$ne", "$gt", "$gte", "$lt", "$lte"):
            where = {"n": {operator: number}}
            assert keys(await db.query("numbers", where)) == [r.key for r in query(rows, where)]
    found = await db.query("numbers", order_by="n")
    assert keys(found) == [row.key for row in query(rows, None, [("n", False)])]
    assert all(same(record.value["n"], numbers[int(record.key)]) for record in found)


async def test_strings_go_by_code_points(db: Database) -> None:
    texts = ["", "\x00", "a", "a\x00", "aa", "B", "b", "\u00e9", "e\u0301", "\uffff", "\U0001f600"]
    await put_all(db, {f"{(7 * i) % 11:02}": {"s": text} for i, text in enumerate(texts)})
    found = await db.query("people", order_by="s")
    assert [record.value["s"] for record in found] == sorted(texts)
    assert keys(await db.query("people", {"s": {"$gt": "\uffff"}})) == keys(found)[-1:]
    names = [text + "k" for text in texts if "\x00" not in text]
    await put_all(db, dict.fromkeys(names, 1), "names")
    assert keys(await db.query("names", order_by="$key")) == sorted(names)
    assert keys(await db.query("names")) == sorted(names)


# Orders.

IN_ORDER: list[Any] = [
    None, False, True, -1e300, -(2**63), -1, 0, 0.5, 2**53, 2**53 + 1, 2**64 - 1, 1e300,
    "", "a", "b", "\U0001f600", {}, {"a": 1}, {"a": 2}, {"a": 2, "b": None}, {"b": 0},
]  # fmt: skip


async def test_values_of_all_types_have_one_order(db: Database) -> None:
    values: list[Any] = [{"v": [value]} for value in [[], [1], [1, None], ["a"], [[]]]]
    ordered = [{}, {"v": []}, *({"v": value} for value in IN_ORDER[:16])]
    ordered += [*values, *({"v": value} for value in IN_ORDER[16:])]
    places = {f"{(7 * i) % 101:03}": value for i, value in enumerate(ordered)}
    await put_all(db, places)
    found = await db.query("people", order_by="v")
    assert [record.value for record in found] == ordered
    found = await db.query("people", order_by="-v")
    assert [record.value for record in found] == ordered[::-1]


@pytest.mark.parametrize(
    "order_by",
    [
        ["city", "-age"],
        [("city", "asc"), ("age", "desc")],
        ("city", "-age"),
        {"city": 1, "age": -1},
        [["city", "asc"], "-age", "$key"],
    ],
    ids=repr,
)
async def test_every_way_to_say_an_order(db: Database, order_by: Any) -> None:
    cities = ["Rome", "Oslo", "Bern"]
    values = {f"{i:02}": {"city": cities[i % 3], "age": i % 4} for i in range(24)}
    rows = await put_all(db, values)
    found = keys(await db.query("people", order_by=order_by))
    assert found == [row.key for row in query(rows, None, [("city", False), ("age", True)])]
    assert found[:2] == ["11", "23"]


async def test_ties_go_by_key_whatever_the_direction(db: Database) -> None:
    await put_all(db, {f"{i:03}": {"n": i % 3} for i in range(90)})
    for order, groups in (("n", (0, 1, 2)), ("-n", (2, 1, 0))):
        expected = [f"{i:03}" for group in groups for i in range(group, 90, 3)]
        assert keys(await db.query("people", order_by=order)) == expected
    by_nothing = await db.query("people", order_by=["-missing", "other"])
    assert keys(by_nothing) == [f"{i:03}" for i in range(90)]
    assert keys(await db.query("people", order_by=[])) == keys(by_nothing)


async def test_pseudo_fields_are_the_key_and_the_time(db: Database) -> None:
    rows = await put_all(db, {f"{i:02}": {"$key": i, "n": i % 2} for i in range(20)})
    by_time = [row.key for row in sorted(rows, key=lambda row: row.timestamp_us)]
    assert by_time != sorted(by_time)
    assert keys(await db.query("people", order_by="$timestamp")) == by_time
    assert keys(await db.query("people", order_by="-$timestamp")) == by_time[::-1]
    assert keys(await db.query("people", order_by="-$key")) == sorted(by_time, reverse=True)
    mixed = await db.query("people", order_by=["n", "-$timestamp"])
    expected = query(rows, None, [("n", False), ("$timestamp", True)])
    assert keys(mixed) == [row.key for row in expected]
    await db.put("people", by_time[0], {"n": 9})
    assert keys(await db.query("people", order_by="$timestamp"))[-1] == by_time[0]


async def test_of_several_values_the_least_or_the_greatest_counts(db: Database) -> None:
    values = {
        "a": {"n": [5, 1]},
        "b": {"n": 3},
        "c": {"n": []},
        "d": {"n": None},
        "e": {},
        "f": {"n": [[0]]},
        "g": {"i": [{"n": 9}, {"n": [2, 4]}]},
    }
    await put_all(db, values)
    assert keys(await db.query("people", order_by="n")) == list("egcdabf")
    assert keys(await db.query("people", order_by="-n")) == list("fabdceg")
    assert keys(await db.query("people", order_by="-i.n", limit=1)) == ["g"]


async def test_slices_are_slices_of_the_whole(db: Database) -> None:
    await put_all(db, {f"{i:02}": {"n": (7 * i) % 5, "even": i % 2 == 0} for i in range(30)})
    for where, order_by in itertools.product((None, {"even": True}), (None, "n", "-n", "-$key")):
        whole = await db.query("people", where, order_by=order_by)
        assert len(whole) == (15 if where else 30)
        for limit, offset in itertools.product((None, 0, 1, 4, 15, 31, 2**40), (0, 1, 14, 30, 99)):
            found = await db.query("people", where, order_by=order_by, limit=limit, offset=offset)
            assert found == whole[offset:][:limit]


# Selections.


async def test_a_selection_keeps_paths_and_structure(db: Database) -> None:
    await put_all(db, PEOPLE)
    found = {r.key: r.value for r in await db.query("people", select=["age", "at.x", "items.n"])}
    assert found == {
        "ann": {"age": 41, "at": {"x": 1}},
        "bob": {"age": 17.5, "at": {"x": 1.0}},
        "cid": {"age": None},
        "dan": {"items": [{"n": 1}, {}]},
        "eve": {"age": "41"},
        "fay": {"age": True},
        **{key: {} for key in ("gus", "hal", "ivy", "jon", "kim", "lea")},
    }
    assert isinstance(found["bob"]["at"]["x"], float)
    for paths in (["at", "at.x"], ["at.x", "at"], ["at", "at"]):
        (ann,) = await db.query("people", {"age": 41}, select=paths)
        assert ann.value == {"at": {"x": 1, "y": [1, 2]}}
    both = await db.query("people", {"age": 41}, select=("at.y", "at.x", "tags"))
    assert both[0].value == {"at": {"x": 1, "y": [1, 2]}, "tags": ["vip", "new"]}
    one = await db.query("people", {"items.n": 1}, select=["items.3.0.price", "at.z"])
    assert one[0].value == {"items": [[{"price": 9}]]}
    raw = await db.query("people", {"city": "Rome"}, select=["city"], order_by="-age", limit=1)
    assert [(record.key, record.value) for record in raw] == [("eve", {"city": ["Rome", "Oslo"]})]


# The past, and what changes.


async def test_queries_of_the_past(open_file: FileOpener, reopen: Callable[..., Any]) -> None:
    db = await open_file()
    now: dict[str, Any] = {}
    moments: list[tuple[Version, dict[str, Any]]] = []
    for turn in range(12):
        for i in range(5):
            key = f"{(turn * 3 + i) % 9}"
            version = await db.put("people", key, {"n": (turn * i) % 4, "turn": turn})
            now[key] = version.value
        if turn % 3 == 2:
            gone = f"{turn % 9}"
            if await db.delete("people", gone):
                del now[gone]
                version = (await db.history("people", gone))[-1]
        moments.append((version, dict(now)))
    first = moments[0][0].timestamp
    for _ in range(2):
        for moment, values in [*moments, (None, now)]:
            rows = [Row(key, value) for key, value in values.items()]
            for where in (None, {"n": {"$gte": 2}}, {"turn": {"$ne": 3}}):
                wanted = query(rows, where, [("n", True)], 4, 1)
                found = await db.query("people", where, order_by="-n", limit=4, offset=1, at=moment)
                assert [(r.key, r.value) for r in found] == [(r.key, r.value) for r in wanted]
                assert await db.count("people", where, at=moment) == len(query(rows, where))
        assert await db.query("people", at=first.replace(year=1999)) == []
        db = await reopen(db)


async def test_deleted_and_erased_values_are_not_found(db: Database) -> None:
    rows = await put_all(db, PEOPLE)
    await db.delete("people", "ann")
    await db.erase("people", "bob")
    assert keys(await db.query("people")) == [key for key in PEOPLE if key not in ("ann", "bob")]
    old = (await db.history("people", "ann"))[0]
    await db.restore("people", "ann", old)
    await db.put("people", "bob", {"age": 41})
    assert keys(await db.query("people", {"age": 41})) == ["ann", "bob"]
    latest = max(row.timestamp_us for row in rows)
    before = await db.query("people", at=latest / 1e6 + 1e-6)
    assert "bob" not in keys(before), "what was erased is gone from the past as well"


async def test_a_namespace_without_values_is_empty(db: Database) -> None:
    await db.put("people", "ann", 1)
    await db.delete("people", "ann")
    for namespace in ("nowhere", "people"):
        assert await db.query(namespace, {"age": 1}, order_by="age", select=["age"]) == []
        assert await db.count(namespace) == 0
    assert await db.query("people-2") == []
    await db.put("people-2", "bob", 1)
    assert await db.query("people") == []


async def test_ten_thousand_documents(db: Database) -> None:
    values = {
        f"{i:05}": {"n": (i * 7919) % 10_007, "g": i % 100, "t": f"t{i}"} for i in range(10_000)
    }
    await db.put_batch([("people", key, value) for key, value in values.items()])
    rows = [Row(key, value) for key, value in values.items()]
    for where, order, limit in (
        ({"g": 7}, [], None),
        ({"n": {"$lt": 5000}}, [("n", True)], 100),
        ({"t": {"$regex": "9$"}}, [("g", False), ("n", True)], None),
    ):
        order_by = [(path, "desc" if down else "asc") for path, down in order]
        found = await db.query("people", where, order_by=order_by, limit=limit, offset=3)
        wanted = query(rows, where, order, limit, 3)
        assert [(r.key, r.value) for r in found] == [(r.key, r.value) for r in wanted]
    everything = await db.query("people")
    assert {record.key: record.value for record in everything} == values


async def test_queries_see_whole_acknowledged_batches_only(db: Database) -> None:
    names = [f"{i:03}" for i in range(300)]
    await db.put_batch([("people", name, {"g": 0, "odd": 0}) for name in names])
    done = asyncio.Event()
    acknowledged = 0

    async def write() -> int:
        nonlocal acknowledged
        for turn in range(1, 25):
            batch = [("people", name, {"g": turn, "odd": turn % 2}) for name in names]
            await db.put_batch(batch)
            acknowledged = turn
            await asyncio.sleep(0)
        done.set()
        return 1

    async def read(order_by: str | None) -> int:
        reads = 0
        while not done.is_set():
            await give_a_turn()
            before = acknowledged
            records = await db.query("people", {"g": {"$gte": 0}}, order_by=order_by)
            (generation,) = {record.value["g"] for record in records}
            assert len(records) == len(names)
            assert generation >= before, "what was acknowledged is seen"
            assert await db.count("people", {"odd": 1}) in (0, 300)
            totals = await db.aggregate("people", {"n": {"$count": True}}, group_by="g")
            assert [total["n"] for total in totals] == [300]
            reads += 1
        return reads

    results = await asyncio.gather(write(), read(None), read("-g"), read("g"))
    assert min(results) > 0
    assert matches((await db.query("people", limit=1))[0].value, {"g": 24})
