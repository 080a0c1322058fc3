"""Retrieval-augmented generation: documents in, passages with citations out.

Documents are cut into chunks, embedded if there is an embedder, and found by their words (BM25) and
their meaning (vectors) together. They are versioned as everything in a database is: a document that
is added again replaces what there was, and the past can still be asked.

    async with RAG.open("~/.myapp/docs.koru", embedder) as rag:
        await rag.add_documents([Document(id="doc1", text="...", metadata={"lang": "en"})])
        chunks = await rag.retrieve("What is ...?", top_k=5)
        context = await rag.query("What is ...?")

Without an embedder retrieval is by words alone, and no model is needed. :class:`SyncRAG` has the
same methods without ``await``.
"""

from __future__ import annotations

import functools
import os
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterable, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, Self, TypeVar, Unpack

from koru_delta._arguments import check_text, check_top_k
from koru_delta._rag import chunk
from koru_delta._rag.adding import (
    RAGOptions,
    Settings,
    add_documents,
    check_documents,
    print_progress,
    remove_document,
)
from koru_delta._rag.context import check_budget, context
from koru_delta._rag.documents import (
    Document,
    RetrievedChunk,
    check_name,
    check_namespace,
    manifests_of,
)
from koru_delta._rag.retrieval import check_weight, retrieve
from koru_delta.config import Config
from koru_delta.database import Database
from koru_delta.errors import ValidationError
from koru_delta.sync_database import SyncDatabase, _run

if TYPE_CHECKING:
    from koru_delta._times import Time

__all__ = ["RAG", "Document", "RetrievedChunk", "SyncRAG"]

_P = ParamSpec("_P")
_T = TypeVar("_T")

_NAMESPACE: Final = "documents"
_CHUNK_SIZE: Final = 512
_OVERLAP: Final = 64
_WEIGHT: Final = 0.65
"""Chosen by half of the questions of ``tests/bench/retrieval.py``; on the other half it is no worse
than words or vectors alone, for any kind of question. From 0.55 to 0.75 it matters little."""


class RAG:
    """Documents to retrieve from, in one namespace of a database.

    The database may hold anything else besides, other RAGs in namespaces of their own included. The
    namespace holds the chunks; another one, whose name has ``/manifest`` added, what there is of
    each document.

    Args:
        db: An open :class:`Database`. It stays open when the RAG is done with.
        embedder: Makes vectors of texts: a function from a list of texts to as many vectors, which
            may be async; an object with ``embed_documents`` and ``embed_query``, as LangChain has
            them, or with ``encode``; see :mod:`koru_delta.utils` for more. None retrieves by words.
        namespace: Namespace of the chunks, 1 to 1,000 bytes.
        chunk_size: Most characters of a chunk, without exception.
        overlap: Most characters of a chunk that the one before has, too.
        weight: How much the vectors count: 0 is words alone, 1 is vectors alone.
        model: Name of the embedder's model. None for what the embedder has as ``model_name`` or
            ``model``. Vectors are stored under it, and those of another are never compared.
        retries: How often to call the embedder again after an exception.

    Raises:
        ValidationError: For anything that is not as described, and an overlap that is not smaller
            than the chunks.

    Example:
        >>> rag = RAG(db)
        >>> await rag.add_documents([Document("moon", "The Moon orbits the Earth.")])
        1
        >>> [chunk.text for chunk in await rag.retrieve("What does the Moon orbit?")]
        ['The Moon orbits the Earth.']
    """

    def __init__(
        self,
        db: Database,
        embedder: Any = None,
        namespace: str = _NAMESPACE,
        chunk_size: int = _CHUNK_SIZE,
        overlap: int = _OVERLAP,
        *,
        weight: float = _WEIGHT,
        model: str | None = None,
        retries: int = 0,
    ) -> None:
        """Check everything; nothing is read or written yet."""
        from koru_delta._embedders import embedder_for  # Here: it imports asyncio.

        if not isinstance(db, Database):
            raise ValidationError(
                f"the database is of type {type(db).__name__}",
                suggestion="give a Database; for a SyncDatabase there is SyncRAG, and for a path "
                "RAG.open",
            )
        try:
            chunk("", size=chunk_size, overlap=overlap)
        except ValidationError as error:
            message = error.message.replace("size is", "chunk_size is")
            raise ValidationError(message, suggestion=error.suggestion) from None
        self._db = db
        self._embedder = embedder_for(embedder, blocking=db._session.blocking, retries=retries)
        name: str | None = None
        if self._embedder is not None:
            name = self._embedder.model if model is None else check_text("model", model)
        elif model is not None:
            raise ValidationError(
                f"there is a model, {model!r:.60}, and no embedder", suggestion="give both, or none"
            )
        self._settings = Settings(check_namespace(namespace), chunk_size, overlap, name)
        self._weight = check_weight(weight)

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        path: Config | str | os.PathLike[str] | None,
        embedder: Any = None,
        **options: Unpack[RAGOptions],
    ) -> AsyncGenerator[Self]:
        """A RAG with a database of its own, which is closed at the end of ``async with``.

        Args:
            path: A path, a :class:`Config`, or None for a database in memory.
            embedder: As :class:`RAG` takes it.
            **options: The other arguments of :class:`RAG`, by name.

        Raises:
            ValidationError: As :class:`RAG`.
            StorageError: As :meth:`Database.create`.

        Example:
            >>> async with RAG.open(None) as rag:
            ...     await rag.add_documents([Document("doc1", "...")])
            1
        """
        async with Database(path) as db:
            yield cls(db, embedder, **options)

    def __repr__(self) -> str:
        """What it retrieves from, and by what."""
        how = "words" if self._embedder is None else f"words and vectors of {self.model!r}"
        return f"<{type(self).__name__} {self.namespace!r} of {self._db!r}, by {how}>"

    @property
    def db(self) -> Database:
        """The database."""
        return self._db

    @property
    def namespace(self) -> str:
        """Namespace of the chunks."""
        return self._settings.namespace

    @property
    def model(self) -> str | None:
        """Name of the embedder's model, ``""`` if it has none; None without an embedder."""
        return self._settings.model

    async def add_documents(
        self,
        documents: Iterable[Document],
        *,
        progress: bool | Callable[[int, int], object] = False,
    ) -> int:
        """Add documents, or replace those that have the same id.

        All documents are checked, cut and embedded before anything is written: if one is bad, or
        the embedder fails, nothing was written. Then they are written document by document, small
        ones together in one commit, and each is replaced as a whole: a reader sees the old one
        or the new one. A document that is stored with the same text, metadata, sizes of chunks and
        model is left alone. If memory, disk or the file give out, documents before stay.

        Args:
            documents: Each with another id. All of their vectors are in memory at once.
            progress: True prints to standard error; a function is called with the number of chunks
                that are done (embedded, or without an embedder written) and their total, perhaps in
                a worker thread.

        Returns:
            How many chunks were written.

        Raises:
            ValidationError: For something that is no :class:`Document`, two of the same id, or an
                embedder that returns too many or too few vectors, vectors of another dimension, or
                what is no vector.
            LimitExceededError: When memory or disk are full, or a document is too large for one
                commit: some 60 MiB of text, or 100,000 chunks.
            StorageError: If the log could not be written.
            Exception: What the embedder raised, with a note that says for which texts.

        Example:
            >>> mars = Document("mars", "Mars has two moons, Phobos and Deimos.")
            >>> await rag.add_documents([mars]), await rag.add_documents([mars])
            (1, 0)
        """
        report = print_progress if progress is True else progress or None
        return await add_documents(
            self._db, self._settings, check_documents(documents), self._embedder, report
        )

    async def remove_document(self, document_id: str) -> bool:
        """Delete a document with all of its chunks, in one commit. Its past can still be asked.

        Returns:
            Whether there was one.

        Raises:
            ValidationError: For a bad id.
            StorageError: If the log could not be written.

        Example:
            >>> await rag.remove_document("mars"), await rag.remove_document("mars")
            (True, False)
        """
        name = check_name("the id of a document", document_id)
        return await remove_document(self._db, self.namespace, name)

    async def list_documents(self, *, at: Time | None = None) -> list[str]:
        """The ids of all documents, sorted by their UTF-8 bytes, now or as of a time.

        Example:
            >>> await rag.list_documents()
            ['moon']
        """
        return await self._db.list_keys(manifests_of(self.namespace), at=at)

    async def retrieve(
        self,
        question: str,
        top_k: int = 5,
        *,
        filters: Mapping[str, Any] | None = None,
        weight: float | None = None,
        at: Time | None = None,
    ) -> list[RetrievedChunk]:
        """The chunks that fit a question best, best first; equal ones by key.

        With an embedder this is :meth:`Database.hybrid`, without one :meth:`Database.search`. What
        is an operator there (quotes, ``+``, ``-``, ``*``) is not in a question.

        Args:
            question: What to look for, in plain language, up to 4 KiB of UTF-8. One without a
                letter or digit finds nothing.
            top_k: At most so many chunks, 1 to 10,000.
            filters: Only documents whose metadata match: ``{"year": {"$gte": 2020}}``, as
                :meth:`Database.query` takes it. ``$document`` is the document's id:
                ``{"$document": {"$in": ["a", "b"]}}``.
            weight: How much the vectors count; None for what the RAG was made with.
            at: As of this time.

        Raises:
            ValidationError: For a bad question, ``top_k``, filter, weight or time. With an embedder
                also if there are documents without vectors of its model, unless the weight is 0:
                add all of them again, then they have.
            LimitExceededError: For a question of over 4 KiB.
            Exception: What the embedder raised, with a note.

        Example:
            >>> found = await rag.retrieve("Moon", filters={"$document": "moon"})
            >>> found[0].document_id, found[0].start, found[0].end
            ('moon', 0, 26)
        """
        return await retrieve(
            self._db, self.namespace, self._embedder, self.model, question, check_top_k(top_k),
            weight=self._weight if weight is None else check_weight(weight),
            filters=filters, at=at,
        )  # fmt: skip

    async def query(
        self,
        question: str,
        top_k: int = 5,
        filters: Mapping[str, Any] | None = None,
        *,
        max_chars: int | None = None,
        weight: float | None = None,
        at: Time | None = None,
    ) -> str:
        """A context for a language model: passages that fit a question, with citations.

        The chunks of :meth:`retrieve`, best first and numbered from 1. Those of one document that
        overlap or follow each other are one passage; what was said word for word is not said again.
        At the end there is a list of sources: number, document and offsets, so that each passage is
        ``document.text[start:end]``. The same chunks always give the same context.

        Args:
            question: As :meth:`retrieve` takes it.
            top_k: At most so many chunks are looked at.
            filters: As :meth:`retrieve` takes them.
            max_chars: The context has at most so many characters, sources included; None for no
                limit. The first passage that does not fit is cut at a sentence or word.
            weight: How much the vectors count.
            at: As of this time.

        Returns:
            The context; ``""`` if nothing was found, or nothing fits into ``max_chars``.

        Raises:
            ValidationError: As :meth:`retrieve`, or for a bad ``max_chars``.
            LimitExceededError: As :meth:`retrieve`.
            Exception: What the embedder raised, with a note.

        Example:
            >>> print(await rag.query("What does the Moon orbit?"))
            [1] The Moon orbits the Earth.
            <BLANKLINE>
            Sources:
            [1] moon, characters 0 to 26
        """
        check_budget(max_chars)
        found = await self.retrieve(question, top_k, filters=filters, weight=weight, at=at)
        return context(found, max_chars)


def _blocking(
    method: Callable[Concatenate[RAG, _P], Coroutine[Any, Any, _T]],
) -> Callable[Concatenate[SyncRAG, _P], _T]:
    @functools.wraps(method)
    def call(self: SyncRAG, /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        return _run(method(self._rag, *args, **kwargs))

    return call


class SyncRAG:
    """A :class:`RAG` whose methods block, on a :class:`SyncDatabase`. Threads may share one.

    Example:
        >>> with SyncRAG.open(None) as rag:
        ...     written = rag.add_documents([Document("moon", "The Moon orbits the Earth.")])
        ...     [chunk.document_id for chunk in rag.retrieve("Moon")]
        ['moon']
    """

    def __init__(
        self,
        db: SyncDatabase,
        embedder: Any = None,
        **options: Unpack[RAGOptions],
    ) -> None:
        """As :class:`RAG`."""
        if not isinstance(db, SyncDatabase):
            raise ValidationError(
                f"the database is of type {type(db).__name__}",
                suggestion="give a SyncDatabase; for a Database there is RAG, and for a path "
                "SyncRAG.open",
            )
        self._sync_db = db
        self._rag = RAG(db._database, embedder, **options)

    @classmethod
    @contextmanager
    def open(
        cls,
        path: Config | str | os.PathLike[str] | None,
        embedder: Any = None,
        **options: Unpack[RAGOptions],
    ) -> Generator[Self]:
        """A RAG with a database of its own, which is closed at the end of ``with``."""
        with SyncDatabase(path) as db:
            yield cls(db, embedder, **options)

    def __repr__(self) -> str:
        """What it retrieves from, and by what."""
        return repr(self._rag).replace("<RAG", f"<{type(self).__name__}", 1)

    @property
    def db(self) -> SyncDatabase:
        """The database."""
        return self._sync_db

    @property
    def namespace(self) -> str:
        """Namespace of the chunks."""
        return self._rag.namespace

    @property
    def model(self) -> str | None:
        """Name of the embedder's model."""
        return self._rag.model

    add_documents = _blocking(RAG.add_documents)
    remove_document = _blocking(RAG.remove_document)
    list_documents = _blocking(RAG.list_documents)
    retrieve = _blocking(RAG.retrieve)
    query = _blocking(RAG.query)
