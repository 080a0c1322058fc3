"""Finding memories that say the same.

A group is a *center* and the memories that are near to it; centers are the newest of their groups,
so the memories are gone through from the newest to the oldest, and each joins the nearest center or
becomes one. Every member is near to the memory that stays in its place: nearness is not passed on
along a chain.

With vectors, near is a cosine, and the engine's search finds what is near to a center. Without, it
is the Jaccard similarity of the sets of words. There the candidates come from prefixes, after
Chaudhuri, Ganti and Kaushik, "A primitive operator for similarity joins in data cleaning" (2006):
let each set's words be ordered from the rarest on. Two sets x and y of a similarity of at least t
have at least ``t * max(|x|, |y|)`` words in common, so of the first ``|x| - ceil(t * |x|) + 1``
words of x and as many of y at least one is the same. An index of the prefixes of centers finds all
candidates, and for a high t prefixes are short.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING, Final

from koru_delta import _protocol as op
from koru_delta._arguments import similar_control
from koru_delta._results.matches import matches_from_payload
from koru_delta._results.versions import Version

if TYPE_CHECKING:
    from koru_delta._memory.store import Store
    from koru_delta._memory.turns import Turns

MAX_GROUP: Final = 1000
"""Memories of one group: a version names at most 1,024 causes."""
_QUERIES: Final = 16
"""Searches of one request: it holds the engine for some milliseconds."""
_FEW_HITS: Final = 32
_MOST_HITS: Final = 10_000
_EPISODES: Final = b'{"type":"episode"}'
_ROUNDING: Final = 1e-6
_WORDS: Final = re.compile(r"[^\W_]+")


@dataclass(slots=True)
class Group:
    """A memory, and those that say the same; newest first."""

    center: Version
    others: list[Version] = field(default_factory=list[Version])

    @property
    def all(self) -> list[Version]:
        """All of them, newest first."""
        return [self.center, *self.others]


async def by_words(memories: list[Version], similarity: float, turns: Turns) -> list[Group]:
    """Groups of memories by the words that they have in common.

    Args:
        memories: Newest first.
        similarity: The least Jaccard similarity with the center.
        turns: Whom to give the loop.
    """
    texts: list[frozenset[str]] = []
    frequency: Counter[str] = Counter()
    for memory in memories:
        words = _words(memory.value["content"])
        texts.append(words)
        frequency.update(words)
        await turns.give()
    groups: list[Group] = []
    centers: list[frozenset[str]] = []
    index: dict[str, list[int]] = {}
    for memory, words in zip(memories, texts, strict=True):
        ordered = sorted(words, key=lambda word: (frequency[word], word))
        prefix = ordered[: len(words) - ceil(similarity * len(words) - _ROUNDING) + 1]
        nearest = _nearest(words, prefix, similarity, index, centers, groups)
        if nearest is None:
            for word in prefix:
                index.setdefault(word, []).append(len(groups))
            groups.append(Group(memory))
            centers.append(words)
        else:
            groups[nearest].others.append(memory)
        await turns.give()
    return groups


def _words(text: str) -> frozenset[str]:
    return frozenset(_WORDS.findall(text.casefold())) or frozenset({text.strip()})


def _nearest(
    words: frozenset[str],
    prefix: list[str],
    similarity: float,
    index: dict[str, list[int]],
    centers: list[frozenset[str]],
    groups: list[Group],
) -> int | None:
    """The nearest group that is near enough; of several the newest."""
    candidates = {place for word in prefix for place in index.get(word, ())}
    best, nearest = similarity - _ROUNDING, None
    for place in sorted(candidates):
        center = centers[place]
        shorter, longer = sorted((len(words), len(center)))
        if shorter < best * longer or len(groups[place].others) + 1 == MAX_GROUP:
            continue
        common = len(words & center)
        found = common / (len(words) + len(center) - common)
        if found > best or (nearest is None and found >= best):
            best, nearest = found, place
    return nearest


async def by_vectors(
    store: Store, memories: list[Version], similarity: float, turns: Turns
) -> list[Group]:
    """Groups of memories by their vectors; those without one of the embedder's are left out.

    Args:
        store: The agent's memories.
        memories: Newest first.
        similarity: The least cosine with the center.
        turns: Whom to give the loop.
    """
    known = {memory.key: memory for memory in memories}
    left = dict.fromkeys(known)
    groups: list[Group] = []
    for batch in _batches(memories, left):
        vectors: list[tuple[Version, memoryview]] = []
        for memory in batch:
            numbers = await store.vector(memory.key)
            if numbers is not None:
                vectors.append((memory, numbers.cast("B")))
            await turns.give()
        hits = await _near(store, [vector for _, vector in vectors], similarity, _FEW_HITS)
        for (memory, vector), near in zip(vectors, hits, strict=True):
            if memory.key not in left:
                continue  # One of the same batch has taken it.
            found = near
            if len(near) == _FEW_HITS:
                [found] = await _near(store, [vector], similarity, _MOST_HITS)
            group = Group(memory)
            del left[memory.key]
            for key in found:
                if key in left and len(group.others) + 1 < MAX_GROUP:
                    group.others.append(known[key])
                    del left[key]
            group.others.sort(key=lambda one: (-one.timestamp_us, one.key))
            groups.append(group)
        await turns.give()
    return groups


def _batches(memories: list[Version], left: dict[str, None]) -> Iterator[list[Version]]:
    """The memories that are still left when it is their turn, some at a time."""
    batch: list[Version] = []
    for memory in memories:
        if memory.key not in left:
            continue
        batch.append(memory)
        if len(batch) == _QUERIES:
            yield batch
            batch = []
    if batch:
        yield batch


async def _near(
    store: Store, vectors: list[memoryview], similarity: float, hits: int
) -> list[list[str]]:
    """For each vector the ids of the episodes that are near to it, nearest first."""
    if not vectors or store.embedder is None:
        return []
    control = similar_control(
        len(vectors), hits, similarity - _ROUNDING, store.embedder.model, exact=False
    )
    reply = await store.db._session.read(
        op.SIMILAR, store.namespace, control=control, payload=_EPISODES,
        vector=b"".join(vectors), long=True,
    )  # fmt: skip
    return [[match.key for match in found] for found in matches_from_payload(reply[2])]
