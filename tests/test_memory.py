"""Episodes, facts and procedures: written, read, forgotten, and kept apart."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest
from memory_oracle import embed

from koru_delta import (
    Database,
    KeyNotFoundError,
    ValidationError,
)
from koru_delta.memory import AgentMemory, MemoryType

if TYPE_CHECKING:
    pass


@pytest.fixture
def memory(db: Database) -> AgentMemory:
    """The memory of an agent of an empty database."""
    return db.agent_memory("assistant-42")


# Writing and reading.


async def test_an_episode_is_what_was_remembered(memory: AgentMemory) -> None:
    first = await memory.remember(
        "Alice moved to Lisbon", 0.8, ["alice", "home"], metadata={"source": {"mail": 7}}
    )
    found = await memory.get(first)
    assert first.startswith("episode/")
    assert (found.id, found.content) == (first, "Alice moved to Lisbon")
    assert found.memory_type is MemoryType.EPISODE
    assert found.importance == 0.8
    assert found.tags == ["alice", "home"]
    assert found.metadata == {"source": {"mail": 7}}
    assert (found.name, found.steps, found.success_rate) == (None, [], None)
    assert found.created_at == found.updated_at
    assert (found.access_count, found.last_accessed) == (0, None)
    assert dataclasses.is_dataclass(found)
    assert not hasattr(found, "__dict__")


async def test_defaults_are_those_that_are_documented(memory: AgentMemory) -> None:
    episode = await memory.get(await memory.episodes.remember("Something happened"))
    fact = await memory.facts.get((await memory.facts.learn("key", "Known")).partition("/")[2])
    procedure = await memory.get(await memory.procedures.learn("do it", ["begin", "end"]))
    assert (episode.importance, fact.importance, procedure.importance) == (0.5, 0.9, 0.7)
    for one in (episode, fact, procedure):
        assert (one.tags, one.metadata) == ([], {})
    assert procedure.success_rate is None
    assert fact.name == "key"
    assert (procedure.name, procedure.steps) == ("do it", ["begin", "end"])
    assert procedure.content == "do it\nbegin\nend"


async def test_every_write_is_one_commit(db: Database, memory: AgentMemory) -> None:
    before = (await db.verify()).commits
    await memory.remember("one")
    await memory.facts.learn("two", "two")
    await memory.procedures.learn("three", ["three"], 0.5)
    await memory.episodes.remember_many(["four", "five", "six"])
    assert (await db.verify()).commits == before + 4


async def test_many_episodes_are_remembered_at_once(memory: AgentMemory) -> None:
    ids = await memory.episodes.remember_many(["one", "two", "one"], 0.25, ["t"], metadata={"m": 1})
    assert len(set(ids)) == 3
    found = [await memory.get(one) for one in ids]
    assert [one.content for one in found] == ["one", "two", "one"]
    assert {(one.importance, *one.tags, *one.metadata) for one in found} == {(0.25, "t", "m")}
    assert await memory.episodes.remember_many([]) == []


async def test_learning_a_fact_again_is_a_new_version(memory: AgentMemory) -> None:
    episode = await memory.remember("Alice says she moved to Lisbon")
    first = await memory.facts.learn("alice.home", "Alice lives in Berlin", ["old"])
    before = (await memory.facts.history("alice.home"))[-1]
    second = await memory.facts.learn("alice.home", "Alice lives in Lisbon", caused_by=episode)
    assert first == second == "fact/alice.home"
    history = await memory.facts.history("alice.home")
    assert [one.value["content"] for one in history] == [
        "alice.home: Alice lives in Berlin",
        "alice.home: Alice lives in Lisbon",
    ]
    now = await memory.facts.get("alice.home")
    assert now.created_at == history[0].timestamp
    assert now.updated_at == history[1].timestamp
    assert now.tags == []
    then = await memory.facts.get("alice.home", at=before)
    assert (then.content, then.tags) == ("Alice lives in Berlin", ["old"])
    assert then.updated_at == then.created_at == history[0].timestamp
    assert [one.key for one in await memory.lineage(second)] == [episode]
    assert await memory.lineage(before) == []
    assert [one.key for one in await memory.db.effects(history[1].caused_by[0])] == [first]


async def test_a_fact_is_found_by_its_key_and_given_without(memory: AgentMemory) -> None:
    for key, content in (
        ("user_timezone", "Europe/Lisbon"),
        ("a: b", "c: d"),
        ("färbung des Dachs", "rot"),
    ):
        await memory.facts.learn(key, content)
        for query in (key, content):
            [hit] = await memory.recall(query, memory_type="fact")
            assert (hit.content, hit.name) == (content, key)
        assert (await memory.facts.get(key)).content == content
    assert [hit.content for hit in await memory.recall("Which timezone?")] == ["Europe/Lisbon"]


async def test_names_never_collide(memory: AgentMemory) -> None:
    names = ["x", "a/b", "episode/x", "fact/x", "procedure/x", "🙂", " x "]
    for name in names:
        await memory.facts.learn(name, f"fact {name}")
        await memory.procedures.learn(name, [f"step {name}"])
    for name in names:
        assert (await memory.facts.get(name)).content == f"fact {name}"
        assert (await memory.procedures.get(name)).steps == [f"step {name}"]
    stats = await memory.stats()
    assert (stats.facts, stats.procedures, stats.episodes) == (len(names), len(names), 0)


async def test_agents_are_kept_apart(db: Database) -> None:
    ids = ["a", "a/b", "a/accesses", "a/fact", "b", "accesses", "-accesses/a", "memory/a", " a"]
    memories = {one: db.agent_memory(one) for one in ids}
    for name, memory in memories.items():
        await memory.facts.learn("who", f"agent {name}")
        await memory.remember(f"hello from {name}")
    for name, memory in memories.items():
        assert [hit.content for hit in await memory.recall("agent")] == [f"agent {name}"]
        await memory.flush()
    for name, memory in memories.items():
        stats = await memory.stats()
        assert (stats.total, stats.accesses) == (2, 1), name
        assert (await memory.facts.get("who")).content == f"agent {name}"
    namespaces = await db.list_namespaces()
    assert len(namespaces) == 2 * len(ids)


async def test_what_is_not_there(memory: AgentMemory) -> None:
    for read in (
        memory.get("episode/0123456789abcdef"),
        memory.get("anything"),
        memory.facts.get("nothing"),
        memory.procedures.get("nothing"),
        memory.procedures.record_outcome("nothing", True),
        memory.lineage("fact/nothing"),
    ):
        with pytest.raises(KeyNotFoundError):
            await read
    assert await memory.facts.get("nothing", None) is None
    assert await memory.procedures.get("nothing", "default") == "default"
    assert await memory.get("nothing", 7) == 7
    assert await memory.history("nothing") == []
    assert await memory.facts.history("nothing") == []
    assert await memory.forget("nothing") is False
    assert await memory.forget("nothing", erase=True) is False


# Causes.


async def test_causes_are_ids_of_memories_versions_and_memories(memory: AgentMemory) -> None:
    one = await memory.remember("one")
    two = await memory.get(await memory.remember("two"))
    three = await memory.db.put("elsewhere", "three", 3)
    four = await memory.db.put("elsewhere", "four", 4)
    fact = await memory.facts.learn("key", "derived", caused_by=[one, two, three, four.version_id])
    causes = (await memory.history(fact))[0].caused_by
    versions = [await memory.db.version(cause) for cause in causes]
    assert {version.key for version in versions} == {one, two.id, "three", "four"}
    alone = await memory.procedures.learn("do", ["it"], caused_by=fact)
    lineage = await memory.lineage(alone)
    assert lineage[0].key == fact
    assert {version.key for version in lineage[1:]} == {one, two.id, "three", "four"}
    assert [version.key for version in await memory.lineage(alone, depth=1)] == [fact]
    assert await memory.lineage(await memory.get(alone)) == lineage


async def test_an_id_stands_for_the_version_that_is_there(memory: AgentMemory) -> None:
    await memory.facts.learn("key", "old")
    first = await memory.remember("from old", caused_by="fact/key")
    await memory.facts.learn("key", "new")
    second = await memory.remember("from new", caused_by="fact/key")
    assert [one.value["content"] for one in await memory.lineage(first)] == ["key: old"]
    assert [one.value["content"] for one in await memory.lineage(second)] == ["key: new"]


async def test_what_was_forgotten_can_still_be_a_cause(memory: AgentMemory) -> None:
    episode = await memory.remember("Alice moved")
    await memory.forget(episode)
    fact = await memory.facts.learn("alice", "Alice moved", caused_by=episode)
    assert [one.value["content"] for one in await memory.lineage(fact)] == ["Alice moved"]
    assert await memory.lineage(episode) == []


@pytest.mark.parametrize(
    "cause", ["episode/0123456789abcdef", "nothing", "0" * 32, 7, [7], None, ["fact/"]]
)
async def test_a_cause_has_to_exist(memory: AgentMemory, cause: Any) -> None:
    for write in (
        lambda: memory.remember("x", caused_by=cause),
        lambda: memory.facts.learn("x", "x", caused_by=cause),
        lambda: memory.procedures.learn("x", ["x"], caused_by=cause),
    ):
        with pytest.raises(ValidationError):
            await write()
    assert (await memory.stats()).total == 0


# Procedures.


async def test_outcomes_make_the_success_rate(memory: AgentMemory) -> None:
    await memory.procedures.learn("deploy", ["test", "ship"])
    assert await memory.procedures.record_outcome("deploy", True) == 1.0
    assert await memory.procedures.record_outcome("deploy", False) == 0.5
    assert await memory.procedures.record_outcome("deploy", False) == pytest.approx(1 / 3)
    found = await memory.procedures.get("deploy")
    assert found.success_rate == pytest.approx(1 / 3)
    assert found.steps == ["test", "ship"]
    await memory.procedures.learn("rollback", ["undo"], 0.8)
    assert (await memory.procedures.get("rollback")).success_rate == 0.8
    assert await memory.procedures.record_outcome("rollback", True) == pytest.approx(0.9)
    assert len(await memory.procedures.history("rollback")) == 2


async def test_an_outcome_keeps_the_vector(db: Database) -> None:
    memory = db.agent_memory("a", embed)
    procedure = await memory.procedures.learn("deploy", ["test", "ship"])
    before = list(await db.vector(memory.namespace, procedure))
    await memory.procedures.record_outcome("deploy", True)
    assert list(await db.vector(memory.namespace, procedure)) == before


async def test_outcomes_at_the_same_time_all_count(memory: AgentMemory) -> None:
    import asyncio

    await memory.procedures.learn("deploy", ["ship"])
    outcomes = [memory.procedures.record_outcome("deploy", index % 4 != 0) for index in range(8)]
    await asyncio.gather(*outcomes)
    assert (await memory.procedures.get("deploy")).success_rate == pytest.approx(0.75)


# Forgetting.


async def test_forgetting_keeps_the_history(memory: AgentMemory) -> None:
    one = await memory.remember("Alice moved to Lisbon")
    known = (await memory.history(one))[0]
    assert await memory.forget(one) is True
    assert await memory.forget(one) is False
    assert await memory.recall("Lisbon") == []
    assert await memory.get(one, None) is None
    assert [version.deleted for version in await memory.history(one)] == [False, True]
    assert [hit.id for hit in await memory.recall("Lisbon", at=known)] == [one]
    assert (await memory.get(one, at=known)).content == "Alice moved to Lisbon"
    await memory.db.restore(memory.namespace, one, known)
    assert [hit.id for hit in await memory.recall("Lisbon")] == [one]


async def test_erasing_leaves_nothing(memory: AgentMemory) -> None:
    one = await memory.remember("Alice moved to Lisbon")
    known = (await memory.history(one))[0]
    await memory.recall("Lisbon")
    await memory.flush()
    await memory.recall("Lisbon")
    found = await memory.get(one)
    assert found.access_count == 2
    assert await memory.forget(found, erase=True) is True
    assert await memory.history(one) == []
    assert await memory.recall("Lisbon", at=known) == []
    assert await memory.db.list_namespaces() == []
    assert (await memory.stats()).accesses == 0


async def test_stats_count_what_is_there(memory: AgentMemory) -> None:
    empty = await memory.stats()
    assert (empty.episodes, empty.facts, empty.procedures, empty.accesses) == (0, 0, 0, 0)
    assert (empty.oldest, empty.newest, empty.total) == (None, None, 0)
    ids = [await memory.remember(f"episode number {index}") for index in range(3)]
    await memory.facts.learn("key", "one fact")
    await memory.facts.learn("key", "the fact again")
    await memory.procedures.learn("name", ["a step"])
    await memory.forget(ids[0])
    await memory.recall("episode")
    stats = await memory.stats()
    assert (stats.episodes, stats.facts, stats.procedures, stats.total) == (2, 1, 1, 4)
    assert stats.accesses == 2
    assert stats.oldest == (await memory.get(ids[1])).created_at
    assert stats.newest == (await memory.get("procedure/name")).created_at
