"""A disk that is slow to sync holds up those who wait for it, and nobody else."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from koru_delta import Database, SyncDatabase, _arguments
from koru_delta._storage.commit_log import CommitLog
from koru_delta._workers import OneBehind

if TYPE_CHECKING:
    from pathlib import Path

    from koru_delta._storage.commit_log import Group

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="elsewhere syncing is another call"
)

SYNC_SECONDS = 0.05


class SlowSyncs:
    """Makes every sync take its time, and counts them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: float = SYNC_SECONDS) -> None:
        self.count = 0
        self.threads: set[int] = set()
        real = os.fdatasync

        def slow(fd: int) -> None:
            self.count += 1
            self.threads.add(threading.get_ident())
            time.sleep(seconds)
            real(fd)

        monkeypatch.setattr(os, "fdatasync", slow)


@pytest.fixture
def slow_syncs(monkeypatch: pytest.MonkeyPatch) -> SlowSyncs:
    """Syncs take 50 milliseconds."""
    return SlowSyncs(monkeypatch)


async def test_the_loop_goes_on_while_puts_wait(path: Path, slow_syncs: SlowSyncs) -> None:
    async with Database(path) as db:
        await db.put("a", "first", 0)  # From here on it is known that syncs are slow.
        stops: list[float] = []
        finished = False

        async def watch() -> None:
            before = time.perf_counter()
            while not finished:
                await asyncio.sleep(0.001)
                now = time.perf_counter()
                stops.append(now - before)
                before = now

        watcher = asyncio.create_task(watch())
        slow_syncs.threads.clear()
        for i in range(10):
            await db.put("a", f"{i}", i)
            assert await db.get("a", f"{i}") == i
        finished = True
        await watcher
        assert threading.get_ident() not in slow_syncs.threads
    assert len(stops) > 10 * SYNC_SECONDS / 0.001 / 10
    # The median, since a busy machine may stop anybody for a moment.
    assert sorted(stops)[len(stops) // 2] < SYNC_SECONDS / 2


async def test_reads_do_not_wait_for_a_sync(path: Path, slow_syncs: SlowSyncs) -> None:
    async with Database(path) as db:
        await db.put("a", "key", "old")
        put = asyncio.create_task(db.put("a", "key", "new"))
        seen: list[str] = []
        while not put.done():
            seen.append(await db.get("a", "key"))
            await asyncio.sleep(0.001)
        assert seen.count("old") > 5
        assert seen == sorted(seen, reverse=True), "what was seen stays seen"
        assert await db.get("a", "key") == "new"


async def test_writers_share_syncs(path: Path, slow_syncs: SlowSyncs) -> None:
    async with Database(path) as db:
        await db.put("a", "first", 0)
        slow_syncs.count = 0
        start = time.perf_counter()
        await asyncio.gather(*(db.put("a", f"{i:03}", i) for i in range(200)))
        assert slow_syncs.count <= 3
        assert time.perf_counter() - start < 200 * SYNC_SECONDS / 4

        async def write_ten(writer: int) -> None:
            for i in range(10):
                await db.put("b", f"{writer:02}-{i}", i)

        slow_syncs.count = 0
        await asyncio.gather(*(write_ten(writer) for writer in range(20)))
        assert 10 <= slow_syncs.count <= 30, "200 puts, each of 10 rounds in about one sync"
    with SyncDatabase(path) as again:
        assert len(again.list_keys("a")) == 201
        assert len(again.list_keys("b")) == 200
        assert again.verify().ok


def test_event_loops_of_several_threads_share_a_database(path: Path, slow_syncs: SlowSyncs) -> None:
    db = asyncio.run(Database.create(path))

    async def write(thread: int) -> None:
        for i in range(4):
            await asyncio.gather(*(db.put("a", f"{thread}-{i}-{j}", j) for j in range(5)))
            assert await db.get("a", f"{thread}-{i}-4") == 4

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda thread: asyncio.run(write(thread)), range(4)))
    assert len(asyncio.run(db.list_keys("a"))) == 80
    asyncio.run(db.close())


def test_a_loop_that_ends_while_a_put_waits_is_no_obstacle_to_the_next(
    path: Path, slow_syncs: SlowSyncs
) -> None:
    db = asyncio.run(Database.create(path))
    asyncio.run(db.put("a", "first", 0))  # From here on it is known that syncs are slow.
    loop = asyncio.new_event_loop()
    put = loop.create_task(db.put("a", "left", 1))
    for _ in range(3):
        loop.call_soon(loop.stop)
        loop.run_forever()
    put.cancel()
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
    asyncio.run(db.put("a", "next", 2))
    assert asyncio.run(db.get("a", "next")) == 2
    asyncio.run(db.close())


def test_threads_share_syncs(path: Path, slow_syncs: SlowSyncs) -> None:
    with SyncDatabase(path) as db:
        slow_syncs.count = 0
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda i: db.put("a", f"{i:03}", i), range(64)))
        assert slow_syncs.count < 32
        assert len(db.list_keys("a")) == 64
    with SyncDatabase(path) as again:
        assert len(again.list_keys("a")) == 64


async def test_a_put_that_was_acknowledged_was_synced(path: Path, slow_syncs: SlowSyncs) -> None:
    async with Database(path) as db:
        for i in range(5):
            before = slow_syncs.count
            start = time.perf_counter()
            await db.put("a", f"{i}", i)
            assert slow_syncs.count > before
            assert time.perf_counter() - start >= SYNC_SECONDS


async def test_waiting_for_a_flush_that_has_ended_does_not_spin(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    SlowSyncs(monkeypatch, seconds=0.005)
    async with Database(path) as db:
        await db.put("a", "first", 0)
        kept: list[int] = []
        async with asyncio.timeout(30):
            for round_number in range(40):
                puts = [
                    asyncio.create_task(db.put("a", f"{round_number:02}-{i}", i)) for i in range(8)
                ]
                for _ in range(round_number % 5):
                    await asyncio.sleep(0.001 * (round_number % 4))
                for put in puts[round_number % 3 :: 2]:
                    put.cancel()
                results = await asyncio.gather(*puts, return_exceptions=True)
                kept += [i for i, put in enumerate(results) if not isinstance(put, BaseException)]
                assert all(
                    isinstance(result, asyncio.CancelledError)
                    for result in results
                    if isinstance(result, BaseException)
                )
            await db.put("a", "last", 0)
        assert len(kept) >= 40 * 4
        assert len(await db.list_keys("a")) >= len(kept) + 2
        assert (await db.verify()).ok


async def test_closing_waits_for_the_sync_under_way(path: Path, slow_syncs: SlowSyncs) -> None:
    db = await Database.create(path)
    await db.put("a", "first", 0)
    puts = [asyncio.create_task(db.put("a", f"{i}", i)) for i in range(5)]
    await asyncio.sleep(SYNC_SECONDS / 5)
    await db.close()
    results = await asyncio.gather(*puts, return_exceptions=True)
    acknowledged = {f"{i}" for i, result in enumerate(results) if not isinstance(result, Exception)}
    with SyncDatabase(path) as again:
        assert acknowledged <= set(again.list_keys("a"))
        assert again.verify().ok


async def test_a_commit_is_made_while_the_one_before_is_synced(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_arguments, "_EMBED_BYTES", 16 * 4)
    syncing = threading.Event()
    overlapped: list[bool] = []
    sync, append = os.fdatasync, CommitLog.append

    def slow(fd: int) -> None:
        syncing.set()
        time.sleep(SYNC_SECONDS)
        sync(fd)
        syncing.clear()

    def noted(log: CommitLog, frames: bytes, sequence: int) -> Group | None:
        if overlapped:  # The first has none before it: the next wait for its sync to begin.
            syncing.wait(1)
        overlapped.append(syncing.is_set())
        return append(log, frames, sequence)

    async with Database(path) as db:
        monkeypatch.setattr(os, "fdatasync", slow)
        monkeypatch.setattr(CommitLog, "append", noted)
        keys = [f"{i:02}" for i in range(12)]
        await db.embed_batch("v", keys, [[1.0, 2.0, 3.0, 4.0]] * len(keys))
    assert len(overlapped) > 2
    assert overlapped == [False] + [True] * (len(overlapped) - 1)


async def test_a_group_is_written_here_where_no_thread_is_spare(path: Path) -> None:
    async with Database(path) as db:
        log = db._session.log
        assert isinstance(log, CommitLog)
        gate = threading.Event()
        with ThreadPoolExecutor(1) as busy:
            busy.submit(gate.wait)
            with OneBehind(busy) as written:
                group = log.append(b"\0" * 8, log.acknowledged)
                assert group is not None
                written.add(group.wait)
                assert not group.done
            assert group.done
            gate.set()


def test_what_failed_is_told_before_the_next_is_begun() -> None:
    done: list[int] = []

    def fail() -> None:
        raise OSError("no room")

    with ThreadPoolExecutor(1) as threads:
        behind = OneBehind(threads)
        behind.add(fail)
        with pytest.raises(OSError, match="no room"):
            behind.add(lambda: done.append(1))
        behind.settle()
        behind.add(lambda: done.append(2))
        behind.settle()
    assert done == [2]


def test_what_was_not_begun_stays_undone_when_it_is_stopped() -> None:
    done: list[int] = []
    gate = threading.Event()
    with ThreadPoolExecutor(1) as threads:
        threads.submit(gate.wait)
        waiting = OneBehind(threads)
        waiting.add(lambda: done.append(1))
        waiting.stop()
        gate.set()
        begun = threading.Event()
        running = OneBehind(threads)
        running.add(lambda: (begun.set(), done.append(2)))
        assert begun.wait(10)
        running.stop()
        assert done == [2]
