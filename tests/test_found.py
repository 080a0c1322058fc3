"""Records and matches: taken apart when looked at, and otherwise plain values."""

from __future__ import annotations

import copy
import dataclasses
import datetime
import pickle
from typing import TYPE_CHECKING

import pytest

from koru_delta import Match, Record
from koru_delta._operations import querying

if TYPE_CHECKING:
    from koru_delta import Database

NAMES = ["namespace", "key", "value", "version_id", "timestamp"]


async def found(db: Database) -> tuple[Record, Match, Match]:
    """A record, a match by vector and one by text, none of which anybody has looked at."""
    await db.put("n\u00e9", "k\u00e9y", {"text": "red planet"}, embedding=[1.0, 0.0])
    return (
        (await db.query("n\u00e9"))[0],
        (await db.similar("n\u00e9", [1.0, 0.0]))[0],
        (await db.search("n\u00e9", "planet"))[0],
    )


async def test_each_part_is_there_whichever_is_looked_at_first(db: Database) -> None:
    version = (await found(db) and await db.history("n\u00e9", "k\u00e9y"))[0]
    wanted = {name: getattr(version, name) for name in NAMES}
    for name in NAMES:
        await db.put("other", "x", name)  # So that no search is answered from what was kept.
        for one in await again(db):
            assert getattr(one, name) == wanted[name]
            assert {other: getattr(one, other) for other in NAMES} == wanted
    assert isinstance(wanted["timestamp"], datetime.datetime)
    _, near, told = await again(db)
    assert (near.snippet, near.highlights) == (None, ())
    assert told.snippet is not None
    assert told.highlights


async def again(db: Database) -> tuple[Record, Match, Match]:
    return (
        (await db.query("n\u00e9"))[0],
        (await db.similar("n\u00e9", [1.0, 0.0]))[0],
        (await db.search("n\u00e9", "planet"))[0],
    )


async def test_they_are_plain_values(db: Database) -> None:
    for one in await found(db):
        fields = [field.name for field in dataclasses.fields(one)]
        parts = {name: getattr(one, name) for name in fields}
        assert type(one)(**parts) == one
        assert dataclasses.asdict(one) == parts
    for index in range(3):
        for make in (copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))):
            one = (await again(db))[index]
            assert make(one) == one
            assert make((await again(db))[index]) == one
        one = (await again(db))[index]
        assert dataclasses.replace(one, value=1).version_id == one.version_id
        assert repr(one).startswith(f"{type(one).__name__}(namespace='n\u00e9', key='k\u00e9y'")


async def test_they_are_frozen_and_have_no_other_parts(db: Database) -> None:
    for one in await found(db):
        with pytest.raises(dataclasses.FrozenInstanceError):
            one.key = "other"  # type: ignore[misc]
        with pytest.raises(AttributeError, match="has no attribute 'vlaue'"):
            one.vlaue  # type: ignore[union-attr] # noqa: B018
    record = (await found(db))[0]
    with pytest.raises(AttributeError, match="'Record' object has no attribute 'snippet'"):
        record.snippet  # type: ignore[attr-defined] # noqa: B018


async def test_bytes_are_among_what_is_found(db: Database) -> None:
    await db.put("n", "a", b"\xff\x00")
    assert [record.value for record in await db.query("n")] == [b"\xff\x00"]
    await db.put_batch([("n", "b", {"x": 1}), ("n", "c", b""), ("n", "d", None)])
    assert [record.value for record in await db.query("n")] == [b"\xff\x00", {"x": 1}, b"", None]
    assert await db.query("nowhere") == []


async def test_what_was_slow_once_does_not_stay_on_a_worker_thread(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way to a thread and back, which a busy machine makes long, is not the query's time."""
    monkeypatch.setattr(querying, "LONG_SECONDS", 0.5)
    monkeypatch.setattr(querying, "perf_counter", SlowWay.now)
    session = db._session
    go = session.in_thread
    hops = 0

    async def by_a_slow_way(*args: object, **kwargs: object) -> object:
        nonlocal hops
        hops += 1
        SlowWay.passed += 10.0
        return await go(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(session, "in_thread", by_a_slow_way)
    await db.put("n", "a", {"x": 1})
    for _ in range(5):
        assert await db.count("n", {"x": 1}) == 1
    assert hops == 1


class SlowWay:
    """A clock by which the way to a worker thread takes ten seconds."""

    passed = 0.0

    @classmethod
    def now(cls) -> float:
        return cls.passed
