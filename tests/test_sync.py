"""The blocking API says the same as the asynchronous one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from koru_delta import (
    Config,
    ConflictError,
    Database,
    KeyNotFoundError,
    SerializationError,
    SyncDatabase,
    ValidationError,
    Version,
)

if TYPE_CHECKING:
    from pathlib import Path


def walk_through(db: SyncDatabase) -> None:
    """Every operation of the key-value part once."""
    first = db.put("users", "alice", {"age": 1})
    assert isinstance(first, Version)
    second = db.put("users", "alice", {"age": 2}, caused_by=[first], expected_version=first)
    assert db.put_batch([("users", "bob", 1), ("docs", "d", b"\x00")]) == 2
    assert db.get("users", "alice") == {"age": 2}
    assert db.get("users", "nobody", None) is None
    assert db.get("users", "alice", at=first) == {"age": 1}
    assert db.get_at("users", "alice", first.timestamp) == {"age": 1}
    assert db.get_many("users", ["alice", "nobody"]) == {"alice": {"age": 2}}
    assert db["users/alice"] == {"age": 2}
    assert db.history("users", "alice") == [first, second]
    assert db.version(first.version_id) == first
    assert db.diff("users", "alice") == [{"op": "replace", "path": "/age", "value": 2}]
    assert db.lineage(second.version_id) == [first]
    assert db.effects(first.version_id) == [second]
    assert db.restore("users", "alice", first.version_id).value == {"age": 1}
    assert db.contains("users", "bob")
    assert db.list_keys("users", limit=1) == ["alice"]
    assert db.list_namespaces() == ["docs", "users"]
    assert db.delete("users", "bob") is True
    assert db.erase("users", "bob") == 2
    assert db.stats().keys == 2
    assert db.health().healthy
    assert db.verify().ok
    assert bytes.fromhex(db.head)
    users = db.namespace("users")
    users.put("carol", 3)
    assert users.get("carol") == 3
    assert users.all() == {"alice": {"age": 1}, "carol": 3}
    for error, call in (
        (KeyNotFoundError, lambda: db.get("users", "nobody")),
        (ConflictError, lambda: db.put("users", "alice", 1, expected_version=None)),
        (SerializationError, lambda: db.put("users", "alice", {1})),
        (ValidationError, lambda: db.put("", "alice", 1)),
    ):
        with pytest.raises(error):
            call()


def database(storage: str, directory: Path) -> SyncDatabase:
    return SyncDatabase() if storage == "memory" else SyncDatabase(directory / "data.koru")


@pytest.mark.parametrize("storage", ["memory", "file"])
def test_every_operation_works_without_a_loop(tmp_path: Path, storage: str) -> None:
    with database(storage, tmp_path) as db:
        walk_through(db)


@pytest.mark.parametrize("storage", ["memory", "file"])
async def test_every_operation_works_in_the_thread_of_a_running_loop(
    tmp_path: Path, storage: str
) -> None:
    with database(storage, tmp_path) as db:
        walk_through(db)
    await asyncio.sleep(0)


@pytest.mark.parametrize("storage", ["memory", "file"])
async def test_every_operation_works_in_a_worker_thread(tmp_path: Path, storage: str) -> None:
    with database(storage, tmp_path) as db:
        await asyncio.to_thread(walk_through, db)


def test_what_one_api_wrote_the_other_reads(tmp_path: Path) -> None:
    path = tmp_path / "data.koru"
    with SyncDatabase(Config(path=path)) as db:
        written = db.put("users", "alice", {"age": 1})

    async def read() -> Any:
        async with Database(path) as other:
            return await other.history("users", "alice")

    assert asyncio.run(read()) == [written]
