"""An embedder that needs no model: a text's vector is the weighted sum of its words' vectors.

`data/make.py` made the words' vectors from a sentence encoder. A word that is not among them gets a
vector of its own from its letters, so that it is near to nothing but itself.
"""

from __future__ import annotations

import json
import math
import re
import struct
import zlib
from array import array
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

WORD = re.compile(r"[a-z][a-z']*[a-z]|[a-z]")
RARE = 121.0
LENGTH = 60.0
"""Weight and length of the vector of a word that is not known: as of a rare one that is."""


class WordVectors:
    """Calls like any embedder: a list of texts in, as many vectors out.

    Args:
        table: `data/words.json`: words and their weights.
        codes: `data/words.i8`: their vectors.
    """

    def __init__(self, table: str, codes: bytes) -> None:
        known = json.loads(table)
        self.dimension: int = known["dimension"]
        self._places = {word: place for place, word in enumerate(known["words"])}
        self._weights: list[float] = known["weights"]
        self._codes = codes
        self._word = lru_cache(20_000)(self._make)

    def __call__(self, texts: Sequence[str]) -> list[array[float]]:
        """The vectors, of length 1."""
        return [self.embed(text) for text in texts]

    def embed(self, text: str) -> array[float]:
        """The vector of one text."""
        words = Counter(WORD.findall(text.lower()))
        total = [0.0] * self.dimension
        for word, times in words.items() or [("", 1)]:
            weight, vector = self._word(word)
            weight *= 1 + math.log(times)
            total = [so_far + weight * part for so_far, part in zip(total, vector, strict=True)]
        length = math.hypot(*total) or 1.0
        return array("f", [part / length for part in total])

    def _make(self, word: str) -> tuple[float, Sequence[int | float]]:
        place = self._places.get(word)
        if place is not None:
            codes = struct.unpack_from(f"{self.dimension}b", self._codes, place * self.dimension)
            return self._weights[place] ** 2, codes
        bits = b"".join(
            zlib.crc32(f"{word}/{part}".encode()).to_bytes(4, "little")
            for part in range(math.ceil(self.dimension / 32))
        )
        size = LENGTH / math.sqrt(self.dimension)
        signs = [size if bits[i // 8] >> i % 8 & 1 else -size for i in range(self.dimension)]
        return RARE, signs
