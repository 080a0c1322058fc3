"""Starting: what a program pays before its first answer, each figure from a process of its own.

Import is what the import statement takes in a bare interpreter. First query is the time from there
to an answer: open an empty database in memory, write one record, read it back (for numpy: make an
array, sum it). Memory added is resident memory with the database open and empty, less what it was
before. Any program that uses the async API runs asyncio, which alone takes its time and memory: a
row of its own shows that, the program's own `import asyncio` counts in the total only, and memory
is judged where asyncio runs already. Compile caches are warm (each program has run before) except
where named cold, which gets an empty cache directory each time. A wheel that is not at hand is
estimated by packing the installed files. A note says how long a log of a million versions takes to
open, once.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.metadata
import importlib.util
import io
import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness import MB, MS, OURS, PER_UNIT, AbsoluteTarget, Context, Operation, Section

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

IMPORT = Operation("import", MS)
FIRST = Operation("first query", MS)
TOTAL = Operation("import to first answer", MS)
MEMORY = Operation("memory added", MB)
WHEEL = Operation("wheel", MB)

PACKAGE = "koru_delta"
NUMPY = "numpy"
OURS_IN_ASYNCIO = "koru-delta, where asyncio runs already"
COLD = "koru-delta, cold compile cache"
CACHE_VARIABLE = "XDG_CACHE_HOME"
TARGETS = (
    AbsoluteTarget(IMPORT.name, 60),
    AbsoluteTarget(FIRST.name, 10),
    AbsoluteTarget(MEMORY.name, 20, contestant=OURS_IN_ASYNCIO),
    AbsoluteTarget(WHEEL.name, 1.5),
)

PROCESS_TIMEOUT_S = 120
DIST = Path(__file__).resolve().parents[2] / "dist"

PROGRAM = """
import time
def resident():
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * {page_bytes}
    except OSError:
        return 0
def opened():
    global added
    added = resident() - bare
def answered():
    global end
    end = time.perf_counter()
{before}
bare = resident()
started = time.perf_counter()
{imports}
imported = ready = time.perf_counter()
{first}
print(imported - started, end - ready, end - started, added)
"""

FIRST_OF_SQLITE = """
connection = sqlite3.connect(":memory:", isolation_level=None)
opened()
connection.execute("CREATE TABLE documents (key TEXT PRIMARY KEY, value TEXT)")
connection.execute("INSERT INTO documents VALUES (?, ?)", ("ada", '{"born": 1815}'))
found = connection.execute("SELECT value FROM documents WHERE key = ?", ("ada",)).fetchone()
answered()
assert found == ('{"born": 1815}',)
"""

FIRST_OF_NUMPY = """
opened()
assert numpy.ones(384, dtype=numpy.float32).sum() == 384
answered()
"""

RUN_ASYNCIO = """
import asyncio
async def idle():
    pass
asyncio.run(idle())
"""

FIRST_OF_ASYNCIO = """
async def main():
    opened()
    answered()
asyncio.run(main())
"""

FIRST_OF_WASMTIME = """
store = wasmtime.Store()
opened()
answered()
"""

FIRST_OF_OURS = """
import asyncio
ready = time.perf_counter()
async def main():
    async with koru_delta.Database() as db:
        opened()
        await db.put("users", "ada", {"born": 1815})
        found = await db.get("users", "ada")
        answered()
        assert found == {"born": 1815}
asyncio.run(main())
"""


LOG_VERSIONS = 1_000_000
LOG_VERSIONS_QUICK = 100_000
LOG_BATCH = 10_000
LOG_KEYS = 200_000
"""Each key is written several times: a log of versions, not of keys."""

OPEN_LOG = """
import sys, time
import koru_delta
started = time.perf_counter()
with koru_delta.SyncDatabase(koru_delta.Config(sys.argv[1], max_memory_mb=0)) as db:
    print(time.perf_counter() - started, db.stats().versions)
"""


@dataclass(frozen=True, slots=True)
class Starter:
    """A program to start: its import statement, and what it does up to its first answer."""

    name: str
    module: str
    first: str
    before: str = ""
    """What the program has run before, outside every figure."""

    def start(self, environment: Mapping[str, str]) -> tuple[float, float, float, float]:
        """Import, first query and their sum, in seconds, and bytes added."""
        program = PROGRAM.format(
            page_bytes=os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096,
            before=self.before,
            imports=f"import {self.module}",
            first=self.first,
        )
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=dict(environment),
            capture_output=True,
            text=True,
            timeout=PROCESS_TIMEOUT_S,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"the program that starts {self.name} failed:\n{done.stderr}")
        imported, first, total, added = map(float, done.stdout.split())
        return imported, first, total, added


OURS_STARTER = Starter(OURS, PACKAGE, FIRST_OF_OURS)
STARTERS = (
    Starter("sqlite3 (standard library)", "sqlite3", FIRST_OF_SQLITE),
    Starter("asyncio (standard library)", "asyncio", FIRST_OF_ASYNCIO),
    Starter(NUMPY, "numpy", FIRST_OF_NUMPY),
    Starter("wasmtime (which koru-delta runs on)", "wasmtime", FIRST_OF_WASMTIME),
    OURS_STARTER,
    Starter(OURS_IN_ASYNCIO, PACKAGE, FIRST_OF_OURS, RUN_ASYNCIO),
)


async def run(context: Context) -> Section:
    """Runs the section on starting."""
    rounds = context.rounds(15)
    section = Section(
        title="Starting, each in a process of its own",
        operations=(IMPORT, FIRST, TOTAL, MEMORY, WHEEL),
        sizes={"rounds": rounds, "rounds with a cold cache": context.rounds(3, quick=1)},
        absolute_targets=TARGETS,
        order=[*(starter.name for starter in STARTERS), COLD],
    )
    await asyncio.to_thread(measure, context, section, rounds)
    return section


def measure(context: Context, section: Section, rounds: int) -> None:
    """Starts every program by turns, then ours with a cold cache, then weighs the wheels."""
    starters = [
        starter for starter in STARTERS if importlib.util.find_spec(starter.module) is not None
    ]
    missing = dict.fromkeys(starter.module for starter in STARTERS if starter not in starters)
    section.notes += [f"{module} is not installed." for module in missing]
    order = context.random("start/order")
    environment = {**os.environ, CACHE_VARIABLE: str(context.scratch / "cache")}
    for turn in range(rounds + 1):
        for starter in order.sample(starters, len(starters)):
            figures = starter.start(environment)
            if turn > 0:
                note_start(section, starter.name, figures)
    if OURS_STARTER in starters:
        start_cold(context, section)
        weigh(section, OURS, PACKAGE)
        open_log(context, section)
    if importlib.util.find_spec(NUMPY) is not None:
        weigh(section, NUMPY, NUMPY)


def note_start(section: Section, name: str, figures: tuple[float, float, float, float]) -> None:
    for operation, figure in zip((IMPORT, FIRST, TOTAL, MEMORY), figures, strict=True):
        section.record(operation.name, name, figure * PER_UNIT[operation.unit])


def start_cold(context: Context, section: Section) -> None:
    for turn in range(context.rounds(3, quick=1)):
        cache = context.scratch / f"cold-cache-{turn}"
        figures = OURS_STARTER.start({**os.environ, CACHE_VARIABLE: str(cache)})
        if not cache.exists():
            section.notes.append(f"koru-delta kept no compiled code under {CACHE_VARIABLE}.")
            return
        note_start(section, COLD, figures)


def open_log(context: Context, section: Section) -> None:
    """Notes how long a log of many small versions takes to open, in a process of its own."""
    package = importlib.import_module(PACKAGE)
    path = context.scratch / "versions.koru"
    versions = LOG_VERSIONS_QUICK if context.quick else LOG_VERSIONS
    config = package.Config(path, max_memory_mb=0, sync_on_write=False)
    with package.SyncDatabase(config) as db:
        for first in range(0, versions, LOG_BATCH):
            numbers = range(first, first + LOG_BATCH)
            made = [("log", f"key-{i % LOG_KEYS:06d}", {"number": i, "of": "log"}) for i in numbers]
            db.put_batch(made)
    done = subprocess.run(
        [sys.executable, "-c", OPEN_LOG, str(path)],
        capture_output=True,
        text=True,
        timeout=PROCESS_TIMEOUT_S,
        check=True,
    )
    seconds, held = done.stdout.split()
    if int(held) != versions:
        raise AssertionError(f"the log holds {held} versions, not {versions}")
    section.notes.append(
        f"A log of {versions:,} versions of {min(versions, LOG_KEYS):,} keys, "
        f"{path.stat().st_size * PER_UNIT[MB]:.0f} MB, opens in {float(seconds):.2f} s."
    )
    path.unlink()


def weigh(section: Section, name: str, module: str) -> None:
    """Records the size of the built wheel, or of the installed files packed as one."""
    built = sorted(DIST.glob(f"{module}-*.whl"), key=lambda path: path.stat().st_mtime)
    if built:
        section.record(WHEEL.name, name, built[-1].stat().st_size * PER_UNIT[MB])
        return
    section.record(WHEEL.name, name, packed_bytes(module_files(module)) * PER_UNIT[MB])
    section.notes.append(f"The size of {name}'s wheel is estimated from its installed files.")


def module_files(module: str) -> list[Path]:
    """The files a wheel of this module would hold: the distribution's, or the package's own."""
    try:
        listed = importlib.metadata.files(module) or []
    except importlib.metadata.PackageNotFoundError:
        listed = []
    files = [Path(str(entry.locate())) for entry in listed]
    found = importlib.util.find_spec(module)
    if found is not None and found.origin is not None and Path(found.origin) not in files:
        files = list(Path(found.origin).parent.rglob("*"))
    return [path for path in files if path.is_file() and path.suffix != ".pyc"]


def packed_bytes(files: Iterable[Path]) -> int:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files:
            archive.write(path)
    return len(packed.getvalue())
