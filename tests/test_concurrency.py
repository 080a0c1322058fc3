"""Many tasks, many threads, cancellation: each write is whole, and the handle goes on working."""

from __future__ import annotations

import asyncio
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import TYPE_CHECKING, Any

import pytest
from turns import give_a_turn

from koru_delta import Config, Database, SyncDatabase

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from conftest import Backend, FileOpener, Opener

needs_threads = pytest.mark.skipif(
    sys.platform == "emscripten", reason="without threads a long operation holds the loop up"
)


async def test_many_tasks_write_and_each_finds_its_own(db: Database) -> None:
    async def write_and_read(i: int) -> None:
        version = await db.put("a", f"{i:03}", {"i": i})
        assert await db.get("a", f"{i:03}") == {"i": i}
        assert await db.get("a", f"{i:03}", at=version) == {"i": i}

    await asyncio.gather(*(write_and_read(i) for i in range(200)))
    assert await db.namespace("a").all() == {f"{i:03}": {"i": i} for i in range(200)}
    report = await db.verify()
    assert (report.ok, report.versions) == (True, 200)


async def test_writes_that_run_together_are_all_in_the_history(db: Database) -> None:
    written = await asyncio.gather(*(db.put("a", "key", i) for i in range(100)))
    history = await db.history("a", "key")
    assert sorted(version.value for version in history) == list(range(100))
    assert {version.version_id for version in history} == {v.version_id for v in written}
    times = [version.timestamp_us for version in history]
    assert times == sorted(set(times))
    assert [version.previous for version in history[1:]] == [v.version_id for v in history[:-1]]
    assert await db.get("a", "key") == history[-1].value


async def test_a_task_reads_its_own_acknowledged_write_at_once(db: Database) -> None:
    async def work(task: int) -> None:
        for i in range(20):
            await db.put("a", f"task-{task}", i)
            assert await db.get("a", f"task-{task}") == i
            assert (await db.history("a", f"task-{task}"))[-1].value == i

    await asyncio.gather(*(work(task) for task in range(10)))


@needs_threads
async def test_no_reader_ever_sees_half_a_batch(db: Database) -> None:
    keys = [f"{i:04}" for i in range(2000)]
    await db.put_batch([("a", key, 0) for key in keys])
    done = asyncio.Event()

    async def write() -> int:
        for generation in range(1, 15):
            await db.put_batch([("a", key, generation) for key in keys])
        done.set()
        return 14

    async def read() -> int:
        reads = 0
        while not done.is_set():
            assert len(set((await db.get_many("a", keys)).values())) == 1
            assert len(set((await db.namespace("a").all()).values())) == 1
            reads += 1
        return reads

    results = await asyncio.gather(write(), read(), read())
    assert min(results[1:]) > 0
    assert set((await db.get_many("a", keys)).values()) == {14}


async def test_everything_at_once_agrees_in_the_end(
    open_file: FileOpener, reopen: Callable[..., Any]
) -> None:
    db = await open_file()

    async def mixed(i: int) -> None:
        await db.put("a", f"{i:02}", i)
        await db.put_batch([("b", f"{i:02}", i), ("b", "shared", i)])
        if i % 3 == 0:
            await db.delete("a", f"{i:02}")
        if i % 5 == 0:
            await db.erase("b", f"{i:02}")

    await asyncio.gather(*(mixed(i) for i in range(50)))
    expected_a = {f"{i:02}": i for i in range(50) if i % 3}
    expected_b = {f"{i:02}" for i in range(50) if i % 5} | {"shared"}
    head = db.head
    for _ in range(2):
        assert await db.namespace("a").all() == expected_a
        assert set(await db.list_keys("b")) == expected_b
        assert len(await db.history("b", "shared")) == 50
        assert db.head == head
        assert (await db.verify()).ok
        db = await reopen(db)


@pytest.mark.parametrize("yields", range(12))
async def test_a_cancelled_put_is_whole_or_not_there(db: Database, yields: int) -> None:
    await db.put("a", "key", "old")
    task = asyncio.create_task(db.put("a", "key", "new"))
    for _ in range(yields):
        await asyncio.sleep(0)
    task.cancel()
    try:
        await task
        cancelled = False
    except asyncio.CancelledError:
        cancelled = True
    await db.put("b", "after", 1)
    value = await db.get("a", "key")
    assert value in ({"old", "new"} if cancelled else {"new"})
    assert [v.value for v in await db.history("a", "key")] == (
        ["old"] if value == "old" else ["old", "new"]
    )
    assert await db.get("b", "after") == 1
    assert (await db.verify()).ok


async def test_a_cancelled_batch_is_whole_or_not_there(
    open_file: FileOpener, reopen: Callable[..., Any]
) -> None:
    db = await open_file()
    for yields in range(0, 40, 3):
        items = [("a", f"{yields:02}-{i:04}", i) for i in range(2000)]
        task = asyncio.create_task(db.put_batch(items))
        for _ in range(yields):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert len(await db.list_keys("a", prefix=f"{yields:02}-")) in (0, 2000)
    await db.put("b", "after", 1)
    before = await db.list_keys("a")
    db = await reopen(db)
    assert await db.list_keys("a") == before
    assert len(before) % 2000 == 0


async def test_cancelling_one_of_many_writers_hurts_no_other(db: Database) -> None:
    tasks = [asyncio.create_task(db.put("a", f"{i:02}", i)) for i in range(40)]
    await asyncio.sleep(0)
    for task in tasks[::4]:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    for i, result in enumerate(results):
        if not isinstance(result, BaseException):
            assert await db.get("a", f"{i:02}") == i
        else:
            assert isinstance(result, asyncio.CancelledError)
            assert i % 4 == 0
    await db.put("a", "after", 1)
    assert (await db.verify()).ok


async def test_a_timeout_around_a_write_leaves_the_handle_working(db: Database) -> None:
    for _ in range(5):
        try:
            async with asyncio.timeout(0):
                await db.put_batch([("a", f"{i}", i) for i in range(1000)])
        except TimeoutError:
            pass
        assert len(await db.list_keys("a")) in (0, 1000)
    await db.put("a", "after", 1)
    assert await db.get("a", "after") == 1


@needs_threads
@pytest.mark.parametrize(("count", "size"), [(60_000, 100), (8, 7_000_000)], ids=str)
async def test_a_long_batch_does_not_hold_up_the_loop(db: Database, count: int, size: int) -> None:
    items = [("a", f"{i:06}", {"text": "x" * size, "i": i}) for i in range(count)]
    turns = 0
    finished = False

    async def count_turns() -> None:
        nonlocal turns
        while not finished:
            turns += 1
            await asyncio.sleep(0)

    counter = asyncio.create_task(count_turns())
    await asyncio.sleep(0)
    assert await db.put_batch(items) == len(items)
    finished = True
    await counter
    assert turns > 50, "other tasks had their turns while the batch was written"


async def longest_stall(work: Coroutine[Any, Any, object]) -> float:
    """For how much of the time that something takes the event loop stands still at most."""
    last = start = perf_counter()
    longest = 0.0
    task = asyncio.create_task(work)
    while not task.done():
        await asyncio.sleep(0)
        now = perf_counter()
        longest, last = max(longest, now - last), now
    await task
    return longest / (perf_counter() - start)


async def read_changes(db: Database, count: int) -> None:
    changes = db.watch(since=0)
    for _ in range(count):
        await anext(changes)


@needs_threads
async def test_long_answers_and_arguments_do_not_hold_up_the_loop(db: Database) -> None:
    count = 40_000
    keys = [f"{i:06}" for i in range(count)]
    rows = [[float(i), *(1.0 for _ in range(99))] for i in range(count)]
    assert await longest_stall(db.embed_batch("a", keys, rows)) < 0.5
    await db.put_batch([("b", key, {"i": i}) for i, key in enumerate(keys)])
    assert await longest_stall(db.get_many("b", keys)) < 0.5
    assert await longest_stall(db.namespace("b").all()) < 0.5
    assert await longest_stall(db.similar_batch("a", rows[:20], 10_000)) < 0.5
    assert await longest_stall(read_changes(db, 2 * count)) < 0.5


async def test_short_reads_go_on_during_a_long_batch(db: Database) -> None:
    await db.put("a", "before", 1)
    items = [("b", f"{i:06}", {"text": "x" * 100}) for i in range(30_000)]
    batch = asyncio.create_task(db.put_batch(items))
    reads = 0
    while not batch.done():
        assert await db.get("a", "before") == 1
        reads += 1
        await give_a_turn()
    assert await batch == len(items)
    assert reads > 0
    assert len(await db.list_keys("b")) == len(items)


def test_many_threads_share_a_blocking_database(backend: Backend, tmp_path: Any) -> None:
    with SyncDatabase(Config(path=backend.path_in(tmp_path))) as db:
        barrier = threading.Barrier(8)

        def work(thread: int) -> None:
            barrier.wait()
            for i in range(25):
                db.put(f"thread-{thread}", f"{i:02}", i)
                assert db.get(f"thread-{thread}", f"{i:02}") == i
                db.put("shared", "key", [thread, i])
                if i % 10 == 0:
                    db.put_batch([(f"thread-{thread}", f"batch-{j}", i) for j in range(50)])

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(8)))
        history = db.history("shared", "key")
        assert len(history) == 8 * 25
        assert len({version.timestamp_us for version in history}) == 8 * 25
        for thread in range(8):
            own = [v.value[1] for v in history if v.value[0] == thread]
            assert own == list(range(25)), "a thread's writes stay in its order"
            assert len(db.list_keys(f"thread-{thread}")) == 75
        assert db.verify().ok


async def test_databases_do_not_disturb_each_other(open_database: Opener) -> None:
    databases = [await open_database() for _ in range(6)]

    async def work(number: int, db: Database) -> None:
        for i in range(20):
            await db.put("a", f"{i:02}", [number, i])

    await asyncio.gather(*(work(number, db) for number, db in enumerate(databases)))
    for number, db in enumerate(databases):
        assert await db.namespace("a").all() == {f"{i:02}": [number, i] for i in range(20)}
