"""Documents, what is stored of them, and what is found of them.

A document is stored as chunks and a manifest. The chunks are values of the namespace, under the
document's id, ``#`` and the chunk's number. The manifest is under the id in a namespace of its own;
it says how many chunks there are, and what they were made from and how. Which chunks are a
document's is read from the manifest, never from how keys begin: ids may contain ``#`` and be
prefixes of each other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from koru_delta import _json
from koru_delta._arguments import check_text
from koru_delta.errors import ValidationError

if TYPE_CHECKING:
    from koru_delta._rag.chunking import Chunk
    from koru_delta._results.matches import Match

__all__ = ["Document", "RetrievedChunk"]

MAX_NAME_BYTES: Final = 1000
"""Of an id or a namespace: what is added to them must fit into a key, too."""

_MANIFESTS: Final = "/manifest"
_MAX_GAP: Final = 1000
"""Longer whitespace between chunks is not kept."""
_set = object.__setattr__


@dataclass(frozen=True, slots=True)
class Document:
    """A text to be retrieved from.

    Attributes:
        id: Its name, 1 to 1,000 bytes of UTF-8 without NUL. Adding another document with this id
            replaces this one.
        text: The text. An empty one is a document that nothing is found of.
        metadata: What filters look at: a dict of JSON values.

    Raises:
        ValidationError: For another type, or a bad id.
        SerializationError: For metadata that is not JSON, with the place.

    Example:
        >>> Document(id="moon", text="The Moon orbits the Earth.", metadata={"lang": "en"})
        Document(id='moon', text='The Moon orbits the Earth.', metadata={'lang': 'en'})
    """

    id: str
    text: str
    metadata: dict[str, Any] = field(default_factory=dict[str, Any], hash=False)

    def __post_init__(self) -> None:
        """Check everything: a bad document should not come as far as an embedder."""
        check_name("the id of a document", self.id)
        check_text(f"the text of document {self.id!r:.60}", self.text)
        if not isinstance(self.metadata, Mapping):
            raise ValidationError(
                f"the metadata of document {self.id!r:.60} is of type "
                f"{type(self.metadata).__name__}",
                suggestion='give a dict such as {"lang": "en"}',
            )
        metadata = dict(self.metadata)
        try:
            _json.encode(metadata)
        except ValidationError as error:
            message = f"the metadata of document {self.id!r:.60}: {error.message}"
            raise type(error)(message, suggestion=error.suggestion) from None
        _set(self, "metadata", metadata)


@dataclass(frozen=True, slots=True)
class RetrievedChunk:
    """A part of a document that was found: ``document.text[start:end]``.

    Attributes:
        document_id: Id of the document.
        text: The text of the chunk.
        score: How well it fits: higher is better. Scores of one search can be compared.
        start: Offset in the document of its first character.
        end: Offset after its last character.
        index: Which chunk of the document it is, counted from 0.
        metadata: The document's metadata.
        key: Key of the chunk in the RAG's namespace.
        version_id: Id of the version that was found.
        timestamp: When that was written, UTC.
    """

    document_id: str
    text: str
    score: float
    start: int
    end: int
    index: int
    metadata: dict[str, Any]
    key: str
    version_id: str
    timestamp: datetime
    _gap: str = field(default="", repr=False, compare=False)
    """Whitespace between the chunk before and this one."""


def check_name(what: str, name: str) -> str:
    """A name that a key or namespace can be made of."""
    size = len(check_text(what, name).encode())
    if not 0 < size <= MAX_NAME_BYTES or "\0" in name:
        raise ValidationError(
            f"{what} is {name!r:.60}, of {size} bytes",
            suggestion=f"give 1 to {MAX_NAME_BYTES} bytes of UTF-8 without NUL",
        )
    return name


def check_namespace(name: str) -> str:
    """A namespace for chunks."""
    check_name("the namespace", name)
    if name.endswith(_MANIFESTS):
        raise ValidationError(
            f"the namespace is {name!r}; those that end so hold what a RAG knows of its documents",
            suggestion="choose another name",
        )
    return name


def manifests_of(namespace: str) -> str:
    """The namespace of the manifests of a namespace."""
    return namespace + _MANIFESTS


def chunk_key(document_id: str, index: int) -> str:
    """The key of a chunk. What comes after its last ``#`` is the number: no two are the same."""
    return f"{document_id}#{index:06d}"


def chunk_values(document: Document, chunks: list[Chunk]) -> list[dict[str, Any]]:
    """What is stored of a document's chunks."""
    values: list[dict[str, Any]] = []
    before = 0
    for index, part in enumerate(chunks):
        value: dict[str, Any] = {
            "text": document.text[part.start : part.end],
            "document": document.id,
            "start": part.start,
            "end": part.end,
            "index": index,
            "metadata": document.metadata,
        }
        if index and before < part.start <= before + _MAX_GAP:
            value["gap"] = document.text[before : part.start]
        before = part.end
        values.append(value)
    return values


def manifest_of(
    document: Document, chunk_size: int, overlap: int, model: str | None
) -> dict[str, Any]:
    """What is stored of a document, but for the number of its chunks."""
    from hashlib import sha256  # Here: not everybody who imports the package adds documents.

    return {
        "size": len(document.text),
        "sha256": sha256(document.text.encode()).hexdigest(),
        "chunk_size": chunk_size,
        "overlap": overlap,
        "metadata": document.metadata,
        "model": model,
    }


def is_unchanged(manifest: dict[str, Any], stored: Any) -> bool:
    """Whether the chunks that are stored are those of a manifest."""
    same = {**manifest, "chunks": chunk_count(stored)}
    # Not `==`: for that, 1 and true are equal.
    return json.dumps(same, sort_keys=True) == json.dumps(stored, sort_keys=True)


def chunk_count(stored: Any) -> int:
    """How many chunks a stored manifest tells of."""
    try:
        return int(stored["chunks"])
    except (KeyError, TypeError, ValueError):
        return 0  # There is none, or somebody else has put it there.


def retrieved(match: Match) -> RetrievedChunk | None:
    """The chunk that a search found; None for a value that somebody else has put there."""
    value = match.value
    try:
        return RetrievedChunk(
            value["document"], value["text"], match.score, value["start"], value["end"],
            value["index"], value["metadata"], match.key, match.version_id, match.timestamp,
            value.get("gap", ""),
        )  # fmt: skip
    except (KeyError, TypeError, AttributeError):
        return None
