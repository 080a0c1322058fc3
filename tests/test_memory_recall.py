"""Recall: what fits, in which order, then and now; every ranking held against a naive one."""

from __future__ import annotations

import ast
import copy
import dataclasses
import pickle
import random
import warnings
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest
from memory_oracle import (
    Clock,
    Expected,
    Held,
    Settings,
    embed,
    held_by,
    recall,
    word_vector,
    words,
)

from koru_delta import Database, LimitExceededError, ValidationError
from koru_delta.memory import AgentMemory, MemoryRecall, MemoryType, RecallWeights

if TYPE_CHECKING:
    from collections.abc import Iterator

DAY = 24 * 3600
NOW = 1_800_000_000


@pytest.fixture
def memory(db: Database) -> AgentMemory:
    """The memory of an agent of an empty database."""
    return db.agent_memory("assistant-42")


def _summaries(node: Any) -> Iterator[str]:
    doc = ast.get_docstring(node)
    if doc and doc.isascii() and words(doc):
        yield " ".join(doc.partition("\n\n")[0].split())
    for part in ast.iter_child_nodes(node):
        if isinstance(part, ast.ClassDef | ast.FunctionDef):
            yield from _summaries(part)


@cache
def sentences() -> list[str]:
    """Real sentences: what the standard library's docstrings begin with."""
    found: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Old sources have old escapes in their strings.
        for name in ("shutil", "pathlib", "tarfile", "calendar", "imaplib", "argparse", "csv"):
            # By its loader: the library may be in an archive.
            loader: Any = find_spec(name).loader
            found += _summaries(ast.parse(loader.get_source(name)))
    return list(dict.fromkeys(found))[:300]


QUESTIONS = [
    "How do I copy a file?",
    "remove a directory and all that is in it",
    "the path of the current directory",
    "extract the members of an archive",
    "Return the",
    "return True if the path is absolute",
    "day of the week",
    "the the the name",
    "mailbox flags",
    "zebra",
    "zebra file",
    "a",
]


def agrees(hits: list[MemoryRecall], expected: list[Expected]) -> None:
    """That hits are those expected in their order, but for ties within float32."""
    wanted = {one.id: one for one in expected}
    assert len(hits) == len(expected)
    for hit, one in zip(hits, expected, strict=True):
        assert hit.score == pytest.approx(one.score, rel=1e-5, abs=1e-6)
        own = wanted[hit.id]
        assert hit.score == pytest.approx(own.score, rel=1e-5, abs=1e-6)
        assert hit.relevance == pytest.approx(own.relevance, rel=1e-5, abs=1e-6)
        assert hit.recency == pytest.approx(own.recency, rel=1e-5)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


# Beside the oracle.


@pytest.mark.parametrize("kind", ["words", "vectors"])
@pytest.mark.parametrize(
    "settings",
    [
        Settings(),
        Settings(half_life=3600, weights=(1.0, 2.0, 0.0)),
        Settings(weights=(0.5, 0.0, 3.0), vector_share=0.2, min_cosine=0.8),
        Settings(weights=(2.0, 0.0, 0.0), vector_share=1.0, min_cosine=0.0),
        Settings(half_life=1e-3, weights=(0.0, 1.0, 1.0), vector_share=0.0),
    ],
    ids=["default", "recency", "importance", "relevance", "no-relevance"],
)
async def test_recalls_are_ranked_as_documented(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, kind: str
) -> None:
    rng = random.Random(7)
    clock = Clock(monkeypatch, NOW)
    async with Database() as db:
        memory = db.agent_memory(
            "a",
            embed if kind == "vectors" else None,
            half_life=settings.half_life,
            weights=RecallWeights(*settings.weights),
            vector_share=settings.vector_share,
            min_cosine=settings.min_cosine,
        )
        for index, text in enumerate(sentences()[:150]):
            clock.seconds = NOW - (150 - index) * rng.randrange(DAY // 4)
            importance = rng.choice([0.0, 0.25, 0.5, 1.0, rng.random()])
            if index % 7 == 0:
                await memory.facts.learn(f"key{index}", text, importance=importance)
            elif index % 11 == 0:
                await memory.procedures.learn(text, ["begin", "end"], importance=importance)
            else:
                await memory.remember(text, importance, ["even"] if index % 2 else ["odd"])
        clock.seconds = NOW
        held = await held_by(db, memory.namespace, vectors=kind == "vectors")
        for question in QUESTIONS:
            vector = word_vector(question) if kind == "vectors" else None
            expected = recall(held, question, NOW * 10**6, settings, vector=vector)
            agrees(await memory.recall(question, 200), expected)
            agrees(await memory.recall(question, 3), expected[:3])
            facts = recall(held, question, NOW * 10**6, settings, vector=vector, memory_type="fact")
            agrees(await memory.recall(question, 50, memory_type="fact"), facts)
            least = 0.3
            expected = [one for one in expected if one.relevance >= least]
            agrees(await memory.recall(question, 200, least), expected)


@pytest.mark.parametrize("kind", ["words", "vectors"])
async def test_a_life_of_learning_and_forgetting(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Random writes and questions, of now and of the past, beside the oracle."""
    rng = random.Random(11)
    texts = sentences()
    clock = Clock(monkeypatch, NOW)
    moments: list[datetime] = []
    async with Database() as db:
        memory = db.agent_memory("a", embed if kind == "vectors" else None, half_life=2 * DAY)
        other = db.agent_memory("a/b", embed if kind == "vectors" else None)
        settings = Settings(half_life=2 * DAY)
        for step in range(400):
            clock.seconds += rng.randrange(6 * 3600)
            choice = rng.random()
            keys = await db.list_keys(memory.namespace)
            if choice < 0.35:
                await memory.remember(rng.choice(texts), rng.random(), [rng.choice("xyz")])
            elif choice < 0.5:
                await memory.facts.learn(f"fact {rng.randrange(9)}", rng.choice(texts), ["x"])
            elif choice < 0.55:
                await memory.procedures.learn(f"way {rng.randrange(5)}", [rng.choice(texts)])
            elif choice < 0.65 and keys:
                await memory.forget(rng.choice(keys), erase=rng.random() < 0.3)
            elif choice < 0.7:
                await other.remember(rng.choice(texts))
            elif choice < 0.75:
                moments.append(datetime.fromtimestamp(clock.seconds, UTC))
            else:
                at = rng.choice(moments) if moments and rng.random() < 0.4 else None
                question = rng.choice(QUESTIONS) if step % 2 else rng.choice(texts)[:60]
                tags = ("x",) if rng.random() < 0.3 else ()
                held = await held_by(db, memory.namespace, at=at, vectors=kind == "vectors")
                time_us = clock.seconds * 10**6 if at is None else round(at.timestamp()) * 10**6
                expected = recall(
                    held, question, time_us, settings, tags=tags,
                    vector=word_vector(question) if kind == "vectors" else None,
                )  # fmt: skip
                hits = await memory.recall(question, 100, tags=list(tags) or None, at=at)
                agrees(hits, expected[:100])


async def test_what_most_memories_have_in_common_leaves_the_order_to_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with Database() as db:
        memory = db.agent_memory("a")
        rng = random.Random(3)
        clock = Clock(monkeypatch, NOW)
        for index in range(1500):
            clock.seconds = NOW - (1500 - index) * 3600
            await memory.remember(f"The user said hello, again {index}", rng.random())
        clock.seconds = NOW
        expected = recall(await held_by(db, memory.namespace), "hello user", NOW * 10**6)
        for limit in (1, 10, 100):
            agrees(await memory.recall("hello user", limit), expected[:limit])


async def test_a_recall_is_a_frozen_slotted_dataclass(memory: AgentMemory) -> None:
    await memory.procedures.learn("make tea", ["boil water"], 0.5, ["t"], metadata={"a": [1]})
    at = datetime.now(UTC)

    async def recalled() -> MemoryRecall:
        return (await memory.recall("tea", at=at))[0]

    hit = await recalled()
    names = [one.name for one in dataclasses.fields(hit) if not one.name.startswith("_")]
    assert not hasattr(hit, "__dict__")
    for name in (*names, "anything"):
        with pytest.raises((AttributeError, TypeError)):
            setattr(hit, name, None)
    with pytest.raises(AttributeError):
        (await recalled()).anything  # type: ignore[attr-defined]  # noqa: B018
    assert pickle.loads(pickle.dumps(await recalled())) == hit
    assert copy.deepcopy(await recalled()) == copy.copy(hit) == await recalled() == hit
    assert hit != dataclasses.replace(hit, content="other")
    assert repr(await recalled()) == repr(hit)
    assert "_hit" not in repr(hit)
    as_dict = dataclasses.asdict(await recalled())
    assert {name: as_dict[name] for name in names} == {name: getattr(hit, name) for name in names}
    assert (hit.name, hit.steps, hit.success_rate) == ("make tea", ["boil water"], 0.5)
    assert hit.memory_type == "procedure"
    assert str(hit.memory_type) == "procedure"
    for name in names:  # In whichever order they are looked at.
        assert getattr(await recalled(), name) == getattr(hit, name)


# What fits, and what does not.


async def test_what_does_not_match_is_never_recalled(memory: AgentMemory) -> None:
    await memory.remember("The weather in Lisbon is fine", 1.0)
    old = await memory.remember("Alice likes tea", 0.0)
    hits = await memory.recall("tea")
    assert [hit.id for hit in hits] == [old]


async def test_a_match_beats_importance_and_recency_without_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch, NOW)
    async with Database() as db:
        memory = db.agent_memory("a", weights=RecallWeights(0.01, 1.0, 1.0), half_life=60)
        clock.seconds = NOW - 300 * DAY
        match = await memory.remember("Alice likes green tea", 0.0)
        clock.seconds = NOW
        for number in range(20):
            await memory.remember(f"Something else entirely, number {number}", 1.0)
        hits = await memory.recall("green tea")
        assert [hit.id for hit in hits] == [match]


async def test_the_parts_of_a_score(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, NOW)
    async with Database() as db:
        memory = db.agent_memory("a", weights=RecallWeights(1.0, 0.5, 0.25), half_life=DAY)
        clock.seconds = NOW - DAY
        await memory.remember("green tea", 0.8)
        clock.seconds = NOW
        [hit] = await memory.recall("tea")
        assert hit.recency == pytest.approx(0.5)
        mean = (1.0 + 0.5 * 0.5 + 0.25 * 0.8) / 1.75
        assert hit.score == pytest.approx(hit.relevance * mean)
        assert 0 < hit.relevance <= 1


async def test_of_equals_the_newer_and_the_more_important_come_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch, NOW)
    async with Database() as db:
        memory = db.agent_memory("a")
        clock.seconds = NOW - 14 * DAY
        old = await memory.remember("Alice likes tea", 0.5)
        clock.seconds = NOW
        new = await memory.remember("Alice likes tea", 0.5)
        important = await memory.remember("Alice likes tea", 1.0)
        assert [hit.id for hit in await memory.recall("tea")] == [important, new, old]
        timeless = db.agent_memory("a", weights=RecallWeights(1, 0, 1))
        assert {hit.id for hit in (await timeless.recall("tea"))[1:]} == {new, old}
        assert (await timeless.recall("tea"))[0].id == important


async def test_without_recency_and_importance_the_score_is_the_relevance(db: Database) -> None:
    memory = db.agent_memory("a", weights=RecallWeights(1.0, 0.0, 0.0))
    for text in sentences()[:50]:
        await memory.remember(text)
    for hit in await memory.recall("the file"):
        assert hit.score == pytest.approx(hit.relevance)


async def test_meaning_is_found_without_a_common_word(db: Database) -> None:
    near = {"car": (1.0, 0.1, 0.0), "automobile": (1.0, 0.0, 0.1), "banana": (0.0, 0.0, 1.0)}
    memory = db.agent_memory("a", lambda texts: [near[text] for text in texts])
    for text in ("car", "banana"):
        await memory.remember(text)
    hits = await memory.recall("automobile")
    assert [hit.content for hit in hits] == ["car"]
    assert hits[0].relevance == pytest.approx(0.6 * 1.0 / (1.01**0.5 * 1.01**0.5), rel=1e-4)
    strict = db.agent_memory("a", lambda texts: [near[text] for text in texts], min_cosine=1.0)
    assert await strict.recall("automobile") == []


@pytest.mark.parametrize("query", ["", " ", "\n\t", "\u2003"])
async def test_a_query_without_anything_finds_nothing(db: Database, query: str) -> None:
    def refuse(_texts: list[str]) -> list[list[float]]:
        raise AssertionError("there is nothing to embed")

    await db.agent_memory("a").remember("Alice likes tea")
    assert await db.agent_memory("a").recall(query) == []
    assert await db.agent_memory("a", refuse).recall(query) == []


@pytest.mark.parametrize("query", ["?!", "...", '+ - * "', "-", '""', "🙂", "---"])
async def test_a_query_without_words_finds_nothing(db: Database, query: str) -> None:
    await db.agent_memory("a").remember("Alice likes tea 🙂")
    assert await db.agent_memory("a").recall(query) == []


@pytest.mark.parametrize(
    "query",
    ["-tea", "+milk tea", '"tea green"', "te* tea", "+tea", "--tea--", '"tea', "tea*", "not(tea)"],
)
async def test_punctuation_is_no_syntax(memory: AgentMemory, query: str) -> None:
    tea = await memory.remember("green tea")
    await memory.remember("a teapot")
    assert [hit.id for hit in await memory.recall(query)] == [tea]


async def test_a_long_question_is_fine(db: Database) -> None:
    memory = db.agent_memory("a", embed)
    tea = await memory.remember("green tea")
    for filler in ("nothing but words ", "ü" * 7 + " ", "東京都"):
        assert [hit.id for hit in await memory.recall("tea " + filler * 3000)][:1] == [tea]
    with pytest.raises(LimitExceededError):
        await db.search(memory.namespace, "word " * 1000)


async def test_case_accents_and_scripts(memory: AgentMemory) -> None:
    for text in ("Café in Zürich", "東京都の天気", "Привет, мир"):
        await memory.remember(text)
    for query, content in (
        ("CAFE", "Café in Zürich"),
        ("zurich", "Café in Zürich"),
        ("東京の天気は?", "東京都の天気"),
        ("мир", "Привет, мир"),
    ):
        assert [hit.content for hit in await memory.recall(query)] == [content]


async def test_limits(memory: AgentMemory) -> None:
    await memory.episodes.remember_many([f"tea number {index}" for index in range(30)])
    assert len(await memory.recall("tea")) == 10
    assert len(await memory.recall("tea", 25)) == 25
    assert len(await memory.recall("tea", 10_000)) == 30
    assert len(await memory.recall("tea", 1)) == 1


# Filters.


async def test_filters(memory: AgentMemory) -> None:
    one = await memory.remember(
        "tea one", tags=["x", "y"], metadata={"user": "bob", "n": 1, "deep": {"a": [1, 2]}}
    )
    two = await memory.remember("tea two", tags=["y"], metadata={"user": "eve", "n": 2})
    fact = await memory.facts.learn("tea", "tea three", ["x"], metadata={"n": 3})
    procedure = await memory.procedures.learn("make tea", ["boil"])

    async def found(**fields: Any) -> set[str]:
        return {hit.id for hit in await memory.recall("tea", **fields)}

    assert await found() == {one, two, fact, procedure}
    assert await found(memory_type="episode") == {one, two}
    assert await found(memory_type=MemoryType.FACT) == {fact}
    assert await found(memory_type="procedure") == {procedure}
    assert await found(tags=["x"]) == {one, fact}
    assert await found(tags=["x", "y"]) == {one}
    assert await found(tags=("y",), memory_type="episode") == {one, two}
    assert await found(tags=["z"]) == set()
    assert await found(tags=[]) == {one, two, fact, procedure}
    assert await found(metadata={"user": "bob"}) == {one}
    assert await found(metadata={"n": {"$gte": 2}}) == {two, fact}
    assert await found(metadata={"deep.a": 2}) == {one}
    assert await found(metadata={"$or": [{"user": "eve"}, {"n": 3}]}) == {two, fact}
    assert await found(metadata={"$not": {"user": "bob"}}) == {two, fact, procedure}
    assert await found(metadata={"$and": [{"user": "bob"}, {"n": 1}]}, tags=["x"]) == {one}
    assert await found(metadata={"user": {"$exists": False}}) == {fact, procedure}
    assert await found(metadata={}) == {one, two, fact, procedure}


async def test_filters_of_time(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, NOW)
    memory = db.agent_memory("a")
    ids: list[str] = []
    for index in range(5):
        clock.seconds = NOW + index * 60
        ids.append(await memory.remember(f"tea number {index}"))
    hits = {hit.id: hit for hit in await memory.recall("tea")}

    async def found(**fields: Any) -> set[str]:
        return {hit.id for hit in await memory.recall("tea", **fields)}

    assert await found(since=hits[ids[2]].created_at) == {*ids[2:]}
    assert await found(until=hits[ids[2]].updated_at) == {*ids[:3]}
    assert await found(since=NOW + 61, until=NOW + 181) == {*ids[2:4]}
    assert await found(since=datetime.fromtimestamp(NOW + 240, UTC)) == {ids[4]}
    assert await found(since=NOW + 241) == set()
    assert await found(until=NOW - 1) == set()
    [version] = await memory.history(ids[3])
    assert await found(since=version, until=version) == {ids[3]}
    assert len(await memory.recall("tea", 2, since=NOW)) == 2
    assert [hit.id for hit in await memory.recall("tea", 1, until=NOW + 60)] == [ids[1]]


# The past.


async def test_what_the_agent_knew_then(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, NOW)
    memory = db.agent_memory("a", half_life=DAY)
    clock.seconds = NOW
    fact = await memory.facts.learn("home", "Alice lives in Berlin", ["old"], importance=0.2)
    gone = await memory.remember("Alice lives near the park")
    clock.seconds = NOW + DAY
    await memory.forget(gone)
    await memory.facts.learn("home", "Alice lives in Lisbon", ["new"], importance=0.9)
    clock.seconds = NOW + 10 * DAY
    [now] = await memory.recall("Where does Alice live? Alice lives")
    assert (now.content, now.importance, now.tags) == ("Alice lives in Lisbon", 0.9, ["new"])
    assert now.created_at == datetime.fromtimestamp(NOW, UTC)
    assert now.updated_at >= datetime.fromtimestamp(NOW + DAY, UTC)
    assert now.recency == pytest.approx(0.5**9)
    for at in (NOW + DAY // 2, datetime.fromtimestamp(NOW + DAY // 2, UTC)):
        then = await memory.recall("Alice lives", at=at)
        assert {hit.id for hit in then} == {fact, gone}
        [home] = [hit for hit in then if hit.id == fact]
        assert (home.content, home.importance) == ("Alice lives in Berlin", 0.2)
        assert (home.tags, home.updated_at) == (["old"], home.created_at)
        assert home.recency == pytest.approx(0.5**0.5)
    assert await memory.recall("Alice lives", at=NOW - 1) == []
    assert [hit.content for hit in await memory.recall("Berlin", tags=["old"], at=NOW + 1)] == [
        "Alice lives in Berlin"
    ]
    assert await memory.recall("Berlin") == []


async def test_the_past_is_searched_by_its_vectors(db: Database) -> None:
    memory = db.agent_memory("a", embed)
    await memory.facts.learn("drink", "green tea")
    [before] = await memory.facts.history("drink")
    await memory.facts.learn("drink", "black coffee")
    assert [hit.content for hit in await memory.recall("tea", at=before)] == ["green tea"]
    assert await memory.recall("tea") == []


async def test_another_agent_of_the_past_is_apart(db: Database) -> None:
    one, two = db.agent_memory("a"), db.agent_memory("a/b")
    await one.remember("tea of one")
    await two.remember("tea of two")
    at = datetime.now(UTC) + timedelta(seconds=1)
    assert [hit.content for hit in await one.recall("tea", at=at)] == ["tea of one"]
    assert [hit.content for hit in await two.recall("tea", at=at)] == ["tea of two"]


# Embedders that come, go and change.


async def test_an_embedder_can_come_later(db: Database) -> None:
    before = await db.agent_memory("a").remember("green tea")
    memory = db.agent_memory("a", embed)
    after = await memory.remember("green apples")
    assert {hit.id for hit in await memory.recall("green")} == {before, after}
    assert [hit.id for hit in await memory.recall("tea")] == [before]
    assert {hit.id for hit in await db.agent_memory("a").recall("green")} == {before, after}


async def test_an_embedder_with_nothing_remembered(db: Database) -> None:
    memory = db.agent_memory("a", embed)
    assert await memory.recall("tea") == []
    await db.agent_memory("a").remember("green tea")
    assert [hit.content for hit in await memory.recall("tea")] == ["green tea"]


async def test_vectors_of_another_model_are_never_compared(db: Database) -> None:
    class Model:
        def __init__(self, name: str, sign: float) -> None:
            self.model_name = name
            self.sign = sign

        def __call__(self, texts: list[str]) -> list[list[float]]:
            return [[self.sign * number for number in word_vector(text)] for text in texts]

    one = db.agent_memory("a", Model("one", 1.0))
    two = db.agent_memory("a", Model("two", -1.0))
    first = await one.remember("green tea")
    assert [hit.id for hit in await two.recall("tea")] == [first]
    second = await two.remember("green tea")
    held = await held_by(db, one.namespace)
    for memory, own, foreign in ((one, first, second), (two, second, first)):
        hits = {hit.id: hit for hit in await memory.recall("green tea")}
        assert set(hits) == {own, foreign}
        by_text = {hit.id: hit.relevance for hit in await db.agent_memory("a").recall("green tea")}
        assert hits[foreign].relevance == pytest.approx(0.4 * by_text[foreign], rel=1e-5)
        assert hits[own].relevance == pytest.approx(0.4 * by_text[own] + 0.6, rel=1e-5)
    assert len(held) == 2


async def test_a_model_of_another_dimension_says_so(db: Database) -> None:
    await db.agent_memory("a", embed).remember("green tea")
    with pytest.raises(ValidationError, match="256"):
        await db.agent_memory("a", lambda texts: [[1.0, 2.0] for _ in texts]).recall("tea")


async def test_async_embedders_and_those_with_two_calls(db: Database) -> None:
    class TwoCalls:
        def embed_documents(self, texts: list[str]) -> list[tuple[float, ...]]:
            return embed(texts)

        def embed_query(self, text: str) -> tuple[float, ...]:
            return word_vector(text)

    async def later(texts: list[str]) -> list[tuple[float, ...]]:
        return embed(texts)

    for agent, embedder in (("one", TwoCalls()), ("two", later)):
        memory = db.agent_memory(agent, embedder)
        await memory.remember("green tea")
        [hit] = await memory.recall("tea")
        assert hit.relevance > 0.3


# The oracle.


def test_the_oracle_by_hand() -> None:
    """Two memories of two words, one question: worked out by hand."""
    value = {"type": "episode", "importance": 1.0, "tags": []}
    held = [
        Held("a", {**value, "content": "green tea"}, 0),
        Held("b", {**value, "content": "green apples"}, 0),
    ]
    [one] = recall(held, "tea", 0)
    # One occurrence in a text of average length: 1 * 2.2 / (1 + 1.2) of at most 2.2.
    assert one == Expected("a", pytest.approx(1 / 2.2), 1.0, pytest.approx(1 / 2.2))
    assert [one.id for one in recall(held, "green tea", 0)] == ["a", "b"]
    assert recall(held, "milk", 0) == []
