"""A storage that only the event loop can wait for: what is acknowledged, and when."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from koru_delta import Config, ConflictError, Database, StorageError
from koru_delta.storage import MemoryStorage


class Deferred(MemoryStorage):
    """Takes note, and settles when it is let: what a browser's database is like."""

    kind = "deferred"

    def __init__(self) -> None:
        super().__init__()
        self.durable = b""
        self.loaded = True
        self.may_settle = asyncio.Event()
        self.may_settle.set()
        self.error: StorageError | None = None
        self.settled = 0

    def read(self, offset: int, size: int) -> bytes:
        assert self.loaded, "it was read before it was loaded"
        return super().read(offset, size)

    async def load(self) -> None:
        self.loaded = True

    async def settle(self) -> None:
        noted = bytes(self.data)
        await self.may_settle.wait()
        self.loaded = False
        if self.error is not None:
            self.data[:] = self.durable
            raise self.error
        self.settled += 1
        self.durable = noted


def reads(place: Deferred) -> MemoryStorage:
    return MemoryStorage(place.durable)


async def kept(place: Deferred) -> dict[str, Any]:
    """What a crash at this moment would leave."""
    async with Database(Config(storage=reads(place))) as db:
        return await db.namespace("a").all()


async def test_a_write_is_acknowledged_when_it_is_settled() -> None:
    place = Deferred()
    async with Database(Config(storage=place)) as db:
        await db.put("a", "first", 1)
        assert await kept(place) == {"first": 1}
        place.may_settle.clear()
        writing = asyncio.create_task(db.put("a", "second", 2))
        await asyncio.sleep(0.02)
        assert not writing.done()
        assert not await db.contains("a", "second")
        place.may_settle.set()
        await writing
        assert await db.get("a", "second") == 2
        assert await kept(place) == {"first": 1, "second": 2}


async def test_writers_that_wait_are_settled_together() -> None:
    place = Deferred()
    async with Database(Config(storage=place)) as db:
        before = place.settled
        await asyncio.gather(*(db.put("a", f"key-{i}", i) for i in range(50)))
        assert place.settled - before <= 2
        assert len(await kept(place)) == 50


async def test_a_conflict_is_told_when_what_it_names_can_be_read() -> None:
    place = Deferred()
    async with Database(Config(storage=place)) as db:
        place.may_settle.clear()
        first = asyncio.create_task(db.put("a", "b", 1, expected_version=None))
        await asyncio.sleep(0)
        second = asyncio.create_task(db.put("a", "b", 2, expected_version=None))
        await asyncio.sleep(0.02)
        assert not second.done()
        place.may_settle.set()
        with pytest.raises(ConflictError) as caught:
            await second
        assert caught.value.current == (await db.history("a", "b"))[-1].version_id
        assert (await first).version_id == caught.value.current


async def test_a_conflict_with_what_is_lost_is_still_one() -> None:
    place = Deferred()
    async with Database(Config(storage=place)) as db:
        place.may_settle.clear()
        writes = [asyncio.create_task(db.put("a", "b", i, expected_version=None)) for i in range(2)]
        await asyncio.sleep(0.02)
        place.error = StorageError("the quota is used up")
        place.may_settle.set()
        lost, conflict = await asyncio.gather(*writes, return_exceptions=True)
        assert isinstance(lost, StorageError)
        assert isinstance(conflict, ConflictError)
        place.error = None
        await db.put("a", "b", 3, expected_version=None)


async def test_a_matrix_is_acknowledged_when_all_of_it_is_settled() -> None:
    place = Deferred()
    async with Database(Config(storage=place)) as db:
        rows = [[float(i), 1.0, 2.0] for i in range(20)]
        assert await db.embed_batch("a", [f"r{i}" for i in range(20)], rows) == 20
        assert len(await kept(place)) == 20
        assert (await db.verify()).ok


async def test_what_could_not_be_settled_is_as_if_it_had_not_been_written() -> None:
    place = Deferred()
    async with Database(Config(storage=place)) as db:
        await db.put("a", "first", 1)
        place.error = StorageError("the quota is used up")
        outcomes = await asyncio.gather(
            *(db.put("a", f"key-{i}", i) for i in range(5)), return_exceptions=True
        )
        assert all(isinstance(outcome, StorageError) for outcome in outcomes)
        assert await db.list_keys("a") == ["first"]
        place.error = None
        await db.put("a", "second", 2)
        assert await db.list_keys("a") == ["first", "second"]
        assert await kept(place) == {"first": 1, "second": 2}


async def test_opening_fails_if_the_new_log_cannot_be_settled() -> None:
    place = Deferred()
    place.error = StorageError("the quota is used up")
    with pytest.raises(StorageError, match="quota"):
        await Database.create(Config(storage=place))


async def test_closing_settles_what_was_gathered_without_a_write_ahead_log() -> None:
    place = Deferred()
    async with Database(Config(storage=place, enable_wal=False)) as db:
        await db.put("a", "first", 1)
        assert await kept(place) == {}
    assert await kept(place) == {"first": 1}


async def test_what_gathers_without_a_write_ahead_log_is_written_when_it_is_much() -> None:
    place = Deferred()
    async with Database(Config(storage=place, enable_wal=False)) as db:
        for i in range(6):
            await db.put("a", f"key-{i}", bytes(1_000_000))
        await asyncio.sleep(0.02)
        assert len(await kept(place)) >= 4


async def test_closing_says_that_what_was_gathered_is_lost() -> None:
    place = Deferred()
    db = await Database.create(Config(storage=place, enable_wal=False))
    await db.put("a", "first", 1)
    place.error = StorageError("the quota is used up")
    with pytest.raises(StorageError, match="quota"):
        await db.close()
    assert await kept(place) == {}


async def test_a_cancelled_writer_does_not_take_the_others_along() -> None:
    place = Deferred()
    async with Database(Config(storage=place)) as db:
        place.may_settle.clear()
        first, second = (asyncio.create_task(db.put("a", key, 1)) for key in ("x", "y"))
        await asyncio.sleep(0.02)
        first.cancel()
        await asyncio.sleep(0)
        place.may_settle.set()
        await second
        with pytest.raises(asyncio.CancelledError):
            await first
        assert set(await kept(place)) == {"x", "y"}
