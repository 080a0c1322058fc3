"""Memory is made present ahead of an opening, never more than the file can need."""

from __future__ import annotations

import ctypes
import mmap
import sys
from typing import TYPE_CHECKING

import pytest

from koru_delta._hosts import prefault
from koru_delta._hosts.prefault import Prefault

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a call of Linux")

MIB = 1 << 20
SIZE = 16 * MIB


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


def test_what_grew_is_present_and_what_there_was_is_left_alone(region: Region) -> None:
    ahead = Prefault(100 * MIB, 4 * MIB)
    ahead.follow(region.address, 10 * MIB)
    assert ahead.covered == 10 * MIB
    steps = 0
    while ahead.step():
        steps += 1
    assert steps == 6 * MIB // prefault._STEP_BYTES
    assert region.present() == [False] * 4 + [True] * 6 + [False] * 6


def test_what_grew_first_is_present_first(region: Region) -> None:
    ahead = Prefault(100 * MIB, 0)
    for size in (2 * MIB, SIZE):
        ahead.follow(region.address, size)
    for _ in range(3 * MIB // prefault._STEP_BYTES):
        assert ahead.step()
    assert region.present() == [True] * 3 + [False] * 13


def test_no_more_than_the_rest_of_the_file_needs(region: Region) -> None:
    ahead = Prefault(8 * MIB, 1 * MIB)
    ahead.follow(region.address, SIZE)
    while ahead.step():
        pass
    assert region.present() == [False] + [True] * 9 + [False] * 6
    ahead.left = 0
    ahead.follow(region.address, 2 * SIZE)
    assert not ahead.step()


def test_none_of_it_once_the_file_has_been_read(region: Region) -> None:
    ahead = Prefault(100 * MIB, 0)
    ahead.follow(region.address, SIZE)
    ahead.left = 0
    assert not ahead.step()
    assert not any(region.present())


def test_a_refusal_ends_it(region: Region) -> None:
    ahead = Prefault(100 * MIB, 0)
    ahead.follow(0, MIB)  # Nothing is mapped there: the call fails.
    ahead.follow(region.address, SIZE)
    assert not ahead.step()
    assert not ahead.step()
    assert not any(region.present())
