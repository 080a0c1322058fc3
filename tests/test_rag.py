"""Documents go in as a whole, replace what they replace and nothing else, and come out again."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from processes import run_python
from rag_documents import (
    MANIFESTS,
    MOND,
    MOON,
    NAMESPACE,
    SUN,
    TROUBLING_IDS,
    Hashed,
    numbered,
    stored,
    texts_of,
)

from koru_delta import Database, KoruDeltaError, ValidationError
from koru_delta.rag import RAG, Document, RetrievedChunk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import FileOpener

SMALL = {"chunk_size": 20, "overlap": 0}


# Documents.


def test_a_document_is_a_frozen_value() -> None:
    document = Document("a", "text", {"x": 1})
    assert document == Document(id="a", text="text", metadata={"x": 1})
    assert Document("a", "text").metadata == {}
    assert hash(document) == hash(Document("a", "text"))
    with pytest.raises(dataclasses.FrozenInstanceError):
        document.text = "other"  # type: ignore[misc]
    for kind in (Document, RetrievedChunk):
        assert not hasattr(kind, "__dict__") or "__slots__" in vars(kind)


def test_a_document_keeps_its_metadata_when_the_given_dict_changes() -> None:
    given_dict = {"x": 1}
    document = Document("a", "text", given_dict)
    given_dict["x"] = 2
    assert document.metadata == {"x": 1}


# Adding.


@pytest.mark.parametrize("embedder", [None, Hashed()])
async def test_chunks_are_exactly_the_text(db: Database, embedder: Any) -> None:
    texts = [
        MOON.text,
        "東京は日本の首都である。人口は多い。" * 9,
        "🚀👩‍👩‍👧‍👦" * 60,
        "no-spaces-at-all" * 30,
        "  \n lead and trail \t" * 9,
        "é\u0301" * 99,
    ]
    rag = RAG(db, embedder, chunk_size=33, overlap=8)
    documents = [Document(f"d{number}", text) for number, text in enumerate(texts)]
    written = await rag.add_documents(documents)
    values = await stored(db)
    assert written == len(values)
    for document in documents:
        own = [value for value in values.values() if value["document"] == document.id]
        assert own
        for value in own:
            assert value["text"] == document.text[value["start"] : value["end"]]
            assert 0 < len(value["text"]) <= 33
        covered = {at for value in own for at in range(value["start"], value["end"])}
        bare = [at for at, character in enumerate(document.text) if at not in covered]
        assert all(document.text[at].isspace() for at in bare)


async def test_vectors_are_stored_under_the_name_of_their_model(db: Database) -> None:
    embedder = Hashed("model-1")
    rag = RAG(db, embedder)
    assert await rag.add_documents([MOON, SUN]) == 2
    assert list(await db.vector(NAMESPACE, "moon#000000")) == pytest.approx(
        embedder.vector(MOON.text)
    )
    [held] = (await db.stats()).vectors
    assert (held.namespace, held.model, held.vectors) == (NAMESPACE, "model-1", 2)
    assert rag.model == "model-1"
    assert RAG(db, embedder, model="mine").model == "mine"
    assert RAG(db).model is None


async def test_a_document_that_is_the_same_is_left_alone(db: Database) -> None:
    embedder = Hashed()
    rag = RAG(db, embedder, **SMALL)
    assert await rag.add_documents([MOON, SUN]) > 2
    head, asked = db.head, len(embedder.texts)
    same = Document("moon", MOON.text, dict(reversed(MOON.metadata.items())))
    assert await rag.add_documents([same, SUN]) == 0
    assert (db.head, len(embedder.texts)) == (head, asked)
    assert await rag.add_documents([]) == 0


async def test_whatever_chunks_depend_on_makes_a_document_new(db: Database) -> None:
    embedder = Hashed()
    document = Document("a", "some text", {"x": 1})
    await RAG(db, embedder).add_documents([document])
    for rag, changed in (
        (RAG(db, embedder), Document("a", "some texts", {"x": 1})),
        (RAG(db, embedder), Document("a", "some texts", {"x": True})),
        (RAG(db, embedder), Document("a", "some texts", {"x": 1.0})),
        (RAG(db, embedder, chunk_size=100), Document("a", "some texts", {"x": 1.0})),
        (RAG(db, embedder, chunk_size=100, overlap=1), Document("a", "some texts", {"x": 1.0})),
        (RAG(db, Hashed("other")), Document("a", "some texts", {"x": 1.0})),
        (RAG(db), Document("a", "some texts", {"x": 1.0})),
    ):
        assert await rag.add_documents([changed]) == 1
        assert await rag.add_documents([changed]) == 0


async def test_adding_again_replaces_all_chunks(db: Database) -> None:
    rag = RAG(db, Hashed(), **SMALL)
    for chunks in (3, 7, 1, 0, 2):
        document = numbered("a", chunks, f"v{chunks}")
        assert await rag.add_documents([document]) == chunks
        assert "\n\n".join(await texts_of(db, "a")) == document.text
        assert await rag.list_documents() == ["a"]


@pytest.mark.parametrize("embedder", [None, Hashed()])
async def test_ids_never_interfere(db: Database, embedder: Any) -> None:
    rag = RAG(db, embedder, **SMALL)
    documents = {name: numbered(name, 3) for name in TROUBLING_IDS}
    assert await rag.add_documents(documents.values()) == 3 * len(documents)
    assert await rag.list_documents() == sorted(documents, key=str.encode)
    for name in TROUBLING_IDS:
        before = {key: await db.history(NAMESPACE, key) for key in await db.list_keys(NAMESPACE)}
        mine = {f"{name}#{index:06d}" for index in range(3)}
        assert await rag.add_documents([numbered(name, 1, "new")]) == 1
        assert await texts_of(db, name) == ["new 000000000 end."]
        assert await rag.remove_document(name)
        assert await texts_of(db, name) == []
        for key, versions in before.items():
            assert (await db.history(NAMESPACE, key) == versions) == (key not in mine)
        assert await rag.add_documents([documents[name]]) == 3
    assert len(await db.list_keys(NAMESPACE)) == 3 * len(documents)


async def test_a_document_is_written_in_one_commit(db: Database) -> None:
    rag = RAG(db, Hashed(), **SMALL)
    await rag.add_documents([numbered("a", 5)])
    await rag.add_documents([numbered("a", 2, "new")])
    moments = {
        (await db.history(NAMESPACE, f"a#{index:06d}"))[-1].timestamp_us for index in range(5)
    }
    assert moments == {(await db.history(MANIFESTS, "a"))[-1].timestamp_us}
    await rag.remove_document("a")
    gone = {(await db.history(NAMESPACE, f"a#{index:06d}"))[-1].timestamp_us for index in range(2)}
    assert gone == {(await db.history(MANIFESTS, "a"))[-1].timestamp_us}


async def test_many_documents_share_commits_and_large_ones_have_their_own(db: Database) -> None:
    rag = RAG(db, **SMALL)
    await rag.add_documents([numbered(f"d{number}", 100) for number in range(5)])
    moments = [(await db.history(MANIFESTS, f"d{number}"))[0].timestamp_us for number in range(5)]
    assert moments[0] == moments[1] == moments[2] < moments[3] == moments[4]


async def test_a_large_document(db: Database) -> None:
    rag = RAG(db, Hashed(dimension=8), chunk_size=64, overlap=8)
    text = "A sentence of some words that is repeated. " * 20_000
    written = await rag.add_documents([Document("large", text)])
    assert written > 13_000
    assert await rag.add_documents([Document("large", "small now")]) == 1
    assert await db.list_keys(NAMESPACE) == ["large#000000"]


async def test_removing(db: Database) -> None:
    rag = RAG(db, Hashed(), **SMALL)
    await rag.add_documents([MOON, SUN])
    before = await db.put("other", "key", 1)
    others = await texts_of(db, "sun")
    assert await rag.remove_document("moon") is True
    assert await rag.remove_document("moon") is False
    assert await rag.remove_document("never was") is False
    assert await rag.list_documents() == ["sun"]
    assert await rag.list_documents(at=before) == ["moon", "sun"]
    assert await texts_of(db, "sun") == others
    assert len(await stored(db)) == len(others)
    assert await rag.add_documents([MOON]) > 0
    for bad in ("", "a\0", 3, None):
        with pytest.raises(ValidationError, match="id of a document"):
            await rag.remove_document(bad)  # type: ignore[arg-type]


# Progress, databases, time.


@pytest.mark.parametrize("embedder", [None, Hashed()])
async def test_progress_counts_chunks(
    db: Database, embedder: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    rag = RAG(db, embedder, **SMALL)
    told: list[tuple[int, int]] = []
    documents = [numbered(f"d{number}", 500) for number in range(3)]
    await rag.add_documents(documents, progress=lambda done, total: told.append((done, total)))
    assert [total for _, total in told] == [1500] * len(told)
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    assert told[-1] == (1500, 1500)
    assert len(told) > 1
    assert await rag.add_documents(documents, progress=True) == 0
    assert capsys.readouterr().err == ""
    await rag.add_documents([numbered("d0", 2)], progress=True)
    assert capsys.readouterr().err == "\r2 of 2 chunks (100 %)\n"


async def test_one_database_holds_several(db: Database) -> None:
    await db.put("documents/other", "moon#000000", "not ours")
    first, second = RAG(db, Hashed()), RAG(db, namespace="documents/2")
    await first.add_documents([MOON])
    await second.add_documents([SUN, MOND])
    assert await first.list_documents() == ["moon"]
    assert await second.list_documents() == ["mond", "sun"]
    await second.remove_document("moon")
    await second.remove_document("sun")
    assert await db.list_namespaces() == [
        "documents", "documents/2", "documents/2/manifest", "documents/manifest", "documents/other",
    ]  # fmt: skip
    assert await db.get("documents/other", "moon#000000") == "not ours"
    assert "words and vectors of 'hashed'" in repr(first)
    assert "'documents/2'" in repr(second)
    assert first.db is db
    assert second.namespace == "documents/2"


async def test_a_rag_may_open_its_own_database(path: Path) -> None:
    async with RAG.open(path, Hashed(), chunk_size=100, overlap=0) as rag:
        assert await rag.add_documents([MOON, SUN]) == 2
        db = rag.db
    with pytest.raises(KoruDeltaError):
        await db.get("a", "key")
    async with RAG.open(path, Hashed(), chunk_size=100, overlap=0) as rag:
        assert await rag.add_documents([MOON, SUN]) == 0
        assert await rag.list_documents() == ["moon", "sun"]
    with pytest.raises(ZeroDivisionError):
        async with RAG.open(path) as rag:
            _ = 1 / 0
    async with RAG.open(None) as rag:
        assert await rag.list_documents() == []


async def test_documents_are_there_after_opening_again(
    open_file: FileOpener, reopen: Callable[..., Any]
) -> None:
    db = await open_file()
    await RAG(db, Hashed(), **SMALL).add_documents([MOON, SUN])
    await RAG(db, Hashed(), **SMALL).add_documents([numbered("sun", 2)])
    texts = await texts_of(db, "moon")
    db = await reopen(db)
    rag = RAG(db, Hashed(), **SMALL)
    assert await rag.add_documents([MOON, numbered("sun", 2)]) == 0
    assert await texts_of(db, "moon") == texts
    assert len(await texts_of(db, "sun")) == 2
    assert (await db.verify()).ok


async def test_documents_can_be_added_at_the_same_time(db: Database) -> None:
    async def work(seed: int) -> None:
        rag = RAG(db, Hashed(), **SMALL)
        for turn in range(6):
            chunks = (seed * 7 + turn * 5) % 9
            if chunks == 8:
                await rag.remove_document("a")
            else:
                await rag.add_documents([numbered("a", chunks, f"s{seed}"), numbered("b", 3)])

    await asyncio.gather(*(work(seed) for seed in range(6)))
    manifest = await db.get(MANIFESTS, "a", {"chunks": 0})
    keys = await db.list_keys(NAMESPACE, prefix="a#")
    assert keys == [f"a#{index:06d}" for index in range(manifest["chunks"])]
    assert len({text.split()[0] for text in await texts_of(db, "a")}) <= 1


actions = st.lists(
    st.tuples(st.sampled_from(TROUBLING_IDS[:12]), st.none() | st.integers(0, 4), st.booleans()),
    max_size=15,
)


@given(actions=actions)
async def test_documents_are_as_a_model_says(actions: list[tuple[str, int | None, bool]]) -> None:
    model: dict[str, Document] = {}
    async with Database() as db:
        for turn, (name, chunks, with_vectors) in enumerate(actions):
            rag = RAG(db, Hashed() if with_vectors else None, **SMALL)
            if chunks is None:
                assert await rag.remove_document(name) == (model.pop(name, None) is not None)
            else:
                model[name] = numbered(name, chunks, f"t{turn % 3}")
                assert await rag.add_documents([model[name]]) in (0, chunks)
        assert await rag_ids(db) == sorted(model, key=str.encode)
        for name, document in model.items():
            assert "\n\n".join(await texts_of(db, name)) == document.text
        counts = [(await db.get(MANIFESTS, name))["chunks"] for name in model]
        assert len(await stored(db)) == sum(counts)


async def rag_ids(db: Database) -> list[str]:
    return await RAG(db).list_documents()


def test_importing_does_not_import_asyncio_or_numpy() -> None:
    printed = run_python(
        """
        import sys, koru_delta.rag
        print(sorted({"asyncio", "numpy", "hashlib"} & set(sys.modules)))
        """
    )
    assert printed == "[]"
