"""Adding and removing documents.

Everything that can be wrong is found before anything is written: documents are checked, cut and
embedded first, all of them. Then they are written in commits of a bounded size. A document is
never parted between two: its new chunks, the removal of the surplus old ones and its manifest come
together. How many old ones there are is read again just before, while nobody else of this process
may write documents.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypedDict

from koru_delta._rag.chunking import Chunk, chunk
from koru_delta._rag.documents import (
    Document,
    chunk_count,
    chunk_key,
    chunk_values,
    is_unchanged,
    manifest_of,
    manifests_of,
)
from koru_delta._rag.turns import writing
from koru_delta.errors import ValidationError

if TYPE_CHECKING:
    from koru_delta._embedders import Embedder
    from koru_delta.database import Database

Report: TypeAlias = Callable[[int, int], object]

_COMMIT_CHUNKS: Final = 256
_COMMIT_CHARACTERS: Final = 1024 * 1024
"""When a commit has so much, the next document goes into another one."""
_LONG_CHARACTERS: Final = 50_000
"""Cutting more than this goes to a worker thread."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How documents are stored."""

    namespace: str
    chunk_size: int
    overlap: int
    model: str | None
    """Name of the model of the vectors; None without vectors."""


class RAGOptions(TypedDict, total=False):
    """What can be given to a :class:`RAG` by name."""

    namespace: str
    chunk_size: int
    overlap: int
    weight: float
    model: str | None
    retries: int


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document that is to be written."""

    document: Document
    chunks: list[Chunk]
    manifest: dict[str, Any]
    first: int
    """Which of all chunks is its first."""


def check_documents(documents: Any) -> list[Document]:
    """The documents as a list, if they are some, and have different ids."""
    if isinstance(documents, Document):
        return [documents]
    if isinstance(documents, str) or not isinstance(documents, Iterable):
        raise ValidationError(
            f"documents is of type {type(documents).__name__}",
            suggestion="give a list of Document(id, text, metadata)",
        )
    found: list[Any] = [*documents]
    seen: set[str] = set()
    for index, document in enumerate(found):
        if not isinstance(document, Document):
            raise ValidationError(
                f"document {index} is of type {type(document).__name__}",
                suggestion="give Document(id, text, metadata)",
            )
        if document.id in seen:
            raise ValidationError(
                f"document {index} has the id {document.id!r:.60}, as one before",
                suggestion="give each document an id of its own; nothing was written",
            )
        seen.add(document.id)
    return found


async def add_documents(
    db: Database,
    settings: Settings,
    documents: list[Document],
    embedder: Embedder | None,
    report: Report | None,
) -> int:
    """Write what has changed, and tell how many chunks that was."""
    known = await db.get_many(
        manifests_of(settings.namespace), [document.id for document in documents]
    )
    if sum(len(document.text) for document in documents) > _LONG_CHARACTERS:
        changed = await db._session.in_thread(prepare, settings, documents, known)
    else:
        changed = prepare(settings, documents, known)
    total = sum(len(item.chunks) for item in changed)
    vectors: Any = None
    if embedder is not None and total:
        texts = [
            item.document.text[part.start : part.end] for item in changed for part in item.chunks
        ]
        vectors = await embedder.documents(texts, progress=report)
        if db._config.vector_metric == "cosine":
            _check_directions(changed, vectors)
    for group in commits(changed):
        await _write(db, settings, group, vectors)
        if vectors is None and report is not None and total:
            report(group[-1].first + len(group[-1].chunks), total)
    return total


def prepare(settings: Settings, documents: list[Document], known: dict[str, Any]) -> list[Prepared]:
    """Cut the documents that are not stored as they are."""
    changed: list[Prepared] = []
    first = 0
    for document in documents:
        manifest = manifest_of(document, settings.chunk_size, settings.overlap, settings.model)
        if is_unchanged(manifest, known.get(document.id)):
            continue
        chunks = chunk(document.text, size=settings.chunk_size, overlap=settings.overlap)
        manifest["chunks"] = len(chunks)
        changed.append(Prepared(document, chunks, manifest, first))
        first += len(chunks)
    return changed


def _check_directions(changed: list[Prepared], vectors: Any) -> None:
    rows = iter(vectors)
    for item in changed:
        for index, row in zip(range(len(item.chunks)), rows, strict=False):
            if not any(row):
                raise ValidationError(
                    f"the vector of chunk {index} of document {item.document.id!r:.60} is all "
                    "zeros: it has no direction",
                    suggestion="find out what the embedder does with it, or set "
                    'Config.vector_metric to "dot"; nothing was written',
                )


def commits(changed: list[Prepared]) -> Iterator[list[Prepared]]:
    """The documents in groups, each of them one commit."""
    group: list[Prepared] = []
    chunks = characters = 0
    for item in changed:
        group.append(item)
        chunks += len(item.chunks)
        characters += len(item.document.text)
        if chunks >= _COMMIT_CHUNKS or characters >= _COMMIT_CHARACTERS:
            yield group
            group = []
            chunks = characters = 0
    if group:
        yield group


async def _write(db: Database, settings: Settings, group: list[Prepared], vectors: Any) -> None:
    namespace = settings.namespace
    manifests = manifests_of(namespace)
    puts = [
        (namespace, chunk_key(item.document.id, index), value)
        for item in group
        for index, value in enumerate(chunk_values(item.document, item.chunks))
    ]
    rows = None
    if vectors is not None and puts:
        rows = vectors[group[0].first : group[0].first + len(puts)]
    puts += [(manifests, item.document.id, item.manifest) for item in group]
    async with writing(db._session):
        stored = await db.get_many(manifests, [item.document.id for item in group])
        surplus = [
            (namespace, chunk_key(item.document.id, index))
            for item in group
            for index in range(len(item.chunks), chunk_count(stored.get(item.document.id)))
        ]
        await db._write_together(
            puts, surplus, vectors=rows, vector_namespace=namespace, model=settings.model or ""
        )


async def remove_document(db: Database, namespace: str, document_id: str) -> bool:
    """Delete a document's chunks and manifest in one commit; whether there was one."""
    manifests = manifests_of(namespace)
    async with writing(db._session):
        stored = await db.get(manifests, document_id, default=None)
        if stored is None:
            return False
        keys = [(namespace, chunk_key(document_id, i)) for i in range(chunk_count(stored))]
        await db._write_together([], [*keys, (manifests, document_id)])
    return True


def print_progress(done: int, total: int) -> None:
    """Say on standard error how far adding is."""
    end = "\n" if done == total else ""
    sys.stderr.write(f"\r{done:,} of {total:,} chunks ({100 * done // total} %){end}")
    sys.stderr.flush()
