"""Indexes change how a query runs, and never what it finds."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from json_values import same
from query_oracle import Order, Row, Where, documents, filters, orders, query, values
from turns import give_a_turn

from koru_delta import Config, Database, LimitExceededError, SyncDatabase, Version

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import FileOpener, Opener

KEYS = st.sampled_from(["a", "b", "c", "d", "e", "aa", "\u00e9", "\U0001f600"])
FIELDS = st.sampled_from(["a", "b", "a.b", "a.a", "c", "a.0", "b.a"])
LONG = ["x" * 255, "x" * 256, "x" * 257, "x" * 256 + "a", "x" * 256 + "b", "\u00e9" * 128 + "z"]
VALUES = documents | st.fixed_dictionaries(
    {"a": st.sampled_from(LONG) | st.lists(st.sampled_from(LONG), max_size=2)},
    optional={"b": values},
)
CONDITIONS = filters | st.dictionaries(
    st.sampled_from(["a", "b"]),
    st.dictionaries(
        st.sampled_from(["$gt", "$gte", "$lt", "$lte", "$eq"]),
        st.sampled_from([*LONG, 0, 1.0, 2**53 + 1, "", "a"]),
        min_size=1,
        max_size=2,
    ),
    min_size=1,
)
SLICES = st.tuples(st.none() | st.integers(0, 4), st.integers(0, 3))
DELETED = object()
Entry = tuple[int, str, Any]


class IndexMachine(RuleBasedStateMachine):
    """A database with indexes that come and go, and the versions that it should hold."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.versions: dict[str, list[Entry]] = {}
        self.moments: list[Version] = []
        self.fields: set[str] = set()

    @initialize()
    def open(self) -> None:
        path = Path(self.directory.name) / "data.koru"
        self.config = Config(path=path, sync_on_write=False)
        self.db = SyncDatabase.create(self.config)
        # An index is used if it leaves a small part of the keys: these are the large one.
        self.put_batch({f"{i:02}": {"z": i} for i in range(24)})

    def teardown(self) -> None:
        if hasattr(self, "db"):
            assert self.db.verify().ok
            self.db.close()
        self.directory.cleanup()

    def note(self, version: Version, value: Any) -> None:
        entry = (version.timestamp_us, version.version_id, value)
        self.versions.setdefault(version.key, []).append(entry)
        self.moments.append(version)

    def rows(self, at_us: int | None = None) -> list[Row]:
        """What is there now, or was at a time."""
        found = []
        for key, history in self.versions.items():
            past = [entry for entry in history if at_us is None or entry[0] <= at_us]
            if past and past[-1][2] is not DELETED:
                found.append(Row(key, past[-1][2], past[-1][0]))
        return found

    @rule(key=KEYS, value=VALUES)
    def put(self, key: str, value: Any) -> None:
        self.note(self.db.put("n", key, value), value)
        self.db.put("other", key, value)

    @rule(items=st.dictionaries(KEYS, VALUES, min_size=2))
    def put_several(self, items: dict[str, Any]) -> None:
        self.put_batch(items)

    def put_batch(self, items: dict[str, Any]) -> None:
        self.db.put_batch([("n", key, value) for key, value in items.items()])
        for key, value in items.items():
            self.note(self.db.history("n", key)[-1], value)

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        if self.db.delete("n", key):
            self.note(self.db.history("n", key)[-1], DELETED)

    @rule(key=KEYS)
    def erase(self, key: str) -> None:
        assert self.db.erase("n", key) == len(self.versions.pop(key, []))

    @rule(key=KEYS, data=st.data())
    def restore(self, key: str, data: st.DataObject) -> None:
        entries = [entry for entry in self.versions.get(key, []) if entry[2] is not DELETED]
        if entries:
            _, version_id, value = data.draw(st.sampled_from(entries))
            self.note(self.db.restore("n", key, version_id), value)

    @rule()
    def reopen(self) -> None:
        self.db.close()
        self.db = SyncDatabase.create(self.config)

    @rule(field=FIELDS)
    def create_index(self, field: str) -> None:
        assert self.db.create_index("n", field) is (field not in self.fields)
        self.fields.add(field)

    @rule(field=FIELDS)
    def drop_index(self, field: str) -> None:
        assert self.db.drop_index("n", field) is (field in self.fields)
        self.fields.discard(field)

    @rule()
    def list_indexes(self) -> None:
        assert [index.field for index in self.db.list_indexes("n")] == sorted(self.fields)
        held = [index for index in self.db.stats().indexes if index.kind == "field"]
        assert [(index.namespace, index.field) for index in held] == [
            ("n", field) for field in sorted(self.fields)
        ]
        values = self.db.count("n")
        assert [index.documents for index in held] == [values] * len(held)

    def check(self, where: Where, order: Order, part: tuple[int | None, int], at: Any) -> None:
        order_by = [(path, "desc" if descending else "asc") for path, descending in order]
        limit, offset = part
        rows = self.rows(at.timestamp_us if at else None)
        wanted = query(rows, where, order, limit, offset)
        options: Any = {"order_by": order_by, "limit": limit, "offset": offset, "at": at}
        found = self.db.query("n", where, **options)
        assert [record.key for record in found] == [row.key for row in wanted]
        assert all(same(r.value, row.value) for r, row in zip(found, wanted, strict=True))
        assert self.db.count("n", where, at=at) == len(query(rows, where))
        told = self.db.explain("n", where, **options)
        assert told.path in ("scan", "index", "index order")
        assert told.returned == len(wanted)
        assert (told.index is None) is (told.path == "scan")
        assert told.examined <= len(rows) or told.path == "index"
        if not self.fields or (at and at.timestamp_us < self.moments[-1].timestamp_us):
            assert told.path == "scan"

    @rule(field=FIELDS, descending=st.booleans(), part=SLICES, where=st.just({}) | CONDITIONS)
    def query_in_order(
        self, field: str, descending: bool, part: tuple[int | None, int], where: Where
    ) -> None:
        self.check(where, [(field, descending)], part, None)

    @rule(where=CONDITIONS, order=orders, part=SLICES, data=st.data())
    def query_present_or_past(
        self, where: Where, order: Order, part: tuple[int | None, int], data: st.DataObject
    ) -> None:
        self.check(where, order, part, data.draw(st.none() | st.sampled_from(self.moments)))


TestIndexModel = IndexMachine.TestCase
TestIndexModel.settings = settings(
    max_examples=settings().max_examples // 2, stateful_step_count=40
)


# How queries run.


def person(i: int) -> dict[str, Any]:
    return {"age": (i * 7919) % 5003, "city": f"city-{i % 50}", "tags": [f"t{i % 9}", i % 500]}


async def people(db: Database, count: int = 5000) -> list[Row]:
    rows = [Row(f"{i:04}", person(i)) for i in range(count)]
    await db.put_batch([("people", row.key, row.value) for row in rows])
    return rows


SELECTIVE: list[tuple[Where, str, int]] = [
    ({"age": 1234}, "age", 1),
    ({"age": {"$in": [1, 2, 3, -1]}}, "age", 3),
    ({"age": {"$gte": 100, "$lt": 120}}, "age", 20),
    ({"age": {"$gt": 4990}}, "age", 12),
    ({"age": {"$lte": 10}, "city": {"$ne": "city-1"}}, "age", 11),
    ({"$and": [{"city": {"$regex": "^city"}}, {"age": 17}]}, "age", 1),
    ({"$or": [{"age": 5}, {"age": {"$lt": 2}}]}, "age", 3),
    ({"tags": 77}, "tags", 10),
    ({"tags": {"$contains": 77}}, "tags", 10),
    ({"tags": ["t1", 1]}, "tags", 2),
]


async def test_a_selective_filter_looks_at_few_values(db: Database) -> None:
    rows = await people(db)
    for where, field, most in SELECTIVE:
        before = await db.query("people", where)
        told = await db.explain("people", where)
        assert (told.path, told.index, told.examined) == ("scan", None, len(rows)), where
        assert told.matched == told.returned == len(before) <= most
        assert await db.create_index("people", field)
        told = await db.explain("people", where)
        assert (told.path, told.index) == ("index", field), where
        assert told.examined <= 2 * most + 10, where
        assert told.matched == told.returned == len(before)
        assert await db.query("people", where) == before
        assert [record.key for record in before] == [row.key for row in query(rows, where)]
        assert await db.drop_index("people", field)


async def test_an_order_with_a_limit_stops_early(db: Database) -> None:
    rows = await people(db)
    await db.create_index("people", "age")
    for descending, offset in itertools.product((False, True), (0, 7)):
        order_by = "-age" if descending else "age"
        told = await db.explain("people", order_by=order_by, limit=10, offset=offset)
        assert (told.path, told.index) == ("index order", "age")
        assert told.examined <= 40
        assert told.returned == 10
        found = await db.query("people", order_by=order_by, limit=10, offset=offset)
        wanted = query(rows, None, [("age", descending)], 10, offset)
        assert [record.key for record in found] == [row.key for row in wanted]


async def test_ties_missing_and_several_values_keep_their_order(db: Database) -> None:
    kinds: list[Any] = [
        {}, {"n": None}, {"n": []}, {"n": 1}, {"n": 1.0}, {"n": [1, 0]}, {"n": [2]}, {"n": "a"},
        {"n": {"a": 1}}, {"n": [[1]]}, {"n": True}, 7, "n", b"n", {"n": "x" * 300},
        {"n": "x" * 300 + "a"}, {"n": "x" * 300 + "b"},
    ]  # fmt: skip
    rows = [Row(f"{i:03}", kinds[(i * 5) % len(kinds)]) for i in range(6 * len(kinds))]
    await db.put_batch([("people", row.key, row.value) for row in rows])
    await db.create_index("people", "n")
    for descending in (False, True):
        wanted = [row.key for row in query(rows, None, [("n", descending)])]
        order = [("n", "desc" if descending else "asc")]
        for limit, offset in itertools.product((None, 1, 8, 40), (0, 3, 50)):
            found = await db.query("people", order_by=order, limit=limit, offset=offset)
            assert [record.key for record in found] == wanted[offset:][:limit]


async def test_the_past_is_scanned_and_no_filter_needs_no_index(db: Database) -> None:
    await people(db, 500)
    moment = await db.put("people", "0000", {"age": 9999})
    await db.create_index("people", "age")
    await db.put("people", "0001", {"age": 9999})
    then = await db.explain("people", {"age": 9999}, at=moment)
    assert (then.path, then.matched, then.examined) == ("scan", 1, 500)
    assert [r.key for r in await db.query("people", {"age": 9999}, at=moment)] == ["0000"]
    assert [r.key for r in await db.query("people", {"age": 9999})] == ["0000", "0001"]
    assert (await db.explain("people")).path == "scan"
    assert (await db.explain("people", {"city": "city-1"})).path == "scan"
    assert (await db.explain("people", {"age": {"$ne": 1}})).returned == 500


# What there is.


async def test_indexes_are_made_once_listed_and_dropped(
    open_file: FileOpener, reopen: Callable[..., Any]
) -> None:
    db = await open_file()
    assert await db.create_index("people", "age"), "before there is anything to be indexed"
    await people(db, 300)
    assert await db.namespace("people").create_index("at.x")
    assert await db.create_index("other", "\u00e9.\U0001f600")
    assert not await db.create_index("people", "age")
    for _ in range(2):
        listed = [(index.namespace, index.field) for index in await db.list_indexes()]
        assert listed == [("other", "\u00e9.\U0001f600"), ("people", "age"), ("people", "at.x")]
        assert (await db.list_indexes("people"))[0].bytes > 0
        assert await db.list_indexes("nowhere") == []
        assert (await db.explain("people", {"age": 5})).path == "index"
        assert not await db.create_index("people", "age")
        db = await reopen(db)
    assert await db.namespace("people").drop_index("at.x")
    assert not await db.drop_index("people", "at.x")
    assert await db.drop_index("people", "age")
    db = await reopen(db)
    assert [index.namespace for index in await db.list_indexes()] == ["other"]
    assert (await db.explain("people", {"age": 5})).path == "scan"
    assert await db.create_index("people", "age")
    db = await reopen(db, read_only=True)
    assert (await db.explain("people", {"age": 5})).path == "index"
    assert (await db.verify()).ok


async def test_definitions_are_nowhere_to_be_seen(db: Database) -> None:
    await db.put("people", "ann", {"age": 41})
    stats = await db.stats()
    await db.create_index("people", "age")
    await db.create_view("old", "people", {"age": {"$gt": 40}})
    await db.drop_index("people", "age")
    assert await db.list_namespaces() == ["people"]
    changes = iter(db.watch(since=0).next_found, None)
    assert [(change.key, change.missed) for change in changes] == [("ann", 0)]
    now = await db.stats()
    assert (now.keys, now.namespaces) == (stats.keys, stats.namespaces)


async def test_a_namespace_has_at_most_sixty_four(db: Database) -> None:
    await db.put_batch([("people", f"{i}", {"f63": i}) for i in range(20)])
    for i in range(64):
        assert await db.create_index("people", f"f{i}")
    with pytest.raises(LimitExceededError, match="64"):
        await db.create_index("people", "f64")
    assert await db.create_index("other", "f64")
    assert (await db.explain("people", {"f63": 1})).path == "index"
    assert await db.drop_index("people", "f0")
    assert await db.create_index("people", "f64")


@pytest.mark.parametrize("vector_index", ["exact", "hnsw"])
async def test_vectors_are_found_as_without(open_database: Opener, vector_index: str) -> None:
    db = await open_database(vector_index=vector_index)
    vectors = [[float((i * 37) % 11), float((i * 17) % 7) - 3, 1.0] for i in range(300)]
    metadata = [person(i) if i % 10 else b"raw" for i in range(300)]
    await db.embed_batch("people", [f"{i:04}" for i in range(300)], vectors, metadata)
    filters_tried: list[Where] = [
        *({"age": {"$lt": 600}}, {"city": "city-3"}, {"tags": "t4"}),
        {"age": {"$exists": False}},
    ]
    before = [await db.similar("people", [1, 2, 3], 20, where=where) for where in filters_tried]
    for field in ("age", "city", "tags"):
        await db.create_index("people", field)
    after = [await db.similar("people", [1, 2, 3], 20, where=where) for where in filters_tried]
    assert after == before
    assert min(map(len, after)) > 0


async def test_queries_by_index_see_whole_batches_only(db: Database) -> None:
    await db.create_index("people", "turn")
    done = asyncio.Event()

    async def write() -> None:
        for turn in range(15):
            await db.put_batch([("people", f"{i:02}", {"turn": turn}) for i in range(60)])
            await asyncio.sleep(0)
        done.set()

    async def read(where: Where, order_by: str | None) -> int:
        reads = 0
        while not done.is_set():
            await give_a_turn()
            found = await db.query("people", where, order_by=order_by)
            assert len(found) in (0, 60)
            assert len({record.value["turn"] for record in found}) <= 1
            reads += 1
        return reads

    ranges = {"turn": {"$gte": 0, "$lt": 100}}
    reads = await asyncio.gather(write(), read(ranges, None), read({}, "-turn"))
    assert min(reads[1:]) > 0
    assert await db.count("people", {"turn": 14}) == 60


@pytest.mark.parametrize("size", [1, 100, 10_000], ids=str)
async def test_a_full_memory_keeps_indexes_right(open_database: Opener, size: int) -> None:
    db = await open_database(max_memory_mb=16, sync_on_write=False)
    await db.create_index("people", "n")
    written = 0

    async def write_on() -> None:
        nonlocal written
        for i in itertools.count():
            numbers = list(range(i * size, (i + 1) * size))
            await db.put("people", f"{i}", {"n": numbers, "t": "x" * 4000})
            written += 1

    with pytest.raises(LimitExceededError):
        await write_on()
    assert await db.count("people") == written
    for i in (0, written - 1):
        assert [r.key for r in await db.query("people", {"n": i * size})] == [f"{i}"]
        assert await db.delete("people", f"{i}")
        assert await db.query("people", {"n": i * size}) == []


async def test_an_index_that_memory_has_no_room_for(
    open_file: FileOpener, reopen: Callable[..., Any]
) -> None:
    db = await open_file(max_memory_mb=128)
    items = [("people", f"{i}", {"n": list(range(i * 50, (i + 1) * 50))}) for i in range(12_000)]
    await db.put_batch(items)
    db = await reopen(db, max_memory_mb=24)
    with pytest.raises(LimitExceededError):
        await db.create_index("people", "n")
    assert await db.count("people", {"n": 70_000}) == 1
    db = await reopen(db, max_memory_mb=128)
    assert await db.create_index("people", "n")
    db = await reopen(db, max_memory_mb=24)
    assert await db.count("people", {"n": 70_000}) == 1, "what is stored opens"
    assert [index.field for index in await db.list_indexes()] == ["n"]
    await db.put("people", "7", {"n": 70_000})
    db = await reopen(db, max_memory_mb=128)
    assert [r.key for r in await db.query("people", {"n": 70_000})] == ["1400", "7"]
