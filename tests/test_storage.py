"""A place for the log of one's own: the same bytes as in a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from koru_delta import Config, CorruptionError, Database, StorageError, ValidationError
from koru_delta._storage.file import FileStorage
from koru_delta.storage import MemoryStorage


async def fill(db: Database) -> None:
    first = await db.put("a", "key", {"n": 1})
    await db.put("a", "key", {"n": 2}, caused_by=first)
    await db.put_batch([("a", f"{i}", i) for i in range(100)])
    await db.embed("b", "vector", [1.0, 2.0], {"n": 3})
    await db.delete("a", "7")
    await db.erase("a", "8")


async def check(db: Database) -> None:
    assert len(await db.list_keys("a")) == 99
    assert [v.value for v in await db.history("a", "key")] == [{"n": 1}, {"n": 2}]
    assert [m.key for m in await db.similar("b", [1.0, 2.0])] == ["vector"]
    assert (await db.verify()).ok


async def test_a_log_in_memory_opens_again() -> None:
    place = MemoryStorage()
    async with Database(Config(storage=place)) as db:
        await fill(db)
        stats = await db.stats()
        assert (stats.storage, stats.path, stats.disk_bytes) == ("memory", None, place.size)
    async with Database(Config(storage=place)) as db:
        await check(db)
        await db.put("a", "more", 1)


async def test_its_bytes_are_those_of_a_file(tmp_path: Path) -> None:
    place = MemoryStorage()
    async with Database(Config(storage=place)) as db:
        await fill(db)
    path = tmp_path / "data.koru"
    path.write_bytes(place.data)
    async with Database(path) as db:
        await check(db)
        head = db.head
    async with Database(Config(storage=MemoryStorage(path.read_bytes()))) as db:
        await check(db)
        assert db.head == head


async def test_a_torn_tail_in_memory_is_cut() -> None:
    place = MemoryStorage()
    async with Database(Config(storage=place)) as db:
        await db.put("a", "key", 1)
        whole = place.size
        await db.put("a", "key", 2)
    torn = MemoryStorage(bytes(place.data[: whole + 30]))
    async with Database(Config(storage=torn)) as db:
        assert await db.get("a", "key") == 1
        assert 0 < (await db.stats()).recovered_bytes <= 30
    assert torn.size == whole


async def test_damage_in_memory_is_reported_and_reading_needs_no_right_to_write() -> None:
    place = MemoryStorage()
    async with Database(Config(storage=place)) as db:
        await fill(db)
    async with Database(Config(storage=place, read_only=True)) as db:
        await check(db)
        with pytest.raises(StorageError, match="read-only"):
            await db.put("a", "key", 3)
    place.data[100] ^= 1
    with pytest.raises(CorruptionError):
        await Database.create(Config(storage=place))


def test_a_place_and_a_path_are_one_too_many(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="storage"):
        Config(path=tmp_path / "data.koru", storage=MemoryStorage())


def test_a_file_reads_to_where_it_is_told(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(bytes(range(100)))
    storage = FileStorage(path, read_only=True, preallocate=False)
    room = bytearray(10)
    assert storage.read_into(5, memoryview(room)) == 10
    assert room == bytes(range(5, 15))
    assert storage.read_into(96, memoryview(room)) == 4
    assert room == bytes([96, 97, 98, 99, *range(9, 15)])
    assert storage.read_into(100, memoryview(room)) == 0
    storage.close()
    with pytest.raises(StorageError, match="cannot read"):
        storage.read_into(0, memoryview(room))


async def test_a_file_that_became_shorter_while_it_was_opened_is_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "data.koru"
    async with Database(path) as db:
        await fill(db)
    whole = path.stat().st_size
    # As if a writer had room set aside when the size was asked for, and gave it back since.
    monkeypatch.setattr(FileStorage, "size", property(lambda _: whole + 4096))
    async with Database(Config(path=path, read_only=True)) as db:
        await check(db)
