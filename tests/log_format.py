"""The file format, read and written a second time: the oracle for damaged files.

| bytes | file header | | bytes | frame header |
|---|---|---|---|---|
| 0..8 | magic | | 0..4 | magic |
| 8..12 | major, minor | | 4..8 | payload length |
| 12..24 | feature bits | | 8..12 | type, zeros |
| 24..40 | database id | | 12..16 | epoch |
| 40..44 | epoch | | 16..24 | sequence |
| 44..48 | 1: begins with a snapshot | | | |
| 48..56 | first sequence | | 24..32 | durable sequence |
| 60..64 | crc32c | | 32..36, 36..40 | crc32c of the payload, of id and header |
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADER_BYTES = 64
FRAME_HEADER_BYTES = 40
ALIGNMENT = 8
FRAME_MAGIC = b"KFRM"
VERSION, COMMIT, ERASURE, SNAPSHOT, GAP = 1, 2, 3, 4, 5


def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
        table.append(crc)
    return table


_TABLE = _crc_table()


def crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli), bit by bit from its definition."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


@dataclass(frozen=True)
class Frame:
    """One frame and where it begins."""

    offset: int
    kind: int
    epoch: int
    sequence: int
    durable_sequence: int
    payload: bytes

    def to_bytes(self, database_id: bytes, declared_length: int | None = None) -> bytes:
        """The frame with checksums that hold; its length may be made to lie."""
        length = len(self.payload) if declared_length is None else declared_length
        head = struct.pack(
            "<4sIB3xIQQI",
            FRAME_MAGIC,
            length,
            self.kind,
            self.epoch,
            self.sequence,
            self.durable_sequence,
            crc32c(self.payload),
        )
        frame = head + struct.pack("<I", crc32c(database_id + head)) + self.payload
        return frame + bytes(-len(frame) % ALIGNMENT)


@dataclass(frozen=True)
class Snapshot:
    """The payload of a snapshot frame."""

    head: bytes
    commits: int
    timestamp: int
    versions: int
    dropped: int
    sequence: int


@dataclass(frozen=True)
class Log:
    """A database file taken apart."""

    header: bytes
    frames: tuple[Frame, ...]

    @property
    def database_id(self) -> bytes:
        return self.header[24:40]

    def to_bytes(self) -> bytes:
        """The file again."""
        return self.header + b"".join(frame.to_bytes(self.database_id) for frame in self.frames)

    def with_frames(self, *frames: Frame) -> Log:
        """The same file with other frames."""
        return replace(self, frames=frames)

    @property
    def begins_with_a_snapshot(self) -> bool:
        return struct.unpack_from("<I", self.header, 44) == (1,)

    @property
    def snapshot(self) -> Snapshot:
        """What the file's snapshot says of itself."""
        frames = [frame for frame in self.frames if frame.kind == SNAPSHOT]
        assert len(frames) == 1
        return Snapshot(frames[0].payload[:32], *struct.unpack("<5Q", frames[0].payload[32:]))

    def groups(self) -> list[tuple[Frame, ...]]:
        """The frames of each commit, the commit frame last."""
        groups: list[tuple[Frame, ...]] = []
        start = 0
        for i, frame in enumerate(self.frames):
            if frame.kind == COMMIT:
                groups.append(self.frames[start : i + 1])
                start = i + 1
        return groups


def parse_log(content: bytes) -> Log:
    """Takes a sound file apart; every checksum must hold."""
    header = content[:HEADER_BYTES]
    assert struct.unpack("<I", header[60:]) == (crc32c(header[:60]),)
    return Log(header, tuple(_frames(content, header[24:40])))


def _frames(content: bytes, database_id: bytes) -> Iterator[Frame]:
    offset = HEADER_BYTES
    while offset < len(content):
        magic, length, kind, epoch, sequence, durable, payload_crc, header_crc = struct.unpack_from(
            "<4sIB3xIQQII", content, offset
        )
        body = offset + FRAME_HEADER_BYTES
        payload = content[body : body + length]
        assert magic == FRAME_MAGIC
        assert payload_crc == crc32c(payload)
        assert header_crc == crc32c(database_id + content[offset : body - 4])
        yield Frame(offset, kind, epoch, sequence, durable, payload)
        offset = body + length + -(FRAME_HEADER_BYTES + length) % ALIGNMENT


def reseal_header(header: bytes, offset: int, value: bytes) -> bytes:
    """The file header with other bytes at an offset and a checksum that holds."""
    changed = header[:offset] + value + header[offset + len(value) : 60]
    return changed + struct.pack("<I", crc32c(changed))
