"""Cutting a text into chunks that a model can embed.

Theory of operation. One pass over the line ends and one over the sentence ends give four sorted
lists of places where a chunk may stop, best first: ends of paragraphs, of list items, of sentences,
of lines. Chunks are then taken greedily from left to right. A chunk takes the rest of
the text if that fits. Otherwise it stops at the last place of the best kind that fills at least a
third of the room that is new to it; failing that after its last whole word; and in a word longer
than a whole chunk, which has to be cut anyway, at the end of a grapheme cluster.

Invariants, with ``position`` the first character that no chunk has yet:

- It is at no whitespace, and every character before it is in a chunk or whitespace.
- A chunk starts at ``position``, or before it at a word: never so early that the next word, if it
  fits into a chunk at all, does not fit into this one. So each chunk covers something new, starts
  and stops both increase, and no word that fits into a chunk is cut.

A heading belongs to what follows it: the line end after it is in none of the lists. What is
between code fences has no paragraphs or sentences, only blank lines (which count as ends of
items) and lines.

Every character is looked at by each pass once, and then for each chunk only those of the words
around its two ends; places are found by bisection. That makes O(n + chunks * log n).

Grapheme clusters are those of Unicode's UAX #29 as far as ``unicodedata`` knows the properties:
marks, joiners, variation selectors, skin tones, tags, pairs of regional indicators, Hangul
syllables and conjuncts.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import Final

from koru_delta.errors import ValidationError

__all__ = ["Chunk", "chunk"]

_LEAST_FILL: Final = 3
"""A stop is passed over if it leaves more than two thirds of the room unused."""
_ABBREVIATION_CHARACTERS: Final = 16
"""How far before a full stop an abbreviation may begin."""

_CLOSERS: Final = "\"'”\u2019»)\\]}」』\uff09】〉》*_`"
_ENDS: Final = ".!?…।؟\u06d4"
# The lookbehind lets a match begin at the first of several marks only: else they take O(n * n).
_SENTENCE_END: Final = re.compile(
    rf"[{_ENDS}](?<![{_ENDS}]{{2}})[{_ENDS}]*+[{_CLOSERS}]*+(?=\s++[^\sa-z])"
)
_CJK_END: Final = re.compile(rf"[。\uff01\uff1f｡]++[{_CLOSERS}]*+")
_LINE_END: Final = re.compile(r"[\n\r\f\u2028\u2029]\s*+")
_SPACE: Final = re.compile(r"\s*+")
_WORD: Final = re.compile(r"\S*+")
_WORD_START: Final = re.compile(r"(?<!\S)\S")
_HEADING: Final = re.compile(r"#{1,6}[ \t]|(?:={3,}|-{3,})[ \t]*$", re.MULTILINE)
_LIST_ITEM: Final = re.compile(r"(?:[-*+•‣]|\d{1,3}[.)])[ \t]")
_ITEM_MARKS: Final = frozenset("-*+•‣0123456789")
_FENCE: Final = re.compile(r"```|~~~")

# Words that a full stop follows without ending the sentence, although a capital may come next.
_ABBREVIATIONS: Final = frozenset(
    """
    adm al approx apr aug ave bldg blvd bros ca capt cf ch cmdr col corp dec dept dr ed eds eq eqs
    est feb fig figs fr gen gov hon inc jan jr lt ltd maj messrs mlle mme mr mrs ms mt no nos nov
    oct op p pp pres prof pt rep rev sec sen sept sgt sr st univ viz vol vols vs
    """.split()  # noqa: SIM905 - as a list it would be 70 lines
)
_DOTTED: Final = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]|(?:[^\W\d_]{1,3}\.)+[^\W\d_]{1,3}")
"""One letter, or letters between full stops: J, e.g, U.S, Ph.D."""

_ZERO_WIDTH_JOINER: Final = "\u200d"
_EXTENDING: Final = frozenset("\u200c\u200d\u0e33\u0eb3")
_VIRAMA: Final = 9


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of a text: ``text[start:end]``.

    Attributes:
        start: Offset of its first character.
        end: Offset after its last character.
    """

    start: int
    end: int


def chunk(text: str, *, size: int = 512, overlap: int = 64) -> list[Chunk]:
    """Cut a text into chunks at paragraphs, sentences and words.

    No chunk is longer than ``size``, begins or ends with whitespace, or is empty, and every
    character that is not whitespace is in at least one. Starts and ends both increase. A word, and
    a heading with the words that follow it, stay whole unless they are too long for a chunk.

    Args:
        text: The text.
        size: Most characters of a chunk.
        overlap: Most characters of a chunk that were in the one before, too. The overlap begins at
            the start of a word or of a CJK sentence; where none is that near, there is no overlap.

    Returns:
        The chunks in the order of the text; none if it is empty or all whitespace.

    Raises:
        ValidationError: If the text is no str, ``size`` is not a whole number of at least 1, or
            ``overlap`` not one from 0 to ``size - 1``.

    Complexity:
        Linear in the length of the text, plus logarithmic for each chunk.

    Example:
        >>> text = "It rains. It pours. The old man snores."
        >>> [text[part.start : part.end] for part in chunk(text, size=22, overlap=10)]
        ['It rains. It pours.', 'It pours. The old man', 'old man snores.']
    """
    if not isinstance(text, str):
        raise ValidationError(f"the text is of type {type(text).__name__}", suggestion="give a str")
    _check_number("size", size, 1)
    _check_number("overlap", overlap, 0)
    if overlap >= size:
        raise ValidationError(
            f"overlap is {overlap}, size is {size}",
            suggestion="give an overlap that is smaller than the size",
        )
    return _Cutter(text, size, overlap).chunks()


def _check_number(what: str, number: object, least: int) -> None:
    if not isinstance(number, int) or isinstance(number, bool) or number < least:
        raise ValidationError(
            f"{what} is {number!r:.60}", suggestion=f"give a whole number of at least {least}"
        )


class _Stops:
    """Where chunks of a text may stop: sorted offsets, each after a character that is no space."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.paragraphs: list[int] = []
        self.items: list[int] = []
        """Before list items, and blank lines in code."""
        self.lines: list[int] = []
        self.headings: set[int] = set()
        """Ends of headings, where no chunk should stop."""
        self._code: list[int] = []
        """Starts and ends of what is between fences, in turn."""
        self._find_lines()
        self.sentences = self._find_sentences()

    def best(self, least: int, limit: int) -> int | None:
        """The last stop of the best kind from ``least`` to ``limit``."""
        for stops in (self.paragraphs, self.items, self.sentences, self.lines):
            stop = _last_at_most(stops, limit)
            if stop >= least:
                return stop
        return None

    def _find_lines(self) -> None:
        text = self._text
        line_start = _skip_space(text, 0)
        fence = ""
        for gap in _LINE_END.finditer(text, line_start):
            stop, next_start = _trim_back(text, gap.start()), gap.end()
            first, following = text[line_start], text[next_start]
            closes = False
            if first in "`~" and (mark := _FENCE.match(text, line_start)) is not None:
                if not fence:
                    fence = mark[0]
                    self._code.append(line_start)
                elif fence == mark[0]:
                    fence, closes = "", True
                    self._code.append(stop)
            blank = _is_blank(gap[0])
            if fence:
                (self.items if blank else self.lines).append(stop)
            elif first in "#=-" and _HEADING.match(text, line_start, stop):
                self.headings.add(stop)
            elif blank or closes or (following == "#" and _HEADING.match(text, next_start)):
                self.paragraphs.append(stop)
            elif following in _ITEM_MARKS and _LIST_ITEM.match(text, next_start):
                self.items.append(stop)
            else:
                self.lines.append(stop)
            line_start = next_start
        if fence:
            self._code.append(len(text))

    def _find_sentences(self) -> list[int]:
        text = self._text
        found = [
            match.end() for match in _SENTENCE_END.finditer(text) if _ends_sentence(text, match)
        ]
        cjk = [
            match.end()
            for match in _CJK_END.finditer(text)
            if not _continues(text, match.end(), match.start())
        ]
        if cjk:
            found = sorted({*found, *cjk})
        if self.headings:
            found = [stop for stop in found if stop not in self.headings]
        if self._code:
            # Between a start and an end the number of borders to the left is odd.
            found = [stop for stop in found if bisect_right(self._code, stop) % 2 == 0]
        return found


class _Cutter:
    """Takes chunks from a text, from left to right."""

    def __init__(self, text: str, size: int, overlap: int) -> None:
        self._text = text
        self._size = size
        self._overlap = overlap
        self._end = _trim_back(text, len(text))
        # What comes after the last character that counts must not be seen by any pass.
        self._stops = _Stops(text[: self._end])

    def chunks(self) -> list[Chunk]:
        found: list[Chunk] = []
        position = _skip_space(self._text, 0)
        while position < self._end:
            start = self._start(position, found[-1]) if found else position
            stop = self._stop(start, position)
            found.append(Chunk(start, stop))
            position = _skip_space(self._text, stop)
        return found

    def _start(self, position: int, previous: Chunk) -> int:
        """Where the chunk starts whose first new character is at ``position``."""
        lowest = max(
            previous.end - self._overlap,
            previous.start + 1,
            self._unit_end(position) - self._size,
        )
        start = self._first_word(lowest, previous.end, position)
        if start + self._size < self._end <= position + self._size:
            # The rest of the text fits if there is a little less overlap.
            later = self._first_word(self._end - self._size, previous.end, position)
            if later < position:
                return later
        return start

    def _unit_end(self, position: int) -> int:
        """The end of what must not be cut: a word that fits, or else its first cluster."""
        word_end = self._word_end(position)
        if word_end - position <= self._size:
            return word_end
        limit = position + self._size
        end = position + 1
        while end < limit and _continues(self._text, end, position):
            end += 1
        return end if not _continues(self._text, end, position) else position + 1

    def _word_end(self, position: int) -> int:
        """Where the word at ``position`` ends, or one character more than fit into a chunk."""
        match = _WORD.match(self._text, position, position + self._size + 1)
        return match.end() if match else position

    def _first_word(self, lowest: int, highest: int, otherwise: int) -> int:
        """The first start of a word, or of a sentence of CJK text, from ``lowest`` on."""
        if lowest >= highest:
            return otherwise
        match = _WORD_START.search(self._text, lowest, highest)
        first = match.start() if match else otherwise
        sentences = self._stops.sentences
        index = bisect_left(sentences, lowest)
        while index < len(sentences) and sentences[index] < min(first, highest):
            if not self._text[sentences[index]].isspace():
                return sentences[index]
            index += 1
        return first

    def _stop(self, start: int, position: int) -> int:
        limit = start + self._size
        if limit >= self._end:
            return self._end
        least = position + max(1, (limit - position) // _LEAST_FILL)
        stop = self._stops.best(least, limit)
        return self._word_stop(position, least, limit) if stop is None else stop

    def _word_stop(self, position: int, least: int, limit: int) -> int:
        """The end of the last word that ends by ``limit``, or a cut through a word without end."""
        space = limit
        while space > position and not self._text[space].isspace():
            space -= 1
        if space == position:
            stop = self._cluster_stop(position, limit)
            return stop if stop > position else limit
        word = space + 1
        if word < min(limit, least) and self._word_end(word) - word > self._size:
            stop = self._cluster_stop(word, limit)
            if stop > word:
                return stop
        stop = _trim_back(self._text, space)
        if stop in self._stops.headings:
            earlier = _last_at_most(self._stops.paragraphs, stop)
            return earlier if earlier > position else stop
        return stop

    def _cluster_stop(self, word: int, limit: int) -> int:
        """The last end of a grapheme cluster after ``word``, up to ``limit``; ``word`` if none."""
        while limit > word and _continues(self._text, limit, word):
            limit -= 1
        return limit


def _ends_sentence(text: str, mark: re.Match[str]) -> bool:
    """Whether a sentence ends at marks that whitespace and no ASCII lower case letter follow."""
    start, end = mark.span()
    following = text[end + 1]
    if following.isspace():
        following = text[_skip_space(text, end)]
    if following.islower():
        return False
    if text[start] != "." or text[start + 1] == ".":
        return True
    before = text[max(0, start - _ABBREVIATION_CHARACTERS) : start].rsplit(None, 1)
    if not before:
        return True
    word = before[-1]
    if word.isdigit():  # 1. is the number of a list's item, 1999. the end of a sentence.
        line_start = start - len(word)
        return line_start != 0 and text[line_start - 1] not in "\n\r"
    word = word.lstrip("\"'“\u2018«([{*_")
    if len(word) > 1 and "." not in word:
        return word.lower() not in _ABBREVIATIONS
    return _DOTTED.fullmatch(word) is None


def _last_at_most(stops: list[int], limit: int) -> int:
    index = bisect_right(stops, limit)
    return stops[index - 1] if index else -1


def _skip_space(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _trim_back(text: str, position: int) -> int:
    while position > 0 and text[position - 1].isspace():
        position -= 1
    return position


def _is_blank(gap: str) -> bool:
    """Whether there is an empty line in the whitespace between two lines."""
    if len(gap) == 1:
        return gap in "\f\u2029"
    return (gap.count("\n") or gap.count("\r")) > 1 or "\u2029" in gap or "\f" in gap


def _continues(text: str, position: int, base: int) -> bool:
    """Whether the characters on both sides of ``position`` are of one grapheme cluster.

    Regional indicators are paired from ``base`` on, where a cluster begins.
    """
    if position >= len(text):
        return False
    before, after = text[position - 1], text[position]
    if before < "\u0300" and after < "\u0300":
        return False  # Of these only CR LF would not be cut, and that is whitespace.
    if "\u4e00" <= after <= "\u9fff":
        return before == _ZERO_WIDTH_JOINER
    if (
        before == _ZERO_WIDTH_JOINER
        or after in _EXTENDING
        or "\U0001f3fb" <= after <= "\U0001f3ff"  # Skin tones.
        or "\U000e0020" <= after <= "\U000e007f"  # Tags.
        or unicodedata.category(after) in ("Mn", "Mc", "Me")
    ):
        return True
    if _is_regional(before) and _is_regional(after):
        first = position
        while first > base and _is_regional(text[first - 1]):
            first -= 1
        return (position - first) % 2 == 1
    if unicodedata.combining(before) == _VIRAMA:
        return unicodedata.category(after) == "Lo"
    return _joins_hangul(before, after)


def _is_regional(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _joins_hangul(before: str, after: str) -> bool:
    """Whether two of Hangul's letters or syllables are of one syllable."""
    leads = "\u1100" <= before <= "\u115f"
    if leads and ("\u1100" <= after <= "\u11a7" or "\uac00" <= after <= "\ud7a3"):
        return True
    follows = "\u1160" <= before <= "\u11ff" or "\uac00" <= before <= "\ud7a3"
    return follows and "\u1160" <= after <= "\u11ff"
