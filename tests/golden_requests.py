"""A fixed sequence of requests, and what they come to: the same bytes on every host.

`tests/fixtures/requests.json` holds the requests and the crc32c of their replies,
`tests/fixtures/golden.koru` the log that they write, which is a database file. The engine's own
tests run the same requests natively. Written anew, once the log format changes, by

    python tests/golden_requests.py
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from struct import pack
from typing import TYPE_CHECKING, Any

from log_format import crc32c

from koru_delta import _protocol as op

if TYPE_CHECKING:
    from koru_delta._hosts.base import Host

FIXTURES = Path(__file__).parent / "fixtures"
REQUESTS = FIXTURES / "requests.json"
GOLDEN = FIXTURES / "golden.koru"
START_US = 1_700_000_000_000_000

Request = tuple[int, bytes]


@dataclass
class Run:
    """Requests carried out so far, with their replies and the log."""

    host: Host
    requests: list[Request] = field(default_factory=list)
    log: bytearray = field(default_factory=bytearray)
    replies: bytearray = field(default_factory=bytearray)
    sequences: list[int] = field(default_factory=list)

    def send(self, opcode: int, request: bytes) -> bytes:
        """Carries out a request and returns the payload of its reply."""
        status, flags, payload, journal, sequence = self.host.call(opcode, request)
        self.requests.append((opcode, request))
        self.log += journal
        self.sequences.append(sequence)
        answer = payload if status == 0 else b""  # What errors say may change.
        self.replies += pack("<IIQI", status, flags, sequence, len(answer)) + answer
        return payload


@dataclass
class Script:
    """Makes requests as a host does, with a clock that sometimes goes backwards."""

    run: Run
    now: int = START_US

    def __call__(
        self,
        opcode: int,
        namespace: str = "",
        key: str = "",
        *,
        control: dict[str, Any] | None = None,
        payload: bytes = b"",
        flags: int = 0,
        at: int = op.NOW,
        vector: bytes = b"",
    ) -> bytes:
        space, name = namespace.encode(), key.encode()
        options = b"" if control is None else json.dumps(control).encode()
        self.now += 1_000 if len(self.run.requests) % 7 else -2_500
        # What the last two requests wrote is not synced yet.
        synced = self.run.sequences[-3] if len(self.run.sequences) > 2 else 0
        lengths = (len(space), len(name), len(options), len(payload), flags, len(vector))
        header = op.REQUEST_HEADER.pack(self.now, synced, at, *lengths, synced)
        return self.run.send(opcode, header + space + name + options + payload + vector)


def batch(*items: tuple[str, str, bytes, int]) -> bytes:
    """The payload of a batch."""
    parts = []
    for namespace, key, value, flags in items:
        space, name = namespace.encode(), key.encode()
        parts += [op.BATCH_ITEM.pack(len(space), len(name), len(value), flags), space, name, value]
    return b"".join(parts)


def golden_run(host: Host) -> Run:
    """Everything that leaves frames in a log, and a look at what it came to."""
    run = Run(host)
    do = Script(run)
    do(op.OPEN, control={"database_id": "5a" * 16, "journal": True, "memory_budget": 0})
    ids = []
    for i in range(8):
        content = {"i": i, "text": "\u00e9\U0001f600" * i, "x": [i / 2, None]}
        value = json.dumps(content, ensure_ascii=i % 2 == 0).encode()
        ids.append(do(op.PUT, "users", f"user-{i % 3}", payload=value)[:16].hex())
    ids.append(do(op.PUT, "\U0001f600", "bytes", payload=bytes(range(256)), flags=1)[:16].hex())
    vector = pack("<4f", 1.0, -0.5, 0.25, 0.0)
    control = {"caused_by": [ids[0], ids[3], ids[0]], "model": "mini"}
    do(op.PUT, "notes", "derived", control=control, payload=b"[1]", vector=vector)
    do(op.PUT, "users", "user-0", control={"expected": ids[6]}, payload=b"-0.0")
    do(op.PUT, "users", "user-0", control={"expected": ids[0]}, payload=b"1")  # A conflict.
    do(op.PUT, "users", "new", control={"expected": ""}, payload=b"18446744073709551615")
    do(op.PUT, "users", "", payload=b"1")  # No name.
    do(op.PUT, "users", "bad", payload=b"[1,")  # No JSON.
    items = [("a", "x", b"1", 0), ("a", "y", b"\0\1", 1), ("a", "x", b"2", 0)]
    do(op.PUT_BATCH, payload=batch(*items))
    do(op.PUT_BATCH, payload=batch(*items, ("a", "z", b"nan", 0)))  # Not one of them.
    do(op.PUT_BATCH)
    do(op.DELETE, "users", "user-1")
    do(op.DELETE, "users", "user-1")
    do(op.RESTORE, "users", "user-1", payload=ids[1].encode())
    do(op.RESTORE, "users", "user-2", payload=ids[1].encode())  # Of another key.
    do(op.ERASE, "\U0001f600", "bytes")
    do(op.ERASE, "\U0001f600", "bytes")
    do(op.PUT, "\U0001f600", "bytes", payload=b"null")
    do(op.PUT, "large", "value", payload=b'"' + b"x" * 1_000 + b'"')
    look(do, ids)
    return run


def look(do: Script, ids: list[str]) -> None:
    """Reads in every way whose answer is bytes of the database alone."""
    for at in (0, START_US + 3_000, op.NOW):
        do(op.GET, "users", "user-0", at=at)
        do(op.GET, "users", "usr-0", at=at)
        do(op.CONTAINS, "users", "user-1", at=at)
        do(op.GET_MANY, "users", at=at)
        do(op.GET_MANY, "users", payload=b'["user-2","none","user-0"]', at=at)
        do(op.LIST_KEYS, "users", control={"prefix": "user", "start_after": "user-0"}, at=at)
        do(op.LIST_NAMESPACES, at=at)
    do(op.HISTORY, "users", "user-0", control={"limit": 3})
    do(op.DIFF, "users", "user-0", control={"from": ids[0], "to": ids[3]})
    for version_id in (ids[0], ids[3], "0" * 32):
        do(op.VERSION, payload=version_id.encode())
        do(op.LINEAGE, payload=version_id.encode())
        do(op.EFFECTS, payload=version_id.encode(), control={"limit": 2})
    do(op.VERIFY)
    do(op.HEAD)
    do(99)


def replay_requests(host: Host) -> Run:
    """Carries out the requests of the fixture."""
    run = Run(host)
    for opcode, text in json.loads(REQUESTS.read_text())["requests"]:
        run.send(opcode, bytes.fromhex(text))
    return run


def fixture_text(run: Run) -> str:
    """The fixture that a run comes to."""
    lines = [f"    [{opcode}, {json.dumps(request.hex())}]" for opcode, request in run.requests]
    crc = crc32c(bytes(run.replies))
    return f'{{\n  "replies_crc32c": {crc},\n  "requests": [\n' + ",\n".join(lines) + "\n  ]\n}\n"


def new_host() -> Host:
    """An instance of wasmtime's with room."""
    from koru_delta._hosts.wasmtime_host import WasmtimeHost

    return WasmtimeHost(max_memory_bytes=64 << 20, timeout=30)


if __name__ == "__main__":
    FIXTURES.mkdir(exist_ok=True)
    done = golden_run(new_host())
    REQUESTS.write_text(fixture_text(done))
    GOLDEN.write_bytes(done.log)
