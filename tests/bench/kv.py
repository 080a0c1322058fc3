"""Key-value: JSON documents of 120 bytes, one at a time, in batches, durably, and in the past.

In memory: put, get, a batch of 10,000 into an empty store, the history of a key with 1,000 versions
(every value decoded), a read as of a moment within that history. On disk: a put that survives power
loss before the next one starts, and 64 such puts at once. SQLite is asked for its durable setting,
synchronous FULL, with either journal; the targets are held against the faster one, WAL. As most
peers, it does the 64 puts one after the other there. What it makes of 64 writers, threads that have
a connection each, is a row of its own, in few rounds: it takes most of a second.
"""

from __future__ import annotations

import functools
import importlib.util
import inspect
import itertools
import os
import time
from typing import TYPE_CHECKING, Any, TypeVar

from harness import MS, OURS, SECONDS, US, Context, Operation, Probe, RatioTarget, Section, measured
from kv_stores import (
    NAMESPACE,
    BareAppend,
    DictText,
    Diskcache,
    Document,
    Item,
    KoruDelta,
    Lmdb,
    Pair,
    SqliteLatest,
    SqliteVersions,
    SqliteWriters,
    encode,
)

if TYPE_CHECKING:
    import random
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

DOCUMENT_BYTES = 120
KEYS = 10_000
BATCH = 10_000
VERSIONS = 1_000
AT_ONCE = 64
WARM = 500
ROUNDS = 31
ROUNDS_OF_BATCH = 11
ROUNDS_DURABLE = 51
"""Syncs vary most: short loops and many rounds, so that a busy disk is shared fairly."""
ROUNDS_WRITERS = 7
HISTORY_KEY = "user:history"
TURNS = range(4)
"""Loops take turns among this many sets of documents, keys to read and moments. Each key is written
with another document each turn: where the new bytes equal the old ones, SQLite skips the write, and
with it the sync. Reads are of other keys each turn, so that a cache helps as much as chance has it.
"""

DICT = "dict + json text"
SQLITE_MEMORY = "sqlite3 in memory"
SQLITE_VERSIONS = "sqlite3 in memory, every version kept"
SQLITE_NORMAL = "sqlite3 WAL, NORMAL (process crash)"
SQLITE_FULL = "sqlite3 WAL, FULL (power loss)"
SQLITE_ROLLBACK = "sqlite3 rollback journal, FULL (power loss)"
SQLITE_WRITERS = f"sqlite3 WAL, FULL, {AT_ONCE} threads (power loss)"
SQLITE_TURNS = f"sqlite3 WAL, FULL, {AT_ONCE} threads with a lock (power loss)"
LMDB = "lmdb (power loss)"
DISKCACHE = "diskcache (process crash)"
FSYNC = "append of 256 bytes and fsync"
FDATASYNC = "append of 256 bytes and fdatasync"
OURS_NO_SYNC = "koru-delta file, no sync (process crash)"
OURS_SYNC = "koru-delta file (power loss)"

PUT = Operation("put", US)
GET = Operation("get", US)
BATCH_OF = Operation("batch of 10,000", SECONDS)
HISTORY = Operation("history of 1,000", MS)
AS_OF = Operation("as-of get", US)
DURABLE = Operation("durable put", US)
DURABLE_64 = Operation("64 durable puts, each", US)
WRITERS_64 = Operation("64 writers' durable puts, each", US)

TARGETS = (
    RatioTarget(GET.name, SQLITE_MEMORY, 0.8),
    RatioTarget(PUT.name, SQLITE_MEMORY, 1.0),
    RatioTarget(BATCH_OF.name, SQLITE_MEMORY, 0.7),
    RatioTarget(HISTORY.name, SQLITE_VERSIONS, 0.5),
    RatioTarget(AS_OF.name, SQLITE_VERSIONS, 1.0),
    RatioTarget(DURABLE.name, FSYNC, 1.1, contestant=OURS_SYNC),
    RatioTarget(DURABLE_64.name, SQLITE_FULL, 20.0, "at least", contestant=OURS_SYNC),
    RatioTarget(WRITERS_64.name, SQLITE_WRITERS, 20.0, "at least", contestant=OURS_SYNC),
    RatioTarget(WRITERS_64.name, SQLITE_TURNS, 20.0, "at least", contestant=OURS_SYNC),
)

Turn = TypeVar("Turn")

WORDS = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heron", "inlet", "juniper")


def document(generator: random.Random, number: int) -> Document:
    """A small record whose compact JSON text is exactly 120 bytes."""
    made: Document = {
        "id": number,
        "name": f"{generator.choice(WORDS)} {generator.choice(WORDS)}",
        "score": generator.randrange(1, 1000) / 8,
        "active": generator.random() < 0.5,
        "tags": generator.sample(WORDS, 2),
        "note": "",
    }
    room = DOCUMENT_BYTES - len(encode(made))
    filler = " ".join(generator.choice(WORDS) for _ in range(room))
    made["note"] = filler[:room]
    assert len(encode(made)) == DOCUMENT_BYTES
    return made


def timed(work: Callable[[], object | Awaitable[object]], count: int) -> Probe:
    """A probe that times `work` (a loop of `count` operations), for each operation."""

    async def probe() -> float:
        started = time.perf_counter()
        result = work()
        if inspect.isawaitable(result):
            await result
        return (time.perf_counter() - started) / count

    return probe


def timed_by_turns(work: Callable[[Turn], object], turns: Sequence[Turn], count: int) -> Probe:
    """As `timed`, where each measurement takes the next of `turns`, again and again."""
    upcoming = itertools.cycle(turns)

    async def probe() -> float:
        turn = next(upcoming)
        return await measured(timed(lambda: work(turn), count))

    return probe


async def settled(result: Any) -> Any:
    return await result if inspect.isawaitable(result) else result


class Workload:
    """The documents and the order of keys, the same for every contestant."""

    def __init__(self, context: Context) -> None:
        generator = context.random("kv")
        self.puts = 500 if context.quick else 1_000
        self.gets = 500 if context.quick else 1_000
        self.histories = 2
        self.durable = 20
        self.bursts = 2
        keys = [f"user:{number:06d}" for number in range(KEYS)]
        documents = [document(generator, number) for number in range(KEYS)]
        self.items: list[Item] = [
            (NAMESPACE, key, made) for key, made in zip(keys, documents, strict=True)
        ]
        self.latest = dict(zip(keys, documents, strict=True))
        keys_put = generator.choices(keys, k=self.puts)
        self.put_turns = self._turns(generator, keys_put, documents)
        self.get_turns = [generator.choices(keys, k=self.gets) for _ in TURNS]
        keys_durable = generator.choices(keys, k=self.durable)
        self.durable_turns = self._turns(generator, keys_durable, documents)
        keys_at_once = generator.sample(keys, AT_ONCE)
        self.burst_turns = self._turns(generator, keys_at_once * self.bursts, documents)
        self.history_pairs: list[Pair] = [(HISTORY_KEY, made) for made in documents[:VERSIONS]]
        self.moment_turns = [generator.choices(range(VERSIONS), k=self.gets) for _ in TURNS]

    @staticmethod
    def _turns(
        generator: random.Random, keys: list[str], documents: list[Document]
    ) -> list[list[Pair]]:
        """The same keys each turn, with other documents: few enough to be warm, as new ones are."""
        pool = documents[:WARM]
        return [list(zip(keys, generator.choices(pool, k=len(keys)), strict=True)) for _ in TURNS]


async def add_store(section: Section, work: Workload, name: str, store: Any) -> None:
    """Fills the store, checks that it answers rightly, and enters its put and get."""
    await settled(store.batch(work.items))
    for keys in work.get_turns:
        if await settled(store.gets(keys)) != work.latest[keys[-1]]:
            raise AssertionError(f"{name} does not give back what was put")
    section.add(GET.name, name, timed_by_turns(store.gets, work.get_turns, work.gets))


def add_put(section: Section, work: Workload, name: str, store: Any) -> None:
    section.add(PUT.name, name, timed_by_turns(store.puts, work.put_turns, work.puts))


async def add_past(section: Section, work: Workload, name: str, store: Any) -> None:
    """Gives one key its 1,000 versions and enters history and as-of reads."""
    await settled(store.puts(work.history_pairs))
    wanted = [made for _, made in work.history_pairs]
    if [value for _, value in await settled(store.history(HISTORY_KEY))] != wanted:
        raise AssertionError(f"{name} does not give back every version")
    moments = await settled(store.moments(HISTORY_KEY))
    asked = [[moments[index] for index in turn] for turn in work.moment_turns]
    for turn, indexes in zip(asked, work.moment_turns, strict=True):
        if await settled(store.gets_as_of(HISTORY_KEY, turn)) != wanted[indexes[-1]]:
            raise AssertionError(f"{name} does not give back the past")

    async def histories() -> None:
        for _ in range(work.histories):
            await settled(store.history(HISTORY_KEY))

    section.add(HISTORY.name, name, timed(histories, work.histories))
    as_of = functools.partial(store.gets_as_of, HISTORY_KEY)
    section.add(AS_OF.name, name, timed_by_turns(as_of, asked, work.gets))


def add_batch(
    section: Section, work: Workload, name: str, make: Callable[[], Any | Awaitable[Any]]
) -> None:
    """Enters the batch: each measurement into a new, empty store, opened outside the clock."""

    async def probe() -> float:
        store = await settled(make())
        try:
            return await measured(timed(lambda: store.batch(work.items), 1))
        finally:
            await settled(store.close())

    section.add(BATCH_OF.name, name, probe)


def add_durable(section: Section, work: Workload, name: str, store: Any) -> None:
    section.add(DURABLE.name, name, timed_by_turns(store.puts, work.durable_turns, work.durable))

    async def bursts(turn: Sequence[Pair]) -> None:
        for start in range(0, len(turn), AT_ONCE):
            await settled(at_once(store, turn[start : start + AT_ONCE]))

    count = work.bursts * AT_ONCE
    section.add(DURABLE_64.name, name, timed_by_turns(bursts, work.burst_turns, count))


def add_writers(section: Section, work: Workload, name: str, store: Any) -> None:
    turns = [turn[:AT_ONCE] for turn in work.burst_turns]
    section.add(WRITERS_64.name, name, timed_by_turns(store.puts_at_once, turns, AT_ONCE))


def at_once(store: Any, pairs: Sequence[Pair]) -> Any:
    """64 puts that do not wait for each other; a peer without concurrency does them in turn."""
    return store.puts_at_once(pairs) if hasattr(store, "puts_at_once") else store.puts(pairs)


def settle_disk() -> None:
    """Writes out what others left unsynced, which a sync might have to wait for."""
    if hasattr(os, "sync"):
        os.sync()


async def run(context: Context) -> Section:
    """Runs the key-value section."""
    work = Workload(context)
    section = Section(
        title="Key-value, JSON documents of 120 bytes",
        operations=(PUT, GET, BATCH_OF, HISTORY, AS_OF, DURABLE, DURABLE_64, WRITERS_64),
        sizes={
            "keys": f"{KEYS:,}",
            "puts": f"{work.puts:,}",
            "gets": f"{work.gets:,}",
            "durable puts": work.durable,
            "bursts": work.bursts,
            "rounds": context.rounds(ROUNDS),
            "of the batch": context.rounds(ROUNDS_OF_BATCH),
            "of durable puts": context.rounds(ROUNDS_DURABLE),
            "of writers": context.rounds(ROUNDS_WRITERS),
        },
        ratio_targets=TARGETS,
    )
    stores: list[Any] = []
    try:
        await enter(context, section, work, stores)
        generator = context.random("kv/order")
        await section.run_rounds(context.rounds(ROUNDS), generator, (PUT, GET, HISTORY, AS_OF))
        await section.run_rounds(context.rounds(ROUNDS_OF_BATCH), generator, (BATCH_OF,))
        settle_disk()
        await section.run_rounds(context.rounds(ROUNDS_DURABLE), generator, (DURABLE, DURABLE_64))
        await section.run_rounds(context.rounds(ROUNDS_WRITERS), generator, (WRITERS_64,))
    finally:
        for store in stores:
            await settled(store.close())
    return section


async def enter(context: Context, section: Section, work: Workload, stores: list[Any]) -> None:
    """Enters every contestant; `stores` gets those to close."""
    numbers = iter(range(1_000_000))

    def fresh() -> Path:
        return context.scratch / f"kv-{next(numbers)}"

    async def koru(path: Path | None = None, *, sync_on_write: bool = True) -> KoruDelta:
        return await KoruDelta(path, sync_on_write=sync_on_write).open()

    makers: dict[str, Callable[[], Any]] = {
        DICT: DictText,
        SQLITE_MEMORY: SqliteLatest,
        SQLITE_VERSIONS: SqliteVersions,
        SQLITE_NORMAL: lambda: SqliteLatest(fresh(), "NORMAL"),
        SQLITE_FULL: lambda: SqliteLatest(fresh(), "FULL"),
        SQLITE_ROLLBACK: lambda: SqliteLatest(fresh(), "FULL", "DELETE"),
        LMDB: lambda: Lmdb(fresh()),
        DISKCACHE: lambda: Diskcache(fresh()),
        OURS: koru,
        OURS_NO_SYNC: lambda: koru(fresh(), sync_on_write=False),
        OURS_SYNC: lambda: koru(fresh()),
    }
    ours = (OURS, OURS_NO_SYNC, OURS_SYNC)
    durable = (SQLITE_FULL, SQLITE_ROLLBACK, LMDB, OURS_SYNC)
    for name, module in ((LMDB, "lmdb"), (DISKCACHE, "diskcache")):
        if importlib.util.find_spec(module) is None:
            del makers[name]
            section.notes.append(f"{name} is not installed.")
    for name, make in makers.items():
        if name in ours and not context.koru_delta_present:
            continue
        store = await settled(make())
        stores.append(store)
        await add_store(section, work, name, store)
        if name == OURS_SYNC:
            add_writers(section, work, name, store)
        if name in durable:
            add_durable(section, work, name, store)
        else:
            add_put(section, work, name, store)
        if name in (SQLITE_VERSIONS, OURS):
            await add_past(section, work, name, store)
        add_batch(section, work, name, make)
    for name, take_turns in ((SQLITE_WRITERS, False), (SQLITE_TURNS, True)):
        writers = SqliteWriters(fresh(), AT_ONCE, take_turns=take_turns)
        stores.append(writers)
        writers.latest.batch(work.items)
        add_writers(section, work, name, writers)
    for name, data_only in ((FSYNC, False), (FDATASYNC, True)):
        bare = BareAppend(fresh(), data_only=data_only)
        stores.append(bare)
        append = functools.partial(bare.appends, work.durable)
        section.add(DURABLE.name, name, timed(append, work.durable))
        count = work.bursts * AT_ONCE
        burst = functools.partial(bare.appends, count, AT_ONCE)
        section.add(DURABLE_64.name, name, timed(burst, count))
