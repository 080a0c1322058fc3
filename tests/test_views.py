"""Views show what their query finds, after every write; nothing shows what is not acknowledged."""

from __future__ import annotations

import asyncio
import itertools
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from turns import give_a_turn

from koru_delta import (
    Config,
    Database,
    KeyNotFoundError,
    LimitExceededError,
    Record,
    StorageError,
    SyncDatabase,
    ValidationError,
    Version,
)
from koru_delta.storage import MemoryStorage

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import FileOpener, Opener

VIEWS: dict[str, tuple[dict[str, Any] | None, Any]] = {
    "all": (None, None),
    "newest": ({}, "-$timestamp"),
    "old": ({"age": {"$gte": 5}}, ["-age", "name"]),
    "tagged": ({"tags": {"$in": ["a", "b"]}}, {"tags": -1, "$key": -1}),
    "young": ({"$or": [{"age": {"$lt": 3}}, {"age": {"$exists": False}}]}, [("name", "desc")]),
    "none": ({"age": "never"}, "age"),
}


def person(source: random.Random) -> Any:
    """A value, mostly a person."""
    if source.random() < 0.1:
        return source.choice([7, "text", None, ["a"]])
    value: dict[str, Any] = {"name": source.choice("xyz"), "age": source.randrange(9)}
    if source.random() < 0.5:
        value["tags"] = source.choices("abc", k=source.randrange(3))
    if source.random() < 0.2:
        del value["age"]
    return value


async def write_something(db: Database, source: random.Random) -> Version | None:
    """One write of any kind; the version, if there is one to name the moment by."""
    key = f"{source.randrange(12):02}"
    kind = source.randrange(10)
    history = await db.history("people", key) if await db.contains("people", key) else []
    if kind == 0:
        await db.delete("people", key)
    elif kind == 1:
        await db.erase("people", key)
    elif kind == 2 and history:
        return await db.restore("people", key, source.choice([v for v in history if not v.deleted]))
    elif kind == 3:
        keys = [f"{source.randrange(12):02}" for _ in range(5)]
        await db.put_batch([("people", key, person(source)) for key in keys])
    else:
        return await db.put("people", key, person(source))
    return None


async def create_views(db: Database) -> None:
    for name, (where, order_by) in VIEWS.items():
        await db.create_view(name, "people", where, order_by=order_by)


@pytest.mark.parametrize("seed", range(3))
async def test_a_view_is_what_its_query_finds(
    open_file: FileOpener, reopen: Callable[..., Any], seed: int
) -> None:
    source = random.Random(seed)
    db = await open_file(sync_on_write=False)
    moments: list[Version] = []
    for step in range(200):
        if step == 40:
            await create_views(db)
        if step in (90, 150):
            db = await reopen(db, sync_on_write=False)
        version = await write_something(db, source)
        moments += [version] if version else []
        await db.put("other", f"{step % 5}", {"age": 6})
        if step < 40:
            continue
        limit, offset = source.choice([None, 0, 1, 5]), source.randrange(4)
        at = source.choice([None, None, source.choice(moments)])
        for name, (where, order_by) in VIEWS.items():
            options: Any = {"limit": limit, "offset": offset, "at": at}
            found = await db.query("people", where, order_by=order_by, **options)
            assert await db.view(name, **options) == found, (step, name)
    assert (await db.verify()).ok


async def test_a_definition_may_be_replaced_and_dropped(db: Database) -> None:
    await db.put_batch([("people", f"{i}", {"age": i}) for i in range(6)])
    await db.put("others", "x", {"age": 1})
    await db.create_view("some", "people", {"age": {"$gt": 3}})
    assert [r.key for r in await db.view("some")] == ["4", "5"]
    await db.create_view("some", "people", {"age": {"$lt": 2}}, order_by="-age")
    assert [r.key for r in await db.view("some")] == ["1", "0"]
    await db.create_view("some", "others")
    assert [(r.namespace, r.key) for r in await db.view("some")] == [("others", "x")]
    assert [view.namespace for view in await db.list_views()] == ["others"]
    with pytest.raises(ValidationError):
        await db.create_view("some", "people", {"age": {"$bad": 1}})
    assert [r.key for r in await db.view("some")] == ["x"], "a refused definition replaces nothing"
    assert await db.drop_view("some")
    assert not await db.drop_view("some")
    assert await db.list_views() == []
    with pytest.raises(KeyNotFoundError):
        await db.view("some")


async def test_an_unknown_view_is_refused_with_near_names(db: Database) -> None:
    await db.create_view("elders", "people")
    await db.create_view("\u00e9migr\u00e9s", "people")
    for name, near in (
        ("elder", "elders"),
        ("Elders", "elders"),
        ("\u00e9migr\u00e9", "\u00e9migr\u00e9s"),
    ):
        with pytest.raises(KeyNotFoundError, match=name) as caught:
            await db.view(name)
        assert caught.value.suggestions == (near,)
    assert await db.view("elders") == []


async def test_definitions_are_listed_and_kept(
    open_file: FileOpener, reopen: Callable[..., Any]
) -> None:
    db = await open_file()
    await create_views(db)
    await db.create_view("a", "other", {"n": {"$in": [1, "\u00e9", None, 2**53 + 1]}})
    for _ in range(2):
        views = {view.name: view for view in await db.list_views()}
        assert list(views) == sorted([*VIEWS, "a"])
        assert {name: view.where for name, view in views.items() if name in VIEWS} == {
            name: where for name, (where, _) in VIEWS.items()
        }
        assert views["a"].where == {"n": {"$in": [1, "\u00e9", None, 2**53 + 1]}}
        assert (views["a"].namespace, views["all"].namespace) == ("other", "people")
        assert views["all"].order_by == ()
        assert views["newest"].order_by == (("$timestamp", "desc"),)
        assert views["old"].order_by == (("age", "desc"), ("name", "asc"))
        assert views["tagged"].order_by == (("tags", "desc"), ("$key", "desc"))
        db = await reopen(db)
    await db.drop_view("a")
    assert [view.name for view in await (await reopen(db)).list_views()] == sorted(VIEWS)


async def test_a_namespace_has_at_most_sixty_four_views(db: Database) -> None:
    for i in range(64):
        await db.create_view(f"{i}", "people")
    with pytest.raises(LimitExceededError, match="64"):
        await db.create_view("64", "people")
    await db.create_view("0", "people", {"a": 1})
    await db.create_view("64", "other")
    await db.put("people", "ann", {"a": 1})
    assert [len(await db.view(f"{i}")) for i in range(65)] == [1] * 64 + [0]


async def test_a_view_of_the_past_has_the_definition_of_now(db: Database) -> None:
    first = await db.put("people", "ann", {"age": 40})
    second = await db.put("people", "ann", {"age": 20})
    await db.put("people", "bob", {"age": 50})
    await db.create_view("old", "people", {"age": {"$gte": 40}})
    assert [r.key for r in await db.view("old", at=first)] == ["ann"]
    assert await db.view("old", at=second) == []
    assert [r.key for r in await db.view("old")] == ["bob"]
    await db.create_view("old", "people", {"age": {"$lt": 40}})
    assert [r.value for r in await db.view("old", at=second)] == [{"age": 20}]


async def test_a_view_shows_whole_batches_only(db: Database) -> None:
    await db.create_view("by turn", "people", {"turn": {"$gte": 0}}, order_by="-turn")
    done = asyncio.Event()

    async def write() -> None:
        for turn in range(15):
            await db.put_batch([("people", f"{i:02}", {"turn": turn}) for i in range(60)])
            await asyncio.sleep(0)
        done.set()

    async def read() -> int:
        reads = 0
        while not done.is_set():
            await give_a_turn()
            found = await db.view("by turn")
            assert len(found) in (0, 60)
            assert len({record.value["turn"] for record in found}) <= 1
            reads += 1
        return reads

    reads = await asyncio.gather(write(), read())
    assert reads[1] > 0


@pytest.mark.parametrize(("views", "size"), [(1, 4000), (1, 1_000_000), (20, 500_000)], ids=str)
async def test_a_full_memory_keeps_views_right(
    open_database: Opener, views: int, size: int
) -> None:
    db = await open_database(max_memory_mb=16, sync_on_write=False)
    for i in range(views):
        await db.create_view(f"{i}", "people", {"odd": 1}, order_by="-text")
    written = 0

    async def write_on() -> None:
        nonlocal written
        for i in itertools.count():
            await db.put("people", f"{i}", {"text": f"{i:09}" * (size // 9), "odd": i % 2})
            written += 1

    with pytest.raises(LimitExceededError):
        await write_on()
    shown = [record.key for record in await db.view("0", limit=2)]
    assert shown == [f"{i}" for i in reversed(range(written)) if i % 2][:2]
    for key in shown:
        assert await db.delete("people", key)
    assert [r for r in await db.view("0", limit=2) if r.key in shown] == []


# Only what is acknowledged.


class HeldStorage(MemoryStorage):
    """A log whose syncs are let through one by one, or whose next append fails."""

    def __init__(self) -> None:
        super().__init__()
        self.held = False
        self.failing = False
        self.waiting = threading.Semaphore(0)
        self.permits = threading.Semaphore(0)

    def append(self, data: bytes) -> None:
        if self.failing:
            self.failing = False
            raise StorageError("the disk is full", suggestion="make room")
        super().append(data)

    def sync(self) -> None:
        if self.held:
            self.waiting.release()
            assert self.permits.acquire(timeout=60)


def open_held() -> tuple[HeldStorage, SyncDatabase]:
    """A database with some of everything, whose syncs can be held up."""
    storage = HeldStorage()
    db = SyncDatabase.create(Config(storage=storage))
    for i in range(30):
        db.put("n", f"{i:02}", {"g": i, "text": "red sea"}, embedding=[1.0, float(i)])
    db.create_index("n", "g")
    db.create_view("low", "n", {"g": {"$lt": 3}}, order_by="-g")
    return storage, db


def seen(db: SyncDatabase) -> dict[str, Any]:
    """What every way to read finds."""
    assert db.explain("n", {"g": 1}).path == "index"
    return {
        "query": db.query("n", order_by="g"),
        "by index": db.query("n", {"g": {"$in": [1, 77]}}),
        "in order": db.query("n", order_by="-g", limit=2),
        "count": db.count("n", {"g": 1}),
        "sum": db.aggregate("n", {"sum": {"$sum": "g"}}),
        "view": db.view("low"),
        "search": db.search("n", "sea blue", 100),
        "one": db.search("n", "blue"),
        "hybrid": db.hybrid("n", "sea", [1.0, 2.0], 100),
        "similar": db.similar("n", [1.0, 2.0], 100, where={"g": {"$in": [1, 2]}}),
        "changes": list(db.watch(since=0, timeout=0)),
    }


def change_everything(db: SyncDatabase) -> None:
    blue = [("n", "01", {"g": 77, "text": "blue"}), ("n", "new", {"g": 1, "text": "blue sea"})]
    db.put_batch([*blue, ("n", "01", {"g": 1, "text": "blue blue sea"}), ("n", "02", "sea")])


def define_more(db: SyncDatabase) -> None:
    db.create_index("n", "text")
    db.create_view("blue", "n", {"text": {"$contains": "blue"}})


WRITES: list[Callable[[SyncDatabase], Any]] = [
    change_everything,
    lambda db: db.delete("n", "01"),
    lambda db: db.put("n", "01", {"g": 1, "text": "blue"}, embedding=[0.0, 1.0]),
    lambda db: db.put("n", "03", {"g": 1, "text": "blue"}),
    define_more,
]


@pytest.mark.parametrize("writes", [*itertools.permutations(range(5), 2)], ids=repr)
def test_what_is_not_acknowledged_is_nowhere(writes: tuple[int, int]) -> None:
    storage, db = open_held()
    _, other = open_held()
    if sum(writes) % 2:
        seen(db)  # Else the first search, which makes the index of the texts, is made meanwhile.
    storage.held = True
    with ThreadPoolExecutor(2) as pool:
        try:
            pending = []
            for number in writes:
                pending.append(pool.submit(WRITES[number], db))
                if len(pending) == 1:
                    assert storage.waiting.acquire(timeout=60)
                for _ in range(2):
                    assert without_ids(seen(db)) == without_ids(seen(other))
        finally:
            storage.held = False
            storage.permits.release(10)
        for future, number in zip(pending, writes, strict=True):
            future.result(60)
            WRITES[number](other)
    assert without_ids(seen(db)) == without_ids(seen(other))
    assert db.verify().ok
    db.close()
    with SyncDatabase(Config(storage=storage)) as again:
        assert without_ids(seen(again)) == without_ids(seen(other))
    other.close()


def test_of_two_writes_the_acknowledged_one_is_seen() -> None:
    storage, db = open_held()
    _, other = open_held()
    seen(db)
    storage.held = True
    with ThreadPoolExecutor(1) as first, ThreadPoolExecutor(1) as second:
        try:
            done = [first.submit(WRITES[0], db)]
            assert storage.waiting.acquire(timeout=60)
            done.append(second.submit(WRITES[2], db))
            for turn in range(2):
                assert without_ids(seen(db)) == without_ids(seen(other))
                storage.permits.release()
                done[turn].result(60)
                WRITES[0 if turn == 0 else 2](other)
                if turn == 0:
                    assert storage.waiting.acquire(timeout=60)
        finally:
            storage.held = False
            storage.permits.release(10)
    assert without_ids(seen(db)) == without_ids(seen(other))
    db.close()
    other.close()


def without_ids(found: Any) -> Any:
    """What was found, without what differs from database to database."""
    if isinstance(found, dict):
        return {name: without_ids(part) for name, part in found.items()}
    if isinstance(found, list):
        return [without_ids(part) for part in found]
    if hasattr(found, "version"):
        return (found.kind, found.key, found.version and found.version.value, found.missed)
    if hasattr(found, "score"):
        return (found.key, found.score, found.value, found.snippet, found.highlights)
    return (found.key, found.value) if isinstance(found, Record) else found


def test_what_could_not_be_written_is_nowhere() -> None:
    storage, db = open_held()
    before = seen(db)
    for write in (
        change_everything,
        lambda db: db.delete("n", "01"),
        lambda db: db.erase("n", "02"),
    ):
        storage.failing = True
        with pytest.raises(StorageError, match="full"):
            write(db)
        assert seen(db) == before
    for define in (
        lambda: db.create_index("n", "text"),
        lambda: db.create_view("other", "n"),
        lambda: db.drop_index("n", "g"),
        lambda: db.drop_view("low"),
    ):
        storage.failing = True
        with pytest.raises(StorageError, match="full"):
            define()
        assert [index.field for index in db.list_indexes()] == ["g"]
        assert [view.name for view in db.list_views()] == ["low"]
        assert seen(db) == before
    change_everything(db)
    assert [record.key for record in db.query("n", {"g": 1})] == ["01", "new"]
    assert db.verify().ok
    db.close()
