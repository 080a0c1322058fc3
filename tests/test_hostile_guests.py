"""A module that is not the engine, or an engine gone mad, is a clear error: no crash, no hang."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import pytest
import wasmtime
from guests import HEADER, PAGE_BYTES, guest, host_of, reply_header, unsigned

from koru_delta import KoruDeltaError, LimitExceededError, SyncDatabase
from koru_delta._hosts import wasmtime_host
from koru_delta._hosts.base import InstanceLostError
from koru_delta._hosts.wasmtime_host import Runtime
from koru_delta._protocol import GET, REPLY_HEADER

if TYPE_CHECKING:
    from pathlib import Path

END = 2 * PAGE_BYTES


def test_a_guest_that_behaves_is_believed() -> None:
    payload, journal = (HEADER + 32, 5), (HEADER + 37, 3)
    header = reply_header(payload=payload, journal=journal) + b"helloabc"
    with contextlib.closing(host_of(guest(header=header))) as host:
        for size in (0, 1, 1000, END - 1024):
            assert host.call(GET, bytes(size)) == (0, 0, b"hello", b"abc", 0)


@pytest.mark.parametrize(
    "address", [END - REPLY_HEADER.size + 1, END, 2**31 - 1, -(2**31), -1, -REPLY_HEADER.size]
)
def test_a_reply_header_outside_the_memory(address: int) -> None:
    with contextlib.closing(host_of(guest(call=f"i32.const {address}"))) as host:
        for _ in range(2):
            with pytest.raises(InstanceLostError, match="outside its memory") as caught:
                host.call(GET, b"")
        assert caught.value.suggestion


def test_a_reply_header_at_the_very_end_is_inside() -> None:
    call = f"i32.const {END - REPLY_HEADER.size}"
    with contextlib.closing(host_of(guest(call=call))) as host:
        assert host.call(GET, b"") == (0, 0, b"", b"", 0)


@pytest.mark.parametrize("part", ["payload", "journal"])
@pytest.mark.parametrize(
    ("address", "length"),
    [(0, END + 1), (END, 1), (1, -1), (-1, 1), (-1, -1), (-(2**31), 2**31 - 1), (END - 1, 2)],
)
def test_a_part_of_a_reply_outside_the_memory(part: str, address: int, length: int) -> None:
    where = (unsigned(address), unsigned(length))
    header = reply_header(payload=where) if part == "payload" else reply_header(journal=where)
    with contextlib.closing(host_of(guest(header=header))) as host:
        for _ in range(2):
            with pytest.raises(InstanceLostError, match="outside its memory"):
                host.call(GET, b"")


def test_a_whole_memory_as_payload_is_inside() -> None:
    with contextlib.closing(host_of(guest(header=reply_header(payload=(0, END))))) as host:
        assert len(host.call(GET, b"")[2]) == END


def test_no_request_buffer_is_no_memory_for_the_request() -> None:
    with contextlib.closing(host_of(guest(request="i32.const 0"))) as host:
        for _ in range(2):
            with pytest.raises(LimitExceededError, match="1000 bytes"):
                host.call(GET, bytes(1000))


@pytest.mark.parametrize("address", [END - 999, END, 2**31 - 1, -1, -(2**31)])
def test_a_request_buffer_outside_the_memory(address: int) -> None:
    with contextlib.closing(host_of(guest(request=f"i32.const {address}"))) as host:
        for _ in range(2):
            with pytest.raises(InstanceLostError, match="outside its memory"):
                host.call(GET, bytes(1000))


@pytest.mark.parametrize("where", ["call", "request"])
def test_an_endless_loop_ends_at_the_deadline(where: str) -> None:
    loop = "(loop br 0) unreachable"
    module = guest(call=loop) if where == "call" else guest(request=loop)
    with contextlib.closing(host_of(module, timeout=0.1)) as host:
        start = time.monotonic()
        with pytest.raises(InstanceLostError, match="engine stopped"):
            host.call(GET, bytes(10))
        assert 0.05 < time.monotonic() - start < 5
        with pytest.raises(InstanceLostError, match="engine stopped"):
            host.call(GET, bytes(10))


def test_a_deadline_is_told_from_other_traps() -> None:
    with contextlib.closing(host_of(guest(call="(loop br 0) unreachable"), timeout=0.05)) as host:
        with pytest.raises(InstanceLostError) as caught:
            host.call(GET, b"")
        assert caught.value.timed_out
    with contextlib.closing(host_of(guest(call="unreachable"))) as host:
        with pytest.raises(InstanceLostError, match="unreachable") as caught:
            host.call(GET, b"")
        assert not caught.value.timed_out


def test_endless_recursion_is_an_error() -> None:
    call = "(call 2 (local.get 0) (local.get 1))"
    with contextlib.closing(host_of(guest(call=call))) as host:
        for _ in range(2):
            with pytest.raises(InstanceLostError, match="stack"):
                host.call(GET, b"")


def test_memory_grows_up_to_the_cap_and_no_further() -> None:
    cap = 4 << 20
    grow = f"""
        (loop (br_if 0 (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
        i32.const {HEADER}"""
    with contextlib.closing(host_of(guest(call=grow), memory_bytes=cap)) as host:
        assert host.call(GET, b"")[0] == 0
        assert host.memory_bytes == cap
        assert host.call(GET, bytes(100))[0] == 0, "the memory may have moved"


def test_a_header_in_memory_that_was_just_grown_is_found() -> None:
    grow = f"""
        (drop (memory.grow (i32.const 1)))
        (i32.store (i32.const {END}) (i32.const 3))
        i32.const {END}"""
    with contextlib.closing(host_of(guest(call=grow))) as host:
        assert host.call(GET, b"") == (3, 0, b"", b"", 0)
        assert host.memory_bytes == END + PAGE_BYTES


def test_a_memory_that_begins_above_the_cap_is_a_limit() -> None:
    with pytest.raises(LimitExceededError, match="could not be started"):
        host_of(guest(), memory_bytes=PAGE_BYTES)


@pytest.mark.parametrize("version", [0, 2**31 - 1, -1])
def test_another_protocol_is_refused(version: int) -> None:
    with pytest.raises(KoruDeltaError, match=f"protocol {version}"):
        host_of(guest(version=f"i32.const {version}"))


@pytest.mark.parametrize(
    "module",
    [
        guest(after='(func (export "extra"))'),
        guest(after='(global (export "extra") i32 (i32.const 0))'),
        guest(before='(import "env" "f" (func))'),
        guest(before='(import "env" "t" (table 1 funcref))'),
        guest(memory="(memory 2)"),
        guest(memory='(memory 2) (func (export "memory"))'),
        guest(memory='(memory 2) (table (export "memory") 1 funcref)'),
        guest(memory='(memory 2) (global (export "memory") i32 (i32.const 0))'),
        guest(memory='(memory (export "memory") i64 2)'),
        b"\0asm\1\0\0\0",
        b"",
        b"no module",
    ],
    ids=[
        "function", "global", "import", "table import", "no memory", "a function as memory",
        "a table as memory", "a global as memory", "a memory of 64 bits", "empty", "nothing",
        "text",
    ],
)  # fmt: skip
def test_other_imports_or_exports_are_refused(module: bytes) -> None:
    with pytest.raises(KoruDeltaError, match="not the engine"):
        host_of(module)


SIGNATURES = {
    "koru_abi_version": ("", "i32"),
    "koru_request": ("i32", "i32"),
    "koru_call": ("i32 i32", "i32"),
}


@pytest.mark.parametrize("name", SIGNATURES)
@pytest.mark.parametrize("result", ["i32", "", "i64", "f32", "funcref", "i32 i32"])
@pytest.mark.parametrize("more", ["", "i32", "i64", "f64"])
def test_functions_of_other_types_are_refused(name: str, result: str, more: str) -> None:
    functions = []
    for each, (parameters, right) in SIGNATURES.items():
        given = f"{parameters} {more}".strip() if each == name else parameters
        gives = result if each == name else right
        functions.append(f'(func (export "{each}") (param {given}) (result {gives}) unreachable)')
    module = bytes(
        wasmtime.wat2wasm(f'(module (memory (export "memory") 2) {" ".join(functions)})')
    )
    if (result, more) == ("i32", ""):
        with pytest.raises(KoruDeltaError, match="could not be started"):
            host_of(module)  # Its version traps.
        return
    with pytest.raises(KoruDeltaError, match="not the engine"):
        host_of(module)


@pytest.mark.parametrize("module", [
    guest(version="(loop br 0) unreachable"),
    guest(after="(func $f (loop br 0)) (start $f)"),
    guest(version="(call 0)"),
    guest(version="unreachable"),
    guest(after='(data (i32.const -1) "outside")'),
    guest(memory='(memory (export "memory") 65536)'),
    guest(after="(table 10001 funcref)"),
    guest(after="(table 4000000000 funcref)"),
    guest(after="(table 1 funcref) (table 1 funcref)"),
], ids=[
    "endless version", "endless start", "endless recursion", "trap", "data outside",
    "4 GiB at once", "large table", "huge table", "two tables",
])  # fmt: skip
def test_a_guest_that_does_not_come_up_is_refused_in_time(module: bytes) -> None:
    start = time.monotonic()
    with pytest.raises(KoruDeltaError, match="could not be started") as caught:
        host_of(module, timeout=0.1)
    assert time.monotonic() - start < 5
    assert caught.value.suggestion


def test_a_table_that_grows_without_end_stops_growing() -> None:
    grow = """
        (loop (br_if 0 (i32.ne (table.grow (ref.null func) (i32.const 100)) (i32.const -1))))
        (i32.store (i32.const 512) (table.size))
        i32.const 512"""
    module = guest(call=grow, after="(table 1 funcref)")
    with contextlib.closing(host_of(module)) as host:
        assert host.call(GET, b"")[0] == 9901, "the status is the size that was reached"


def test_a_guest_that_fails_at_its_start_is_refused() -> None:
    with pytest.raises(KoruDeltaError, match="could not be started"):
        host_of(guest(after="(func $f unreachable) (start $f)"))


@pytest.mark.parametrize("call", ["unreachable", "i32.const -1", "(loop br 0) unreachable"])
def test_a_database_over_such_a_guest_fails_cleanly(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from koru_delta import Config

    runtime = Runtime(guest(call=call))
    monkeypatch.setattr(wasmtime_host, "shared_runtime", lambda: runtime)
    path = tmp_path / "data.koru"
    with (
        pytest.raises(KoruDeltaError, match=r"engine stopped|took longer"),
        SyncDatabase(Config(path=path, operation_timeout=0.1)),
    ):
        pass
    monkeypatch.undo()
    with SyncDatabase(path) as db:
        db.put("a", "key", 1)


@pytest.mark.parametrize("address", [END - 1009, END, 2**31 - 1, -1, -(2**31)])
def test_nothing_is_read_to_outside_the_memory(address: int) -> None:
    def read(buffer: memoryview) -> int:
        raise AssertionError("there is nowhere to read to")

    with contextlib.closing(host_of(guest(request=f"i32.const {address}"))) as host:
        for _ in range(2):
            with pytest.raises(InstanceLostError, match="outside its memory"):
                host.call_reading(GET, bytes(10), 1000, read)


def test_what_is_read_goes_right_behind_the_head_and_no_further() -> None:
    def read(buffer: memoryview) -> int:
        kept.append(buffer)
        buffer[:] = b"r" * len(buffer)
        return len(buffer)

    kept: list[memoryview] = []
    module = guest(request=f"i32.const {END - 14}", header=reply_header(payload=(END - 14, 14)))
    with contextlib.closing(host_of(module)) as host:
        reply = host.call_reading(GET, b"head", 10, read)
        assert reply is not None
        assert reply[2] == b"head" + b"r" * 10
        with pytest.raises(ValueError, match="released"):
            kept[0].tobytes()
        assert host.call_reading(GET, b"head", 10, lambda buffer: 9) is None
