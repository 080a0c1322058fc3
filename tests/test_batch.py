"""A batch is written whole or not at all."""

from __future__ import annotations

import datetime
import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from json_values import nested_lists, same, values

from koru_delta import (
    Database,
    KoruDeltaError,
    LimitExceededError,
    SerializationError,
    ValidationError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH_ITEMS_MAX = 100_000
MIB = 1024 * 1024
VALUE_BYTES_MAX = 8 * MIB


async def test_a_batch_counts_what_it_wrote(db: Database) -> None:
    assert await db.put_batch([("a", "x", 1), ("b", "y", b"\x00"), ("a", "z", None)]) == 3
    assert await db.get_many("a", ["x", "z"]) == {"x": 1, "z": None}
    assert await db.get("b", "y") == b"\x00"


async def test_an_empty_batch_writes_nothing(db: Database) -> None:
    await db.put("a", "x", 1)
    head = db.head
    assert await db.put_batch([]) == 0
    assert db.head == head


async def test_a_batch_is_one_moment(db: Database) -> None:
    await db.put("a", "x", 0)
    await db.put_batch([("a", "x", 1), ("a", "y", 1), ("b", "x", 1)])
    versions = [(await db.history(*name))[-1] for name in (("a", "x"), ("a", "y"), ("b", "x"))]
    assert len({version.timestamp_us for version in versions}) == 1
    before = versions[0].timestamp - datetime.timedelta(microseconds=1)
    assert await db.get_many("a", ["x", "y"], at=before) == {"x": 0}
    assert await db.list_keys("b", at=before) == []
    for version in versions:
        assert await db.get_many("a", ["x", "y"], at=version) == {"x": 1, "y": 1}
        assert await db.list_keys("b", at=version) == ["x"]


async def test_a_batch_continues_the_histories_of_its_keys(db: Database) -> None:
    first = await db.put("a", "x", 0)
    await db.put_batch([("a", "x", 1)])
    await db.put_batch([("a", "x", 2)])
    history = await db.history("a", "x")
    assert [version.value for version in history] == [0, 1, 2]
    assert history[1].previous == first.version_id
    assert history[2].previous == history[1].version_id


async def test_a_key_twice_in_a_batch_is_written_twice_and_the_last_wins(db: Database) -> None:
    assert await db.put_batch([("a", "x", "first"), ("a", "y", 1), ("a", "x", "last")]) == 3
    assert await db.get("a", "x") == "last"
    history = await db.history("a", "x")
    assert [version.value for version in history] == ["first", "last"]
    assert history[1].previous == history[0].version_id
    assert history[0].version_id != history[1].version_id
    assert await db.get("a", "x", at=history[1]) == "last"
    assert await db.list_keys("a") == ["x", "y"]


@given(written=st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"), values())))
async def test_a_batch_equals_its_puts_one_by_one(
    db: Database, written: list[tuple[str, str, Any]]
) -> None:
    for namespace in "ab":
        for key in "xyz":
            await db.erase(namespace, key)
    assert await db.put_batch(written) == len(written)
    for namespace in "ab":
        last = {key: value for ns, key, value in written if ns == namespace}
        assert same(await db.get_many(namespace, sorted(last)), dict(sorted(last.items())))
        assert await db.list_keys(namespace) == sorted(last)


# What one bad item gets, and what the message must say besides naming the item.
BAD_ITEMS: dict[str, tuple[Any, type[KoruDeltaError], str]] = {
    "nan": (("a", "bad", {"price": [float("nan")]}), SerializationError, "$.price[0]"),
    "tuple": (("a", "bad", (1, 2)), SerializationError, "$"),
    "wide int": (("a", "bad", 2**64), SerializationError, "$"),
    "surrogate": (("a", "bad", {"\ud800": 1}), SerializationError, "$"),
    "deep": (("a", "bad", nested_lists(129)), SerializationError, "128"),
    "empty key": (("a", "", 1), ValidationError, "key"),
    "empty namespace": (("", "bad", 1), ValidationError, "namespace"),
    "NUL in key": (("a", "x\0", 1), ValidationError, "key"),
    "surrogate in key": (("a", "\ud800", 1), ValidationError, "key"),
    "long namespace": (("n" * 1025, "bad", 1), ValidationError, "namespace"),
    "long key": (("a", "k" * 1025, 1), ValidationError, "key"),
    "key of another type": (("a", 5, 1), ValidationError, "key"),
    "large value": (("a", "bad", b"x" * (VALUE_BYTES_MAX + 1)), LimitExceededError, ""),
    "two fields": (("a", "bad"), ValidationError, ""),
    "four fields": (("a", "bad", 1, 2), ValidationError, ""),
    "no tuple": (None, ValidationError, ""),
    "a string": ("abc", ValidationError, ""),
}


@pytest.mark.parametrize(("item", "error", "says"), BAD_ITEMS.values(), ids=BAD_ITEMS.keys())
async def test_one_bad_item_at_the_end_writes_nothing_and_is_named(
    db: Database, item: Any, error: type[KoruDeltaError], says: str
) -> None:
    await db.put("a", "kept", 1)
    head = db.head
    items = [("a", f"key-{i}", i) for i in range(137)]
    with pytest.raises(error) as caught:
        await db.put_batch([*items, item])
    message = str(caught.value)
    assert re.search(r"\b137\b", message), message
    assert says in message
    assert db.head == head
    assert await db.list_keys("a") == ["kept"]
    assert await db.put_batch(items) == 137


@pytest.mark.parametrize("items", [None, 5, object()], ids=["None", "int", "object"])
async def test_what_is_no_list_of_items_is_refused(db: Database, items: Any) -> None:
    with pytest.raises((ValidationError, TypeError)):
        await db.put_batch(items)
    assert await db.list_namespaces() == []


async def test_a_batch_of_a_namespace_names_its_bad_item_too(db: Database) -> None:
    namespace = db.namespace("a")
    assert await namespace.put_batch([("x", 1), ("y", 2)]) == 2
    bad: list[Any] = [("z",), ("z", 1, 2), None, ("", 1), ("z", {1})]
    for item in bad:
        with pytest.raises(ValidationError, match=r"\b1\b"):
            await namespace.put_batch([("z", 0), item])
    assert await namespace.all() == {"x": 1, "y": 2}


async def test_the_number_of_items_is_limited(db: Database) -> None:
    items = [("a", str(i), i) for i in range(BATCH_ITEMS_MAX)]
    with pytest.raises(LimitExceededError, match=r"100,?000"):
        await db.put_batch([*items, ("a", "one more", 0)])
    assert await db.list_keys("a") == []
    assert await db.put_batch(items) == BATCH_ITEMS_MAX
    assert (await db.stats()).keys == BATCH_ITEMS_MAX
    assert await db.get("a", "99999") == 99999


@pytest.mark.parametrize(
    "value_of_size",
    [lambda size: b"\xff" * size, lambda size: "x" * (size - 2)],
    ids=["bytes", "json"],
)
async def test_the_size_of_a_batch_is_limited_at_64_mib(
    db: Database, value_of_size: Callable[[int], Any]
) -> None:
    name_bytes = 8 * len("aX")
    full = [("a", str(i), value_of_size(VALUE_BYTES_MAX)) for i in range(7)]
    last = value_of_size(VALUE_BYTES_MAX - name_bytes)
    with pytest.raises(LimitExceededError):
        await db.put_batch([*full, ("a", "7", value_of_size(VALUE_BYTES_MAX - name_bytes + 1))])
    assert await db.list_keys("a") == []
    assert await db.put_batch([*full, ("a", "7", last)]) == 8
    assert await db.get("a", "7") == last


async def test_a_batch_may_hold_a_value_of_the_largest_size(db: Database) -> None:
    largest = b"x" * VALUE_BYTES_MAX
    assert await db.put_batch([("a", "x", largest), ("a", "y", 1)]) == 2
    assert await db.get("a", "x") == largest
