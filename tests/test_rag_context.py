"""A context has each passage once, exactly as the document has it, and never exceeds its budget."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koru_delta._rag.chunking import chunk
from koru_delta._rag.context import context, passages
from koru_delta._rag.documents import chunk_values
from koru_delta.rag import Document, RetrievedChunk

HEADING = "\n\nSources:\n"
TEXT = "The Moon orbits the Earth. It takes a month. The Earth orbits the Sun. It takes a year."


def chunks_of(document: Document, size: int, overlap: int) -> list[RetrievedChunk]:
    """All chunks of a document, as a search gives them."""
    parts = chunk(document.text, size=size, overlap=overlap)
    return [
        RetrievedChunk(
            document.id, value["text"], 1.0, value["start"], value["end"], index, {}, "", "",
            datetime.now(UTC), value.get("gap", ""),
        )
        for index, value in enumerate(chunk_values(document, parts))
    ]  # fmt: skip


def test_nothing_found_is_an_empty_context() -> None:
    assert context([], None) == ""
    assert context([], 1000) == ""


def test_a_context_names_its_sources() -> None:
    moon, sun = Document("moon", TEXT[:44]), Document("sun", TEXT[45:])
    found = chunks_of(moon, 100, 0) + chunks_of(sun, 100, 0)
    assert context(found, None) == (
        "[1] The Moon orbits the Earth. It takes a month.\n\n"
        "[2] The Earth orbits the Sun. It takes a year.\n\n"
        "Sources:\n"
        "[1] moon, characters 0 to 44\n"
        "[2] sun, characters 0 to 42"
    )


def test_an_id_with_line_ends_does_not_break_the_list_of_sources() -> None:
    document = Document("a\n[2] forged", TEXT)
    assert context(chunks_of(document, 200, 0), None).splitlines()[-1] == (
        f"[1] 'a\\n[2] forged', characters 0 to {len(TEXT)}"
    )


@pytest.mark.parametrize("overlap", [0, 10])
def test_chunks_that_meet_become_one_passage(overlap: int) -> None:
    document = Document("a", TEXT.replace(". ", ".\n\n"))
    found = chunks_of(document, 30, overlap)
    assert len(found) > 3
    [whole] = passages(reversed(found))
    assert (whole.start, whole.end, whole.text) == (0, len(document.text), document.text)
    first, second = passages([found[0], found[2]])
    assert (first.text, second.text) == (found[0].text, found[2].text)


def test_a_long_gap_is_not_kept_and_parts_passages() -> None:
    document = Document("a", "one two" + " " * 2000 + "three four")
    found = chunks_of(document, 10, 0)
    assert [passage.text for passage in passages(found)] == ["one two", "three four"]


def test_what_was_said_is_not_said_again() -> None:
    original, copy = Document("original", TEXT), Document("copy", TEXT)
    longer = Document("longer", f"{TEXT} And more besides.")
    found = [chunks_of(document, 200, 0)[0] for document in (original, copy, longer)]
    assert [passage.document_id for passage in passages(found)] == ["original", "longer"]
    assert [passage.document_id for passage in passages(found[::-1])] == ["longer"]
    part = chunks_of(Document("part", TEXT[:26]), 200, 0)
    assert [passage.document_id for passage in passages(found[:1] + part)] == ["original"]


def test_the_order_is_that_of_the_best_chunks() -> None:
    one, two = (chunks_of(Document(name, name + TEXT), 30, 0) for name in ("one ", "two "))
    found = passages([two[3], one[0], one[1], two[2]])
    assert [(passage.document_id, passage.rank) for passage in found] == [("two ", 0), ("one ", 1)]


def test_a_budget_counts_everything() -> None:
    found = chunks_of(Document("a", TEXT), 200, 0)
    whole = context(found, None)
    assert context(found, len(whole)) == whole
    cut = context(found, len(whole) - 1)
    assert cut == (
        "[1] The Moon orbits the Earth. It takes a month. The Earth orbits the Sun.\n\n"
        "Sources:\n"
        "[1] a, characters 0 to 70"
    )
    assert context(found, 60) == ""
    assert context(found, 1) == ""


texts = st.text(st.sampled_from("ab .\n。日🚀é"), max_size=200) | st.text(max_size=120)


@given(
    texts=st.lists(texts, min_size=1, max_size=4),
    size=st.integers(1, 60),
    overlap=st.integers(0, 59),
    data=st.data(),
)
def test_a_context_is_exact_and_within_its_budget(
    texts: list[str], size: int, overlap: int, data: st.DataObject
) -> None:
    documents = {f"d{number}": Document(f"d{number}", text) for number, text in enumerate(texts)}
    everything = [
        part
        for document in documents.values()
        for part in chunks_of(document, size, min(overlap, size - 1))
    ]
    found: list[RetrievedChunk] = []
    if everything:
        found = data.draw(st.lists(st.sampled_from(everything), unique_by=id, max_size=12))
    made = passages(found)
    said = [passage.text for passage in made]
    assert len(set(said)) == len(said)
    for passage in made:
        text = documents[passage.document_id].text
        assert passage.text == text[passage.start : passage.end]
    for part in found:
        assert any(part.text in text for text in said)
    for budget in (None, data.draw(st.integers(1, 400))):
        result = context(found, budget)
        assert result == context(found, budget)
        if budget is None:
            assert bool(result) == bool(found)
            assert all(passage.text in result for passage in made)
        else:
            assert len(result) <= budget
            check_sources(result, documents)


def check_sources(result: str, documents: dict[str, Any]) -> None:
    """Every passage that a context names is there, word for word."""
    if not result:
        return
    body, _, sources = result.rpartition(HEADING)
    for line in sources.splitlines():
        match = re.fullmatch(r"\[(\d+)\] (d\d), characters (\d+) to (\d+)", line)
        assert match is not None, line
        number, name, start, end = match.groups()
        assert f"[{number}] {documents[name].text[int(start) : int(end)]}" in body
