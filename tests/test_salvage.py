"""Salvage: what is intact of a damaged file, in a new one; the damaged one is left alone."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest
from files import content_of, names_in, write_content
from small_log import build_small_log

from koru_delta import (
    CorruptionError,
    Database,
    StorageError,
    SyncDatabase,
    UnsupportedFormatError,
)

if TYPE_CHECKING:
    from pathlib import Path


def test_one_damaged_byte_costs_one_commit(tmp_path: Path) -> None:
    log = build_small_log(tmp_path / "small.koru")
    damaged, target = tmp_path / "damaged.koru", tmp_path / "salvaged.koru"
    for at in range(log.ends[0], len(log.content), 29):
        content = bytearray(log.content)
        content[at] ^= 0x40
        write_content(damaged, bytes(content))
        report = SyncDatabase.salvage(damaged, target)
        group = sum(end <= at for end in log.ends)
        assert report.lost == ((log.ends[group - 1], log.ends[group]),)
        assert report.bytes_lost == log.ends[group] - log.ends[group - 1]
        assert content_of(damaged) == bytes(content)
        with SyncDatabase(target) as db:
            assert db.verify().ok
            assert db.stats().versions == report.versions
            ages = (
                [version.value["age"] for version in db.history("users", "alice")]
                if group not in (1, 3)
                else []
            )
            assert ages in ([], [1, 2])
            assert db.contains("users", "carol") is (group != 6)
            assert db.contains("docs", "d") is (group == 5), "an erasure that is lost gives it back"
        target.unlink()


async def test_a_damaged_snapshot_loses_the_part(tmp_path: Path) -> None:
    path, target = tmp_path / "data.koru", tmp_path / "salvaged.koru"
    random = Random(1)
    async with Database(path) as db:
        for i in range(40):
            await db.put("a", f"k{i:02}", random.randbytes(100_000))
        await db.embed("a", "vector", [1.0, 2.0], {"n": 1})
        await db.compact()
        await db.put("a", "later", 1)
    content = bytearray(content_of(path))
    content[len(content) // 2] ^= 1
    write_content(path, bytes(content))
    with pytest.raises(CorruptionError):
        await Database.create(path)
    report = await Database.salvage(path, target)
    assert len(report.lost) == 1
    assert 900_000 < report.bytes_lost < 1_200_000
    async with Database(target) as db:
        keys = await db.list_keys("a")
        assert report.keys == len(keys)
        assert 25 < len(keys) < 40
        assert {"later", "vector", "k00", "k39"} <= set(keys)
        assert [match.key for match in await db.similar("a", [1.0, 2.0])] == ["vector"]
        assert (await db.verify()).ok


async def test_a_sound_file_is_copied_whole(tmp_path: Path) -> None:
    path, target = tmp_path / "data.koru", tmp_path / "salvaged.koru"
    async with Database(path) as db:
        for i in range(20):
            await db.put("a", f"k{i % 3}", i)
        await db.erase("a", "k1")
        head = db.head
    report = await Database.salvage(path, target)
    assert (report.lost, report.bytes_lost) == ((), 0)
    assert report.bytes_written == target.stat().st_size
    async with Database(target) as db:
        assert db.head == head
        assert await db.list_keys("a") == ["k0", "k2"]


async def test_what_cannot_be_salvaged_says_so(tmp_path: Path) -> None:
    path, target = tmp_path / "data.koru", tmp_path / "salvaged.koru"
    async with Database(path) as db:
        await db.put("a", "key", 1)
    content = content_of(path)
    write_content(path, content[:30] + b"?" + content[31:])
    with pytest.raises(CorruptionError, match="header"):
        await Database.salvage(path, target)
    write_content(path, b"something else" * 10)
    with pytest.raises(UnsupportedFormatError):
        await Database.salvage(path, target)
    with pytest.raises(StorageError, match=r"no database at .*; check the path: give a database"):
        await Database.salvage(tmp_path / "missing", target)
    write_content(path, content)
    write_content(target, b"mine")
    with pytest.raises(StorageError, match=r"exists already; give another path, or remove it$"):
        await Database.salvage(path, target)
    assert names_in(tmp_path) == ["data.koru", "data.koru.lock", "salvaged.koru"]


async def test_random_damage_gives_a_database(tmp_path: Path) -> None:
    path, target = tmp_path / "data.koru", tmp_path / "salvaged.koru"
    async with Database(path) as db:
        for i in range(60):
            await db.put("a", f"k{i % 7}", "x" * (i * 37 % 900))
            if i == 30:
                await db.compact()
            if i % 10 == 3:
                await db.delete("a", f"k{i % 7}")
        whole = {v.version_id for i in range(7) for v in await db.history("a", f"k{i}")}
    content = content_of(path)
    for seed in range(25):
        random = Random(seed)
        damaged = bytearray(content)
        for _ in range(random.randint(1, 6)):
            at = random.randrange(64, len(damaged))
            size = random.choice([1, 30, 700])
            damaged[at : at + size] = random.randbytes(min(size, len(damaged) - at))
        write_content(path, bytes(damaged))
        report = await Database.salvage(path, target)
        assert report.bytes_lost > 0
        async with Database(target) as db:
            keys = [f"k{i}" for i in range(7) if await db.contains("a", f"k{i}")]
            found = {v.version_id for key in keys for v in await db.history("a", key)}
            assert found <= whole
            assert (await db.verify()).ok
        target.unlink()
