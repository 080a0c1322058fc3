"""An engine gone mad may answer anything: the file keeps what it has, and opening ends."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from log_format import COMMIT, VERSION, Frame, _frames
from opening import open_and_close

from koru_delta import Config, KoruDeltaError, SyncDatabase
from koru_delta import _protocol as op
from koru_delta._hosts.base import InstanceLostError
from koru_delta._hosts.wasmtime_host import WasmtimeHost

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from koru_delta._protocol import Reply

    Change = Callable[[Reply], Reply]

GARBAGE = [b"\0", b"garbage", b"\xff" * 100, bytes(1000), b"[" * 100_000, b"KFRM" * 30]


@pytest.fixture
def lie(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Change | None], None]:
    """From now on, replies to an opcode are changed before the session sees them."""
    changes: dict[int, Change] = {}
    real_call = WasmtimeHost.call

    def call(host: WasmtimeHost, opcode: int, *arguments: Any) -> Reply:
        return changes.get(opcode, lambda reply: reply)(real_call(host, opcode, *arguments))

    def set_change(opcode: int, change: Change | None) -> None:
        changes.clear()
        if change is not None:
            changes[opcode] = change

    monkeypatch.setattr(WasmtimeHost, "call", call)
    return set_change


def with_journal(change: Callable[[bytes], bytes]) -> Change:
    return lambda reply: (*reply[:3], change(reply[3]), reply[4])


def with_frames(change: Callable[[list[Frame]], list[Frame]]) -> Change:
    """Frames with checksums that hold, but which are not those of the write."""

    def changed(reply: Reply) -> Reply:
        database_id = b"\x5a" * 16  # Whoever checks the checksums would refuse it as well.
        frames = change(list(unchecked_frames(reply[3])))
        journal = b"".join(frame.to_bytes(database_id) for frame in frames)
        return (*reply[:3], journal, reply[4])

    return changed


def unchecked_frames(journal: bytes) -> list[Frame]:
    """The frames of a journal; the id of the database under their checksums is not known here."""
    found, at = [], 0
    while at < len(journal):
        length = int.from_bytes(journal[at + 4 : at + 8], "little")
        numbers = [int.from_bytes(journal[at + i : at + i + 8], "little") for i in (16, 24)]
        epoch = int.from_bytes(journal[at + 12 : at + 16], "little")
        payload = journal[at + 40 : at + 40 + length]
        found.append(Frame(at, journal[at + 8], epoch, *numbers, payload))
        at += 40 + length + -(40 + length) % 8
    return found


def renumbered(by: int) -> Callable[[list[Frame]], list[Frame]]:
    return lambda frames: [replace(frame, sequence=frame.sequence + by) for frame in frames]


BAD_JOURNALS: dict[str, Change] = {
    **{f"garbage {i}": with_journal(lambda _, g=g: g) for i, g in enumerate(GARBAGE)},  # type: ignore[misc]
    "cut at the end": with_journal(lambda frames: frames[:-8]),
    "cut to half a header": with_journal(lambda frames: frames[:20]),
    "cut in front": with_journal(lambda frames: frames[8:]),
    "twice": with_journal(lambda frames: frames + frames),
    "zeros behind": with_journal(lambda frames: frames + bytes(8)),
    "magic": with_journal(lambda frames: b"XXXX" + frames[4:]),
    "length 0": with_journal(lambda frames: frames[:4] + bytes(4) + frames[8:]),
    "length of ones": with_journal(lambda frames: frames[:4] + b"\xff" * 4 + frames[8:]),
    "no commit": with_frames(lambda frames: frames[:-1]),
    "commit alone": with_frames(lambda frames: frames[-1:]),
    "other order": with_frames(lambda frames: frames[::-1]),
    "another end": with_frames(lambda frames: [*frames[:-1], replace(frames[-1], kind=VERSION)]),
    "sequences again": with_frames(renumbered(-2)),
    "sequences left out": with_frames(renumbered(1)),
    "durable from the future": with_frames(
        lambda frames: [replace(frame, durable_sequence=frame.sequence) for frame in frames]
    ),
    "sequence too low": lambda reply: (*reply[:4], reply[4] - 1),
    "sequence too high": lambda reply: (*reply[:4], reply[4] + 1),
    "sequence of ones": lambda reply: (*reply[:4], 2**64 - 1),
    "an error with frames": lambda reply: (8, *reply[1:]),
}
WRITES: dict[int, Callable[[SyncDatabase], Any]] = {
    op.PUT: lambda db: db.put("a", "key", "never"),
    op.PUT_BATCH: lambda db: db.put_batch([("a", f"{i}", i) for i in range(5)]),
    op.DELETE: lambda db: db.delete("a", "key"),
    op.ERASE: lambda db: db.erase("a", "key"),
    op.EMBED_BATCH: lambda db: db.embed_batch("v", ["x", "y"], [[1.0, 0.0], [0.0, 1.0]]),
    op.CREATE_INDEX: lambda db: db.create_index("a", "field"),
}


def test_frames_are_taken_apart_as_the_format_says(path: Path, lie: Any) -> None:
    seen = []
    lie(op.PUT, lambda reply: seen.append(reply[3]) or reply)
    with SyncDatabase(path) as db:
        db.put("a", "key", 1)
    content = path.read_bytes()
    assert content.endswith(seen[0])
    offset = len(content) - len(seen[0])
    told = [
        replace(frame, offset=frame.offset - offset) for frame in _frames(content, content[24:40])
    ]
    assert unchecked_frames(seen[0]) == told
    assert [frame.kind for frame in told] == [VERSION, COMMIT]


@pytest.mark.parametrize("opcode", WRITES)
@pytest.mark.parametrize("name", BAD_JOURNALS)
def test_frames_that_are_none_never_reach_the_file(
    name: str, opcode: int, path: Path, lie: Any
) -> None:
    config = Config(path=path, max_memory_mb=16)
    with SyncDatabase(config) as db:
        db.put("a", "key", "old")
        head = db.head
        lie(opcode, BAD_JOURNALS[name])
        for _ in range(2):
            with pytest.raises(InstanceLostError, match="engine stopped") as caught:
                WRITES[opcode](db)
            assert caught.value.suggestion
        lie(opcode, None)
        assert (db.head, db.get("a", "key")) == (head, "old")
        WRITES[opcode](db)
        db.put("a", "after", 1)
        assert db.verify().ok
        head = db.head
    with SyncDatabase(config) as db:
        assert (db.head, db.get("a", "after")) == (head, 1)


@pytest.mark.parametrize("header", [b"", *GARBAGE, b"\x89KORU\r\n\x1a", b"\x89KORU\r\n\x1a" * 20])
def test_a_file_begins_with_a_header_or_is_not_made(header: bytes, path: Path, lie: Any) -> None:
    lie(op.OPEN, with_journal(lambda _: header))
    with pytest.raises(InstanceLostError, match="header of a file"):
        open_and_close(path)
    assert not path.exists()
    lie(op.OPEN, None)
    open_and_close(path)


def said(payload: bytes) -> Change:
    return lambda reply: (0, 0, payload, b"", reply[4])


PROGRESS = [
    b"", b"null", b"7", b"[]", b"{}", *GARBAGE, b'{"offset": 0}', b'{"offset": 0, "want": 0}',
    b'{"offset": -8, "want": 99999999}', b'{"offset": 64, "want": 1}',
    b'{"offset": 99999999999999999999, "want": 40}', b'{"offset": 1e3, "want": 40}',
    b'{"offset": true, "want": true}', b'{"offset": null, "want": 40}', b'{"valid_bytes": 64}',
    b'{"valid_bytes": 0, "dropped_bytes": 0}', b'{"valid_bytes": -1, "dropped_bytes": 0}',
    b'{"valid_bytes": 64, "dropped_bytes": -9}', b'{"valid_bytes": "64", "dropped_bytes": 0}',
    b'{"valid_bytes": 64, "dropped_bytes": 99999999}',
]  # fmt: skip


@pytest.mark.parametrize("index", range(len(PROGRESS)))
def test_an_opening_that_goes_nowhere_ends_and_cuts_nothing(
    index: int, path: Path, lie: Any
) -> None:
    with SyncDatabase(path) as db:
        db.put("a", "key", "x" * 3_000_000)
    before = path.read_bytes()
    lie(op.REPLAY, said(PROGRESS[index]))
    with pytest.raises(InstanceLostError, match="engine stopped"):
        open_and_close(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("step", [1, 8, 1000])
def test_an_opening_in_ever_larger_steps_ends(step: int, path: Path, lie: Any) -> None:
    with SyncDatabase(path) as db:
        db.put("a", "key", "x" * 10_000)

    def more(reply: Reply) -> Reply:
        steps.append(step)
        return said(json.dumps({"offset": 0, "want": sum(steps)}).encode())(reply)

    steps: list[int] = []
    lie(op.REPLAY, more)
    with pytest.raises(InstanceLostError):
        open_and_close(path)
    assert len(steps) < 11_000


READS: dict[int, Callable[[SyncDatabase], Any]] = {
    op.GET: lambda db: db.get("a", "key"),
    op.HISTORY: lambda db: [version.value for version in db.history("a", "key")],
    op.LIST_KEYS: lambda db: db.list_keys("a"),
    op.QUERY: lambda db: [row.value for row in db.query("a", {"n": 1})],
    op.AGGREGATE: lambda db: db.aggregate("a", {"n": {"$count": True}}),
    op.SEARCH: lambda db: db.search("a", "words"),
    op.SIMILAR: lambda db: db.similar("v", [1.0, 0.0]),
    op.STATS: lambda db: db.stats(),
    op.LINEAGE: lambda db: db.lineage("0" * 32),
}


@pytest.mark.parametrize("opcode", READS)
@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
def test_a_nonsensical_answer_to_a_read_harms_nothing(
    garbage: bytes, opcode: int, path: Path, lie: Any
) -> None:
    with SyncDatabase(Config(path=path, hot_cache_size=0, max_memory_mb=16)) as db:
        db.embed("v", "key", [1.0, 0.5], {"n": 1})
        db.put("a", "key", {"n": 1, "text": "words"})
        for status in (0, 3, 99, 2**32 - 1):
            lie(opcode, lambda reply, status=status: (status, 0, garbage, b"", 0))
            if status:
                with pytest.raises(KoruDeltaError, match="cannot be read"):
                    READS[opcode](db)
                continue
            with contextlib.suppress(Exception):  # Whichever it is: no crash, no hang, no harm.
                READS[opcode](db)
        lie(opcode, None)
        db.put("a", "after", 1)
        assert db.list_keys("a") == ["after", "key"]
        assert db.verify().ok
