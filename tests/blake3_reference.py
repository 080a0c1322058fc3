"""BLAKE3, from its definition: the oracle for ids of versions and for the chain of commits."""

from __future__ import annotations

import struct
from typing import NamedTuple

_IV = (
    0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19,
)  # fmt: skip
_PERMUTATION = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
_ROUNDS = 7
_BLOCK_BYTES = 64
_CHUNK_BYTES = 1024
_CHUNK_START, _CHUNK_END, _PARENT, _ROOT = 1, 2, 4, 8
_COLUMNS = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15))
_DIAGONALS = ((0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))
_MASK = 0xFFFFFFFF


def _rotate(word: int, bits: int) -> int:
    return (word >> bits | word << (32 - bits)) & _MASK


def _quarter(state: list[int], places: tuple[int, int, int, int], x: int, y: int) -> None:
    a, b, c, d = places
    for word, first, second in ((x, 16, 12), (y, 8, 7)):
        state[a] = (state[a] + state[b] + word) & _MASK
        state[d] = _rotate(state[d] ^ state[a], first)
        state[c] = (state[c] + state[d]) & _MASK
        state[b] = _rotate(state[b] ^ state[c], second)


class _Node(NamedTuple):
    """A block whose compression is a chaining value, or with the root's flag the hash."""

    chaining: tuple[int, ...]
    block: bytes
    counter: int
    flags: int

    def compress(self, flags: int = 0) -> tuple[int, ...]:
        words = list(struct.unpack("<16I", self.block.ljust(_BLOCK_BYTES, b"\0")))
        low, high = self.counter & _MASK, self.counter >> 32
        tail = (low, high, len(self.block), self.flags | flags)
        state = [*self.chaining, *_IV[:4], *tail]
        for _ in range(_ROUNDS):
            for at, places in enumerate((*_COLUMNS, *_DIAGONALS)):
                _quarter(state, places, words[2 * at], words[2 * at + 1])
            words = [words[place] for place in _PERMUTATION]
        return tuple(state[at] ^ state[at + 8] for at in range(8))


def _chunk(data: bytes, counter: int) -> _Node:
    chaining: tuple[int, ...] = _IV
    starts = range(0, max(len(data), 1), _BLOCK_BYTES)
    for start in starts:
        flags = _CHUNK_START if start == 0 else 0
        if start == starts[-1]:
            flags |= _CHUNK_END
        node = _Node(chaining, data[start : start + _BLOCK_BYTES], counter, flags)
        chaining = node.compress()
    return node


def _tree(data: bytes, counter: int) -> _Node:
    if len(data) <= _CHUNK_BYTES:
        return _chunk(data, counter)
    chunks = -(-len(data) // _CHUNK_BYTES)
    left = 1 << (chunks - 1).bit_length() - 1  # The largest power of two that leaves some.
    cut = left * _CHUNK_BYTES
    values = _tree(data[:cut], counter).compress() + _tree(data[cut:], counter + left).compress()
    return _Node(_IV, struct.pack("<16I", *values), 0, _PARENT)


def blake3(data: bytes) -> bytes:
    """The hash of some bytes: 32 bytes."""
    return struct.pack("<8I", *_tree(data, 0).compress(_ROOT))
