"""What an instance hands over to be kept, checked before anything is done with it.

Frames go into the log only as one whole group that goes on where the last one ended, so that an
engine gone mad cannot make unreadable what was acknowledged before. What is not looked at are the
checksums and the contents: reading the log again does that.
"""

from __future__ import annotations

import json
from struct import Struct, error
from typing import Any, Final, NamedTuple

from koru_delta._hosts.base import InstanceLostError
from koru_delta._protocol import Reply

FILE_HEADER_BYTES: Final = 64
_FILE_MAGIC: Final = b"\x89KORU\r\n\x1a"
_FRAME_MAGIC: Final = int.from_bytes(b"KFRM", "little")
_FRAME_HEADER_BYTES: Final = 40
_COMMIT: Final = 2
_unpack_frame: Final = Struct("<III4xQQ").unpack_from
"""Magic, payload length, type with the zeros behind it, sequence and durable sequence."""


class Progress(NamedTuple):
    """How far an opening has come: where to read on, or what the whole file came to."""

    offset: int
    want: int
    valid_bytes: int | None
    dropped_bytes: int


def _unsound(what: str) -> InstanceLostError:
    return InstanceLostError(f"the engine stopped: {what}")


def check_frames(reply: Reply, after: int) -> None:
    """Hold a write's frames against what the log may take. Linear in their number.

    Args:
        reply: What the engine answered, with frames in it.
        after: Sequence of the last frame that the log has taken.

    Raises:
        InstanceLostError: Unless they are whole frames of a write that succeeded, numbered one by
            one from ``after`` to where the reply says, of which the last is a commit that claims
            nothing as durable that comes after ``after``.
    """
    status, _flags, _payload, frames, upto = reply
    at = kind = durable = 0
    try:
        for expected in range(after + 1, upto + 1):
            magic, length, kind, sequence, durable = _unpack_frame(frames, at)
            if magic != _FRAME_MAGIC or sequence != expected:
                raise _unsound("it handed over something else than the frames of a write")
            at += _FRAME_HEADER_BYTES + (length + 7 & ~7)
    except error:
        raise _unsound("it handed over half a frame") from None
    if at != len(frames) or kind != _COMMIT or durable > after or status:
        raise _unsound("it handed over half a write, or claims what is not so")


def check_file_header(header: bytes) -> bytes:
    """The first bytes of a new file, if they may be that.

    Raises:
        InstanceLostError: Unless they are as long as a file header and begin as one.
    """
    if len(header) != FILE_HEADER_BYTES or not header.startswith(_FILE_MAGIC):
        raise _unsound("it handed over something else than the header of a file")
    return header


def progress_of(payload: bytes, offset: int, length: int, size: int) -> Progress:
    """How far an opening has come, after ``length`` bytes from ``offset`` on were handed over.

    Raises:
        InstanceLostError: If it asks for more than the file's ``size`` or for nothing that it has
            not had: opening would not end. Or if it finds more in the file than there is.
    """
    try:
        said: dict[str, Any] = json.loads(payload)
        done = "valid_bytes" in said
        names = ("valid_bytes", "dropped_bytes") if done else ("offset", "want")
        first, second = said[names[0]], said[names[1]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _unsound("it does not say how far opening has come") from error
    if not (type(first) is int and type(second) is int and first >= 0 and second >= 0):
        raise _unsound("it does not say how far opening has come")
    end = offset + length
    if not done:
        if end >= size or not offset <= first <= size or first + second <= end:
            raise _unsound("it asks for bytes that the file does not have, or that it was given")
        return Progress(first, second, None, 0)
    if first < FILE_HEADER_BYTES or first + second > size:
        raise _unsound("it finds something else in the file than is there")
    return Progress(0, 0, first, second)
