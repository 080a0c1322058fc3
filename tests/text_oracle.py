"""What a text search should find: BM25 over plain dicts, for ASCII text, written to be read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from koru_delta import Match

K1 = 1.2
B = 0.75
_TERM = re.compile(r'([+-]?)(?:"([^"]*)"|([A-Za-z0-9]+)(\*?))')
_SLACK = 1e-4
"""Relative: scores cross the boundary as float32."""


def words(text: str) -> list[str]:
    """The words of an ASCII text, as the engine's documentation gives them."""
    return [word[:64] for word in re.findall(r"[a-z0-9]+", text.lower())]


def strings(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """The strings of a value with the fields that they are text of."""
    if isinstance(value, str):
        yield path or "$", value
    elif isinstance(value, list):
        for element in value:
            yield from strings(element, path)
    elif isinstance(value, dict):
        for name, member in value.items():
            yield from strings(member, f"{path}.{name}" if path else name)


@dataclass(frozen=True)
class Term:
    """One part of a query: words side by side, the last perhaps a prefix."""

    sign: str
    words: tuple[str, ...]
    prefix: bool

    def occurrences(self, text: list[str]) -> int:
        """How often it stands in the words of one string."""
        size = len(self.words)
        places = range(len(text) - size + 1)
        if self.prefix:
            return sum(word.startswith(self.words[0]) for word in text)
        return sum(tuple(text[place : place + size]) == self.words for place in places)


def parse(query: str) -> list[Term]:
    """The terms of a query of ASCII words, quotes, signs and stars."""
    terms = []
    for sign, phrase, word, star in _TERM.findall(query):
        found = tuple(words(phrase or word))
        if found:
            terms.append(Term(sign, found, bool(star)))
    return terms


@dataclass(frozen=True)
class Hit:
    """A document that should be found, and what each term adds to its score."""

    key: str
    parts: tuple[float, ...]

    @property
    def score(self) -> float:
        return sum(self.parts)


@dataclass(frozen=True)
class _Document:
    key: str
    texts: list[tuple[float, list[str]]]
    """Of each string that is searched: the boost, and the words."""

    def weight(self, term: Term) -> float:
        return sum(boost * term.occurrences(text) for boost, text in self.texts)

    @property
    def length(self) -> int:
        return sum(len(text) for _, text in self.texts)


def _boost(field: str, fields: Mapping[str, float] | None) -> float:
    if fields is None:
        return 1.0
    covering = [path for path in fields if field == path or field.startswith(f"{path}.")]
    return fields[max(covering, key=len)] if covering else 0.0


def hits(
    documents: Mapping[str, Any], query: str, fields: Mapping[str, float] | None = None
) -> list[Hit]:
    """Every document that a search should find, best first; equal scores by key.

    Args:
        documents: All values that the search may see.
        query: Words, phrases, signs and prefixes.
        fields: Boosts of the fields that are searched; None for all.
    """
    terms = parse(query)
    seen = [
        _Document(
            key,
            [
                (boost, words(text))
                for field, text in strings(value)
                if (boost := _boost(field, fields)) > 0
            ],
        )
        for key, value in documents.items()
    ]
    average = sum(document.length for document in seen) / len(seen) if seen else 0.0
    scoring = [term for term in terms if term.sign != "-"]
    containing = {term: sum(doc.weight(term) > 0 for doc in seen) for term in scoring}
    found = []
    for document in seen:
        weights = [document.weight(term) for term in scoring]
        required = all(w > 0 for w, term in zip(weights, scoring, strict=True) if term.sign)
        excluded = any(document.weight(term) > 0 for term in terms if term.sign == "-")
        if required and not excluded and any(weights):
            length = K1 * (1 - B + B * document.length / average)
            parts = [
                log(1 + (len(seen) - containing[term] + 0.5) / (containing[term] + 0.5))
                * weight * (K1 + 1) / (weight + length)
                for weight, term in zip(weights, scoring, strict=True)
            ]  # fmt: skip
            found.append(Hit(document.key, tuple(parts)))
    return sorted(found, key=lambda hit: (-round(hit.score, 9), hit.key))


def assert_finds(found: list[Match], expected: list[Hit], top_k: int) -> None:
    """The matches are the best of what is expected, with their scores, in their order."""
    wanted = {hit.key: hit for hit in expected}
    assert len(found) == min(top_k, len(expected))
    assert len({match.key for match in found}) == len(found)
    assert {match.key for match in found} <= set(wanted)
    for match, best in zip(found, expected, strict=False):
        score = wanted[match.key].score
        assert match.score == pytest.approx(score, rel=_SLACK)
        assert score == pytest.approx(best.score, rel=_SLACK)
    assert found == sorted(found, key=lambda match: (-match.score, match.key.encode()))


def assert_snippet(match: Match, query: str) -> None:
    """What is highlighted in the snippet is a word of the query, in a piece of the value's text."""
    assert match.snippet is not None
    terms = [term for term in parse(query) if term.sign != "-"]
    end = 0
    for start, stop in match.highlights:
        assert end <= start < stop <= len(match.snippet)
        end = stop
        for word in words(match.snippet[start:stop]):
            assert any(
                word in term.words or (term.prefix and word.startswith(term.words[0]))
                for term in terms
            ), (match.snippet, match.highlights, query)
    assert any(match.snippet in text for _, text in strings(match.value))
