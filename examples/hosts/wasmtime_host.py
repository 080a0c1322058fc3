"""A whole host for koru-delta in Python, on wasmtime's public API: docs/abi.md in code.

python wasmtime_host.py MODULE IN OUT
"""

from __future__ import annotations

import json
import struct
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import wasmtime

REPLAY, PUT, GET, SIMILAR, SEARCH = 2, 3, 5, 23, 33
REQUEST = struct.Struct("<QQQIIIIIIQ")
REPLY = struct.Struct("<IIIIIIQ")
END_OF_FILE = 4
NOW = 2**64 - 1
MAX_MEMORY_BYTES = 256 << 20


class Reply(NamedTuple):
    """What the engine answers, copied out of its memory."""

    status: int
    flags: int
    payload: bytes
    journal: bytes
    sequence: int


class Engine:
    """One instance of the module: requests in, replies out."""

    def __init__(self, engine: wasmtime.Engine, module: wasmtime.Module) -> None:
        self.store = wasmtime.Store(engine)
        self.store.set_limits(memory_size=MAX_MEMORY_BYTES)
        exports = wasmtime.Instance(self.store, module, []).exports(
            self.store
        )  # It imports nothing.
        self.memory: Any = exports["memory"]
        self._request: Any = exports["koru_request"]
        self._call: Any = exports["koru_call"]
        version = exports["koru_abi_version"](self.store)  # type: ignore[operator]
        if version != 1:
            raise RuntimeError(f"the module speaks version {version}; this host speaks 1")

    def call(self, opcode: int, request: bytes) -> Reply:
        """Carry out one request. After a trap the engine must not be called again."""
        address = self._request(self.store, len(request)) & 0xFFFFFFFF  # It arrives signed.
        if address == 0:
            raise MemoryError("the engine has no memory for this request")
        self.memory.write(self.store, request, address)
        header = self._call(self.store, opcode, len(request)) & 0xFFFFFFFF
        status, flags, payload, payload_len, journal, journal_len, sequence = REPLY.unpack(
            self._read(header, REPLY.size)
        )
        return Reply(
            status,
            flags,
            self._read(payload, payload_len),
            self._read(journal, journal_len),
            sequence,
        )

    def _read(self, address: int, length: int) -> bytes:
        if address + length > self.memory.data_len(self.store):
            raise RuntimeError("the engine names bytes that it does not have")
        return bytes(self.memory.read(self.store, address, address + length))


class Database:
    """An open database whose log is in memory: whoever keeps `log` keeps the database."""

    def __init__(self, engine: Engine, file: bytes) -> None:
        self.engine = engine
        self.sequence = 0
        budget = MAX_MEMORY_BYTES - engine.memory.data_len(engine.store)
        control = {
            "open": {"database_id": "00" * 16, "journal": True, "memory_budget": budget},
            "writable": True, "verify": False, "offset": 0,
        }  # fmt: skip
        told = json.loads(self.do(REPLAY, control=control, payload=file, flags=END_OF_FILE).payload)
        self.log = bytearray(file[: told["valid_bytes"]])  # Without what a crash left of a write.

    def do(
        self, opcode: int, namespace: str = "", key: str = "", *, control: Any = None,
        payload: bytes = b"", flags: int = 0, vector: bytes = b"",
    ) -> Reply:  # fmt: skip
        """Carry out an operation, and keep the frames that it wrote."""
        space, name = namespace.encode(), key.encode()
        options = b"" if control is None else json.dumps(control).encode()
        lengths = (len(space), len(name), len(options), len(payload), flags, len(vector))
        now = time.time_ns() // 1000
        header = REQUEST.pack(now, self.sequence, NOW, *lengths, self.sequence)
        reply = self.engine.call(opcode, header + space + name + options + payload + vector)
        if reply.status:
            raise RuntimeError(json.loads(reply.payload)["message"])
        if reply.journal:
            self.log += reply.journal  # A host would append to its file and sync it here.
        self.sequence = reply.sequence
        return reply


def keys(payload: bytes) -> list[str]:
    """The keys of the hits of one query: scores are passed over, then come versions."""
    (hits,) = struct.unpack_from("<I", payload, 4)
    lengths = struct.unpack_from(f"<{hits}I", payload, 12 + 4 * hits)
    record = 12 + 8 * hits
    found = []
    for length in lengths:
        namespace, key = struct.unpack_from("<HH", payload, record + 40)
        start = record + 64 + namespace
        found.append(payload[start : start + key].decode())
        record += length
    return found


def main(module_path: str, source: str, target: str) -> None:
    """Read, write and search, and print what was found."""
    engine = wasmtime.Engine()
    module = wasmtime.Module.from_file(engine, module_path)
    db = Database(Engine(engine, module), Path(source).read_bytes())
    user = json.loads(db.do(GET, "users", "alice").payload)
    db.do(PUT, "users", "alice", payload=json.dumps({**user, "seen": "wasmtime"}).encode())
    search = db.do(SEARCH, "notes", control={"text": "planet", "top_k": 10, "fields": None})
    options = {"model": None, "queries": 1, "top_k": 10, "threshold": None}
    query = struct.pack("<3f", 1, 0.5, 0.25)
    similar = db.do(SIMILAR, "notes", control=options, vector=query)
    print(
        json.dumps({"user": user, "search": keys(search.payload), "similar": keys(similar.payload)})
    )
    Path(target).write_bytes(db.log)


if __name__ == "__main__":
    main(*sys.argv[1:])
