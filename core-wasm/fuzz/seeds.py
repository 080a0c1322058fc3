"""Writes the seed corpora: small inputs that reach far, made from the fixtures of the tests.

python core-wasm/fuzz/seeds.py
"""

from __future__ import annotations

import json
import struct
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
SEEDS = Path(__file__).parent / "seeds"
FIXTURES = ROOT / "tests" / "fixtures"
REQUEST_HEADER = struct.Struct("<QQQIIIIIIQ")
PARTS, RAW = 0, 1
HAS_FLAGS, HAS_TIME = 2, 4

DOCUMENTS = [
    '{"a":1,"b":{"c":[1,2]},"tags":["new","red"]}',
    '{"a":2.5,"b":null,"tags":[]}',
    '{"a":"x","items":[{"price":3},{"price":-0.0}]}',
    '[1,"two",{"three":3}]',
    '"text with words"',
    "18446744073709551615",
]
FILTERS = [
    '{"a":1}',
    '{"a":{"$gte":1,"$lt":9007199254740993}}',
    '{"$or":[{"tags":"new"},{"b.c":{"$in":[2,null]}}]}',
    '{"$not":{"a":{"$exists":false}},"items.price":{"$nin":[0]}}',
    '{"a":{"$regex":"(?i)^x+$"},"items.0.price":{"$not":{"$contains":"t"}}}',
    "{}",
]
CONTROLS = [
    '{"order_by":[["a",true],["$key",false]],"limit":3,"offset":1,"select":["a","b.c"]}',
    '{"limit":2}',
    '{"select":["items.price"]}',
    '{"aggregation":"{\\"group_by\\":[\\"a\\"],\\"aggregates\\":{\\"n\\":{\\"$count\\":true}}}"}',
    '{"aggregation":"{\\"n\\":{\\"$sum\\":\\"a\\"}}","order_by":[["n",false]]}',
]
TEXTS = [
    ("words text", "", ["text with words", '{"a":"more words, and more"}']),
    ('"two words" +three -four', "{}", ["one two words three", "two three four words"]),
    ("pre* caf\u00e9", '{"a":{"$exists":true}}', ['{"a":"prefix CAFE\u0301 pr\u00e9"}']),
    ("don't os.path \U0001f600", "", ["don't use os.path \U0001f600 \u0130stanbul \ufb01n"]),
]


def part(data: bytes) -> bytes:
    """A length and the bytes, as the targets read them."""
    if len(data) < 255:
        return bytes([len(data)]) + data
    return b"\xff" + struct.pack(">H", min(len(data), 65535)) + data[:65535]


def as_parts(opcode: int, request: bytes) -> bytes:
    """A recorded request in the form of the target `abi`."""
    head = REQUEST_HEADER.unpack_from(request)
    lengths, flags, vector = head[3:7], head[7], head[8]
    rest = request[REQUEST_HEADER.size :]
    parts = []
    for length in (*lengths, vector):
        parts.append(rest[:length])
        rest = rest[length:]
    how = PARTS | HAS_FLAGS
    return bytes([opcode, how, flags & 255]) + b"".join(map(part, parts))


def seeds() -> dict[str, list[bytes]]:
    """The inputs of each target."""
    golden = (FIXTURES / "golden.koru").read_bytes()
    requests = [
        as_parts(opcode, bytes.fromhex(text))
        for opcode, text in json.loads((FIXTURES / "requests.json").read_text())["requests"][1:]
    ]
    documents = "\n".join(DOCUMENTS)
    return {
        "replay": [
            bytes([how]) + golden[:size]
            for how in (1 | 2 | 4 | 10 << 3, 2 | 20 << 3 & 255, 7 | 4 << 3)
            for size in (64, 400, 1200, len(golden))
        ],
        "json": [text.encode() for text in [*DOCUMENTS, '"\\ud83d\\ude00\\u0000"', "[1e5,-0.0]"]],
        "filter": [f"{text}\n{documents}".encode() for text in FILTERS],
        "query": [
            f"{control}\n{text}\n{documents}".encode()
            for control in CONTROLS
            for text in (FILTERS[0], FILTERS[2], "")
        ],
        "text": ["\n".join([text, where, *lines]).encode() for text, where, lines in TEXTS],
        "abi": [b"".join(requests[i : i + 8]) for i in range(0, len(requests), 4)],
    }


if __name__ == "__main__":
    for target, inputs in seeds().items():
        directory = SEEDS / target
        directory.mkdir(parents=True, exist_ok=True)
        for number, data in enumerate(inputs):
            (directory / f"{number:02}").write_bytes(data)
