"""A full database is a clean error: nothing is lost, reading and deleting go on."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from files import stored_at
from filling import written_until_full
from json_values import deep_document

from koru_delta import Config, Database, KoruDeltaError, LimitExceededError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import FileOpener, Opener

MIB = 1024 * 1024
CAP_MB = 16
CHUNK = 64 * 1024
FIELDS = 480_000


def content(i: int) -> bytes:
    return i.to_bytes(8, "little") * (CHUNK // 8)


async def fill(db: Database) -> int:
    """Puts until the database is full; returns how many puts were acknowledged."""
    return await written_until_full(lambda i: db.put("filled", f"{i:06}", content(i)), 100_000)


async def check_filled(db: Database, count: int, removed: int = 0) -> None:
    assert await db.list_keys("filled") == [f"{i:06}" for i in range(removed, count)]
    for i in range(removed, count):
        assert await db.get("filled", f"{i:06}") == content(i)


async def test_a_full_memory_is_a_clean_error(open_database: Opener) -> None:
    db = await open_database(max_memory_mb=CAP_MB)
    count = await fill(db)
    assert 0.4 * CAP_MB * MIB < count * CHUNK < CAP_MB * MIB
    await check_filled(db, count)
    with pytest.raises(LimitExceededError, match="max_memory_mb"):
        await db.put("filled", "one more", b"x" * CHUNK)
    with pytest.raises(LimitExceededError):
        await db.put_batch([("filled", f"batch-{i}", b"x" * CHUNK) for i in range(4)])
    assert await db.delete("filled", "000000") is True
    assert await db.erase("filled", "000001") == 1
    await check_filled(db, count, removed=2)
    assert (await db.verify()).ok
    assert (await db.stats()).memory_bytes <= CAP_MB * MIB


async def test_a_value_larger_than_the_memory_is_a_clean_error(open_database: Opener) -> None:
    db = await open_database(max_memory_mb=CAP_MB)
    await db.put("a", "kept", 1)
    with pytest.raises(LimitExceededError):
        await db.put_batch([("a", str(i), b"x" * 7 * MIB) for i in range(8)])
    assert await db.get("a", "kept") == 1
    assert await db.list_keys("a") == ["kept"]
    await db.put("a", "small", 2)
    assert await db.get("a", "small") == 2


async def test_a_full_database_opens_again_under_the_same_cap(
    open_file: FileOpener, reopen: Callable[..., Any]
) -> None:
    db = await open_file(max_memory_mb=CAP_MB)
    count = await fill(db)
    db = await reopen(db, max_memory_mb=CAP_MB)
    await check_filled(db, count)
    assert await db.delete("filled", "000000") is True
    db = await reopen(db, max_memory_mb=CAP_MB)
    await check_filled(db, count, removed=1)


async def test_a_database_larger_than_the_cap_is_refused_at_open(
    open_file: FileOpener, path: Path
) -> None:
    db = await open_file()
    await db.put_batch([("a", str(i), content(i)) for i in range(400)])
    await db.close()
    before = stored_at(path)
    with pytest.raises(LimitExceededError, match="max_memory_mb"):
        await open_file(max_memory_mb=CAP_MB)
    assert stored_at(path) == before
    db = await open_file()
    assert len(await db.list_keys("a")) == 400


async def test_zero_means_no_limit_of_its_own(open_file: FileOpener) -> None:
    db = await open_file(max_memory_mb=0, max_disk_mb=0)
    await db.put_batch([("a", str(i), b"x" * MIB) for i in range(8)])
    assert len(await db.list_keys("a")) == 8


async def test_a_full_disk_quota_is_a_clean_error(
    open_file: FileOpener, reopen: Callable[..., Any], path: Path
) -> None:
    db = await open_file(max_disk_mb=1)
    count = await fill(db)
    assert 0.5 * MIB < count * CHUNK < MIB
    assert (await db.stats()).disk_bytes <= MIB
    assert len(stored_at(path)) <= MIB
    await check_filled(db, count)
    with pytest.raises(LimitExceededError, match="max_disk_mb"):
        await db.put("filled", "one more", b"x" * CHUNK)
    await db.put("small", "key", 1)
    assert await db.delete("filled", "000000") is True
    db = await reopen(db, max_disk_mb=1)
    await check_filled(db, count, removed=1)
    assert await db.get("small", "key") == 1


async def test_the_disk_quota_holds_for_writes_that_run_together(
    open_file: FileOpener, reopen: Callable[..., Any], path: Path
) -> None:
    db = await open_file(max_disk_mb=1)
    results = await asyncio.gather(
        *(db.put("filled", f"{i:06}", content(i)) for i in range(40)), return_exceptions=True
    )
    refused = [result for result in results if isinstance(result, BaseException)]
    assert all(isinstance(error, LimitExceededError) for error in refused)
    assert refused
    assert (await db.stats()).disk_bytes <= MIB
    assert len(stored_at(path)) <= MIB
    db = await reopen(db, max_disk_mb=1)
    assert len(await db.list_keys("filled")) == 40 - len(refused)


async def work_until_stopped(db: Database) -> None:
    """Compares ever larger documents until the deadline stops an operation."""
    for fields in (30_000, 60_000, 120_000, 240_000, FIELDS):
        try:
            await db.put("large", f"{fields}", {f"{i}": i for i in range(fields)})
            await db.put("large", f"{fields}", {f"{i}x": i for i in range(fields)})
            await db.diff("large", f"{fields}")
        except LimitExceededError as error:
            if "operation_timeout" in str(error):
                return
            raise
    raise AssertionError("the deadline never took effect")


async def test_an_operation_that_takes_too_long_is_stopped_and_harms_nothing(
    open_file: FileOpener, reopen: Callable[..., Any]
) -> None:
    db = await open_file(operation_timeout=0.1)
    await db.put("a", "kept", 1)
    await work_until_stopped(db)
    for _ in range(20):  # Taking the log in again may itself be stopped on a busy machine.
        with contextlib.suppress(LimitExceededError):
            await db.put("a", "after", 2)
            break
    assert await db.namespace("a").all() == {"kept": 1, "after": 2}
    db = await reopen(db)
    assert await db.namespace("a").all() == {"kept": 1, "after": 2}
    assert (await db.verify()).ok


async def test_a_database_in_memory_that_was_stopped_gives_no_wrong_answer(
    open_database: Opener,
) -> None:
    db = await open_database(operation_timeout=0.1)
    await db.put("a", "kept", 1)
    await work_until_stopped(db)
    with contextlib.suppress(KoruDeltaError):
        assert await db.get("a", "kept") == 1
        assert await db.list_keys("a") == ["kept"]
        return
    health = await db.health()
    assert not health.healthy
    assert "database in memory is lost" in health.issues[0]
    with pytest.raises(KoruDeltaError, match="lost with it; make a new one, or give it a path"):
        await db.put("a", "next", 1)


async def test_a_patch_larger_than_the_memory_is_a_clean_error(open_database: Opener) -> None:
    db = await open_database()
    await db.put("docs", "doc", deep_document(1))
    await db.put("docs", "doc", deep_document(2))
    with pytest.raises(LimitExceededError):
        await db.diff("docs", "doc")
    assert await db.get("docs", "doc") == deep_document(2)
    await db.put("docs", "after", 1)
    assert len(await db.history("docs", "doc")) == 2


async def test_the_default_cap_is_reported(open_database: Opener) -> None:
    db = await open_database()
    stats = await db.stats()
    assert 0 < stats.memory_bytes < Config().max_memory_mb * MIB
