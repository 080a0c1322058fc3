"""Without the write-ahead log, changes are gathered in memory and written when closing."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from faulty_os import WRITES, faulty_os
from processes import run_python

from koru_delta import Config, Database

if TYPE_CHECKING:
    from pathlib import Path


async def test_closing_writes_everything(tmp_path: Path) -> None:
    config = Config(path=tmp_path / "data.koru", enable_wal=False)
    for session in range(3):
        async with Database(config) as db:
            for i in range(20):
                await db.put("a", f"{session}-{i:02}", i)
                assert await db.get("a", f"{session}-{i:02}") == i
            await db.put_batch([("b", f"{i}", session) for i in range(20)])
            await db.delete("b", "0")
            head = db.head
    async with Database(tmp_path / "data.koru") as db:
        assert db.head == head
        assert len(await db.list_keys("a")) == 60
        assert await db.namespace("b").all() == {f"{i}": 2 for i in range(1, 20)}
        assert (await db.verify()).ok


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="files are told apart by /proc/self/fd"
)
async def test_a_small_change_writes_nothing_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with faulty_os(monkeypatch, tmp_path) as faulty:
        async with Database(Config(path=tmp_path / "data.koru", enable_wal=False)) as db:
            faulty.calls.clear()
            await db.put("a", "key", 1)
            await db.delete("a", "key")
            assert faulty.calls == []
        assert set(faulty.calls) & set(WRITES)


DYING = """
    import os, sys
    from koru_delta import Config, SyncDatabase
    db = SyncDatabase(Config(path=sys.argv[1], enable_wal=False)).__enter__()
    for i in range(300):
        db.put("a", f"{i:03}", "x" * 20_000)
    os._exit(0)
"""


async def test_a_process_that_dies_leaves_a_prefix(tmp_path: Path) -> None:
    run_python(DYING, tmp_path / "data.koru")
    async with Database(tmp_path / "data.koru") as db:
        found = await db.list_keys("a")
        assert found == [f"{i:03}" for i in range(len(found))]
        assert (await db.verify()).ok
