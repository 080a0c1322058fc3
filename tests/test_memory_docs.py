"""The examples in the documentation of agent memory run, and print what they say."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from doc_examples import examples, run

import koru_delta
import koru_delta.memory
from koru_delta import Database, SyncDatabase
from koru_delta.memory import AgentMemory, Episodes, Facts, Procedures, RecallWeights

# In the order in which they tell a story.
TOLD = [
    AgentMemory,
    Episodes.remember,
    Facts.learn,
    Facts.get,
    Facts.history,
    Procedures.learn,
    Procedures.get,
    Procedures.record_outcome,
    Procedures.history,
    AgentMemory.recall,
    AgentMemory.lineage,
    AgentMemory.remember,
    AgentMemory.get,
    AgentMemory.history,
    AgentMemory.forget,
    AgentMemory.consolidate,
    AgentMemory.undo,
    AgentMemory.stats,
    AgentMemory.flush,
    Episodes.remember_many,
    RecallWeights,
    koru_delta.memory.SyncAgentMemory,
]


async def test_the_examples_print_what_they_say() -> None:
    async with Database() as db:
        names: dict[str, Any] = {
            "db": db,
            "SyncDatabase": SyncDatabase,
            "RecallWeights": RecallWeights,
        }
        for documented in TOLD:
            found = examples(documented)
            assert found, documented
            for example in found:
                assert await run(example.source, names) == example.want, example.source


def test_no_example_is_left_out() -> None:
    told = {getattr(one, "__qualname__", "") for one in TOLD}
    for name in koru_delta.memory.__all__:
        cls = getattr(koru_delta.memory, name)
        for owner in (cls, *vars(cls).values()):
            is_ours = getattr(owner, "__module__", "").startswith("koru_delta")
            if is_ours and not name.startswith("Sync") and examples(owner):
                assert owner.__qualname__ in told


@pytest.mark.parametrize("cls", [AgentMemory, Episodes, Facts, Procedures])
def test_every_method_has_an_example(cls: type) -> None:
    for name, member in vars(cls).items():
        if inspect.iscoroutinefunction(member) and not name.startswith("_"):
            assert examples(member), f"{cls.__name__}.{name}"


def test_every_public_name_is_documented() -> None:
    for name in koru_delta.memory.__all__:
        cls = getattr(koru_delta.memory, name)
        assert cls.__doc__, name
        assert not cls.__doc__.startswith(f"{name}("), name
        for member_name, member in vars(cls).items():
            if not member_name.startswith("_") and inspect.isroutine(member):
                assert inspect.getdoc(member), f"{name}.{member_name}"


def test_the_blocking_memory_has_every_method_with_the_same_parameters() -> None:
    memory = koru_delta.memory
    blocking = memory.SyncAgentMemory.__module__
    for cls in (memory.AgentMemory, memory.Episodes, memory.Facts, memory.Procedures):
        other = getattr(__import__(blocking, fromlist=["x"]), f"Sync{cls.__name__}")
        names = {n for n, m in vars(cls).items() if inspect.isroutine(m) and n[0] != "_"}
        assert names == {n for n, m in vars(other).items() if inspect.isroutine(m) and n[0] != "_"}
        for name in names:
            own, same = getattr(cls, name), getattr(other, name)
            assert inspect.iscoroutinefunction(own)
            assert not inspect.iscoroutinefunction(same)
            assert inspect.signature(own).parameters == inspect.signature(same).parameters


def test_importing_does_not_import_asyncio() -> None:
    import subprocess
    import sys

    code = "import sys, koru_delta.memory; sys.exit('asyncio' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
