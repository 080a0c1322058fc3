"""Optimistic concurrency: a write that expects what is no longer there is refused."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from koru_delta import ConflictError, Database, KoruDeltaError, Version


async def test_a_write_that_expects_the_current_version_succeeds(db: Database) -> None:
    first = await db.put("users", "alice", 1)
    second = await db.put("users", "alice", 2, expected_version=first)
    third = await db.put("users", "alice", 3, expected_version=second.version_id)
    assert third.previous == second.version_id
    assert await db.get("users", "alice") == 3


async def test_a_stale_expectation_is_a_conflict_that_names_the_current_version(
    db: Database,
) -> None:
    first = await db.put("users", "alice", 1)
    current = await db.put("users", "alice", 2)
    head = db.head
    for stale in (first, first.version_id, "0" * 32):
        with pytest.raises(ConflictError) as caught:
            await db.put("users", "alice", 3, expected_version=stale)
        assert current.version_id in str(caught.value)
    assert db.head == head
    assert await db.get("users", "alice") == 2


async def test_expecting_none_means_that_the_key_must_not_exist(db: Database) -> None:
    first = await db.put("users", "alice", 1, expected_version=None)
    with pytest.raises(ConflictError) as caught:
        await db.put("users", "alice", 2, expected_version=None)
    assert first.version_id in str(caught.value)
    assert await db.get("users", "alice") == 1


async def test_a_deleted_key_does_not_exist(db: Database) -> None:
    first = await db.put("users", "alice", 1)
    await db.delete("users", "alice")
    with pytest.raises(ConflictError):
        await db.put("users", "alice", 2, expected_version=first)
    await db.put("users", "alice", 2, expected_version=None)
    assert await db.get("users", "alice") == 2


async def test_expecting_a_version_of_a_key_that_was_never_written_is_a_conflict(
    db: Database,
) -> None:
    other = await db.put("users", "bob", 1)
    with pytest.raises(ConflictError):
        await db.put("users", "alice", 1, expected_version=other)
    assert not await db.contains("users", "alice")


async def test_without_an_expectation_the_last_write_wins(db: Database) -> None:
    await db.put("users", "alice", 1)
    await db.put("users", "alice", 2)
    assert await db.get("users", "alice") == 2


@pytest.mark.parametrize("expected", ["", "not an id", 5, True, b"x", []], ids=repr)
async def test_a_malformed_expectation_writes_nothing(db: Database, expected: Any) -> None:
    await db.put("users", "alice", 1)
    head = db.head
    with pytest.raises(KoruDeltaError):
        await db.put("users", "alice", 2, expected_version=expected)
    with pytest.raises(KoruDeltaError):
        await db.put("users", "bob", 2, expected_version=expected)
    assert db.head == head


async def count_up(db: Database, times: int) -> int:
    """Adds one `times` times by compare-and-set; returns how often it had to try again."""
    conflicts = 0
    for _ in range(times):
        while True:
            current: Version = (await db.history("counters", "hits"))[-1]
            await asyncio.sleep(0)
            try:
                await db.put("counters", "hits", current.value + 1, expected_version=current)
                break
            except ConflictError:
                conflicts += 1
    return conflicts


async def test_concurrent_counters_lose_no_increment(db: Database) -> None:
    await db.put("counters", "hits", 0)
    conflicts = sum(await asyncio.gather(*(count_up(db, 10) for _ in range(8))))
    assert await db.get("counters", "hits") == 80
    assert conflicts > 0, "the writers did get in each other's way"
    history = await db.history("counters", "hits")
    assert [version.value for version in history] == list(range(81))


async def test_of_many_writers_that_expect_the_same_one_succeeds(db: Database) -> None:
    first = await db.put("users", "alice", "start")
    results = await asyncio.gather(
        *(db.put("users", "alice", i, expected_version=first) for i in range(20)),
        return_exceptions=True,
    )
    winners = [result for result in results if isinstance(result, Version)]
    assert len(winners) == 1
    assert sum(isinstance(result, ConflictError) for result in results) == 19
    assert await db.get("users", "alice") == winners[0].value


async def test_what_a_conflict_names_can_be_read_when_it_is_raised(db: Database) -> None:
    async def refused(number: int) -> bool:
        """Whether a creator was refused, and found at once what it was refused for."""
        try:
            await db.put("users", "alice", number, expected_version=None)
        except ConflictError as error:
            history = await db.history("users", "alice")
            return [version.version_id for version in history] == [error.current]
        return False

    assert sum(await asyncio.gather(*(refused(i) for i in range(20)))) == 19


async def test_of_many_creators_one_succeeds(db: Database) -> None:
    results = await asyncio.gather(
        *(db.put("users", "alice", i, expected_version=None) for i in range(20)),
        return_exceptions=True,
    )
    assert sum(isinstance(result, Version) for result in results) == 1
    assert len(await db.history("users", "alice")) == 1
