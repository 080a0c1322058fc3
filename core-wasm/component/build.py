"""Makes a component of the engine's module: python build.py MODULE OUT

A component is sections behind a header of eight bytes; a module inside it is a section of its own.
"""

from __future__ import annotations

import sys
from pathlib import Path

import wasmtime

HEADER_BYTES = 8
CORE_MODULE = 1
WAT = Path(__file__).with_name("component.wat")


def leb128(number: int) -> bytes:
    """A number as WebAssembly writes it."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def read_leb128(data: bytes, at: int) -> tuple[int, int]:
    """The number at a place, and where it ends."""
    number = shift = 0
    while data[at] & 0x80:
        number |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
    return number | data[at] << shift, at + 1


def component_of(module: bytes) -> bytes:
    """The component around a module."""
    frame = bytes(wasmtime.wat2wasm(WAT.read_text(encoding="utf-8")))
    if frame[HEADER_BYTES] != CORE_MODULE:
        raise RuntimeError("the component does not begin with a module")
    length, start = read_leb128(frame, HEADER_BYTES + 1)
    section = bytes([CORE_MODULE]) + leb128(len(module)) + module
    return frame[:HEADER_BYTES] + section + frame[start + length :]


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(component_of(source.read_bytes()))
