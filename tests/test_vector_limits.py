"""Large vector work: caps, progress, cancellation, background work, and a loop that turns."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from filling import written_until_full
from processes import run_python
from vector_oracle import corpus

from koru_delta import Config, Database, LimitExceededError, SyncDatabase, Version
from koru_delta._session import Session

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from conftest import FileOpener, Opener

DIMENSION = 256
CAP_MB = 24
CAUGHT_UP_SECONDS = 20


def vectors(count: int, seed: int = 1) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).normal(size=(count, DIMENSION)).astype("f4")


def names(count: int, start: int = 0) -> list[str]:
    return [f"{i:06}" for i in range(start, start + count)]


async def check_stored(db: Database, rows: np.ndarray[Any, Any], count: int) -> None:
    """The first rows, and no others, are stored and found."""
    assert await db.list_keys("notes") == names(count)
    (held,) = (await db.stats()).vectors
    assert held.vectors == count
    for row in range(0, count, max(1, count // 20)):
        assert np.array_equal(await db.vector("notes", names(1, row)[0]), rows[row])
        (match,) = await db.similar("notes", rows[row], top_k=1)
        assert match.key == names(1, row)[0]
    assert (await db.verify()).ok


async def fill_by_batches(db: Database, rows: np.ndarray[Any, Any]) -> int:
    def write(batch: int) -> Awaitable[int]:
        start = 1000 * batch
        return db.embed_batch("notes", names(1000, start), rows[start : start + 1000])

    return 1000 * await written_until_full(write, len(rows) // 1000)


async def fill_one_by_one(db: Database, rows: np.ndarray[Any, Any]) -> int:
    def write(row: int) -> Awaitable[Version]:
        return db.embed("notes", names(1, row)[0], rows[row])

    return await written_until_full(write, len(rows))


@pytest.mark.parametrize("fill", [fill_by_batches, fill_one_by_one])
async def test_a_full_memory_keeps_every_vector(
    open_database: Opener, fill: Callable[..., Any]
) -> None:
    db = await open_database(max_memory_mb=CAP_MB, sync_on_write=False)
    rows = vectors(30_000)
    count = await fill(db, rows)
    assert 0.3 * CAP_MB * 2**20 < count * DIMENSION * 4 < CAP_MB * 2**20
    await check_stored(db, rows, count)
    with pytest.raises(LimitExceededError, match="max_memory_mb"):
        await db.embed_batch("notes", names(20_000), rows[:20_000])
    await check_stored(db, rows, count)
    assert await db.delete("notes", names(1, count - 1)[0]) is True
    for row in range(count - 1500, count - 1):
        assert await db.erase("notes", names(1, row)[0]) == 1
    await check_stored(db, rows, count - 1500)
    await db.embed("notes", names(1, count - 1500)[0], rows[count - 1500])
    await check_stored(db, rows, count - 1499)
    assert (await db.stats()).memory_bytes <= CAP_MB * 2**20


@pytest.mark.parametrize("fill", [fill_by_batches, fill_one_by_one])
async def test_a_database_filled_to_the_cap_opens_again(
    open_file: FileOpener, reopen: Callable[..., Any], fill: Callable[..., Any]
) -> None:
    db = await open_file(max_memory_mb=CAP_MB, sync_on_write=False)
    rows = vectors(30_000)
    count = await fill(db, rows)
    db = await reopen(db, max_memory_mb=CAP_MB)
    # Codes have no memory yet: it is kept for them.
    with pytest.raises(LimitExceededError, match="max_memory_mb"):
        await db.embed_batch("other", names(1000), rows[:1000])
    await catch_up(db)
    await check_stored(db, rows, count)


async def test_memory_of_codes_that_are_still_to_be_derived_counts_as_used(
    open_file: FileOpener, reopen: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    db = await open_file(sync_on_write=False)
    rows = vectors(8000)
    await db.embed_batch("notes", names(8000), rows)
    await catch_up(db)
    with monkeypatch.context() as nothing_is_derived:
        nothing_is_derived.setattr(Session, "maintain_in_background", lambda _: None)
        db = await reopen(db)
        opened = await db.stats()
    assert opened.vectors[0].behind == 8000
    db._session.maintain_in_background()
    await catch_up(db)
    derived = await db.stats()
    codes = 8000 * DIMENSION
    assert abs(derived.memory_used_bytes - opened.memory_used_bytes) < codes / 20
    assert opened.vectors[0].bytes == derived.vectors[0].bytes


async def test_a_full_disk_quota_keeps_whole_commits(open_file: FileOpener) -> None:
    db = await open_file(max_disk_mb=4)
    rows = vectors(6000)
    await db.embed_batch("notes", names(1000), rows[:1000], [{"g": 1}] * 1000)
    assert len(await db.similar("notes", rows[0], top_k=10_000, where={"g": 1})) == 1000
    with pytest.raises(LimitExceededError, match="max_disk_mb"):
        await db.embed_batch("notes", names(5000, 1000), rows[1000:], [{"g": 1}] * 5000)
    await check_stored(db, rows, 1000)
    await db.embed("notes", names(1, 1000)[0], rows[1000], {"g": 1})
    assert len(await db.similar("notes", rows[0], top_k=10_000, where={"g": 1})) == 1001
    await check_stored(db, rows, 1001)


async def test_progress_goes_to_standard_error(
    db: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    await db.embed_batch("notes", names(2000), vectors(2000), progress=True)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.endswith("2,000 of 2,000 vectors (100 %)\n")
    await db.embed_batch("notes", names(10), vectors(10))
    assert capsys.readouterr() == ("", "")


async def longest_pause(work: asyncio.Task[Any]) -> tuple[float, int]:
    """The longest time for which the loop stood still until the work was done, and its turns."""
    longest, turns, last = 0.0, 0, time.perf_counter()
    while not work.done():
        await asyncio.sleep(0)
        now = time.perf_counter()
        longest, turns, last = max(longest, now - last), turns + 1, now
    return longest, turns


async def test_the_loop_turns_during_long_work(db: Database) -> None:
    rows = vectors(12_000)
    task = asyncio.create_task(db.embed_batch("notes", names(12_000), rows))
    start = time.perf_counter()
    _, turns = await longest_pause(task)
    took = time.perf_counter() - start
    assert await task == 12_000
    assert turns > 20, took
    await db.similar("notes", rows[0], exact=True)
    search = asyncio.create_task(db.similar_batch("notes", rows[:200], exact=True))
    start = time.perf_counter()
    pause, turns = await longest_pause(search)
    took = time.perf_counter() - start
    assert [found[0].key for found in await search] == names(200)
    assert turns > 20
    assert pause < max(0.05, took / 2)


async def test_a_cancelled_batch_is_written_in_whole_commits(db: Database) -> None:
    rows = vectors(30_000)
    task = asyncio.create_task(db.embed_batch("notes", names(30_000), rows))
    await asyncio.sleep(0.005)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await db.embed("other", "a", rows[0])
    found = await db.similar("notes", rows[0], top_k=10_000)
    keys = await db.list_keys("notes")  # Later: commits may still be on their way.
    assert keys == names(len(keys))
    assert {match.key for match in found} <= set(keys)
    await db.embed_batch("notes", names(10), rows[:10])
    assert (await db.similar("notes", rows[3], top_k=1))[0].key == names(4)[3]
    assert (await db.verify()).ok
    assert (await db.health()).healthy


async def catch_up(db: Database) -> None:
    end = time.monotonic() + CAUGHT_UP_SECONDS
    while (await db.stats()).vectors[0].behind:
        assert time.monotonic() < end, (await db.stats()).vectors
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("vector_index", ["hnsw", "quantized", "auto"])
async def test_work_in_the_background_catches_up(open_database: Opener, vector_index: str) -> None:
    db = await open_database(vector_index=vector_index)
    data = corpus()
    await db.embed_batch("notes", data.keys, data.rows)
    found = await db.similar("notes", data.rows[5], top_k=1)
    assert found[0].key == data.keys[5]
    await catch_up(db)
    for i in range(20):
        await db.embed("notes", f"late {i}", data.queries[i])
        assert (await db.similar("notes", data.queries[i], top_k=1))[0].key == f"late {i}"
    await catch_up(db)
    for i in range(20):
        assert (await db.similar("notes", data.queries[i], top_k=1))[0].key == f"late {i}"


async def test_closing_does_not_wait_for_work_in_the_background(
    open_file: FileOpener, reopen: Callable[..., Any]
) -> None:
    db = await open_file(vector_index="hnsw", sync_on_write=False)
    rows = vectors(8000)
    await db.embed_batch("notes", names(8000), rows)
    assert (await db.stats()).vectors[0].behind > 0
    start = time.perf_counter()
    db = await reopen(db, vector_index="hnsw")
    assert (await db.similar("notes", rows[7], top_k=1))[0].key == names(8)[7]
    await db.embed("notes", "new", rows[0])
    await db.close()
    assert time.perf_counter() - start < 5


def test_the_blocking_database_has_vectors(tmp_path: Any) -> None:
    data = corpus()
    with SyncDatabase(Config(path=tmp_path / "data.koru", vector_index="hnsw")) as db:
        version = db.embed("notes", "a", data.rows[0], {"i": 0})
        assert db.embed_batch("notes", data.keys, data.rows, progress=False) == 2000
        db.put("notes", "b", 1, embedding=data.rows[1])
        assert {m.key for m in db.similar("notes", data.rows[0], top_k=2)} == {"a", "0000"}
        assert [m.key for m in db.similar("notes", data.rows[0], at=version)] == ["a"]
        assert len(db.similar_batch("notes", data.queries, 3)) == 50
        assert np.array_equal(db.vector("notes", "b"), data.rows[1])
        assert db.stats().vectors[0].vectors == 2002
    with SyncDatabase(tmp_path / "data.koru") as db:
        assert {m.key for m in db.similar("notes", data.rows[0], top_k=2)} == {"a", "0000"}


def test_vectors_in_lists_and_arrays_never_import_numpy() -> None:
    printed = run_python(
        """
        import sys
        from array import array
        from koru_delta import SyncDatabase, ValidationError
        with SyncDatabase() as db:
            db.embed("notes", "a", [1.0, 0.0], {"n": 1})
            db.embed_batch("notes", ["b", "c"], [(0.0, 1.0), array("d", [1, 1])])
            db.embed_batch("notes", ["d"], memoryview(bytes(7) + b"@").cast("f", (1, 2)))
            assert [m.key for m in db.similar("notes", array("f", [1, 0]), 2)] == ["a", "c"]
            assert [m.key for m in db.similar("notes", [1, 0], where={"n": 1})] == ["a"]
            assert len(db.similar_batch("notes", [[1, 0], [0, 1]])) == 2
            assert db.vector("notes", "a") == array("f", [1, 0])
            assert type(db.vector("notes", "a")) is array
            try:
                db.embed("notes", "a", "text")
            except ValidationError:
                pass
            db.stats()
        print("numpy" in sys.modules)
        """
    )
    assert printed == "False"


async def test_a_memory_full_of_small_vectors_is_a_clean_error(open_database: Opener) -> None:
    db = await open_database(max_memory_mb=8, sync_on_write=False)
    count = 0
    with contextlib.suppress(LimitExceededError):
        while count < 1_000_000:
            await db.embed_batch("notes", names(100, count), np.ones((100, 8), "f4"))
            count += 100
    assert 1000 < count < 1_000_000
    assert len(await db.list_keys("notes")) == count
    assert (await db.stats()).vectors[0].vectors == count
    assert len(await db.similar("notes", np.ones(8), top_k=10, exact=True)) == 10
    assert await db.get("notes", "000000") is None
    assert await db.delete("notes", "000000") is True
    assert (await db.verify()).ok
