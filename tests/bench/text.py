"""Full text: short real documents, the best ten by BM25, one thread.

The documents are the descriptions of the packages that this machine's apt knows, a line each, where
it knows at least 10,000; elsewhere the docstrings of the standard library and of what is installed
beside it. A thousand of them, chosen at random, are held out, and what is asked for is taken from
these: for a query one to four words that follow each other, for a long query all words of a text
(of the first two hundred characters, where it is longer), for a phrase two or three words, for a
prefix the first three letters of one. So frequent words are asked for as often as they are
written. A filter keeps the tenth of the documents whose names come after the first half. "In the
past" asks as of a moment after which every fourth document was written anew.

Index is the time that makes written documents searchable: for koru-delta the first search less the
same one again, for its peers, which have no step before, everything. Agreement is the share of hits
that are among the best ten of a naive BM25 over the same words (equals of the tenth count too).
Memory is what a process of its own gains: for koru-delta with the documents and all their
versions, and by the index alone.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import statistics
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import text_stores
from harness import (
    MB,
    MS,
    OURS,
    PER_UNIT,
    SECONDS,
    AbsoluteTarget,
    Context,
    Operation,
    Probe,
    RatioTarget,
    Section,
)
from kv import settled
from machine import installed
from text_stores import (
    NAMESPACE,
    TANTIVY,
    Document,
    KoruDelta,
    Oracle,
    Words,
    joined,
    key_of,
    words_of,
)
from vector_data import docstrings_of, package_descriptions

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

ENOUGH_PACKAGES = 10_000
DOCUMENTS = 80_000
DOCUMENTS_QUICK = 10_000
"""At most so many."""
ROUNDS = 11
ROUNDS_OF_INDEX = 5
ROUNDS_OF_MEMORY = 3
TURN = 30
"""Queries in one measurement; each round takes others."""
CHECKED = 100
"""Queries of each kind that are compared with the oracle's."""
HELD_OUT = 1_000
MOST_WORDS = 4
LONG_CHARACTERS = 200
PREFIX_LENGTH = 3
REWRITTEN = 4

INDEX = Operation("index", SECONDS)
WRITE = Operation("write documents", SECONDS)
QUERY = Operation("query", MS)
LONG = Operation("long query", MS)
PHRASE = Operation("phrase", MS)
PREFIX = Operation("prefix", MS)
FILTERED = Operation("with a filter", MS)
PAST = Operation("in the past", MS)
MEMORY = Operation("memory gained", MB)
MEMORY_OF_INDEX = Operation("by the index", MB)
AGREEMENT = Operation("agreement", "")

RATIO_TARGETS = (
    # The absolute targets over what tantivy took where they were set.
    RatioTarget(INDEX.name, TANTIVY, 3.3),
    RatioTarget(QUERY.name, TANTIVY, 1.6),
    RatioTarget(LONG.name, TANTIVY, 1.6),
    RatioTarget(MEMORY.name, TANTIVY, 1.8),
)
ABSOLUTE_TARGETS = (
    AbsoluteTarget(INDEX.name, 2.0),
    AbsoluteTarget(QUERY.name, 0.8),
    AbsoluteTarget(LONG.name, 0.8),
    AbsoluteTarget(MEMORY.name, 60),
    AbsoluteTarget(AGREEMENT.name, 1.0, sense="at least"),
)
DISTRIBUTIONS = ("tantivy", "bm25s", "koru-delta", "wasmtime")
PROCESS_TIMEOUT_S = 300


# What is searched, and what for.


def corpus(most: int, generator: random.Random) -> tuple[list[Document], list[str], str]:
    """Documents in the order of their names, the texts that are held out, and what they are."""
    texts, kind = package_descriptions(), "descriptions of packages"
    if len(texts) < ENOUGH_PACKAGES:
        texts, kind = installed_docstrings(), "docstrings"
    texts = generator.sample(texts, min(len(texts), most + HELD_OUT))
    held_out = [text.partition(": ")[2] for text in texts[:HELD_OUT]]
    parted = [text.partition(": ") for text in sorted(texts[HELD_OUT:])]
    documents = [{"name": name, "text": text} for name, _, text in parted]
    return documents, held_out, f"{len(documents):,} {kind}"


def installed_docstrings() -> list[str]:
    """Every docstring of the standard library and of the installed packages, once."""
    roots = [sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")]
    paths = dict.fromkeys(
        path.resolve() for root in roots for path in sorted(Path(root).rglob("*.py"))
    )
    return list(dict.fromkeys(text for path in paths for text in docstrings_of(path)))


class Asked:
    """The queries, the same for every contestant, in turns of one measurement each."""

    def __init__(self, held_out: Sequence[str], generator: random.Random, turns: int) -> None:
        self.texts = [words_of(text) for text in held_out]
        self.generator = generator
        self.count = turns
        self.queries = self.turns(lambda: self.words(1, MOST_WORDS))
        self.long = self.turns(lambda: words_of(generator.choice(held_out)[:LONG_CHARACTERS]))
        self.phrases = self.turns(lambda: self.words(2, 3))
        self.prefixes = self.turns(lambda: max(self.words(3, 3), key=len)[:PREFIX_LENGTH])

    def turns(self, make: Callable[[], Any]) -> list[list[Any]]:
        return [[make() for _ in range(TURN)] for _ in range(self.count)]

    def words(self, least: int, most: int) -> Words:
        length = self.generator.randint(least, most)
        while True:
            text = self.generator.choice(self.texts)
            if len(text) >= length:
                start = self.generator.randint(0, len(text) - length)
                return text[start : start + length]


# The section.


async def run(context: Context) -> Section:
    """Runs the section on full text."""
    generator = context.random("text")
    documents, held_out, source = corpus(DOCUMENTS_QUICK if context.quick else DOCUMENTS, generator)
    rounds = context.rounds(ROUNDS)
    asked = Asked(held_out, generator, rounds)
    section = Section(
        title="Full text, top 10 by BM25, one thread",
        operations=(
            INDEX,
            WRITE,
            QUERY,
            LONG,
            PHRASE,
            PREFIX,
            FILTERED,
            PAST,
            MEMORY,
            MEMORY_OF_INDEX,
            AGREEMENT,
        ),
        sizes={
            "documents": f"{len(documents):,}",
            "characters each": round(statistics.mean(len(joined(one)) for one in documents)),
            "queries": TURN * rounds,
            "words of a long one": round(statistics.mean(map(len, itertools.chain(*asked.long)))),
            "rounds": rounds,
            "of index": context.rounds(ROUNDS_OF_INDEX, quick=1),
            "of memory": context.rounds(ROUNDS_OF_MEMORY, quick=1),
        },
        ratio_targets=RATIO_TARGETS,
        absolute_targets=ABSOLUTE_TARGETS,
        order=[OURS, *text_stores.PEERS],
    )
    versions = ", ".join(f"{name} {version}" for name, version in installed(DISTRIBUTIONS))
    section.notes += [f"Documents: {source}.", f"Versions: {versions}."]
    measured = Measured(context, section, documents, asked)
    try:
        await measured.enter()
        order = context.random("text/order")
        await section.run_rounds(rounds, order, (QUERY, LONG, PHRASE, PREFIX, FILTERED, PAST))
    finally:
        await measured.close()
    await measured.index()
    await asyncio.to_thread(measured.memory)
    return section


def loop(search: Callable[[Any], Any], turns: Sequence[Sequence[Any]]) -> Probe:
    """A probe that times the queries of the next turn, each by itself."""
    upcoming = itertools.cycle(turns)

    async def probe() -> float:
        times = []
        for query in next(upcoming):
            began = time.perf_counter()
            found = search(query)
            if not isinstance(found, list):
                await found
            times.append(time.perf_counter() - began)
        return statistics.median(times)

    return probe


class Measured:
    """The contestants, and what is measured of them."""

    def __init__(
        self, context: Context, section: Section, documents: list[Document], asked: Asked
    ) -> None:
        self.context = context
        self.section = section
        self.documents = documents
        self.asked = asked
        self.makers, missing = text_stores.installed_peers()
        section.notes += missing
        if context.koru_delta_present:
            self.makers = {OURS: KoruDelta, **self.makers}
        self.stores: list[Any] = []
        names = sorted(document["name"] for document in documents)
        self.bounds = (names[len(names) // 2], names[len(names) * 6 // 10])

    async def make(self, name: str) -> Any:
        store = self.makers[name]()
        return await store.open() if name == OURS else store

    async def enter(self) -> None:
        """Builds every contestant once, checks its answers and enters its queries."""
        oracle = Oracle(self.documents)
        for name in self.makers:
            store = await self.make(name)
            self.stores.append(store)
            await settled(store.build(self.documents))
            await self.check(oracle, name, store)
            self.enter_queries(name, store)
        if OURS in self.makers:
            await self.enter_past(oracle)

    async def check(self, oracle: Oracle, name: str, store: Any) -> None:
        right = expected = 0
        queries = [*itertools.chain(*self.asked.queries)][:CHECKED]
        queries += [*itertools.chain(*self.asked.long)][:CHECKED]
        for words in queries:
            found = await settled(store.search(words))
            hits, best = oracle.hits(words, [store.number_of(hit) for hit in found])
            right, expected = right + hits, expected + best
        self.section.record(AGREEMENT.name, name, right / expected)

    def enter_queries(self, name: str, store: Any) -> None:
        asked, section = self.asked, self.section
        section.add(QUERY.name, name, loop(store.search, asked.queries))
        section.add(LONG.name, name, loop(store.search, asked.long))
        if hasattr(store, "phrase"):
            section.add(PHRASE.name, name, loop(store.phrase, asked.phrases))
        if hasattr(store, "prefix"):
            section.add(PREFIX.name, name, loop(store.prefix, asked.prefixes))
        if hasattr(store, "filtered"):

            def filtered(words: Words) -> Any:
                return store.filtered(words, self.bounds)

            section.add(FILTERED.name, name, loop(filtered, asked.queries))

    async def enter_past(self, oracle: Oracle) -> None:
        """A database of its own, where much was written after the moment that is asked for."""
        store = await self.make(OURS)
        self.stores.append(store)
        await store.build(self.documents)
        [moment] = await store.database.history(NAMESPACE, key_of(len(self.documents) - 1))
        others = self.documents[::-1]
        changes = [
            (NAMESPACE, key_of(number), others[number])
            for number in range(0, len(others), REWRITTEN)
        ]
        await store.database.put_batch(changes)

        def search(words: Words) -> Any:
            return store.search_as_of(words, moment)

        wrong = 0
        for words in self.asked.queries[0]:
            found = [store.number_of(hit) for hit in await search(words)]
            right, expected = oracle.hits(words, found)
            wrong += expected - right
        if wrong:
            self.section.notes.append(f"In the past {wrong} hits of {TURN} queries are wrong.")
        self.section.add(PAST.name, OURS, loop(search, self.asked.queries))

    async def index(self) -> None:
        """Times the building of new indexes, by turns."""
        order = self.context.random("text/index")
        names = list(self.makers)
        query = self.asked.queries[0][0]
        for turn in range(self.context.rounds(ROUNDS_OF_INDEX, quick=1) + 1):
            for name in order.sample(names, len(names)):
                store = await self.make(name)
                began = time.perf_counter()
                await settled(store.build(self.documents))
                seconds = time.perf_counter() - began
                if name == OURS:
                    written, seconds = seconds, await self.first_search(store, query)
                    if turn > 0:
                        self.section.record(WRITE.name, name, written)
                if turn > 0:
                    self.section.record(INDEX.name, name, seconds)
                await settled(store.close())

    @staticmethod
    async def first_search(store: KoruDelta, query: Words) -> float:
        """How much longer it takes than the same one again."""
        times = []
        for _ in range(6):
            began = time.perf_counter()
            await store.search(query)
            times.append(time.perf_counter() - began)
        return times[0] - statistics.median(times[1:])

    def memory(self) -> None:
        """Has each contestant gain memory in a process of its own, by turns."""
        queries = list(itertools.chain(*self.asked.queries))[:100]
        given = self.context.scratch / "text.json"
        given.write_text(json.dumps({"documents": self.documents, "queries": queries}))
        order = self.context.random("text/memory")
        names = list(self.makers)
        for turn in range(self.context.rounds(ROUNDS_OF_MEMORY, quick=1) + 1):
            for name in order.sample(names, len(names)):
                done = subprocess.run(
                    [sys.executable, str(text_stores.__file__), name, str(given)],
                    capture_output=True,
                    text=True,
                    timeout=PROCESS_TIMEOUT_S,
                    check=False,
                )
                if done.returncode != 0:
                    raise RuntimeError(f"the program that weighs {name} failed:\n{done.stderr}")
                figures = zip((MEMORY, MEMORY_OF_INDEX), done.stdout.split(), strict=False)
                for operation, figure in figures if turn > 0 else ():  # Compile caches are warm.
                    self.section.record(operation.name, name, int(figure) * PER_UNIT[MB])

    async def close(self) -> None:
        for store in self.stores:
            await settled(store.close())
