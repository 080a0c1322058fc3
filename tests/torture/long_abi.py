"""Recorded requests, mutated, through the WebAssembly module: none makes it trap or forget."""

from __future__ import annotations

import json
import struct
from random import Random

from golden_requests import REQUESTS

from koru_delta import _protocol as op
from koru_delta._hosts.wasmtime_host import WasmtimeHost
from koru_delta._protocol import NOW, REQUEST_HEADER, Status

MIB = 1 << 20
FRESH_EVERY = 200
STATUSES = {0} | {number for name, number in vars(Status).items() if name.isupper()}
NUMBERS = [0, 1, 2, 7, 56, 255, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**63, NOW]
CONTROLS = [
    {"order_by": [["i", True]], "limit": 2, "select": ["i", "x"]},
    {"aggregation": '{"spec":{"n":{"$sum":"i"}},"group_by":"text"}'},
    {"text": "word +two -three pre*", "top_k": 5},
    {"text": "word", "top_k": 5, "weight": 0.5},
    {"model": "mini", "dimension": 4, "count": 3},
    {"queries": 1, "top_k": 3},
    {"timestamp": 0},
    {"budget": 100},
    {},
]
PAYLOADS = [b"", b"{}", b'{"i":{"$gte":2}}', b'{"text":{"$regex":"^.+$"}}', b'["user-1"]', b"null"]


def request(
    namespace: bytes = b"", key: bytes = b"", control: bytes = b"", payload: bytes = b"",
    vector: bytes = b"", flags: int = 0,
) -> bytes:  # fmt: skip
    """A request that reads everything that was written."""
    parts = (namespace, key, control, payload)
    head = REQUEST_HEADER.pack(0, NOW, NOW, *map(len, parts), flags, len(vector), 0)
    return head + b"".join(parts) + vector


def invented(random: Random) -> tuple[int, bytes]:
    """A request of a kind that the recorded ones lack."""
    opcode = random.randrange(1, 45)
    control = json.dumps(random.choice(CONTROLS)).encode()
    vector = random.choice([b"", struct.pack("<4f", *(random.random() for _ in range(4)))])
    name = random.choice([b"users", b"notes", b"a", b""])
    key = random.choice([b"user-1", b"i", b"view", b""])
    return opcode, request(name, key, control, random.choice(PAYLOADS), vector)


def mutated(random: Random, data: bytes) -> bytes:
    """The bytes with a few changes of the kinds that break parsers."""
    changed = bytearray(data)
    for _ in range(random.choice([0, 1, 1, 2, 5])):
        at = random.randrange(len(changed) + 1)
        match random.randrange(6):
            case 0 if at < len(changed):
                changed[at] ^= 1 << random.randrange(8)
            case 1:
                changed[at : at + random.randrange(20)] = b""
            case 2:
                changed[at:at] = random.randbytes(random.randrange(20))
            case 3:
                start = random.randrange(len(changed) + 1)
                changed[at:at] = changed[start : start + random.randrange(60)]
            case 4:
                number = random.choice(NUMBERS)
                field = random.choice([0, 8, 16, 24, 28, 32, 36, 40, 44, 48])
                size = 8 if field < 24 or field == 48 else 4
                changed[field : field + size] = (number % 2 ** (8 * size)).to_bytes(size, "little")
            case _:
                changed[at : at + 4] = random.choice([b"null", b"1e99", b"[[[[", b'"":"', b"\xff"])
    return bytes(changed)


def new_host() -> WasmtimeHost:
    """A database with a value that nobody touches."""
    host = WasmtimeHost(max_memory_bytes=32 * MIB, timeout=10)
    control = {"database_id": "5a" * 16, "journal": True, "memory_budget": 30 * MIB}
    assert host.call(op.OPEN, request(control=json.dumps(control).encode()))[0] == 0
    assert host.call(op.PUT, request(b"kept", b"value", payload=b"[1]"))[0] == 0
    return host


def check(host: WasmtimeHost) -> None:
    """It still holds what it was given, and nothing of it is damaged."""
    assert host.call(op.GET, request(b"kept", b"value"))[2] == b"[1]"
    assert json.loads(host.call(op.VERIFY, request())[2])["problems"] == []
    host.close()


def run(count: int, seed: int) -> str:
    """That many requests."""
    random = Random(seed)
    recorded = [
        (opcode, bytes.fromhex(text))
        for opcode, text in json.loads(REQUESTS.read_text())["requests"]
        if opcode != op.OPEN
    ]
    host, done = new_host(), [0, 0]
    for number in range(count):
        if number and number % FRESH_EVERY == 0:
            check(host)
            host = new_host()
        opcode, data = random.choice(recorded) if random.random() < 0.6 else invented(random)
        data = mutated(random, data)
        if b"kept" in data:
            continue
        status, _, payload, _, _ = host.call(opcode, data)
        assert status in STATUSES, (seed, number)
        if status:
            assert json.loads(payload)["message"], (seed, number)
        done[status != 0] += 1
    check(host)
    return f"{sum(done)} requests, {done[0]} of them carried out: no trap, nothing forgotten"
