"""The full-text contestants, each through its ordinary public Python API, in memory, in one thread.

    python text_stores.py NAME DOCUMENTS

Each is asked for the best ten documents with any of some words, by BM25 with k1 = 1.2 and b = 0.75,
and hands them back whole, as Python objects: sqlite3 and tantivy keep them beside their index, for
bm25s they are looked up in a list. Name and text of a document are searched together. koru-delta
gives a snippet with its highlights for each hit as well.

As a program this file measures memory in a process of its own: it reads the documents (JSON), has
the contestant take them and answer the queries that are with them, and prints by how much that
raised resident memory: in all and, for koru-delta, by the searches alone.
"""

from __future__ import annotations

import asyncio
import gc
import heapq
import importlib
import importlib.util
import json
import math
import re
import sqlite3
import statistics
import sys
import unicodedata
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import OURS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

TOP = 10
K1 = 1.2
B = 0.75
NAMESPACE = "bench"
BATCH = 1_000
WORD = r"(?u)[^\W_]+"
"""What bm25s takes for a word: letters and digits, as the others have it."""

Document = dict[str, str]
"""A name and a text."""
Words = list[str]


def joined(document: Document) -> str:
    return f"{document['name']} {document['text']}"


def key_of(number: int) -> str:
    return f"{number:06d}"


class Tantivy:
    """One field is searched; name and text are stored and read back."""

    HEAP_BYTES = 50_000_000

    def __init__(self) -> None:
        self.tantivy: Any = importlib.import_module("tantivy")
        schema = self.tantivy.SchemaBuilder()
        schema.add_text_field("name", stored=True, tokenizer_name="raw")
        schema.add_text_field("text", stored=True, tokenizer_name="raw")
        schema.add_text_field("both")
        schema.add_integer_field("number", stored=True)
        self.index = self.tantivy.Index(schema.build())

    def build(self, documents: Sequence[Document]) -> None:
        writer = self.index.writer(self.HEAP_BYTES, 1)
        made = self.tantivy.Document
        for number, document in enumerate(documents):
            writer.add_document(made(**document, both=joined(document), number=number))
        writer.commit()
        writer.wait_merging_threads()
        self.index.reload()
        self.searcher = self.index.searcher()

    def search(self, words: Words) -> list[Any]:
        return self._found(" ".join(words))

    def phrase(self, words: Words) -> list[Any]:
        return self._found(f'"{" ".join(words)}"')

    def _found(self, text: str) -> list[Any]:
        searcher = self.searcher
        query = self.index.parse_query(text, ["both"])
        hits = searcher.search(query, TOP, count=False).hits
        return [(score, searcher.doc(address).to_dict()) for score, address in hits]

    @staticmethod
    def number_of(hit: Any) -> int:
        number: int = hit[1]["number"][0]
        return number

    def close(self) -> None:
        del self.searcher, self.index


class Bm25s:
    """Scores of every word in every document, computed beforehand."""

    def __init__(self) -> None:
        self.bm25s: Any = importlib.import_module("bm25s")

    def build(self, documents: Sequence[Document]) -> None:
        self.documents = documents
        texts = [joined(document) for document in documents]
        tokens = self.bm25s.tokenize(texts, token_pattern=WORD, stopwords=None, show_progress=False)
        self.index = self.bm25s.BM25(k1=K1, b=B, method="lucene")
        self.index.index(tokens, show_progress=False)

    def search(self, words: Words) -> list[Any]:
        numbers, scores = self.index.retrieve([words], k=TOP, show_progress=False)
        documents = self.documents
        return [
            (score, number, documents[number])
            for number, score in zip(numbers[0].tolist(), scores[0].tolist(), strict=True)
            if score > 0
        ]

    @staticmethod
    def number_of(hit: Any) -> int:
        number: int = hit[1]
        return number

    def close(self) -> None:
        del self.index, self.documents


class Fts5:
    """SQLite's own: a virtual table in memory, and its bm25 (of two columns, without weights)."""

    SEARCH = (
        "SELECT rank, rowid, name, text FROM documents WHERE documents MATCH ? "
        f"ORDER BY rank LIMIT {TOP}"
    )
    FILTERED = (
        "SELECT rank, rowid, name, text FROM documents WHERE documents MATCH ? "
        f"AND name >= ? AND name < ? ORDER BY rank LIMIT {TOP}"
    )

    def __init__(self) -> None:
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        self.connection.execute("CREATE VIRTUAL TABLE documents USING fts5(name, text)")

    def build(self, documents: Sequence[Document]) -> None:
        connection = self.connection
        connection.execute("BEGIN")
        connection.executemany(
            "INSERT INTO documents (rowid, name, text) VALUES (?, ?, ?)",
            (
                (number, document["name"], document["text"])
                for number, document in enumerate(documents)
            ),
        )
        connection.execute("COMMIT")

    @staticmethod
    def any_of(words: Words) -> str:
        return " OR ".join(f'"{word}"' for word in words)

    def search(self, words: Words) -> list[Any]:
        return self.connection.execute(self.SEARCH, (self.any_of(words),)).fetchall()

    def phrase(self, words: Words) -> list[Any]:
        return self.connection.execute(self.SEARCH, (f'"{" ".join(words)}"',)).fetchall()

    def prefix(self, part: str) -> list[Any]:
        return self.connection.execute(self.SEARCH, (f'"{part}"*',)).fetchall()

    def filtered(self, words: Words, bounds: tuple[str, str]) -> list[Any]:
        return self.connection.execute(self.FILTERED, (self.any_of(words), *bounds)).fetchall()

    @staticmethod
    def number_of(hit: Any) -> int:
        number: int = hit[1]
        return number

    def close(self) -> None:
        self.connection.close()


class KoruDelta:
    """koru-delta through its async API: documents first, the index with the first search."""

    def __init__(self) -> None:
        self.module: Any = importlib.import_module("koru_delta")

    async def open(self) -> KoruDelta:
        self.database = await self.module.Database.create()
        return self

    async def build(self, documents: Sequence[Document]) -> None:
        """Writes the documents; the index is built by the first search."""
        for start in range(0, len(documents), BATCH):
            batch = documents[start : start + BATCH]
            await self.database.put_batch(
                [
                    (NAMESPACE, key_of(number), document)
                    for number, document in enumerate(batch, start)
                ]
            )

    async def search(self, words: Words) -> list[Any]:
        found: list[Any] = await self.database.search(NAMESPACE, " ".join(words), TOP)
        return found

    async def phrase(self, words: Words) -> list[Any]:
        found: list[Any] = await self.database.search(NAMESPACE, f'"{" ".join(words)}"', TOP)
        return found

    async def prefix(self, part: str) -> list[Any]:
        found: list[Any] = await self.database.search(NAMESPACE, f"{part}*", TOP)
        return found

    async def filtered(self, words: Words, bounds: tuple[str, str]) -> list[Any]:
        where = {"name": {"$gte": bounds[0], "$lt": bounds[1]}}
        text = " ".join(words)
        found: list[Any] = await self.database.search(NAMESPACE, text, TOP, where=where)
        return found

    async def search_as_of(self, words: Words, at: Any) -> list[Any]:
        found: list[Any] = await self.database.search(NAMESPACE, " ".join(words), TOP, at=at)
        return found

    @staticmethod
    def number_of(hit: Any) -> int:
        return int(hit.key)

    async def close(self) -> None:
        await self.database.close()


TANTIVY = "tantivy"
BM25S = "bm25s"
FTS5 = "sqlite3 FTS5"

PEERS: dict[str, Callable[[], Any]] = {TANTIVY: Tantivy, BM25S: Bm25s, FTS5: Fts5}


def installed_peers() -> tuple[dict[str, Callable[[], Any]], list[str]]:
    """Those that can be used here, and a note for each that cannot."""
    found = dict(PEERS)
    notes: list[str] = []
    for name, module in ((TANTIVY, "tantivy"), (BM25S, "bm25s")):
        if importlib.util.find_spec(module) is None:
            del found[name]
            notes.append(f"{name} is not installed.")
    try:
        Fts5().close()
    except sqlite3.OperationalError:
        del found[FTS5]
        notes.append(f"{FTS5}: SQLite was built without it here.")
    return found, notes


# What the answers are compared with.

TIE = 1e-4
"""Scores closer than this, in parts, count as equal: contestants round differently."""


def words_of(text: str) -> Words:
    """Runs of letters and digits, without case and accents."""
    if not text.isascii():
        text = unicodedata.normalize("NFKD", text)
        text = "".join(letter for letter in text if not unicodedata.combining(letter))
    return re.findall(r"[^\W_]+", text.casefold())


class Oracle:
    """BM25 as it is defined, without any care for speed."""

    def __init__(self, documents: Sequence[Document]) -> None:
        self.lengths: list[int] = []
        self.postings: dict[str, dict[int, int]] = {}
        for number, document in enumerate(documents):
            words = words_of(joined(document))
            self.lengths.append(len(words))
            for word, count in Counter(words).items():
                self.postings.setdefault(word, {})[number] = count
        self.average = statistics.mean(self.lengths)

    def scores(self, words: Words) -> dict[int, float]:
        total = len(self.lengths)
        scores: dict[int, float] = {}
        for word in words:
            found = self.postings.get(word, {})
            idf = math.log(1 + (total - len(found) + 0.5) / (len(found) + 0.5))
            for number, count in found.items():
                norm = K1 * (1 - B + B * self.lengths[number] / self.average)
                scores[number] = scores.get(number, 0.0) + idf * count / (count + norm)
        return scores

    def hits(self, words: Words, found: Sequence[int]) -> tuple[int, int]:
        """How many of `found` are right, and how many there are to find."""
        scores = self.scores(words)
        best = heapq.nlargest(TOP, scores.values())
        if not best:
            return 0, len(found)
        limit = best[-1] * (1 - TIE)
        right = sum(scores.get(number, 0.0) >= limit for number in set(found[:TOP]))
        return right, max(len(best), len(found))


# The program that measures memory.


def resident_bytes() -> int:
    """Resident memory, what can be collected left out; 0 where the system does not say."""
    gc.collect()
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


async def memory_of_ours(given: dict[str, Any]) -> tuple[int, int]:
    store = KoruDelta()
    before = resident_bytes()
    await store.open()
    await store.build(given["documents"])
    written = resident_bytes()
    for words in given["queries"]:
        await store.search(words)
    after = resident_bytes()
    await store.close()
    return after - before, after - written


def memory_of_peer(name: str, given: dict[str, Any]) -> tuple[int]:
    """One figure: it takes the documents together with its index."""
    store = PEERS[name]()
    before = resident_bytes()
    store.build(given["documents"])
    for words in given["queries"]:
        store.search(words)
    after = resident_bytes()
    return (after - before,)


def main() -> None:
    name = sys.argv[1]
    given = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
    ours = name == OURS
    print(*(asyncio.run(memory_of_ours(given)) if ours else memory_of_peer(name, given)))


if __name__ == "__main__":
    main()
