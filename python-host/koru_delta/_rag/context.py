"""A context for a language model: passages, each once, with citations, within a budget.

Chunks of one document that overlap, or that only whitespace parts, become one passage, which is
exactly the document's text from its first to its last offset. Passages are numbered by the rank of
their best chunk. The same chunks always give the same context.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from sys import maxsize
from typing import TYPE_CHECKING, Final

from koru_delta._rag.chunking import chunk
from koru_delta.errors import ValidationError

if TYPE_CHECKING:
    from koru_delta._rag.documents import RetrievedChunk

_HEADING: Final = "\n\nSources:\n"
_SEPARATORS: Final = len("\n\n" + "\n")
"""Between two passages, and between their sources."""
_LEAST_CUT: Final = 40
"""A passage that does not fit is cut to what fits, unless that is less than so many characters."""


@dataclass(slots=True)
class Passage:
    """A part of a document: ``document.text[start:end]``."""

    document_id: str
    start: int
    end: int
    text: str
    rank: int

    def source(self, number: int) -> str:
        """The line that says where it is from."""
        name = self.document_id if self.document_id.isprintable() else repr(self.document_id)
        return f"[{number}] {name}, characters {self.start} to {self.end}"

    def size(self, number: int) -> int:
        """How many characters of a context it takes."""
        return len(f"[{number}] ") + len(self.text) + len(self.source(number))

    def cut(self, size: int) -> None:
        """Leave out what is after the last sentence or word that ends within ``size``."""
        length = chunk(self.text, size=size, overlap=0)[0].end
        self.text = self.text[:length]
        self.end = self.start + length

    def extend(self, part: RetrievedChunk, rank: int) -> bool:
        """Take in a chunk that starts no earlier, if nothing is missing in between."""
        gap = part.start - self.end
        if gap > 0 and gap != len(part._gap):
            return False
        if part.end > self.end:
            self.text += part._gap + part.text if gap > 0 else part.text[-gap:]
            self.end = part.end
        self.rank = min(self.rank, rank)
        return True


def passages(chunks: Iterable[RetrievedChunk]) -> list[Passage]:
    """What chunks, best first, have to say: merged, and nothing twice."""
    documents: dict[str, list[tuple[int, RetrievedChunk]]] = {}
    seen: set[str] = set()
    for rank, part in enumerate(chunks):
        if part.text not in seen:
            seen.add(part.text)
            documents.setdefault(part.document_id, []).append((rank, part))
    merged: list[Passage] = []
    for name, parts in documents.items():
        last: Passage | None = None
        for rank, part in sorted(parts, key=lambda ranked: ranked[1].start):
            if last is None or not last.extend(part, rank):
                last = Passage(name, part.start, part.end, part.text, rank)
                merged.append(last)
    kept: list[Passage] = []
    for passage in sorted(merged, key=lambda passage: passage.rank):
        if not any(passage.text in better.text for better in kept):
            kept.append(passage)
    return kept


def check_budget(max_chars: int | None) -> None:
    """A budget that something can be done with."""
    if max_chars is None:
        return
    if not isinstance(max_chars, int) or isinstance(max_chars, bool) or max_chars < 1:
        raise ValidationError(
            f"max_chars is {max_chars!r:.60}",
            suggestion="give a whole number, or None for no limit",
        )


def context(chunks: Iterable[RetrievedChunk], max_chars: int | None) -> str:
    """The passages of chunks, best first, and their sources; ``""`` for none.

    Never longer than ``max_chars``, sources included. The first passage that does not fit is cut
    at a sentence or word, and what comes after it is left out.
    """
    texts: list[str] = []
    sources: list[str] = []
    room = maxsize if max_chars is None else max_chars - len(_HEADING)
    for number, passage in enumerate(passages(chunks), 1):
        size = passage.size(number) + (_SEPARATORS if texts else 0)
        if size > room:
            fits = len(passage.text) - (size - room)
            if fits < _LEAST_CUT:
                break
            passage.cut(fits)
        texts.append(f"[{number}] {passage.text}")
        sources.append(passage.source(number))
        room -= size
        if room <= 0:
            break
    return "\n\n".join(texts) + _HEADING + "\n".join(sources) if texts else ""
