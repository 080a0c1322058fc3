"""Cancelled at any suspension, forked at any time: whole or not there, and the handle goes on."""

from __future__ import annotations

import ast
import asyncio
import functools
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cancelling import cancel_at
from processes import needs_fork, run_python

import koru_delta
from koru_delta import Database, KoruDeltaError
from koru_delta._forks import IMPORTED_LATE
from koru_delta._hosts import wasmtime_host
from koru_delta._workers import embedder_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

MAX_SUSPENSIONS = 50
ROWS = 40
LONG = "x" * 300_000
VECTORS = [[float(i), 1.0] for i in range(ROWS)]


async def _restore(db: Database, n: int) -> Any:
    first, *_ = await db.history("a", "old")
    return await db.restore("a", "old", first.version_id)


WRITES: dict[str, Callable[[Database, int], Coroutine[Any, Any, Any]]] = {
    "put": lambda db, n: db.put("a", f"{n}", n),
    "put of a long value": lambda db, n: db.put("a", f"{n}", LONG),
    "put_batch": lambda db, n: db.put_batch([("a", f"{n}-{i}", i) for i in range(ROWS)]),
    "put_batch of much": lambda db, n: db.put_batch(
        [("a", f"{n}-{i}", "x" * 20_000) for i in range(ROWS)]
    ),
    "delete": lambda db, _: db.delete("a", "old"),
    "erase": lambda db, _: db.erase("a", "old"),
    "restore": _restore,
    "embed": lambda db, n: db.embed("v", f"{n}", [float(n), 1.0]),
    "embed_batch": lambda db, n: db.embed_batch("v", [f"{n}-{i}" for i in range(ROWS)], VECTORS),
    "create_index": lambda db, n: db.create_index("a", f"field{n}"),
}
READS: dict[str, Callable[[Database], Coroutine[Any, Any, Any]]] = {
    "get": lambda db: db.get("a", "old"),
    "query": lambda db: db.query("a", {"n": {"$gte": 0}}, order_by="n"),
    "similar": lambda db: db.similar("v", [1.0, 0.0], 3),
    "search": lambda db: db.search("a", "words"),
    "verify": lambda db: db.verify(),
}


class SlowDisk:
    """Makes syncs slow enough to be done in a worker thread."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        real = os.fdatasync

        def slow(fd: int) -> None:
            time.sleep(0.002)
            real(fd)

        patch.setattr(os, "fdatasync", slow)


async def contents(db: Database) -> dict[str, Any]:
    """What a database shows, without ids and times."""
    shown: dict[str, Any] = {"indexes": [index.field for index in await db.list_indexes()]}
    for namespace in await db.list_namespaces():
        for key in await db.list_keys(namespace):
            history = await db.history(namespace, key)
            shown[f"{namespace}/{key}"] = [(v.value, v.deleted) for v in history]
    return shown


async def prepare(db: Database) -> None:
    await db.put("a", "old", {"n": 1, "text": "some words"})
    await db.put("a", "old", {"n": 2})
    await db.embed("v", "old", [1.0, 0.0])


async def expected_after(work: Callable[[Database, int], Coroutine[Any, Any, Any]], n: int) -> Any:
    """What the whole work comes to."""
    async with Database() as db:
        await prepare(db)
        await work(db, n)
        return await contents(db)


@pytest.mark.parametrize("place", ["memory", "file", "slow file"])
@pytest.mark.parametrize("name", WRITES)
async def test_a_write_cancelled_at_any_suspension_is_whole_or_not_there(
    name: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if place == "slow file":
        SlowDisk(monkeypatch)
    work = WRITES[name]
    suspensions = 0
    while suspensions < MAX_SUSPENSIONS:
        path = None if place == "memory" else tmp_path / f"{suspensions}.koru"
        async with Database(path) as db:
            await prepare(db)
            if place == "slow file":
                await db.put_batch([("warm", f"{i}", i) for i in range(3)])
                await db.erase("warm", "0")
            before = await contents(db)
            after = before | await expected_after(work, suspensions)
            if name in ("delete", "erase"):
                del after["a/old"]
            done = await cancel_at(functools.partial(work, db, suspensions), suspensions)
            await db.put("b", "after", 1)
            found = await contents(db)
            assert found.pop("b/after") == [(1, False)]
            assert found in ([after] if done is not False else [before, after])
            assert (await db.verify()).ok
        if path is not None:
            async with Database(path) as db:
                again = await contents(db)
                del again["b/after"]
                # What a worker thread had begun may have been done after we looked.
                assert again in (found, after)
        if done is None:
            break
        suspensions += 1
    else:
        raise AssertionError("it is suspended for ever")


@pytest.mark.parametrize("name", READS)
async def test_a_read_cancelled_at_any_suspension_changes_nothing(name: str) -> None:
    async with Database() as db:
        await prepare(db)
        before = await contents(db)
        for suspension in range(MAX_SUSPENSIONS):
            if await cancel_at(lambda: READS[name](db), suspension) is None:
                break
            assert await contents(db) == before
        else:
            raise AssertionError("it is suspended for ever")
        assert await contents(db) == before


async def test_tasks_cancelled_during_the_sync_of_others_lose_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    SlowDisk(monkeypatch)
    path = tmp_path / "data.koru"
    acknowledged = set()
    async with Database(path) as db:

        async def write(key: str) -> None:
            await db.put("a", key, key)
            acknowledged.add(key)

        for round_ in range(15):
            tasks = [asyncio.create_task(write(f"{round_}-{i}")) for i in range(8)]
            await asyncio.sleep(0.0005 * (round_ % 5))
            for task in tasks[round_ % 2 :: 2]:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert not any(isinstance(result, KoruDeltaError) for result in results)
        assert acknowledged <= set(await db.list_keys("a"))
    async with Database(path) as db:
        assert acknowledged <= set(await db.list_keys("a"))


FORKS = """
    import os, signal, sys, threading, warnings
    from koru_delta import DatabaseLockedError, SyncDatabase
    warnings.simplefilter("ignore")

    def in_child(db, path):
        signal.alarm(20)  # A child that hangs is a failure.
        for call in (lambda: db.get("a", "key"), lambda: db.put("a", "key", 1), db.verify):
            try:
                call()
            except DatabaseLockedError:
                continue
            return 1
        with SyncDatabase(path) as own:  # One of its own it may have.
            own.put("a", "key", "child")
            if own.get("a", "key") != "child":
                return 2
        return 0

    path = sys.argv[1]
    going = True

    def write(db, thread):
        i = 0
        while going:
            db.put("a", f"{thread}-{i}", i)
            db.put("a", "key", i)
            i += 1
        counts[thread] = i

    counts = {}
    with SyncDatabase(path) as db:
        threads = [threading.Thread(target=write, args=(db, t)) for t in range(3)]
        for thread in threads:
            thread.start()
        for n in range(int(sys.argv[2])):
            child = os.fork()
            if child == 0:
                os._exit(in_child(db, f"{path}.{n}"))
            assert os.waitpid(child, 0)[1] == 0, n
        going = False
        for thread in threads:
            thread.join()
        assert db.verify().ok
        assert len(db.list_keys("a")) == sum(counts.values()) + 1
    with SyncDatabase(path) as db:
        assert len(db.list_keys("a")) == sum(counts.values()) + 1
    print("done")
"""


@needs_fork
def test_forking_while_threads_write_harms_neither_side(tmp_path: Path) -> None:
    assert run_python(FORKS, tmp_path / "data.koru", "4") == "done"


CUTS = """
    import os, signal, sys, threading, time, warnings
    from importlib.machinery import PathFinder
    from koru_delta import SyncDatabase
    warnings.simplefilter("ignore")
    path, cut = sys.argv[1:]
    begun = threading.Event()

    class Pause:
        def find_spec(self, name, path=None, target=None):
            if name != cut:
                return None
            sys.meta_path.remove(self)
            spec = PathFinder.find_spec(name, path)
            execute = spec.loader.exec_module

            def execute_later(module):
                begun.set()
                time.sleep(0.1)  # Other threads go on meanwhile.
                execute(module)

            spec.loader.exec_module = execute_later
            return spec

    def work(path):
        with SyncDatabase(path) as db:
            db.put("a", "key", {"value": 1})
            db.compact()

    sys.meta_path.insert(0, Pause())
    thread = threading.Thread(target=work, args=(path,))
    thread.start()
    assert begun.wait(20), f"{cut} is not imported"
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # A child that hangs is a failure.
        work(f"{path}.child")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    thread.join()
    print("done")
"""


@needs_fork
@pytest.mark.parametrize(
    "module", ["concurrent.futures.thread", "hashlib", "koru_delta._upkeep.compaction", "orjson"]
)
def test_a_fork_while_another_thread_imports_leaves_a_child_that_can_import(
    module: str, tmp_path: Path
) -> None:
    assert run_python(CUTS, tmp_path / "data.koru", module) == "done"


def test_threads_are_to_be_had_while_the_engine_is_compiled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun, end = threading.Event(), threading.Event()

    def compile_slowly(*_: object) -> None:
        begun.set()
        assert end.wait(60)

    monkeypatch.setattr(wasmtime_host, "Runtime", compile_slowly)
    compiling = threading.Thread(target=wasmtime_host.shared_runtime.__wrapped__)
    asking = threading.Thread(target=embedder_threads, daemon=True)
    compiling.start()
    try:
        assert begun.wait(10)
        asking.start()
        asking.join(10)
        assert not asking.is_alive()
    finally:
        end.set()
        compiling.join()


def _late_imports(tree: ast.AST) -> Iterator[set[str]]:
    """For each import in a function, the modules that it may be of."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    functions = [node for node in ast.walk(tree) if isinstance(node, kinds)]
    for node in (node for function in functions for node in ast.walk(function)):
        if isinstance(node, ast.Import):
            yield from ({alias.name} for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ({node.module or "", f"{node.module}.{a.name}"} for a in node.names)


def test_all_that_is_imported_late_is_imported_before_a_fork() -> None:
    known = {*IMPORTED_LATE, "concurrent.futures"}
    elsewhere = {"koru_delta._javascript", "koru_delta._storage.browser"}  # No fork in a browser.
    with_wasmtime = {"wasmtime", "wasmtime._ffi"}  # It imports that itself.
    package = Path(koru_delta.__file__).parent
    of_names = ast.walk(ast.parse((package / "__init__.py").read_text()))
    keys = [key for node in of_names if isinstance(node, ast.Dict) for key in node.keys]
    later = {key.value for key in keys if isinstance(key, ast.Constant)}
    assert "koru_delta.rag" in later
    assert later <= known
    for file in package.rglob("*.py"):
        for modules in _late_imports(ast.parse(file.read_text())):
            assert modules & (known | elsewhere | with_wasmtime), (file, modules)
