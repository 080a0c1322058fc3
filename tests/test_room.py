"""Room that a file sets aside for growth: zeros ahead of short appends, and nothing lost by it."""

from __future__ import annotations

import errno
import os
import sys
from typing import TYPE_CHECKING

import pytest
from faulty_os import ZEROS, faulty_os
from files import content_of

from koru_delta import Database
from koru_delta._storage.file import FileStorage

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="files are told apart by /proc/self/fd"
)


def test_zeros_are_written_once_ahead_of_short_appends_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log"
    storage = FileStorage(path, read_only=False, preallocate=True)
    storage.create(b"begin")
    written = [b"begin"]

    def calls_of(size: int, times: int = 1) -> list[str]:
        faulty.calls.clear()
        for _ in range(times):
            written.append(bytes([len(written) % 255 + 1]) * size)
            storage.append(written[-1])
        return faulty.calls

    with faulty_os(monkeypatch, tmp_path) as faulty:
        assert calls_of(1_000, 1_000).count(ZEROS) == 8, "16 KiB, and twice as much up to 256"
        whole = content_of(path)
        assert whole.rstrip(b"\0") == b"".join(written)
        assert len(whole) == 1024 * 1024
        assert ZEROS not in calls_of(3_000_000), "nor is what is written twice worth it"
        assert ZEROS in calls_of(1)
        assert ZEROS not in calls_of(64 * 1024), "they are there"
        assert calls_of(64 * 1024, 8).count(ZEROS) == 2
    storage.close()
    assert content_of(path) == b"".join(written)


def test_without_room_set_aside_no_zeros_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: int) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    for name, preallocate in (("unsynced", False), ("unable", True)):
        path = tmp_path / name
        storage = FileStorage(path, read_only=False, preallocate=preallocate)
        storage.create(b"begin")
        monkeypatch.setattr(os, "posix_fallocate", refuse)
        with faulty_os(monkeypatch, tmp_path) as faulty:
            for _ in range(3):
                storage.append(b"more")
        assert ZEROS not in faulty.calls
        assert content_of(path) == b"begin" + b"more" * 3
        storage.close()


async def test_what_ends_in_the_middle_of_the_room_opens_again(tmp_path: Path) -> None:
    path, copy = tmp_path / "data.koru", tmp_path / "copy.koru"
    async with Database(path) as db:
        await db.put("a", "key", 1)
        whole = content_of(path)
        size = (await db.stats()).disk_bytes
    assert whole[size:] == bytes(1024 * 1024 - size)
    # A crash may have left any length of the zeros, and what was about to be written among them.
    for length in (size, size + 1, size + 4096, 256 * 1024, 256 * 1024 + 7, len(whole)):
        for torn in (b"", b"torn" * 64):
            room = bytearray(whole[:length])
            room[size + 100 : size + 100 + len(torn)] = torn
            copy.write_bytes(room[: max(length, size)])
            async with Database(copy) as db:
                assert await db.get("a", "key") == 1
                await db.put("a", "next", 2)
            async with Database(copy) as db:
                assert await db.namespace("a").all() == {"key": 1, "next": 2}
                assert (await db.verify()).ok
