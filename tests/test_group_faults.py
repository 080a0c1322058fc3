"""A fault at every call while many writes share a group, or rows of vectors several commits."""

from __future__ import annotations

import asyncio
import errno
import sys
from typing import TYPE_CHECKING

import pytest
from faulty_os import OTHERS, SYNCS, WRITES, faulty_os

from koru_delta import Database, StorageError, _arguments

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="files are told apart by /proc/self/fd"
)

ROWS, DIMENSION, ROWS_IN_A_COMMIT = 40, 8, 16
WRITERS = 60
FAULTS = pytest.mark.parametrize(
    ("names", "error", "short"),
    [
        (WRITES, errno.EIO, False),
        (WRITES, errno.ENOSPC, True),
        (SYNCS, errno.EIO, False),
        (OTHERS, errno.EIO, False),
    ],
    ids=["write EIO", "short write", "sync EIO", "others EIO"],
)
MAX_CALLS = 200


async def embed_rows(path: Path, acknowledged: list[int]) -> bool:
    """Embeds a matrix in several commits; whether all of it was acknowledged."""
    keys = [f"{i:02}" for i in range(ROWS)]
    matrix = [[float(i + 1)] * DIMENSION for i in range(ROWS)]
    try:
        async with Database(path) as db:
            await db.embed_batch(
                "v", keys, matrix, progress=lambda done, _total: acknowledged.append(done)
            )
    except StorageError:
        return False
    return True


@FAULTS
async def test_rows_are_written_in_whole_commits_whatever_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...], error: int, short: bool
) -> None:
    size = ROWS_IN_A_COMMIT * 4 * DIMENSION
    monkeypatch.setattr(_arguments, "_EMBED_BYTES", size)
    with faulty_os(monkeypatch, tmp_path) as faulty:
        for index in range(MAX_CALLS):
            path = tmp_path / f"{index}.koru"
            progress: list[int] = []
            faulty.arm(index, names, error, short)
            whole = await embed_rows(path, progress)
            faulty.disarm()
            async with Database(path) as db:
                found = await db.list_keys("v")
                assert found == [f"{i:02}" for i in range(len(found))], "a prefix"
                if found:
                    last = len(found) - 1
                    assert list(await db.vector("v", found[-1])) == [float(last + 1)] * DIMENSION
                assert (await db.verify()).ok
            assert len(found) >= (ROWS if whole else max(progress, default=0))
            if not faulty.fired:
                assert whole
                assert len(progress) > 1, "there were several commits"
                break
        else:
            raise AssertionError("the fault went on for ever")


async def write_together(path: Path, acknowledged: set[str]) -> None:
    """Many writers at one time, in groups that share a sync."""
    async with Database(path) as db:

        async def write(key: str) -> None:
            await db.put("a", key, key * 50)
            acknowledged.add(key)

        for group in range(3):
            keys = [f"{group}-{i:02}" for i in range(WRITERS)]
            await asyncio.gather(*map(write, keys), return_exceptions=True)


@FAULTS
async def test_a_group_of_many_writes_fails_or_holds_whatever_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...], error: int, short: bool
) -> None:
    order = [f"{group}-{i:02}" for group in range(3) for i in range(WRITERS)]
    with faulty_os(monkeypatch, tmp_path) as faulty:
        for index in range(MAX_CALLS):
            path = tmp_path / f"{index}.koru"
            acknowledged: set[str] = set()
            faulty.arm(index, names, error, short)
            try:
                await write_together(path, acknowledged)
            except StorageError:
                assert faulty.fired
            faulty.disarm()
            async with Database(path) as db:
                found = await db.list_keys("a")
                assert (await db.verify()).ok
            assert acknowledged <= set(found)
            # A group that was taken back leaves a hole in what was attempted; within a group, none.
            for group in range(3):
                own = [key for key in found if key.startswith(f"{group}-")]
                assert own == [key for key in order if key.startswith(f"{group}-")][: len(own)]
            if not faulty.fired:
                assert found == order
                break
        else:
            raise AssertionError("the fault went on for ever")
