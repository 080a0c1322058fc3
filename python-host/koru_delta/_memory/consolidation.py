"""Merging what says the same and forgetting what no longer matters.

First everything is found out: groups of near-duplicates, which of them (or which single memories)
are to be forgotten, the summaries and their vectors. Only then something is written: the merged
memories, each with its group as its causes, and after them all deletions, a thousand to a commit.
Whatever ends the process in between, no content is lost, and the next consolidation goes on. A
memory that was changed meanwhile is left as it is.
"""

from __future__ import annotations

import heapq
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import islice
from time import time_ns
from typing import TYPE_CHECKING, Any, Final, TypeVar

from koru_delta._memory.arguments import (
    check_content,
    check_memory_type,
    check_seconds,
    check_share,
)
from koru_delta._memory.duplicates import Group, by_vectors, by_words
from koru_delta._memory.turns import Turns
from koru_delta._memory.undoing import undo
from koru_delta._results.memories import ConsolidationReport, MemoryType, MergedGroup
from koru_delta._results.versions import Version
from koru_delta._workers import run_to_the_end
from koru_delta.errors import ConflictError, KoruDeltaError, ValidationError

if TYPE_CHECKING:
    from koru_delta._memory.store import Store

_T = TypeVar("_T")
_PAGE: Final = 500
_TOGETHER: Final = 64
_DELETIONS: Final = 1000
Summarize = Callable[[list[str]], "str | Awaitable[str]"]


class Policy:
    """The arguments of a consolidation, checked."""

    def __init__(
        self,
        max_age: timedelta | float | None,
        min_importance: float | None,
        similarity: float | None,
        summarize: Summarize | None,
        types: Iterable[MemoryType | str],
    ) -> None:
        """Check them."""
        seconds = None if max_age is None else check_seconds("max_age", max_age, zero=True)
        self.oldest_us = None if seconds is None else time_ns() // 1000 - round(seconds * 1e6)
        self.min_importance = (
            None if min_importance is None else check_share("min_importance", min_importance)
        )
        self.similarity = None if similarity is None else check_share("similarity", similarity)
        if self.similarity == 0:
            raise ValidationError(
                "similarity is 0, which makes all memories one",
                suggestion="give a number above 0, or None to merge nothing",
            )
        if summarize is not None and not callable(summarize):
            raise ValidationError(
                f"summarize is of type {type(summarize).__name__}",
                suggestion="give a function from a list of texts to one text",
            )
        self.summarize = summarize
        if isinstance(types, str) or not isinstance(types, Iterable):
            raise ValidationError(
                f"types is {types!r:.60}", suggestion='give a list, such as ["episode"]'
            )
        self.types = {name for kind in types if (name := check_memory_type(kind)) is not None}

    def forgets(self, kind: str, written_us: int, importance: float) -> bool:
        """Whether a memory is to be forgotten."""
        if kind not in self.types or (self.oldest_us is None and self.min_importance is None):
            return False
        is_old = self.oldest_us is None or written_us < self.oldest_us
        return is_old and (self.min_importance is None or importance < self.min_importance)


@dataclass(slots=True)
class Merge:
    """A group that is to become one memory."""

    group: Group
    value: dict[str, Any]
    vector: Any = None
    """Of new content; the memory that stays keeps its own otherwise."""
    model: str = ""


async def consolidate(store: Store, policy: Policy) -> ConsolidationReport:
    """Find out what to do, and do it."""
    turns = Turns(store.db._session)
    groups: list[Group] = []
    if policy.similarity is not None or "episode" in policy.types:
        episodes = [one async for one in _newest_first(store, "episode", turns)]
        groups = await _groups(store, policy, episodes, turns)
    for kind in sorted(policy.types - {"episode"}):
        groups += [Group(one) async for one in _newest_first(store, kind, turns)]
    merges: list[Merge] = []
    forgotten: list[Version] = []
    for group in groups:
        if _forgets(policy, group):
            forgotten += group.all
        elif group.others:
            merges.append(Merge(group, _merged(group)))
        await turns.give()
    await _summarize(store, policy, merges)
    present = await _present(store, merges, forgotten, turns)

    def is_unchanged(memory: Version) -> bool:
        return present.get(memory.key) == memory.version_id

    merges = [merge for merge in merges if all(map(is_unchanged, merge.group.all))]
    forgotten = list(filter(is_unchanged, forgotten))
    examined = sum(1 + len(group.others) for group in groups)
    merged: list[MergedGroup] = []
    report = partial(_report, store.agent_id, examined, merged, forgotten)
    try:
        await _write(store, merges, forgotten, merged, turns)
    except KoruDeltaError:
        with suppress(KoruDeltaError):
            await undo(store, report())
        raise
    return report()


def _report(
    agent_id: str, examined: int, merged: list[MergedGroup], forgotten: list[Version]
) -> ConsolidationReport:
    return ConsolidationReport(
        agent_id,
        examined,
        tuple(merged),
        tuple(one.key for one in forgotten),
        tuple(one.version_id for one in forgotten),
    )


async def _newest_first(store: Store, kind: str, turns: Turns) -> AsyncIterator[Version]:
    """The memories of a kind."""
    pages: list[list[tuple[int, str, Version]]] = []
    after: str | None = None
    while keys := await store.db.list_keys(
        store.namespace, prefix=f"{kind}/", start_after=after, limit=_PAGE
    ):
        # Versions are taken apart when they are looked at: here, a page at a time.
        versions = await store.versions(keys)
        pages.append(sorted((-one.timestamp_us, one.key, one) for one in versions))
        after = keys[-1]
        await turns.give()
    for _, _, version in heapq.merge(*pages):
        yield version
        await turns.give()


async def _groups(
    store: Store, policy: Policy, episodes: list[Version], turns: Turns
) -> list[Group]:
    """Near-duplicates among episodes; one that has none by itself."""
    if policy.similarity is None:
        return [Group(memory) for memory in episodes]
    groups: list[Group] = []
    if store.embedder is not None and store.db._config.vector_metric == "cosine":
        groups = await by_vectors(store, episodes, policy.similarity, turns)
        done = {one.key for group in groups for one in group.all}
        episodes = [memory for memory in episodes if memory.key not in done]
    return groups + await by_words(episodes, policy.similarity, turns)


def _forgets(policy: Policy, group: Group) -> bool:
    """Whether a whole group is to be forgotten: it counts as what it would be merged to."""
    center = group.center
    importance = max(one.value["importance"] for one in group.all)
    return policy.forgets(center.value["type"], center.timestamp_us, importance)


def _merged(group: Group) -> dict[str, Any]:
    """The value of the memory that stays."""
    values = [one.value for one in group.all]
    metadata: dict[str, Any] = {}
    for value in reversed(values):
        metadata |= value["metadata"]
    return {
        **group.center.value,
        "importance": max(value["importance"] for value in values),
        "tags": list(dict.fromkeys(tag for value in values for tag in value["tags"])),
        "metadata": metadata,
    }


async def _summarize(store: Store, policy: Policy, merges: list[Merge]) -> None:
    """Give merged memories the contents of a summary, and their vectors."""
    if policy.summarize is None or not merges:
        return
    for merge in merges:
        contents = [one.value["content"] for one in reversed(merge.group.all)]
        summary = await _call(store, policy.summarize, contents)
        merge.value["content"] = check_content("the summary", summary)
    if store.embedder is not None:
        vectors = await store.embedder.documents([merge.value["content"] for merge in merges])
        for merge, vector in zip(merges, vectors, strict=True):
            merge.vector, merge.model = vector, store.embedder.model


async def _call(store: Store, summarize: Summarize, contents: list[str]) -> Any:
    """What a function says, blocking or async, of a database that blocks or does not."""

    def call() -> Any:
        try:
            return summarize(contents)
        except StopIteration as error:  # No future takes one: it would wait for ever.
            raise RuntimeError("summarize raised StopIteration") from error

    session = store.db._session
    is_async = inspect.iscoroutinefunction(summarize)
    result = summarize(contents) if is_async else await session.in_thread(call)
    if not inspect.isawaitable(result):
        return result
    return run_to_the_end(result, "summarize") if session.blocking else await result


async def _present(
    store: Store, merges: list[Merge], forgotten: list[Version], turns: Turns
) -> dict[str, str]:
    """The present version's id of each memory that is to change."""
    keys = [one.key for merge in merges for one in merge.group.all]
    keys += [one.key for one in forgotten]
    found: dict[str, str] = {}
    for start in range(0, len(keys), _PAGE):
        versions = await store.versions(keys[start : start + _PAGE])
        found.update((one.key, one.version_id) for one in versions)
        await turns.give()
    return found


async def _write(
    store: Store,
    merges: list[Merge],
    forgotten: list[Version],
    merged: list[MergedGroup],
    turns: Turns,
) -> None:
    """Write all of it; ``merged`` is added to as groups are written."""
    left = iter(merges)
    while some := list(islice(left, _TOGETHER)):
        await store.together([_merge(store, merge, merged) for merge in some])
        await turns.give()
    deletions = [one for group in merged for one in group.merged]
    deletions += [one.key for one in forgotten]
    for start in range(0, len(deletions), _DELETIONS):
        part = deletions[start : start + _DELETIONS]
        await store.db._write_together([], [(store.namespace, one) for one in part])
        await turns.give()


async def _merge(store: Store, merge: Merge, merged: list[MergedGroup]) -> None:
    """Write the memory that stays, unless it was changed meanwhile."""
    center, others = merge.group.center, merge.group.others
    is_same = merge.value["content"] == center.value["content"]
    with suppress(ConflictError):
        version = await store.rewrite(
            center, merge.value, merge.group.all, merge.vector, merge.model, keep=is_same
        )
        merged.append(
            MergedGroup(
                center.key,
                version.version_id,
                center.version_id,
                tuple(one.key for one in others),
                tuple(one.version_id for one in others),
            )
        )
