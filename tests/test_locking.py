"""One path has one holder: in a process, among processes, and after a fork."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest
from files import inode_of, names_in
from opening import open_and_close, open_and_close_async
from processes import another_process_holding, needs_fork, run_python

from koru_delta import Config, Database, DatabaseLockedError, SyncDatabase


async def test_a_second_open_in_the_same_process_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.koru"
    async with Database(path) as db:
        await db.put("a", "key", 1)
        for again in (path, tmp_path / "." / "data.koru", tmp_path / "x" / ".." / "data.koru"):
            with pytest.raises(DatabaseLockedError, match=str(os.getpid())):
                await open_and_close_async(again)
        with pytest.raises(DatabaseLockedError, match=str(os.getpid())):
            open_and_close(path)
        assert await db.get("a", "key") == 1
        await db.put("a", "key", 2)
    async with Database(path) as db:
        assert await db.get("a", "key") == 2


async def test_an_open_through_a_symbolic_link_is_refused_too(tmp_path: Path) -> None:
    path = tmp_path / "data.koru"
    (tmp_path / "link.koru").symlink_to(path)
    async with Database(path) as db:
        await db.put("a", "key", 1)
        with pytest.raises(DatabaseLockedError):
            await open_and_close_async(tmp_path / "link.koru")


async def test_a_path_that_another_process_has_open_names_that_process(tmp_path: Path) -> None:
    path = tmp_path / "data.koru"
    with another_process_holding(path) as pid:
        with pytest.raises(DatabaseLockedError, match=rf"\b{pid}\b"):
            await open_and_close_async(path)
        with pytest.raises(DatabaseLockedError, match=rf"\b{pid}\b"):
            open_and_close(path)
    async with Database(path) as db:
        assert await db.get("held", "by") == pid


async def test_the_lock_goes_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "data.koru"
    run_python(
        """
        import os, sys
        from koru_delta import SyncDatabase
        db = SyncDatabase(sys.argv[1]).__enter__()
        db.put("a", "key", "kept")
        os._exit(0)
        """,
        path,
    )
    assert names_in(tmp_path) == ["data.koru", "data.koru.lock"]
    async with Database(path) as db:
        assert await db.get("a", "key") == "kept"


async def test_the_lock_file_stays_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "data.koru"
    lock = Path(f"{path}.lock")
    async with Database(path):
        inode = inode_of(lock)
    assert inode_of(lock) == inode
    async with Database(path):
        assert inode_of(lock) == inode
    assert names_in(tmp_path) == ["data.koru", "data.koru.lock"]


async def test_a_lock_file_with_an_old_pid_locks_nothing(tmp_path: Path) -> None:
    path = tmp_path / "data.koru"
    (tmp_path / "data.koru.lock").write_bytes(b"1\n" + b"stale" * 100)
    async with Database(path) as db:
        await db.put("a", "key", 1)


FORKED = """
    import os, subprocess, sys
    from koru_delta import DatabaseLockedError, SyncDatabase

    def in_child(db):
        for call in (
            lambda: db.get("a", "key"),
            lambda: db.put("a", "key", "child"),
            lambda: db.put_batch([("a", "key", "child")]),
            lambda: db.delete("a", "key"),
            lambda: db.list_keys("a"),
        ):
            try:
                call()
            except DatabaseLockedError as error:
                assert "fork" in str(error) or str(os.getppid()) in str(error), error
            else:
                return 1
        db.close()
        return 0

    with SyncDatabase(sys.argv[1] or None) as db:
        db.put("a", "key", "parent")
        child = os.fork()
        if child == 0:
            os._exit(in_child(db))
        assert os.waitpid(child, 0)[1] == 0
        db.put("a", "after", "parent")
        assert db.get("a", "key") == "parent"
        if sys.argv[1]:
            opening = "import sys, koru_delta; koru_delta.SyncDatabase(sys.argv[1]).__enter__()"
            other = [sys.executable, "-c", opening, sys.argv[1]]
            refused = subprocess.run(other, capture_output=True, text=True)
            assert "DatabaseLockedError" in refused.stderr, "the parent still holds its lock"
    print("done")
"""


@needs_fork
@pytest.mark.parametrize("storage", ["memory", "file"])
def test_a_forked_child_is_refused_and_harms_nothing(tmp_path: Path, storage: str) -> None:
    path = tmp_path / "data.koru" if storage == "file" else ""
    assert run_python(FORKED, path) == "done"
    if path:
        with SyncDatabase(path) as db:
            assert db.namespace("a").all() == {"key": "parent", "after": "parent"}


async def test_waiting_for_the_lock_ends_when_its_holder_closes(path: Path) -> None:
    first = await Database.create(path)
    waiting = asyncio.create_task(Database.create(Config(path=path, lock_timeout=30)))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    await first.put("a", "key", 1)
    await first.close()
    second = await waiting
    assert await second.get("a", "key") == 1
    await second.close()


async def test_waiting_for_the_lock_ends_with_the_time_that_was_given(path: Path) -> None:
    async with Database(path):
        start = time.monotonic()
        with pytest.raises(DatabaseLockedError, match="lock_timeout"):
            await open_and_close_async(Config(path=path, lock_timeout=0.2))
        assert 0.2 <= time.monotonic() - start < 20
