"""Documents and an embedder for the tests of retrieval."""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING, Any

from koru_delta.rag import Document

if TYPE_CHECKING:
    from koru_delta import Database

NAMESPACE = "documents"
MANIFESTS = "documents/manifest"
DIMENSION = 64

TROUBLING_IDS = [
    "a", "a#", "a#0", "a#000000", "a#000001", "a#000000#000000", "a#1000000", "#", "##000001",
    "a/b", "a/", "/", "a b", "a\nb", "ä", "a\u0308", "文書#", "🚀", "manifest", "b" * 1000,
    "a" * 993 + "#000000",
]  # fmt: skip

MOON = Document(
    "moon", "The Moon orbits the Earth. It takes a month.", {"lang": "en", "year": 1969}
)
SUN = Document(
    "sun", "The Sun shines. The Earth orbits it in a year.", {"lang": "en", "year": 1543}
)
MOND = Document("mond", "Der Mond scheint hell in der Nacht.", {"lang": "de", "tags": ["nacht"]})


class Hashed:
    """An embedder that needs no model: each word is a direction. It counts what it is asked."""

    def __init__(self, name: str = "hashed", dimension: int = DIMENSION) -> None:
        self.model_name = name
        self.dimension = dimension
        self.texts: list[str] = []

    def __call__(self, texts: list[str]) -> list[list[float]]:
        self.texts += texts
        return [self.vector(text) for text in texts]

    def vector(self, text: str) -> list[float]:
        vector = [0.001] * self.dimension
        for word in re.findall(r"\w+", text.lower()):
            vector[zlib.crc32(word.encode()) % self.dimension] += 1
        return vector


def numbered(document_id: str, chunks: int, mark: str = "text") -> Document:
    """A document of so many chunks of up to 20 characters, if there is no overlap."""
    return Document(document_id, "\n\n".join(f"{mark} {n:09d} end." for n in range(chunks)))


async def stored(db: Database, namespace: str = NAMESPACE) -> dict[str, Any]:
    """All chunks by key."""
    return await db.namespace(namespace).all()


async def texts_of(db: Database, document_id: str, namespace: str = NAMESPACE) -> list[str]:
    """The texts of a document's chunks, in order."""
    found = await stored(db, namespace)
    mine = [value for value in found.values() if value["document"] == document_id]
    return [value["text"] for value in sorted(mine, key=lambda value: value["index"])]
