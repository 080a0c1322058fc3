"""Guests that misbehave, written in WAT: what a host must survive."""

from __future__ import annotations

import struct

import wasmtime

from koru_delta._hosts.wasmtime_host import Runtime, WasmtimeHost
from koru_delta._protocol import ABI_VERSION, REPLY_HEADER

PAGE_BYTES = 65536
BUFFER, HEADER = 1024, 512


def reply_header(
    *, payload: tuple[int, int] = (0, 0), journal: tuple[int, int] = (0, 0), status: int = 0
) -> bytes:
    """A reply header that says where its parts are."""
    return REPLY_HEADER.pack(status, 0, *payload, *journal, 0)


def guest(
    *,
    header: bytes = bytes(REPLY_HEADER.size),
    call: str = f"i32.const {HEADER}",
    request: str = f"i32.const {BUFFER}",
    version: str = f"i32.const {ABI_VERSION}",
    memory: str = '(memory (export "memory") 2)',
    before: str = "",
    after: str = "",
) -> bytes:
    """A module with the right exports. Parts of it may be exchanged for worse ones."""
    data = "".join(f"\\{byte:02x}" for byte in header)
    return bytes(
        wasmtime.wat2wasm(
            f"""(module
                {before}
                {memory}
                (data (i32.const {HEADER}) "{data}")
                (func (export "koru_abi_version") (result i32) {version})
                (func (export "koru_request") (param i32) (result i32) {request})
                (func (export "koru_call") (param i32 i32) (result i32) {call})
                {after})"""
        )
    )


def host_of(module: bytes, *, timeout: float = 5, memory_bytes: int = 16 << 20) -> WasmtimeHost:
    """An instance of a guest."""
    return WasmtimeHost(max_memory_bytes=memory_bytes, timeout=timeout, runtime=Runtime(module))


def unsigned(number: int) -> int:
    """A signed 32-bit integer as it is read from a header."""
    (value,) = struct.unpack("<I", struct.pack("<i", number))
    return int(value)
