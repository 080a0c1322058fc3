"""Compaction: the same answers from a shorter file, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import sys
import textwrap
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from crash_workload import state_of
from faulty_os import OTHERS, SYNCS, WRITES, faulty_os
from files import content_of, inode_of, names_in, size_of, write_content
from simulated_storage import SimulatedStorage

from koru_delta import (
    Config,
    Database,
    DatabaseClosedError,
    KeyNotFoundError,
    KoruDeltaError,
    LimitExceededError,
    StorageError,
    SyncDatabase,
)
from koru_delta._upkeep import compaction, upkeep
from koru_delta._upkeep.snapshots import Successor

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import FileOpener, Opener

ONLY_LINUX = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="files are told apart by /proc/self/fd"
)


async def fill(db: Database) -> None:
    """Something of everything."""
    for i in range(60):
        await db.put("users", f"u{i % 20}", {"n": i, "text": f"person number {i}"})
    await db.put_batch([("docs", f"d{i}", {"n": i, "text": "common words"}) for i in range(30)])
    cause = await db.put("facts", "cause", b"\x00\xff")
    await db.put("facts", "effect", 1, caused_by=[cause])
    await db.embed_batch("vectors", [f"v{i}" for i in range(50)], [[i, 1.0] for i in range(50)])
    await db.embed("vectors", "v3", [3.0, 2.0], {"n": 3})
    await db.delete("users", "u5")
    await db.create_index("users", "n")
    await db.create_view("small", "users", {"n": {"$lt": 50}}, order_by="-n")
    await db.erase("users", "u7")


async def answers(db: Database) -> list[Any]:
    """What everything that is asked comes to."""
    history = [version async for version in _versions(db)]
    moment = history[len(history) // 2]
    return [
        db.head,
        history,
        await db.query("users", {"n": {"$gte": 45}}, order_by="n"),
        (await db.explain("users", {"n": 45})).path,
        await db.view("small"),
        await db.search("users", "person 45"),
        await db.similar("vectors", [3.0, 2.0], top_k=5),
        await db.similar("vectors", [3.0, 1.0], top_k=5, at=moment),
        await db.list_keys("users", at=moment),
        await db.lineage((await db.history("facts", "effect"))[0].version_id),
        await db.aggregate("users", {"sum": {"$sum": "n"}}),
        [index.field for index in await db.list_indexes()],
        (await db.stats()).keys,
    ]


async def _versions(db: Database) -> Any:
    for namespace in await db.list_namespaces():
        for key in await db.list_keys(namespace):
            for version in await db.history(namespace, key):
                yield version


async def test_everything_answers_as_before(db: Database) -> None:
    await fill(db)
    before = await answers(db)
    for _ in range(2):
        report = await db.compact()
        assert report.versions_before == report.versions_after
        assert report.versions_dropped == 0
        assert await answers(db) == before
        assert (await db.verify()).ok
    assert (await db.stats()).last_compaction == report


async def test_a_file_is_shorter_and_opens_as_before(
    open_file: FileOpener, reopen: Callable[..., Any], path: Path
) -> None:
    db = await open_file()
    await fill(db)
    before = await answers(db)
    report = await db.compact()
    assert report.bytes_after < report.bytes_before
    assert size_of(path) >= report.bytes_after
    await db.put("users", "later", 1)
    await db.erase("users", "later")
    after = await answers(db)
    assert after[1:] == before[1:]
    db = await reopen(db)
    assert size_of(path) < report.bytes_before
    assert await answers(db) == after
    report = await db.verify()
    assert (report.ok, report.problems) == (True, ())
    await db.compact()
    db = await reopen(db)
    assert await answers(db) == after
    assert names_in(path.parent) == [path.name, f"{path.name}.lock"]


async def test_what_was_erased_is_gone_from_the_file(open_file: FileOpener, path: Path) -> None:
    db = await open_file()
    for i in range(10):
        await db.put("users", "alice-the-erased", {"text": f"a secret {i}"})
        await db.put("users", f"bob{i}", {"text": "no matter"})
    await db.erase("users", "alice-the-erased")
    assert b"a secret" in content_of(path)
    await db.compact()
    content = content_of(path)
    assert b"a secret" not in content
    assert b"alice-the-erased" not in content
    assert b"no matter" in content


async def test_memory_of_what_was_erased_is_given_back(open_database: Opener) -> None:
    db = await open_database()
    await db.put("a", "kept", 1)
    for i in range(30):
        await db.put("a", "large", "x" * 1_000_000 + str(i))
    await db.erase("a", "large")
    report = await db.compact()
    assert report.memory_after < report.memory_before / 4
    assert await db.get("a", "kept") == 1


async def test_an_empty_database_is_compacted(db: Database) -> None:
    await db.compact()
    await db.put("a", "key", 1)
    await db.compact()
    assert await db.get("a", "key") == 1


async def test_readers_of_changes_go_on(open_database: Opener) -> None:
    db = await open_database()
    watch = db.watch()
    for i in range(5):
        await db.put("a", f"k{i}", i)
    await db.erase("a", "k3")
    await db.compact()
    await db.put("a", "last", 1)
    found = [await anext(watch) for _ in range(6)]
    changes = [f"{change.kind} {change.key}" for change in found]
    assert changes == ["put k0", "put k1", "put k2", "put k4", "erase k3", "put last"]
    assert sum(change.missed for change in found) == 1
    await db.put("a", "next", 1)
    await db.compact(keep_versions=1)
    found = [await anext(db.watch(since=0)) for _ in range(1)]
    assert (found[0].key, found[0].missed) == ("k0", 0)


@pytest.mark.parametrize("kept", ["even", "odd", "none"])
async def test_a_reader_in_the_middle_of_a_commit_goes_on_there(
    open_database: Opener, kept: str
) -> None:
    db = await open_database()
    keys = [f"k{i:04}" for i in range(2500)]
    await db.put_batch([("a", key, 1) for key in keys])
    first = (await db.history("a", "k0000"))[0]
    watch = db.watch(since=0)
    found = [(await anext(watch)).key for _ in range(1000)]
    overwritten = {"even": keys[1::2], "odd": keys[::2], "none": keys}[kept]
    await db.put_batch([("a", key, 2) for key in overwritten])
    report = await db.compact(keep_versions=1)
    assert report.versions_dropped == len(overwritten)
    stays = [key for key in keys if key not in set(overwritten)]
    expected = keys[:1000] + [key for key in stays if key >= keys[1000]] + overwritten
    while len(found) < len(expected):
        change = await asyncio.wait_for(anext(watch), 30)
        found.append(change.key)
    assert found == expected
    again = db.watch(since=first)
    left = [(await anext(again)).key for _ in range(3)]
    assert left == (stays + overwritten)[0 if kept != "even" else 1 :][:3]


async def test_reads_writes_and_watches_go_on_meanwhile(open_database: Opener) -> None:
    db = await open_database()
    await db.put_batch([("a", f"old{i}", "x" * 300) for i in range(20_000)])
    watch = db.watch("w")
    done = False
    written: list[str] = []
    during = 0

    async def write() -> None:
        nonlocal during
        while not done or len(written) < 50:
            key = f"{len(written):05}"
            await db.put("w", key, len(written))
            written.append(key)
            during += not done
            await asyncio.sleep(0)

    async def read() -> None:
        while not done:
            assert await db.get("a", "old7") == "x" * 300
            for key in written[-1:]:
                assert await db.get("w", key) == int(key)
            await asyncio.sleep(0)

    async def compact() -> None:
        nonlocal done
        for _ in range(2):
            await db.compact()
        done = True

    await asyncio.gather(write(), read(), compact())
    assert during > 5, "writes went on"
    seen = [(await asyncio.wait_for(anext(watch), 30)).key for _ in written]
    assert seen == written
    assert await db.list_keys("w") == written
    assert (await db.verify()).ok


async def test_erasures_meanwhile_make_it_begin_anew(
    open_file: FileOpener, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = await open_file()
    for i in range(10):
        await db.put("a", f"k{i}", f"secret-{i}")
    real = Successor.maintain
    erased: list[int] = []

    def erase_first(self: Successor, budget: int, texts: list[str]) -> bool:
        if len(erased) < 5:
            erased.append(1)
            key = f"k{len(erased)}"
            asyncio.run_coroutine_threadsafe(db.erase("a", key), loop).result()
        return real(self, budget, texts)

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(Successor, "maintain", erase_first)
    report = await db.compact()
    assert len(erased) == compaction._ATTEMPTS, "then nothing may come in between"
    assert report.versions_after == 10 - len(erased)
    for i in range(1, 4):
        assert f"secret-{i}".encode() not in content_of(path)
    assert (await db.verify()).ok


async def error_of(db: Database) -> str:
    """The message of the storage error that compacting comes to; empty if it does not."""
    try:
        await db.compact()
    except StorageError as error:
        return str(error)
    return ""


@ONLY_LINUX
@pytest.mark.parametrize(
    ("names", "error"),
    [(WRITES, errno.ENOSPC), (SYNCS, errno.EIO), (OTHERS, errno.EIO)],
    ids=["write", "sync", "others"],
)
async def test_a_fault_at_every_call_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...], error: int
) -> None:
    path = tmp_path / "data.koru"
    async with Database(path) as db:
        await fill(db)
    whole = content_of(path)
    with faulty_os(monkeypatch, tmp_path) as faulty:
        for index in range(50):
            write_content(path, whole)
            async with Database(path) as db:
                before = await answers(db)
                faulty.arm(index, names, error)
                reported = await error_of(db)
                assert (os.strerror(error) in reported) or not (reported or faulty.fired)
                faulty.disarm()
                assert await answers(db) == before
                if (await db.health()).healthy:
                    await db.put("users", "later", index)
                else:
                    with pytest.raises(StorageError):
                        await db.put("users", "later", index)
                after = await answers(db)
            assert names_in(tmp_path) == ["data.koru", "data.koru.lock"]
            async with Database(path) as db:
                assert await answers(db) == after
            if not faulty.fired:
                assert index > 0
                break
        else:
            raise AssertionError("the fault went on for ever")


@ONLY_LINUX
async def test_the_new_file_is_synced_before_and_the_directory_after_it_is_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Database(tmp_path / "data.koru") as db:
        await fill(db)
        with faulty_os(monkeypatch, tmp_path) as faulty:
            await db.compact()
            calls = faulty.calls
    at = calls.index("replace")
    assert set(calls[: at - 1]) == {"pwrite"}
    assert calls[at - 1] in SYNCS
    assert calls[at + 1] == "fsync"


async def test_a_replacement_that_may_not_last_is_used_but_not_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "data.koru"
    async with Database(path) as db:
        await db.put("a", "key", 1)
        inode = inode_of(path)

        def fail(_path: Path) -> None:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        with monkeypatch.context() as patch:
            patch.setattr("koru_delta._storage.file.sync_directory", fail)
            with pytest.raises(StorageError):
                await db.compact()
        assert inode_of(path) != inode
        assert await db.get("a", "key") == 1
        with pytest.raises(StorageError):
            await db.put("a", "key", 2)
        with pytest.raises(StorageError):
            await db.compact()
    async with Database(path) as db:
        assert await db.get("a", "key") == 1


async def test_what_a_crash_left_is_removed(open_file: FileOpener, path: Path) -> None:
    left = path.with_name(path.name + ".compact")
    left.write_bytes(b"half a file")
    db = await open_file()
    assert not left.exists()
    await db.put("a", "key", 1)
    left.write_bytes(b"half a file")
    await open_file(read_only=True)
    assert left.exists()
    await db.compact()
    assert not left.exists()


async def test_a_reader_of_the_file_keeps_what_it_opened(open_file: FileOpener) -> None:
    db = await open_file()
    await db.put("a", "key", 1)
    reader = await open_file(read_only=True)
    await db.compact()
    await db.put("a", "key", 2)
    assert await reader.get("a", "key") == 1
    with pytest.raises(StorageError, match="read-only"):
        await reader.compact()
    assert await (await open_file(read_only=True)).get("a", "key") == 2


async def test_want_of_memory_or_time_changes_nothing(
    open_database: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = await open_database()
    await fill(db)
    before = await answers(db)

    def no_memory(self: Successor, data: bytes, erasures: object = None) -> int:
        raise LimitExceededError("the database's memory is full")

    with monkeypatch.context() as patch:
        patch.setattr(Successor, "feed", no_memory)
        with pytest.raises(LimitExceededError):
            await db.compact()
    assert await answers(db) == before
    await db.compact()
    assert await answers(db) == before


async def test_a_storage_without_a_replacement_says_so() -> None:
    class Plain(SimulatedStorage):
        begin_replacement = None  # type: ignore[assignment]

    async with Database(Config(storage=Plain())) as db:
        await db.put("a", "key", 1)
        with pytest.raises(StorageError, match="begin_replacement"):
            await db.compact()
        assert await db.get("a", "key") == 1


async def test_one_that_is_not_open_is_not_compacted(open_file: FileOpener, path: Path) -> None:
    with pytest.raises(DatabaseClosedError):
        await Database(path).compact()
    db = await open_file()
    await db.close()
    with pytest.raises(DatabaseClosedError):
        await db.compact()
    assert names_in(path.parent) == [path.name, f"{path.name}.lock"]


async def test_closing_ends_it(open_file: FileOpener, path: Path) -> None:
    db = await open_file()
    await db.put_batch([("a", f"k{i}", "x" * 300) for i in range(30_000)])
    work = asyncio.create_task(db.compact())
    await asyncio.sleep(0.02)
    await db.close()
    with pytest.raises(DatabaseClosedError):
        await work
    assert names_in(path.parent) == [path.name, f"{path.name}.lock"]
    db = await open_file()
    assert len(await db.list_keys("a")) == 30_000


async def test_two_at_a_time_run_one_after_the_other(db: Database) -> None:
    await fill(db)
    before = await answers(db)
    await asyncio.gather(db.compact(), db.compact(), db.compact())
    assert await answers(db) == before


async def test_a_file_compacts_itself(open_file: FileOpener, path: Path) -> None:
    db = await open_file(keep_versions=2)
    value = "x" * 100_000
    for i in range(500):
        await db.put("a", f"k{i % 5}", value + str(i))
    for _ in range(200):
        if (await db.stats()).last_compaction is not None:
            break
        await asyncio.sleep(0.02)
    stats = await db.stats()
    assert stats.last_compaction is not None
    assert stats.versions_dropped > 50
    assert size_of(path) < 500 * len(value) / 2
    for i in range(495, 500):
        assert await db.get("a", f"k{i % 5}") == value + str(i)
    assert (await db.verify()).ok
    assert (await db.health()).healthy


async def test_it_does_not_unless_asked_to_or_worthwhile(open_file: FileOpener) -> None:
    value = "x" * 1_000_000
    for fields in ({"auto_compact": False, "keep_versions": 1}, {}):
        db = await open_file(**fields)
        for i in range(20):
            await db.put("a", "key", value + str(i))
        await asyncio.sleep(0.1)
        assert (await db.stats()).last_compaction is None
        await db.close()


async def test_a_failure_by_itself_is_an_issue(
    open_file: FileOpener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "AUTO_MIN_BYTES", 10_000)

    def fail(_storage: object) -> None:
        raise StorageError("the disk is full")

    monkeypatch.setattr(compaction, "begin_replacement", fail)
    db = await open_file(keep_versions=1)
    for i in range(200):
        await db.put("a", "key", "x" * 1000 + str(i))
    for _ in range(100):
        if not (await db.health()).healthy:
            break
        await asyncio.sleep(0.02)
    assert (await db.health()).issues == ("compacting failed: the disk is full",)
    assert (await db.history("a", "key"))[-1].value == "x" * 1000 + "199"
    monkeypatch.undo()
    await db.compact()
    assert (await db.health()).healthy


async def test_a_part_that_the_new_instance_refuses_while_the_next_is_made_ends_it(
    open_file: FileOpener, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = await open_file()
    for i in range(8):
        await db.put("a", f"key{i}", f"{i}" * 500_000)
    real = Successor.feed
    fed = 0

    def refuse_the_second(self: Successor, data: bytes, erasures: Any = None) -> int:
        nonlocal fed
        fed += 1
        if fed == 2:
            raise LimitExceededError("no memory for it")
        return real(self, data, erasures)

    with monkeypatch.context() as patch:
        patch.setattr(Successor, "feed", refuse_the_second)
        with pytest.raises(LimitExceededError, match="no memory for it"):
            await db.compact()
    assert fed == 2, "nothing is fed after one that was refused"
    assert names_in(path.parent) == [path.name, f"{path.name}.lock"]
    assert await db.get("a", "key7") == "7" * 500_000
    assert (await db.compact()).versions_after == 8
    assert (await db.verify()).ok


KILLED = """
    import itertools, sys
    from koru_delta import SyncDatabase
    with SyncDatabase(sys.argv[1]) as db:
        db.put_batch([("a", f"k{i}", "x" * 200) for i in range(3000)])
        for i in itertools.count():
            db.put("w", "n", i)
            print(i, flush=True)
            db.compact(keep_versions=3)
"""


@pytest.mark.parametrize("wait_s", [0.0, 0.013, 0.029, 0.05, 0.08])
def test_the_death_of_the_process_loses_nothing(path: Path, wait_s: float) -> None:
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(path)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    acknowledged = [child.stdout.readline() for _ in range(2)]
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(wait_s)
    child.send_signal(signal.SIGKILL)
    acknowledged += child.communicate()[0].splitlines()
    with SyncDatabase(path) as db:
        assert db.get("w", "n") >= int([line for line in acknowledged if line.strip()][-1])
        assert len(db.list_keys("a")) == 3000
        assert db.verify().ok
    assert names_in(path.parent) == [path.name, f"{path.name}.lock"]


@pytest.mark.parametrize("seed", range(4))
def test_the_same_operations_give_the_same_bytes(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = []
    for _ in range(2):
        random = Random(seed)
        times = iter(range(1, 10_000_000, 1000))
        monkeypatch.setattr(
            "koru_delta._operations.writing.time_ns", lambda times=times: next(times) * 1000
        )
        monkeypatch.setattr("koru_delta._session.time_ns", lambda times=times: next(times) * 1000)
        monkeypatch.setattr(os, "urandom", lambda size: bytes(size))
        place = SimulatedStorage()
        with SyncDatabase(Config(storage=place)) as db:
            for _ in range(50):
                key = f"k{random.randrange(8)}"
                random.choice([db.erase, db.delete])("a", key) if random.random() < 0.2 else db.put(
                    "a", key, random.randrange(100)
                )
            db.compact(keep_versions=2)
            db.put("a", "later", 1)
            state = state_of(db)
        images.append((bytes(place.live), state))
    assert images[0] == images[1]


async def test_a_version_that_retention_took_is_as_one_that_never_was(db: Database) -> None:
    first = await db.put("a", "key", 1)
    second = await db.put("a", "key", 2)
    effect = await db.put("a", "effect", 3, caused_by=[first])
    report = await db.compact(keep_versions=1)
    assert (report.versions_dropped, report.versions_after) == (1, 2)
    for call in (db.get("a", "key", at=first), db.version(first.version_id)):
        with pytest.raises(KeyNotFoundError):
            await call
    with pytest.raises(KoruDeltaError):
        await db.put("a", "late", 1, caused_by=[first])
    assert await db.history("a", "key") == [second]
    assert await db.lineage(effect.version_id) == []
    assert (await db.stats()).versions_dropped == 1
    assert (await db.verify()).ok
