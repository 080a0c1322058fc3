"""Exporting to one file, and importing it: everything comes along, and everything is checked."""

from __future__ import annotations

import asyncio
import errno
import io
import os
from typing import TYPE_CHECKING, Any

import pytest
from files import content_of, names_in, write_content
from log_format import parse_log
from test_compaction import answers, fill

from koru_delta import (
    Config,
    CorruptionError,
    Database,
    DatabaseClosedError,
    KoruDeltaError,
    LimitExceededError,
    StorageError,
    SyncDatabase,
    UnsupportedFormatError,
    ValidationError,
)
from koru_delta.storage import MemoryStorage

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import FileOpener


async def test_what_was_exported_is_imported(db: Database, tmp_path: Path) -> None:
    await fill(db)
    before = await answers(db)
    target = tmp_path / "copies" / "copy.koru"
    report = await db.export_to(target)
    assert (report.bytes, report.head) == (target.stat().st_size, db.head)
    assert report.versions == (await db.stats()).versions
    for config in (None, tmp_path / "imported.koru", Config(storage=MemoryStorage())):
        async with await Database.import_from(target, config) as copy:
            assert await answers(copy) == before
            assert (await copy.verify()).ok
            await copy.put("users", "later", 1)
    async with Database(tmp_path / "imported.koru") as copy:
        assert await copy.get("users", "later") == 1
    async with Database(target) as copy:
        assert await answers(copy) == before
    assert await answers(db) == before


async def test_file_objects_take_and_give_the_same_bytes(db: Database, tmp_path: Path) -> None:
    await fill(db)
    before = await answers(db)
    file = io.BytesIO()
    report = await db.export_to(file)
    assert report.bytes == len(file.getvalue())
    file.seek(0)
    async with await Database.import_from(file) as copy:
        assert await answers(copy) == before
    with (tmp_path / "copy").open("wb") as real:
        await db.export_to(real)
    async with Database(tmp_path / "copy") as copy:
        assert await answers(copy) == before


def test_the_blocking_api_does_the_same(tmp_path: Path) -> None:
    with SyncDatabase() as db:
        db.put("a", "key", 1)
        db.compact()
        db.export_to(tmp_path / "copy")
        with SyncDatabase.import_from(tmp_path / "copy", tmp_path / "other") as copy:
            assert copy.head == db.head


async def test_copies_have_ids_of_their_own(open_file: FileOpener, path: Path) -> None:
    db = await open_file()
    await db.put("a", "key", 1)
    await db.compact()
    exported = path.with_name("exported")
    await db.export_to(exported)
    await db.close()
    async with await Database.import_from(exported, path.with_name("imported")):
        pass
    logs = [
        parse_log(content_of(path.with_name(name))) for name in (path.name, "exported", "imported")
    ]
    assert len({log.database_id for log in logs}) == 3
    assert all(log.begins_with_a_snapshot for log in logs)
    assert len({log.snapshot.head for log in logs}) == 1
    assert [log.header[40] for log in logs] == [2, 1, 1], "epochs"


async def test_a_plain_database_file_is_imported(open_file: FileOpener, path: Path) -> None:
    db = await open_file()
    await fill(db)
    before = await answers(db)
    await db.close()
    async with await Database.import_from(path) as copy:
        assert await answers(copy) == before


async def test_one_that_is_read_only_exports(open_file: FileOpener, path: Path) -> None:
    await (await open_file()).put("a", "key", 1)
    reader = await open_file(read_only=True)
    await reader.export_to(path.with_name("copy"))
    async with Database(path.with_name("copy")) as copy:
        assert await copy.get("a", "key") == 1


async def test_writes_go_on_while_it_is_exported(db: Database, tmp_path: Path) -> None:
    await db.put_batch([("a", f"k{i}", "x" * 300) for i in range(15_000)])
    work = asyncio.create_task(db.export_to(tmp_path / "copy"))
    written = 0
    while not work.done():
        await db.put("w", f"{written}", written)
        if written == 2:
            await db.erase("a", "k3")
        written += 1
        await asyncio.sleep(0)
    report = await work
    assert written > 3
    async with Database(tmp_path / "copy") as copy:
        found = await copy.list_keys("w")
        assert sorted(map(int, found)) == list(range(len(found)))
        assert report.head == copy.head
        assert (await copy.verify()).ok


async def test_nothing_is_overwritten_unless_it_may_be(open_file: FileOpener, path: Path) -> None:
    db = await open_file()
    await db.put("a", "key", 1)
    target = path.with_name("copy")
    target.write_bytes(b"mine")
    with pytest.raises(StorageError, match="overwrite=True"):
        await db.export_to(target)
    assert content_of(target) == b"mine"
    await db.export_to(target, overwrite=True)
    assert content_of(target) != b"mine"
    for own in (path, str(path), path.with_name(path.name + ".lock")):
        with pytest.raises(ValidationError, match="itself"):
            await db.export_to(own, overwrite=True)
    with pytest.raises(StorageError):
        await db.export_to(path.parent, overwrite=True)
    with pytest.raises(StorageError, match="already"):
        await Database.import_from(target, path.with_name("copy"))
    assert names_in(path.parent) == ["copy", "copy.lock", path.name, f"{path.name}.lock"]


async def test_a_disk_that_is_full_leaves_nothing(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await db.put("a", "key", 1)
    directory = tmp_path / "copies"

    def fail(_fd: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("koru_delta._upkeep.copies.sync_file", fail)
        with pytest.raises(StorageError, match="No space"):
            await db.export_to(directory / "copy")
    assert names_in(directory) == []
    assert await db.get("a", "key") == 1


@pytest.mark.parametrize("what", [42, None, io.StringIO()], ids=["int", "None", "text"])
async def test_what_is_no_target_is_refused(db: Database, what: Any) -> None:
    with pytest.raises(ValidationError):
        await db.export_to(what)
    with pytest.raises(ValidationError):
        await Database.import_from(what)
    await db.put("a", "key", 1)


async def test_one_that_is_not_open_is_not_exported(tmp_path: Path) -> None:
    with pytest.raises(DatabaseClosedError):
        await Database().export_to(tmp_path / "copy")
    assert names_in(tmp_path) == []


async def exported(db: Database) -> bytes:
    file = io.BytesIO()
    await db.export_to(file)
    return file.getvalue()


async def test_a_source_that_is_missing_is_to_be_looked_for(db: Database, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"no database at .*; check the path: give a database"):
        await db.import_from(tmp_path / "missing")


async def test_damage_is_not_imported(tmp_path: Path) -> None:
    async with Database() as db:
        await db.put_batch([("a", f"k{i}", "x" * 40) for i in range(10)])
        await db.embed("a", "v", [1.0, 2.0])
        content = await exported(db)
    target = tmp_path / "target"
    for at in range(0, len(content), 41):
        damaged = content[:at] + bytes([content[at] ^ 0x10]) + content[at + 1 :]
        with pytest.raises((CorruptionError, UnsupportedFormatError)):
            await Database.import_from(io.BytesIO(damaged), target)
        with pytest.raises(CorruptionError):
            await Database.import_from(io.BytesIO(content[:at]), target)
    assert names_in(tmp_path) == ["target.lock"]


async def test_a_forged_value_is_not_imported() -> None:
    async with Database() as db:
        await db.put("a", "key", "the truth")
        log = parse_log(await exported(db))
    frames = [
        type(frame)(**{**_fields(frame), "payload": frame.payload.replace(b"truth", b"lies!")})
        for frame in log.frames
    ]
    forged = log.with_frames(*frames).to_bytes()
    with pytest.raises(CorruptionError, match="does not match its id"):
        await Database.import_from(io.BytesIO(forged))


def _fields(frame: Any) -> dict[str, Any]:
    names = ("offset", "kind", "epoch", "sequence", "durable_sequence", "payload")
    return {name: getattr(frame, name) for name in names}


@pytest.mark.parametrize(
    ("content", "kind"),
    [(b"", CorruptionError), (b"SQLite format 3\0" * 9, UnsupportedFormatError)],
    ids=["nothing", "foreign"],
)
async def test_what_is_no_database_is_not_imported(
    tmp_path: Path, content: bytes, kind: type[KoruDeltaError]
) -> None:
    write_content(tmp_path / "file", content)
    with pytest.raises(kind):
        await Database.import_from(tmp_path / "file")
    with pytest.raises(StorageError):
        await Database.import_from(tmp_path / "missing")
    with pytest.raises(StorageError):
        await Database.import_from(tmp_path)


async def test_what_does_not_fit_is_not_imported() -> None:
    async with Database() as db:
        for i in range(12):
            await db.put("a", f"k{i}", "x" * 1_000_000)
        content = await exported(db)
    with pytest.raises(LimitExceededError):
        await Database.import_from(io.BytesIO(content), Config(max_memory_mb=8))


async def test_a_file_that_is_open_the_other_way_is_refused(db: Database, tmp_path: Path) -> None:
    path = tmp_path / "copy.koru"
    await db.export_to(path)
    with path.open("rb") as file, pytest.raises(ValidationError, match="not open for writing"):
        await db.export_to(file)
    with (
        (tmp_path / "other").open("wb") as file,
        pytest.raises(ValidationError, match="not open for reading"),
    ):
        await Database.import_from(file)
