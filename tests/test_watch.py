"""Change feeds: every acknowledged change once, in commit order, for whoever reads it whenever."""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from koru_delta import Change, Config, Database, LimitExceededError, SyncDatabase, Version

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from conftest import Backend, FileOpener, Opener

END = {"end": True, "g": 1}


def said(change: Change) -> tuple[str, str, str, Any]:
    """A change in short: kind, names and value."""
    value = change.version.value if change.version else None
    return change.kind, change.namespace, change.key, value


async def put_end(db: Database) -> None:
    """Write what every reader of these suites stops at."""
    await db.put("a", "shared", END)


async def until_end(watch: AsyncIterator[Change]) -> list[Change]:
    """The changes up to the one that `put_end` made, without that."""
    changes = []
    async for change in watch:
        if change.version is not None and change.version.value == END:
            break
        changes.append(change)
    return changes


async def all_changes(db: Any, *names: str, **options: Any) -> list[Change]:
    """What a feed from the beginning tells now: read until nothing is left."""
    watch = db.watch(*names, **{"since": 0, **options})
    changes: list[Change] = []
    more = True
    while more:
        changes += iter(watch.next_found, None)
        more = await watch.fetch()
    return changes


async def test_a_change_names_its_version_and_the_one_before(db: Database) -> None:
    watch = db.watch()
    first = await db.put("a", "key", {"n": 1})
    second = await db.put("a", "key", {"n": 2}, caused_by=first)
    assert await db.delete("a", "key")
    third = (await db.history("a", "key"))[-1]
    fourth = await db.put("a", "key", b"\x00\xff")
    changes = [await anext(watch) for _ in range(4)]
    assert [change.version for change in changes] == [first, second, third, fourth]
    assert [change.previous for change in changes] == [None, first, second, third]
    assert [change.kind for change in changes] == ["put", "put", "delete", "put"]
    assert [c.timestamp for c in changes] == [v.timestamp for v in (first, second, third, fourth)]
    assert {(c.namespace, c.key, c.missed) for c in changes} == {("a", "key", 0)}
    assert (third.deleted, fourth.value) == (True, b"\x00\xff")


async def test_every_way_to_write_is_a_put(db: Database) -> None:
    first = await db.put("a", "key", 1)
    await db.put_batch([("a", "x", 1), ("b", "y", 2)])
    await db.put_batch([])
    assert not await db.delete("a", "nothing")
    assert not await db.erase("a", "nothing")
    await db.embed("a", "vector", [1.0, 2.0], {"n": 1})
    await db.embed_batch("a", ["v1", "v2"], [[1, 2], [3, 4]], [{"n": 2}, {"n": 3}])
    await db.restore("a", "key", first.version_id)
    changes = await all_changes(db)
    assert [change.key for change in changes] == ["key", "x", "y", "vector", "v1", "v2", "key"]
    assert {change.kind for change in changes} == {"put"}
    assert said(changes[-1]) == ("put", "a", "key", 1)
    assert changes[-1].previous == first


async def test_an_erasure_is_told_with_what_was_missed(
    open_file: FileOpener, reopen: Callable[..., Any]
) -> None:
    db = await open_file()
    for i in range(3):
        await db.put("a", "gone", i)
    await db.put("a", "kept", 1)
    await db.put_batch([("a", "gone", 3), ("b", "kept", 2)])
    assert await db.erase("a", "gone") == 4
    await db.put("a", "gone", 4)
    for read_only in (False, True, False):
        changes = await all_changes(db)
        assert [(*said(change), change.missed) for change in changes] == [
            ("put", "a", "kept", 1, 3),
            ("put", "b", "kept", 2, 1),
            ("erase", "a", "gone", None, 0),
            ("put", "a", "gone", 4, 0),
        ]
        assert {(change.version, change.previous) for change in changes[2:3]} == {(None, None)}
        assert changes[1].timestamp < changes[2].timestamp < changes[3].timestamp
        db = await reopen(db, read_only=read_only)


async def test_what_was_read_before_its_erasure_is_not_missed(db: Database) -> None:
    watch = db.watch("a")
    await db.put("a", "gone", 1)
    assert said(await anext(watch))[3] == 1
    await db.put("a", "gone", 2)
    await db.erase("a", "gone")
    erased = await anext(watch)
    assert (erased.kind, erased.missed) == ("erase", 1)
    await db.put("a", "gone", 3)
    again = await anext(watch)
    assert (again.previous, again.missed) == (None, 0)


async def test_filters_by_namespace_and_key(db: Database) -> None:
    everything = [(ns, key) for ns in "ab" for key in "xyz"]
    await db.put_batch([(ns, key, 1) for ns, key in everything])
    await db.erase("b", "x")
    erased = ("erase", "b", "x", None)
    puts = [("put", ns, key, 1) for ns, key in everything if (ns, key) != ("b", "x")]
    assert [said(c) for c in await all_changes(db)] == [*puts, erased]
    assert [said(c) for c in await all_changes(db, "a")] == puts[:3]
    assert [said(c) for c in await all_changes(db, "b")] == [*puts[3:], erased]
    assert [said(c) for c in await all_changes(db, "b", "x")] == [erased]
    assert [said(c) for c in await all_changes(db, "b", "y")] == [("put", "b", "y", 1)]
    assert [said(c) for c in await all_changes(db, key="z")] == [p for p in puts if p[2] == "z"]
    assert await all_changes(db, "nowhere") == []
    assert await all_changes(db.namespace("b"), "y") == await all_changes(db, "b", "y")


async def test_a_filter_tells_what_enters_stays_and_leaves(db: Database) -> None:
    watch = db.watch("a", where={"g": 1})
    for value in ({"g": 2}, {"g": 1}, {"g": 1, "n": 1}, {"g": 2}, {"g": 3}, b"\x00", {"g": 1}):
        await db.put("a", "key", value)
    await db.delete("a", "key")
    await db.put("a", "key", 1)
    await put_end(db)
    told = [said(change)[::3] for change in await until_end(watch)]
    puts = [("put", value) for value in ({"g": 1}, {"g": 1, "n": 1}, {"g": 2}, {"g": 1})]
    assert told == [*puts, ("delete", None)]
    assert await all_changes(db, where={}) == await all_changes(db)
    without = [said(c)[3] for c in await all_changes(db, where={"g": {"$exists": False}})]
    assert without == [b"\x00", {"g": 1}, 1], "a deletion has no value"


async def test_a_feed_begins_with_what_comes_after_it_was_made(db: Database) -> None:
    await db.put("a", "before", 1)
    watch = db.watch()
    await db.put("a", "between", 2)
    assert said(await anext(watch)) == ("put", "a", "between", 2)
    late = db.watch()
    await db.put("a", "after", 3)
    assert said(await anext(late)) == said(await anext(watch)) == ("put", "a", "after", 3)


async def test_a_feed_goes_on_after_any_version_even_amid_a_batch(db: Database) -> None:
    await db.put("a", "single", 1)
    await db.put_batch([("a", f"{i}", i) for i in range(5)] + [("a", "0", 9), ("b", "0", 9)])
    await db.delete("a", "single")
    await db.erase("a", "3")
    await db.put_batch([("a", "x", 1), ("a", "y", 2)])
    changes = await all_changes(db)
    assert len(changes) == 11
    for place, change in enumerate(changes):
        if change.version is not None:
            assert await all_changes(db, since=change.version) == changes[place + 1 :]
            in_a = [after for after in changes[place + 1 :] if after.namespace == "a"]
            assert await all_changes(db, "a", since=change.version) == in_a


async def test_a_feed_begins_after_a_time(db: Database) -> None:
    versions = [await db.put("a", f"{i}", i) for i in range(6)]
    for place, version in enumerate(versions):
        rest = versions[place + 1 :]
        for since in (version.timestamp, version.timestamp.isoformat()):
            changes = await all_changes(db, since=since)
            assert [change.version for change in changes] == rest
    await db.put_batch([("b", f"{i}", i) for i in range(4)])
    whole = await all_changes(db, since=versions[-1].timestamp)
    assert [change.key for change in whole] == ["0", "1", "2", "3"]
    assert await all_changes(db, since=whole[0].timestamp) == [], "a commit has one time"


async def test_a_feed_goes_on_over_close_and_reopen(
    open_file: FileOpener, reopen: Callable[..., Any]
) -> None:
    db = await open_file()
    written: list[Version] = []
    read: list[Change] = []
    last: Version | int = 0
    for turn in range(4):
        written += [await db.put("a", f"{turn}-{i}", i) for i in range(5)]
        watch = db.watch(since=last)
        for _ in range(3):
            read.append(await anext(watch))
            last = read[-1].version or last
        await db.put_batch([("b", f"{turn}-{i}", i) for i in range(3)])
        db = await reopen(db)
    read += await all_changes(db, since=last)
    assert [change.version for change in read if change.namespace == "a"] == written
    assert [change.key for change in read if change.namespace == "b"] == [
        f"{turn}-{i}" for turn in range(4) for i in range(3)
    ]


@pytest.mark.parametrize(("count", "size"), [(5000, 1), (60, 100_000)], ids=str)
async def test_a_reader_far_behind_misses_nothing(db: Database, count: int, size: int) -> None:
    watch = db.watch("a")
    values = [{"i": i, "text": "x" * size} for i in range(count)]
    for start in range(0, count, 20):
        await db.put_batch([("a", f"{v['i']:04}", v) for v in values[start : start + 20]])
    await put_end(db)
    assert [said(change)[3] for change in await until_end(watch)] == values


async def test_a_reader_of_large_values_in_a_small_memory(open_database: Opener) -> None:
    db = await open_database(max_memory_mb=16)
    values = [letter * 3_000_000 for letter in "ab"]
    for value in values:
        await db.put("a", "key", value)
    with contextlib.suppress(LimitExceededError):
        assert [said(change)[3] for change in await all_changes(db)] == values
    assert await db.get("a", "key") == values[-1]


async def test_thousands_of_erasures_are_told(db: Database) -> None:
    keys = [f"{i:04}" for i in range(3000)]
    await db.put_batch([("a", key, 1) for key in keys])
    watch = db.watch()
    await asyncio.gather(*(db.erase("a", key) for key in keys[::2]))
    await put_end(db)
    changes = await until_end(watch)
    assert [c.kind for c in changes] == ["erase"] * 1500
    assert sorted(c.key for c in changes) == keys[::2]
    from_the_start = await all_changes(db)
    assert [c.key for c in from_the_start[:1500]] == keys[1::2]
    assert [c.key for c in from_the_start[1500:3000]] == [c.key for c in changes]
    assert sum(c.missed for c in from_the_start) == 1500


async def test_closing_ends_a_feed_that_waits(db: Database) -> None:
    watch, idle = db.watch(), db.watch("b")
    readers = [asyncio.create_task(until_end(one)) for one in (watch, idle)]
    await db.put("a", "key", 1)
    await asyncio.sleep(0)
    await db.close()
    told = await asyncio.gather(*readers)
    assert [said(change) for change in told[0]] in ([], [("put", "a", "key", 1)])
    assert told[1] == []
    for one in (watch, idle, idle):
        with pytest.raises(StopAsyncIteration):
            await anext(one)


async def test_cancelling_a_reader_hurts_nobody(db: Database) -> None:
    watch, other = db.watch(), db.watch()
    for turn in range(8):
        waiting = [asyncio.ensure_future(anext(one)) for one in (watch, other)]
        for _ in range(turn):
            await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.gather(waiting[0], return_exceptions=True)
        await db.put("a", "key", turn)
        assert said(await waiting[1])[3] == turn
        assert said(await anext(watch))[3] == turn, "what was not handed over comes next"
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await anext(watch)
    await watch.aclose()
    assert [change async for change in watch] == []


async def write_all_kinds(db: Database, writer: int, rounds: int) -> None:
    """Writes of every kind; batches say who wrote them, and where in the batch an item stands."""
    for i in range(rounds):
        await db.put("a", f"own-{writer}", {"w": writer, "i": i, "g": i % 3})
        await db.put("a", "shared", {"w": writer, "i": i, "g": writer % 2})
        batch = f"{writer}-{i}"
        items = [("b", f"{batch}-{n}", {"batch": batch, "n": n}) for n in range(7)]
        await db.put_batch([*items, ("a", f"batch-{writer}", {"batch": batch, "n": 7, "g": 1})])
        if i % 4 == 0:
            await db.delete("a", f"own-{writer}")


def assert_batches_whole(changes: list[Change]) -> None:
    """The items of each batch stand side by side, in their order."""
    values = [change.version.value for change in changes if change.version]
    places = [i for i, value in enumerate(values) if isinstance(value, dict) and "batch" in value]
    assert len(places) % 8 == 0
    for start in range(0, len(places), 8):
        block = places[start : start + 8]
        assert block == list(range(block[0], block[0] + 8))
        assert [values[i]["n"] for i in block] == list(range(8))
        assert len({values[i]["batch"] for i in block}) == 1


async def test_many_writers_and_many_readers(db: Database) -> None:
    groups = {"g": {"$in": [1, 2]}}
    watches = [
        *(db.watch(), db.watch(), db.watch("a"), db.watch("a", "shared")),
        *(db.watch(where={"g": 1}), db.watch("a", where=groups)),
    ]
    readers = [asyncio.create_task(until_end(watch)) for watch in watches]
    await asyncio.gather(*(write_all_kinds(db, writer, 12) for writer in range(5)))
    await put_end(db)
    told = await asyncio.gather(*readers)
    everything = told[0]
    assert told[1] == everything
    versions = [change.version for change in everything if change.version]
    assert len(everything) == len(versions) == 5 * (12 * 10 + 3)
    assert len({version.version_id for version in versions}) == len(versions)
    assert versions == sorted(versions, key=lambda version: version.timestamp_us)
    assert_batches_whole(everything)
    assert (await db.stats()).versions == len(versions) + 1
    in_a = [change for change in everything if change.namespace == "a"]
    assert told[2] == in_a
    assert told[3] == [change for change in in_a if change.key == "shared"]

    def passes(change: Change, groups: set[int]) -> bool:
        sides = [side for side in (change.version, change.previous) if side and not side.deleted]
        return any(side.value.get("g") in groups for side in sides)

    assert told[4] == [change for change in everything if passes(change, {1})]
    assert told[5] == [change for change in in_a if passes(change, {1, 2})]
    (end,) = await all_changes(db, since=versions[-1])
    assert said(end)[3] == END


async def test_readers_that_come_and_go_see_each_change_once(db: Database) -> None:
    writing = asyncio.gather(*(write_all_kinds(db, writer, 10) for writer in range(4)))
    read: list[Change] = []
    last: Version | int = 0
    while len(read) < 4 * (10 * 10 + 3):
        watch = db.watch(since=last)
        for _ in range(min(13, 4 * (10 * 10 + 3) - len(read))):
            read.append(await anext(watch))
            last = read[-1].version or last
    await writing
    assert [c.version for c in read] == [c.version for c in await all_changes(db)]
    assert_batches_whole(read)


def test_a_blocking_feed_ends_after_its_timeout(backend: Backend, tmp_path: Any) -> None:
    with SyncDatabase(Config(path=backend.path_in(tmp_path))) as db:
        assert list(db.watch(timeout=0)) == []
        watch = db.watch("a", timeout=0)
        for i in range(3):
            db.put("a", f"{i}", i)
            db.put("b", f"{i}", i)
        assert [said(change)[2:] for change in watch] == [("0", 0), ("1", 1), ("2", 2)]
        db.put("a", "later", 3)
        assert [said(change)[2] for change in watch] == ["later"], "it may be asked again"
        db.put("a", "last", 4)
        watch.close()
        assert list(watch) == []
        notes = db.namespace("a").watch("0", since=0, timeout=0)
        assert [said(change) for change in notes] == [("put", "a", "0", 0)]


def test_threads_write_and_follow_a_blocking_database(backend: Backend, tmp_path: Any) -> None:
    with SyncDatabase(Config(path=backend.path_in(tmp_path))) as db:

        def write(writer: int) -> None:
            for i in range(30):
                db.put("a", f"{writer}", i)
                db.put_batch([("b", f"{writer}-{i}-{n}", [writer, i, n]) for n in range(3)])

        def follow(watch: Any) -> list[Change]:
            return [next(watch) for _ in range(4 * 30 * 4)]

        watches = [db.watch(timeout=60) for _ in range(3)]
        with ThreadPoolExecutor(7) as pool:
            reading = [pool.submit(follow, watch) for watch in watches]
            list(pool.map(write, range(4)))
            told = [future.result(60) for future in reading]
        assert told[0] == told[1] == told[2] == list(db.watch(since=0, timeout=0))
        for writer in "0123":
            own = [said(c)[3] for c in told[0] if (c.namespace, c.key) == ("a", writer)]
            assert own == list(range(30))
        in_b = [said(c)[3] for c in told[0] if c.namespace == "b"]
        assert [item[2] for item in in_b] == [0, 1, 2] * 120


def test_closing_ends_a_blocking_feed(backend: Backend, tmp_path: Any) -> None:
    db = SyncDatabase.create(Config(path=backend.path_in(tmp_path)))
    db.put("a", "key", 1)
    watch = db.watch(since=0)
    assert said(next(watch)) == ("put", "a", "key", 1)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(list, watch)
        db.close()
        assert waiting.result(60) == []
