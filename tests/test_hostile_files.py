"""A file made to harm is refused: no crash, no large allocation, no wrong value."""

from __future__ import annotations

import resource
import struct
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from log_format import COMMIT, VERSION, Frame, Log, parse_log, reseal_header
from opening import open_and_close

from koru_delta import (
    Config,
    CorruptionError,
    KoruDeltaError,
    SyncDatabase,
    UnsupportedFormatError,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MIB = 1024 * 1024


def new_log(path: Path, commits: int = 4) -> Log:
    """A fresh file of some commits, taken apart."""
    with SyncDatabase(path) as db:
        for i in range(commits):
            db.put("users", f"user-{i}", {"i": i})
    return parse_log(path.read_bytes())


def assert_refused(path: Path, content: bytes) -> KoruDeltaError:
    """The file is refused, stays as it is, and costs no memory to speak of."""
    path.write_bytes(content)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises((CorruptionError, UnsupportedFormatError)) as caught:
        open_and_close(path)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < 256 * MIB
    assert path.read_bytes() == content
    error: KoruDeltaError = caught.value
    return error


def assert_found_out(path: Path, content: bytes) -> None:
    """The file is refused when opened, or verifying it says that it is not sound."""
    path.write_bytes(content)
    try:
        with SyncDatabase(Config(path=path, read_only=True)) as db:
            report = db.verify()
            assert not report.ok
            assert report.problems
    except (CorruptionError, UnsupportedFormatError):
        pass
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00",
        bytes(64),
        bytes(4096),
        b"SQLite format 3\x00" + bytes(4080),
        b"\x89PNG\r\n\x1a\n" + bytes(100),
        b"PK\x03\x04" + bytes(100),
        b'{"json": true}\n' * 10,
        b"\xff" * 64,
        b"\x89KORU\r\n\x1a",
        b"\x89KORU\n\x1a" + bytes(100),
    ],
    ids=["empty", "zero", "zeros", "page", "sqlite", "png", "zip", "json", "ones", "magic", "crlf"],
)
def test_a_foreign_file_is_refused_and_left_alone(path: Path, content: bytes) -> None:
    assert_refused(path, content)


@given(content=st.binary(max_size=300))
def test_no_random_bytes_are_a_database(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    assert_refused(tmp_path_factory.mktemp("random") / "data.koru", content)


def test_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    with pytest.raises((CorruptionError, UnsupportedFormatError)):
        open_and_close(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["inside"]


def test_a_higher_major_version_is_unsupported(path: Path) -> None:
    log = new_log(path)
    content = path.read_bytes()
    for major in (2, 255, 65535):
        header = reseal_header(log.header, 8, struct.pack("<H", major))
        error = assert_refused(path, header + content[64:])
        assert isinstance(error, UnsupportedFormatError)
        assert str(major) in str(error)


def test_a_higher_minor_version_is_read(path: Path) -> None:
    log = new_log(path)
    header = reseal_header(log.header, 10, struct.pack("<H", 7))
    path.write_bytes(replace(log, header=header).to_bytes())
    with SyncDatabase(path) as db:
        assert db.get("users", "user-3") == {"i": 3}


def test_an_unknown_incompatible_feature_is_unsupported(path: Path) -> None:
    log = new_log(path)
    for bit in range(32):
        header = reseal_header(log.header, 12, struct.pack("<I", 1 << bit))
        error = assert_refused(path, replace(log, header=header).to_bytes())
        assert isinstance(error, UnsupportedFormatError)
        with pytest.raises(UnsupportedFormatError):
            open_and_close(Config(path=path, read_only=True))


def test_an_unknown_read_only_feature_opens_read_only(path: Path) -> None:
    log = new_log(path)
    header = reseal_header(log.header, 16, struct.pack("<I", 1))
    content = replace(log, header=header).to_bytes()
    error = assert_refused(path, content)
    assert isinstance(error, UnsupportedFormatError)
    assert "read" in error.suggestion + str(error)
    with SyncDatabase(Config(path=path, read_only=True)) as db:
        assert db.get("users", "user-3") == {"i": 3}


def test_an_unknown_compatible_feature_changes_nothing(path: Path) -> None:
    log = new_log(path)
    header = reseal_header(log.header, 20, struct.pack("<I", 1 << 31))
    path.write_bytes(replace(log, header=header).to_bytes())
    with SyncDatabase(path) as db:
        assert db.get("users", "user-3") == {"i": 3}


def test_a_sequence_gap_is_corruption(path: Path) -> None:
    log = new_log(path)
    shifted = [replace(f, sequence=f.sequence + 1) for f in log.frames[4:]]
    assert_refused(path, log.with_frames(*log.frames[:4], *shifted).to_bytes())


def test_a_repeated_sequence_is_corruption(path: Path) -> None:
    log = new_log(path)
    assert_refused(path, log.with_frames(*log.frames[:4], *log.frames[2:]).to_bytes())


def foreign_frames(path: Path) -> bytes:
    """The frames of another database, whole and in order."""
    return new_log(path.with_name("other.koru")).to_bytes()[64:]


def test_frames_of_another_database_after_the_last_commit_are_refused(path: Path) -> None:
    log = new_log(path)
    assert_refused(path, log.to_bytes() + foreign_frames(path))


def test_a_log_under_the_header_of_another_database_is_refused(path: Path) -> None:
    log = new_log(path)
    assert_refused(path, log.header + foreign_frames(path))


def test_frames_of_another_epoch_are_refused(path: Path) -> None:
    log = new_log(path)
    older = [replace(frame, epoch=frame.epoch + 1) for frame in log.frames[2:4]]
    assert_refused(path, log.with_frames(*log.frames[:2], *older, *log.frames[4:]).to_bytes())


@pytest.mark.parametrize("length", [0xFFFFFFFF, 0x7FFFFFFF, 0x40000000, 16 * MIB])
@pytest.mark.parametrize("kind", [VERSION, COMMIT])
def test_a_huge_length_with_a_valid_checksum_is_refused(path: Path, length: int, kind: int) -> None:
    log = new_log(path)
    last = log.frames[-1]
    frame = Frame(0, kind, last.epoch, last.sequence + 1, last.sequence, b"payload")
    lying = frame.to_bytes(log.database_id, declared_length=length)
    assert_refused(path, log.to_bytes() + lying + bytes(64))


def test_an_unknown_frame_type_is_refused(path: Path) -> None:
    log = new_log(path)
    last = log.frames[-1]
    for kind in (0, 4, 255):
        frame = Frame(0, kind, last.epoch, last.sequence + 1, last.sequence, b"payload")
        assert_refused(path, log.with_frames(*log.frames, frame).to_bytes())


@pytest.mark.parametrize("count", [0, 2, 0xFFFFFFFF])
def test_a_commit_that_miscounts_its_group_is_corruption(path: Path, count: int) -> None:
    log = new_log(path)
    commit = log.frames[-1]
    lying = replace(commit, payload=struct.pack("<I", count) + commit.payload[4:])
    assert_refused(path, log.with_frames(*log.frames[:-1], lying).to_bytes())


def test_a_commit_with_another_hash_is_found_out(path: Path) -> None:
    log = new_log(path)
    for i in (1, 3, len(log.frames) - 1):
        commit = log.frames[i]
        lying = replace(commit, payload=commit.payload[:-1] + bytes([commit.payload[-1] ^ 1]))
        assert_found_out(
            path, log.with_frames(*log.frames[:i], lying, *log.frames[i + 1 :]).to_bytes()
        )


def forge(path: Path, change: Callable[[bytes], bytes]) -> bytes:
    """The file with the payload of its first version changed and every checksum made to hold."""
    log = new_log(path)
    forged = replace(log.frames[0], payload=change(log.frames[0].payload))
    return log.with_frames(forged, *log.frames[1:]).to_bytes()


@pytest.mark.parametrize(
    "change",
    [
        lambda payload: payload.replace(b'{"i"', b'{"j"'),
        lambda payload: payload.replace(b'{"i"', b'{i""'),
        lambda payload: payload.replace(b"user-0", b"user-1"),
        lambda payload: payload.replace(b"user-0", b"us\xff\xfe-0"),
        lambda payload: payload.replace(b"user-0", b"us\x00r-0"),
        lambda payload: payload[:-1],
        lambda payload: payload + b" ",
        lambda payload: payload[:16] + bytes(8) + payload[24:],
        lambda payload: payload[:40] + b"\xff\xff" + payload[42:],
        lambda payload: payload[:48] + b"\xff\xff\xff\xff" + payload[52:],
        lambda payload: payload[:52] + b"\xff\xff\xff\x3f" + payload[56:],
        lambda payload: b"",
    ],
    ids=[
        "value",
        "no json",
        "key",
        "key no utf-8",
        "key with NUL",
        "shorter",
        "longer",
        "time",
        "namespace length",
        "value length",
        "dimension",
        "empty",
    ],
)
def test_a_forged_version_with_valid_checksums_is_found_out(
    path: Path, change: Callable[[bytes], bytes]
) -> None:
    assert_found_out(path, forge(path, change))


@given(position=st.integers(0, 10_000), noise=st.binary(min_size=1, max_size=16))
def test_noise_under_valid_checksums_is_found_out(
    tmp_path_factory: pytest.TempPathFactory, position: int, noise: bytes
) -> None:
    path = tmp_path_factory.mktemp("noise") / "data.koru"
    log = new_log(path, commits=1)
    version = log.frames[0]
    at = position % len(version.payload)
    payload = version.payload[:at] + noise + version.payload[at + len(noise) :]
    content = log.with_frames(replace(version, payload=payload), log.frames[1]).to_bytes()
    if payload == version.payload:
        return
    assert_found_out(path, content)


def test_an_id_that_two_versions_claim_is_found_out(path: Path) -> None:
    """Ids of a file are taken in when somebody asks, so opening does not compare them."""
    log = new_log(path)
    first, second = (log.frames[at].payload for at in (0, 2))
    claimed = replace(log.frames[2], payload=first[:16] + second[16:])
    content = log.with_frames(*log.frames[:2], claimed, *log.frames[3:]).to_bytes()
    assert_found_out(path, content)
    with SyncDatabase(Config(path=path, read_only=True)) as db:
        assert db.get("users", "user-1") == {"i": 1}
        assert db.version(first[:16].hex()).key == "user-0"
        with pytest.raises(CorruptionError):
            db.export_to(path.with_name("copy.koru"))
    assert path.read_bytes() == content
