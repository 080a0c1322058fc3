"""Opening and closing: before, after, twice, forgotten."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any

import pytest
from calls import call, call_async, operations
from opening import open_and_close_async

from koru_delta import Database, DatabaseClosedError, Namespace, SyncDatabase

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Opener

KEY_VALUE_OPERATIONS = {
    "put",
    "put_batch",
    "get",
    "get_many",
    "get_at",
    "history",
    "version",
    "diff",
    "restore",
    "delete",
    "contains",
    "list_keys",
    "list_namespaces",
    "lineage",
    "effects",
    "erase",
    "stats",
    "health",
    "verify",
}


def test_the_operations_are_found() -> None:
    assert set(operations(Database)) >= KEY_VALUE_OPERATIONS
    assert set(operations(SyncDatabase)) >= KEY_VALUE_OPERATIONS
    assert set(operations(Namespace)) >= KEY_VALUE_OPERATIONS - {
        "put_batch",
        "version",
        "list_namespaces",
        "lineage",
        "effects",
        "stats",
        "health",
        "verify",
    }


@pytest.mark.parametrize("name", operations(Database))
async def test_before_opening_every_method_says_so(name: str) -> None:
    with pytest.raises(DatabaseClosedError):
        await call_async(Database(), name)


@pytest.mark.parametrize("name", operations(Database))
async def test_after_closing_every_method_says_so(open_database: Opener, name: str) -> None:
    db = await open_database()
    await db.close()
    with pytest.raises(DatabaseClosedError):
        await call_async(db, name)


@pytest.mark.parametrize("name", operations(SyncDatabase))
def test_before_opening_every_blocking_method_says_so(name: str) -> None:
    with pytest.raises(DatabaseClosedError):
        call(SyncDatabase(), name)


@pytest.mark.parametrize("name", operations(SyncDatabase))
def test_after_closing_every_blocking_method_says_so(name: str) -> None:
    with SyncDatabase() as db:
        pass
    with pytest.raises(DatabaseClosedError):
        call(db, name)


@pytest.mark.parametrize("name", operations(Namespace))
async def test_a_namespace_is_closed_with_its_database(name: str) -> None:
    async with Database() as db:
        namespace = db.namespace("users")
    with pytest.raises(DatabaseClosedError):
        await call_async(namespace, name)


async def test_a_path_of_a_closed_database_says_so(open_database: Opener) -> None:
    db = await open_database()
    await db.put("users", "alice", 1)
    await db.close()
    with pytest.raises(DatabaseClosedError):
        await db["users/alice"]
    with pytest.raises(DatabaseClosedError):
        _ = db.head


async def test_closing_twice_is_fine(open_database: Opener) -> None:
    db = await open_database()
    await db.close()
    await db.close()
    await Database().close()


def test_closing_twice_is_fine_when_blocking() -> None:
    db = SyncDatabase()
    db.close()
    with SyncDatabase() as db:
        db.close()
    db.close()


async def test_closing_at_the_same_time_is_fine(open_database: Opener) -> None:
    db = await open_database()
    await asyncio.gather(*(db.close() for _ in range(5)))
    with pytest.raises(DatabaseClosedError):
        await db.get("a", "key")


async def test_a_database_closed_under_running_writes_keeps_what_it_acknowledged(
    tmp_path: Path,
) -> None:
    path = tmp_path / "data.koru"
    db = await Database.create(path)
    writes = [asyncio.create_task(db.put("a", f"{i:02}", i)) for i in range(30)]
    await asyncio.sleep(0)
    await db.close()
    results = await asyncio.gather(*writes, return_exceptions=True)
    acknowledged = [i for i, result in enumerate(results) if not isinstance(result, BaseException)]
    refused = [result for result in results if isinstance(result, BaseException)]
    assert all(isinstance(error, DatabaseClosedError) for error in refused)
    async with Database(path) as db:
        stored = await db.namespace("a").all()
    assert {f"{i:02}" for i in acknowledged} <= set(stored)
    assert all(stored[key] == int(key) for key in stored)


async def test_the_context_manager_gives_the_database_and_closes_it() -> None:
    unopened = Database()
    async with unopened as db:
        assert db is unopened
        await db.put("a", "key", 1)
    with pytest.raises(DatabaseClosedError):
        await db.get("a", "key")


async def test_an_exception_passes_through_the_context_manager(tmp_path: Path) -> None:
    async def fail() -> None:
        async with Database(tmp_path / "db") as db:
            await db.put("a", "key", 1)
            raise ZeroDivisionError

    def fail_blocking() -> None:
        with SyncDatabase(tmp_path / "db") as db:
            db.put("a", "key", 2)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    with pytest.raises(ZeroDivisionError):
        fail_blocking()
    async with Database(tmp_path / "db") as db:
        assert await db.get("a", "key") == 2


async def test_create_opens_at_once() -> None:
    db = await Database.create()
    try:
        await db.put("a", "key", 1)
        assert await db.get("a", "key") == 1
    finally:
        await db.close()


async def test_two_databases_in_memory_share_nothing() -> None:
    async with Database() as left, Database() as right:
        await left.put("a", "key", 1)
        assert await right.list_namespaces() == []
        assert left.head != right.head


def forget(handles: list[Any]) -> None:
    """Lets go of handles as a program does that never closes them."""
    handles.clear()
    gc.collect()


async def test_a_forgotten_close_is_a_resource_warning_and_frees_the_path(
    tmp_path: Path,
) -> None:
    path = tmp_path / "forgotten.koru"
    handles = [await Database.create(path)]
    await handles[0].put("a", "key", 1)
    with pytest.warns(ResourceWarning, match="close"):
        forget(handles)
    async with Database(path) as db:
        assert await db.get("a", "key") == 1


def test_a_forgotten_blocking_close_is_a_resource_warning(tmp_path: Path) -> None:
    handles = [SyncDatabase(tmp_path / "forgotten.koru").__enter__()]
    handles[0].put("a", "key", 1)
    with pytest.warns(ResourceWarning, match="close"):
        forget(handles)
    with SyncDatabase(tmp_path / "forgotten.koru") as db:
        assert db.get("a", "key") == 1


@pytest.mark.filterwarnings("error")
async def test_a_database_that_was_never_opened_or_was_closed_warns_of_nothing() -> None:
    db = Database()
    opened = await Database.create()
    await opened.close()
    del db, opened
    gc.collect()


async def test_a_failed_open_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "data.koru"
    path.write_bytes(b"not a database" * 100)
    for _ in range(2):
        with pytest.raises(Exception, match=r"data\.koru"):
            await open_and_close_async(path)
    path.unlink()
    async with Database(path) as db:
        await db.put("a", "key", 1)


async def test_the_representation_tells_state_and_path(tmp_path: Path) -> None:
    path = tmp_path / "data.koru"
    async with Database(path) as db:
        assert "Database" in repr(db)
        assert "data.koru" in repr(db)
    assert "closed" in repr(db)
