"""Recalls among so many memories that most are left out unlooked at, which must change nothing."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from memory_oracle import Clock, Expected, Settings, embed, held_by, recall, word_vector

from koru_delta import Config, Database
from koru_delta.memory import RecallWeights

if TYPE_CHECKING:
    from pathlib import Path

    from koru_delta.memory import AgentMemory, MemoryRecall

NOW = 1_800_000_000
WHO = ["Alice", "Bob", "Carol", "Dave", "Erin"]
DOES = ["asked about", "reported", "fixed", "praised", "forgot"]
WHAT = ["the export", "an invoice", "the dark theme", "a backup", "the calendar", "a refund"]
WHEN = ["on Monday", "in March", "after lunch", "again", "by mail", "in a hurry"]
RARE = ["zebra", "volcano", "bassoon", "lighthouse"]
QUESTIONS = [
    "Who asked about the export?",
    "zebra",
    "Did Bob report the backup in March?",
    "the the again",
    "a lighthouse, an invoice and the calendar",
    "nothing of this is there",
]
SETTINGS = [
    Settings(),
    Settings(half_life=3600, weights=(0.2, 2.0, 0.5)),
    Settings(weights=(1.0, 0.0, 0.0), vector_share=0.2),
    Settings(weights=(1.0, 1.0, 1.0), vector_share=1.0, min_cosine=0.5),
]


def sentence(rng: random.Random) -> str:
    """Something that happened; one in fifty has a rare word."""
    parts = [rng.choice(words) for words in (WHO, DOES, WHAT)]
    parts += rng.sample(WHEN, rng.randrange(3))
    if rng.random() < 0.02:
        parts.append(rng.choice(RARE))
    return " ".join(parts)


async def fill(memory: AgentMemory, clock: Clock, count: int) -> None:
    """Remember so much over a month; at the end some facts change, and some is forgotten."""
    rng = random.Random(count)
    for start in range(0, count, 60):
        clock.seconds = NOW - (count - start) * 30 * 24 * 3600 // count
        importance = rng.choice([0.0, 0.3, 0.9, 1.0])
        tags = ["odd"] if start // 60 % 2 else []
        await memory.episodes.remember_many([sentence(rng) for _ in range(60)], importance, tags)
    for number in range(40):
        await memory.facts.learn(f"fact {number % 9}", sentence(rng), importance=rng.random())
    for key in rng.sample(await memory.db.list_keys(memory.namespace), 30):
        await memory.forget(key, erase=rng.random() < 0.3)
    clock.seconds = NOW


def agent(db: Database, settings: Settings, *, vectors: bool) -> AgentMemory:
    """The same memories, ranked in some way."""
    return db.agent_memory(
        "a",
        embed if vectors else None,
        half_life=settings.half_life,
        weights=RecallWeights(*settings.weights),
        vector_share=settings.vector_share,
        min_cosine=settings.min_cosine,
    )


def agrees(hits: list[MemoryRecall], expected: list[Expected]) -> None:
    """That scores are those expected, one by one. Equal memories may stand for each other."""
    assert [hit.score for hit in hits] == pytest.approx([one.score for one in expected], rel=1e-5)
    assert len({hit.id for hit in hits}) == len(hits)


@pytest.mark.parametrize("kind", ["words", "vectors"])
async def test_what_is_left_out_changes_nothing(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    clock = Clock(monkeypatch, NOW)
    vectors = kind == "vectors"
    async with Database(Config(vector_index="exact")) as db:
        memory = agent(db, Settings(), vectors=vectors)
        await fill(memory, clock, 1_800)
        held = await held_by(db, memory.namespace, vectors=vectors)
        for settings in SETTINGS:
            memory = agent(db, settings, vectors=vectors)
            for question in QUESTIONS:
                vector = word_vector(question) if vectors else None
                expected = recall(held, question, NOW * 10**6, settings, vector=vector)
                for limit in (1, 10, 60):
                    agrees(await memory.recall(question, limit), expected[:limit])
                expected = recall(
                    held, question, NOW * 10**6, settings, vector=vector, tags=("odd",)
                )
                agrees(await memory.recall(question, 10, tags=["odd"]), expected[:10])


async def test_one_bit_codes_lose_little(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, NOW)
    async with Database() as db:
        memory = agent(db, Settings(), vectors=True)
        await fill(memory, clock, 1_800)
        held = await held_by(db, memory.namespace, vectors=True)
        found = wanted = 0
        for question in QUESTIONS:
            expected = recall(held, question, NOW * 10**6, vector=word_vector(question))[:10]
            hits = await memory.recall(question, 10)
            least = expected[-1].score * (1 - 1e-5) if expected else 0.0
            found += sum(hit.score >= least for hit in hits)
            wanted += len(expected)
        assert found >= 0.95 * wanted


async def test_what_is_likely_is_as_good_as_proven(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Among so many, recalls go by what one-bit codes and earlier recalls tell."""
    clock = Clock(monkeypatch, NOW)
    path = tmp_path / "many.koru"
    async with Database(path) as db:
        await fill(agent(db, Settings(), vectors=True), clock, 9_000)
        await db.export_to(tmp_path / "copy.koru")
        reference = await Database.create(
            Config(tmp_path / "copy.koru", vector_index="exact", read_only=True)
        )
        found = wanted = 0
        for settings in SETTINGS:
            likely = agent(db, settings, vectors=True)
            proven = agent(reference, settings, vectors=True)
            for question in QUESTIONS:
                for limit, tags in ((1, None), (10, None), (10, ["odd"]), (60, None)):
                    hits = await likely.recall(question, limit, tags=tags)
                    expected = await proven.recall(question, limit, tags=tags)
                    assert len(hits) == len(expected)
                    least = expected[-1].score * (1 - 1e-5) if expected else 0.0
                    found += sum(hit.score >= least for hit in hits)
                    wanted += len(expected)
        await reference.close()
        assert wanted > 1_000
        assert found >= 0.99 * wanted


async def test_a_search_of_the_same_namespace_sees_all_fields(db: Database) -> None:
    memory = db.agent_memory("a")
    await memory.remember("Alice likes tea", tags=["preference"])
    assert await memory.recall("preference episode") == []
    [found] = await db.search(memory.namespace, "preference")
    assert found.value["content"] == "Alice likes tea"
    await memory.remember("Bob likes coffee", tags=["preference"])
    assert len(await db.search(memory.namespace, "preference")) == 2
    assert [hit.content for hit in await memory.recall("likes coffee", 1)] == ["Bob likes coffee"]


async def test_compaction_hands_both_indexes_over(db: Database) -> None:
    memory = db.agent_memory("a")
    rng = random.Random(5)
    await memory.episodes.remember_many([sentence(rng) for _ in range(600)], tags=["log"])
    for number in range(50):
        await memory.facts.learn(f"fact {number % 5}", sentence(rng))
    at = max(version.timestamp for version in await memory.facts.history("fact 4"))
    recalled = await memory.recall("the export in March", at=at)
    searched = await db.search(memory.namespace, "log export March")
    assert recalled
    assert searched
    await db.compact()
    assert await memory.recall("the export in March", at=at) == recalled
    assert await db.search(memory.namespace, "log export March") == searched
