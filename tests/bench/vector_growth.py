"""How the time of a query grows with the number of vectors, in a process of its own.

One database in memory takes vectors by `embed_batch`; at each size the same queries are timed by
the default path and exactly, and the default path's answers are compared with exact ones. Beyond
the embeddings there are, rows are copies with noise (vector_data.py). With --million it goes on to
1,000,000.

    python vector_growth.py FOLDER SEED SIZE...     (the process: prints one line of JSON each size)
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import vector_data
import vector_stores
from harness import MB, MS, PER_UNIT, Context, Operation, Section
from vector_server import resident

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SIZES = (1_000, 10_000, 50_000)
SIZES_OF_MILLION = (*SIZES, 100_000, 250_000, 500_000, 1_000_000)
TIMED = 51
COMPARED = 25
FILTERED = 13
"""Filters at each size, none of them twice: there are 100 groups."""

QUERY = Operation("query", MS)
EXACT = Operation("exact", MS)
FILTER = Operation("1 % filter, first", MS)
RECALL = Operation("recall@10", "")
INGEST = Operation("ingest", "/s")
FIRST = Operation("first query", MS)
MEMORY = Operation("memory", MB)
PEAK = Operation("peak memory", MB)
OPERATIONS = (QUERY, EXACT, FILTER, RECALL, INGEST, FIRST, MEMORY, PEAK)


async def run(context: Context) -> Section:
    """Runs the section on growth."""
    vector_stores.limit_threads()
    sizes: tuple[int, ...] = SIZES[:2] if context.quick else SIZES
    if context.million:
        sizes = SIZES_OF_MILLION
    data = vector_data.load(context.embeddings, min(sizes[-1], SIZES[-1]), context.seed)
    section = Section(
        title="Growth of one koru-delta instance in memory, one thread",
        operations=OPERATIONS,
        sizes={"queries timed": TIMED, "dimensions": data.base.shape[1]},
    )
    section.notes.append(
        f"Data: {data.source}. Beyond {len(data.base):,} rows: copies of them with noise. "
        "Memory is that of the process, with the embeddings it reads from and the one batch of "
        f"{len(data.base):,} in hand, some {2 * data.base.nbytes * PER_UNIT[MB]:.0f} MB."
    )
    if not context.million:
        section.notes.append("1,000,000 were not asked for (--million).")
    if context.koru_delta_present:
        numpy = importlib.import_module("numpy")
        numpy.save(context.scratch / "base.npy", data.base)
        numpy.save(context.scratch / "queries.npy", data.queries)
        await asyncio.to_thread(measure, context, section, sizes)
    return section


def measure(context: Context, section: Section, sizes: tuple[int, ...]) -> None:
    command = [sys.executable, str(Path(__file__).resolve()), str(context.scratch)]
    command += [str(context.seed), *map(str, sizes)]
    done = subprocess.run(
        command, env=dict(os.environ), stdout=subprocess.PIPE, text=True, check=False
    )
    for line in done.stdout.splitlines():
        figures = json.loads(line)
        for operation in OPERATIONS:
            section.record(operation.name, f"{figures['size']:,}", figures[operation.name])
    if done.returncode != 0:
        section.notes.append(f"IT ENDED EARLY, with {done.returncode}: see its messages above.")


class Best:
    """The exact best ten of a few queries over rows that are not kept."""

    def __init__(self, queries: Any) -> None:
        self.numpy = importlib.import_module("numpy")
        self.queries = queries
        self.scores = self.numpy.full((len(queries), vector_stores.TOP), -2, dtype="f4")

    def add(self, rows: Any) -> None:
        scores = self.numpy.hstack([self.scores, self.queries @ rows.T])
        self.scores = -self.numpy.partition(-scores, vector_stores.TOP - 1, axis=1)
        self.scores = self.scores[:, : vector_stores.TOP].copy()

    def recall(self, found: list[list[float]]) -> float:
        limits = self.scores.min(axis=1) - vector_data.TIE
        hits = [
            sum(bool(score >= limit) for score in scores)
            for scores, limit in zip(found, limits, strict=True)
        ]
        return sum(hits) / (vector_stores.TOP * len(hits))


async def grow(folder: Path, seed: int, sizes: list[int]) -> None:
    """Takes vectors up to each size and prints what was measured there."""
    numpy = importlib.import_module("numpy")
    base, queries = numpy.load(folder / "base.npy"), numpy.load(folder / "queries.npy")
    best = Best(queries[:COMPARED])
    store = vector_stores.KoruDelta(None)
    await store.open()
    held, copy, batch = 0, 0, base
    groups = iter(range(vector_stores.GROUPS))
    for size in sizes:
        spent, began_at = 0.0, held
        while held < size:
            if held // len(base) != copy:
                copy = held // len(base)
                batch = vector_data.noisy(base, seed, copy)
            start = held - copy * len(base)
            rows = batch[start : min(len(base), start + size - held)]
            began = time.perf_counter()
            await store.build(rows, held)
            spent += time.perf_counter() - began
            best.add(rows)
            held += len(rows)
        figures = await measured_at(store, queries, best, groups)
        figures[INGEST.name] = (held - began_at) / spent
        memory, peak = resident()
        figures[MEMORY.name], figures[PEAK.name] = memory * PER_UNIT[MB], peak * PER_UNIT[MB]
        print(json.dumps({"size": size, **figures}), flush=True)
    await store.close()


async def measured_at(
    store: vector_stores.KoruDelta, queries: Any, best: Best, groups: Iterator[int]
) -> dict[str, float]:
    began = time.perf_counter()
    await store.query(queries[-1])
    first = time.perf_counter() - began
    found = []
    for query in queries[:COMPARED]:
        hits = await store.database.similar(vector_stores.NAMESPACE, query, vector_stores.TOP)
        found.append([hit.score for hit in hits])

    async def in_group(query: Any) -> list[int]:
        return await store.query_group(query, next(groups))

    return {
        FIRST.name: 1e3 * first,
        QUERY.name: await timed(store.query, queries[:TIMED]),
        EXACT.name: await timed(store.query_exact, queries[:TIMED]),
        FILTER.name: await timed(in_group, queries[:FILTERED]),
        RECALL.name: best.recall(found),
    }


async def timed(query: Callable[[Any], Any], queries: Any) -> float:
    """The median in milliseconds."""
    times = []
    for asked in queries:
        began = time.perf_counter()
        await query(asked)
        times.append(time.perf_counter() - began)
    return 1e3 * statistics.median(times)


if __name__ == "__main__":
    asyncio.run(grow(Path(sys.argv[1]), int(sys.argv[2]), [int(size) for size in sys.argv[3:]]))
