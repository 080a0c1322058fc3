"""What is wrong is found before anything is written, and named."""

from __future__ import annotations

import math
from typing import Any

import pytest
from rag_documents import MOON, SUN, Hashed, numbered

from koru_delta import Database, SerializationError, SyncDatabase, ValidationError
from koru_delta.rag import RAG, Document

SMALL = {"chunk_size": 20, "overlap": 0}


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("", "text"), "id"),
        (("a" * 1001, "text"), "1001 bytes"),
        (("ä" * 501, "text"), "1002 bytes"),
        (("a\0", "text"), "id"),
        (("a\ud800", "text"), "surrogate"),
        ((1, "text"), "int"),
        (("a", b"text"), "bytes"),
        (("a", None), "NoneType"),
        (("a", "x\udfff"), "surrogate"),
        (("a", "text", ["x"]), "list"),
        (("a", "text", None), "NoneType"),
    ],
)
def test_a_bad_document_is_refused(arguments: tuple[Any, ...], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        Document(*arguments)


@pytest.mark.parametrize("value", [math.nan, {1}, (1,), 2**64, object(), {1: 2}])
def test_metadata_that_cannot_be_stored_is_refused_with_its_place(value: object) -> None:
    with pytest.raises(SerializationError, match=r"document 'a'.*\$\.x"):
        Document("a", "text", {"x": value})


async def add_and_fail(rag: RAG, documents: Any, error: type[BaseException], match: str) -> None:
    head = rag.db.head
    with pytest.raises(error, match=match):
        await rag.add_documents(documents)
    assert rag.db.head == head


@pytest.mark.parametrize(
    ("documents", "match"),
    [
        ([MOON, {"id": "a"}], "document 1 is of type dict"),
        ([MOON, SUN, Document("moon", "other")], "document 2 has the id 'moon'"),
        ("text", "type str"),
        (None, "type NoneType"),
        ({"moon": "text"}, "document 0 is of type str"),
    ],
)
async def test_bad_documents_are_refused(db: Database, documents: Any, match: str) -> None:
    await add_and_fail(RAG(db, Hashed()), documents, ValidationError, match)


async def test_one_document_may_stand_alone(db: Database) -> None:
    assert await RAG(db).add_documents(MOON) == 1  # type: ignore[arg-type]


async def test_an_embedder_that_fails_leaves_everything_as_it_was(db: Database) -> None:
    calls = 0

    class Fails(Hashed):
        batch_size = 2

        def __call__(self, texts: list[str]) -> list[list[float]]:
            nonlocal calls
            calls += 1
            if calls == 3:
                raise ConnectionError("no network")
            return super().__call__(texts)

    rag = RAG(db, Fails(), **SMALL)
    documents = [numbered(f"d{number}", 2) for number in range(5)]
    await add_and_fail(rag, documents, ConnectionError, "no network")
    assert await rag.list_documents() == []
    assert await rag.add_documents(documents) == 10  # It works again by now.


async def test_a_failing_embedder_is_asked_again_only_where_that_is_wanted(db: Database) -> None:
    class FailsOnce(Hashed):
        failed = False

        def __call__(self, texts: list[str]) -> list[list[float]]:
            if not self.failed:
                self.failed = True
                raise ConnectionError("no network")
            return super().__call__(texts)

    await add_and_fail(RAG(db, FailsOnce()), [MOON], ConnectionError, "no network")
    assert await RAG(db, FailsOnce(), retries=1).add_documents([MOON]) == 1


@pytest.mark.parametrize(
    ("vectors", "match"),
    [
        (lambda texts: [[1.0, 2.0]] * (len(texts) - 1), "2 vectors for 3 texts"),
        (lambda texts: [[1.0, 2.0]] * (len(texts) + 1), "4 vectors for 3 texts"),
        (lambda _: [[1.0, 2.0], [1.0], [1.0, 2.0]], "row 1"),
        (lambda _: [[1.0, 2.0], [1.0, math.nan], [1.0, 2.0]], "text 1 is nan"),
        (lambda _: [[1.0, 2.0], [1.0, 2.0], [0.0, 0.0]], "chunk 1 of document 'b' is all zeros"),
        (lambda _: "vectors", "str"),
        (lambda texts: texts, "."),
    ],
)
async def test_what_is_no_vector_for_each_chunk_is_refused(
    db: Database, vectors: Any, match: str
) -> None:
    rag = RAG(db, vectors, **SMALL)
    await add_and_fail(rag, [numbered("a", 1), numbered("b", 2)], ValidationError, match)


async def test_another_dimension_than_before_is_refused(db: Database) -> None:
    await RAG(db, Hashed()).add_documents([MOON])
    rag = RAG(db, Hashed(dimension=8))
    await add_and_fail(rag, [MOON, SUN], ValidationError, "64.*8|8.*64")
    assert await RAG(db, Hashed(dimension=8), model="another").add_documents([MOON, SUN]) == 2


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"chunk_size": 0}, "chunk_size is 0"),
        ({"chunk_size": "512"}, "size"),
        ({"overlap": 512}, "overlap"),
        ({"chunk_size": 10, "overlap": 11}, "overlap is 11, chunk_size is 10"),
        ({"overlap": -1}, "overlap"),
        ({"namespace": ""}, "namespace"),
        ({"namespace": "a\0"}, "namespace"),
        ({"namespace": "a" * 1001}, "namespace"),
        ({"namespace": "documents/manifest"}, "RAG knows of its documents"),
        ({"weight": 1.1}, "weight"),
        ({"weight": math.nan}, "weight"),
        ({"weight": True}, "weight"),
        ({"model": "without an embedder"}, "no embedder"),
        ({"embedder": "all-MiniLM-L6-v2"}, "sentence_transformer"),
        ({"embedder": Hashed(), "retries": -1}, "retries"),
        ({"retries": -1}, "retries"),
        ({"embedder": Hashed(), "model": 3}, "model"),
    ],
)
async def test_bad_options_are_refused(db: Database, options: dict[str, Any], match: str) -> None:
    with pytest.raises(ValidationError, match=match):
        RAG(db, **options)


@pytest.mark.parametrize("other", [None, "path.koru", SyncDatabase()])
def test_something_that_is_no_database_is_refused(other: Any) -> None:
    with pytest.raises(ValidationError, match="type"):
        RAG(other)


async def test_a_namespace_that_is_as_long_as_it_may_be(db: Database) -> None:
    rag = RAG(db, Hashed(), namespace="n" * 1000)
    assert await rag.add_documents([Document("d" * 1000, "text")]) == 1
    assert await rag.remove_document("d" * 1000)
