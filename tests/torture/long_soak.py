"""Millions of operations: what is used grows with what is stored, and with nothing else."""

from __future__ import annotations

import gc
import sys
import tracemalloc

from long_tenants import resident_bytes

from koru_delta import Config, SyncDatabase

KEYS = 1_000
PHASES = 8
MAX_PYTHON_GROWTH_BYTES = 256 * 1024
DATABASES = 1_000
MAX_RESIDENT_GROWTH_BYTES = 64 << 20


def python_objects() -> tuple[int, int]:
    """Bytes that Python holds, and how many objects it tracks."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0], len(gc.get_objects())


def history(count: int) -> tuple[list[float], int]:
    """Overwrites a few keys: bytes of linear memory a version in each phase, growth of Python."""
    value = {"n": 1, "text": "x" * 40}
    used: list[float] = []
    with SyncDatabase(Config(max_memory_mb=4096, hot_cache_size=100)) as db:
        db.put("a", "warm", value)
        tracemalloc.start()
        before = python_objects()
        for phase in range(PHASES):
            start = db.stats().memory_used_bytes
            for i in range(count // PHASES):
                db.put("a", f"{i % KEYS:04}", value)
                if i % 16 == 0:
                    db.get("a", f"{i % KEYS:04}")
            used.append((db.stats().memory_used_bytes - start) / (count // PHASES))
            print(f"soak: phase {phase + 1}, {used[-1]:.1f} bytes a version", flush=True)
        after = python_objects()
        tracemalloc.stop()
    return used, after[0] - before[0]


def erasing(count: int) -> int:
    """Writes and erases: how much more of linear memory the second half takes."""
    with SyncDatabase(Config(max_memory_mb=64)) as db:
        taken = []
        for half in range(2):
            for i in range(count // 2):
                db.put("a", f"{i % 100}", "x" * 400)
                if i % 5 == 4:
                    db.erase("a", f"{i % 100}")
                    db.erase("a", f"{(i + 37) % 100}")
                if i % 2000 == 0:
                    for key in db.list_keys("a"):
                        db.erase("a", key)
            taken.append(db.stats().memory_used_bytes)
            assert db.verify().ok, half
        return taken[1] - taken[0]


def opening(count: int) -> int:
    """Opens and closes databases: what the process keeps of it."""

    def round_(times: int) -> None:
        for _ in range(times):
            with SyncDatabase(Config(max_memory_mb=16)) as db:
                db.put("a", "key", "x" * 10_000)
        gc.collect()

    round_(50)
    before = resident_bytes()
    round_(count)
    return resident_bytes() - before


def run(count: int, seed: int) -> str:
    """That many overwrites, a tenth as many erasures, and a thousand openings."""
    used, python_growth = history(count)
    assert max(used[1:]) <= 1.5 * min(used[1:]), "a version takes more and more memory"
    assert python_growth < MAX_PYTHON_GROWTH_BYTES, "Python objects stay behind"
    erased = erasing(max(10_000, count // 10))
    assert erased < 4 << 20, "erased versions stay in memory"
    kept = opening(DATABASES)
    if sys.platform.startswith("linux"):
        assert kept < MAX_RESIDENT_GROWTH_BYTES, "closed databases stay in memory"
    return (
        f"{count} overwrites at {min(used):.0f} to {max(used):.0f} bytes a version, Python "
        f"{python_growth / 1024:+.0f} KiB; erasing {erased / 1024:+.0f} KiB; "
        f"{DATABASES} databases opened and closed {kept / (1 << 20):+.1f} MiB"
    )
