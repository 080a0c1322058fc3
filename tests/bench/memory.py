"""Agent memory: remembering one text, and recalling the ten that fit a question best.

Beside agent memories as people use them: chromadb with an embedder, mem0ai with faiss and without
its language model, LangGraph's stores with an index. Texts, questions and vectors are the same for
all, and a vector is looked up in a table, so that nobody's embedding is counted: see
memory_data.py. The peers rank by vector; koru-delta by words and vector, age and importance.

A measurement adds, or recalls, a number of times, and is the median of these. Memories are added
when the smallest size is held; beside them stands what the disk takes by itself to append and sync
as many bytes as the synced file of koru-delta gains with a memory, and to write them over zeros, as
koru-delta does. mem0ai takes part at that size
alone, since it writes its whole index for each memory; the stores of LangGraph, which compare all
vectors, up to their `most`.
"""

from __future__ import annotations

import importlib.util
import itertools
import statistics
import time
from typing import TYPE_CHECKING, Any

import memory_stores
from harness import MS, OURS, AbsoluteTarget, Context, Operation, Probe, RatioTarget, Section
from kv import settled
from kv_stores import BareAppend
from machine import installed
from memory_data import Table, questions, remarks
from memory_stores import CHROMA, IN_MEMORY, MEM0, OURS_DURABLE, SQLITE, TOP, new_folder

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

SIZES = (1_000, 10_000, 50_000)
SIZES_QUICK = (1_000,)
ROUNDS = 9
TURN = 20
"""Adds, or recalls, in one measurement; each round takes others."""
SPARE = 1_000
"""Texts that are kept to be added."""

ADD = Operation(f"add to {SIZES[0]:,}", MS)
RECALLS = {size: Operation(f"recall among {size:,}", MS) for size in SIZES}
SMALL, _, LARGE = RECALLS.values()
BARE = "as many bytes appended, and fdatasync"
BARE_ROOM = "as many bytes written over zeros, and fdatasync"
ROOM_BYTES = 4 * 1024 * 1024
ABSOLUTE_TARGETS = (
    AbsoluteTarget(ADD.name, 0.1),
    AbsoluteTarget(ADD.name, 0.4, OURS_DURABLE),
    AbsoluteTarget(SMALL.name, 0.3),
    AbsoluteTarget(LARGE.name, 1.5),
)
RATIO_TARGETS = (
    RatioTarget(ADD.name, CHROMA, 0.1, contestant=OURS_DURABLE),
    RatioTarget(ADD.name, MEM0, 0.1, contestant=OURS_DURABLE),
    RatioTarget(SMALL.name, CHROMA, 0.5),
    RatioTarget(SMALL.name, MEM0, 1.0),
    RatioTarget(SMALL.name, IN_MEMORY, 0.1),
    RatioTarget(SMALL.name, SQLITE, 0.2),
)
DISTRIBUTIONS = ("chromadb", "mem0ai", "faiss-cpu", "langgraph", "sqlite-vec", "koru-delta")


async def run(context: Context) -> Section:
    """Runs the section on agent memory."""
    generator = context.random("memory")
    sizes = SIZES_QUICK if context.quick else SIZES
    rounds = context.rounds(ROUNDS)
    section = Section(
        title=f"Agent memory, the best {TOP}, embedding not counted",
        operations=(ADD, *(RECALLS[size] for size in sizes)),
        sizes={"questions": TURN * rounds, "rounds": rounds},
        ratio_targets=RATIO_TARGETS,
        absolute_targets=[
            target
            for target in ABSOLUTE_TARGETS
            if target.operation in (ADD.name, *(RECALLS[size].name for size in sizes))
        ],
        order=[OURS, OURS_DURABLE, BARE, BARE_ROOM],
    )
    if importlib.util.find_spec("numpy") is None:
        section.notes.append("numpy is not installed, which makes the vectors.")
        return section
    texts, held_out, source = remarks(max(sizes) + SPARE, generator)
    asked = questions(held_out, TURN * (rounds + 1), generator)
    table = Table(texts)
    table.add(asked)
    versions = ", ".join(f"{name} {version}" for name, version in installed(DISTRIBUTIONS))
    section.notes += [f"Memories: {source}.", f"Versions: {versions}."]
    makers, missing = memory_stores.installed_stores(ours=context.koru_delta_present)
    section.notes += missing
    spare = texts[-SPARE:]
    for size in sizes:
        stores: list[Any] = []
        taking = {
            name: maker for name, maker in makers.items() if size <= getattr(maker, "most", size)
        }
        try:
            for name, maker in taking.items():
                folder = new_folder(context.scratch, f"memory-{len(stores)}")
                store = maker(table, folder)
                await settled(store.open())
                stores.append(store)
                await settled(store.fill(texts[:size]))
                section.add(RECALLS[size].name, name, recalling(store.recall, asked))
                if size == SIZES[0]:
                    section.add(ADD.name, name, adding(store.add, spare))
                    if name == OURS_DURABLE:
                        for bare_name, bare in await bare_appends(store, folder, spare[0]):
                            stores.append(bare)
                            section.add(ADD.name, bare_name, appending(bare, spare))
            order = context.random(f"memory/{size}")
            operations = [RECALLS[size], ADD] if size == SIZES[0] else [RECALLS[size]]
            await section.run_rounds(rounds, order, operations)
        finally:
            for store in stores:
                await settled(store.close())
    return section


async def bare_appends(store: Any, folder: Path, text: str) -> list[tuple[str, BareAppend]]:
    """What writes to a file as many bytes as remembering a text adds to that of a store."""
    before = await store.disk_bytes()
    await store.add(text, 0.5)
    size = await store.disk_bytes() - before
    return [
        (BARE, BareAppend(folder / "bare", data_only=True, size=size)),
        (BARE_ROOM, BareAppend(folder / "zeros", data_only=True, size=size, room=ROOM_BYTES)),
    ]


def recalling(recall: Callable[[str], Any], asked: Sequence[str]) -> Probe:
    """A probe that times recalls of the next questions, each by itself."""
    return timed(lambda question: recall(question), asked)


def adding(add: Callable[[str, float], Any], spare: Sequence[str]) -> Probe:
    """A probe that times the adding of the next texts, each by itself."""
    importances = itertools.cycle((0.2, 0.5, 0.9))
    return timed(lambda text: add(text, next(importances)), spare)


def appending(bare: BareAppend, spare: Sequence[str]) -> Probe:
    """A probe that times an append and its sync, as often as a text is added."""
    return timed(lambda _text: bare.appends(1), spare)


def timed(act: Callable[[str], object], texts: Sequence[str]) -> Callable[[], Awaitable[float]]:
    upcoming = itertools.cycle(texts)

    async def probe() -> float:
        times = []
        for text in itertools.islice(upcoming, TURN):
            began = time.perf_counter()
            found: Any = act(text)
            if hasattr(found, "__await__"):
                await found
            times.append(time.perf_counter() - began)
        return statistics.median(times)

    return probe
