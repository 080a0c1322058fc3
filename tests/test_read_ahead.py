"""A file that is read ahead comes to the engine whole and in order, wherever it goes on."""

from __future__ import annotations

import ctypes
import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from koru_delta import StorageError, SyncDatabase
from koru_delta import _protocol as op
from koru_delta._hosts import read_ahead, wasmtime_host
from koru_delta._hosts.read_ahead import ReadAhead, can_read_ahead
from koru_delta._protocol import FLAG_END, REQUEST_HEADER, Reply, pack

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

OPCODE = 7
ROOM = 300
FRONT = 52
LINE = 4


class Engine:
    """Takes a file in, frame by frame, and notes what it was given."""

    def __init__(self, frames: list[int]) -> None:
        self.file = bytes(at * 7 % 251 for at in range(sum(frames)))
        self.ends = [sum(frames[: count + 1]) for count in range(len(frames))]
        self.window = memoryview(bytearray(2 * (ROOM + FRONT) + LINE - 1))
        self.taken = b""
        self.reads: list[int] = []
        self.places: list[int] = []
        self.fails: Callable[[int], bool] = lambda _: False
        self.gives: Callable[[int], int] = lambda asked: asked

    def read_into(self, offset: int, place: memoryview) -> int:
        self.reads.append(offset)
        self.places.append(ctypes.addressof(ctypes.c_char.from_buffer(place)))
        if self.fails(len(self.reads)):
            raise StorageError("it fails", suggestion="wait")
        part = self.file[offset : offset + self.gives(len(place))]
        place[: len(part)] = part
        return len(part)

    def call(self, opcode: int, request: bytes, behind: int) -> Reply:
        _, _, _, _, _, written, length, flags, _, _ = REQUEST_HEADER.unpack_from(request)
        assert opcode == OPCODE
        assert length == behind
        assert len(request) == REQUEST_HEADER.size + written == read_ahead.HEAD_BYTES
        control = json.loads(request[REQUEST_HEADER.size :])
        piece = bytes(self.window[control["skip"] : behind])
        self.take(control["offset"], piece)
        is_last = control["offset"] + len(piece) == len(self.file)
        assert bool(flags & FLAG_END) == is_last
        return 0, 0, b"", b"", 0

    def take(self, offset: int, piece: bytes) -> None:
        """Take the whole frames of a piece."""
        assert offset == len(self.taken)
        assert piece == self.file[offset : offset + len(piece)]
        whole = [end for end in self.ends if offset < end <= offset + len(piece)]
        self.taken = self.file[: whole[-1]] if whole else self.taken

    def want(self) -> int:
        """Bytes of the next frame."""
        return next(end for end in self.ends if end > len(self.taken)) - len(self.taken)

    def open(self) -> int:
        """Take the file in; how many frames were not to be had ahead."""
        plain = 0
        engine = (self.call, lambda: (0, 0))
        with ReadAhead(engine, self.window, self.read_into, len(self.file)) as ahead:
            want = 1
            while len(self.taken) < len(self.file):
                offset = len(self.taken)

                def control(skip: int, offset: int = offset) -> bytes:
                    return json.dumps({"offset": offset, "skip": skip}).encode()

                if plain or ahead.feed(OPCODE, control, offset, want) is None:
                    plain += 1
                    self.take(offset, self.file[offset : offset + self.want()])
                if len(self.taken) < len(self.file):
                    want = self.want()
        return plain


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_ahead, "_FRONT_BYTES", FRONT)
    monkeypatch.setattr(read_ahead, "_LINE_BYTES", LINE)


@settings(deadline=None)
@given(st.lists(st.integers(1, 400), min_size=1, max_size=60))
def test_each_frame_comes_once_and_whole(frames: list[int]) -> None:
    engine = Engine(frames)
    plain = engine.open()
    assert engine.taken == engine.file
    # Another way goes only what no window takes, and all that comes after it.
    most = ROOM - LINE + 1
    assert plain in {len(frames) - at for at, length in enumerate(frames) if length > most} | {0}


@settings(deadline=None)
@given(st.lists(st.integers(1, 400), min_size=1, max_size=60))
def test_pieces_begin_where_lines_do(frames: list[int]) -> None:
    engine = Engine(frames)
    engine.open()
    assert not [at for at in engine.reads + engine.places if at % LINE]


def test_short_frames_are_read_once() -> None:
    engine = Engine([20] * 100)
    assert engine.open() == 0
    assert engine.reads == list(range(0, 2000, ROOM))


@pytest.mark.parametrize("fails", [lambda n: n == 1, lambda n: n % 3 == 0, lambda n: True])
def test_what_cannot_be_read_is_left_to_the_other_way(fails: Callable[[int], bool]) -> None:
    engine = Engine([30] * 100)
    engine.fails = fails
    engine.open()
    assert engine.taken == engine.file


def test_a_file_that_became_shorter_is_left_to_the_other_way() -> None:
    engine = Engine([30] * 100)
    engine.gives = lambda asked: asked // 2
    assert engine.open() > 0
    assert engine.taken == engine.file


def test_small_files_start_no_thread() -> None:
    assert not can_read_ahead(read_ahead._LEAST_BYTES - 1)
    assert can_read_ahead(read_ahead._LEAST_BYTES)


def test_no_more_is_skipped_than_there_is() -> None:
    host = wasmtime_host.WasmtimeHost(max_memory_bytes=64 << 20, timeout=0)
    opened = {
        "database_id": "00" * 16,
        "journal": False,
        "memory_budget": 0,
        "aside_above": None,
        "metric": "cosine",
        "vector_index": "auto",
    }
    control = {"open": opened, "writable": True, "verify": False, "offset": 0, "skip": 3}
    request = pack(control=json.dumps(control).encode(), payload=b"ab")
    reply = host.call(op.REPLAY, request)
    host.close()
    assert (reply[0], b"skipped" in reply[2]) == (op.Status.INTERNAL, True)


@pytest.mark.parametrize("front", [64, 64 * 1024])
def test_a_file_opens_alike_with_and_without(
    path: Path, monkeypatch: pytest.MonkeyPatch, front: int
) -> None:
    monkeypatch.setattr(read_ahead, "_FRONT_BYTES", front)
    long = "x" * 2_500_000  # More than a piece, and than the buffer that the engine keeps.
    with SyncDatabase(path) as db:
        for turn in range(3):
            db.put_batch([("short", f"{turn}.{key}", "y" * (key % 5000)) for key in range(2000)])
            db.put("long", str(turn), long + str(turn))
    pieces: list[int] = []

    class Noted(ReadAhead):
        def feed(
            self, opcode: int, options: Callable[[int], bytes], offset: int, want: int
        ) -> tuple[Reply, int] | None:
            fed = super().feed(opcode, options, offset, want)
            pieces.append(-1 if fed is None else fed[1])
            return fed

    monkeypatch.setattr(wasmtime_host, "ReadAhead", Noted)
    for can in (True, False):
        monkeypatch.setattr(wasmtime_host, "can_read_ahead", lambda size, can=can: can)
        pieces.clear()
        with SyncDatabase(path) as db:
            assert len(db.list_keys("short")) == 6000
            assert [db.get("short", f"{turn}.1999") for turn in range(3)] == ["y" * 1999] * 3
            assert [db.get("long", str(turn)) for turn in range(3)] == [
                long + str(turn) for turn in range(3)
            ]
            assert db.verify().ok
        assert (sum(piece > 0 for piece in pieces) > 4, -1 in pieces) == (can, can)
