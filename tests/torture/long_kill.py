"""kill -9 at a random moment, again and again, at one real file."""

from __future__ import annotations

import itertools
import os
import signal
import tempfile
import time
from pathlib import Path
from random import Random

from koru_delta import Config, SyncDatabase

FRESH_EVERY = 50
KEYS = 50
FIRST_ROUND_WITHIN_S = 30


def write_for_ever(path: Path, mode: str, cycle: int, acknowledge: int) -> None:
    """What the child does: a batch, a put and now and then an erasure, and says so."""
    config = Config(path=path, sync_on_write=mode == "sync", max_disk_mb=0)
    with SyncDatabase(config) as db:
        for i in itertools.count():
            db.put_batch([("pair", "left", [cycle, i]), ("pair", "right", [cycle, i])])
            db.put("a", f"{i % KEYS:02}", [cycle, i, "x" * (i * 37 % 3000)])
            if i % 7 == 0:
                db.erase("a", f"{(i + KEYS // 2) % KEYS:02}")
            os.write(acknowledge, f"{i}\n".encode())


def start(path: Path, mode: str, cycle: int) -> tuple[int, int]:
    """A child that writes: its pid, and where it says what was acknowledged."""
    out, into = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            signal.alarm(FIRST_ROUND_WITHIN_S)
            write_for_ever(path, mode, cycle, into)
        finally:
            os._exit(1)
    os.close(into)
    return pid, out


def one_cycle(path: Path, mode: str, cycle: int, wait_s: float) -> int:
    """Lets a child write, kills it, and looks: how many rounds were acknowledged."""
    pid, out = start(path, mode, cycle)
    said = os.read(out, 100)
    assert said, "the child did not come to its first acknowledgement"
    time.sleep(wait_s)
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status), "the child ended on its own"
    assert os.WTERMSIG(status) == signal.SIGKILL, "the child hung"
    while piece := os.read(out, 1 << 20):
        said += piece
    os.close(out)
    acknowledged = int(said.splitlines()[-1])
    with SyncDatabase(path) as db:
        left, right = db.get("pair", "left"), db.get("pair", "right")
        assert left == right, "half a batch"
        assert left[0] == cycle, "acknowledged rounds are lost"
        assert left[1] >= acknowledged, f"{acknowledged - left[1]} acknowledged rounds are lost"
        for i in range(max(0, acknowledged - KEYS + 1), acknowledged + 1):
            found = db.get("a", f"{i % KEYS:02}", None)  # None: it was erased since.
            assert found is None or (found[0] == cycle and found[1] >= i), "a write is lost"
        assert db.verify().ok
    return acknowledged + 1


def kill_often(directory: Path, count: int, random: Random) -> int:
    """That many kills, half of them with a sync before each acknowledgement."""
    acknowledged = 0
    for cycle in range(count):
        mode = "sync" if cycle // FRESH_EVERY % 2 == 0 else "no-sync"
        path = directory / f"{cycle // FRESH_EVERY}.koru"
        acknowledged += one_cycle(path, mode, cycle, random.expovariate(50))
        if (cycle + 1) % FRESH_EVERY == 0:
            path.unlink()
    return acknowledged


def run(count: int, seed: int) -> str:
    """That many kills."""
    with tempfile.TemporaryDirectory() as directory:
        acknowledged = kill_often(Path(directory), count, Random(seed))
    return f"{count} processes killed, {acknowledged} acknowledged rounds: 0 lost, 0 half batches"
