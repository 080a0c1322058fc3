"""Merging near-duplicates, and forgetting by policy."""

from __future__ import annotations

import asyncio
import math
import random
import re
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from memory_oracle import (
    DUPLICATES,
    NOTES,
    Clock,
    cosine,
    embed,
    groups,
    remember,
    word_vector,
    words,
)

from koru_delta import (
    Config,
    Database,
    DatabaseClosedError,
    SyncDatabase,
    ValidationError,
)
from koru_delta.memory import AgentMemory, ConsolidationReport, MemoryType

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOW = 1_800_000_000
DAY = 24 * 3600


@pytest.fixture(params=["words", "vectors"])
def memory(request: pytest.FixtureRequest, db: Database) -> AgentMemory:
    """The memory of an agent of an empty database, without and with an embedder."""
    return db.agent_memory("a", embed if request.param == "vectors" else None)


# Merging.


async def test_near_duplicates_become_one(memory: AgentMemory) -> None:
    ids = await remember(memory)
    report = await memory.consolidate(similarity=0.85)
    assert groups(report, ids) == DUPLICATES
    assert report.forgotten == ()
    assert report.examined == len(NOTES)
    for group in report.merged:
        places = sorted(ids.index(one) for one in (group.id, *group.merged))
        assert group.id == ids[places[-1]]  # The newest stays,
        assert group.merged == tuple(ids[place] for place in reversed(places[:-1]))
        assert (await memory.get(group.id)).content == NOTES[places[-1]]
        for one in group.merged:
            assert await memory.get(one, None) is None
    left = {hit.id for text in NOTES for hit in await memory.recall(text, 100)}
    assert len(left) == len(NOTES) - 4
    assert (await memory.stats()).episodes == len(NOTES) - 4


async def test_a_second_consolidation_finds_nothing(memory: AgentMemory) -> None:
    await remember(memory)
    await memory.consolidate(similarity=0.85)
    head = memory.db.head
    report = await memory.consolidate(similarity=0.85)
    assert (report.merged, report.forgotten) == ((), ())
    assert memory.db.head == head


async def test_what_stays_has_the_best_of_all(memory: AgentMemory) -> None:
    text = NOTES[0]
    first = await memory.remember(text, 0.9, ["pdf", "bug"], metadata={"a": 1, "b": 1})
    second = await memory.remember(text, 0.1, ["bug", "urgent"], metadata={"b": 2, "c": 2})
    third = await memory.remember(text, 0.3, [], metadata={"c": 3})
    versions = [(await memory.history(one))[0].version_id for one in (third, second, first)]
    [group] = (await memory.consolidate()).merged
    found = await memory.get(third)
    assert found.importance == 0.9
    assert found.tags == ["bug", "urgent", "pdf"]
    assert found.metadata == {"a": 1, "b": 2, "c": 3}
    assert found.version_id == group.version_id
    assert found.created_at == (await memory.history(third))[0].timestamp
    assert group.previous == versions[0]
    assert (group.id, *group.merged) == (third, second, first)
    assert list(group.merged_versions) == versions[1:]
    latest = (await memory.history(third))[-1]
    assert sorted(latest.caused_by) == sorted(versions)
    assert {version.key for version in await memory.lineage(third)} == {first, second, third}
    assert [one.deleted for one in await memory.history(first)] == [False, True]


async def test_other_kinds_and_other_agents_are_not_merged(memory: AgentMemory) -> None:
    text = NOTES[0]
    await memory.remember(text)
    await memory.facts.learn("one", text)
    await memory.facts.learn("two", text)
    await memory.procedures.learn(text, [text])
    other = memory.db.agent_memory("a/b", embed)
    await other.remember(text)
    report = await memory.consolidate()
    assert (report.merged, report.forgotten) == ((), ())


async def test_each_is_near_to_what_stays(db: Database) -> None:
    # Each is near to the next, but the ends are not near to each other.
    near = {f"step {index}": (math.cos(index / 4), math.sin(index / 4)) for index in range(5)}
    memory = db.agent_memory("a", lambda texts: [near[text] for text in texts])
    ids = await remember(memory, list(near))
    report = await memory.consolidate(similarity=math.cos(0.3))
    assert groups(report, ids) == {(3, 4), (1, 2)}


@pytest.mark.parametrize("similarity", [0.5, 0.6, 0.75, 0.8, 0.95, 1.0])
@pytest.mark.parametrize("kind", ["words", "vectors"])
async def test_groups_are_those_of_a_naive_search(similarity: float, kind: str) -> None:
    rng = random.Random(5)
    vocabulary = [f"word{index}" for index in range(12)]
    texts = [" ".join(rng.choices(vocabulary, k=rng.randrange(1, 9))) for _ in range(150)]

    def similar(one: str, other: str) -> float:
        if kind == "vectors":
            return cosine(word_vector(one), word_vector(other))
        return len({*words(one)} & {*words(other)}) / len({*words(one)} | {*words(other)})

    async with Database() as db:
        memory = db.agent_memory("a", embed if kind == "vectors" else None)
        ids = await remember(memory, texts)
        report = await memory.consolidate(similarity=similarity)
    taken: set[int] = set()
    centers: list[int] = []
    for place in reversed(range(len(texts))):
        near = [one for one in centers if similar(texts[one], texts[place]) >= similarity - 1e-6]
        if near:
            taken.add(place)
        else:
            centers.append(place)
    assert {ids.index(one) for group in report.merged for one in group.merged} == taken
    for group in report.merged:
        center = texts[ids.index(group.id)]
        for one in group.merged:
            assert similar(center, texts[ids.index(one)]) >= similarity - 1e-5


async def test_hundreds_of_the_same_become_one(memory: AgentMemory) -> None:
    ids = await memory.episodes.remember_many(["the same again"] * 300)
    report = await memory.consolidate()
    [group] = report.merged
    assert {group.id, *group.merged} == {*ids}
    assert (await memory.stats()).episodes == 1


async def test_more_than_a_version_has_causes_become_a_few(db: Database) -> None:
    memory = db.agent_memory("a")
    await memory.episodes.remember_many(["the same again"] * 2500)
    report = await memory.consolidate()
    assert [len(group.merged) + 1 for group in report.merged] == [1000, 1000, 500]
    report = await memory.consolidate()
    assert [len(group.merged) + 1 for group in report.merged] == [3]


async def test_nothing_is_merged_without_similarity(memory: AgentMemory) -> None:
    await remember(memory)
    report = await memory.consolidate(similarity=None)
    assert (report.merged, report.forgotten) == ((), ())


async def test_texts_without_words_are_the_same_only_if_equal(db: Database) -> None:
    memory = db.agent_memory("a")
    ids = await remember(memory, ["?!", "...", "🙂", "🙂 ", "東京都", "東京都", "東京"])
    assert groups(await memory.consolidate(similarity=0.01), ids) == {(2, 3), (4, 5)}


async def test_a_merged_memory_keeps_its_vector(db: Database) -> None:
    memory = db.agent_memory("a", embed)
    ids = await remember(memory, [NOTES[0], NOTES[2]])
    expected = bytes((await memory._store.vector(ids[1])) or b"")
    await memory.consolidate(similarity=0.8)
    assert bytes((await memory._store.vector(ids[1])) or b"") == expected
    # Without the embedder it is kept too.
    ids.append(await memory.remember(NOTES[2]))
    await db.agent_memory("a").consolidate()
    assert bytes((await memory._store.vector(ids[2])) or b"") == expected


async def test_memories_with_and_without_vectors(db: Database) -> None:
    with_words, with_vectors = db.agent_memory("a"), db.agent_memory("a", embed)
    ids = await remember(with_words, NOTES[:3]) + await remember(with_vectors, NOTES[:3])
    report = await with_vectors.consolidate(similarity=0.85)
    assert groups(report, ids) == {(0, 2), (3, 5)}


@pytest.mark.parametrize("metric", ["dot", "l2"])
async def test_under_other_metrics_words_decide(metric: Any) -> None:
    async with Database(Config(vector_metric=metric)) as db:
        memory = db.agent_memory("a", lambda texts: [[1.0, 0.0] for _ in texts])
        ids = await remember(memory)
        assert groups(await memory.consolidate(similarity=0.85), ids) == DUPLICATES


# Summaries.


@pytest.mark.parametrize("way", ["plain", "async", "returns an awaitable"])
async def test_a_summary_becomes_the_content(memory: AgentMemory, way: str) -> None:
    asked: list[list[str]] = []

    def plain(texts: list[str]) -> str:
        asked.append(texts)
        return f"{len(texts)} times: {texts[-1]}"

    async def later(texts: list[str]) -> str:
        await asyncio.sleep(0)
        return plain(texts)

    ways: dict[str, Any] = {
        "plain": plain,
        "async": later,
        "returns an awaitable": lambda texts: later(texts),
    }
    ids = await remember(memory)
    report = await memory.consolidate(similarity=0.85, summarize=ways[way])
    assert sorted(asked) == sorted([NOTES[one] for one in group] for group in DUPLICATES)
    for group in report.merged:
        content = (await memory.get(group.id)).content
        newest = NOTES[ids.index(group.id)]
        assert content == f"{len(group.merged) + 1} times: {newest}"
        vector = await memory._store.vector(group.id)
        if memory._store.embedder is None:
            assert vector is None
        else:
            assert list(vector or ()) == pytest.approx(word_vector(content), abs=1e-6)
    assert [hit.id for hit in await memory.recall("3 times", 1)] == [ids[9]]


async def test_a_summary_without_an_embedder_drops_the_old_vector(db: Database) -> None:
    memory = db.agent_memory("a", embed)
    ids = await remember(memory, [NOTES[0]] * 2)
    await db.agent_memory("a").consolidate(summarize=lambda _texts: "something else")
    assert await memory._store.vector(ids[1]) is None


class ModelError(Exception):
    pass


def _raise(_texts: list[str]) -> str:
    raise ModelError("no model")


async def _raise_later(texts: list[str]) -> str:
    return _raise(texts)


def _stop(_texts: list[str]) -> str:
    raise StopIteration


@pytest.mark.parametrize(
    ("summarize", "error"),
    [
        (_raise, ModelError),
        (_raise_later, ModelError),
        (_stop, RuntimeError),
        (lambda _texts: "", ValidationError),
        (lambda _texts: " ", ValidationError),
        (lambda _texts: None, ValidationError),
        (lambda texts: texts, ValidationError),
    ],
)
async def test_a_summary_that_fails_changes_nothing(
    memory: AgentMemory, summarize: Callable[[list[str]], Any], error: type[Exception]
) -> None:
    await remember(memory)
    await memory.remember("unimportant", 0.1)
    calls = 0

    def last_fails(texts: list[str]) -> Any:
        nonlocal calls
        calls += 1
        return "fine" if calls < len(DUPLICATES) else summarize(texts)

    head = memory.db.head
    with pytest.raises(error):
        await memory.consolidate(similarity=0.85, summarize=last_fails, min_importance=0.2)
    assert calls == len(DUPLICATES)
    assert memory.db.head == head


async def test_an_embedder_that_fails_changes_nothing(db: Database) -> None:
    broken = False

    def embedder(texts: list[str]) -> list[tuple[float, ...]]:
        if broken:
            raise ModelError("no model")
        return embed(texts)

    memory = db.agent_memory("a", embedder)
    await remember(memory)
    broken = True
    head = db.head
    with pytest.raises(ModelError):
        await memory.consolidate(similarity=0.85, summarize=lambda texts: texts[0])
    assert db.head == head
    assert len((await memory.consolidate(similarity=0.85)).merged) == len(DUPLICATES)


async def test_what_changed_meanwhile_is_left_alone(memory: AgentMemory) -> None:
    ids = await remember(memory, [*NOTES[:5], NOTES[9], NOTES[9]])

    async def meddle(texts: list[str]) -> str:
        await memory.forget(ids[0])
        return texts[-1]

    report = await memory.consolidate(similarity=0.85, summarize=meddle)
    assert groups(report, ids) == {(1, 4), (5, 6)}
    assert (await memory.get(ids[2])).content == NOTES[2]
    assert await memory.get(ids[0], None) is None


# Forgetting.


async def remember_ages(memory: AgentMemory, clock: Clock) -> dict[tuple[int, float], str]:
    """One memory of each age in days and importance."""
    found = {}
    for days in (40, 20, 1):
        clock.seconds = NOW - days * DAY
        for importance in (0.1, 0.5, 0.9):
            text = f"event{days} of{importance}"
            found[days, importance] = await memory.remember(text, importance)
    clock.seconds = NOW - 40 * DAY
    clock.seconds = NOW
    return found


@pytest.mark.parametrize(
    ("fields", "gone"),
    [
        ({}, []),
        ({"max_age": timedelta(days=30)}, [(40, 0.1), (40, 0.5), (40, 0.9)]),
        ({"min_importance": 0.5}, [(40, 0.1), (20, 0.1), (1, 0.1)]),
        ({"max_age": 10 * DAY, "min_importance": 0.6}, [
            (40, 0.1), (40, 0.5), (20, 0.1), (20, 0.5)
        ]),
        ({"max_age": 41 * DAY}, []),
        ({"min_importance": 0.0}, []),
    ],
    ids=str,
)  # fmt: skip
async def test_the_old_and_unimportant_is_forgotten(
    monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any], gone: list[tuple[int, float]]
) -> None:
    clock = Clock(monkeypatch, NOW)
    async with Database() as db:
        memory = db.agent_memory("a")
        ids = await remember_ages(memory, clock)
        report = await memory.consolidate(**fields)
        assert set(report.forgotten) == {ids[one] for one in gone}
        assert report.merged == ()
        assert len(report.forgotten_versions) == len(gone)
        for age, memory_id in ids.items():
            assert (await memory.get(memory_id, None) is None) == (age in gone)


async def test_other_kinds_are_forgotten_only_if_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, NOW - 40 * DAY)
    async with Database() as db:
        memory = db.agent_memory("a")
        fact = await memory.facts.learn("key", "a fact", importance=0.1)
        procedure = await memory.procedures.learn("name", ["a step"], importance=0.1)
        episode = await memory.remember("an episode", 0.1)
        clock.seconds = NOW
        await memory.facts.learn("new", "a new fact", importance=0.1)
        policy: dict[str, Any] = {"max_age": timedelta(days=30), "min_importance": 0.5}
        assert (await memory.consolidate(**policy)).forgotten == (episode,)
        report = await memory.consolidate(**policy, types=["fact"])
        assert report.forgotten == (fact,)
        report = await memory.consolidate(**policy, types=[MemoryType.PROCEDURE, "episode"])
        assert report.forgotten == (procedure,)
        assert (await memory.stats()).facts == 1


async def test_a_group_counts_as_what_it_would_become(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, NOW - 40 * DAY)
    async with Database() as db:
        memory = db.agent_memory("a")
        mentioned_again = await memory.remember(NOTES[1], 0.1)
        important_once = await memory.remember(NOTES[5], 0.9)
        forgotten = [await memory.remember(NOTES[3], 0.1) for _ in range(2)]
        await memory.remember(NOTES[5], 0.1)
        clock.seconds = NOW
        again = await memory.remember(NOTES[1], 0.1)
        report = await memory.consolidate(max_age=30 * DAY, min_importance=0.5)
        assert {*report.forgotten} == {*forgotten}
        assert len(report.merged) == 2
        assert (await memory.get(again)).importance == 0.1
        for one in (mentioned_again, important_once):
            assert await memory.get(one, None) is None


# Bad input, and the rest.


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("max_age", [-1, math.nan, math.inf, True, "30 days", timedelta(seconds=-1)]),
        ("min_importance", [-0.1, 1.1, math.nan, True, "0.5"]),
        ("similarity", [0, -0.1, 1.1, math.nan, True, "0.5"]),
        ("summarize", [7, "summary", ["x"]]),
        ("types", ["episode", [7], ["episodes"], 7, None]),
    ],
)
async def test_arguments_are_checked(db: Database, field: str, values: list[Any]) -> None:
    memory = db.agent_memory("a")
    await remember(memory)
    head = db.head
    for value in values:
        with pytest.raises(ValidationError, match=r"\w"):
            await memory.consolidate(**{field: value})
    assert db.head == head


async def test_an_agent_without_memories(memory: AgentMemory) -> None:
    report = await memory.consolidate(max_age=1, min_importance=1.0, summarize=_raise)
    assert report == ConsolidationReport("a", 0, (), (), ())
    assert await memory.undo(report) == 0


async def test_a_blocking_database_takes_both_kinds_of_summaries(tmp_path: Path) -> None:
    async def later(texts: list[str]) -> str:
        await asyncio.sleep(0)
        return f"{len(texts)} times"

    def consolidate() -> None:
        with SyncDatabase.for_agent("a", tmp_path / "data.koru") as memory:
            for text in NOTES:
                memory.remember(text)
            report = memory.consolidate(similarity=0.85, summarize=later)
            assert len(report.merged) == 3
            assert memory.undo(report) == 7
            report = memory.consolidate(similarity=0.85, summarize=lambda texts: texts[0])
            assert len(report.merged) == 3

    await asyncio.to_thread(consolidate)
    with SyncDatabase.for_agent("b") as memory:
        for text in NOTES:
            memory.remember(text)
        with pytest.raises(ValidationError, match="async"):
            memory.consolidate(similarity=0.85, summarize=later)
        assert memory.stats().total == len(NOTES)


async def test_the_loop_goes_on_meanwhile() -> None:
    rng = random.Random(1)
    vocabulary = sorted({word for note in NOTES for word in re.findall(r"\w+", note)})
    texts = [" ".join(rng.choices(vocabulary, k=12)) for _ in range(4000)]
    async with Database() as db:
        memory = db.agent_memory("a")
        await memory.episodes.remember_many(texts + texts[:1000])
        longest, ended = 0.0, False

        async def watch() -> None:
            nonlocal longest
            while not ended:
                start = time.thread_time()  # Of this thread: others may want the processor too.
                await asyncio.sleep(0)
                longest = max(longest, time.thread_time() - start)

        watching = asyncio.create_task(watch())
        await asyncio.sleep(0)
        report = await memory.consolidate()
        ended = True
        await watching
    assert sum(len(group.merged) for group in report.merged) >= 1000
    assert longest < 0.25


async def test_a_closed_database_says_so() -> None:
    db = Database()
    with pytest.raises(DatabaseClosedError):
        await db.agent_memory("a").consolidate()
