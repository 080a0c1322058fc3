"""Many databases open in one process: what each costs, and whether all of it comes back."""

from __future__ import annotations

import contextlib
import gc
import os
import time
from pathlib import Path

from koru_delta import Config, SyncDatabase

MIB = 1 << 20


def resident_bytes() -> int:
    """Memory of this process that is in use."""
    gc.collect()
    fields = Path("/proc/self/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


def costs(count: int) -> tuple[float, float, float, float, int]:
    """Wall and CPU milliseconds to open one, MiB of each empty and used, bytes kept at the end."""
    before = resident_bytes()
    with contextlib.ExitStack() as stack:
        start, cpu = time.perf_counter(), time.process_time()
        databases = [
            stack.enter_context(SyncDatabase(Config(max_memory_mb=64))) for _ in range(count)
        ]
        wall = (time.perf_counter() - start) / count
        cpu = (time.process_time() - cpu) / count
        empty = (resident_bytes() - before) / count
        for i, db in enumerate(databases):
            db.put("a", "key", {"tenant": i})
        for i, db in enumerate(databases):
            assert db.get("a", "key") == {"tenant": i}
        used = (resident_bytes() - before) / count
    del databases, db
    return 1e3 * wall, 1e3 * cpu, empty / MIB, used / MIB, resident_bytes() - before


def run(count: int, seed: int) -> str:
    """That many at a time, three times over: the first time fills what is kept for the next."""
    with SyncDatabase() as db:
        db.put("a", "key", 1)
    costs(count)
    costs(count)
    wall, cpu, empty, used, kept = costs(count)
    assert kept < 16 * MIB, "closed databases stay in memory"
    assert used < 2, "a tenant takes more than 2 MiB"
    return (
        f"{count} open at a time: {wall:.2f} ms ({cpu:.2f} ms of CPU) to open, {empty:.2f} MiB "
        f"empty, {used:.2f} MiB with a value; {kept / MIB:+.1f} MiB after closing"
    )
