"""The engine's side, in the page's interpreter: what `measure.mjs` calls as it calls the others."""

from __future__ import annotations

import json
from array import array
from time import perf_counter
from typing import Any

from koru_delta import Config, Database

TOP = 10
DIMENSION = 384


async def begin(facts: str) -> None:
    """Open a database in memory, with nothing remembered on Python's side."""
    global db, texts
    db = await Database.create(Config(hot_cache_size=0))
    texts = json.loads(facts)


async def load_vectors(rows: Any) -> float:
    """Take all rows in, and what searches gain from; milliseconds."""
    matrix = memoryview(rows.to_py()).cast("B").cast("f")
    start = perf_counter()
    keys = [str(i) for i in range(len(matrix) // DIMENSION)]
    parts = [matrix[i * DIMENSION : (i + 1) * DIMENSION] for i in range(len(keys))]
    await db.embed_batch("vectors", keys, parts)
    while not db._session._maintain(1 << 20):
        pass
    return (perf_counter() - start) * 1e3


async def search_vectors(queries: Any, exact: bool) -> str:
    """Microseconds a query, and the rows found for each."""
    flat = memoryview(queries.to_py()).cast("B").cast("f")
    asked = [array("f", flat[at : at + DIMENSION]) for at in range(0, len(flat), DIMENSION)]
    start = perf_counter()
    answers = [await db.similar("vectors", query, TOP, exact=exact) for query in asked]
    each = (perf_counter() - start) / len(asked) * 1e6
    return json.dumps([each, [[int(hit.key) for hit in hits] for hits in answers]])


async def search_vectors_together(queries: Any) -> str:
    """The same, all queries in one call."""
    flat = memoryview(queries.to_py()).cast("B").cast("f")
    asked = [array("f", flat[at : at + DIMENSION]) for at in range(0, len(flat), DIMENSION)]
    start = perf_counter()
    answers = await db.similar_batch("vectors", asked, TOP)
    each = (perf_counter() - start) / len(asked) * 1e6
    return json.dumps([each, [[int(hit.key) for hit in hits] for hits in answers]])


async def load_texts() -> float:
    """Write the facts and index them; milliseconds."""
    start = perf_counter()
    await db.put_batch([("texts", fact["key"], fact) for fact in texts])
    await db.search("texts", "index")
    return (perf_counter() - start) * 1e3


async def search_texts(questions: str) -> str:
    """Microseconds a question, and how many were answered."""
    asked = json.loads(questions)
    start = perf_counter()
    answers = [await db.search("texts", question, TOP) for question in asked]
    each = (perf_counter() - start) / len(asked) * 1e6
    return json.dumps([each, sum(bool(answer) for answer in answers)])


async def put(first: int, count: int) -> float:
    """Microseconds a document; every version stays."""
    documents = texts[:count]
    start = perf_counter()
    for i, document in enumerate(documents):
        await db.put("documents", f"k{first + i}", document)
    return (perf_counter() - start) / count * 1e6


async def get(first: int, count: int) -> float:
    """Microseconds a document."""
    start = perf_counter()
    for i in range(count):
        await db.get("documents", f"k{first + i}")
    return (perf_counter() - start) / count * 1e6
