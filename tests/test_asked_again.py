"""A filter of one field and one plain value goes the shortest way once it was quick."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from koru_delta import DatabaseClosedError, SerializationError, ValidationError
from koru_delta._heads import _MOST
from koru_delta._operations import querying

if TYPE_CHECKING:
    from koru_delta import Database

WIDE = _MOST + 9


async def asked(db: Database, namespace: str, where: dict[str, Any]) -> list[tuple[str, Any]]:
    return [(one.key, one.value) for one in await db.query(namespace, where)]


async def asked_before(db: Database) -> Database:
    """A database of which the shortest way is taken for the fields a and b."""
    await db.put("n", "k", {"a": 1, "b": "x"})
    for where in ({"a": 1}, {"b": "x"}):
        await db.query("n", where)
        assert (26, "n", None, *where) in db._quick
    return db


async def test_what_is_written_in_between_is_found(db: Database) -> None:
    await asked_before(db)
    for number in range(5):
        assert len(await asked(db, "n", {"a": 1})) == number + 1
        await db.put("n", f"l{number}", {"a": 1})
    await db.delete("n", "k")
    assert ("k", {"a": 1, "b": "x"}) not in await asked(db, "n", {"a": 1})
    assert await asked(db, "n", {"b": "x"}) == []


async def test_many_namespaces_and_lengths(db: Database) -> None:
    spaces = [f"n{'é' * (number % 3)}{number}" for number in range(WIDE)]
    texts = ["é" * number for number in range(WIDE)]
    await db.put_batch([(space, "k", {"a": space}) for space in spaces])
    await db.put_batch([("n", f"k{number:03}", {"a": text}) for number, text in enumerate(texts)])
    for _ in range(3):
        for number, (space, text) in enumerate(zip(spaces, texts, strict=True)):
            assert await asked(db, space, {"a": space}) == [("k", {"a": space})]
            assert await asked(db, "n", {"a": text}) == [(f"k{number:03}", {"a": text})]


async def test_types_are_told_apart(db: Database) -> None:
    values: list[Any] = [None, True, False, 0, 1, 2**64 - 1, -(2**63), "", "1", "\0", "é"]
    await db.put_batch([("n", f"k{at:02}", {"a": one}) for at, one in enumerate(values)])
    await db.put_batch([("n", "missing", {}), ("n", "bytes", b"\xff")])
    for _ in range(2):
        for at, one in enumerate(values):
            assert [key for key, _ in await asked(db, "n", {"a": one})] == [f"k{at:02}"]
        assert [key for key, _ in await asked(db, "n", {"a": 1.0})] == ["k04"]


async def test_what_is_refused_is_refused_as_ever(db: Database) -> None:
    await asked_before(db)
    for namespace in (["n"], None, "", "\0", "\ud800", 1):
        with pytest.raises(ValidationError, match="namespace"):
            await db.query(namespace, {"a": 1})  # type: ignore[arg-type]
    for value in (2**64, "\ud800"):
        with pytest.raises(SerializationError, match=r"where\.a"):
            await db.query("n", {"a": value})
    with pytest.raises(ValidationError, match=r"\$nor"):
        await db.query("n", {"$nor": 1})
    assert await asked(db, "n", {"a": 1}) == [("k", {"a": 1, "b": "x"})]


async def test_whoever_holds_the_instance_is_waited_for_elsewhere(db: Database) -> None:
    await asked_before(db)
    lock = db._session._lock
    lock.acquire()
    threading.Timer(0.05, lock.release).start()
    assert await asked(db, "n", {"a": 1}) == [("k", {"a": 1, "b": "x"})]


async def test_what_takes_long_goes_to_a_thread_the_next_time(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asked_before(db)
    monkeypatch.setattr(querying, "LONG_SECONDS", -1.0)
    assert await asked(db, "n", {"a": 1}) == [("k", {"a": 1, "b": "x"})]
    assert (26, "n", None, "a") not in db._quick
    assert await asked(db, "n", {"a": 1}) == [("k", {"a": 1, "b": "x"})]


async def test_a_closed_database_answers_nothing(db: Database) -> None:
    await asked_before(db)
    await db.close()
    with pytest.raises(DatabaseClosedError):
        await db.query("n", {"a": 1})
