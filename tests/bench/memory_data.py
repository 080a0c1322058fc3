"""What the section on agent memory remembers and asks: short real texts, and a vector for each.

The texts are the descriptions of packages (or docstrings) that the section on text has, cut to the
length of a remark. The vectors are made from words alone, so that they are the same everywhere and
no model is needed: each word has a random direction of its own, which counts the less the more
texts have it. The directions lie in a space of fewer dimensions than the vectors have, as the
meanings of texts do: so unrelated texts have cosines of 0.1 give or take as much, and among 50,000
the tenth nearest has about 0.6, as with a sentence encoder. A question is a few words of a text
that is held out.
"""

from __future__ import annotations

import importlib
import math
import zlib
from collections import Counter
from typing import TYPE_CHECKING, Any

from text import corpus
from text_stores import joined, words_of

if TYPE_CHECKING:
    import random

DIMENSION = 384
MEANINGS = 64
"""Dimensions of the space that the vectors lie in."""
CHARACTERS = 160
WORDS = (3, 9)
SHARED = 0.3
"""Length of a direction that all texts have, beside the one of their words."""


class Table:
    """Vectors by text: looking one up is all that embedding costs here."""

    def __init__(self, texts: list[str]) -> None:
        self.numpy: Any = importlib.import_module("numpy")
        self.having = Counter(word for text in texts for word in set(words_of(text)))
        self.texts = len(texts)
        generator = self.numpy.random.default_rng(MEANINGS)
        self.space = generator.standard_normal((MEANINGS, DIMENSION)) / math.sqrt(DIMENSION)
        self.directions: dict[str, Any] = {}
        self.rows: dict[str, Any] = {}
        self.add(texts)

    def add(self, texts: list[str]) -> None:
        for text in texts:
            self.rows[text] = self.made(text)

    def made(self, text: str) -> Any:
        numpy = self.numpy
        total = SHARED * self.direction("")
        words = words_of(text)
        weights = [math.log(1 + self.texts / (1 + self.having[word])) for word in words]
        length = math.sqrt(sum(weight * weight for weight in weights)) or 1.0
        for word, weight in zip(words, weights, strict=True):
            total = total + self.direction(word) * (weight / length)
        return (total / numpy.linalg.norm(total)).astype(numpy.float32)

    def direction(self, word: str) -> Any:
        found = self.directions.get(word)
        if found is None:
            generator = self.numpy.random.default_rng(zlib.crc32(word.encode()))
            found = generator.standard_normal(MEANINGS) @ self.space
            found /= self.numpy.linalg.norm(found)
            self.directions[word] = found
        return found

    def arrays(self, texts: list[str]) -> list[Any]:
        """The vectors of some texts, as NumPy has them."""
        return [self.rows[text] for text in texts]

    def lists(self, texts: list[str]) -> list[list[float]]:
        """The same as lists, for those who take nothing else."""
        return [self.rows[text].tolist() for text in texts]


def remarks(most: int, generator: random.Random) -> tuple[list[str], list[str], str]:
    """Texts to remember, each once, texts that are held out, and what they are."""
    documents, held_out, _ = corpus(most + most // 50 + 100, generator)
    texts = [joined(document)[:CHARACTERS] for document in documents]
    texts = list(dict.fromkeys(texts))
    generator.shuffle(texts)
    texts = texts[:most]
    return texts, held_out, f"{len(texts):,} descriptions, the first {CHARACTERS} characters"


def questions(held_out: list[str], count: int, generator: random.Random) -> list[str]:
    """So many different questions."""
    found: dict[str, None] = {}
    while len(found) < count:
        words = generator.choice(held_out).split()
        length = generator.randint(*WORDS)
        start = generator.randint(0, max(0, len(words) - length))
        found[" ".join(words[start : start + length])] = None
    return list(found)
