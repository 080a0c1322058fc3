"""What is no memory is refused, and nothing is written."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from memory_oracle import embed, word_vector
from parameters import shown

from koru_delta import (
    Database,
    KoruDeltaError,
    LimitExceededError,
    SerializationError,
    SyncDatabase,
    ValidationError,
)
from koru_delta.memory import AgentMemory, RecallWeights

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def memory(db: Database) -> AgentMemory:
    """The memory of an agent of an empty database."""
    return db.agent_memory("assistant-42")


LONE = "\ud800"
BAD_CONTENT: list[Any] = ["", " ", "\n\t\u2003", None, 7, b"bytes", LONE]
BAD_SHARES: list[Any] = [
    -0.1, 1.1, math.nan, math.inf, -math.inf, True, False, "0.5", None, [], 10**400
]  # fmt: skip
BAD_TAGS: list[Any] = ["tag", 7, [7], [""], [" "], [None], {"a": 1}, [LONE], b"tag"]
BAD_METADATA: list[Any] = [
    "text", 7, ["list"], {1: "key"}, {"a": math.nan}, {"a": object()}, {"a": LONE}, {"a": (1,)}
]  # fmt: skip


async def refuses(memory: AgentMemory, write: Callable[..., Any], *args: Any, **fields: Any) -> str:
    """That a write is refused, and that nothing was written."""
    with pytest.raises(ValidationError) as caught:
        await write(*args, **fields)
    assert caught.value.suggestion
    assert await memory.db.list_namespaces() == []
    return caught.value.message


@pytest.mark.parametrize("content", BAD_CONTENT, ids=repr)
async def test_text_has_to_be_there(memory: AgentMemory, content: Any) -> None:
    await refuses(memory, memory.remember, content)
    await refuses(memory, memory.episodes.remember, content)
    message = await refuses(memory, memory.episodes.remember_many, ["fine", content])
    assert content == LONE or "contents[1]" in message
    await refuses(memory, memory.facts.learn, "key", content)
    await refuses(memory, memory.facts.learn, content, "content")
    await refuses(memory, memory.procedures.learn, content, ["step"])
    await refuses(memory, memory.procedures.learn, "name", ["step", content])


@pytest.mark.parametrize("share", BAD_SHARES, ids=lambda one: f"{one!r:.10}")
async def test_shares_are_from_0_to_1(memory: AgentMemory, share: Any) -> None:
    message = await refuses(memory, memory.remember, "x", share)
    assert "importance" in message
    await refuses(memory, memory.episodes.remember_many, ["x"], share)
    await refuses(memory, memory.facts.learn, "x", "x", importance=share)
    await refuses(memory, memory.procedures.learn, "x", ["x"], importance=share)
    if share is not None:
        message = await refuses(memory, memory.procedures.learn, "x", ["x"], share)
        assert "success_rate" in message


async def test_the_ends_of_shares_are_fine(memory: AgentMemory) -> None:
    for share in (0, 1, 0.0, 1.0):
        found = await memory.get(await memory.remember("x", share))
        assert found.importance == share
        assert type(found.importance) is float
        await memory.procedures.learn("x", ["x"], share)
        assert (await memory.procedures.get("x")).success_rate == share


@pytest.mark.parametrize("tags", BAD_TAGS, ids=repr)
async def test_tags_are_a_list_of_text(memory: AgentMemory, tags: Any) -> None:
    await refuses(memory, memory.remember, "x", 0.5, tags)
    await refuses(memory, memory.episodes.remember_many, ["x"], 0.5, tags)
    await refuses(memory, memory.facts.learn, "x", "x", tags)
    await refuses(memory, memory.procedures.learn, "x", ["x"], None, tags)


async def test_tags_are_kept_once_and_in_order(memory: AgentMemory) -> None:
    for given, kept in (
        (["b", "a", "b"], ["b", "a"]),
        (("b", "a"), ["b", "a"]),
        ({"b", "a"}, ["a", "b"]),
        ([], []),
    ):
        assert (await memory.get(await memory.remember("x", tags=given))).tags == kept


@pytest.mark.parametrize("metadata", BAD_METADATA, ids=shown)
async def test_metadata_is_a_json_object(memory: AgentMemory, metadata: Any) -> None:
    await refuses(memory, memory.remember, "x", metadata=metadata)
    await refuses(memory, memory.episodes.remember_many, ["x"], metadata=metadata)
    await refuses(memory, memory.facts.learn, "x", "x", metadata=metadata)
    await refuses(memory, memory.procedures.learn, "x", ["x"], metadata=metadata)
    if isinstance(metadata, dict):
        with pytest.raises(SerializationError, match=r"\$\.metadata"):
            await memory.remember("x", metadata=metadata)


@pytest.mark.parametrize("steps", [[], (), "one text", b"x", None, 7, [7], {"a": "b"}], ids=repr)
async def test_steps_are_texts(memory: AgentMemory, steps: Any) -> None:
    await refuses(memory, memory.procedures.learn, "name", steps)


@pytest.mark.parametrize("contents", ["one text", b"x", None, 7], ids=repr)
async def test_contents_are_a_list(memory: AgentMemory, contents: Any) -> None:
    await refuses(memory, memory.episodes.remember_many, contents)


async def test_names_and_contents_have_limits(memory: AgentMemory) -> None:
    longest = "k" * (1024 - len("fact/"))
    await memory.facts.learn(longest, "x")
    assert (await memory.facts.get(longest)).name == longest
    await memory.recall("x")
    await memory.flush()
    await memory.forget("fact/" + longest, erase=True)
    await refuses(memory, memory.facts.learn, longest + "k", "x")
    await refuses(memory, memory.facts.learn, "nul\0", "x")
    with pytest.raises(LimitExceededError):
        await memory.remember("x" * (8 * 1024 * 1024))


@pytest.mark.parametrize("agent", ["", " ", "\0", "a\0", LONE, None, 7, "x" * 901, "ü" * 451])
def test_the_id_of_an_agent_is_a_name(agent: Any) -> None:
    with pytest.raises(ValidationError):
        Database().agent_memory(agent)
    with pytest.raises(ValidationError):
        Database.for_agent(agent)
    with pytest.raises(ValidationError):
        SyncDatabase().agent_memory(agent)


async def test_the_longest_id_of_an_agent_works(db: Database) -> None:
    memory = db.agent_memory("x" * 900)
    await memory.remember("x")
    await memory.recall("x")
    assert (await memory.stats()).accesses == 1


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("half_life", [0, -1, math.nan, math.inf, True, "7 days", None]),
        ("weights", [None, (1, 1, 1), {"recency": 1}]),
        ("vector_share", [-0.1, 1.1, math.nan, True, "all", None]),
        ("min_cosine", [-0.1, 1.1, math.nan, True, None]),
        ("embedder", [7, "model", object()]),
    ],
)
def test_settings_are_checked(field: str, values: list[Any]) -> None:
    for value in values:
        if field == "embedder" and value is None:
            continue
        with pytest.raises(ValidationError):
            Database().agent_memory("a", **{field: value})


@pytest.mark.parametrize("weight", [-1, math.nan, math.inf, True, "1", None])
@pytest.mark.parametrize("name", ["relevance", "recency", "importance"])
def test_weights_are_checked(name: str, weight: Any) -> None:
    with pytest.raises(ValidationError, match=name):
        RecallWeights(**{name: weight})
    with pytest.raises(ValidationError):
        RecallWeights(0, 0, 0)


NO_MEMORIES: dict[str, Any] = {
    "episode/text": "just a note on backups",
    "episode/bytes": b"note",
    "note": {"content": "a note on backups"},
    "episode/number": {
        "type": "episode", "content": 5, "importance": 0.5, "tags": [], "metadata": {}
    },
    "fact/nameless": {
        "type": "fact", "content": "a note", "importance": 0.5, "tags": [], "metadata": {}
    },
}  # fmt: skip


@pytest.mark.parametrize("key", NO_MEMORIES)
async def test_what_others_put_among_memories_is_named(memory: AgentMemory, key: str) -> None:
    await memory.remember("a note on tea")
    await memory.db.put(memory.namespace, key, NO_MEMORIES[key])
    with pytest.raises(KoruDeltaError, match=f"{key}.*no memory.*delete it"):
        await memory.get(key)
    with suppress(KoruDeltaError):
        await memory.recall("note")
    types = ["episode", "fact"]
    if "/" in key:
        with pytest.raises(KoruDeltaError, match=f"{key}.*no memory"):
            await memory.consolidate(min_importance=0.1, types=types)
    await memory.db.delete(memory.namespace, key)
    assert [hit.content for hit in await memory.recall("note")] == ["a note on tea"]
    assert (await memory.consolidate(min_importance=0.1, types=types)).forgotten == ()


@pytest.mark.parametrize("success", [1, 0, None, "yes"])
async def test_an_outcome_is_true_or_false(memory: AgentMemory, success: Any) -> None:
    with pytest.raises(ValidationError):
        await memory.procedures.record_outcome("x", success)


# Embedders.


async def test_an_embedder_that_raises_leaves_nothing_written(db: Database) -> None:
    class ModelError(Exception):
        pass

    def broken(_texts: list[str]) -> list[list[float]]:
        raise ModelError("no model")

    memory = db.agent_memory("a", broken)
    for write in (
        lambda: memory.remember("x"),
        lambda: memory.episodes.remember_many(["x", "y"]),
        lambda: memory.facts.learn("x", "x"),
        lambda: memory.procedures.learn("x", ["x"]),
        lambda: memory.recall("x"),
    ):
        with pytest.raises(ModelError, match="no model"):
            await write()
    assert await db.list_namespaces() == []


@pytest.mark.parametrize(
    "vectors",
    [[], [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], "text", [["a", "b"]], None, [[math.nan, 1.0]], 7],
    ids=repr,
)
async def test_an_embedder_has_to_return_a_vector_for_each_text(db: Database, vectors: Any) -> None:
    memory = db.agent_memory("a", lambda _texts: vectors)
    for write in (
        lambda: memory.remember("x"),
        lambda: memory.episodes.remember_many(["x", "y"]),
        lambda: memory.facts.learn("x", "x"),
    ):
        with pytest.raises(ValidationError):
            await write()
    assert await db.list_namespaces() == []


async def test_what_cannot_be_stored_is_not_embedded(db: Database) -> None:
    asked: list[list[str]] = []

    def note(texts: list[str]) -> list[tuple[float, ...]]:
        asked.append(texts)
        return embed(texts)

    memory = db.agent_memory("a", note)
    with pytest.raises(SerializationError):
        await memory.remember("x", metadata={"a": object()})
    with pytest.raises(SerializationError):
        await memory.episodes.remember_many(["x", "y"], metadata={"a": object()})
    with pytest.raises(ValidationError):
        await memory.remember("x", caused_by="fact/none")
    assert asked == []


async def test_a_vector_of_another_dimension_is_refused(db: Database) -> None:
    await db.agent_memory("a", embed).remember("one")
    other = db.agent_memory("a", lambda texts: [[1.0, 2.0] for _ in texts])
    with pytest.raises(ValidationError, match="256"):
        await other.remember("two")
    with pytest.raises(ValidationError):
        await other.episodes.remember_many(["two", "three"])
    assert (await other.stats()).total == 1


async def test_memories_carry_the_model_and_the_vector(db: Database) -> None:
    class Model:
        model_name = "words"

        def __call__(self, texts: list[str]) -> list[tuple[float, ...]]:
            return embed(texts)

    memory = db.agent_memory("a", Model())
    one = await memory.remember("red apples")
    many = await memory.episodes.remember_many(["green pears", "blue plums"])
    fact = await memory.facts.learn("fruit", "yellow lemons")
    texts = ["red apples", "green pears", "blue plums", "fruit: yellow lemons"]
    for memory_id, text in zip([one, *many, fact], texts, strict=True):
        assert (await memory.history(memory_id))[0].model == "words"
        assert list(await db.vector(memory.namespace, memory_id)) == pytest.approx(
            word_vector(text), abs=1e-6
        )


# Questions.


@pytest.mark.parametrize("query", [None, 7, b"tea", ["tea"], "\ud800"], ids=repr)
async def test_a_query_is_text(memory: AgentMemory, query: Any) -> None:
    with pytest.raises(ValidationError):
        await memory.recall(query)


@pytest.mark.parametrize("limit", [0, -1, 10_001, 1.0, True, None, "10", math.nan])
async def test_a_limit_is_a_number_of_memories(memory: AgentMemory, limit: Any) -> None:
    with pytest.raises(ValidationError, match="limit"):
        await memory.recall("tea", limit)


@pytest.mark.parametrize("relevance", [-0.1, 1.1, math.nan, True, None, "0.5"])
async def test_a_least_relevance_is_a_share(memory: AgentMemory, relevance: Any) -> None:
    with pytest.raises(ValidationError, match="min_relevance"):
        await memory.recall("tea", 10, relevance)


@pytest.mark.parametrize("kind", ["episodes", "", "FACT", 7, ["fact"], b"fact"], ids=repr)
async def test_a_kind_of_memory_is_known(memory: AgentMemory, kind: Any) -> None:
    with pytest.raises(ValidationError, match="memory_type"):
        await memory.recall("tea", memory_type=kind)


@pytest.mark.parametrize("tags", ["x", [7], [""], 7, {"a": 1}], ids=repr)
async def test_tags_to_look_for_are_a_list(memory: AgentMemory, tags: Any) -> None:
    with pytest.raises(ValidationError):
        await memory.recall("tea", tags=tags)


@pytest.mark.parametrize(
    "metadata",
    [
        "x",
        [{"a": 1}],
        {"a": {"$near": 1}},
        {"$any": []},
        {"$and": {"a": 1}},
        {"$or": ["x"]},
        {"$not": 7},
        {7: 1},
        {"a": {1, 2}},
    ],
    ids=repr,
)
async def test_a_filter_of_metadata_is_a_filter(memory: AgentMemory, metadata: Any) -> None:
    await memory.remember("tea")
    with pytest.raises(ValidationError):
        await memory.recall("tea", metadata=metadata)


@pytest.mark.parametrize("name", ["since", "until", "at"])
@pytest.mark.parametrize("time", ["yesterday", [], True, math.nan, "2024-13-01"], ids=repr)
async def test_times_are_times(memory: AgentMemory, name: str, time: Any) -> None:
    with pytest.raises(ValidationError):
        await memory.recall("tea", **{name: time})
