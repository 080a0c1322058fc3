"""Chunks are exact parts of the text, within the size, and lose nothing but whitespace."""

# ruff: noqa: RUF001 - the characters are those that are meant

from __future__ import annotations

import doctest
import inspect
import json
import re
import unicodedata
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from koru_delta import ValidationError
from koru_delta._rag import Chunk, chunk, chunking

ROOT = Path(__file__).parent.parent
CJK_END = re.compile("[。！？｡][\"'”’»)\\]}」』）】〉》*_`]*$")
FAMILY = "👨‍👩‍👧‍👦"
PROSE = (
    "The mill stood by the river. It had not run since the war. Who would repair it? Nobody knew. "
)


def parts(text: str, **options: int) -> list[str]:
    return [text[one.start : one.end] for one in chunk(text, **options)]


def starts_a_word(text: str, position: int) -> bool:
    return position == 0 or text[position - 1].isspace()


def words(text: str) -> list[tuple[int, int]]:
    return [match.span() for match in re.finditer(r"\S+", text)]


def check(text: str, size: int, overlap: int) -> list[Chunk]:
    """All that chunks promise."""
    found = chunk(text, size=size, overlap=overlap)
    covered = 0
    for one in found:
        part = text[one.start : one.end]
        assert 0 <= one.start < one.end <= len(text)
        assert len(part) <= size
        assert part == part.strip() != ""
        assert text[covered : one.start].strip() == ""
        covered = one.end
    assert text[covered:].strip() == ""
    for one, two in pairwise(found):
        assert one.start < two.start
        assert one.end < two.end
        if two.start < one.end:
            assert one.end - two.start <= overlap
            begins = starts_a_word(text, two.start)
            assert begins or CJK_END.search(text[: two.start])
    spans = words(text)
    index = 0
    for one in found:
        while index < len(spans) and spans[index][1] < one.end:
            index += 1
        start, end = spans[index]
        if start < one.end < end:  # A word was cut: it did not fit, or a sentence ends there.
            assert end - start > size or CJK_END.search(text[: one.end])
    return found


CLUSTERS = ["é", "é", "ก็", "น้ำ", "क्षि", "각", "각", FAMILY, "👍🏽", "🇫🇷", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "1️⃣", "☎︎", "葛󠄀"]
PIECES = [
    *CLUSTERS,
    *" \n\t\r\u3000\u2028\f",
    *"ab。！.?!…-#*`~)」\"'1А字ก",
    " ",
    "\n\n",
    "\r\n",
    "\r\n\r\n",
    "# Head\n",
    "- item\n",
    "```\n",
    "Dr. ",
    "e.g. ",
    "word ",
    "It ends. ",
    "longer-than-most-words",
    "\u200d",
    "\ufe0f",
    "\u0301",
    "\ud800",
]
texts = st.one_of(st.text(), st.lists(st.sampled_from(PIECES), max_size=60).map("".join))


@given(texts, st.integers(1, 60), st.data())
@example(f"{FAMILY} " * 9, 8, None)
@example("a" + " " * 90 + "b", 5, None)
@example("\n \n# A\n# B\n\n\nword " * 3, 12, None)
def test_chunks_keep_their_promises(text: str, size: int, data: Any) -> None:
    overlap = data.draw(st.integers(0, size - 1)) if data else size - 1
    check(text, size, overlap)


@given(st.lists(st.sampled_from(CLUSTERS), min_size=1, max_size=40), st.integers(1, 40))
def test_a_cluster_that_fits_is_never_cut(clusters: list[str], size: int) -> None:
    text = "".join(clusters)
    borders, position = {0}, 0
    for cluster in clusters:
        if len(cluster) > size:
            borders.update(range(position, position + len(cluster)))
        position += len(cluster)
        borders.add(position)
    found = check(text, size, size // 2)
    assert {one.end for one in found} <= borders


@given(st.lists(st.text("abc", min_size=1, max_size=9), min_size=1), st.integers(9, 40))
def test_overlap_is_taken_where_a_word_begins_within_it(found_words: list[str], size: int) -> None:
    text = " ".join(found_words)
    overlap = size // 2
    found = check(text, size, overlap)
    for one, two in pairwise(found):
        near = any(one.end - overlap <= start < one.end for start, _ in words(text))
        next_word = next(end for start, end in words(text) if start >= one.end)
        room = next_word - size < text.rfind(" ", 0, one.end) + 1
        if near and room:
            assert two.start < one.end


REAL = {
    "docstrings": "\n\n".join(filter(None, map(inspect.getdoc, (json, re, inspect, unicodedata)))),
    "README": (ROOT / "README.md").read_text(encoding="utf-8"),
    "source": inspect.getsource(inspect),
    "CRLF": PROSE.replace(". ", ".\r\n\r\n") * 30,
    "tabs": "\tname\tvalue\tanother value\n" * 200,
    "Chinese": "今天天气很好，我们去公园吧！你想带什么？带一本书。" * 60,
    "Japanese": "吾輩は猫である。名前はまだ無い。「どこで生れたか。」とんと見当がつかぬ。\n" * 40,
    "Thai": "ภาษาไทยเป็นภาษาที่มีระดับเสียงของคำแน่นอน น้ำใสไหลเย็นเห็นตัวปลา " * 40,
    "emoji": FAMILY * 300,
    "base64": "QUJDRA+/" * 900,
    "URL": "see https://example.org/" + "path/" * 500 + " and more",
}


@pytest.mark.parametrize("text", REAL.values(), ids=REAL.keys())
@pytest.mark.parametrize(("size", "overlap"), [(512, 64), (512, 0), (100, 99), (7, 3), (1, 0)])
def test_real_texts(text: str, size: int, overlap: int) -> None:
    check(text, size, overlap)


@pytest.mark.parametrize("name", ["docstrings", "README", "source", "Chinese", "Japanese"])
def test_chunks_of_real_texts_are_well_filled(name: str) -> None:
    found = chunk(REAL[name], size=512, overlap=0)
    assert len(found) <= 1 + len(REAL[name]) / (512 / 2)


# Where the cuts are.


@pytest.mark.parametrize("text", ["", " ", "\r\n\t\n\u3000\u2028"])
def test_nothing_gives_no_chunks(text: str) -> None:
    assert chunk(text) == []


def test_a_short_text_is_one_chunk_without_the_whitespace_around_it() -> None:
    assert chunk(" \nOne. Two.\n\n") == [Chunk(2, 11)]


def test_whole_paragraphs_are_packed() -> None:
    text = "\n\n".join(["a" * 200, "b" * 200, "c" * 200, "d" * 200])
    assert parts(text, size=450, overlap=0) == [text[:402], text[404:]]


def test_a_paragraph_that_fills_little_is_filled_up_with_sentences() -> None:
    text = f"Tiny.\n\n{PROSE * 3}"
    first, *_ = parts(text, size=110, overlap=0)
    assert first == f"Tiny.\n\n{PROSE.strip()}"


def test_sentences_are_cut_between_and_words_only_where_they_must() -> None:
    assert parts(PROSE, size=60, overlap=0) == [
        "The mill stood by the river. It had not run since the war.",
        "Who would repair it? Nobody knew.",
    ]
    assert parts("one two three four", size=9, overlap=0) == ["one two", "three", "four"]


@pytest.mark.parametrize(
    "text",
    [
        "So did Dr. Jones, who came",
        "He saw Mr. Brown and left",
        "Lions vs. Tigers is next",
        "A number, No. 5, is alive",
        "It is J. R. Tolkien again",
        "The pay in U.S. Dollars is",
        "Pi is about 3.14 or bigger",
        "Use a tool, e.g. Hammers, to",
        "It was Yahoo! that did it",
        "A pause... then it went on",
    ],
)
def test_no_sentence_ends_there(text: str) -> None:
    assert chunking._Stops(text).sentences == []


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("It ends. And begins", [8]),
        ('"It ends." He left', [10]),
        ("It ends! “And begins”", [8]),
        ("Really?! 3 of them", [8]),
        ("It was 1999. Then came", [12]),
        ("It trails… Off", [10]),
        ("In Moskau. Да", [10]),
        ("你好。再见！好", [3, 6]),
        ("「你好。」他说", [5]),
        ("यह है। वह", [6]),
        ("1. One thing", []),
        ("text\n2. Another", []),
    ],
)
def test_sentences_end_there(text: str, ends: list[int]) -> None:
    assert chunking._Stops(text).sentences == ends


def test_a_heading_goes_with_what_follows_it() -> None:
    text = f"{PROSE * 2}\n\n## The mill\n\n{PROSE * 2}"
    for size in range(50, len(text)):
        for part in parts(text, size=size, overlap=0):
            assert not part.endswith("## The mill"), size


def test_a_heading_before_a_word_that_does_not_fit_beside_it_still_goes_with_it() -> None:
    text = f"Go.\n\n# Link\n\n{'x' * 40}"
    assert parts(text, size=50, overlap=0) == ["Go.", f"# Link\n\n{'x' * 40}"]


def test_a_list_is_cut_before_an_item() -> None:
    text = "\n".join(f"- item {n} has a few words" for n in range(20))
    for part in parts(text, size=100, overlap=0):
        assert part.startswith("- item")
        assert part.endswith("words")


def test_an_item_is_not_cut_after_its_first_sentence_if_all_of_it_can_move() -> None:
    text = "- First. It has some words.\n- Second. It has some words, too."
    assert parts(text, size=40, overlap=0) == text.split("\n")


def test_code_between_fences_has_no_paragraphs_and_no_sentences() -> None:
    code = "```python\nx = 1\n\nprint('It. Ends.')\n```"
    text = f"Words before it.\n\n{code}\n\nAfter it. More."
    stops = chunking._Stops(text)
    assert [text[:stop].rsplit("\n", 1)[-1] for stop in stops.paragraphs] == [
        "Words before it.",
        "```",
    ]
    assert all(not 18 < stop < 18 + len(code) for stop in stops.sentences)
    assert parts(text, size=len(code), overlap=0) == ["Words before it.", code, "After it. More."]


def test_an_open_fence_goes_on_to_the_end() -> None:
    assert chunking._Stops("~~~\nIt. Ends.\n\nIt. Does.").sentences == []


def test_carriage_returns_alone_end_lines_too() -> None:
    assert chunking._Stops("a\r\rb\rc").paragraphs == [1]


def test_text_without_spaces_is_cut_at_the_ends_of_cjk_sentences() -> None:
    text = "今天天气很好。我们去公园吧！你想带什么？"
    assert parts(text, size=15, overlap=0) == ["今天天气很好。我们去公园吧！", "你想带什么？"]
    assert parts(text, size=15, overlap=8)[1] == "我们去公园吧！你想带什么？"


def test_a_giant_word_is_cut_anywhere() -> None:
    assert parts("x" * 25, size=10, overlap=5) == ["x" * 10, "x" * 10, "x" * 5]


def test_a_giant_word_begins_in_the_chunk_of_the_short_word_before_it() -> None:
    assert parts("a " + "x" * 25, size=10, overlap=0) == ["a " + "x" * 8, "x" * 10, "x" * 7]


def test_flags_are_cut_between_pairs() -> None:
    assert parts("🇫🇷🇩🇪🇮🇹", size=3, overlap=0) == ["🇫🇷", "🇩🇪", "🇮🇹"]


def test_a_cluster_that_fits_into_no_chunk_is_cut_by_code_points() -> None:
    assert [len(part) for part in parts("e" + "\u0301" * 9, size=4, overlap=0)] == [4, 4, 2]


def test_overlap_begins_at_a_word() -> None:
    assert parts("aaa bbb ccc ddd", size=11, overlap=5) == ["aaa bbb ccc", "ccc ddd"]


def test_overlap_gives_way_to_a_word_that_would_not_fit() -> None:
    assert parts("aa bb cc dddddddd", size=8, overlap=7) == ["aa bb cc", "dddddddd"]


def test_overlap_shrinks_where_the_rest_then_fits() -> None:
    text = "aa bb cc dd ee ff gg"
    assert parts(text, size=14, overlap=12) == ["aa bb cc dd ee", "cc dd ee ff gg"]


# What it takes.


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"size": 0}, "size is 0"),
        ({"size": -3}, "size is -3"),
        ({"size": True}, "size is True"),
        ({"size": 5.0}, "size is 5.0"),
        ({"size": None}, "size is None"),
        ({"overlap": -1}, "overlap is -1"),
        ({"overlap": "4"}, "overlap is '4'"),
        ({"size": 8, "overlap": 8}, "overlap is 8, size is 8"),
        ({"size": 8}, "overlap is 64, size is 8"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(named)) as caught:
        chunk("text", **options)
    assert caught.value.suggestion


def test_a_text_is_a_str() -> None:
    with pytest.raises(ValidationError, match="the text is of type bytes"):
        chunk(b"text")  # type: ignore[arg-type]


def test_a_chunk_is_frozen_and_slotted() -> None:
    one = Chunk(1, 2)
    assert not hasattr(one, "__dict__")
    with pytest.raises(AttributeError):
        one.start = 0  # type: ignore[misc]


class CountingText(str):
    """A text that counts the characters looked at one by one."""

    __slots__ = ("looks",)
    looks: int

    def __getitem__(self, index: Any) -> str:
        self.looks += 1
        return CountingText._of(super().__getitem__(index), self)

    @staticmethod
    def _of(part: str, whole: CountingText) -> str:
        if len(part) < len(whole):
            return part
        copy = CountingText(part)
        copy.looks = 0
        return copy


@pytest.mark.parametrize(
    "unit", ["word ", "x", "字。", "a. ", "\n", "🇫🇷", "e\u0301", "#\n", ".", "a\n\n"]
)
def test_the_work_grows_with_the_text_only(unit: str) -> None:
    def looks(count: int) -> int:
        text = CountingText(unit * count)
        text.looks = 0
        cutter = chunking._Cutter(text, 64, 16)
        cutter.chunks()
        return text.looks

    assert looks(8000) <= 9 * looks(1000) + 100


def test_a_large_text_has_no_limit_of_recursion() -> None:
    text = (PROSE * 5 + "\n\n") * 400 + "x" * 100_000 + "\n" * 100_000 + "." * 100_000
    found = check(text, 512, 64)
    assert len(found) < 2 * len(text) / 512


def test_the_examples_of_the_documentation_run() -> None:
    assert doctest.testmod(chunking).failed == 0
    assert doctest.testmod(chunking).attempted > 0
