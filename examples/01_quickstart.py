"""The docstrings of Python's standard library, in a database that forgets nothing.

    python 01_quickstart.py [DIRECTORY]

Several thousand real texts go into one file. Some are changed and deleted, two are summarised, and
then the database is asked what changed, what it held before, and what was made from what. At the
end a second process opens the file and finds all of it. Without a directory a temporary one is
used; with one the file stays, and the next run brings it up to date.
"""

from __future__ import annotations

import ast
import asyncio
import pkgutil
import subprocess
import sys
import sysconfig
import tempfile
import textwrap
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from koru_delta import Database, KeyNotFoundError, SyncDatabase, Version

STDLIB = Path(sysconfig.get_path("stdlib"))
NOT_DOCUMENTATION = {"idlelib", "test", "tests"}
BATCH = 1000
EXAMPLE = "json.dumps"
REOPEN = "--reopen"
KINDS = {ast.Module: "module", ast.ClassDef: "class"}
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef

steps: list[float] = []


@contextmanager
def step(title: str) -> Iterator[None]:
    """Print a title, what the block prints, and how long the block took."""
    print(f"\n{title}")
    start = time.perf_counter()
    yield
    steps.append(time.perf_counter() - start)
    print(f"  took {steps[-1] * 1000:,.1f} ms")


def say(line: str) -> None:
    print(f"  {line}")


def modules(directory: Path = STDLIB, package: str = "") -> Iterator[tuple[str, Path]]:
    """Names and source files of the standard library's modules."""
    for found in pkgutil.iter_modules([str(directory)]):
        known = package or found.name in sys.stdlib_module_names
        if not known or found.name in NOT_DOCUMENTATION:
            continue
        name = f"{package}.{found.name}" if package else found.name
        inside = directory / found.name
        source = inside / "__init__.py" if found.ispkg else inside.with_suffix(".py")
        if source.is_file():  # Others are compiled from C.
            yield name, source
        if found.ispkg:
            yield from modules(inside, name)


def entries(node: Documented, key: str, module: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Keys and values of everything with a docstring in a part of a module."""
    doc = ast.get_docstring(node)
    if doc is not None:
        name, kind = key.rpartition(".")[2], KINDS.get(type(node), "function")
        value: dict[str, Any] = {"module": module, "name": name, "kind": kind, "doc": doc}
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            value["signature"] = f"({ast.unparse(node.args)})"
        yield key, value
    for part in ast.iter_child_nodes(node):
        if isinstance(part, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from entries(part, f"{key}.{part.name}", module)


def collect() -> dict[str, dict[str, Any]]:
    """Every docstring of the standard library by dotted name. Nothing is imported or run."""
    found: dict[str, dict[str, Any]] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Old sources have old escapes in their strings.
        for name, source in modules():
            found.update(entries(ast.parse(source.read_bytes()), name, name))
    return found


def is_private(key: str) -> bool:
    return any(part.startswith("_") and not part.endswith("__") for part in key.split("."))


def summary_of(doc: Version) -> dict[str, Any]:
    """A stand-in for what a language model would write: the first sentence."""
    first = doc.value["doc"].partition("\n\n")[0].replace("\n", " ")
    return {"of": doc.key, "text": first}


async def store(db: Database, texts: dict[str, dict[str, Any]]) -> None:
    """Write what is new or different, a thousand entries to a batch."""
    present = await db.namespace("docs").all()
    changed = [("docs", key, value) for key, value in texts.items() if present.get(key) != value]
    for start in range(0, len(changed), BATCH):
        await db.put_batch(changed[start : start + BATCH])
    say(f"{len(changed):,} of {len(texts):,} had to be written")


async def edit(db: Database) -> tuple[Version, Version]:
    """Change one entry twice; the version before, and the version after."""
    docs = db.namespace("docs")
    [before] = await docs.history(EXAMPLE, limit=1)
    value = {**before.value, "see_also": ["json.dump", "json.loads"]}
    # expected_version: had somebody else written meanwhile, this would be a ConflictError.
    linked = await docs.put(EXAMPLE, value, expected_version=before)
    del value["signature"]
    value["doc"] = value["doc"].replace("``obj``", "`obj`")
    after = await docs.put(EXAMPLE, value, expected_version=linked)
    say(f"{EXAMPLE}: version {before.version_id[:8]} became {after.version_id[:8]}")
    return before, after


async def delete_private(db: Database) -> None:
    """Delete the helpers that no documentation should list, all at the same time."""
    docs = db.namespace("docs")
    private = [key for key in await docs.list_keys() if is_private(key)]
    await asyncio.gather(*(docs.delete(key) for key in private))
    say(f"{len(private):,} private entries deleted, each durable; together they share few syncs")


async def derive(db: Database) -> Version:
    """Summarise two entries, and a module from the two summaries."""
    summaries = []
    for key in (EXAMPLE, "json.loads"):
        [doc] = await db.history("docs", key, limit=1)
        summaries.append(await db.put("summaries", key, summary_of(doc), caused_by=doc))
    overview = {"of": "json", "text": " ".join(summary.value["text"] for summary in summaries)}
    return await db.put("summaries", "json", overview, caused_by=summaries)


async def show_history(db: Database) -> None:
    for version in await db.history("docs", EXAMPLE):
        fields = "deleted" if version.deleted else ", ".join(version.value)
        say(f"{version.timestamp:%H:%M:%S.%f}  {version.version_id[:8]}  {fields}")


async def show_diff(db: Database, before: Version, after: Version) -> None:
    for change in await db.diff("docs", EXAMPLE, before, after):
        value = textwrap.shorten(str(change.get("value", "")), 64, placeholder=" ...")
        say(f"{change['op']:8} {change['path']:11} {value}")


async def show_past(db: Database, moment: datetime, before: Version) -> None:
    docs = db.namespace("docs")
    now, then = await docs.list_keys(), await docs.list_keys(at=moment)
    say(f"{len(now):,} keys now, {len(then):,} at {moment:%H:%M:%S.%f}")
    new, old = await docs.get(EXAMPLE), await docs.get(EXAMPLE, at=before)
    say(f"{EXAMPLE} has a signature now: {'signature' in new}; before: {'signature' in old}")


async def show_causes(db: Database, overview: Version, doc: Version) -> None:
    say(f"{overview.namespace}/{overview.key} says: {overview.value['text'][:60]}...")
    for cause in await db.lineage(overview):
        say(f"  it was made from {cause.namespace}/{cause.key} ({cause.version_id[:8]})")
    affected = [f"{effect.namespace}/{effect.key}" for effect in await db.effects(doc)]
    say(f"if docs/{doc.key} is wrong, so may be: {', '.join(affected)}")


async def show_error(db: Database) -> None:
    try:
        await db.get("docs", "json.dmups")
    except KeyNotFoundError as error:
        say(f"KeyNotFoundError: {error.message}")
        say(error.__notes__[0])


async def work(path: Path, texts: dict[str, dict[str, Any]]) -> tuple[str, str]:
    """What the first process does; returns its last commit and a time before the edits."""
    with step(f"Opening {path.name}"):
        db = await Database.create(path)
        say(f"{(await db.stats()).versions:,} versions were there")
    try:
        with step(f"Storing the docstrings in atomic batches of {BATCH:,}"):
            await store(db, texts)
        moment = datetime.now(UTC)
        with step("Changing an entry"):
            before, after = await edit(db)
        with step("Deleting entries"):
            await delete_private(db)
        with step("Summarising, with the cause of every summary"):
            overview = await derive(db)
        with step(f"The history of {EXAMPLE}"):
            await show_history(db)
        with step("What the edits changed, as a JSON Patch"):
            await show_diff(db, before, after)
        with step("A view of the past"):
            await show_past(db, moment, before)
        with step("What was made from what"):
            await show_causes(db, overview, after)
        with step("A misspelt key"):
            await show_error(db)
        return db.head, moment.isoformat()
    finally:
        await db.close()


def main(path: Path) -> None:
    with step("Collecting the docstrings of the standard library from its sources"):
        texts = collect()
        kinds = Counter(value["kind"] for value in texts.values())
        say(", ".join(f"{count:,} of a {kind}" for kind, count in sorted(kinds.items())))
    head, moment = asyncio.run(work(path, texts))
    with step("Opening the file again, in a second process"):
        command = [sys.executable, __file__, REOPEN, str(path), head, moment]
        subprocess.run(command, check=True)
    size = path.stat().st_size / 1e6
    print(f"\nDone in {sum(steps):.1f} s: {len(texts):,} docstrings, {size:.1f} MB in one file.")


def reopen(path: str, head: str, moment: str) -> None:
    """The second process: everything is there, now and then, and unharmed."""
    start = time.perf_counter()
    with SyncDatabase(path) as db:
        stats, versions = db.stats(), db.history("docs", EXAMPLE)
        opened = time.perf_counter() - start
        assert db.head == head
        then = db.list_keys("docs", at=moment)
        say(f"{stats.keys:,} keys, {stats.versions:,} versions, read after {opened * 1000:.0f} ms")
        say(f"{len(then):,} keys before the edits; {EXAMPLE} has {len(versions)} versions")
        report = db.verify()
        assert report.ok, report.problems
        say(f"verify: {report.versions:,} versions and {report.commits:,} commits, all as written")


if __name__ == "__main__":
    if sys.argv[1:2] == [REOPEN]:
        reopen(*sys.argv[2:])
    elif sys.argv[1:]:
        main(Path(sys.argv[1]).absolute() / "stdlib.koru")
    else:
        with tempfile.TemporaryDirectory(prefix="koru-delta-") as directory:
            main(Path(directory) / "stdlib.koru")
