"""A torn tail is not corruption, and corruption is not a torn tail."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from log_format import HEADER_BYTES, parse_log
from opening import open_and_close
from small_log import SmallLog, build_small_log, state_of

from koru_delta import (
    Config,
    CorruptionError,
    KoruDeltaError,
    SyncDatabase,
    UnsupportedFormatError,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def small_log(tmp_path_factory: pytest.TempPathFactory) -> SmallLog:
    """A file of six commits."""
    return build_small_log(tmp_path_factory.mktemp("small") / "data.koru")


def offset_in(error: CorruptionError) -> int:
    """The offset that the message gives."""
    found = re.search(r"\b(?:byte|offset) (\d+)", str(error))
    assert found is not None, str(error)
    return int(found[1])


def test_the_format_is_as_documented(small_log: SmallLog) -> None:
    log = parse_log(small_log.content)
    assert log.to_bytes() == small_log.content
    assert [len(group) for group in log.groups()] == [2, 3, 2, 2, 2, 2]
    sequences = [frame.sequence for frame in log.frames]
    assert sequences == list(range(sequences[0], sequences[0] + len(sequences)))


def test_a_file_cut_at_every_byte_is_an_exact_prefix(small_log: SmallLog, path: Path) -> None:
    for size in range(HEADER_BYTES, len(small_log.content) + 1):
        path.write_bytes(small_log.content[:size])
        commits = small_log.commits_within(size)
        with SyncDatabase(path) as db:
            assert state_of(db) == small_log.states[commits], size
            assert db.head == small_log.heads[commits], size
        assert path.stat().st_size == small_log.ends[commits], "the torn tail is cut off"


def test_a_file_cut_inside_its_header_is_refused(small_log: SmallLog, path: Path) -> None:
    for size in range(HEADER_BYTES):
        path.write_bytes(small_log.content[:size])
        with pytest.raises((CorruptionError, UnsupportedFormatError)):
            open_and_close(path)
        assert path.read_bytes() == small_log.content[:size], "nothing is repaired on its own"


def test_writing_goes_on_after_a_torn_tail(small_log: SmallLog, path: Path) -> None:
    for commits in range(len(small_log.ends) - 1):
        path.write_bytes(small_log.content[: small_log.ends[commits + 1] - 1])
        with SyncDatabase(path) as db:
            db.put("after", "key", commits)
        with SyncDatabase(path) as db:
            state = state_of(db)
            assert state.pop(("after", "key"))[0] == commits
            assert state == small_log.states[commits]
            assert db.verify().ok


def open_flipped(small_log: SmallLog, path: Path, bit: int) -> int | CorruptionError:
    """Flips a bit: how many commits are found, or the error. A wrong value fails the test."""
    flipped = bytearray(small_log.content)
    flipped[bit // 8] ^= 1 << (bit % 8)
    path.write_bytes(flipped)
    try:
        with SyncDatabase(path) as db:
            state = state_of(db)
    except CorruptionError as error:
        assert path.read_bytes() == flipped, "nothing is repaired on its own"
        return error
    assert state in small_log.states, bit
    return small_log.states.index(state)


def test_a_flipped_bit_in_the_header_is_refused(small_log: SmallLog, path: Path) -> None:
    for bit in range(8 * HEADER_BYTES):
        flipped = bytearray(small_log.content)
        flipped[bit // 8] ^= 1 << (bit % 8)
        path.write_bytes(flipped)
        with pytest.raises((CorruptionError, UnsupportedFormatError)):
            open_and_close(path)
        assert path.read_bytes() == flipped


def test_a_flipped_bit_in_acknowledged_data_is_corruption_at_its_offset(
    small_log: SmallLog, path: Path
) -> None:
    start, end = small_log.ends[0], small_log.ends[1]
    for bit in range(8 * start, 8 * end):
        found = open_flipped(small_log, path, bit)
        assert isinstance(found, CorruptionError), f"bit {bit}: {found} commits"
        assert start <= offset_in(found) <= bit // 8


def test_a_flipped_bit_in_the_last_commit_leaves_the_ones_before(
    small_log: SmallLog, path: Path
) -> None:
    last = len(small_log.states) - 1
    for bit in range(8 * small_log.ends[-2], 8 * small_log.ends[-1]):
        found = open_flipped(small_log, path, bit)
        if isinstance(found, CorruptionError):
            assert small_log.ends[-2] <= offset_in(found) <= bit // 8
        else:
            assert found == last - 1, "a commit that does not hold is not shown"


def test_a_flipped_bit_anywhere_is_never_a_wrong_value(small_log: SmallLog, path: Path) -> None:
    last = len(small_log.states) - 1
    for byte in range(HEADER_BYTES, small_log.ends[-2]):
        found = open_flipped(small_log, path, 8 * byte + byte % 8)
        assert isinstance(found, CorruptionError) or found == last, byte


@pytest.mark.parametrize(
    "tail",
    [b"\x00", bytes(7), bytes(4096), b"garbage", b"\xff" * 5000, b"KFRM", b"KFRM" + bytes(60)],
    ids=["zero", "zeros", "page of zeros", "text", "ones", "frame magic", "empty frame"],
)
def test_garbage_after_the_last_commit_is_cut_off(
    small_log: SmallLog, path: Path, tail: bytes
) -> None:
    path.write_bytes(small_log.content + tail)
    with SyncDatabase(path) as db:
        assert state_of(db) == small_log.states[-1]
        assert db.head == small_log.heads[-1]
    assert path.read_bytes() == small_log.content


def test_a_read_only_open_shows_whole_commits_and_cuts_nothing(
    small_log: SmallLog, path: Path
) -> None:
    for size in range(HEADER_BYTES, len(small_log.content) + 1, 13):
        path.write_bytes(small_log.content[:size])
        with SyncDatabase(Config(path=path, read_only=True)) as db:
            assert state_of(db) == small_log.states[small_log.commits_within(size)]
        assert path.read_bytes() == small_log.content[:size]


def test_a_damaged_file_is_refused_to_readers_as_well(small_log: SmallLog, path: Path) -> None:
    flipped = bytearray(small_log.content)
    flipped[small_log.ends[0] + 60] ^= 1
    path.write_bytes(flipped)
    with pytest.raises(CorruptionError):
        open_and_close(Config(path=path, read_only=True))


def test_a_missing_stretch_in_the_middle_is_corruption(small_log: SmallLog, path: Path) -> None:
    for commit in range(1, len(small_log.ends) - 1):
        start, end = small_log.ends[commit - 1], small_log.ends[commit]
        for damaged in (
            small_log.content[:start] + small_log.content[end:],
            small_log.content[:start] + bytes(end - start) + small_log.content[end:],
        ):
            path.write_bytes(damaged)
            with pytest.raises(CorruptionError) as caught:
                open_and_close(path)
            assert offset_in(caught.value) == start
            assert path.read_bytes() == damaged


def test_swapped_commits_are_corruption(small_log: SmallLog, path: Path) -> None:
    a, b, c = small_log.ends[1:4]
    content = small_log.content
    path.write_bytes(content[:a] + content[b:c] + content[a:b] + content[c:])
    with pytest.raises(CorruptionError):
        open_and_close(path)


def test_the_error_names_the_file(small_log: SmallLog, path: Path) -> None:
    path.write_bytes(b"")
    with pytest.raises(KoruDeltaError, match=r"data\.koru"):
        open_and_close(path)
