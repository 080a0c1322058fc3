"""In a memory that is nearly full, what takes more than is left is refused, and harms nothing."""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING, Any

import pytest

from koru_delta import Database, LimitExceededError

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Opener

    Document = Callable[[int], dict[str, Any]]
    Question = Callable[[Database], Any]

CAP_MB = 8
ESCAPED = {"text": {"$regex": "[\n]x"}}
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
    "a filter": lambda db: db.query("docs", where=ESCAPED),
    "a count": lambda db: db.count("docs", where=ESCAPED),
    "a filter of lists": lambda db: db.query("docs", where={"list": {"$in": [[1], [2]]}}),
    "a view": lambda db: db.create_view("view", "docs", where=ESCAPED, order_by="text"),
    "an index": lambda db: db.create_index("docs", "text"),
    "a long value": lambda db: db.put("docs", "new", {"text": "x" * 1_500_000}),
    "a batch": lambda db: db.put_batch([("docs", f"b{i}", {"n": i}) for i in range(30_000)]),
}


async def fill(db: Database, document: Document, most: int = 1_000_000) -> int:
    vectors = [[1.0, float(i)] for i in range(500)]
    await db.embed_batch("vectors", [f"v{i}" for i in range(500)], vectors)
    for i in range(most):
        try:
            await db.put("docs", f"{i:06}", document(i))
        except LimitExceededError:
            return i
    assert most < 1_000_000, "the cap never took effect"
    return most


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


async def next_change(db: Database) -> Any:
    async with db.watch("long", where=ESCAPED, since=1) as changes:
        return await anext(changes)


FILTERED: dict[str, Question] = {
    "a query": lambda db: db.query("long", where=ESCAPED),
    "an ordered query": lambda db: db.query("long", where=ESCAPED, order_by="n"),
    "a query by an index": lambda db: db.query("long", where={"n": 1, **ESCAPED}),
    "a query in an index's order": lambda db: db.query(
        "long", where={"n": {"$gt": 0}, **ESCAPED}, order_by="n", limit=1
    ),
    "a count": lambda db: db.count("long", where=ESCAPED),
    "a list": lambda db: db.count("long", where={"text": {"$contains": [1]}}),
    "a string": lambda db: db.count("long", where={"text": {"$contains": "x"}}),
    "an aggregate": lambda db: db.aggregate("long", {"n": {"$count": True}}, where=ESCAPED),
    "a search by vector": lambda db: db.similar("long", [1.0, 2.0], where=ESCAPED),
    "a search by text": lambda db: db.search("long", "word", where=ESCAPED),
    "a search by both": lambda db: db.hybrid("long", "word", [1.0, 2.0], where=ESCAPED),
    "a watch": next_change,
}


async def test_a_filter_for_whose_string_there_is_no_memory_is_refused(
    open_database: Opener,
) -> None:
    long = {"n": 1, "text": "word" + '\n"' * 600_000}

    async def nearly_full(most: int = 1_000_000) -> tuple[Database, int]:
        db = await open_database(max_memory_mb=2 * CAP_MB, sync_on_write=False)
        await db.create_index("long", "n")
        for n in range(8):
            await db.put("long", f"short{n}", {"n": 2})
        await db.put("long", "key", long, embedding=[1.0, 2.0])
        assert len(await db.search("long", "word")) == 1
        return db, await fill(db, DOCUMENTS["short"], most)

    _, most = await nearly_full()
    # A little less: at the end the index of the text is let go of to make room.
    db, _ = await nearly_full(most * 19 // 20)
    for what, ask in FILTERED.items():
        with pytest.raises(LimitExceededError, match="filter may take"):
            await ask(db)
        assert await db.get("long", "key") == long, what
    assert await db.count("docs", where={"n": {"$lt": 5}}) == 5
    assert (await db.verify()).ok


async def test_a_view_for_whose_filter_there_is_no_memory_takes_no_value(
    open_database: Opener,
) -> None:
    db = await open_database(max_memory_mb=CAP_MB, sync_on_write=False)
    await db.create_view("view", "long", where=ESCAPED)
    with pytest.raises(LimitExceededError):
        await db.put("long", "key", {"text": '\n"' * 600_000})
    await db.put("long", "key", {"text": "\nx"})
    assert [record.key for record in await db.view("view")] == ["key"]


async def test_keys_that_grow_by_escapes_are_listed(open_database: Opener) -> None:
    db = await open_database()
    keys = sorted('\u0001\n"\\' * 50 + str(i) for i in range(200))
    await db.put_batch([("docs", key, 1) for key in keys])
    assert await db.list_keys("docs") == keys
