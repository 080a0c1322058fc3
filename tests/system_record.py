"""By strace, the system's own record: what was asked of the disk, and when it was acknowledged."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

WORKER = """
    import asyncio, os, sys
    from koru_delta import Config, Database

    async def main():
        config = Config(path=sys.argv[1], sync_on_write=sys.argv[3] == "sync")
        async with Database(config) as db:

            async def put(i):
                await db.put("a", f"{i % 100}", f"mark-{i};" + "x" * (i % 700))
                os.write(1, b"acknowledged %d\\n" % i)

            for start in range(0, int(sys.argv[2]), 16):
                # One by one, then together: several share a sync.
                for i in range(start, start + 4):
                    await put(i)
                await asyncio.gather(*(put(i) for i in range(start + 4, start + 16)))

    asyncio.run(main())
"""
CALL = re.compile(r"^(\d+) (\w+)\((.*)\) += (-?\d+)")
BEGUN = re.compile(r"^(\d+) (\w+)\((.*) <unfinished \.\.\.>")
RESUMED = re.compile(r"^(\d+) <\.\.\. (\w+) resumed>.*\) += (-?\d+)")
ACKNOWLEDGED = re.compile(r'^1<.*?>, "acknowledged (\d+)')
MARK = re.compile(r"mark-(\d+);")
SHOWN_BYTES = 1 << 20


class Trace:
    """What the disk was told, and what was acknowledged, in order."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.written = self.synced = self.syncs = 0
        self.acknowledged: set[int] = set()
        self.write_of: dict[int, int] = {}
        self._begun: dict[str, tuple[str, str, int]] = {}

    def feed(self, line: str) -> None:
        if found := BEGUN.match(line):
            self._begun[found[1]] = (found[2], found[3], self.written)
        elif found := RESUMED.match(line):
            call, arguments, written = self._begun.pop(found[1])
            self._done(call, arguments, int(found[3]), written)
        elif found := CALL.match(line):
            self._done(found[2], found[3], int(found[4]), self.written)

    def _done(self, call: str, arguments: str, result: int, written_before: int) -> None:
        """A call has returned. A sync covers what had been written when it began."""
        if call == "write" and (found := ACKNOWLEDGED.match(arguments)):
            mark = int(found[1])
            self.acknowledged.add(mark)
            assert self.write_of[mark] <= self.synced, f"{mark} was acknowledged before its sync"
            return
        if f"{self.name}>" not in arguments.split(",")[0]:
            return
        if call == "pwrite64":
            assert result > 0, "a write failed"
            self.written += 1
            self.write_of.update((int(mark), self.written) for mark in MARK.findall(arguments))
        elif call in ("fdatasync", "fsync"):
            assert result == 0, "a sync failed"
            self.syncs += 1
            self.synced = max(self.synced, written_before)


def trace_of(strace: str, count: int, mode: str) -> Trace | str:
    """The record of that many puts, or why there is none.

    Raises:
        AssertionError: If one was acknowledged before a sync that covers it had succeeded.
    """
    trace = Trace("/data.koru")
    with tempfile.TemporaryDirectory() as directory:
        path, record = Path(directory) / "data.koru", Path(directory) / "trace"
        done = subprocess.run(
            [
                strace, "-f", "-y", "-s", str(SHOWN_BYTES), "-o", str(record),
                "-e", "trace=pwrite64,fdatasync,fsync,write",
                sys.executable, "-c", textwrap.dedent(WORKER), str(path), str(count), mode,
            ],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode and "ptrace" in done.stderr:
            return "skipped: strace may not trace here"
        assert done.returncode == 0, done.stderr
        for line in record.read_text(errors="replace").splitlines():
            trace.feed(re.sub(r"^(\d+) +", r"\1 ", line))
    return trace
