"""Nothing that is sent to the module makes it trap, or forget what it holds."""

from __future__ import annotations

import contextlib
import json
import struct
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from koru_delta import _protocol as op
from koru_delta._hosts.wasmtime_host import WasmtimeHost
from koru_delta._protocol import BATCH_ITEM, NOW, REQUEST_HEADER, Status

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1 << 20
STATUSES = {0} | {number for name, number in vars(Status).items() if name.isupper()}


def request(
    *parts: bytes,
    lengths: tuple[int, int, int, int] | None = None,
    flags: int = 0,
    vector: int | None = None,
    times: tuple[int, int, int, int] = (0, 0, NOW, 0),
) -> bytes:
    """A request of namespace, key, control, payload and vector; its lengths may be made to lie."""
    sizes = [len(part) for part in (*parts, b"", b"", b"", b"", b"")[:5]]
    now, acknowledged, at, synced = times
    header = REQUEST_HEADER.pack(
        now, acknowledged, at, *(lengths or sizes[:4]), flags,
        sizes[4] if vector is None else vector, synced,
    )  # fmt: skip
    return header + b"".join(parts)


WORDS = st.sampled_from([0, 1, 2, 7, 56, 2**16, 2**31 - 1, 2**31, 2**32 - 1]) | st.integers(0, 300)
TIMES = st.sampled_from([0, 1, 2**53, NOW - 1, NOW]) | st.integers(0, NOW)
OPCODES = (
    st.sampled_from(range(1, 26)) | st.integers(0, 40) | st.sampled_from([2**31 - 1, -1, -(2**31)])
)
NAMES = st.sampled_from([b"", b"a", b"key", b"\0", b"\xff", "\u00e9".encode(), b"k" * 1025])
IDS = st.sampled_from([b"0" * 32, b"00", b"z" * 32, b""])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
NUMBERS = st.sampled_from([0, 1, 2, 3, 8192, 2**32 - 1]) | st.integers(-2, 2**64 + 1) | st.floats()
SHORT = st.text(max_size=3) | st.none()
ID = IDS.map(bytes.decode)


def objects(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Control objects of some of these fields, seldom with one of another type."""
    whole = st.fixed_dictionaries(fields)
    part = st.fixed_dictionaries({}, optional=fields)
    wrong = st.fixed_dictionaries({}, optional=dict.fromkeys(fields, JSON))
    return whole | whole | part | wrong


LIMIT = objects(limit=NUMBERS)
WALK = {op.HISTORY: LIMIT, op.LINEAGE: LIMIT, op.EFFECTS: LIMIT}
OPEN = objects(database_id=ID, journal=st.booleans(), memory_budget=NUMBERS)
CONTROLS: dict[int, st.SearchStrategy[Any]] = WALK | {
    op.OPEN: OPEN,
    op.REPLAY: objects(
        open=OPEN, writable=st.booleans(), verify=st.booleans(), offset=NUMBERS, skip=NUMBERS
    ),
    op.PUT: objects(model=SHORT, caused_by=st.lists(ID, max_size=3), expected=ID),
    op.DIFF: objects(**{"from": ID, "to": ID}),
    op.LIST_KEYS: objects(prefix=st.text(max_size=3), start_after=SHORT, limit=NUMBERS),
    op.EMBED_RESERVE: objects(model=SHORT, dimension=st.integers(0, 9), count=NUMBERS),
    op.EMBED_BATCH: objects(model=SHORT, dimension=st.integers(0, 9), count=NUMBERS),
    op.SIMILAR: objects(
        model=SHORT, queries=st.integers(0, 4), top_k=NUMBERS, threshold=NUMBERS,
        exact=st.booleans(),
    ),
    op.MAINTAIN: objects(budget=NUMBERS),
}  # fmt: skip
FILTERS = st.dictionaries(
    st.sampled_from(["a", "$and", "$or", "$not", "$gt", "$in", "$regex", "$exists"]),
    JSON,
    max_size=3,
)
JSON_BYTES = (FILTERS | JSON).map(lambda value: json.dumps(value).encode())
BATCHES = st.lists(
    st.tuples(WORDS, WORDS, WORDS, WORDS, st.binary(max_size=8)), min_size=1, max_size=4
).map(lambda items: b"".join(BATCH_ITEM.pack(*item[:4]) + item[4] for item in items))
FLOATS = st.lists(st.floats(width=32), max_size=6).map(lambda x: struct.pack(f"<{len(x)}f", *x))


@st.composite
def plausible_calls(draw: Callable[..., Any]) -> tuple[int, bytes]:
    """Requests that follow the layout and suit their opcode, more or less."""
    opcode = draw(OPCODES)
    control = CONTROLS.get(opcode, JSON).map(lambda value: json.dumps(value).encode())
    parts = (
        draw(NAMES),
        draw(NAMES),
        draw(control | control | st.just(b"") | st.binary(max_size=20)),
        draw(st.just(b"") | IDS | JSON_BYTES | BATCHES | st.binary(max_size=80)),
        draw(st.just(b"") | FLOATS | st.binary(max_size=9)),
    )
    lengths = draw(st.none() | st.none() | st.tuples(WORDS, WORDS, WORDS, WORDS))
    times = draw(st.tuples(TIMES, TIMES, TIMES, TIMES))
    vector = draw(st.none() | st.none() | WORDS)
    data = request(*parts, lengths=lengths, flags=draw(WORDS), vector=vector, times=times)
    return opcode, data


CALLS = st.lists(
    plausible_calls() | st.tuples(OPCODES, st.binary(max_size=200)), min_size=1, max_size=12
)


@given(calls=CALLS)
def test_no_request_makes_an_empty_instance_trap(calls: list[tuple[int, bytes]]) -> None:
    with contextlib.closing(WasmtimeHost(max_memory_bytes=16 * MIB, timeout=5)) as host:
        for opcode, data in calls:
            assert host.call(opcode, data)[0] in STATUSES


@given(calls=CALLS)
def test_no_request_makes_a_database_trap_or_forget(calls: list[tuple[int, bytes]]) -> None:
    control = {"database_id": "5a" * 16, "journal": True, "memory_budget": 16 * MIB}
    with contextlib.closing(WasmtimeHost(max_memory_bytes=16 * MIB, timeout=5)) as host:
        assert host.call(op.OPEN, request(b"", b"", json.dumps(control).encode()))[0] == 0
        assert host.call(op.PUT, request(b"kept", b"value", b"", b"[1]"))[0] == 0
        for opcode, data in calls:
            status, _, payload, _, _ = host.call(opcode, data)
            assert status in STATUSES
            if status:
                error = json.loads(payload)
                assert error["message"]
                assert error["suggestion"]
            read = request(b"kept", b"value", times=(0, NOW, NOW, 0))
            assert host.call(op.GET, read)[::2] == (0, b"[1]", host.call(op.HEAD, request())[4])
        assert json.loads(host.call(op.VERIFY, request())[2])["problems"] == []


def test_control_objects_of_any_depth_and_length_are_refused_in_time() -> None:
    with contextlib.closing(WasmtimeHost(max_memory_bytes=64 * MIB, timeout=10)) as host:
        control = {"database_id": "5a" * 16, "journal": False, "memory_budget": 64 * MIB}
        assert host.call(op.OPEN, request(b"", b"", json.dumps(control).encode()))[0] == 0
        for hostile in (b"[" * MIB, b'{"prefix":' * MIB, b'{"limit":' + b"9" * MIB, b'"' * 9):
            for opcode in range(1, 30):
                status = host.call(opcode, request(b"a", b"k", hostile, hostile))[0]
                assert status in STATUSES
        assert host.call(op.HEAD, request())[0] == 0
