"""The error tree: one base, each error says what to do next, and a missing key has near ones."""

from __future__ import annotations

import copy
import os
import pickle
from typing import TYPE_CHECKING, Any

import pytest
from opening import open_and_close_async

import koru_delta
from koru_delta import (
    Config,
    ConflictError,
    CorruptionError,
    Database,
    DatabaseClosedError,
    DatabaseLockedError,
    KeyNotFoundError,
    KoruDeltaError,
    LimitExceededError,
    SerializationError,
    StorageError,
    UnsupportedFormatError,
    ValidationError,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

HEADER_BYTES = 64


async def miss_a_key(directory: Path) -> None:
    async with Database() as db:
        await db.get("users", "nobody")


async def pass_a_bad_name(directory: Path) -> None:
    async with Database() as db:
        await db.put("", "key", 1)


async def pass_a_bad_field(directory: Path) -> None:
    Config(max_memory_mb=-1)


async def put_a_set(directory: Path) -> None:
    async with Database() as db:
        await db.put("a", "key", {1, 2})


async def use_after_close(directory: Path) -> None:
    db = await Database.create()
    await db.close()
    await db.get("a", "key")


async def use_before_open(directory: Path) -> None:
    await Database().get("a", "key")


async def open_twice(directory: Path) -> None:
    async with Database(directory / "db"), Database(directory / "db"):
        pass


async def expect_a_stale_version(directory: Path) -> None:
    async with Database() as db:
        await db.put("a", "key", 1)
        await db.put("a", "key", 2, expected_version=None)


async def put_too_much(directory: Path) -> None:
    async with Database() as db:
        await db.put("a", "key", b"x" * (8 * 1024 * 1024 + 1))


async def open_a_damaged_file(directory: Path) -> None:
    async with Database(directory / "db") as db:
        await db.put("a", "key", 1)
        await db.put("a", "key", 2)
    content = bytearray((directory / "db").read_bytes())
    content[HEADER_BYTES + 50] ^= 0xFF
    (directory / "db").write_bytes(content)
    await open_and_close_async(directory / "db")


async def open_a_foreign_file(directory: Path) -> None:
    (directory / "db").write_bytes(b"SQLite format 3\x00" + bytes(4096))
    await open_and_close_async(directory / "db")


async def open_below_a_file(directory: Path) -> None:
    (directory / "file").write_bytes(b"")
    await open_and_close_async(directory / "file" / "db")


async def write_to_a_read_only_database(directory: Path) -> None:
    async with Database(directory / "db"):
        pass
    async with Database(Config(path=directory / "db", read_only=True)) as db:
        await db.put("a", "key", 1)


def name_of(argument: Any) -> str:
    """A function's or a class's name, for the names of tests."""
    return str(argument.__name__)


# How to provoke each error.
PROVOCATIONS: list[tuple[Callable[[Path], Awaitable[None]], type[KoruDeltaError]]] = [
    (miss_a_key, KeyNotFoundError),
    (pass_a_bad_name, ValidationError),
    (pass_a_bad_field, ValidationError),
    (put_a_set, SerializationError),
    (use_after_close, DatabaseClosedError),
    (use_before_open, DatabaseClosedError),
    (open_twice, DatabaseLockedError),
    (expect_a_stale_version, ConflictError),
    (put_too_much, LimitExceededError),
    (open_a_damaged_file, CorruptionError),
    (open_a_foreign_file, UnsupportedFormatError),
    (open_below_a_file, StorageError),
    (write_to_a_read_only_database, StorageError),
]


@pytest.mark.parametrize(("provoke", "error"), PROVOCATIONS, ids=name_of)
async def test_an_error_says_what_happened_and_what_to_do_next(
    tmp_path: Path, provoke: Callable[[Path], Awaitable[None]], error: type[KoruDeltaError]
) -> None:
    with pytest.raises(error) as caught:
        await provoke(tmp_path)
    assert type(caught.value) is error
    assert isinstance(caught.value.suggestion, str)
    assert len(caught.value.suggestion) > 10
    assert len(str(caught.value)) > 10
    assert "\n" not in str(caught.value)


def test_every_error_has_a_provocation() -> None:
    leaves = {
        value
        for name, value in vars(koru_delta).items()
        if name in koru_delta.__all__
        and isinstance(value, type)
        and issubclass(value, KoruDeltaError)
        and value is not KoruDeltaError
    }
    assert leaves == {error for _, error in PROVOCATIONS}


@pytest.mark.parametrize("error", sorted({e for _, e in PROVOCATIONS}, key=name_of))
def test_every_error_is_a_koru_delta_error_and_documented(error: type[KoruDeltaError]) -> None:
    assert issubclass(error, KoruDeltaError)
    assert issubclass(error, Exception)
    assert error.__doc__
    assert error.__module__.split(".")[0] == "koru_delta"


async def catch_missing(db: Database, namespace: str, key: str) -> KeyNotFoundError:
    with pytest.raises(KeyNotFoundError) as caught:
        await db.get(namespace, key)
    return caught.value


async def test_a_missing_key_is_a_key_error_with_names(db: Database) -> None:
    error = await catch_missing(db, "users", "nobody")
    assert isinstance(error, KeyError)
    assert (error.namespace, error.key) == ("users", "nobody")
    assert "nobody" in str(error)
    assert "users" in str(error)
    assert str(error)[0] not in "'\"", "the message is not the repr that KeyError makes"


async def test_near_keys_are_suggested_in_a_note(db: Database) -> None:
    await db.put_batch([("users", key, 0) for key in ("alice", "alex", "bob", "zebra-crossing")])
    error = await catch_missing(db, "users", "alic")
    assert error.suggestions[0] == "alice"
    assert "zebra-crossing" not in error.suggestions
    assert error.__notes__ == [f"Did you mean: {', '.join(error.suggestions)}?"]


async def test_without_near_keys_there_is_no_note(db: Database) -> None:
    await db.put("users", "zebra-crossing", 0)
    error = await catch_missing(db, "users", "q")
    assert list(error.suggestions) == []
    assert getattr(error, "__notes__", []) == []
    assert error.suggestion


async def test_only_present_keys_of_the_same_namespace_are_suggested(db: Database) -> None:
    await db.put_batch([("users", "alice", 0), ("users", "alicf", 0), ("other", "alicg", 0)])
    await db.delete("users", "alicf")
    assert list((await catch_missing(db, "users", "alicx")).suggestions) == ["alice"]


async def test_a_deleted_key_is_missing_without_suggesting_itself(db: Database) -> None:
    await db.put_batch([("users", "alice", 0), ("users", "alicf", 0)])
    await db.delete("users", "alice")
    assert list((await catch_missing(db, "users", "alice")).suggestions) == ["alicf"]


@pytest.mark.parametrize("key", ["\u00fcber", "\U0001f600\U0001f601", "a" * 1024, "a'b\"c", "\n"])
async def test_any_key_can_be_missing(db: Database, key: str) -> None:
    await db.put_batch([("users", f"\u00fcbe{i}", 0) for i in range(3)])
    error = await catch_missing(db, "users", key)
    assert error.key == key
    assert str(error).encode("utf-8")


async def test_keys_are_suggested_out_of_a_large_namespace(db: Database) -> None:
    await db.put_batch([("users", f"user-{i:05}", 0) for i in range(20_000)])
    error = await catch_missing(db, "users", "user-0001o")
    assert 0 < len(error.suggestions) <= 10
    assert set(error.suggestions) <= set(await db.list_keys("users"))


async def test_get_at_and_paths_name_the_missing_key_too(db: Database) -> None:
    version = await db.put("users", "alice", 0)
    calls: list[Callable[[], Awaitable[Any]]] = [
        lambda: db.get_at("users", "alicee", version),
        lambda: db.get("users", "alicee", at=version),
        lambda: db.namespace("users").get("alicee"),
    ]
    for call in calls:
        with pytest.raises(KeyNotFoundError) as caught:
            await call()
        assert (caught.value.namespace, caught.value.key) == ("users", "alicee")
    with pytest.raises(KeyNotFoundError) as caught:
        await db["users/alicee"]
    assert list(caught.value.suggestions) == ["alice"]


async def test_an_error_can_be_pickled_and_copied(db: Database) -> None:
    await db.put("users", "alice", 0)
    error = await catch_missing(db, "users", "alicee")
    duplicates: list[Any] = [pickle.loads(pickle.dumps(error)), copy.copy(error)]
    for duplicate in duplicates:
        assert type(duplicate) is KeyNotFoundError
        assert str(duplicate) == str(error)
        assert (duplicate.namespace, duplicate.key) == ("users", "alicee")
        assert duplicate.suggestion == error.suggestion


async def test_a_locked_database_names_the_process_that_holds_it(tmp_path: Path) -> None:
    async with Database(tmp_path / "db"):
        with pytest.raises(DatabaseLockedError, match=rf"\b{os.getpid()}\b"):
            await open_and_close_async(tmp_path / "db")
