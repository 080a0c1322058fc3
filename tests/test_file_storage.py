"""A database is one file: where it goes, and that reopening finds everything."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from clocks import stop_clock_at
from files import content_of, mode_of, names_in, remove, size_of, write_content
from json_values import EDGE_CASES, same
from log_format import HEADER_BYTES
from opening import open_and_close_async
from processes import run_python

from koru_delta import Database, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import FileOpener


async def test_a_path_is_one_file_and_its_lock(open_file: FileOpener, path: Path) -> None:
    db = await open_file()
    assert names_in(path.parent) == [path.name, f"{path.name}.lock"]
    await db.put_batch([("a", str(i), "x" * 1000) for i in range(1000)])
    await db.close()
    assert names_in(path.parent) == [path.name, f"{path.name}.lock"]
    assert size_of(path) > 1_000_000


@pytest.mark.parametrize("other", [None, b"another file"])
async def test_health_tells_of_a_file_that_was_removed_or_replaced_while_open(
    open_file: FileOpener, path: Path, tmp_path: Path, other: bytes | None
) -> None:
    db = await open_file()
    await db.put("a", "key", 1)
    await db.compact()
    assert (await db.health()).healthy
    remove(path)
    if other is not None:
        write_content(path, other)
    health = await db.health()
    assert not health.healthy
    assert "removed or replaced while open" in health.issues[0]
    assert "export_to" in health.issues[0]
    await db.put("a", "key", 2)
    await db.export_to(tmp_path / "kept.koru")
    await db.close()
    async with Database(tmp_path / "kept.koru") as kept:
        assert await kept.get("a", "key") == 2


async def test_a_reader_of_a_file_that_its_writer_compacted_is_healthy(
    open_file: FileOpener, path: Path
) -> None:
    db = await open_file()
    await db.put("a", "key", 1)
    reader = await open_file(read_only=True)
    await db.compact()
    assert (await reader.health()).healthy


async def test_a_fresh_database_is_a_header(open_file: FileOpener, path: Path) -> None:
    db = await open_file()
    await db.close()
    assert size_of(path) == HEADER_BYTES
    assert content_of(path).startswith(b"\x89KORU\r\n\x1a")


async def test_two_databases_have_two_identities(tmp_path: Path) -> None:
    for name in ("a", "b"):
        async with Database(tmp_path / name):
            pass
    assert content_of(tmp_path / "a") != content_of(tmp_path / "b")


async def test_missing_parents_are_created(tmp_path: Path) -> None:
    path = tmp_path / "some" / "new place" / "\u00fcber.koru"
    async with Database(path) as db:
        await db.put("a", "key", 1)
    async with Database(path) as db:
        assert await db.get("a", "key") == 1


async def test_a_relative_path_stays_where_it_was_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    async with Database("data.koru") as db:
        monkeypatch.chdir(tmp_path / "elsewhere")
        await db.put("a", "key", 1)
    assert names_in(tmp_path / "elsewhere") == []
    async with Database(tmp_path / "data.koru") as db:
        assert await db.get("a", "key") == 1


async def test_reopening_finds_everything(
    open_file: FileOpener, reopen: Callable[..., Any]
) -> None:
    db = await open_file()
    first = await db.put("users", "alice", {"age": 1})
    second = await db.put("users", "alice", {"age": 2}, caused_by=[first])
    await db.put_batch([("values", f"{i:03}", value) for i, value in enumerate(EDGE_CASES)])
    await db.put("users", "bob", b"\x00\xff" * 1000)
    await db.delete("users", "bob")
    head, stats = db.head, await db.stats()
    histories = {key: await db.history("users", key) for key in ("alice", "bob")}
    for _ in range(3):
        db = await reopen(db)
        assert db.head == head
        assert await db.get("users", "alice") == {"age": 2}
        assert not await db.contains("users", "bob")
        assert {key: await db.history("users", key) for key in histories} == histories
        assert await db.get("users", "alice", at=first) == {"age": 1}
        assert await db.get("users", "bob", at=histories["bob"][0]) == b"\x00\xff" * 1000
        assert await db.lineage(second.version_id) == [first]
        assert await db.effects(first.version_id) == [second]
        for i, value in enumerate(EDGE_CASES):
            assert same(await db.get("values", f"{i:03}"), value)
        again = await db.stats()
        assert (again.keys, again.versions, again.namespaces) == (
            stats.keys,
            stats.versions,
            stats.namespaces,
        )
        assert (await db.verify()).ok


async def test_time_goes_on_after_reopening(
    open_file: FileOpener, reopen: Callable[..., Any]
) -> None:
    db = await open_file()
    before = await db.put("a", "key", 1)
    db = await reopen(db)
    after = await db.put("a", "key", 2)
    assert after.timestamp_us > before.timestamp_us
    assert after.previous == before.version_id


async def test_time_goes_on_when_the_clock_went_back_before_reopening(
    open_file: FileOpener, reopen: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    db = await open_file()
    before = await db.put("a", "key", 1)
    stop_clock_at(monkeypatch, seconds=1)
    db = await reopen(db)
    after = await db.put("a", "key", 2)
    assert after.timestamp_us == before.timestamp_us + 1


async def test_another_process_finds_everything(open_file: FileOpener, path: Path) -> None:
    db = await open_file()
    await db.put_batch([("a", str(i), i) for i in range(100)])
    head = db.head
    await db.close()
    printed = run_python(
        """
        import sys
        from koru_delta import SyncDatabase
        with SyncDatabase(sys.argv[1]) as db:
            print(db.head, sum(db.namespace("a").all().values()))
        """,
        path,
    )
    assert printed == f"{head} {sum(range(100))}"


async def test_a_moved_file_is_the_same_database(tmp_path: Path) -> None:
    async with Database(tmp_path / "old.koru") as db:
        version = await db.put("a", "key", 1)
        head = db.head
    (tmp_path / "old.koru").rename(tmp_path / "new.koru")
    async with Database(tmp_path / "new.koru") as db:
        assert db.head == head
        assert await db.version(version.version_id) == version


async def test_the_file_on_disk_is_reported(open_file: FileOpener, path: Path) -> None:
    db = await open_file()
    empty = (await db.stats()).disk_bytes
    await db.put("a", "key", "x" * 100_000)
    assert (await db.stats()).disk_bytes >= empty + 100_000
    await db.close()
    assert size_of(path) >= 100_000


async def test_reading_writes_nothing(open_file: FileOpener, path: Path) -> None:
    db = await open_file()
    await db.put("a", "key", 1)
    await db.close()
    before = content_of(path)
    db = await open_file()
    await db.get("a", "key")
    await db.history("a", "key")
    await db.list_keys("a")
    await db.verify()
    await db.close()
    assert content_of(path) == before


async def test_a_refused_write_writes_nothing(open_file: FileOpener, path: Path) -> None:
    db = await open_file()
    await db.put("a", "key", 1)
    await db.close()
    before = content_of(path)
    db = await open_file()
    for bad in (float("nan"), {1}, 2**64):
        with pytest.raises(Exception, match=r"\$"):
            await db.put("a", "key", bad)
        with pytest.raises(Exception, match=r"\$"):
            await db.put_batch([("a", "other", 1), ("a", "key", bad)])
    await db.close()
    assert content_of(path) == before


@pytest.fixture
def unwritable_directory() -> Iterator[Path]:
    """A directory that this process cannot write to, whoever runs it."""
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o555)
        if root:
            os.seteuid(65534)
        try:
            yield directory
        finally:
            if root:
                os.seteuid(0)
            directory.chmod(0o755)


async def test_an_unwritable_directory_is_a_storage_error(unwritable_directory: Path) -> None:
    async with Database() as memory:
        for path in (unwritable_directory / "data.koru", unwritable_directory / "new" / "db"):
            with pytest.raises(StorageError, match=unwritable_directory.name) as caught:
                await open_and_close_async(path)
            assert "ermission" in str(caught.value)
        await memory.put("a", "key", 1)
    assert names_in(unwritable_directory) == []


@pytest.mark.skipif(os.name == "nt", reason="there are no such modes on this platform")
async def test_the_mode_of_an_existing_file_is_kept(open_file: FileOpener, path: Path) -> None:
    db = await open_file()
    await db.close()
    os.chmod(path, 0o640)
    db = await open_file()
    await db.put("a", "key", 1)
    await db.close()
    assert mode_of(path) == 0o640
