"""Vectors are taken in every form that holds numbers; what is no vector is refused by name."""

from __future__ import annotations

import ctypes
import math
import re
from array import array
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from koru_delta import Database, SerializationError, ValidationError

if TYPE_CHECKING:
    from conftest import Opener

VALUES = [3.0, 1.0, 2.0]
READ_ONLY = np.array(VALUES, "f4")
READ_ONLY.flags.writeable = False

VECTORS: dict[str, Any] = {
    "list": [3.0, 1.0, 2.0],
    "tuple": (3.0, 1.0, 2.0),
    "ints": [3, 1, 2],
    "mixed": [3, True, np.float32(2)],
    "array f": array("f", VALUES),
    "array d": array("d", VALUES),
    "array i": array("i", [3, 1, 2]),
    "array q": array("q", [3, 1, 2]),
    "memoryview f": memoryview(array("f", VALUES)),
    "memoryview d": memoryview(array("d", VALUES)),
    "memoryview of numpy": np.array(VALUES, "f4").data,
    "strided memoryview f": memoryview(array("f", [3, 9, 1, 9, 2]))[::2],
    "strided memoryview d": memoryview(array("d", [3, 9, 1, 9, 2]))[::2],
    "backward memoryview f": memoryview(array("f", [2, 1, 3]))[::-1],
    "read-only memoryview": memoryview(array("f", VALUES)).toreadonly(),
    "ctypes float": (ctypes.c_float * 3)(*VALUES),
    "ctypes double": (ctypes.c_double * 3)(*VALUES),
    "float16": np.array(VALUES, "f2"),
    "float32": np.array(VALUES, "f4"),
    "float64": np.array(VALUES, "f8"),
    "int8": np.array([3, 1, 2], "i1"),
    "uint16": np.array([3, 1, 2], "u2"),
    "int64": np.array([3, 1, 2], "i8"),
    "big-endian float32": np.array(VALUES, ">f4"),
    "big-endian float64": np.array(VALUES, ">f8"),
    "big-endian int32": np.array([3, 1, 2], ">i4"),
    "strided": np.array([3, 9, 1, 9, 2], "f4")[::2],
    "backward": np.array([2, 1, 3], "f4")[::-1],
    "broadcast column": np.array([[3.0, 0], [1, 0], [2, 0]])[:, 0],
    "read-only": READ_ONLY,
    "array B": array("B", [3, 1, 2]),
    "memoryview of float16": memoryview(np.array(VALUES, "f2")),
    "big-endian memoryview": memoryview(np.array(VALUES, ">f8")),
    "big-endian ctypes": (ctypes.c_float.__ctype_be__ * 3)(*VALUES),
    "objects": np.array([3, 1.0, np.float32(2)], object),
}

MATRIX = [[3.0, 1.0, 2.0], [1.0, 2.0, 3.0]]
COLUMN = np.empty(2, object)
COLUMN[:] = [np.array(MATRIX[0]), MATRIX[1]]
MATRICES: dict[str, Any] = {
    "lists": MATRIX,
    "a memoryview of float64": memoryview(np.array(MATRIX)),
    "a big-endian memoryview": memoryview(np.array(MATRIX, ">f4")),
    "a column-wise memoryview": memoryview(np.asfortranarray(MATRIX, "f4")),
    "objects": np.array(MATRIX, object),
    "a column of vectors": COLUMN,
    "tuples": tuple(map(tuple, MATRIX)),
    "arrays": [array("f", MATRIX[0]), array("d", MATRIX[1])],
    "mixed rows": [np.array(MATRIX[0], "f2"), MATRIX[1]],
    "float16": np.array(MATRIX, "f2"),
    "float32": np.array(MATRIX, "f4"),
    "float64": np.array(MATRIX, "f8"),
    "int32": np.array(MATRIX, "i4"),
    "Fortran order": np.array(MATRIX, "f4", order="F"),
    "transposed": np.array(MATRIX, "f4").T.copy().T,
    "strided rows": np.repeat(np.array(MATRIX, "f4"), 2, axis=0)[::2],
    "strided columns": np.repeat(np.array(MATRIX, "f4"), 2, axis=1)[:, ::2],
    "big-endian": np.array(MATRIX, ">f4"),
    "buffer": np.array(MATRIX, "f4").data,
}


@pytest.mark.parametrize("vector", VECTORS.values(), ids=VECTORS.keys())
async def test_every_kind_of_vector_is_taken_and_not_changed(db: Database, vector: Any) -> None:
    before = list(np.asarray(vector))
    await db.embed("notes", "a", vector)
    await db.put("notes", "b", 1, embedding=vector)
    await db.embed_batch("notes", ["c"], [vector])
    for key in "abc":
        assert list(await db.vector("notes", key)) == VALUES
    for found in (await db.similar("notes", vector), *await db.similar_batch("notes", [vector])):
        assert [m.key for m in found] == ["a", "b", "c"]
        assert {round(m.score, 6) for m in found} == {1.0}
    assert list(np.asarray(vector)) == before


@pytest.mark.parametrize("matrix", MATRICES.values(), ids=MATRICES.keys())
async def test_every_kind_of_matrix_is_taken(db: Database, matrix: Any) -> None:
    before = np.array(matrix)
    assert await db.embed_batch("notes", iter(["a", "b"]), matrix, iter([1, None])) == 2
    for key, row in zip("ab", MATRIX, strict=True):
        assert list(await db.vector("notes", key)) == row
    found = await db.similar_batch("notes", matrix, top_k=1)
    assert [[m.key for m in row] for row in found] == [["a"], ["b"]]
    assert repr(np.array(matrix)) == repr(before)


async def test_bools_count_as_zero_and_one(db: Database) -> None:
    await db.embed("notes", "a", np.array([True, False, True]))
    await db.embed("notes", "b", [True, False, True])
    assert list(await db.vector("notes", "a")) == [1, 0, 1]
    assert list(await db.vector("notes", "b")) == [1, 0, 1]


async def test_what_is_stored_is_a_copy(db: Database) -> None:
    vector = np.array(VALUES, "f4")
    await db.embed("notes", "a", vector)
    vector[:] = 7
    given = await db.vector("notes", "a")
    assert list(given) == VALUES
    given[0] = 9
    assert list(await db.vector("notes", "a")) == VALUES


TOO_LARGE = np.array([1.0, 1e39, 1.0])
BAD_VECTORS: dict[str, tuple[Any, str]] = {
    "too short": ([1.0, 2.0], r"2 components.* 3"),
    "too long": ([1.0] * 4, r"4 components.* 3"),
    "NaN": ([1.0, 2.0, math.nan], r"component 2"),
    "infinity": ([1.0, math.inf, 2.0], r"component 1"),
    "minus infinity": (np.array([-np.inf, 1, 2]), r"component 0"),
    "NumPy NaN": (np.array([1, np.nan, 2], "f2"), r"component 1"),
    "zero": ([0.0, 0.0, 0.0], r"length 0"),
    "no components": ([], r"0 components"),
    "no components in NumPy": (np.zeros(0), r"0 components"),
    "two dimensions": ([[1.0, 2.0, 3.0]], r"dimension"),
    "two dimensions in NumPy": (np.ones((1, 3)), r"2 dimensions.*\(1, 3\)"),
    "no dimension": (np.float32(1), r"0 dimensions"),
    "a number": (1.0, r"float"),
    "a str": ("abc", r"str"),
    "bytes": (b"abc", r"'B'|bytes"),
    "a dict": ({0: 1.0, 1: 1.0, 2: 1.0}, r"dict"),
    "a str component": ([1.0, "2", 3.0], r"component 1.*'2'"),
    "a str after NumPy numbers": ([np.float32(1), "2", 3.0], r"component 1.*'2'"),
    "a None component": ([1.0, 2.0, None], r"component 2.*None"),
    "complex": (np.array([1j, 1, 1]), r"complex128"),
    "objects": (np.array([1, None, 1]), r"component 1.*None"),
    "strings": (np.array(["1", "2", "3"]), r"<U1"),
    "times": (np.array([1, 2, 3], "M8[s]"), r"datetime64"),
    "float64 too large": (TOO_LARGE, r"component 1"),
    "a float too large": ([1.0, 1.0, 1e39], r"component 2"),
    "an int too large": ([10**400, 1, 1], r"component 0"),
    "8193 components": ([1.0] * 8193, r"8193.*8192"),
}


@pytest.mark.parametrize(("bad", "message"), BAD_VECTORS.values(), ids=BAD_VECTORS.keys())
async def test_what_is_no_vector_is_refused_by_name(db: Database, bad: Any, message: str) -> None:
    first = await db.embed("notes", "a", VALUES, 1)
    for call in (
        lambda: db.embed("notes", "a", bad, 2),
        lambda: db.put("notes", "a", 2, embedding=bad),
        lambda: db.similar("notes", bad),
        lambda: db.embed_batch("notes", ["a"], [bad], [2]),
        lambda: db.similar_batch("notes", [bad]),
    ):
        with pytest.raises(ValidationError, match=message):
            await call()
    assert [v.version_id for v in await db.history("notes", "a")] == [first.version_id]
    assert list(await db.vector("notes", "a")) == VALUES
    assert [m.key for m in await db.similar("notes", VALUES)] == ["a"]


async def test_none_is_no_vector(db: Database) -> None:
    for call in (lambda: db.embed("notes", "a", None), lambda: db.similar("notes", None)):
        with pytest.raises(ValidationError, match="NoneType"):
            await call()
    with pytest.raises(ValidationError, match="NoneType"):
        await db.embed_batch("notes", ["a"], None)


@pytest.mark.parametrize("metric", ["dot", "l2"])
async def test_a_zero_vector_has_a_product_and_a_distance(
    open_database: Opener, metric: str
) -> None:
    db = await open_database(vector_metric=metric)
    await db.embed("notes", "a", [0.0, 0.0])
    await db.embed("notes", "b", [1.0, 2.0])
    assert {m.key for m in await db.similar("notes", [0.0, 0.0])} == {"a", "b"}


async def test_8192_components_are_taken(db: Database) -> None:
    vector = np.arange(8192, dtype="f4")
    await db.embed("notes", "a", vector)
    assert np.array_equal(await db.vector("notes", "a"), vector)
    (match,) = await db.similar("notes", vector)
    assert match.score == pytest.approx(1, abs=1e-5)


async def test_a_refused_first_vector_fixes_no_dimension(db: Database) -> None:
    with pytest.raises(ValidationError):
        await db.embed_batch("notes", ["a", "b"], [[1.0] * 5, [math.nan] * 5])
    with pytest.raises(ValidationError):
        await db.embed("notes", "a", [math.nan] * 4)
    with pytest.raises(SerializationError):
        await db.embed_batch("notes", ["a", "b"], [[1.0] * 6] * 2, [1, {2}])
    await db.embed("notes", "a", VALUES)
    await db.embed_batch("notes", ["b"], [VALUES])
    assert [m.key for m in await db.similar("notes", VALUES)] == ["a", "b"]


@pytest.mark.parametrize(
    "option",
    [
        *({"top_k": value} for value in (0, -1, True, 10_001, 1.5, "3", None)),
        *({"threshold": value} for value in (math.nan, math.inf, -math.inf, "0.5", True)),
        {"threshold": 10**400},
        {"model": "unknown"},
        {"model": 5},
        {"at": "yesterday"},
    ],
    ids=lambda option: f"{option!r:.30}",
)
async def test_a_bad_option_of_a_search_is_refused(db: Database, option: dict[str, Any]) -> None:
    await db.embed("notes", "a", VALUES)
    (value,) = option.values()
    shown = "threshold" if value == 10**400 else "int" if value == 5 else str(value)
    with pytest.raises(ValidationError, match=re.escape(shown)):
        await db.similar("notes", VALUES, **option)
    with pytest.raises(ValidationError):
        await db.similar_batch("notes", [VALUES], **option)


async def test_models_of_one_dimension_have_to_be_named(db: Database) -> None:
    await db.embed("notes", "a", VALUES, model="small")
    await db.embed("notes", "b", VALUES, model="large")
    with pytest.raises(ValidationError, match=r"3 components.*\"large\", \"small\""):
        await db.similar("notes", VALUES)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"n": {"$near": 1}}, r"n\.\$near: unknown operator"),
        ({"$nor": []}, r"\$nor: unknown operator"),
        ({"n": {"$gt": [1]}}, r"n\.\$gt.*array"),
        ({"n": {"$lte": None}}, r"n\.\$lte.*null"),
        ({"n": {"$in": 5}}, r"n\.\$in.*number"),
        ({"n": {"$nin": "x"}}, r"n\.\$nin.*string"),
        ({"n": {"$exists": 1}}, r"n\.\$exists.*number"),
        ({"n": {"$regex": 5}}, r"n\.\$regex.*number"),
        ({"n": {"$regex": "("}}, r"n\.\$regex"),
        ({"n": {"$not": 5}}, r"n\.\$not.*number"),
        ({"$and": {}}, r"\$and.*array"),
        ({"$or": []}, r"\$or"),
        ({"$or": [{"n": 1}, {"m": {"$gt": True}}]}, r"\$or\[1\]\.m\.\$gt"),
        ({"$not": [1]}, r"\$not"),
        ({"$gt": 5}, r"\$gt"),
        ({"n": {"$gt": 5, "m": 1}}, r"m"),
        ({"n": {1, 2}}, r"where\.n"),
        ({1: 2}, r"1"),
        ([{"n": 1}], r"array|list"),
        ("n", r"str"),
        (b'{"n": 1}', r"bytes"),
    ],
    ids=repr,
)
async def test_a_bad_filter_is_refused_by_name(db: Database, where: Any, message: str) -> None:
    for _ in range(2):
        with pytest.raises(ValidationError, match=message):
            await db.similar("notes", VALUES, where=where)
        await db.embed("notes", "a", VALUES, {"n": 1})


async def test_bad_names_are_refused(db: Database) -> None:
    for space in ("", 5, "a\0", "x" * 1025):
        with pytest.raises(ValidationError, match="namespace"):
            await db.similar(space, VALUES)  # type: ignore[arg-type]
        with pytest.raises(ValidationError, match="namespace"):
            await db.embed_batch(space, ["a"], [VALUES])  # type: ignore[arg-type]
    for model in (5, "a\0", "x" * 1025, "\ud800"):
        with pytest.raises(ValidationError, match="model"):
            await db.embed("notes", "a", VALUES, model=model)  # type: ignore[arg-type]
    assert await db.list_namespaces() == []


async def test_numbers_of_numpy_are_numbers(db: Database) -> None:
    await db.put("a", "key", {"text": "a word"}, embedding=[1.0, 2.0])
    one, half = np.int64(1), np.float32(0.5)
    assert len(await db.query("a", limit=one, offset=np.int8(0))) == 1
    assert len(await db.search("a", "word", one, fields={"text": half})) == 1
    assert len(await db.similar("a", [1.0, 2.0], one, threshold=half)) == 1
    assert len(await db.hybrid("a", "word", [1.0, 2.0], one, weight=half)) == 1
    for wrong in (np.int64(0), np.float64(1), np.bool_(True)):
        with pytest.raises(ValidationError):
            await db.search("a", "word", wrong)
