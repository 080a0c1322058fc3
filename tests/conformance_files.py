"""Conformance vectors of files: snapshots, copies, and values of the past that left memory."""

from __future__ import annotations

from struct import pack
from typing import Any

from blake3_reference import blake3
from conformance import DATABASE_ID, Script
from conformance_scripts import CORRUPT, INTERNAL, floats, frames
from conformance_spec import (
    DELETED,
    YES,
    Reply,
    SpecDatabase,
    compact,
    file_header,
    versions_payload,
)
from log_format import COMMIT, GAP, SNAPSHOT, VERSION, Frame, parse_log

from koru_delta import _protocol as op

COPY_ID = bytes(range(16, 0, -1))
FETCH = 9


class _Writer:
    """The frames of a snapshot of one part."""

    def __init__(self, database_id: bytes, epoch: int, sequence: int) -> None:
        self.content = file_header(
            database_id, epoch=epoch, is_snapshot=True, first_sequence=sequence + 1
        )
        self.database_id, self.epoch, self.sequence = database_id, epoch, sequence
        self.digests: list[bytes] = []

    def frame(self, kind: int, payload: bytes) -> None:
        self.sequence += 1
        one = Frame(0, kind, self.epoch, self.sequence, self.sequence - 1, payload)
        self.content += one.to_bytes(self.database_id)

    def entry(self, kind: int, payload: bytes, digest: bytes) -> None:
        self.frame(kind, payload)
        self.digests.append(digest)


def snapshot(
    spec: SpecDatabase, new_id: bytes | None = None, keep_versions: int | None = None
) -> Reply:
    """The whole database as one part, and where it ended."""
    writer = _Writer(new_id or DATABASE_ID, *((1, 0) if new_id else (2, spec.sequence)))
    gone = of_commit = until = 0
    kept = dropped = 0

    def gap() -> None:
        nonlocal gone, of_commit, until
        if gone:
            payload = pack("<IIQ", gone, of_commit, until)
            writer.entry(GAP, payload, blake3(payload))
        gone = of_commit = until = 0

    for version in spec.versions:
        later = [one for one in spec.history(version.namespace, version.key)
                 if one.time_us > version.time_us]  # fmt: skip
        is_past = bool(later) or not version.is_value
        if keep_versions is not None and is_past and len(later) >= keep_versions:
            gone, of_commit, until = gone + 1, of_commit + 1, version.time_us
            dropped += 1
        else:
            if of_commit or not writer.digests:
                gap()
            writer.entry(VERSION, version.record + version.vector, version.digest)
            kept += 1
        of_commit = 0  # Every commit here is of one version.
    gap()
    head = blake3(bytes(32) + b"".join(writer.digests))
    writer.frame(COMMIT, pack("<I4x", len(writer.digests)) + head)
    goes_on = max(0 if new_id else spec.sequence, writer.sequence + 1)
    numbers = (spec.commits, spec.time_us, kept, dropped, goes_on)
    writer.frame(SNAPSHOT, spec.head + pack("<5Q", *numbers))
    place = {
        "as_of": spec.time_us, "dropped": dropped, "erasures": 0, "gone": 0, "gone_of_commit": 0,
        "gone_until": 0, "head": list(head), "next": len(spec.versions),
        "sequence": writer.sequence, "versions": kept,
    }  # fmt: skip
    told = compact({
        "complete": True, "dropped": dropped, "ended": True, "erasures": None if new_id else [],
        "next": place, "texts": [], "versions": kept,
    })  # fmt: skip
    return Reply(payload=writer.content + told + pack("<I", len(told)))


def _some_past() -> Script:
    do = Script(
        "copying", "snapshots: a copy with an id of its own, and a file in place of this one"
    )
    do.open()
    do.put("users", "alice", {"age": 30})
    do.put("users", "alice", {"age": 31})
    do.put("notes", "mars", "red", vector=floats(1, 0, 0.5), control={"model": "small"})
    do.put("users", "alice", {"age": 32})
    request = do.request(op.DELETE, "notes", "mars")
    do.spec.write({"namespace": "notes", "key": "mars", "kind": DELETED})
    do.expect("a deletion", request, Reply(flags=YES, journal=do.spec.journal))
    do.put("files", "logo", bytes(range(32)))
    return do


def copying() -> Script:
    """The parts of a snapshot."""
    do = _some_past()
    spec = do.spec
    control: dict[str, Any] = {"after": None, "max_bytes": 1 << 20, "last": True}
    copy = {**control, "new_id": COPY_ID.hex()}
    request = do.request(op.SNAPSHOT, control=copy)
    do.expect("a copy, a database of its own", request, snapshot(spec, COPY_ID))
    request = do.request(op.SNAPSHOT, control=control)
    do.expect("a file in place of the present one", request, snapshot(spec))
    request = do.request(op.SNAPSHOT, control={**control, "keep_versions": 1})
    do.expect("the last version of each key alone", request, snapshot(spec, keep_versions=1))
    do.put("users", "bob", 1, about="nothing was changed by any of them")
    request = do.request(op.SNAPSHOT, control=control, acknowledged=spec.sequence - 2)
    do.expect("refused: an end while a write is not acknowledged", request, Reply(INTERNAL))
    return do


def copied() -> Script:
    """A copy, opened and written to."""
    do = Script("copied", "a file that begins with a snapshot is opened, verified, and written on")
    source = _some_past().spec
    payload = snapshot(source, COPY_ID).payload
    told = int.from_bytes(payload[-4:], "little")
    content = payload[: -4 - told]
    control = {
        "open": {"database_id": "00" * 16, "journal": True, "memory_budget": 0},
        "writable": True, "verify": False, "offset": 0,
    }  # fmt: skip
    request = do.request(op.REPLAY, control=control, payload=content, flags=op.FLAG_END)
    do.spec = source
    source.database_id = COPY_ID
    source.sequence = parse_log(content).frames[-1].sequence
    outcome = {"dropped_bytes": 0, "lost": [], "valid_bytes": len(content)}
    do.expect("the whole file", request, Reply(payload=compact(outcome)))
    request = do.request(op.HEAD)
    do.expect("the head of the chain is the source's", request,
              Reply(payload=source.head.hex().encode()))  # fmt: skip
    request = do.request(op.HISTORY, "users", "alice")
    history = source.history("users", "alice")
    do.expect("all history is there", request, Reply(payload=versions_payload(history)))
    request = do.request(op.VECTOR, "notes", "mars", at=source.versions[2].time_us)
    do.expect("a vector of the past", request, Reply(flags=YES, payload=floats(1, 0, 0.5)))
    do.put("users", "alice", {"age": 33}, about="frames go on where the file ended")
    return do


def fetching() -> Script:
    """Values that left memory, and how they come back."""
    do = Script(
        "fetching", "values of the past that are in the file only, and what a host reads there"
    )
    do.open(aside_above=0)
    spec = do.spec
    do.put("users", "alice", {"name": "Alice", "text": "x" * 100})
    do.put("users", "alice", {"name": "Alice", "text": "y" * 100})
    do.put("users", "bob", 1, about="now the overwritten value leaves memory")
    old, new, _ = spec.versions
    frame = next(one for one in frames(do) if one.kind == VERSION and old.id in one.payload)
    content = frame.to_bytes(DATABASE_ID)
    where = pack("<QI", frame.offset, len(content))

    def past(about: str, reply: Reply) -> None:
        request = do.request(op.GET, "users", "alice", at=old.time_us)
        do.expect(about, request, reply)

    def fetch(about: str, payload: bytes, reply: Reply) -> None:
        do.expect(about, do.request(op.FETCH, payload=payload), reply)

    do.expect("the present is at hand", do.request(op.GET, "users", "alice"),
              Reply(flags=YES, payload=new.value))  # fmt: skip
    past("the past is to be fetched", Reply(FETCH))
    fetch("what is to be read", b"", Reply(payload=where))
    fetch("its bytes: nothing is left to be read", content, Reply(flags=YES))
    past("asked again, it is there", Reply(flags=YES, payload=old.value))
    past("for that one request", Reply(FETCH))
    fetch("what is to be read", b"", Reply(payload=where))
    fetch("refused: other bytes than those", content[:-8], Reply(INTERNAL))
    past("it is to be fetched again", Reply(FETCH))
    fetch("what is to be read", b"", Reply(payload=where))
    damaged = content[:60] + bytes([content[60] ^ 1]) + content[61:]
    fetch("damage is told", damaged, Reply(CORRUPT, details={"offset": frame.offset}))
    request = do.request(op.HISTORY, "users", "alice")
    do.expect("a history takes it too", request, Reply(FETCH))
    fetch("what is to be read", b"", Reply(payload=where))
    fetch("its bytes", content, Reply(flags=YES))
    request = do.request(op.HISTORY, "users", "alice")
    do.expect("the history", request, Reply(payload=versions_payload([old, new])))
    return do


SCRIPTS = [copying, copied, fetching]
