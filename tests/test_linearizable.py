"""Threads, tasks and processes at one database: each key behaves as if they took turns."""

from __future__ import annotations

import asyncio
import json
import math
import random
import subprocess
import sys
import textwrap
import threading
import time
from collections import defaultdict
from typing import TYPE_CHECKING

import pytest
from linearizable import History, problems

from koru_delta import Config, Database, SyncDatabase

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Backend, Opener

KEYS = ["x", "y"]
PROCESS_SECONDS = 60


# The checker itself.


def history_of(*operations: tuple[str, str | None, float, float]) -> History:
    history = History()
    for kind, value, asked, answered in operations:
        if kind == "w":
            history.wrote(str(value), asked, answered)
        else:
            history.read(value, asked, answered)
    return history


@pytest.mark.parametrize(
    "operations",
    [
        [("w", "a", 0, 1), ("r", "a", 2, 3)],
        [("w", "a", 0, 5), ("r", None, 1, 2), ("r", "a", 3, 4)],
        [("w", "a", 0, 5), ("w", "b", 0, 5), ("r", "a", 1, 2), ("r", "b", 6, 7)],
        [("w", "a", 0, 1), ("w", "lost", 2, math.inf), ("r", "a", 3, 4)],
        [("w", "a", 0, 1), ("w", "b", 2, math.inf), ("r", "b", 3, 4)],
    ],
    ids=str,
)
def test_the_checker_accepts_what_can_happen(
    operations: list[tuple[str, str | None, float, float]],
) -> None:
    order = [value for value in ("a", "b") if any(op[1] == value for op in operations)]
    assert problems(history_of(*operations), order) == []


@pytest.mark.parametrize(
    "operations",
    [
        [("w", "a", 0, 1), ("r", None, 2, 3)],
        [("w", "a", 0, 1), ("w", "b", 2, 3), ("r", "a", 4, 5)],
        [("w", "a", 0, 9), ("r", "a", 1, 2), ("r", None, 3, 4)],
        [("w", "b", 0, 1), ("w", "a", 2, 3)],
        [("r", "a", 0, 1), ("w", "a", 2, 3)],
        [("w", "a", 0, 1), ("w", "c", 2, 3)],
        [("w", "a", 0, 1), ("r", "never written", 2, 3)],
    ],
    ids=str,
)
def test_the_checker_refuses_what_cannot_happen(
    operations: list[tuple[str, str | None, float, float]],
) -> None:
    order = [value for value in ("a", "b") if any(op[1] == value for op in operations)]
    assert problems(history_of(*operations), order) != []


# Histories of real databases.


def assert_linearizable(histories: dict[str, History], orders: dict[str, list[str]]) -> None:
    for key, history in histories.items():
        assert problems(history, orders.get(key, [])) == [], key


@pytest.mark.parametrize("sync", [True, False], ids=["sync", "no sync"])
async def test_tasks_take_turns(open_database: Opener, sync: bool) -> None:
    db = await open_database(sync_on_write=sync)
    histories: dict[str, History] = defaultdict(History)

    async def work(task: int) -> None:
        chance = random.Random(task)
        for i in range(15):
            key, asked = chance.choice(KEYS), time.monotonic()
            if chance.random() < 0.5:
                value = f"{task}-{i}"
                await db.put("a", key, value)
                histories[key].wrote(value, asked, time.monotonic())
            else:
                read = await db.get("a", key, None)
                histories[key].read(read, asked, time.monotonic())
            if chance.random() < 0.3:
                await asyncio.sleep(0)

    await asyncio.gather(*map(work, range(10)))
    orders = {key: [v.value for v in await db.history("a", key)] for key in KEYS}
    assert_linearizable(histories, orders)


def test_threads_take_turns(backend: Backend, tmp_path: Path) -> None:
    histories: dict[str, History] = defaultdict(History)
    start = threading.Barrier(6)

    def work(thread: int, db: SyncDatabase) -> None:
        chance = random.Random(thread)
        start.wait()
        for i in range(25):
            key, asked = chance.choice(KEYS), time.monotonic()
            if chance.random() < 0.5:
                value = f"{thread}-{i}"
                db.put("a", key, value)
                histories[key].wrote(value, asked, time.monotonic())
            else:
                read = db.get("a", key, None)
                histories[key].read(read, asked, time.monotonic())

    for key in KEYS:
        histories[key] = History()
    with SyncDatabase(Config(path=backend.path_in(tmp_path))) as db:
        threads = [threading.Thread(target=work, args=(n, db)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        orders = {key: [v.value for v in db.history("a", key)] for key in KEYS}
    assert_linearizable(histories, orders)


async def test_tasks_and_cancelled_tasks_take_turns(open_database: Opener) -> None:
    db = await open_database()
    history = History()

    async def write(i: int) -> None:
        asked = time.monotonic()
        try:
            await db.put("a", "x", f"{i}")
        except asyncio.CancelledError:
            history.wrote(f"{i}", asked)
            raise
        history.wrote(f"{i}", asked, time.monotonic())

    for round_ in range(12):
        tasks = [asyncio.create_task(write(10 * round_ + i)) for i in range(6)]
        for _ in range(round_ % 4):
            await asyncio.sleep(0)
        tasks[round_ % 6].cancel()
        tasks[(round_ + 3) % 6].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        asked = time.monotonic()
        history.read(await db.get("a", "x", None), asked, time.monotonic())
    order = [version.value for version in await db.history("a", "x")]
    # A task that was cancelled before it began has asked for nothing.
    assert problems(history, order) == []


WORKER = """
    import json, os, random, sys, time
    from koru_delta import Config, DatabaseLockedError, SyncDatabase
    path, name, rounds, dies = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4] == "dies"
    chance = random.Random(name)

    def note(*operation):
        print(json.dumps(operation), flush=True)

    done = 0
    while done < rounds:
        try:
            with SyncDatabase(path) as db:
                for i in range(4):
                    key, value = chance.choice("xy"), f"{name}-{done}-{i}"
                    asked = time.monotonic()
                    if chance.random() < 0.6:
                        note("asks", key, value, asked)
                        db.put("a", key, value)
                        note("wrote", key, value, asked, time.monotonic())
                        if dies and done == rounds - 1 and i == 2:
                            os.kill(os.getpid(), 9)
                    else:
                        read = db.get("a", key, None)
                        note("read", key, read, asked, time.monotonic())
                done += 1
        except DatabaseLockedError:
            pass
        time.sleep(chance.random() * 0.002)
"""


def take_down(output: str, histories: dict[str, History]) -> None:
    """Notes what a process says that it did; what it began and never said it ended has no end."""
    begun: dict[str, tuple[str, float]] = {}
    for line in output.splitlines():
        kind, key, value, asked, *answered = json.loads(line)
        if kind == "asks":
            begun[value] = (key, asked)
        elif kind == "wrote":
            begun.pop(value)
            histories[key].wrote(value, asked, answered[0])
        else:
            histories[key].read(value, asked, answered[0])
    for value, (key, asked) in begun.items():
        histories[key].wrote(value, asked)


def hammer(path: Path, processes: int, rounds: int) -> int:
    """Lets processes take turns at one file; how many operations they did, all of them in order."""
    source = textwrap.dedent(WORKER)
    children = [
        subprocess.Popen(
            [
                sys.executable,
                "-c",
                source,
                str(path),
                f"p{n}",
                str(rounds),
                "dies" if n else "ends",
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        for n in range(processes)
    ]
    histories: dict[str, History] = defaultdict(History)
    for child in children:
        output, _ = child.communicate(timeout=PROCESS_SECONDS * max(1, rounds // 10))
        take_down(output, histories)
        assert child.returncode in (0, -9)
    with SyncDatabase(path) as db:
        assert db.verify().ok
        orders = {key: [v.value for v in db.history("a", key)] for key in KEYS}
    assert_linearizable(histories, orders)
    return sum(len(history.operations) for history in histories.values())


def test_processes_take_turns_and_some_of_them_die(tmp_path: Path) -> None:
    assert hammer(tmp_path / "data.koru", processes=3, rounds=4) > 20


READER = """
    import sys
    from koru_delta import Config, SyncDatabase
    for _ in range(int(sys.argv[2])):
        with SyncDatabase(Config(path=sys.argv[1], read_only=True)) as db:
            pair = [db.get("a", "left"), db.get("a", "right")]
            assert pair[0] == pair[1], pair
            acknowledged = db.get("a", "acknowledged")
            assert pair[0] >= acknowledged, (pair, acknowledged)
    print("done")
"""


async def test_readers_in_other_processes_see_whole_commits(tmp_path: Path) -> None:
    path = tmp_path / "data.koru"
    async with Database(path) as db:
        await db.put_batch([("a", name, 0) for name in ("left", "right", "acknowledged")])
        reader = await asyncio.create_subprocess_exec(
            sys.executable, "-c", textwrap.dedent(READER), str(path), "10",
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        running = asyncio.create_task(reader.communicate())
        number = 0
        while not running.done():
            number += 1
            await db.put_batch([("a", "left", number), ("a", "right", number)])
            await db.put("a", "acknowledged", number)
            await asyncio.sleep(0.001)
        out, err = await running
    assert (out, reader.returncode) == (b"done\n", 0), err.decode()
