"""Every bad argument of queries, searches, views and feeds is refused, and the place is named."""

from __future__ import annotations

import asyncio
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest

from koru_delta import (
    Database,
    DatabaseClosedError,
    KoruDeltaError,
    LimitExceededError,
    SerializationError,
    ValidationError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

NAN, INFINITY = float("nan"), float("inf")


@pytest.fixture
async def filled(db: Database) -> Database:
    """A database with a little of everything."""
    await db.put("n", "a", {"age": 41, "text": "red sea"}, embedding=[1.0, 0.0])
    await db.create_index("n", "age")
    await db.create_view("some", "n", {"age": 41})
    return db


async def works(db: Database) -> None:
    """Everything still answers, and nothing was changed."""
    assert [record.key for record in await db.query("n", {"age": 41})] == ["a"]
    assert [record.key for record in await db.view("some")] == ["a"]
    assert [index.field for index in await db.list_indexes()] == ["age"]
    assert [view.name for view in await db.list_views()] == ["some"]
    assert [change.key for change in everything(db)] == ["a"]
    assert (await db.verify()).ok


def everything(db: Database) -> list[Any]:
    """All changes; a feed begins with the first page."""
    return list(iter(db.watch(since=0).next_found, None))


def deep(levels: int) -> dict[str, Any]:
    where: dict[str, Any] = {"a": 1}
    for _ in range(levels):
        where = {"$not": where}
    return where


BAD_FILTERS: list[tuple[Any, str]] = [
    ({"age": {"$bad": 1}}, r"where\.age\.\$bad: unknown operator"),
    ({"$bad": 1}, r"where\.\$bad: unknown operator"),
    ({"$gt": 1}, r"where\.\$gt: an operator without a field"),
    ({"age": {"$and": []}}, r"where\.age\.\$and"),
    ({"age": {"$gt": 1, "x": 2}}, r"where\.age\.x: a field among operators"),
    ({"age": {"$gt": [1]}}, r"where\.age\.\$gt: expected a number or a string, found an array"),
    ({"age": {"$gte": None}}, r"where\.age\.\$gte: .*found null"),
    ({"age": {"$lt": True}}, r"where\.age\.\$lt: .*found a boolean"),
    ({"age": {"$lte": {"a": 1}}}, r"where\.age\.\$lte: .*found an object"),
    ({"age": {"$in": 1}}, r"where\.age\.\$in: expected an array"),
    ({"age": {"$nin": "abc"}}, r"where\.age\.\$nin: expected an array"),
    ({"age": {"$exists": 1}}, r"where\.age\.\$exists: expected a boolean"),
    ({"age": {"$regex": 1}}, r"where\.age\.\$regex: expected a string"),
    ({"age": {"$regex": "("}}, r"where\.age\.\$regex: the pattern cannot be compiled"),
    ({"age": {"$regex": "(?=a)"}}, r"where\.age\.\$regex"),
    ({"age": {"$regex": r"(a)\1"}}, r"where\.age\.\$regex"),
    ({"age": {"$regex": "a" * 4097}}, r"where\.age\.\$regex"),
    ({"age": {"$regex": "(a{1000}){1000}"}}, r"where\.age\.\$regex"),
    ({"age": {"$regex": "a", "$options": "i"}}, r"where\.age\.\$options"),
    ({"age": {"$not": 1}}, r"where\.age\.\$not"),
    ({"age": {"$not": {}}}, r"where\.age\.\$not"),
    ({"$and": {}}, r"where\.\$and: expected an array"),
    ({"$or": []}, r"where\.\$or: an empty array"),
    ({"$or": [{"a": 1}, {"b": {"$x": 1}}]}, r"where\.\$or\[1\]\.b\.\$x"),
    ({"$and": [1]}, r"where\.\$and\[0\]: expected an object"),
    ({"$not": [1]}, r"where\.\$not: expected an object"),
    (deep(70), "levels deep"),
    ({"$or": [{"a": i} for i in range(1001)]}, "more than 1000 conditions"),
    ({".".join(["a"] * 129): 1}, "129 parts"),
    ({"a": {1, 2}}, r"where\.a"),
    ({"a": NAN}, r"where\.a"),
    ({"a": (1, 2)}, r"where\.a"),
    ({1: 2}, "key 1"),
    ({"a": 2**70}, r"where\.a"),
    ({"\ud800": 1}, "surrogate"),
    ([{"a": 1}], "list"),
    ("a", "str"),
    (1, "int"),
]
BAD_ORDERS: list[tuple[Any, str]] = [
    (1, "order_by"),
    ([1], r"order_by\[0\]"),
    (["a", None], r"order_by\[1\]"),
    ([("a", "up")], r"order_by\[0\]: the direction is 'up'"),
    ([("a", True)], r"order_by\[0\]: the direction is True"),
    ([("a", "asc", 1)], r"order_by\[0\]"),
    ([(1, "asc")], r"order_by\[0\]"),
    ({"a": 0}, r"order_by\['a'\]"),
    ({"a": 2}, r"order_by\['a'\]"),
    ({"a": None}, r"order_by\['a'\]"),
    ({"a": True}, r"order_by\['a'\]"),
    ({1: 1}, r"order_by\[1\]"),
    ("$bad", r"order_by\[0\].*\$bad"),
    (["-$value"], r"order_by\[0\].*\$value"),
    (["a", "-a"], r"order_by\[1\]"),
    ([f"f{i}" for i in range(33)], "order_by.*33"),
    ("\ud800", "surrogate"),
    (".".join(["a"] * 129), "129 parts"),
]
BAD_QUERIES: list[tuple[dict[str, Any], str]] = [
    ({"limit": -1}, "limit is -1"),
    ({"limit": 1.0}, "limit is 1.0"),
    ({"limit": True}, "limit is True"),
    ({"limit": "1"}, "limit is '1'"),
    ({"offset": -1}, "offset is -1"),
    ({"offset": None}, "offset is None"),
    ({"offset": False}, "offset is False"),
    ({"offset": 0.5}, "offset is 0.5"),
    ({"select": "age"}, "select is of type str"),
    ({"select": []}, "select: an empty list"),
    ({"select": [1]}, r"select\[0\]"),
    ({"select": ["age", "$key"]}, r"select\[1\].*\$key"),
    ({"select": ["\ud800"]}, "surrogate"),
    ({"select": [f"f{i}" for i in range(1001)]}, "select.*1001"),
    ({"at": "yesterday"}, "not a time"),
    ({"at": NAN}, "not a time"),
    ({"at": True}, "not a time"),
    ({"at": 10**12}, "past the year 9999"),
]
BAD_AGGREGATES: list[tuple[Any, dict[str, Any], str]] = [
    ([], {}, "aggregates are of type list"),
    ({}, {}, "aggregate"),
    ({"n": 1}, {}, r"aggregate\.n: expected"),
    ({"n": {}}, {}, r"aggregate\.n"),
    ({"n": {"$sum": "a", "$avg": "a"}}, {}, r"aggregate\.n"),
    ({"n": {"$median": "a"}}, {}, r"aggregate\.n\.\$median"),
    ({"n": {"$sum": 1}}, {}, r"aggregate\.n\.\$sum"),
    ({"n": {"$sum": "$a"}}, {}, r"aggregate\.n\.\$sum.*\$a"),
    ({"n": {"$count": False}}, {}, r"aggregate\.n\.\$count"),
    ({"n": {"$count": 1}}, {}, r"aggregate\.n\.\$count"),
    ({"n": {"$count": {"a": 1}}}, {}, r"aggregate\.n\.\$count"),
    ({1: {"$sum": "a"}}, {}, "key 1"),
    ({f"n{i}": {"$sum": "a"} for i in range(101)}, {}, "aggregate.*more than 100"),
    ({"age": {"$sum": "a"}}, {"group_by": "age"}, "age"),
    ({"n": {"$sum": "a"}}, {"group_by": 1}, "group_by"),
    ({"n": {"$sum": "a"}}, {"group_by": [1]}, r"group_by\[0\]"),
    ({"n": {"$sum": "a"}}, {"group_by": ["a", "a"]}, "group_by"),
    ({"n": {"$sum": "a"}}, {"group_by": "$bad"}, r"group_by.*\$bad"),
    ({"n": {"$sum": "a"}}, {"group_by": [f"f{i}" for i in range(33)]}, "group_by.*33"),
    ({"n": {"$sum": "a"}}, {"order_by": ["a", 1]}, r"order_by\[1\]"),
    ({"n": {"$sum": "a"}}, {"where": {"a": {"$x": 1}}}, r"where\.a\.\$x"),
    ({"n": {"$sum": "a"}}, {"at": "never"}, "not a time"),
]
BAD_NAMES: list[tuple[Any, str]] = [
    ("", "empty"),
    ("a\x00b", "NUL"),
    ("n" * 1025, "1025 bytes"),
    ("\ud800", "surrogate"),
    (1, "type int"),
]
BAD_FIELDS: list[tuple[Any, str]] = [
    *BAD_NAMES,
    ("$key", r"\$key"),
    (".".join(["a"] * 129), "129 parts"),
    (None, "NoneType"),
]
BAD_SEARCHES: list[tuple[dict[str, Any], str]] = [
    ({"text": None}, "text is of type NoneType"),
    ({"text": b"sea"}, "text is of type bytes"),
    ({"text": "\ud800"}, "surrogate"),
    ({"top_k": 0}, "top_k is 0"),
    ({"top_k": -1}, "top_k is -1"),
    ({"top_k": 10_001}, "top_k is 10001"),
    ({"top_k": 1.0}, "top_k is 1.0"),
    ({"top_k": True}, "top_k is True"),
    ({"top_k": None}, "top_k is None"),
    ({"fields": 1}, "fields is of type int"),
    ({"fields": [1]}, r"fields\[0\]"),
    ({"fields": []}, "fields"),
    ({"fields": {}}, "fields"),
    ({"fields": {"text": 0}}, r"fields\['text'\]: the boost is 0"),
    ({"fields": {"text": -1.0}}, r"fields\['text'\]"),
    ({"fields": {"text": NAN}}, r"fields\['text'\]"),
    ({"fields": {"text": INFINITY}}, r"fields\['text'\]"),
    ({"fields": {"text": True}}, r"fields\['text'\]"),
    ({"fields": {"text": "2"}}, r"fields\['text'\]"),
    ({"fields": {1: 1.0}}, "fields"),
    ({"fields": ["\ud800"]}, "surrogate"),
    ({"where": {"a": {"$x": 1}}}, r"where\.a\.\$x"),
    ({"where": [1]}, "where is of type list"),
    ({"at": "never"}, "not a time"),
]
BAD_WEIGHTS = [-0.1, 1.1, NAN, INFINITY, True, "0.5", None]


async def refused(call: Coroutine[Any, Any, Any], match: str) -> KoruDeltaError:
    """The error of a call, which says where and what to do."""
    with pytest.raises(ValidationError, match=match) as caught:
        await call
    assert caught.value.suggestion
    return caught.value


async def test_bad_filters_are_refused_wherever_they_are_given(filled: Database) -> None:
    calls: list[Callable[[Any], Coroutine[Any, Any, Any]]] = [
        lambda where: filled.query("n", where),
        lambda where: filled.query("nowhere", where),
        lambda where: filled.query("n", where, at="2020-01-01"),
        lambda where: filled.count("n", where),
        lambda where: filled.explain("n", where),
        lambda where: filled.aggregate("n", {"n": {"$count": True}}, where=where),
        lambda where: filled.search("n", "sea", where=where),
        lambda where: filled.hybrid("n", "sea", [1.0, 0.0], where=where),
        lambda where: filled.create_view("new", "n", where),
        lambda where: filled.create_view("some", "n", where),
    ]
    for where, match in BAD_FILTERS:
        for call in calls:
            await refused(call(where), match)
        with pytest.raises(ValidationError, match=match):
            filled.watch(where=where)
    await works(filled)


async def test_filters_may_be_any_mapping(filled: Database) -> None:
    for filters in ({"age": 41}, {"age": {"$gt": 1}, "text": "red sea"}):
        where = MappingProxyType(filters)
        for _ in range(2):  # what was quick the last time goes another way
            assert [record.key for record in await filled.query("n", where)] == ["a"]
        assert await filled.count("n", where) == 1
        assert len(await filled.search("n", "sea", where=where)) == 1
        assert len(await filled.similar("n", [1.0, 0.0], where=where)) == 1
        changes = iter(filled.watch(where=where, since=0).next_found, None)
        assert [change.key for change in changes] == ["a"]
    await refused(filled.query("n", MappingProxyType({"age": {"$bad": 1}})), r"where\.age\.\$bad")


async def test_bad_values_in_filters_are_serialization_errors(filled: Database) -> None:
    for value in ({1}, NAN, (1,), 2**70, object(), b"1", {"b": {1: 2}}):
        with pytest.raises(SerializationError, match=r"^where\.a\.\$eq(\.b)?: it is ") as caught:
            await filled.query("n", {"a": {"$eq": value}})
        assert "store" not in str(caught.value)
    with pytest.raises(SerializationError, match=r"^where\.a: it is the float nan; use None, or"):
        await filled.query("n", {"a": NAN})
    await works(filled)


async def test_bad_orders_are_refused_wherever_they_are_given(filled: Database) -> None:
    for order_by, match in BAD_ORDERS:
        await refused(filled.query("n", order_by=order_by), match)
        await refused(filled.query("nowhere", order_by=order_by), match)
        await refused(filled.explain("n", order_by=order_by), match)
        await refused(filled.create_view("some", "n", order_by=order_by), match)
        spec = {"n": {"$first": "a"}}
        await refused(filled.aggregate("n", spec, order_by=order_by), match)
    await works(filled)


async def test_bad_slices_selections_and_times_are_refused(filled: Database) -> None:
    for options, match in BAD_QUERIES:
        await refused(filled.query("n", **options), match)
        if not {"select"} & options.keys():
            await refused(filled.view("some", **options), match)
            if not {"at"} & options.keys():
                await refused(filled.explain("n", **options), match)
    for at in ("yesterday", NAN, True):
        await refused(filled.count("n", at=at), "not a time")
    await works(filled)


async def test_bad_aggregates_are_refused(filled: Database) -> None:
    for spec, options, match in BAD_AGGREGATES:
        await refused(filled.aggregate("n", spec, **options), match)
    await works(filled)


async def test_bad_names_are_refused(filled: Database) -> None:
    for name, match in BAD_NAMES:
        await refused(filled.query(name), match)
        await refused(filled.count(name), match)
        await refused(filled.aggregate(name, {"n": {"$count": True}}), match)
        await refused(filled.explain(name), match)
        await refused(filled.search(name, "sea"), match)
        await refused(filled.hybrid(name, "sea", [1.0, 0.0]), match)
        await refused(filled.create_index(name, "age"), match)
        await refused(filled.drop_index(name, "age"), match)
        await refused(filled.create_view("new", name), match)
        await refused(filled.create_view(name, "n"), match)
        await refused(filled.view(name), match)
        await refused(filled.drop_view(name), match)
        for names in ((name,), (None, name), ("n", name)):
            with pytest.raises(ValidationError, match=match):
                filled.watch(*names)
    for field, match in BAD_FIELDS:
        await refused(filled.create_index("n", field), match)
    for since in ("never", NAN, True, 10**12):
        with pytest.raises(ValidationError):
            filled.watch(since=since)
    await works(filled)


async def test_bad_searches_are_refused(filled: Database) -> None:
    for options, match in BAD_SEARCHES:
        arguments = {"text": "sea", **options}
        await refused(filled.search("n", **arguments), match)
        await refused(filled.hybrid("n", query=[1.0, 0.0], **arguments), match)
    for weight in BAD_WEIGHTS:
        await refused(filled.hybrid("n", "sea", [1.0, 0.0], weight=weight), "weight")  # type: ignore[arg-type]
    await works(filled)


async def test_a_text_may_have_four_kilobytes(filled: Database) -> None:
    for text in ("a" * 4096, "sea " * 1024, "\u00e9" * 2048, "\U0001f600" * 1024, '"' * 4096):
        await filled.search("n", text)
        await filled.hybrid("n", text, [1.0, 0.0])
        for call in (filled.search("n", text + "a"), filled.hybrid("n", text + "a", [1.0, 0.0])):
            with pytest.raises(LimitExceededError, match="4097 bytes; the limit is 4096"):
                await call
    with pytest.raises(LimitExceededError, match="257"):
        await filled.search("n", "sea", fields=[f"f{i}" for i in range(257)])
    assert await filled.search("n", "sea", fields=[f"f{i}" for i in range(256)]) == []
    assert len(await filled.search("n", "sea", 10_000)) == 1
    await works(filled)


async def test_limits_themselves_are_fine(filled: Database) -> None:
    assert await filled.query("n", {"$or": [{"age": i} for i in range(1000)]})
    assert await filled.query("n", deep(62)) == []
    assert await filled.query("n", {".".join(["a"] * 128): {"$exists": True}}) == []
    assert await filled.query("n", {"age": {"$in": list(range(100_000))}})
    assert await filled.query("n", {"text": {"$regex": "a" * 4096}}) == []
    assert await filled.query("n", order_by=[f"f{i}" for i in range(32)])
    assert await filled.query("n", limit=2**70, offset=0)
    assert await filled.query("n", limit=0, offset=2**70) == []
    assert await filled.query("n", select=[f"f{i}" for i in range(1000)])
    spec = {f"n{i}": {"$sum": "age"} for i in range(100)}
    assert len((await filled.aggregate("n", spec, group_by=[f"f{i}" for i in range(32)]))[0]) == 132
    assert await filled.create_index("n", "f" * 1024)
    assert await filled.drop_index("n", "f" * 1024)
    await filled.create_view("v" * 1024, "n" * 1024)
    assert await filled.drop_view("v" * 1024)
    await works(filled)


async def test_a_closed_database_answers_nothing(filled: Database) -> None:
    await filled.close()
    for call in (
        filled.query("n"),
        filled.count("n"),
        filled.aggregate("n", {"n": {"$count": True}}),
        filled.explain("n"),
        filled.create_index("n", "a"),
        filled.list_indexes(),
        filled.view("some"),
        filled.list_views(),
        filled.search("n", "sea"),
        filled.hybrid("n", "sea", [1.0, 0.0]),
    ):
        with pytest.raises(DatabaseClosedError):
            await call
    with pytest.raises(DatabaseClosedError):
        filled.watch()


async def test_cancelled_queries_hurt_nobody(filled: Database) -> None:
    db = filled
    await db.put_batch([("people", f"{i:04}", {"n": i, "text": "sea"}) for i in range(1000)])
    for yields in range(12):
        calls = [
            db.query("people", {"n": {"$gte": yields}}, order_by="-n"),
            db.aggregate("people", {"n": {"$sum": "n"}}, where={"n": {"$gte": yields}}),
            db.search("people", f"sea {yields}"),
        ]
        tasks = [asyncio.ensure_future(call) for call in calls]
        for _ in range(yields):
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert await db.count("people") == 1000
        await db.put("people", f"{yields:04}", {"n": yields})
    assert len(await db.query("people")) == 1000
