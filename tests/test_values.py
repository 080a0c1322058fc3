"""What is stored comes back exactly, and what cannot be stored exactly is refused."""

from __future__ import annotations

import datetime
import decimal
import re
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from json_values import EDGE_CASES, json_values, nested_lists, nested_objects, same

from koru_delta import Database, LimitExceededError, SerializationError

if TYPE_CHECKING:
    from collections.abc import Callable

# Pyodide itself ends when it frees what is nested much more deeply.
DEEP = 2_000 if sys.platform == "emscripten" else 100_000

VALUE_BYTES_MAX = 8 * 1024 * 1024
JSON_DEPTH_MAX = 128


@pytest.mark.parametrize("value", EDGE_CASES, ids=ascii)
async def test_an_edge_case_round_trips_exactly(db: Database, value: Any) -> None:
    version = await db.put("values", "key", value)
    assert same(await db.get("values", "key"), value)
    assert same((await db.version(version.version_id)).value, value)
    assert same((await db.history("values", "key"))[0].value, value)


@given(value=json_values(max_leaves=40))
async def test_any_json_round_trips_exactly(db: Database, value: Any) -> None:
    version = await db.put("values", "key", value)
    assert same(version.value, value)
    assert same(await db.get("values", "key"), value)
    assert same(await db.get_at("values", "key", version), value)


@given(value=st.binary(max_size=300))
@example(value=b"")
@example(value=b"\x00")
@example(value=b"null")
@example(value=b"\xff\xfe")
async def test_any_bytes_round_trip_as_bytes(db: Database, value: bytes) -> None:
    await db.put("values", "key", value)
    assert same(await db.get("values", "key"), value)


async def test_all_values_survive_in_one_batch(db: Database) -> None:
    items = [("values", f"{i:03}", value) for i, value in enumerate(EDGE_CASES)]
    await db.put_batch(items)
    found = await db.get_many("values", [key for _, key, _ in items])
    assert all(same(found[key], value) for _, key, value in items)


@pytest.mark.parametrize("nested", [nested_lists, nested_objects])
async def test_depth_is_limited_at_128(db: Database, nested: Callable[[int], Any]) -> None:
    deepest = nested(JSON_DEPTH_MAX)
    await db.put("values", "key", deepest)
    assert same(await db.get("values", "key"), deepest)
    with pytest.raises(SerializationError, match="128"):
        await db.put("values", "key", nested(JSON_DEPTH_MAX + 1))
    assert same(await db.get("values", "key"), deepest)


@pytest.mark.parametrize(
    "value_of_size",
    [lambda size: b"\xff" * size, lambda size: "x" * (size - 2)],
    ids=["bytes", "json"],
)
async def test_size_is_limited_at_8_mib(db: Database, value_of_size: Callable[[int], Any]) -> None:
    largest = value_of_size(VALUE_BYTES_MAX)
    await db.put("values", "key", largest)
    with pytest.raises(LimitExceededError):
        await db.put("values", "key", value_of_size(VALUE_BYTES_MAX + 1))
    assert await db.get("values", "key") == largest
    assert len(await db.history("values", "key")) == 1


def cyclic_list() -> list[Any]:
    cycle: list[Any] = [1]
    cycle.append(cycle)
    return cycle


def cyclic_dict() -> dict[str, Any]:
    cycle: dict[str, Any] = {"a": 1}
    cycle["self"] = {"again": cycle}
    return cycle


# What is refused, and the path that the message must give.
REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "nan at the root": (lambda: float("nan"), "$"),
    "nan": (lambda: {"items": [0, 1, 2, {"price": float("nan")}]}, "$.items[3].price"),
    "infinity": (lambda: {"items": [float("inf")]}, "$.items[0]"),
    "minus infinity": (lambda: [[], [0.0, float("-inf")]], "$[1][1]"),
    "2**64": (lambda: {"n": 2**64}, "$.n"),
    "-2**63-1": (lambda: {"n": [-(2**63) - 1]}, "$.n[0]"),
    "int of 5,000 digits": (lambda: {"a": {"b": 10**4999}}, "$.a.b"),
    "int key": (lambda: {"a": [{1: "x"}]}, "$.a[0]"),
    "bool key": (lambda: {"a": {True: "x"}}, "$.a"),
    "None key": (lambda: {"a": {None: "x"}}, "$.a"),
    "int key beside its str": (lambda: {"1": "x", 1: "y"}, "$"),
    "tuple at the root": (lambda: (1, 2), "$"),
    "tuple": (lambda: {"point": (1, 2)}, "$.point"),
    "empty tuple": (lambda: [()], "$[0]"),
    "set": (lambda: {"tags": {"a"}}, "$.tags"),
    "frozenset": (lambda: {"tags": frozenset("a")}, "$.tags"),
    "datetime": (lambda: {"at": datetime.datetime(2024, 1, 1)}, "$.at"),
    "date": (lambda: {"at": datetime.date(2024, 1, 1)}, "$.at"),
    "Decimal": (lambda: {"price": decimal.Decimal("1.10")}, "$.price"),
    "complex": (lambda: [1j], "$[0]"),
    "bytes inside json": (lambda: {"raw": b"x"}, "$.raw"),
    "object": (lambda: {"a": [None, object()]}, "$.a[1]"),
    "object at the root": (object, "$"),
    "class": (lambda: {"a": int}, "$.a"),
    "function": (lambda: {"a": len}, "$.a"),
    "generator": (lambda: {"a": (i for i in range(3))}, "$.a"),
    "surrogate in a value": (lambda: {"name": ["\ud800"]}, "$.name[0]"),
    "low surrogate": (lambda: ["ok", "a\udfffb"], "$[1]"),
    "reversed surrogates": (lambda: {"name": "\ude00\ud83d"}, "$.name"),
    "surrogate in a key": (lambda: {"a": {"x\ud800": 1}}, "$.a"),
}


def gives_path(message: str, path: str) -> bool:
    """Whether a message has exactly this JSON path in it, and not merely a longer one."""
    return re.search(rf"(?<![\w$]){re.escape(path)}(?!\w|\[|\.\w)", message) is not None


@pytest.mark.parametrize(("make", "path"), REFUSED.values(), ids=REFUSED.keys())
async def test_a_refused_value_is_located_and_nothing_is_written(
    db: Database, make: Callable[[], Any], path: str
) -> None:
    await db.put("values", "kept", "before")
    head = db.head
    with pytest.raises(SerializationError) as caught:
        await db.put("values", "key", make())
    message = str(caught.value)
    assert gives_path(message, path), message
    assert message.encode("utf-8"), "a message can be printed and logged"
    assert db.head == head
    assert not await db.contains("values", "key")
    await db.put("values", "key", "after")
    assert await db.get_many("values", ["kept", "key"]) == {"kept": "before", "key": "after"}


@pytest.mark.parametrize(
    ("make", "path"),
    [
        (cyclic_list, "$"),
        (cyclic_dict, "$"),
        (lambda: {"items": [cyclic_list()]}, "$.items[0]"),
        (lambda: {"items": {"x": cyclic_dict()}}, "$.items.x"),
        (lambda: nested_lists(DEEP), "$"),
        (lambda: {"items": nested_lists(DEEP)}, "$.items"),
        (lambda: nested_objects(DEEP), "$"),
    ],
    ids=[
        "list",
        "dict",
        "list inside",
        "dict inside",
        "deep list",
        "deep list inside",
        "deep dict",
    ],
)
async def test_an_endless_value_is_refused_without_harm(
    db: Database, make: Callable[[], Any], path: str
) -> None:
    value = make()
    with pytest.raises(SerializationError) as caught:
        await db.put("values", "key", value)
    assert path in str(caught.value)
    assert len(str(caught.value)) < 2000, "the path of a deep value is not printed in full"
    assert not await db.contains("values", "key")
    await db.put("values", "key", [1])
    assert await db.get("values", "key") == [1]


async def test_one_object_in_two_places_is_no_cycle(db: Database) -> None:
    shared = {"x": [1]}
    await db.put("values", "key", [shared, shared, {"again": shared}])
    assert await db.get("values", "key") == [shared, shared, {"again": shared}]


async def test_changing_an_object_after_put_changes_nothing_stored(db: Database) -> None:
    value: dict[str, Any] = {"list": [1]}
    version = await db.put("values", "key", value)
    value["list"].append(2)
    assert await db.get("values", "key") == {"list": [1]}
    assert (await db.version(version.version_id)).value == {"list": [1]}


async def test_changing_an_object_that_was_read_changes_nothing_stored(db: Database) -> None:
    version = await db.put("values", "key", {"list": [1]})
    (await db.get("values", "key"))["list"].append(2)
    (await db.get_many("values", ["key"]))["key"]["list"].append(3)
    (await db.version(version.version_id)).value["list"].append(4)
    (await db.history("values", "key"))[0].value["list"].append(5)
    assert await db.get("values", "key") == {"list": [1]}
    assert (await db.version(version.version_id)).value == {"list": [1]}


async def test_the_returned_version_does_not_share_the_callers_object(db: Database) -> None:
    value = {"list": [1]}
    version = await db.put("values", "key", value)
    value["list"].append(2)
    assert version.value == {"list": [1]}
