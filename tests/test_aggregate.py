"""Aggregates: exact sums, extremes of mixed types, groups and their order, and what is refused."""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest
from json_values import equal_as_json, same
from query_oracle import Row, aggregate
from turns import give_a_turn

from koru_delta import Database, LimitExceededError, SyncDatabase, ValidationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import FileOpener, Opener

EXTREMES = ("$min", "$max", "$first", "$last")
ORDERS = {
    "o1": {"city": "Rome", "amount": 10, "by": "ann", "at": {"day": 3}},
    "o2": {"city": "Oslo", "amount": 2.5, "by": "bob", "at": {"day": 1}},
    "o3": {"city": "Rome", "amount": 4, "by": "bob", "at": {"day": 2}},
    "o4": {"city": None, "amount": "7", "by": "ann"},
    "o5": {"amount": None, "by": "cid", "at": {"day": 2}},
    "o6": {"city": "Oslo", "amount": True},
    "o7": "no order",
    "o8": b"\x00",
}


async def fill(db: Database, values: dict[str, Any]) -> None:
    await db.put_batch([("orders", key, value) for key, value in values.items()])


async def numbers(db: Database, values: list[Any]) -> None:
    await db.put_batch([("orders", f"{i:05}", {"n": value}) for i, value in enumerate(values)])


async def total(db: Database, operator: str = "$sum") -> Any:
    (group,) = await db.aggregate("orders", {"it": {operator: "n"}})
    assert list(group) == ["it"]
    return group["it"]


async def test_every_operator_over_everything(db: Database) -> None:
    await fill(db, ORDERS)
    spec = {
        "total": {"$sum": "amount"},
        "mean": {"$avg": "amount"},
        "least": {"$min": "amount"},
        "most": {"$max": "amount"},
        "all": {"$count": True},
        "too": {"$count": {}},
        "cities": {"$count": "city"},
        "days": {"$count": "at.day"},
        "first": {"$first": "city"},
        "last": {"$last": "city"},
    }
    found = await db.aggregate("orders", spec)
    assert found == [
        {
            "total": 16.5, "mean": 5.5, "least": None, "most": "7", "all": 8, "too": 8,
            "cities": 4, "days": 4, "first": "Rome", "last": None,
        }
    ]  # fmt: skip
    assert list(found[0]) == list(spec)
    assert await db.namespace("orders").aggregate(spec) == found
    some = await db.aggregate("orders", spec, where={"amount": {"$gt": 2.5}})
    assert some[0]["total"] == 14
    assert isinstance(some[0]["total"], int)
    assert (some[0]["mean"], some[0]["least"], some[0]["most"]) == (7.0, 4, 10)


async def test_of_nothing_there_is_one_group_and_of_no_groups_none(db: Database) -> None:
    spec = {
        "sum": {"$sum": "n"}, "avg": {"$avg": "n"}, "min": {"$min": "n"}, "max": {"$max": "n"},
        "count": {"$count": True}, "have": {"$count": "n"}, "first": {"$first": "n"},
        "last": {"$last": "n"},
    }  # fmt: skip
    nothing = {"sum": 0, "count": 0, "have": 0} | dict.fromkeys(
        ["avg", "min", "max", "first", "last"]
    )
    await fill(db, ORDERS)
    for where, namespace in ((None, "nowhere"), ({"by": "nobody"}, "orders")):
        assert await db.aggregate(namespace, spec, where=where) == [nothing]
        assert await db.aggregate(namespace, spec, where=where, group_by="by") == []
    absent = await db.aggregate("orders", spec)
    assert absent == [nothing | {"count": 8}]


async def test_sums_of_integers_are_exact(db: Database) -> None:
    values = [2**64 - 1, 2**64 - 1, 2**63, 2**53 + 1, 1, -(2**63)] * 50
    await numbers(db, values)
    found = await total(db)
    assert found == sum(values)
    assert found > 2**64
    assert isinstance(found, int)
    assert await total(db, "$avg") == float(Fraction(sum(values), len(values)))
    await numbers(db, [-(2**63)] * 300)
    assert await total(db) == -(2**63) * 300


@pytest.mark.parametrize(
    "values",
    [
        [0.1] * 10,
        [1e308, 1.0, -1e308],
        [1e16, 1.0, -1e16, 5e-324],
        [1e308, 1e308, -1e308, -1e308, 0.25],
        [5e-324, 5e-324, -1.5e-323],
        [1.0, 2.0**-53, 2.0**-106],
        [0.5, 2.0**53, 2.0**53 + 2, -0.0],
        [-0.0, -0.0],
    ],
    ids=repr,
)
async def test_sums_of_floats_are_rounded_once(db: Database, values: list[float]) -> None:
    await numbers(db, values)
    exact = sum(map(Fraction, values))
    if max(map(abs, values)) < 1e308:
        assert float(exact) == math.fsum(values)
    found = await total(db)
    assert isinstance(found, float)
    assert found == float(exact)
    assert await total(db, "$avg") == float(exact / len(values))


async def test_sums_of_random_floats_are_those_of_fsum(db: Database) -> None:
    source = random.Random(1)
    values = [source.uniform(-1, 1) * 10.0 ** source.randrange(-20, 20) for _ in range(5000)]
    values += [-value for value in values[:4000]]
    await numbers(db, values)
    assert await total(db) == math.fsum(values)
    assert await total(db, "$avg") == float(sum(map(Fraction, values)) / len(values))


async def test_sums_of_integers_and_floats_are_rounded_once(db: Database) -> None:
    values = [2**64 - 1, 0.5, 2**53 + 1, -(2.0**64), 3]
    await numbers(db, values)
    assert await total(db) == float(sum(map(Fraction, values)))
    await numbers(db, [2**53 + 1, 0.0])
    await db.delete("orders", "00002")
    await db.delete("orders", "00003")
    await db.delete("orders", "00004")
    assert await total(db) == float(2**53 + 1)


async def test_a_sum_beyond_all_floats_is_refused(db: Database) -> None:
    await numbers(db, [1.7e308, 1.7e308])
    with pytest.raises(ValidationError, match=r"aggregate\.it\.\$sum"):
        await total(db)
    assert await total(db, "$avg") == 1.7e308
    assert await total(db, "$max") == 1.7e308


async def test_extremes_of_mixed_types_go_by_the_order_of_all_values(db: Database) -> None:
    values: list[Any] = [3, "a", None, [1], {"a": 1}, False, 2.5, "b", [], {}, 2**53 + 1, 2.0**53]
    await numbers(db, values)
    assert await total(db, "$min") is None
    assert await total(db, "$max") == {"a": 1}
    for where, least, most in (
        ({"n": {"$ne": None}}, False, {"a": 1}),
        ({"n": {"$gt": 2.5}}, 3, 2**53 + 1),
        ({"n": {"$gte": ""}}, "a", "b"),
        ({"n": {"$in": [[], [1]]}}, [], [1]),
    ):
        spec = {"least": {"$min": "n"}, "most": {"$max": "n"}}
        (found,) = await db.aggregate("orders", spec, where=where)
        assert same([found["least"], found["most"]], [least, most]), where


async def test_first_and_last_follow_the_order(db: Database) -> None:
    await fill(db, ORDERS)
    spec = {"first": {"$first": "by"}, "last": {"$last": "by"}, "key": {"$first": "$key"}}
    for order_by, expected in (
        (None, ("ann", None, "o1")),
        ("-amount", ("ann", None, "o4")),
        (["at.day", "-$key"], (None, "ann", "o8")),
        ({"$timestamp": 1, "$key": -1}, (None, "ann", "o8")),
    ):
        (found,) = await db.aggregate("orders", spec, order_by=order_by)
        assert (found["first"], found["last"], found["key"]) == expected, order_by
    by_city = await db.aggregate("orders", spec, group_by="city", order_by="-$key")
    assert by_city == [
        {"city": None, "first": None, "last": "ann", "key": "o8"},
        {"city": "Oslo", "first": None, "last": "bob", "key": "o6"},
        {"city": "Rome", "first": "bob", "last": "ann", "key": "o3"},
    ]


async def test_groups_by_one_path(db: Database) -> None:
    await fill(db, ORDERS)
    spec = {"n": {"$count": True}, "total": {"$sum": "amount"}}
    expected = [
        {"city": None, "n": 4, "total": 0},
        {"city": "Oslo", "n": 2, "total": 2.5},
        {"city": "Rome", "n": 2, "total": 14},
    ]
    assert await db.aggregate("orders", spec, group_by="city") == expected
    assert await db.aggregate("orders", spec, group_by=["city"]) == expected
    assert await db.aggregate("orders", spec, group_by="at.day") == [
        {"at.day": None, "n": 4, "total": 0},
        {"at.day": 1, "n": 1, "total": 2.5},
        {"at.day": 2, "n": 2, "total": 4},
        {"at.day": 3, "n": 1, "total": 10},
    ]


async def test_groups_by_several_paths(db: Database) -> None:
    await fill(db, ORDERS)
    found = await db.aggregate("orders", {"n": {"$count": True}}, group_by=("by", "city"))
    assert [tuple(group.values()) for group in found] == [
        (None, None, 2),
        (None, "Oslo", 1),
        ("ann", None, 1),
        ("ann", "Rome", 1),
        ("bob", "Oslo", 1),
        ("bob", "Rome", 1),
        ("cid", None, 1),
    ]
    assert all(list(group) == ["by", "city", "n"] for group in found)


async def test_groups_of_all_types_come_in_the_order_of_values(db: Database) -> None:
    values: list[Any] = [
        "b", 2, [1, 2], {"a": 1}, True, None, 1, 1.0, "a", [], {"a": 1.0}, 2**53 + 1,
        float(2**53), [1.0, 2], False, "\uffff", "\U0001f600", -0.0, 0,
    ]  # fmt: skip
    await numbers(db, values)
    rows = [Row(f"{i:05}", {"n": value}) for i, value in enumerate(values)]
    spec: dict[str, dict[str, Any]] = {"count": {"$count": True}, "first": {"$first": "$key"}}
    found = await db.aggregate("orders", spec, group_by="n")
    wanted = aggregate(rows, spec, ["n"])
    assert equal_as_json(found, wanted)
    assert len(found) == 15
    assert [group["n"] for group in found if group["count"] == 2] == [0, 1, [1, 2], {"a": 1}]


async def test_of_several_values_each_counts(db: Database) -> None:
    values = {
        "a": {"items": [{"price": 2, "kind": "x"}, {"price": 3.5, "kind": "y"}]},
        "b": {"items": [{"price": "4"}, {}]},
        "c": {"items": [], "price": [9]},
        "d": {"items": {"price": 1}},
    }
    await fill(db, values)
    spec = {
        "sum": {"$sum": "items.price"}, "avg": {"$avg": "items.price"},
        "min": {"$min": "items.price"}, "max": {"$max": "items.price"},
        "count": {"$count": "items.price"}, "whole": {"$sum": "price"},
        "first": {"$first": "items.price"}, "last": {"$last": "items.0.price"},
    }  # fmt: skip
    assert await db.aggregate("orders", spec) == [
        {
            "sum": 6.5, "avg": 6.5 / 3, "min": 1, "max": "4", "count": 3, "whole": 0,
            "first": [2, 3.5], "last": None,
        }
    ]  # fmt: skip
    groups = await db.aggregate("orders", {"n": {"$count": True}}, group_by="items.kind")
    assert [(group["items.kind"], group["n"]) for group in groups] == [
        (None, 1),
        ([], 2),
        (["x", "y"], 1),
    ]


async def test_aggregates_of_the_past_and_after_changes(
    open_file: FileOpener, reopen: Callable[..., Any]
) -> None:
    db = await open_file()
    spec = {"n": {"$count": True}, "sum": {"$sum": "n"}}
    moments: list[Any] = []
    now: dict[str, int] = {}
    for i in range(40):
        key = f"{i % 7}"
        if i % 5 == 4 and key in now:
            await db.delete("orders", key)
            del now[key]
            version = (await db.history("orders", key))[-1]
        else:
            version = await db.put("orders", key, {"n": i, "odd": i % 2})
            now[key] = i
        moments.append((version, {"n": len(now), "sum": sum(now.values())}))
    for _ in range(2):
        for moment, expected in [*moments, (None, moments[-1][1])]:
            assert await db.aggregate("orders", spec, at=moment) == [expected]
            by_oddity = await db.aggregate("orders", spec, group_by="odd", at=moment)
            assert sum(group["sum"] for group in by_oddity) == expected["sum"]
        db = await reopen(db)
    await db.erase("orders", "0")
    (left,) = await db.aggregate("orders", spec)
    assert left["n"] == len(await db.list_keys("orders"))


async def test_ten_thousand_groups(db: Database) -> None:
    batch = [("orders", f"{i:05}", {"g": f"{i % 5000:04}", "n": i}) for i in range(10_000)]
    await db.put_batch(batch)
    found = await db.aggregate("orders", {"sum": {"$sum": "n"}, "n": {"$count": "n"}}, group_by="g")
    assert found == [{"g": f"{g:04}", "sum": 2 * g + 5000, "n": 2} for g in range(5000)]


def test_as_many_groups_as_there_may_be() -> None:
    with SyncDatabase() as db:
        spec = {"n": {"$count": True}}
        db.put_batch([("orders", f"{i}", i) for i in range(100_000)])
        assert len(db.aggregate("orders", spec, group_by="$key")) == 100_000
        db.put("orders", "more", 1)
        with pytest.raises(LimitExceededError, match="100000 groups"):
            db.aggregate("orders", spec, group_by="$key")
        assert db.aggregate("orders", spec) == [{"n": 100_001}]


async def test_long_values_in_a_full_memory(open_database: Opener) -> None:
    db = await open_database(max_memory_mb=16, sync_on_write=False)
    for i in range(9):
        await db.put("orders", f"{i}", {"text": f"{9 - i}" * 1_000_000})
    calls: list[Callable[[], Any]] = [
        *(lambda o=operator: db.aggregate("orders", {"it": {o: "text"}}) for operator in EXTREMES),
        lambda: db.aggregate("orders", {"n": {"$count": True}}, group_by="text"),
        lambda: db.query("orders", order_by="text", select=["x"]),
        lambda: db.query("orders", order_by=["text", "-text.x"], limit=1),
    ]
    for call in calls:
        with contextlib.suppress(LimitExceededError):
            found = await call()
            first = found[0].get("it", "1" * 1_000_000) if isinstance(found[0], dict) else "1"
            assert first[0] in "19"
        assert await db.count("orders") == 9
    assert await db.delete("orders", "0")


async def test_aggregates_see_whole_batches_only(db: Database) -> None:
    done = asyncio.Event()

    async def write() -> None:
        for turn in range(15):
            await db.put_batch([("orders", f"{i}", {"n": turn, "g": i % 2}) for i in range(100)])
            await asyncio.sleep(0)
        done.set()

    async def read() -> int:
        reads = 0
        while not done.is_set():
            await give_a_turn()
            sums = await db.aggregate("orders", {"s": {"$sum": "n"}}, group_by="g")
            assert len({group["s"] for group in sums}) <= 1
            assert all(group["s"] % 50 == 0 for group in sums)
            reads += 1
        return reads

    reads = await asyncio.gather(write(), read())
    assert reads[1] > 0
