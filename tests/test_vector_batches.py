"""A batch of vectors with one bad row writes nothing, and says which row it is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from koru_delta import Database, KoruDeltaError, SerializationError, ValidationError

if TYPE_CHECKING:
    from collections.abc import Callable

ROWS = 7
LARGE_ROWS, LARGE_DIMENSION = 5000, 1024  # 20 MB: more than one commit.


def names(count: int) -> list[str]:
    return [f"{i:05}" for i in range(count)]


@pytest.mark.parametrize("row", [0, 3, ROWS - 1])
@pytest.mark.parametrize("convert", [np.asarray, list], ids=["array", "list"])
@pytest.mark.parametrize(("bad", "message"), [(math.nan, "component 2"), (math.inf, "component 2")])
async def test_a_bad_component_is_named_with_its_row(
    db: Database, row: int, convert: Callable[[Any], Any], bad: float, message: str
) -> None:
    matrix = np.ones((ROWS, 4), "f4")
    matrix[row, 2] = bad
    with pytest.raises(ValidationError, match=rf"\brow {row}\b.*{message}"):
        await db.embed_batch("notes", names(ROWS), convert(matrix))
    matrix[row] = 0
    with pytest.raises(ValidationError, match=rf"\brow {row}\b.*length 0"):
        await db.embed_batch("notes", names(ROWS), convert(matrix))
    assert await db.list_keys("notes") == []
    assert await db.similar("notes", [1.0] * 4) == []


@pytest.mark.parametrize("row", [0, 1, 2])
@pytest.mark.parametrize("bad", [math.nan, 0.0])
async def test_a_bad_query_is_named_with_its_row(db: Database, row: int, bad: float) -> None:
    await db.embed("notes", "a", [1.0, 2.0])
    queries = np.ones((3, 2))
    queries[row] = bad
    with pytest.raises(ValidationError, match=rf"\b(row|query) {row}\b"):
        await db.similar_batch("notes", queries)


@pytest.mark.parametrize("row", [1, 3, ROWS - 1])
async def test_a_row_of_another_length_is_named(db: Database, row: int) -> None:
    rows: list[Any] = [[1.0, 2.0]] * ROWS
    rows[row] = [1.0, 2.0, 3.0]
    with pytest.raises(ValidationError, match=rf"row {row}\b.*3 components.* 2"):
        await db.embed_batch("notes", names(ROWS), rows)
    rows[row] = [1.0, "x"]
    with pytest.raises(ValidationError, match=rf"component 1 of row {row}\b.*'x'"):
        await db.embed_batch("notes", names(ROWS), rows)
    assert await db.list_keys("notes") == []


@pytest.mark.parametrize("key", ["", "a\0", "x" * 1025, "\ud800", 5, None], ids=ascii)
async def test_a_bad_key_is_named_with_its_row(db: Database, key: Any) -> None:
    for row in (0, 3, ROWS - 1):
        keys: list[Any] = names(ROWS)
        keys[row] = key
        with pytest.raises(ValidationError, match=rf"row {row}\b"):
            await db.embed_batch("notes", keys, np.ones((ROWS, 2)))
    assert await db.list_namespaces() == []


@pytest.mark.parametrize("row", [0, 3, ROWS - 1])
async def test_bad_metadata_is_named_with_its_row_and_place(db: Database, row: int) -> None:
    values: list[Any] = [{"i": i} for i in range(ROWS)]
    values[row] = {"a": [1, {"b": {2}}]}
    with pytest.raises(SerializationError, match=rf"row {row}\b.*\$\.a\[1\]\.b"):
        await db.embed_batch("notes", names(ROWS), np.ones((ROWS, 2)), values)
    assert await db.list_keys("notes") == []


async def test_different_numbers_of_keys_rows_and_metadata_are_refused(db: Database) -> None:
    rows = np.ones((3, 2))
    for keys in (names(2), names(4), []):
        with pytest.raises(ValidationError, match=rf"3 embeddings and {len(keys)} keys"):
            await db.embed_batch("notes", keys, rows)
    for values in ([1], [1] * 4, []):
        with pytest.raises(ValidationError, match=rf"3 embeddings and {len(values)} metadata"):
            await db.embed_batch("notes", names(3), rows, values)
    assert await db.list_namespaces() == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("abc", [[1.0]] * 3),
        (None, [[1.0]]),
        (5, [[1.0]]),
        (["a"], [[1.0]], 5),
        (["a"], "x"),
        (["a"], np.ones(3)),
        (["a"], np.ones((1, 1, 1))),
        (["a"], [1.0]),
        (["a"], np.ones((1, 0))),
        (["a"], [[]]),
        (["a"], np.ones((1, 8193))),
    ],
    ids=lambda arguments: f"{arguments!r:.40}",
)
async def test_what_is_no_batch_is_refused(db: Database, arguments: tuple[Any, ...]) -> None:
    with pytest.raises(ValidationError):
        await db.embed_batch("notes", *arguments)
    assert await db.list_namespaces() == []


async def test_a_batch_of_another_dimension_is_refused_with_both(db: Database) -> None:
    await db.embed("notes", "a", [1.0, 2.0])
    with pytest.raises(ValidationError, match=r"5 components.* 2"):
        await db.embed_batch("notes", names(2), np.ones((2, 5)))
    with pytest.raises(ValidationError, match=r"5 components.* 2"):
        await db.similar_batch("notes", np.ones((2, 5)))
    with pytest.raises(ValidationError, match=r"10001.*10000"):
        await db.similar_batch("notes", np.ones((10_001, 2)))


@pytest.fixture(scope="module")
def large() -> np.ndarray[Any, Any]:
    """More vectors than go into one commit."""
    return np.random.default_rng(5).normal(size=(LARGE_ROWS, LARGE_DIMENSION)).astype("f4")


@pytest.mark.parametrize("row", [0, LARGE_ROWS // 2, LARGE_ROWS - 1])
async def test_a_bad_row_of_several_commits_stops_all_of_them(
    db: Database, large: np.ndarray[Any, Any], row: int
) -> None:
    rows = large.copy()
    rows[row, 1000] = np.nan
    with pytest.raises(ValidationError, match=rf"\b{row}\b.*component 1000"):
        await db.embed_batch("notes", names(LARGE_ROWS), rows)
    values: list[Any] = [None] * LARGE_ROWS
    values[row] = {"x": math.nan}
    with pytest.raises(SerializationError, match=rf"row {row}\b.*\$\.x"):
        await db.embed_batch("notes", names(LARGE_ROWS), large, values)
    keys = names(LARGE_ROWS)
    keys[row] = ""
    with pytest.raises(KoruDeltaError, match=rf"row {row}\b"):
        await db.embed_batch("notes", keys, large)
    assert await db.list_namespaces() == []
    assert (await db.stats()).versions == 0


async def test_several_commits_are_all_there(db: Database, large: np.ndarray[Any, Any]) -> None:
    steps: list[tuple[int, int]] = []
    keys = names(LARGE_ROWS)
    values = [{"i": i} for i in range(LARGE_ROWS)]
    written = await db.embed_batch(
        "notes", keys, large, values, progress=lambda done, total: steps.append((done, total))
    )
    assert written == LARGE_ROWS
    assert len(steps) > 1
    assert steps == sorted(steps)
    assert steps[-1] == (LARGE_ROWS, LARGE_ROWS)
    for row in (0, LARGE_ROWS // 2, LARGE_ROWS - 1):
        assert np.array_equal(await db.vector("notes", keys[row]), large[row])
        (match,) = await db.similar("notes", large[row], top_k=1)
        assert (match.key, match.value) == (keys[row], {"i": row})
