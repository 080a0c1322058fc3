"""Searching text, and text and vectors together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from koru_delta import _protocol as op
from koru_delta._operations.querying import TimedReads
from koru_delta._query_arguments import Fields, hybrid_control, search_control
from koru_delta._results.matches import Match, text_matches_from_payload
from koru_delta._times import to_microseconds
from koru_delta._vectors import vector_bytes

if TYPE_CHECKING:
    from koru_delta._times import Time


class Searching(TimedReads):
    """What finds values by their text."""

    async def search(
        self,
        namespace: str,
        text: str,
        top_k: int = 10,
        *,
        fields: Fields | None = None,
        where: Mapping[str, Any] | None = None,
        at: Time | None = None,
    ) -> list[Match]:
        """The values whose text fits best, best first, by BM25; equal scores go by key.

        All strings of a value are searched. Words are runs of letters and digits, found whatever
        their case and accents, without stemming; scripts without spaces are found by pairs of
        characters. Punctuation and emoji are no words. The index is built by the first search of a
        namespace, kept up to date by every write, and let go when memory is short.

        Args:
            namespace: Namespace to search.
            text: Words, any of which may match; ``"a phrase"`` in double quotes; ``+required``;
                ``-excluded``; ``prefix*``. A text without any word finds nothing.
            top_k: At most so many hits, 1 to 10,000.
            fields: Search only these dotted paths and what is below them: one, several, or a
                mapping to how much each counts, such as ``{"title": 3.0, "body": 1.0}``. A value
                that is a string itself is the field ``$``.
            where: Only values that match this filter; see :meth:`query`.
            at: As of this time.

        Returns:
            Matches with a ``snippet`` of the text around what was found, and ``highlights``:
            where in the snippet the words are, in characters.

        Raises:
            ValidationError: For a bad name, field, filter, ``top_k`` or time.
            LimitExceededError: For a text of over 4 KiB.

        Example:
            >>> [match.key for match in await db.search("notes", "red planet")]
            ['mars']
        """
        reply = await self._read_timed(
            op.SEARCH, namespace, control=search_control(text, top_k, fields),
            where=where, at=to_microseconds(at),
        )  # fmt: skip
        return text_matches_from_payload(reply[2])

    async def hybrid(
        self,
        namespace: str,
        text: str,
        query: Any,
        top_k: int = 10,
        *,
        weight: float = 0.5,
        fields: Fields | None = None,
        where: Mapping[str, Any] | None = None,
        model: str | None = None,
        at: Time | None = None,
    ) -> list[Match]:
        """The values that fit a text and a vector best, best first; equal scores go by key.

        Both searches are made; their scores are brought to 0 to 1, weighted and added up.

        Args:
            namespace: Namespace to search.
            text: As :meth:`search` takes it.
            query: A vector, as :meth:`similar` takes it.
            top_k: At most so many hits, 1 to 10,000.
            weight: How much the vectors count: 0 is text alone, 1 is vectors alone.
            fields: As :meth:`search` takes it.
            where: Only values that match this filter; see :meth:`query`.
            model: Model of the vectors; None for the one that there is of this dimension.
            at: As of this time.

        Raises:
            ValidationError: As :meth:`search` and :meth:`similar`.
            LimitExceededError: For a text of over 4 KiB.

        Example:
            >>> found = await db.hybrid("notes", "planet", [1.0, 0.0, 0.0], top_k=1)
            >>> found[0].key
            'mars'
        """
        reply = await self._read_timed(
            op.HYBRID, namespace, control=hybrid_control(text, top_k, fields, weight, model),
            where=where, at=to_microseconds(at),
            vector=vector_bytes(query, "the query"),
        )  # fmt: skip
        return text_matches_from_payload(reply[2])
