"""Finding chunks: questions as searches, filters on documents, one model at a time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from koru_delta._arguments import check_text, real
from koru_delta._rag.documents import RetrievedChunk, manifests_of, retrieved
from koru_delta._rag.turns import turns_of
from koru_delta.errors import ValidationError

if TYPE_CHECKING:
    from koru_delta._embedders import Embedder
    from koru_delta._times import Time
    from koru_delta.database import Database

_OPERATORS: Final = re.compile(r'["*]|(?<!\w)[+-]+')
_WORD: Final = re.compile(r"[^\W_]")
_FIELDS: Final = ["text"]


def plain_words(question: str) -> str:
    """A question without what a text search takes for operators: quotes, ``+``, ``-``, ``*``."""
    return _OPERATORS.sub(" ", question)


def chunk_filter(filters: Mapping[str, Any]) -> dict[str, Any]:
    """A filter on documents as one on chunks.

    Fields are those of the metadata; ``$document`` is the document's id.

    Raises:
        ValidationError: If it is no dict. What else is wrong with it, the search finds out.
    """
    if not isinstance(filters, Mapping):
        raise ValidationError(
            f"the filter is of type {type(filters).__name__}",
            suggestion='give a dict such as {"lang": "en", "$document": {"$in": ["doc1"]}}',
        )
    found: dict[str, Any] = {}
    for field, wanted in filters.items():
        if field in ("$and", "$or") and _is_list(wanted):
            found[field] = [chunk_filter(part) for part in wanted]
        elif field == "$not" and hasattr(wanted, "items"):
            found[field] = chunk_filter(wanted)
        elif field == "$document":
            found["document"] = wanted
        elif isinstance(field, str) and not field.startswith("$"):
            found[f"metadata.{field}"] = wanted
        else:
            found[field] = wanted
    return found


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def check_weight(weight: float) -> float:
    """A share of the vectors."""
    share = real(weight)
    if not 0 <= share <= 1:
        raise ValidationError(
            f"the weight is {weight!r:.60}; it must be 0 to 1",
            suggestion="0 is words alone, 1 is vectors alone",
        )
    return share


async def retrieve(
    db: Database,
    namespace: str,
    embedder: Embedder | None,
    model: str | None,
    question: str,
    top_k: int,
    *,
    weight: float,
    filters: Mapping[str, Any] | None,
    at: Time | None,
) -> list[RetrievedChunk]:
    """The chunks that fit a question best, best first."""
    text = plain_words(check_text("the question", question))
    where = None if filters is None else chunk_filter(filters)
    if embedder is None or model is None or weight == 0 or not _WORD.search(text):
        found = await db.search(namespace, text, top_k, fields=_FIELDS, where=where, at=at)
    else:
        if not await _has_vectors(db, namespace, model, at):
            return []
        vector = await embedder.query(question)
        found = await db.hybrid(
            namespace, text, vector, top_k,
            weight=weight, fields=_FIELDS, where=where, model=model, at=at,
        )  # fmt: skip
    return [part for match in found if (part := retrieved(match)) is not None]


async def _has_vectors(db: Database, namespace: str, model: str, at: Time | None) -> bool:
    """Whether there are chunks.

    Raises:
        ValidationError: If some of them do not have vectors of this model: these cannot be
            compared with the question, and leaving them out would go unnoticed.
    """
    session = db._session
    turns = turns_of(session)
    count = turns.count
    if at is None and (known := turns.known(session, namespace, model)) is not None:
        return known
    groups = await db.aggregate(
        manifests_of(namespace),
        {"documents": {"$count": True}, "chunks": {"$sum": "chunks"}},
        group_by="model",
        at=at,
    )
    filled = [group for group in groups if group["chunks"]]
    others = [group for group in filled if group["model"] != model]
    if others:
        kinds = ", ".join(
            f"{group['documents']} with "
            + ("no vectors" if group["model"] is None else f"vectors of {group['model']!r}")
            for group in others
        )
        raise ValidationError(
            f"the embedder's model is {model!r}, and there are documents in namespace "
            f"{namespace!r} without vectors of it: {kinds}",
            suggestion="add all documents again with this embedder, or retrieve with the one they "
            "were added with, or with none",
        )
    if at is None:
        turns.learn(session, namespace, model, bool(filled), count=count)
    return bool(filled)
