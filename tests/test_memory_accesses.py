"""How often memories were recalled, and when last: counted, kept, and cheap."""

from __future__ import annotations

import asyncio
import gc
import shutil
import threading
import warnings
import weakref
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from memory_oracle import Clock

from koru_delta import Config, Database, KoruDeltaError, SyncDatabase

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from koru_delta.memory import AgentMemory

NOW = 1_800_000_000


def moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


@pytest.fixture
def memory(db: Database) -> AgentMemory:
    """The memory of an agent of an empty database."""
    return db.agent_memory("a")


async def counts(memory: AgentMemory, *ids: str) -> list[int]:
    return [(await memory.get(one)).access_count for one in ids]


async def test_a_recall_counts_what_it_returns(
    memory: AgentMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, NOW)
    tea = await memory.remember("green tea")
    coffee = await memory.remember("black coffee")
    assert await counts(memory, tea, coffee) == [0, 0]
    clock.seconds += 10
    [first] = await memory.recall("tea")
    assert (first.access_count, first.last_accessed) == (1, moment(NOW + 10))
    clock.seconds += 10
    [second] = await memory.recall("green tea")
    assert (second.access_count, second.last_accessed) == (2, moment(NOW + 20))
    assert first.access_count == 1
    assert await counts(memory, tea, coffee) == [2, 0]
    found = await memory.get(tea)
    assert found.last_accessed == moment(NOW + 20)
    assert found.created_at == moment(NOW)
    assert (await memory.get(coffee)).last_accessed is None
    assert (await memory.stats()).accesses == 2


async def test_only_what_is_returned_is_counted(memory: AgentMemory) -> None:
    ids = await memory.episodes.remember_many([f"tea number {index}" for index in range(5)])
    fact = await memory.facts.learn("tea", "a fact of tea")
    returned = {hit.id for hit in await memory.recall("tea", 2)}
    await memory.recall("nothing that is here")
    await memory.recall("tea", memory_type="fact")
    await memory.recall("tea", min_relevance=1.0)
    await memory.recall("tea", until=1)
    for one in (*ids, fact):
        assert await counts(memory, one) == [(one in returned) + (one == fact)]


async def test_the_past_counts_nothing(
    memory: AgentMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, NOW)
    tea = await memory.remember("green tea")
    clock.seconds += 10
    await memory.recall("tea")
    await memory.flush()
    clock.seconds += 10
    await memory.recall("tea")
    await memory.flush()
    clock.seconds += 10
    for at, count, last in ((5, 0, None), (15, 1, 10), (25, 2, 20)):
        [hit] = await memory.recall("tea", at=NOW + at)
        found = await memory.get(tea, at=NOW + at)
        for one in (hit, found):
            assert one.access_count == count
            assert one.last_accessed == (None if last is None else moment(NOW + last))
    assert await counts(memory, tea) == [2]


async def test_a_recall_writes_nothing(db: Database, memory: AgentMemory) -> None:
    await memory.episodes.remember_many([f"tea number {index}" for index in range(20)])
    head = db.head
    for _ in range(100):
        await memory.recall("tea", 5)
    assert db.head == head
    await memory.flush()
    assert db.head != head


async def test_counts_of_many_memories_are_written_together(db: Database) -> None:
    memory = db.agent_memory("a")
    await memory.episodes.remember_many([f"tea number {index}" for index in range(300)])
    before = (await db.verify()).commits
    await memory.recall("tea", 255)
    assert (await db.verify()).commits == before
    await memory.recall("tea", 256)
    assert (await db.verify()).commits == before + 1
    assert len(await db.list_keys("memory-accesses/a")) == 256
    await memory.flush()
    await memory.flush()
    assert (await db.verify()).commits == before + 1


async def test_counts_survive_closing(open_file: Any, reopen: Callable[..., Any]) -> None:
    db = await open_file()
    tea = await db.agent_memory("a").remember("green tea")
    coffee = await db.agent_memory("a").remember("black coffee")
    for expected in range(1, 4):
        [hit] = await db.agent_memory("a").recall("tea")
        assert hit.access_count == expected
        db = await reopen(db)
        memory = db.agent_memory("a")
        found = await memory.get(tea)
        assert found.access_count == expected
        assert found.last_accessed == hit.last_accessed
        assert await counts(memory, coffee) == [0]
        assert (await memory.stats()).accesses == expected


async def test_counts_survive_without_a_flush_but_not_a_crash(open_file: Any, path: Path) -> None:
    db = await open_file()
    memory = db.agent_memory("a")
    tea = await memory.remember("green tea")
    await memory.recall("tea")
    await memory.flush()
    await memory.recall("tea")
    copy = path.with_name("copy.koru")
    shutil.copy(path, copy)
    async with Database(copy) as crashed:
        assert await counts(crashed.agent_memory("a"), tea) == [1]
    assert await counts(memory, tea) == [2]


def test_a_blocking_database_keeps_them_too(tmp_path: Path) -> None:
    path = tmp_path / "data.koru"
    with SyncDatabase(path) as db:
        db.agent_memory("a").remember("green tea")
        db.agent_memory("a").recall("tea")
    with SyncDatabase.for_agent("a", path) as memory:
        assert [hit.access_count for hit in memory.recall("tea")] == [2]
    other = SyncDatabase.create(path)
    assert other.agent_memory("a").stats().accesses == 2
    other.close()


async def test_agents_of_the_same_name_share_their_counts(db: Database) -> None:
    one, two = db.agent_memory("a"), db.agent_memory("a")
    other = db.agent_memory("b")
    await one.remember("green tea")
    await other.remember("green tea")
    await one.recall("tea")
    [hit] = await two.recall("tea")
    assert hit.access_count == 2
    del one, two, hit
    gc.collect()
    [hit] = await db.agent_memory("a").recall("tea")
    assert hit.access_count == 3
    assert [hit.access_count for hit in await other.recall("tea")] == [1]


async def test_counts_of_agents_that_nobody_uses_are_let_go(db: Database) -> None:
    memory = db.agent_memory("a")
    await memory.remember("green tea")
    await memory.recall("tea")
    held = weakref.ref(memory._store.accesses)
    del memory
    gc.collect()
    assert held() is not None  # They are not written yet.
    await db.agent_memory("a").flush()
    gc.collect()
    assert held() is None
    [hit] = await db.agent_memory("a").recall("tea")
    assert hit.access_count == 2


async def test_two_databases_have_nothing_in_common() -> None:
    async with Database() as one, Database() as two:
        for db in (one, two):
            await db.agent_memory("a").remember("green tea")
            [hit] = await db.agent_memory("a").recall("tea")
            assert hit.access_count == 1


async def test_a_database_that_was_closed_begins_anew() -> None:
    db = Database()
    memory = db.agent_memory("a")
    for _ in range(2):
        async with db:
            await memory.remember("green tea")
            assert [hit.access_count for hit in await memory.recall("tea")] == [1]


async def test_an_unclosed_database_is_not_kept_alive() -> None:
    db = await Database.create()
    memory = db.agent_memory("a")
    await memory.remember("green tea")
    await memory.recall("tea")
    held: list[Any] = [db, memory]
    del db, memory
    with pytest.warns(ResourceWarning):
        held.clear()


async def test_recalls_at_the_same_time_all_count(memory: AgentMemory) -> None:
    ids = await memory.episodes.remember_many([f"tea number {index}" for index in range(300)])
    await asyncio.gather(*(memory.recall("tea", 300) for _ in range(20)))
    assert set(await counts(memory, *ids)) == {20}
    await memory.flush()
    stored = await memory.db.get_many("memory-accesses/a", ids)
    assert {value["count"] for value in stored.values()} == {20}


def test_threads_lose_no_count(tmp_path: Path) -> None:
    with SyncDatabase(tmp_path / "data.koru") as db:
        memory = db.agent_memory("a")
        memory.episodes.remember_many([f"tea number {index}" for index in range(300)])

        def recall() -> None:
            for _ in range(25):
                db.agent_memory("a").recall("tea", 300)

        threads = [threading.Thread(target=recall) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert memory.stats().accesses == 4 * 25 * 300
        stored = db.namespace("memory-accesses/a").all()
        assert {value["count"] for value in stored.values()} == {100}


async def test_counts_of_what_was_forgotten_come_back_with_it(memory: AgentMemory) -> None:
    tea = await memory.remember("green tea")
    [version] = await memory.history(tea)
    await memory.recall("tea")
    await memory.forget(tea)
    assert (await memory.stats()).accesses == 1
    await memory.db.restore(memory.namespace, tea, version)
    assert [hit.access_count for hit in await memory.recall("tea")] == [2]


async def test_a_read_only_database_counts_while_it_is_open(path: Path) -> None:
    async with Database.for_agent("a", path) as memory:
        tea = await memory.remember("green tea")
        await memory.recall("tea")
    async with Database(Config(path=path, read_only=True)) as db:
        memory = db.agent_memory("a")
        assert [hit.access_count for hit in await memory.recall("tea")] == [2]
        assert [hit.access_count for hit in await memory.recall("tea")] == [3]
        assert (await memory.stats()).accesses == 3
        await memory.flush()
    async with Database.for_agent("a", path) as memory:
        assert await counts(memory, tea) == [1]


async def test_counts_that_cannot_be_written_harm_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = await Database.create(path)
    memory = db.agent_memory("a")
    await memory.episodes.remember_many([f"tea number {index}" for index in range(300)])

    async def refuse(_items: Any) -> int:
        raise KoruDeltaError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(db, "put_batch", refuse)
        for expected in (1, 2):
            hits = await memory.recall("tea", 300)
            assert {hit.access_count for hit in hits} == {expected}
        with pytest.raises(KoruDeltaError, match="disk"):
            await memory.flush()
        with pytest.raises(KoruDeltaError, match="disk"):
            await memory.stats()
    assert (await memory.stats()).accesses == 600
    await memory.recall("tea", 1)
    with monkeypatch.context() as patch:
        patch.setattr(db, "put_batch", refuse)
        with pytest.warns(RuntimeWarning, match="not kept.*disk"):
            await db.close()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        async with Database(path) as again:
            assert (await again.agent_memory("a").stats()).accesses == 600
