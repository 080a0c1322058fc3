"""Serving persisted vectors: each contestant in a process of its own, from its files.

First answer is the time from starting the process to an answer, compile cache and file cache warm.
Memory is resident memory of the process after 200 queries, and the highest it was. Side by side:
two processes that search the same files at once, and what they answer together; koru-delta's open
the database for reading only.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import vector_stores
from harness import (
    MB,
    MS,
    OURS,
    PER_UNIT,
    AbsoluteTarget,
    Context,
    Operation,
    RatioTarget,
    Section,
)
from vector_data import Truth, load
from vector_server import KORU_FILE, QUERIES_FILE
from vector_stores import CHROMA, FAISS, HNSWLIB, NUMPY, USEARCH, KoruDelta

if TYPE_CHECKING:
    from types import TracebackType

SIZE = 50_000
SIZE_QUICK = 10_000
ROUNDS = 11
ROUNDS_SIDE_BY_SIDE = 5
SERVED = (NUMPY, FAISS, HNSWLIB, USEARCH, CHROMA)
SIDE_BY_SIDE = (OURS, HNSWLIB)
READ_ONLY = f"{OURS} read-only"
BURST_SECONDS = 1.0
ENOUGH = 8
"""Of the best ten, in the first answer."""

FIRST = Operation("process start to first answer", MS)
MEMORY = Operation("memory serving", MB)
PEAK = Operation("peak memory", MB)
ALONE = Operation("one process", "queries/s")
TOGETHER = Operation("two processes", "queries/s")

PROGRAM = Path(__file__).with_name("vector_server.py")


class Server:
    """One serving process."""

    def __init__(self, name: str, folder: Path, dimension: int) -> None:
        began = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, str(PROGRAM), name, str(folder), str(dimension)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=dict(os.environ),
        )
        self.first = [int(number) for number in self.line().split()]
        self.seconds = time.perf_counter() - began
        self.resident, self.peak = map(int, self.line().split())

    def line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args!r} ended with {self.process.wait()}")
        return line

    def ask(self) -> None:
        assert self.process.stdin is not None
        print(BURST_SECONDS, file=self.process.stdin, flush=True)

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.communicate()


async def run(context: Context) -> Section:
    """Runs the section on serving."""
    vector_stores.limit_threads()
    size = SIZE_QUICK if context.quick else SIZE
    data = load(context.embeddings, size, context.seed)
    rows = data.rows(size)
    data_mb = rows.nbytes * PER_UNIT[MB]
    section = Section(
        title=f"Serving {size:,} persisted vectors, each in a process of its own",
        operations=(FIRST, MEMORY, PEAK, ALONE, TOGETHER),
        sizes={
            "data": f"{data_mb:.0f} MB",
            "rounds": context.rounds(ROUNDS),
            "side by side": context.rounds(ROUNDS_SIDE_BY_SIDE),
        },
        ratio_targets=[RatioTarget(FIRST.name, HNSWLIB, 1.0)],
        absolute_targets=[AbsoluteTarget(PEAK.name, round(1.7 * data_mb + 40))],
        order=[OURS, *SERVED],
    )
    section.notes.append(f"Data: {data.source}.")
    section.notes.append("The target of peak memory is 1.7 times the data and 40 MB.")
    peers, missing = vector_stores.installed_peers()
    section.notes += missing
    folders: dict[str, Path] = {}
    for name in SERVED:
        if name in peers:
            folders[name] = made = vector_stores.folder_of(context.scratch, name, size)
            if not made.exists():
                made.mkdir()
                store = peers[name](made)
                store.build(rows)
                store.close()
    if context.koru_delta_present:
        folders[OURS] = made = context.scratch / "serving-ours"
        made.mkdir()
        await make_ours(made / KORU_FILE, rows)
    for folder in folders.values():
        (folder / QUERIES_FILE).write_bytes(data.queries.tobytes())
    best = Truth(rows, data.queries[:1])
    await asyncio.to_thread(measure, context, section, folders, best, rows.shape[1])
    return section


async def make_ours(path: Path, rows: Any) -> None:
    store = KoruDelta(path)
    await store.open()
    try:
        await store.build(rows)
    finally:
        await store.close()


def measure(
    context: Context, section: Section, folders: dict[str, Path], best: Truth, dimension: int
) -> None:
    """Starts every contestant by turns, then some of them in pairs."""
    order = context.random("serving/order")
    for turn in range(context.rounds(ROUNDS) + 1):
        for name in order.sample(list(folders), len(folders)):
            with Server(name, folders[name], dimension) as server:
                if best.hits(0, server.first) < ENOUGH:
                    raise AssertionError(f"{name} answers {server.first}")
            if turn > 0:
                section.record(FIRST.name, name, server.seconds * PER_UNIT[MS])
                section.record(MEMORY.name, name, server.resident * PER_UNIT[MB])
                section.record(PEAK.name, name, server.peak * PER_UNIT[MB])
    pairs = [name for name in SIDE_BY_SIDE if name in folders]
    for turn in range(context.rounds(ROUNDS_SIDE_BY_SIDE)):
        for name in order.sample(pairs, len(pairs)):
            program = READ_ONLY if name == OURS else name
            first = Server(program, folders[name], dimension)
            second = Server(program, folders[name], dimension)
            with first, second:
                bursts = [([first], ALONE), ([first, second], TOGETHER)]
                for servers, operation in bursts[:: 1 if turn % 2 else -1]:
                    for server in servers:
                        server.ask()
                    answered = sum(int(server.line()) for server in servers)
                    section.record(operation.name, name, answered / BURST_SECONDS)
