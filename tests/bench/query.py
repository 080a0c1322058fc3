"""Queries: 100,000 documents of some 130 bytes, beside sqlite3 with JSON functions, in memory.

    {"id": 7, "name": "Ada Archer", "email": "archer.7@example.org", "age": 31, "city": ...,
     "tags": [..., ...], "active": true}

Email, city and age are indexed, name and tags are not. An email is unique; a city has about a
hundred documents, a name about fifty; a tag is in one of a hundred documents; a range of ages is
ten of eighty years. Answers are compared before anything is timed. A put overwrites a document
with another one, so that its place in every index changes; the view holds half of all documents,
in order. A watch follows changes that were made before, or makes itself told while they are made,
one awaited put at a time.
"""

from __future__ import annotations

import asyncio
import functools
import time
from typing import TYPE_CHECKING, Any

from harness import MS, OURS, SECONDS, US, Context, Operation, Probe, RatioTarget, Section, measured
from kv import settled, timed, timed_by_turns
from query_stores import (
    INDEXED,
    NAMESPACE,
    Document,
    KoruDelta,
    Pair,
    Range,
    SqliteJson,
    encode,
    groups_of,
)

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

DOCUMENTS = 100_000
DOCUMENTS_QUICK = 20_000
PUT_DOCUMENTS = 20_000
CHANGES = 10_000
CHANGES_LIVE = 2_000
ROUNDS = 31
ROUNDS_OF_SCANS = 15
ROUNDS_OF_INDEX = 5
TURNS = range(4)

FIRST_NAMES = """
Ada Alan Anita Barbara Donald Edsger Evelyn Frances Grace Hedy Jean John Karen Ken Konrad Leslie
Lynn Marvin Mary Niklaus Radia Rosalind Rozsa Sophie Stephen Tim Tony Vera Whitfield Yann
"""
LAST_NAMES = """
Archer Baker Barber Binder Brewer Carter Carver Chandler Chapman Clark Collier Cook Cooper Cutler
Draper Drover Dyer Farmer Ferrier Fisher Fletcher Forester Fowler Fuller Gardener Glover Hooper
Hunter Joiner Mason Mercer Miller Naylor Ostler Page Painter Parker Piper Porter Potter Reeve
Saddler Sawyer Scribe Sexton Shepherd Skinner Slater Smith Spicer Steward Sumner Tailor Tanner
Thatcher Tiler Turner Tyler Walker Weaver Webber Wheeler Wood Wright
"""
FRONTS = """
Ash Birch Black Bridge Broad Church Clear Cold Crow Deep East Elm Fair Fern Fox Green Hart Hazel
Heron High Holly Ivy King Lake Long Maple Mill Moor New North Oak Old Otter Raven Red Rose South
Stone West Wood
"""
BACKS = """
bank barrow bourne bridge bury by cliff cote dale den field ford gate ham haven hill holm hurst ley
mouth port stead thorpe ton worth
"""
FIRST, LAST = FIRST_NAMES.split(), LAST_NAMES.split()
CITIES = [front + back for front in FRONTS.split() for back in BACKS.split()]
TAGS = [f"{front.lower()}{number}" for front in FRONTS.split() for number in range(5)]
AGES = (18, 98)
YEARS = 10

SQLITE = "sqlite3 in memory"
SQLITE_INDEXES = "sqlite3, 2 indexes"
OURS_KEPT = "koru-delta, 2 indexes and a view"
OURS_INDEXES = "koru-delta, 2 indexes"
CAUGHT_UP = "koru-delta, changes made before"
LIVE = "koru-delta, while they are put"

UNIQUE = Operation("equal, 1 hit", US)
HUNDRED = Operation("equal, 100 hits", US)
NAMED = Operation("scan, 50 hits", MS)
TAGGED = Operation("scan for a tag", MS)
RANGED = Operation("range, ordered, 10", US)
COUNTED = Operation("count a range", MS)
GROUPED = Operation("group by city", MS)
INDEX = Operation("create an index", SECONDS)
PUT = Operation("put", US)
WATCH = Operation("watch", "changes/s")

TARGETS = (
    RatioTarget(UNIQUE.name, SQLITE, 1.0),
    RatioTarget(HUNDRED.name, SQLITE, 1.0),
    RatioTarget(NAMED.name, SQLITE, 1.0),
    RatioTarget(TAGGED.name, SQLITE, 1.0),
    RatioTarget(PUT.name, OURS, 3.0, contestant=OURS_KEPT),
)


def document(generator: random.Random, number: int) -> Document:
    first, last = generator.choice(FIRST), generator.choice(LAST)
    return {
        "id": number,
        "name": f"{first} {last}",
        "email": f"{last}.{number}@example.org".lower(),
        "age": generator.randrange(*AGES),
        "city": generator.choice(CITIES),
        "tags": generator.sample(TAGS, 2),
        "active": generator.random() < 0.5,
    }


class Workload:
    """The documents and what is asked, the same for every contestant."""

    def __init__(self, context: Context) -> None:
        generator = context.random("query")
        count = DOCUMENTS_QUICK if context.quick else DOCUMENTS
        self.pairs: list[Pair] = [
            (f"user:{number:06d}", document(generator, number)) for number in range(count)
        ]
        self.bytes_each = sum(len(encode(made)) for _, made in self.pairs) / count
        self.emails = self.turns(generator, "email", 200)
        self.cities = self.turns(generator, "city", 20)
        self.names = self.turns(generator, "name", 2)
        self.tags = [generator.sample(TAGS, 2) for _ in TURNS]
        self.ranges = self.ranges_of(generator, 50)
        self.counts = self.ranges_of(generator, 10)
        self.put_pairs = self.pairs[:PUT_DOCUMENTS]
        self.puts = [self.overwriting(generator, 500) for _ in TURNS]

    def turns(self, generator: random.Random, field: str, count: int) -> list[list[str]]:
        return [[made[field] for _, made in generator.choices(self.pairs, k=count)] for _ in TURNS]

    @staticmethod
    def ranges_of(generator: random.Random, count: int) -> list[list[Range]]:
        def one() -> Range:
            low = generator.randrange(AGES[0], AGES[1] - YEARS)
            return low, low + YEARS

        return [[one() for _ in range(count)] for _ in TURNS]

    def overwriting(self, generator: random.Random, count: int) -> list[Pair]:
        keys = [key for key, _ in generator.choices(self.put_pairs, k=count)]
        return [(key, document(generator, int(key.partition(":")[2]))) for key in keys]


async def run(context: Context) -> Section:
    """Runs the section on queries."""
    work = Workload(context)
    section = Section(
        title="Queries of JSON documents, in memory",
        operations=(
            UNIQUE,
            HUNDRED,
            NAMED,
            TAGGED,
            RANGED,
            COUNTED,
            GROUPED,
            INDEX,
            PUT,
            WATCH,
        ),
        sizes={
            "documents": f"{len(work.pairs):,}",
            "bytes each": round(work.bytes_each),
            "documents where puts are timed": f"{len(work.put_pairs):,}",
            "rounds": context.rounds(ROUNDS),
            "of scans": context.rounds(ROUNDS_OF_SCANS),
            "of index and watch": context.rounds(ROUNDS_OF_INDEX, quick=1),
        },
        ratio_targets=TARGETS,
        order=[OURS, SQLITE, OURS_INDEXES, OURS_KEPT, SQLITE_INDEXES, CAUGHT_UP, LIVE],
    )
    stores: list[Any] = []
    try:
        await enter(context, section, work, stores)
        generator = context.random("query/order")
        rounds, scans = context.rounds(ROUNDS), context.rounds(ROUNDS_OF_SCANS)
        await section.run_rounds(rounds, generator, (UNIQUE, HUNDRED, RANGED, COUNTED, PUT))
        await section.run_rounds(scans, generator, (NAMED, TAGGED, GROUPED))
        await section.run_rounds(context.rounds(ROUNDS_OF_INDEX, quick=1), generator, (INDEX,))
        if context.koru_delta_present:
            await watch(context, section, work)
    finally:
        for store in stores:
            await settled(store.close())
    return section


async def enter(context: Context, section: Section, work: Workload, stores: list[Any]) -> None:
    """Enters every contestant; `stores` gets those to close."""

    async def made(make: Callable[[], Any], pairs: Sequence[Pair]) -> Any:
        store = make()
        stores.append(store)
        if isinstance(store, KoruDelta):
            await store.open()
        await settled(store.fill(pairs))
        return store

    makers: dict[str, Callable[[], Any]] = {SQLITE: SqliteJson, OURS: KoruDelta}
    if not SqliteJson.present():
        del makers[SQLITE]
        section.notes.append("sqlite3 has no JSON functions here.")
    if not context.koru_delta_present:
        del makers[OURS]
    queried = {name: await made(make, work.pairs) for name, make in makers.items()}
    for store in queried.values():
        for field in INDEXED:
            await settled(store.create_index(field))
    await compare(work, list(queried.values()))
    for name, store in queried.items():
        enter_queries(section, work, name, store)
        # Last, because it leaves a database with an index that it made itself.
        section.add(INDEX.name, name, functools.partial(index_again, store))
    for name, make in makers.items():
        plain = await made(make, work.put_pairs)
        indexed = await made(make, work.put_pairs)
        for field in ("city", "age"):
            await settled(indexed.create_index(field))
        enter_puts(section, work, name, plain)
        enter_puts(section, work, OURS_INDEXES if name == OURS else SQLITE_INDEXES, indexed)
        if name == OURS:
            kept = await made(make, work.put_pairs)
            for field in ("city", "age"):
                await kept.create_index(field)
            await kept.create_view()
            enter_puts(section, work, OURS_KEPT, kept)
    if OURS in queried:
        section.notes.append(await explained(queried[OURS], work))


def enter_queries(section: Section, work: Workload, name: str, store: Any) -> None:
    def by_turns(loop: Callable[[Any], Any], turns: Sequence[Sequence[Any]]) -> Probe:
        return timed_by_turns(loop, turns, len(turns[0]))

    def equals(field: str) -> Callable[[Any], Any]:
        return functools.partial(store.equals, field)

    section.add(UNIQUE.name, name, by_turns(equals("email"), work.emails))
    section.add(HUNDRED.name, name, by_turns(equals("city"), work.cities))
    section.add(NAMED.name, name, by_turns(equals("name"), work.names))
    section.add(TAGGED.name, name, by_turns(store.tagged, work.tags))
    section.add(RANGED.name, name, by_turns(store.ranged, work.ranges))
    section.add(COUNTED.name, name, by_turns(store.counted, work.counts))
    section.add(GROUPED.name, name, timed(store.grouped, 1))


def enter_puts(section: Section, work: Workload, name: str, store: Any) -> None:
    section.add(PUT.name, name, timed_by_turns(store.puts, work.puts, len(work.puts[0])))


async def index_again(store: Any) -> float:
    await settled(store.drop_index("city"))
    return await measured(timed(lambda: store.create_index("city"), 1))


async def compare(work: Workload, stores: Sequence[Any]) -> None:
    """Everybody has to answer alike."""

    async def alike(form: Callable[[Any], Any], loop: str, *arguments: Any) -> None:
        answers = [form(await settled(getattr(store, loop)(*arguments))) for store in stores]
        if any(answer != answers[0] for answer in answers) or not answers[0]:
            raise AssertionError(f"the contestants answer differently: {loop}{arguments}")

    def by_key(found: Any) -> Any:
        return sorted(found, key=lambda row: row[0])

    asked = {"email": work.emails, "city": work.cities, "name": work.names}
    for turn in TURNS:
        for field, turns in asked.items():
            await alike(by_key, "equals", field, turns[turn][-1:])
        await alike(by_key, "tagged", work.tags[turn][-1:])
        await alike(list, "ranged", work.ranges[turn][-1:])
        await alike(int, "counted", work.counts[turn][-1:])
    await alike(groups_of, "grouped")


async def explained(store: KoruDelta, work: Workload) -> str:
    """By which way each query of ours goes."""
    db = store.database
    low, high = work.ranges[0][0]
    between = {"age": {"$gte": low, "$lt": high}}
    ways = {
        UNIQUE.name: await db.explain(NAMESPACE, {"email": work.emails[0][0]}),
        HUNDRED.name: await db.explain(NAMESPACE, {"city": work.cities[0][0]}),
        NAMED.name: await db.explain(NAMESPACE, {"name": work.names[0][0]}),
        TAGGED.name: await db.explain(NAMESPACE, {"tags": work.tags[0][0]}),
        RANGED.name: await db.explain(NAMESPACE, between, order_by="age", limit=10),
    }
    told = [f"{name}: {way.path}, examined {way.examined:,}" for name, way in ways.items()]
    return f"Ways that koru-delta went: {'; '.join(told)}."


async def watch(context: Context, section: Section, work: Workload) -> None:
    """Times one watcher: of changes that are there, and of changes as they are put."""
    changes = work.pairs[:CHANGES]
    for turn in range(context.rounds(ROUNDS_OF_INDEX, quick=1) + 1):
        store = await KoruDelta().open()
        try:
            await store.fill(changes)
            began = time.perf_counter()
            last = await store.watched(len(changes), 0)
            caught_up = len(changes) / (time.perf_counter() - began)
            began = time.perf_counter()
            following = asyncio.create_task(store.watched(CHANGES_LIVE, None))
            await asyncio.sleep(0)  # It begins to watch.
            await store.puts(changes[:CHANGES_LIVE])
            last_live = await following
            live = CHANGES_LIVE / (time.perf_counter() - began)
        finally:
            await store.close()
        if (last, last_live) != (changes[-1][0], changes[CHANGES_LIVE - 1][0]):
            raise AssertionError("the watch does not end with the last change")
        if turn > 0:
            section.record(WATCH.name, CAUGHT_UP, caught_up)
            section.record(WATCH.name, LIVE, live)
