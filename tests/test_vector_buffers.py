"""Vectors without NumPy: lists, arrays and buffers, over every host and storage."""

from __future__ import annotations

import math
from array import array
from random import Random
from typing import TYPE_CHECKING

import pytest
from parameters import shown

from koru_delta import ValidationError

if TYPE_CHECKING:
    from koru_delta import Database

DIMENSION = 24
COUNT = 300


def rows_of(seed: int, count: int = COUNT) -> list[array[float]]:
    random = Random(seed)
    return [array("f", (random.gauss(0, 1) for _ in range(DIMENSION))) for _ in range(count)]


def cosine(first: array[float], second: array[float]) -> float:
    product = math.fsum(a * b for a, b in zip(first, second, strict=True))
    return product / math.hypot(*first) / math.hypot(*second)


async def test_an_exact_search_finds_what_a_naive_one_finds(db: Database) -> None:
    rows = rows_of(1)
    keys = [f"row-{i:03}" for i in range(COUNT)]
    assert await db.embed_batch("rows", keys, rows) == COUNT
    for query in rows_of(2, 5):
        wanted = sorted(range(COUNT), key=lambda i: (-cosine(rows[i], query), keys[i]))[:10]
        found = await db.similar("rows", query, 10, exact=True)
        assert [match.key for match in found] == [keys[i] for i in wanted]
        for match, index in zip(found, wanted, strict=True):
            assert match.score == pytest.approx(cosine(rows[index], query), abs=1e-5)


@pytest.mark.parametrize(
    "form", [list, tuple, bytes, memoryview, lambda row: array("d", row)], ids=shown
)
async def test_a_vector_of_any_form_is_the_same_vector(db: Database, form: object) -> None:
    (row,) = rows_of(3, 1)
    assert callable(form)
    if form is bytes:
        with pytest.raises(ValidationError):
            await db.embed("a", "key", bytes(row))
        return
    await db.embed("a", "key", form(row), {"x": 1})
    assert list(await db.vector("a", "key")) == list(row)


async def test_a_matrix_is_read_as_its_rows_are(db: Database) -> None:
    rows = rows_of(4, 8)
    whole = memoryview(b"".join(row.tobytes() for row in rows)).cast("f", (8, DIMENSION))
    await db.embed_batch("a", [f"k{i}" for i in range(8)], whole, [{"i": i} for i in range(8)])
    for index, row in enumerate(rows):
        assert list(await db.vector("a", f"k{index}")) == list(row)
        assert await db.get("a", f"k{index}") == {"i": index}


async def test_memory_that_grows_under_it_stays_readable(db: Database) -> None:
    before = (await db.stats()).memory_bytes
    await db.put("a", "first", "kept")
    for part in range(8):
        keys = [f"{part}-{i}" for i in range(1000)]
        await db.embed_batch("rows", keys, [array("f", [part, i, 1] * 64) for i in range(1000)])
        await db.put("a", f"part-{part}", "x" * 3000)
    assert (await db.stats()).memory_bytes > before
    assert await db.get("a", "first") == "kept"
    assert list(await db.vector("rows", "7-999")) == [7, 999, 1] * 64
    assert (await db.verify()).ok
