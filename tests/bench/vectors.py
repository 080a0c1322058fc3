"""Vector search: real embeddings of 384 numbers, the best ten by cosine, one thread.

At each size every contestant is built, answers are compared with the exact ones, and then queries
are timed by turns, each measurement the median of a short loop over other queries. koru-delta
works through its public async API, stores a document with each vector and gives it back with each
hit. Its filters keep 1 % of the rows: "first" asks for a group that was not asked for before,
"again" for one that was. Where the field is indexed nothing is kept of what was asked, so every
search is a first one, and a measurement has as many of them as any other.
"""

from __future__ import annotations

import importlib
import itertools
import statistics
import time
from typing import TYPE_CHECKING, Any

import vector_stores
from harness import (
    MS,
    OURS,
    AbsoluteTarget,
    Context,
    Operation,
    Probe,
    RatioTarget,
    Section,
)
from machine import installed
from vector_data import Truth, load
from vector_stores import CHROMA, EXACT, FAISS, GROUPS, HNSWLIB, NUMPY, KoruDelta

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SIZES = (1_000, 10_000, 50_000)
SIZES_QUICK = SIZES[:2]
ROUNDS = 31
ROUNDS_OF_INGEST = 5
RECALL_QUERIES = 500
CHECKED = 20
"""Queries that show whether a contestant that searches without loss does."""

LOOP_SECONDS = 0.06
LOOP_QUERIES = (3, 60)
"""How long one measurement is: some 60 ms, but at least and at most so many queries."""

EXACTLY = "koru-delta, exact=True"
OURS_FILE = "koru-delta, file (power loss)"
FILTER_FIRST = "koru-delta, 1 % filter, first"
FILTER_INDEXED = "koru-delta, 1 % filter, first, field indexed"
FILTER_AGAIN = "koru-delta, 1 % filter, again"
FIRST_FILTERS = 3
"""Filters in one measurement of `FILTER_FIRST`: each group is asked for once in a database."""

PER_SECOND = "/s"
DISTRIBUTIONS = (
    "numpy",
    "faiss-cpu",
    "hnswlib",
    "usearch",
    "chromadb",
    "sqlite-vec",
    "lancedb",
    "koru-delta",
    "wasmtime",
)


def query_at(size: int) -> Operation:
    return Operation(f"query of {size:,}", MS)


def recall_at(size: int) -> Operation:
    return Operation(f"recall@10 of {size:,}", "")


def ingest_at(size: int) -> Operation:
    return Operation(f"ingest {size:,}", PER_SECOND)


def first_at(size: int) -> Operation:
    return Operation(f"first query of {size:,}", MS)


def ratio_targets(sizes: tuple[int, ...]) -> list[RatioTarget]:
    targets = []
    for size in sizes:
        name = query_at(size).name
        targets.append(RatioTarget(name, CHROMA, 3.0 if size >= 50_000 else 4.0, "at least"))
        if size >= 50_000:
            targets += [
                RatioTarget(name, NUMPY, 0.6, contestant=EXACTLY),
                RatioTarget(name, FAISS, 1.2, contestant=EXACTLY),
                RatioTarget(name, HNSWLIB, 1.2),
            ]
        targets += [
            RatioTarget(name, OURS, 1.0, contestant=who) for who in (FILTER_INDEXED, FILTER_AGAIN)
        ]
    return targets


def absolute_targets(sizes: tuple[int, ...]) -> list[AbsoluteTarget]:
    targets = [AbsoluteTarget(recall_at(size).name, 0.98, sense="at least") for size in sizes]
    targets += [
        AbsoluteTarget(recall_at(sizes[-1]).name, 1.0, who, sense="at least")
        for who in (EXACTLY, FILTER_FIRST, FILTER_INDEXED)
    ]
    targets.append(AbsoluteTarget(ingest_at(sizes[-1]).name, 100_000, sense="at least"))
    return targets


async def run(context: Context) -> Section:
    """Runs the section on vector search."""
    vector_stores.limit_threads()
    sizes = SIZES_QUICK if context.quick else SIZES
    data = load(context.embeddings, sizes[-1], context.seed)
    rounds = context.rounds(ROUNDS)
    largest = sizes[-1]
    section = Section(
        title="Vector search, top 10 by cosine, one thread",
        operations=(
            *(query_at(size) for size in sizes),
            *(recall_at(size) for size in sizes),
            ingest_at(largest),
            first_at(largest),
        ),
        sizes={
            "rows": " / ".join(f"{size:,}" for size in sizes),
            "dimensions": data.base.shape[1],
            "queries": len(data.queries),
            "rounds": rounds,
            "of ingest": context.rounds(ROUNDS_OF_INGEST),
        },
        ratio_targets=ratio_targets(sizes),
        absolute_targets=absolute_targets(sizes),
        order=[OURS, EXACTLY, FILTER_FIRST, FILTER_INDEXED, FILTER_AGAIN, OURS_FILE],
    )
    versions = ", ".join(f"{name} {version}" for name, version in installed(DISTRIBUTIONS))
    section.notes += [f"Data: {data.source}.", f"Versions: {versions}."]
    for size in sizes:
        measured = Size(context, section, data.rows(size), data.queries, largest=size == largest)
        try:
            await measured.enter()
            generator = context.random(f"vectors/order/{size}")
            await section.run_rounds(rounds, generator, (query_at(size),))
            if measured.largest and context.koru_delta_present:
                await measured.ingest()
        finally:
            await measured.close()
    section.notes.append(
        "Graphs (hnswlib, usearch, chromadb, lancedb) are built on all cores; ingest of koru-delta "
        "ends when the rows are written and searchable, its first query is the one right after."
    )
    return section


class Size:
    """Everything that is measured at one number of rows."""

    def __init__(
        self, context: Context, section: Section, rows: Any, queries: Any, *, largest: bool
    ) -> None:
        self.context = context
        self.section = section
        self.rows = rows
        self.queries = queries
        self.largest = largest
        self.size = len(rows)
        self.operation = query_at(self.size).name
        self.truth = Truth(rows, queries[:RECALL_QUERIES])
        self.stores: list[Any] = []
        self.ours: list[KoruDelta] = []

    async def enter(self) -> None:
        """Builds every contestant, checks its answers and enters its queries."""
        peers, missing = vector_stores.installed_peers()
        if self.largest:
            self.section.notes += missing
        for name, make in peers.items():
            folder = vector_stores.folder_of(self.context.scratch, name, self.size)
            folder.mkdir()
            store = make(folder)
            self.stores.append(store)
            began = time.perf_counter()
            store.build(self.rows)
            self.note_ingest(name, time.perf_counter() - began)
            self.enter_peer(name, store)
        if self.context.koru_delta_present:
            await self.enter_ours()

    def note_ingest(self, name: str, seconds: float) -> None:
        if self.largest:
            self.section.record(ingest_at(self.size).name, name, self.size / seconds)

    def enter_peer(self, name: str, store: Any) -> None:
        asked = CHECKED if name in EXACT else RECALL_QUERIES
        began = time.perf_counter()
        answers = [store.query(query) for query in self.queries[:asked]]
        one = (time.perf_counter() - began) / len(answers)
        self.note_recall(name, self.truth.recall(answers))
        self.section.add(self.operation, name, self.loop(store.query, one))
        if hasattr(store, "query_group"):
            began = time.perf_counter()
            store.query_group(self.queries[0], 0)
            one = time.perf_counter() - began
            groups = itertools.cycle(range(GROUPS))
            self.section.add(
                self.operation,
                f"{name}, 1 % filter",
                self.loop(lambda query: store.query_group(query, next(groups)), one),
            )

    async def enter_ours(self) -> None:
        store = await self.open_ours(None)
        await store.build(self.rows)
        await self.enter_one(OURS, store.query, RECALL_QUERIES)
        await self.enter_one(EXACTLY, store.query_exact, CHECKED)
        # Each of the three has a database of its own: what one has asked, the others have not.
        for name in (FILTER_FIRST, FILTER_INDEXED, FILTER_AGAIN):
            store = await self.open_ours(None)
            await store.build(self.rows)
            if name == FILTER_INDEXED:
                await store.index_groups()
            await store.query(self.queries[0])  # What the first search sets up is not the filter's.
            await self.enter_filter(name, store)

    async def open_ours(self, path: Path | None) -> KoruDelta:
        store = KoruDelta(path)
        await store.open()
        self.ours.append(store)
        return store

    async def enter_one(self, name: str, query: Callable[[Any], Any], asked: int) -> None:
        await query(self.queries[0])
        began = time.perf_counter()
        answers = [await query(one) for one in self.queries[:asked]]
        seconds = (time.perf_counter() - began) / len(answers)
        self.note_recall(name, self.truth.recall(answers))
        self.section.add(self.operation, name, self.async_loop(query, seconds))

    async def enter_filter(self, name: str, store: KoruDelta) -> None:
        groups = itertools.cycle(range(GROUPS))
        if name == FILTER_AGAIN:
            groups = itertools.cycle((0, 1, 2))
            for group in range(3):
                await store.query_group(self.queries[0], group)
        else:
            await self.check_filter(name)

        async def query(asked: Any) -> list[int]:
            return await store.query_group(asked, next(groups))

        count = FIRST_FILTERS if name == FILTER_FIRST else LOOP_QUERIES[1]
        self.section.add(self.operation, name, self.async_loop(query, LOOP_SECONDS / count))

    async def check_filter(self, name: str) -> None:
        """What a filter keeps must be found exactly: a database of its own for this, too."""
        store = await self.open_ours(None)
        await store.build(self.rows)
        if name == FILTER_INDEXED:
            await store.index_groups()
        group = 7
        kept = range(group, self.size, GROUPS)
        truth = Truth(self.rows[group::GROUPS], self.queries[:CHECKED])
        answers = []
        for query in self.queries[:CHECKED]:
            found = await store.query_group(query, group)
            answers.append([kept.index(number) for number in found])
        self.note_recall(name, truth.recall(answers))
        self.ours.remove(store)
        await store.close()

    def note_recall(self, name: str, recall: float) -> None:
        self.section.record(recall_at(self.size).name, name, recall)
        if name in (*EXACT, EXACTLY, FILTER_FIRST, FILTER_INDEXED) and recall < 1:
            self.section.notes.append(f"{name} of {self.size:,}: recall {recall:.4f}, not 1.")

    def turns(self, seconds: float) -> Callable[[], list[Any]]:
        """Gives the queries of one measurement, other ones each time."""
        least, most = LOOP_QUERIES
        count = round(max(least, min(most, LOOP_SECONDS / max(seconds, 1e-9))))
        upcoming = itertools.cycle(list(self.queries))
        return lambda: list(itertools.islice(upcoming, count))

    def loop(self, query: Callable[[Any], object], seconds: float) -> Probe:
        turns = self.turns(seconds)

        def probe() -> float:
            times = []
            for asked in turns():
                began = time.perf_counter()
                query(asked)
                times.append(time.perf_counter() - began)
            return statistics.median(times)

        return probe

    def async_loop(self, query: Callable[[Any], Any], seconds: float) -> Probe:
        turns = self.turns(seconds)

        async def probe() -> float:
            times = []
            for asked in turns():
                began = time.perf_counter()
                await query(asked)
                times.append(time.perf_counter() - began)
            return statistics.median(times)

        return probe

    async def ingest(self) -> None:
        """Times `embed_batch` into new databases, and the first query after it."""
        numpy = importlib.import_module("numpy")
        for turn in range(self.context.rounds(ROUNDS_OF_INGEST) + 1):
            for name in (OURS, OURS_FILE):
                path = self.context.scratch / f"vectors-ingest-{turn}.koru"
                store = KoruDelta(path if name == OURS_FILE else None)
                await store.open()
                rows = numpy.array(self.rows)
                began = time.perf_counter()
                await store.build(rows)
                ended = time.perf_counter()
                await store.query(self.queries[turn])
                answered = time.perf_counter()
                await store.close()
                path.unlink(missing_ok=True)
                if turn > 0:
                    self.note_ingest(name, ended - began)
                    first = first_at(self.size).name
                    self.section.record(first, name, 1e3 * (answered - ended))

    async def close(self) -> None:
        for store in self.stores:
            store.close()
        for ours in self.ours:
            await ours.close()
