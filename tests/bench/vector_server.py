"""One contestant serving a persisted set of vectors, in a process of its own.

    python vector_server.py NAME FOLDER DIMENSION

Opens what is in FOLDER, answers one query and prints the answer; answers more and prints resident
memory and its peak; then for each line with a number of seconds on its input, answers queries for
that long and prints how many. Imports are those that a program serving it would have, so numpy is
imported for contestants that need it, and not for koru-delta.
"""

from __future__ import annotations

import asyncio
import sys
import time
from array import array
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

KORU_FILE = "vectors.koru"
QUERIES_FILE = "queries.f32"
MORE = 200
NUMBER_BYTES = 4


def say(text: str) -> None:
    print(text, flush=True)


def asked(folder: Path, dimension: int) -> list[array[float]]:
    data = (folder / QUERIES_FILE).read_bytes()
    size = NUMBER_BYTES * dimension
    return [array("f", data[start : start + size]) for start in range(0, len(data), size)]


def resident() -> tuple[int, int]:
    """Resident memory and its peak in bytes; zeros where the system does not say."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0, 0
    found = {line.partition(":")[0]: line.split()[1] for line in lines if line.startswith("Vm")}
    return 1024 * int(found["VmRSS"]), 1024 * int(found["VmHWM"])


def serve_peer(name: str, folder: Path, dimension: int) -> None:
    import vector_stores

    vector_stores.limit_threads()
    store: Any = vector_stores.PEERS[name][1](folder)
    if isinstance(store, vector_stores.Hnswlib):
        store.open(dimension)
    elif hasattr(store, "open"):
        store.open()
    import numpy

    queries = [numpy.frombuffer(query, dtype="f4") for query in asked(folder, dimension)]
    answer(store.query, queries)


def answer(query: Callable[[Any], list[int]], queries: list[Any]) -> None:
    say(" ".join(map(str, query(queries[0]))))
    for turn in range(MORE):
        query(queries[turn % len(queries)])
    say("{} {}".format(*resident()))
    for line in sys.stdin:
        end = time.perf_counter() + float(line)
        count = 0
        while time.perf_counter() < end:
            query(queries[count % len(queries)])
            count += 1
        say(str(count))


async def serve_ours(folder: Path, dimension: int, *, read_only: bool) -> None:
    import koru_delta

    path = folder / KORU_FILE
    queries = asked(folder, dimension)
    async with koru_delta.Database(koru_delta.Config(path, read_only=read_only)) as database:

        async def query(wanted: Any) -> list[int]:
            return [match.value["i"] for match in await database.similar("bench", wanted, 10)]

        await answer_async(query, queries)


async def answer_async(query: Callable[[Any], Awaitable[list[int]]], queries: list[Any]) -> None:
    say(" ".join(map(str, await query(queries[0]))))
    for turn in range(MORE):
        await query(queries[turn % len(queries)])
    say("{} {}".format(*resident()))
    for line in sys.stdin:
        end = time.perf_counter() + float(line)
        count = 0
        while time.perf_counter() < end:
            await query(queries[count % len(queries)])
            count += 1
        say(str(count))


def main() -> None:
    name, folder, dimension = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    if name.startswith("koru-delta"):
        asyncio.run(serve_ours(folder, dimension, read_only=name.endswith("read-only")))
    else:
        serve_peer(name, folder, dimension)


if __name__ == "__main__":
    main()
