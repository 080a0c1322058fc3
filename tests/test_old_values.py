"""Values of the past that are in the file only: a history larger than memory, and what harms it."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from files import content_of, size_of, write_content
from log_format import VERSION, parse_log
from test_deferred_storage import Deferred

from koru_delta import (
    Config,
    CorruptionError,
    Database,
    LimitExceededError,
    StorageError,
    SyncDatabase,
    Version,
    _loading,
)
from koru_delta import _protocol as op
from koru_delta._fetching import Fetcher
from koru_delta._hosts.base import InstanceLostError
from koru_delta._protocol import Status
from koru_delta.storage import MemoryStorage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from koru_delta._protocol import Reply

MIB = 1 << 20
FAMOUS = "the quick brown fox jumps over the lazy dog "


@pytest.fixture
def lean(monkeypatch: pytest.MonkeyPatch) -> None:
    """No value of the past stays in memory."""
    monkeypatch.setattr(_loading, "OLD_VALUES_SHARE", 0.0)


def document(key: str, turn: int, size: int = 400) -> dict[str, Any]:
    text = f"{key} at turn {turn}: {FAMOUS * (size // len(FAMOUS) + 1)}"
    return {"text": text[:size], "turn": turn, "rank": turn % 7}


async def fill(db: Database, keys: int, turns: int, size: int = 400) -> list[list[Version]]:
    """Writes each key so many times; the versions of each turn."""
    written = []
    for turn in range(turns):
        names = [f"k{index}" for index in range(keys)]
        await db.put_batch([("n", key, document(key, turn, size)) for key in names])
        written.append([(await db.history("n", key, limit=1))[0] for key in names[:1]])
    return written


async def within(db: Database, cap: int) -> None:
    stats = await db.stats()
    assert stats.memory_bytes <= cap
    assert stats.versions_on_disk > 0.9 * (stats.versions - stats.keys)
    assert stats.record_bytes_on_disk <= stats.record_bytes


async def test_a_history_of_ten_times_the_memory(tmp_path: Path) -> None:
    keys, turns, size = 40, 520, 4096
    config = Config(path=tmp_path / "db", max_memory_mb=8, sync_on_write=False, auto_compact=False)
    async with Database(config) as db:
        written = await fill(db, keys, turns, size)
        await within(db, 8 * MIB)
    assert size_of(tmp_path / "db") >= 10 * 8 * MIB
    async with Database(config) as db:
        await within(db, 8 * MIB)
        await read_everywhere(db, written, keys, size)
        seen = [0]
        newest: Version | None = None
        while page := await db.history("n", "k7", limit=100, before=newest):
            newest = page[0]
            seen[:0] = [version.value["turn"] for version in page]
        assert seen[:-1] == list(range(turns))
        with pytest.raises(LimitExceededError, match="old values"):
            await db.get_many("n", [f"k{index}" for index in range(keys)] * 20, at=written[3][0])
        report = await db.verify()
        assert (report.ok, report.versions, report.problems) == (True, keys * turns, ())
        old = (await db.history("n", "k7", limit=1, before=written[9][0]))[0]
        assert (await db.restore("n", "k7", old)).value == document("k7", 8, size)
        exported = await db.export_to(tmp_path / "copy")
        assert exported.versions == keys * turns + 1
        compacted = await db.compact()
        assert compacted.versions_after == keys * turns + 1
        await within(db, 8 * MIB)
        await read_everywhere(db, written, keys, size)
        await db.put("n", "k7", "after")
    copied = Config(path=tmp_path / "again", max_memory_mb=8, auto_compact=False)
    async with await Database.import_from(tmp_path / "copy", copied) as db:
        await within(db, 8 * MIB)
        await read_everywhere(db, written, keys, size)
        dropped = await db.compact(keep_versions=2)
        assert dropped.versions_after == 2 * keys


async def read_everywhere(db: Database, written: list[list[Version]], keys: int, size: int) -> None:
    for turn in range(0, len(written) - 1, 37):
        (version, *_) = written[turn]
        for key in ("k0", "k7", f"k{keys - 1}"):
            assert await db.get("n", key, at=version) == document(key, turn, size)
        assert await db.version(version) == version
        assert await db.count("n", at=version) == keys
        found = await db.query("n", {"rank": turn % 7}, at=version, limit=3)
        assert [record.value["turn"] for record in found] == [turn] * 3


async def test_the_feed_of_changes_goes_through_all_of_it(tmp_path: Path, lean: None) -> None:
    async with Database(Config(path=tmp_path / "db", max_memory_mb=8)) as db:
        written = await fill(db, 5, 300, 2000)
        feed = db.watch("n", since=0)
        turns = [(await anext(feed)).version.value["turn"] for _ in range(5 * 300)]
        assert turns == [turn for turn in range(300) for _ in range(5)]
        await within(db, 8 * MIB)
        assert len(written) == 300


async def test_what_a_flipped_byte_of_an_old_value_comes_to(tmp_path: Path, lean: None) -> None:
    path = tmp_path / "db"
    async with Database(path) as db:
        first = await db.put("n", "k", document("k", 0))
        second = await db.put("n", "k", document("k", 1))
        await db.put("n", "k", document("k", 2))
        await db.put("n", "other", 1)
        assert (await db.stats()).versions_on_disk == 2
        content = content_of(path)[: (await db.stats()).disk_bytes]
        frame = next(frame for frame in parse_log(content).frames if frame.kind == VERSION)
        middle = frame.offset + len(frame.payload) // 2
        write_content(path, content[:middle] + b"\x80" + content[middle + 1 :])
        for _ in range(2):
            with pytest.raises(CorruptionError) as caught:
                await db.get("n", "k", at=first)
            assert caught.value.offset == frame.offset
            with pytest.raises(CorruptionError):
                await db.history("n", "k")
        assert await db.get("n", "k", at=second) == document("k", 1)
        assert await db.get("n", "k") == document("k", 2)
        report = await db.verify()
        assert not report.ok
        assert any("damaged in the file" in problem for problem in report.problems)
        with pytest.raises(CorruptionError):
            await db.compact()
        await db.put("n", "k", "it goes on")
        write_content(path, content[: frame.offset + 10])
        with pytest.raises(CorruptionError, match="ends before"):
            await db.get("n", "k", at=first)


async def test_an_old_value_is_restored_once(tmp_path: Path, lean: None) -> None:
    async with Database(tmp_path / "db") as db:
        first = await db.put("n", "k", document("k", 0))
        for turn in range(1, 4):
            await db.put("n", "k", document("k", turn))
        restored = await db.restore("n", "k", first)
        assert restored.value == document("k", 0)
        assert [version.value for version in await db.history("n", "k")] == [
            document("k", turn) for turn in (0, 1, 2, 3, 0)
        ]
        assert await db.lineage(restored) == [first]
        assert (await db.verify()).ok


async def test_what_is_not_written_yet_is_written_to_be_read(tmp_path: Path, lean: None) -> None:
    config = Config(path=tmp_path / "db", enable_wal=False)
    async with Database(config) as db:
        written = [await db.put("n", "k", document("k", turn)) for turn in range(50)]
        assert size_of(tmp_path / "db") == 64
        assert await db.get("n", "k", at=written[3]) == document("k", 3)
        assert size_of(tmp_path / "db") > 64
        assert len(await db.history("n", "k")) == 50
    async with Database(config) as db:
        assert await db.get("n", "k", at=written[3]) == document("k", 3)


async def test_a_reader_of_a_file_that_is_compacted_keeps_what_it_saw(
    tmp_path: Path, lean: None
) -> None:
    async with Database(tmp_path / "db") as db:
        written = [await db.put("n", "k", document("k", turn)) for turn in range(20)]
        async with Database(Config(path=tmp_path / "db", read_only=True)) as reader:
            await db.compact(keep_versions=1)
            assert (await reader.stats()).versions_on_disk >= 18
            assert await reader.get("n", "k", at=written[3]) == document("k", 3)
        assert await db.get("n", "k", None, at=written[3]) is None


async def test_a_lost_instance_and_a_failed_write_leave_the_past_readable(
    tmp_path: Path, lean: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Database(tmp_path / "db") as db:
        written = [await db.put("n", "k", document("k", turn)) for turn in range(20)]
        db._session._lose(InstanceLostError("it was made to"))
        assert await db.get("n", "k", at=written[3]) == document("k", 3)

        def fail(data: bytes) -> None:
            raise StorageError("the disk is full")

        assert db._session.storage is not None
        monkeypatch.setattr(db._session.storage, "append", fail)
        with pytest.raises(StorageError, match="full"):
            await db.put("n", "k", document("k", 20))
        monkeypatch.undo()
        monkeypatch.setattr(_loading, "OLD_VALUES_SHARE", 0.0)
        assert await db.get("n", "k", at=written[4]) == document("k", 4)
        await db.put("n", "k", document("k", 21))
        await db.put("n", "k", document("k", 22))
        turns = [version.value["turn"] for version in await db.history("n", "k")]
        assert turns == [*range(20), 21, 22]


async def test_readers_of_the_past_and_writers_at_once(tmp_path: Path, lean: None) -> None:
    async with Database(tmp_path / "db") as db:
        written = [await db.put("n", "k", document("k", turn, 3000)) for turn in range(60)]

        async def read(start: int) -> None:
            for turn in range(start, 59, 5):
                assert await db.get("n", "k", at=written[turn]) == document("k", turn, 3000)
                await db.put("n", f"other{start}", document("other", turn))
                history = await db.history("n", f"other{start}")
                assert [version.value["turn"] for version in history][-1] == turn

        await asyncio.gather(*(read(start) for start in range(5)), db.compact(), db.verify())
        assert (await db.verify()).ok


def test_with_threads_and_without_an_event_loop(tmp_path: Path, lean: None) -> None:
    with SyncDatabase(tmp_path / "db") as db:
        first = db.put("n", "k", document("k", 0, 200_000))
        for turn in range(1, 5):
            db.put("n", "k", document("k", turn, 200_000))
        assert db.get("n", "k", at=first) == document("k", 0, 200_000)
        assert len(db.history("n", "k", before=first)) == 0
        assert len(db.history("n", "k", before=db.history("n", "k")[2])) == 2


async def test_where_values_are_set_aside(lean: None) -> None:
    async def aside(config: Config) -> int:
        async with Database(config) as db:
            written = [await db.put("n", "k", document("k", turn)) for turn in range(9)]
            assert await db.get("n", "k", at=written[3]) == document("k", 3)
            return (await db.stats()).versions_on_disk

    assert await aside(Config()) == 0, "there is no file"
    assert await aside(Config(storage=Deferred())) == 0, "it cannot be read while one waits"
    assert await aside(Config(storage=MemoryStorage())) > 6


async def test_nothing_is_set_aside_before_memory_fills(tmp_path: Path) -> None:
    async with Database(tmp_path / "db") as db:
        await fill(db, 5, 50)
        assert (await db.stats()).versions_on_disk == 0


STRETCH = (64).to_bytes(8, "little") + (100).to_bytes(4, "little")
ASKS: Reply = (Status.FETCH, 0, b"", b"", 0)


class Mad:
    """An instance that asks for bytes of the file, whatever it is given."""

    memory_bytes = 0

    def __init__(self, stretches: Callable[[int], bytes]) -> None:
        self.stretches = stretches
        self.calls = 0

    def call(self, opcode: int, request: bytes) -> Reply:
        self.calls += 1
        return (0, 0, self.stretches(self.calls), b"", 0) if opcode == op.FETCH else ASKS

    def call_reading(
        self, opcode: int, head: bytes, size: int, read: Callable[[memoryview], int]
    ) -> Reply | None:
        if read(memoryview(bytearray(size))) != size:
            return None
        return self.call(opcode, head)

    def fill(self, address: int, parts: object) -> None: ...

    def close(self) -> None: ...


@pytest.mark.parametrize(
    "stretches",
    [b"", b"x", STRETCH * 2, STRETCH[:8] + bytes(4), STRETCH + bytes(12)],
    ids=["nothing", "half", "twice", "empty", "backwards"],
)
def test_an_engine_that_asks_for_nonsense_is_given_up(stretches: bytes) -> None:
    fetcher = Fetcher(MemoryStorage(bytes(1000)))
    with pytest.raises(InstanceLostError, match="what it needs"):
        fetcher.answer(Mad(lambda _: stretches), op.GET, b"")


def test_an_engine_that_asks_for_ever_is_given_up() -> None:
    fetcher = Fetcher(MemoryStorage(bytes(MIB)))
    long = STRETCH[:8] + (MIB - 64).to_bytes(4, "little")
    host = Mad(lambda _: long)
    with pytest.raises(InstanceLostError, match="for ever"):
        fetcher.answer(host, op.GET, b"")
    assert host.calls < 100


def test_bytes_behind_the_end_are_damage() -> None:
    fetcher = Fetcher(MemoryStorage(bytes(100)))
    with pytest.raises(CorruptionError, match="ends before") as caught:
        fetcher.answer(Mad(lambda _: STRETCH), op.GET, b"")
    assert caught.value.offset == 64


def test_what_is_long_or_not_written_yet_is_not_read_on_the_event_loop() -> None:
    fetcher = Fetcher(MemoryStorage(bytes(MIB)))
    long = STRETCH[:8] + (65 * 1024).to_bytes(4, "little")
    assert fetcher.answer_quickly(Mad(lambda _: long), op.GET, b"", ASKS) is None
    unwritten = Fetcher(MemoryStorage(bytes(100)))
    assert unwritten.answer_quickly(Mad(lambda _: STRETCH), op.GET, b"", ASKS) is None


def test_the_reply_of_an_engine_is_what_the_caller_gets() -> None:
    answer: Reply = (0, 0, json.dumps(1).encode(), b"", 0)
    host = Mad(lambda _: b"")
    host.call = lambda opcode, request: answer  # type: ignore[method-assign]
    assert Fetcher(MemoryStorage()).answer(host, op.GET, b"") == answer
