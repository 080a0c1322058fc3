"""A disk that forgets: what was written is kept apart from what was synced.

:class:`SimulatedStorage` takes down every call that changes it, so one run of a workload gives the
images of a crash at each of them. :func:`crash_image` makes one: what was synced, and of what was
written since then as much as chance leaves.

A sector is written whole or not at all, and bytes that were synced are never harmed by a write
beside them. A new file appears whole or not at all, as a rename makes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

SECTOR_BYTES = 512
MAX_TAIL_BYTES = 3000


@dataclass(frozen=True)
class Call:
    """A call that changed the storage: create, append, truncate or sync; or a file beside it."""

    name: str
    offset: int = 0
    data: bytes = b""


class SimulatedStorage:
    """The storage protocol over bytes in memory, with a record of every change."""

    kind = "simulated"

    def __init__(self, data: bytes = b"") -> None:
        """Begins with ``data``, all of it synced."""
        self.start = data
        self.live = bytearray(data)
        self.calls: list[Call] = []

    @property
    def exists(self) -> bool:
        return bool(self.live)

    @property
    def size(self) -> int:
        return len(self.live)

    def read(self, offset: int, size: int) -> bytes:
        return bytes(self.live[offset : offset + size])

    def append(self, data: bytes) -> None:
        self.calls.append(Call("append", len(self.live), bytes(data)))
        self.live += data

    def sync(self) -> None:
        self.calls.append(Call("sync"))

    def truncate(self, size: int) -> None:
        self.calls.append(Call("truncate", size))
        del self.live[size:]

    def create(self, data: bytes) -> None:
        self.calls.append(Call("create", 0, bytes(data)))
        self.live[:] = data

    def begin_replacement(self) -> SimulatedReplacement:
        return SimulatedReplacement(self)

    def close(self) -> None:
        """The bytes stay."""

    def abandon(self) -> None:
        """The bytes stay."""


class SimulatedReplacement:
    """A file beside the storage's: nothing of it counts before it is renamed, as `create` is."""

    def __init__(self, storage: SimulatedStorage) -> None:
        self._storage = storage
        self._data = bytearray()
        storage.calls.append(Call("beside"))

    def append(self, data: bytes) -> None:
        self._storage.calls.append(Call("beside"))
        self._data += data

    def commit(self) -> None:
        self._storage.create(bytes(self._data))

    def abandon(self) -> None:
        self._storage.calls.append(Call("beside"))


@dataclass(frozen=True)
class Moment:
    """What a disk holds when the power fails."""

    durable: bytes
    """What was synced."""
    written: tuple[Call, ...]
    """Appends since then, the last of them perhaps still under way."""
    alternative: bytes | None
    """What a change under way that is whole or nothing would leave: a new file, or a cut one."""


def moments(storage: SimulatedStorage) -> list[Moment]:
    """The moment of each call, while it is under way, and the one after the last."""
    found = []
    durable, live = storage.start, bytearray(storage.start)
    written: list[Call] = []
    for call in storage.calls:
        if call.name == "append":
            written.append(call)
            live += call.data
            found.append(Moment(durable, tuple(written), None))
            continue
        if call.name == "beside":
            found.append(Moment(durable, tuple(written), None))
            continue
        if call.name == "create":
            found.append(Moment(durable, tuple(written), call.data))
            live[:] = call.data
        elif call.name == "truncate":
            found.append(Moment(durable, tuple(written), bytes(live[: call.offset])))
            del live[call.offset :]
        else:
            found.append(Moment(durable, tuple(written), None))
        durable, written = bytes(live), []
    found.append(Moment(durable, tuple(written), None))
    return found


def _everything(moment: Moment, _random: Random) -> bytes:
    """The cache reached the disk after all, or only the process died."""
    image = bytearray(moment.durable)
    for call in moment.written:
        _write(image, call.offset, call.data)
    return bytes(image)


def _nothing(moment: Moment, _random: Random) -> bytes:
    return moment.durable


def _cut(moment: Moment, random: Random) -> bytes:
    """The disk got as far as some byte."""
    whole = _everything(moment, random)
    return whole[: random.randint(min(len(moment.durable), len(whole)), len(whole))]


def _sectors(moment: Moment, random: Random) -> bytes:
    """Any sectors reached the disk, in any order; the others hold what they held, or zeros."""
    image = bytearray(moment.durable)
    kept = random.choice([0.1, 0.5, 0.9])
    for call in moment.written:
        end = call.offset + len(call.data)
        at = call.offset
        while at < end:
            stop = min(end, (at // SECTOR_BYTES + 1) * SECTOR_BYTES)
            if random.random() < kept:
                _write(image, at, call.data[at - call.offset : stop - call.offset])
            at = stop
    if random.random() < 0.5:
        image += bytes(max(0, len(_everything(moment, random)) - len(image)))
    return bytes(image)


def _reordered(moment: Moment, random: Random) -> bytes:
    """Later writes reached the disk, earlier ones did not."""
    image = bytearray(moment.durable)
    for call in moment.written:
        if random.random() < 0.5:
            _write(image, call.offset, call.data)
    return bytes(image)


def _over_old_sectors(image: bytes, synced: int, size: int, random: Random) -> bytes:
    """Behind what was synced, from some sector on, the disk holds older sectors of this log."""
    start = max(-(-synced // SECTOR_BYTES), len(image) // SECTOR_BYTES) * SECTOR_BYTES
    sector = random.randrange(start + 1) // SECTOR_BYTES * SECTOR_BYTES
    return image[:start] + bytes(max(0, start - len(image))) + image[sector : sector + size]


def _garbage(moment: Moment, random: Random) -> bytes:
    """The file grew, and holds what the disk held there: anything, sectors of this log too."""
    image = _cut(moment, random)
    size = random.randint(1, MAX_TAIL_BYTES)
    if random.random() < 0.4:
        return _over_old_sectors(image, len(moment.durable), size, random)
    tails: Sequence[bytes] = (random.randbytes(size), bytes(size), b"\xff" * size)
    aligned = bytes(-len(image) % 8) if random.random() < 0.5 else b""
    return image + aligned + random.choice(tails)


KINDS: dict[str, Callable[[Moment, Random], bytes]] = {
    "everything": _everything,
    "nothing": _nothing,
    "cut": _cut,
    "sectors": _sectors,
    "reordered": _reordered,
    "garbage": _garbage,
}


def crash_image(moment: Moment, kind: str, random: Random) -> bytes:
    """What is found after the power came back."""
    if moment.alternative is not None and random.random() < 0.5:
        return moment.alternative
    if not moment.durable and not moment.written:
        return b""  # No file yet: there is nothing that could hold anything else.
    return KINDS[kind](moment, random)


def _write(image: bytearray, offset: int, data: bytes) -> None:
    image += bytes(max(0, offset + len(data) - len(image)))
    image[offset : offset + len(data)] = data
