"""The examples in the documentation of retrieval run, and print what they say."""

from __future__ import annotations

import inspect
from typing import Any

from doc_examples import examples, run

import koru_delta.rag
from koru_delta import Database
from koru_delta.rag import RAG, Document, RetrievedChunk, SyncRAG

# In the order in which they tell a story.
TOLD = [
    Document,
    RAG,
    RAG.list_documents,
    RAG.retrieve,
    RAG.query,
    RAG.add_documents,
    RAG.remove_document,
    RAG.open,
    SyncRAG,
]


async def test_the_examples_print_what_they_say() -> None:
    async with Database() as db:
        names: dict[str, Any] = {"db": db, "RAG": RAG, "SyncRAG": SyncRAG, "Document": Document}
        for documented in TOLD:
            found = examples(documented)
            assert found, documented
            for example in found:
                printed = await run(example.source, names)
                assert printed == example.want.replace("<BLANKLINE>", ""), example.source


def test_no_example_is_left_out() -> None:
    for cls in (Document, RAG, RetrievedChunk):
        for owner in (cls, *vars(cls).values()):
            if getattr(owner, "__module__", "").startswith("koru_delta") and examples(owner):
                assert owner.__qualname__ in {one.__qualname__ for one in TOLD}


def test_every_method_has_an_example() -> None:
    for name, member in vars(RAG).items():
        if inspect.iscoroutinefunction(member) and not name.startswith("_"):
            assert examples(member), name


def test_every_public_name_is_documented() -> None:
    assert set(koru_delta.rag.__all__) == {"RAG", "Document", "RetrievedChunk", "SyncRAG"}
    for name in koru_delta.rag.__all__:
        cls = getattr(koru_delta.rag, name)
        assert cls.__doc__, name
        assert not cls.__doc__.startswith(f"{name}("), name
        for member_name, member in vars(cls).items():
            if not member_name.startswith("_") and (inspect.isroutine(member) or name == "RAG"):
                assert inspect.getdoc(member), f"{name}.{member_name}"
