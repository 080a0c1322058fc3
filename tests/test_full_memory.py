"""In a memory that is nearly full, what takes more than is left is refused, and harms nothing."""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING, Any

import pytest
from filling import written_until_full

from koru_delta import Database, LimitExceededError

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Opener

    Document = Callable[[int], dict[str, Any]]
    Question = Callable[[Database], Any]

CAP_MB = 8
MANY = {f"a{i}": {"$min": "text"} for i in range(50)}
DOCUMENTS: dict[str, Document] = {
    "short": lambda i: {"n": i, "text": f"word{i} of {i % 7}", "list": [i, i % 5]},
    "long": lambda i: {"n": i, "text": f"word{i} " * 500, "list": ["x" * 400] * 5},
    "longest": lambda i: {"n": i, "text": f"word{i} " * 100_000, "list": list(range(40_000))},
    "escaped": lambda i: {"n": i, "text": '\n"' * 200_000, "list": ["\t" * 50_000]},
}
QUESTIONS: dict[str, Question] = {
    "groups": lambda db: db.aggregate("docs", {"n": {"$count": True}}, group_by="text"),
    "groups of lists": lambda db: db.aggregate("docs", {"n": {"$max": "list"}}, group_by=["list"]),
    "many aggregates": lambda db: db.aggregate("docs", MANY, group_by="n"),
    "selections": lambda db: db.query("docs", select=["text"]),
    "an order": lambda db: db.query("docs", order_by=["text", "-list"], limit=10),
    "an order that is explained": lambda db: db.explain("docs", order_by=["list", "text"]),
    "everything": lambda db: db.namespace("docs").all(),
    "a search": lambda db: db.search("docs", "word1 word*", 10_000),
    "many searches": lambda db: db.similar_batch("vectors", [[1.0, 2.0]] * 5000, 100),
    "a copy": lambda db: db.export_to(io.BytesIO()),
    "a compaction": lambda db: db.compact(keep_versions=1),
    "a long value": lambda db: db.put("docs", "new", {"text": "x" * 1_500_000}),
    "a batch": lambda db: db.put_batch([("docs", f"b{i}", {"n": i}) for i in range(30_000)]),
}


async def fill(db: Database, document: Document) -> int:
    vectors = [[1.0, float(i)] for i in range(500)]
    await db.embed_batch("vectors", [f"v{i}" for i in range(500)], vectors)
    return await written_until_full(lambda i: db.put("docs", f"{i:06}", document(i)), 1_000_000)


@pytest.mark.parametrize("name", DOCUMENTS)
async def test_what_takes_more_memory_than_is_left_is_refused(
    open_database: Opener, name: str
) -> None:
    db = await open_database(max_memory_mb=CAP_MB, sync_on_write=False)
    document = DOCUMENTS[name]
    count = await fill(db, document)
    for what, ask in QUESTIONS.items():
        with contextlib.suppress(LimitExceededError):
            await ask(db)
        assert await db.get("docs", f"{count - 1:06}") == document(count - 1), what
    assert (await db.verify()).ok


async def test_keys_that_grow_by_escapes_are_listed(open_database: Opener) -> None:
    db = await open_database()
    keys = sorted('\u0001\n"\\' * 50 + str(i) for i in range(200))
    await db.put_batch([("docs", key, 1) for key in keys])
    assert await db.list_keys("docs") == keys
