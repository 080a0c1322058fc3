"""The module with a lower cap of its memory, for runtimes that have no limit of their own to set.

A module states how far its memory may grow, and every runtime holds it to that. Only that number
is changed, in as many bytes as it had, so nothing else of the module moves.
"""

from __future__ import annotations

from typing import Final

PAGE_BYTES: Final = 65536
_HEADER_BYTES: Final = 8
_MEMORY_SECTION: Final = 5
_HAS_MAXIMUM: Final = 1


def with_memory_cap(module: bytes, max_memory_bytes: int) -> bytes:
    """The module, with a memory that grows to no more than ``max_memory_bytes``.

    Raises:
        ValueError: If it is no module with one memory that states its maximum.
    """
    at = _HEADER_BYTES
    while at < len(module):
        section = module[at]
        size, at = _read_number(module, at + 1)
        if section == _MEMORY_SECTION:
            return _capped(module, at, max_memory_bytes // PAGE_BYTES)
        at += size
    raise ValueError("the module has no memory of its own")


def _capped(module: bytes, at: int, pages: int) -> bytes:
    count, at = _read_number(module, at)
    if count != 1 or module[at] != _HAS_MAXIMUM:
        raise ValueError("the module does not state one memory with a maximum")
    _, start = _read_number(module, at + 1)
    maximum, end = _read_number(module, start)
    return module[:start] + _number(min(pages, maximum), end - start) + module[end:]


def _read_number(data: bytes, at: int) -> tuple[int, int]:
    """An unsigned LEB128 number, and where it ends."""
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at


def _number(number: int, width: int) -> bytes:
    """An unsigned LEB128 number of so many bytes."""
    pieces = [number >> 7 * index & 0x7F for index in range(width)]
    return bytes([piece | 0x80 for piece in pieces[:-1]] + pieces[-1:])
