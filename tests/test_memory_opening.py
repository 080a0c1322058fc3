"""Agents with a database of their own, closed databases, and the blocking memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from memory_oracle import embed

from koru_delta import (
    Database,
    DatabaseClosedError,
    SyncDatabase,
)
from koru_delta.memory import AgentMemory, SyncAgentMemory

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def memory(db: Database) -> AgentMemory:
    """The memory of an agent of an empty database."""
    return db.agent_memory("assistant-42")


async def test_an_agent_with_a_database_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "agent.koru"
    async with Database.for_agent("assistant-42", path) as memory:
        assert isinstance(memory, AgentMemory)
        assert memory.agent_id == "assistant-42"
        assert memory.namespace == "memory/assistant-42"
        one = await memory.remember("Alice moved to Lisbon")
        db = memory.db
    with pytest.raises(DatabaseClosedError):
        await db.get("a", "b")
    async with Database.for_agent("assistant-42", path, embed, half_life=3600) as memory:
        assert (await memory.get(one)).content == "Alice moved to Lisbon"
    async with Database.for_agent("assistant-42") as memory:
        assert await memory.get(one, None) is None


async def test_an_agent_without_an_open_database_says_so(tmp_path: Path) -> None:
    db = Database(tmp_path / "data.koru")
    memory = db.agent_memory("a")
    async with db:
        one = await memory.remember("x")
        report = await memory.consolidate()
    for call in (
        lambda: memory.remember("x"),
        lambda: memory.episodes.remember_many(["x"]),
        lambda: memory.facts.learn("x", "x"),
        lambda: memory.facts.get("x"),
        lambda: memory.facts.history("x"),
        lambda: memory.procedures.learn("x", ["x"]),
        lambda: memory.procedures.get("x"),
        lambda: memory.procedures.history("x"),
        lambda: memory.procedures.record_outcome("x", True),
        lambda: memory.recall("x"),
        lambda: memory.recall(" "),
        lambda: memory.get(one),
        lambda: memory.history(one),
        lambda: memory.lineage(one),
        lambda: memory.forget(one),
        lambda: memory.forget(one, erase=True),
        lambda: memory.consolidate(),
        lambda: memory.undo(report),
        lambda: memory.stats(),
        lambda: memory.flush(),
    ):
        with pytest.raises(DatabaseClosedError):
            await call()


def test_the_blocking_memory_does_the_same(tmp_path: Path) -> None:
    path = tmp_path / "agent.koru"
    with SyncDatabase.for_agent("a", path, embed) as memory:
        assert isinstance(memory, SyncAgentMemory)
        episode = memory.remember("Alice moved to Lisbon", 0.8, ["home"], metadata={"n": 1})
        again = memory.episodes.remember("Alice moved to Lisbon")
        many = memory.episodes.remember_many(["Bob likes tea", "Carol likes coffee"])
        fact = memory.facts.learn("alice.home", "Lisbon", caused_by=episode)
        assert memory.facts.get("alice.home").content == "Lisbon"
        assert len(memory.facts.history("alice.home")) == 1
        memory.procedures.learn("make tea", ["boil water", "wait"], 0.5)
        assert memory.procedures.record_outcome("make tea", True) == 0.75
        assert memory.procedures.get("make tea").success_rate == 0.75
        assert len(memory.procedures.history("make tea")) == 2
        assert memory.get(many[0]).content == "Bob likes tea"
        assert [one.key for one in memory.lineage(fact)] == [episode]
        assert {hit.id for hit in memory.recall("Where is Alice? Lisbon", 2)} <= {
            episode,
            again,
            fact,
        }
        report = memory.consolidate(summarize=lambda texts: texts[0])
        assert [group.merged for group in report.merged] == [(episode,)]
        assert memory.undo(report) == 2
        assert memory.get(episode).content == "Alice moved to Lisbon"
        assert memory.forget(many[1]) is True
        assert len(memory.history(many[1])) == 2
        memory.flush()
        assert memory.stats().total == 5
        assert memory.db.get(memory.namespace, fact)["content"] == "alice.home: Lisbon"
    with SyncDatabase(path) as db:
        assert db.agent_memory("a").stats().accesses == 2
