"""Questions find chunks: by words, by vectors, filtered, now and as of the past."""

from __future__ import annotations

import inspect
import threading
from typing import TYPE_CHECKING, Any

import pytest
from rag_documents import MANIFESTS, MOND, MOON, NAMESPACE, SUN, Hashed, numbered

from koru_delta import (
    Config,
    Database,
    DatabaseClosedError,
    LimitExceededError,
    SyncDatabase,
    ValidationError,
)
from koru_delta._rag.retrieval import chunk_filter, plain_words
from koru_delta.rag import RAG, Document, RetrievedChunk, SyncRAG

if TYPE_CHECKING:
    from pathlib import Path

EMBEDDERS = [None, Hashed()]


@pytest.fixture(params=EMBEDDERS, ids=["words", "hybrid"])
async def rag(db: Database, request: pytest.FixtureRequest) -> RAG:
    """Three documents of a chunk each."""
    made = RAG(db, request.param)
    await made.add_documents([MOON, SUN, MOND])
    return made


def ids(found: list[RetrievedChunk]) -> list[str]:
    return [chunk.document_id for chunk in found]


async def test_a_chunk_tells_where_it_is_from(rag: RAG) -> None:
    [found] = await rag.retrieve("What orbits the Earth in a month?", 1)
    version = (await rag.db.history(NAMESPACE, "moon#000000"))[-1]
    assert found == RetrievedChunk(
        "moon", MOON.text, found.score, 0, len(MOON.text), 0, MOON.metadata, "moon#000000",
        version.version_id, version.timestamp,
    )  # fmt: skip
    assert found.score > 0


async def test_the_best_chunks_come_first(rag: RAG) -> None:
    found = await rag.retrieve("the Sun shines in a year")
    assert found[0].document_id == "sun"
    assert [chunk.score for chunk in found] == sorted((c.score for c in found), reverse=True)
    assert len(await rag.retrieve("the Moon and the Earth", 1)) == 1
    for chunk in await rag.retrieve("Der Mond scheint"):
        document = {"moon": MOON, "sun": SUN, "mond": MOND}[chunk.document_id]
        assert chunk.text == document.text[chunk.start : chunk.end]
        assert chunk.metadata == document.metadata


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (None, {"moon", "sun", "mond"}),
        ({}, {"moon", "sun", "mond"}),
        ({"lang": "en"}, {"moon", "sun"}),
        ({"year": {"$gte": 1900}}, {"moon"}),
        ({"year": {"$not": {"$gte": 1900}}}, {"sun", "mond"}),
        ({"tags": "nacht"}, {"mond"}),
        ({"$document": "sun"}, {"sun"}),
        ({"$document": {"$in": ["sun", "mond", "none"]}, "lang": "de"}, {"mond"}),
        ({"$or": [{"$document": "sun"}, {"$and": [{"lang": "de"}, {}]}]}, {"sun", "mond"}),
        ({"$not": {"lang": "en"}}, {"mond"}),
        ({"lang": "fr"}, set()),
        ({"text": {"$exists": True}}, set()),
    ],
)
async def test_filters(rag: RAG, filters: Any, expected: set[str]) -> None:
    question = "the Moon, the Sun, der Mond"
    assert set(ids(await rag.retrieve(question, filters=filters))) == expected
    context = await rag.query(question, filters=filters)
    assert {name for name in ("moon", "sun", "mond") if f"] {name}," in context} == expected


def test_filters_are_about_metadata() -> None:
    given = {"a.b": 1, "$or": [{"x": {"$not": {"$gt": 1}}}, {"$document": {"$ne": "d"}}]}
    assert chunk_filter(given) == {
        "metadata.a.b": 1,
        "$or": [{"metadata.x": {"$not": {"$gt": 1}}}, {"document": {"$ne": "d"}}],
    }
    assert chunk_filter({"$not": {"x": {"$ref": 1}}}) == {"$not": {"metadata.x": {"$ref": 1}}}


@pytest.mark.parametrize(
    "filters",
    ["lang", ["lang"], {"$nor": []}, {"lang": {"$like": "e"}}, {"$or": "x"}, {1: 2}, {"$not": 1}],
)
async def test_bad_filters_are_refused(rag: RAG, filters: Any) -> None:
    with pytest.raises(ValidationError):
        await rag.retrieve("Moon", filters=filters)


@pytest.mark.parametrize(
    "question",
    ["-moon orbits month", '"orbits the moon" month', "+nothing month orbits", "mon* month orbits"],
)
async def test_a_question_has_no_operators(db: Database, question: str) -> None:
    rag = RAG(db)
    await rag.add_documents([MOON, SUN])
    assert ids(await rag.retrieve(question))[0] == "moon"
    assert await rag.retrieve(question) == await rag.retrieve(plain_words(question))
    assert await rag.retrieve("mon*") == []


async def test_a_question_without_words_finds_nothing(rag: RAG) -> None:
    for question in ("", "  ", "?!", '"" + - *', "___"):
        assert await rag.retrieve(question) == []
        assert await rag.query(question) == ""
    # Vectors find the nearest, whatever it is.
    assert bool(await rag.retrieve("xyzzy")) == (rag.model is not None)


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"question": b"Moon"}, ValidationError, "bytes"),
        ({"question": None}, ValidationError, "NoneType"),
        ({"question": "x\ud800"}, ValidationError, "surrogate"),
        ({"question": "word " * 1000}, LimitExceededError, "5000 bytes"),
        ({"question": "Moon", "top_k": 0}, ValidationError, "top_k"),
        ({"question": "Moon", "top_k": 10_001}, ValidationError, "top_k"),
        ({"question": "Moon", "top_k": "5"}, ValidationError, "top_k"),
        ({"question": "Moon", "weight": 2}, ValidationError, "weight"),
        ({"question": "Moon", "at": "yesterday"}, ValidationError, "time"),
    ],
)
async def test_bad_arguments_are_refused(
    rag: RAG, arguments: dict[str, Any], error: type[Exception], match: str
) -> None:
    for ask in (rag.retrieve, rag.query):
        with pytest.raises(error, match=match):
            await ask(**arguments)


@pytest.mark.parametrize("budget", [0, -1, 1.5, "100", True])
async def test_bad_budgets_are_refused(rag: RAG, budget: Any) -> None:
    with pytest.raises(ValidationError, match="max_chars"):
        await rag.query("Moon", max_chars=budget)


async def test_a_context_is_that_of_the_chunks(db: Database) -> None:
    rag = RAG(db, chunk_size=60, overlap=20)
    document = Document("long", " ".join(f"Sentence {n} of the text." for n in range(20)))
    await rag.add_documents([document, MOON])
    context = await rag.query("sentence 3 and sentence 4 of the text", 4)
    body, _, sources = context.partition("\n\nSources:\n")
    assert "Sentence 3 of the text. Sentence 4 of the text." in body
    assert "[1] long, characters " in sources
    for budget in (60, 100, 150, 200, 1000):
        cut = await rag.query("sentence 3 and sentence 4 of the text", 4, max_chars=budget)
        assert len(cut) <= budget
    assert await rag.query("nothing of the kind", filters={"x": 1}) == ""


async def test_the_past_can_be_asked(rag: RAG) -> None:
    db = rag.db
    before = (await db.history(MANIFESTS, "mond"))[-1]
    await rag.add_documents([Document("moon", "Cheese is what it is made of.")])
    changed = (await db.history(MANIFESTS, "moon"))[-1]
    await rag.remove_document("sun")
    question = "What orbits the Earth in a month?"
    assert ids(await rag.retrieve(question, at=before))[0] == "moon"
    assert (await rag.retrieve(question, at=before))[0].text == MOON.text
    assert "Moon orbits" in await rag.query(question, at=before)
    assert "Moon orbits" not in await rag.query(question)
    assert "sun" in ids(await rag.retrieve("the Sun shines", at=changed))
    assert "sun" not in ids(await rag.retrieve("the Sun shines"))
    assert await rag.retrieve(question, at=0) == []
    assert await rag.query(question, at="1999-12-31") == ""
    assert await rag.list_documents(at=changed) == ["mond", "moon", "sun"]


# Models.


async def test_vectors_of_another_model_are_never_compared(db: Database) -> None:
    old, new, words = RAG(db, Hashed("old")), RAG(db, Hashed("new", 32)), RAG(db)
    await old.add_documents([MOON, SUN])
    before = (await db.history(MANIFESTS, "sun"))[-1]
    for rag, model in ((new, "'old'"), (RAG(db, Hashed("")), "'old'")):
        with pytest.raises(ValidationError, match=f"2 with vectors of {model}.*add all documents"):
            await rag.retrieve("Moon")
    await new.add_documents([MOON])
    for rag, missing in ((new, "1 with vectors of 'old'"), (old, "1 with vectors of 'new'")):
        with pytest.raises(ValidationError, match=missing):
            await rag.retrieve("Moon")
        assert ids(await rag.retrieve("Moon", weight=0)) == ["moon"]
    await new.add_documents([SUN])
    assert ids(await new.retrieve("Moon orbits month"))[0] == "moon"
    assert ids(await old.retrieve("Moon orbits month", at=before))[0] == "moon"
    with pytest.raises(ValidationError, match="'old'"):
        await new.retrieve("Moon", at=before)
    assert ids(await words.retrieve("Moon orbits month", at=before))[0] == "moon"
    await words.add_documents([MOND])
    with pytest.raises(ValidationError, match="1 with no vectors"):
        await new.retrieve("Moon")


async def test_an_embedder_without_a_name_is_a_model_of_its_own(db: Database) -> None:
    unnamed = RAG(db, lambda texts: [[float(len(text)), 1.0] for text in texts])
    assert unnamed.model == ""
    await unnamed.add_documents([MOON])
    assert ids(await unnamed.retrieve("Moon")) == ["moon"]
    with pytest.raises(ValidationError, match="vectors of ''"):
        await RAG(db, Hashed()).retrieve("Moon")


async def test_documents_without_text_need_no_vectors(db: Database) -> None:
    await RAG(db).add_documents([Document("empty", " ")])
    rag = RAG(db, Hashed())
    assert await rag.retrieve("Moon") == []
    await rag.add_documents([MOON])
    assert ids(await rag.retrieve("Moon")) == ["moon"]


async def test_the_weight_is_how_much_vectors_count(db: Database) -> None:
    class ByLength(Hashed):
        def vector(self, text: str) -> list[float]:
            return [1.0, 0.0] if "night" in text else [0.0, 1.0]

    embedder = ByLength()
    rag = RAG(db, embedder)
    texts = {"words": "one two three", "vectors": "a night in spring"}
    await rag.add_documents([Document(name, text) for name, text in texts.items()])
    asked = len(embedder.texts)
    assert ids(await rag.retrieve("three night", weight=1))[0] == "vectors"
    assert ids(await rag.retrieve("one two three night", weight=0))[0] == "words"
    assert len(embedder.texts) == asked + 1
    assert ids(await RAG(db, embedder, weight=0).retrieve("one two three night"))[0] == "words"


async def test_an_embedder_that_fails_is_heard(db: Database) -> None:
    class Fails(Hashed):
        fails = False

        def __call__(self, texts: list[str]) -> list[list[float]]:
            if self.fails:
                raise TimeoutError("no answer")
            return super().__call__(texts)

    embedder = Fails()
    rag = RAG(db, embedder)
    await rag.add_documents([MOON])
    embedder.fails = True
    with pytest.raises(TimeoutError, match="no answer") as caught:
        await rag.retrieve("Moon")
    assert any("1 text" in note for note in caught.value.__notes__)
    assert ids(await rag.retrieve("Moon", weight=0)) == ["moon"]


async def test_what_others_put_into_the_namespace_is_no_chunk(rag: RAG) -> None:
    await rag.db.put(NAMESPACE, "foreign", {"text": "The Moon orbits the Earth."})
    await rag.db.put(NAMESPACE, "text", "The Moon orbits the Earth.")
    assert set(ids(await rag.retrieve("The Moon orbits the Earth"))) <= {"moon", "sun", "mond"}


async def test_nothing_works_before_opening_or_after_closing() -> None:
    db = Database()
    rag = RAG(db)
    for _ in range(2):
        for call in (rag.add_documents([MOON]), rag.remove_document("a"), rag.retrieve("Moon")):
            with pytest.raises(DatabaseClosedError):
                await call
        async with db:
            await rag.add_documents([MOON])


async def test_a_closed_namespace_of_words_only(db: Database) -> None:
    rag = RAG(db, Hashed(), namespace="nothing here")
    assert await rag.retrieve("Moon") == []
    assert await rag.query("Moon") == ""
    assert await rag.list_documents() == []


# Blocking.


@pytest.mark.parametrize("embedder", EMBEDDERS)
def test_blocking(path: Path, embedder: Any) -> None:
    with SyncRAG.open(path, embedder, chunk_size=20, overlap=0) as rag:
        assert rag.add_documents([MOON, SUN, numbered("n", 4)]) > 6
        assert rag.add_documents([MOON]) == 0
        assert "Sources:\n[1] " in rag.query("Moon orbits", max_chars=500)
        assert rag.remove_document("n") is True
        assert rag.list_documents() == ["moon", "sun"]
        first = rag.retrieve("Moon orbits", 2, filters={"lang": "en"})
        assert ids(first)[0] == "moon"
        assert isinstance(rag.db, SyncDatabase)
        assert (rag.namespace, rag.model) == (NAMESPACE, None if embedder is None else "hashed")
        assert "SyncRAG 'documents'" in repr(rag)
    with SyncDatabase(Config(path=path, read_only=True)) as db:
        assert SyncRAG(db, embedder).retrieve("Moon orbits", 2, filters={"lang": "en"}) == first


def test_the_blocking_methods_take_the_same() -> None:
    for name, method in vars(RAG).items():
        if inspect.iscoroutinefunction(method) and not name.startswith("_"):
            blocking = getattr(SyncRAG, name)
            assert inspect.signature(blocking) == inspect.signature(method)
            assert blocking.__doc__ == method.__doc__
    for other in (Database(), None):
        with pytest.raises(ValidationError, match="SyncDatabase"):
            SyncRAG(other)  # type: ignore[arg-type]


def test_threads_may_share_one() -> None:
    with SyncDatabase() as db:
        rag = SyncRAG(db, Hashed(), chunk_size=20, overlap=0)
        problems: list[Exception] = []

        def work(seed: int) -> None:
            try:
                for turn in range(5):
                    rag.add_documents([numbered("a", (seed + 3 * turn) % 8, f"s{seed}")])
                    rag.retrieve("text 3")
            except Exception as error:  # noqa: BLE001 - it is looked at below
                problems.append(error)

        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert problems == []
        count = db.get(MANIFESTS, "a")["chunks"]
        assert db.list_keys(NAMESPACE) == [f"a#{index:06d}" for index in range(count)]
