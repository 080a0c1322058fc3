"""Memory is made present ahead of an opening, never more than the file can need."""

from __future__ import annotations

import ctypes
import mmap
import sys
import time
from typing import TYPE_CHECKING

import pytest

from koru_delta import SyncDatabase
from koru_delta._hosts import prefault, wasmtime_host
from koru_delta._hosts.prefault import Prefault, can_prefault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a call of Linux")

MIB = 1 << 20
SIZE = 16 * MIB
PATIENCE_SECONDS = 10


class Region:
    """Fresh memory, of which one can ask what is present."""

    def __init__(self) -> None:
        self.map = mmap.mmap(-1, SIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self.map.madvise(mmap.MADV_NOHUGEPAGE)
        self.anchor = ctypes.c_char.from_buffer(self.map)
        self.address = ctypes.addressof(self.anchor)

    def present(self) -> list[bool]:
        """For each mebibyte, whether its last page is present."""
        pages = SIZE // mmap.PAGESIZE
        found = (ctypes.c_ubyte * pages)()
        library = ctypes.CDLL(None, use_errno=True)
        address, size = ctypes.c_void_p(self.address), ctypes.c_size_t(SIZE)
        assert library.mincore(address, size, found) == 0
        step = MIB // mmap.PAGESIZE
        return [bool(found[page] & 1) for page in range(step - 1, pages, step)]

    def close(self) -> None:
        """Free it."""
        del self.anchor
        self.map.close()


@pytest.fixture
def region() -> Iterator[Region]:
    """Memory, unmapped afterwards."""
    made = Region()
    if ctypes.CDLL(None).madvise(ctypes.c_void_p(made.address), mmap.PAGESIZE, 23):
        pytest.skip("this kernel does not know MADV_POPULATE_WRITE")
    yield made
    made.close()


def wait_for(region: Region, wanted: list[bool]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while region.present() != wanted and time.monotonic() < end:
        time.sleep(0.001)
    assert region.present() == wanted


def test_what_grew_is_present_and_what_there_was_is_left_alone(region: Region) -> None:
    ahead = Prefault(100 * MIB, 4 * MIB)
    ahead.took(MIB)
    ahead.follow(region.address, 10 * MIB)
    assert ahead.covered == 10 * MIB
    ahead.follow(region.address, 10 * MIB)
    wait_for(region, [False] * 4 + [True] * 6 + [False] * 6)
    ahead.stop()


def test_no_more_than_the_rest_of_the_file_needs(region: Region) -> None:
    ahead = Prefault(10 * MIB, 1 * MIB)
    ahead.took(2 * MIB)
    ahead.follow(region.address, SIZE)
    wait_for(region, [False] + [True] * 11 + [False] * 4)
    ahead.took(9 * MIB)
    ahead.follow(region.address, 2 * SIZE)
    ahead.stop()


def test_a_refusal_ends_it() -> None:
    ahead = Prefault(100 * MIB, MIB)
    ahead.follow(0, 2 * MIB)  # Nothing is mapped there: the call fails.
    ahead._thread.join(PATIENCE_SECONDS)
    assert not ahead._thread.is_alive()
    ahead.follow(0, 3 * MIB)
    ahead.stop()


def test_small_files_start_no_thread() -> None:
    assert not can_prefault(prefault._LEAST_BYTES - 1)
    assert can_prefault(prefault._LEAST_BYTES)


def test_a_file_opens_alike_with_and_without(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    value = "x" * 1_000_000
    with SyncDatabase(path) as db:
        for key in "0123456789":
            db.put("large", key, value + key)
    started: list[int] = []

    class Noted(Prefault):
        def __init__(self, expected: int, size: int) -> None:
            started.append(expected)
            super().__init__(expected, size)

    monkeypatch.setattr(wasmtime_host, "Prefault", Noted)
    for can in (True, False):
        monkeypatch.setattr(wasmtime_host, "can_prefault", lambda size, can=can: can and size > 0)
        with SyncDatabase(path) as db:
            assert [db.get("large", key) for key in "09"] == [value + "0", value + "9"]
    assert started == [path.stat().st_size]
