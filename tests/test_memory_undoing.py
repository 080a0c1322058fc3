"""A consolidation that is taken back leaves nothing behind."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from memory_oracle import (
    DUPLICATES,
    NOTES,
    embed,
    groups,
    remember,
)

from koru_delta import (
    Database,
    KoruDeltaError,
    ValidationError,
)
from koru_delta.memory import AgentMemory

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = 1_800_000_000
DAY = 24 * 3600


@pytest.fixture(params=["words", "vectors"])
def memory(request: pytest.FixtureRequest, db: Database) -> AgentMemory:
    """The memory of an agent of an empty database, without and with an embedder."""
    return db.agent_memory("a", embed if request.param == "vectors" else None)


async def everything(memory: AgentMemory) -> dict[str, Any]:
    """What can be read of an agent, but for times of writing and version ids."""
    db, found = memory.db, {}
    for key in await db.list_keys(memory.namespace):
        one = await memory.get(key)
        vector = await memory._store.vector(key)
        found[key] = (
            await db.get(memory.namespace, key),
            one.created_at,
            one.access_count,
            one.last_accessed,
            None if vector is None else bytes(vector.cast("B")),
        )
    for question in ("export invoices", "backup", "billing address", "the"):
        hits = await memory.recall(question, at=time.time() + 10**6)
        # What comes back was written anew, so its recency is another: a hair, and no more here.
        found[question] = sorted((round(-hit.relevance, 5), hit.id, hit.content) for hit in hits)
    return found


@pytest.mark.parametrize("summarize", [None, lambda texts: f"summary of {len(texts)}"])
async def test_undoing_brings_everything_back(
    memory: AgentMemory, summarize: Callable[[list[str]], str] | None
) -> None:
    ids = await remember(memory)
    await memory.remember("long past", 0.0, ["t"], metadata={"a": 1})
    await memory.recall("export of invoices")
    await memory.recall("backup")
    before = await everything(memory)
    report = await memory.consolidate(similarity=0.85, summarize=summarize, min_importance=0.2)
    assert len(report.forgotten) == 1
    after = await everything(memory)
    assert after != before
    count = sum(len(group.merged) + 1 for group in report.merged) + len(report.forgotten)
    assert await memory.undo(report) == count == 8
    assert await everything(memory) == before
    assert await memory.undo(report) == 0
    assert await everything(memory) == before
    assert groups(await memory.consolidate(similarity=0.85), ids) == DUPLICATES


async def test_undoing_leaves_what_changed_since(memory: AgentMemory) -> None:
    ids = await remember(memory)
    report = await memory.consolidate(similarity=0.85)
    [group] = [group for group in report.merged if group.id == ids[9]]
    await memory.db.put(memory.namespace, ids[9], {**(await memory.db.get(
        memory.namespace, ids[9])), "content": "changed since"})  # fmt: skip
    await memory.forget(ids[5], erase=True)
    assert await memory.undo(report) == 7 - 2
    assert (await memory.get(ids[9])).content == "changed since"
    assert await memory.get(ids[5], None) is None
    assert (await memory.get(ids[7])).content == NOTES[7]
    assert group.merged == (ids[7], ids[5])


async def test_what_comes_back_has_its_old_order(memory: AgentMemory) -> None:
    ids = await remember(memory, [NOTES[5], NOTES[7]] * 3)
    before = [hit.id for hit in await memory.recall("backup")]
    assert before == ids[::-1]
    await memory.undo(await memory.consolidate(similarity=0.85))
    assert [hit.id for hit in await memory.recall("backup")] == before


async def test_a_report_survives_reopening(open_file: Any, reopen: Callable[..., Any]) -> None:
    db = await open_file()
    memory = db.agent_memory("a", embed)
    await remember(memory)
    before = await everything(memory)
    report = await memory.consolidate(similarity=0.85)
    db = await reopen(db)
    memory = db.agent_memory("a", embed)
    assert await memory.undo(report) == 7
    assert await everything(memory) == before
    assert (await db.verify()).ok


async def test_the_past_is_not_consolidated(memory: AgentMemory) -> None:
    ids = await remember(memory)
    last = (await memory.history(ids[-1]))[0]
    await memory.consolidate(similarity=0.85, min_importance=1.0)
    assert await memory.recall("backup") == []
    then = await memory.recall("nightly backup", at=last)
    assert {hit.id for hit in then} == {ids[5], ids[7], ids[9]}


async def test_a_report_of_somebody_else_is_refused(db: Database) -> None:
    memory = db.agent_memory("a")
    report = await db.agent_memory("b").consolidate()
    for wrong in (report, None, "report", {}):
        with pytest.raises(ValidationError):
            await memory.undo(wrong)  # type: ignore[arg-type]


async def test_a_failing_log_is_told_and_nothing_is_lost(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = db.agent_memory("a", embed)
    await remember(memory)
    before = await everything(memory)

    async def refuse(*_args: Any, **_fields: Any) -> None:
        raise KoruDeltaError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(db, "_write_together", refuse)
        with pytest.raises(KoruDeltaError, match="disk"):
            await memory.consolidate(similarity=0.85)
    assert await everything(memory) == before
    assert len((await memory.consolidate(similarity=0.85)).merged) == len(DUPLICATES)
