"""Runs the examples 01 to 04, one after the other, and sums up what they showed.

    python demo.py [DIRECTORY]

Each runs in a process of its own, as a program of yours would. Their files go to the directory, or
to a temporary one.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
SHOWN = {
    "01_quickstart.py": "every write is kept: history, as-of reads, diffs, lineage, reopening",
    "02_agent_memory.py": "an agent's memory: learning, recalling, consolidating, taking it back",
    "03_rag_pipeline.py": "documents for a model: chunks, citations, replacing, asking the past",
    "04_edge_deployment.py": "the edge: one file shipped, a read-only replica, caps and a deadline",
}
NEXT = """\
Where to go next
  README.md          every feature with code that runs, limits, figures beside other stores
  docs/memory.md     agent memory and RAG, step by step
  examples/          05 searches by vector, 06 searches docstrings; each takes a directory
  ARCHITECTURE.md    how it works inside, and why
  make check, bench  what shows that it works, and how fast it is on this machine"""


class Shown(NamedTuple):
    """An example that ran."""

    name: str
    seconds: float
    done: str


def run(name: str, directory: Path) -> Shown:
    """Run an example, passing on what it prints."""
    print(f"\n===== {name}", flush=True)
    began = time.perf_counter()
    last = ""
    command = [sys.executable, "-u", str(HERE / name), str(directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, encoding="utf-8") as process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            last = line.strip() or last
    if process.returncode:
        raise SystemExit(f"{name} failed with exit code {process.returncode}")
    return Shown(name, time.perf_counter() - began, last.removeprefix("Done").lstrip(": "))


def summary(shown: list[Shown]) -> str:
    """One screen: what was shown, what was seen, and where to go next."""
    lines = ["", "=" * 78, "What was shown"]
    for one in shown:
        lines.append(f"  {one.name:22} {SHOWN[one.name]}")
        lines.append(f"  {one.seconds:20.1f} s {one.done}")
    total = sum(one.seconds for one in shown)
    lines += [f"  {total:20.1f} s in all, the starting of {len(shown)} interpreters included", ""]
    return "\n".join([*lines, NEXT])


def main(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    print(summary([run(name, directory) for name in SHOWN]), flush=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="koru-delta-") as temporary:
        main(Path(*sys.argv[1:] or [temporary]).absolute())
