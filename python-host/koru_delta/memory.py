"""What agents remember: :class:`AgentMemory`, and what its methods take and return.

    memory = db.agent_memory("assistant-42")
    await memory.remember("Alice moved from Berlin to Lisbon", importance=0.8)
    for hit in await memory.recall("Where does Alice live?"):
        print(hit.content)

It works without a model: memories are found by their words. With an embedder they are found by
their meaning too.
"""

from __future__ import annotations

from koru_delta._memory.agent import AgentMemory
from koru_delta._memory.blocking import SyncAgentMemory
from koru_delta._memory.kinds import Episodes, Facts, Procedures
from koru_delta._memory.ranking import RecallWeights
from koru_delta._results.memories import (
    ConsolidationReport,
    Memory,
    MemoryRecall,
    MemoryStats,
    MemoryType,
    MergedGroup,
)

__all__ = [
    "AgentMemory",
    "ConsolidationReport",
    "Episodes",
    "Facts",
    "Memory",
    "MemoryRecall",
    "MemoryStats",
    "MemoryType",
    "MergedGroup",
    "Procedures",
    "RecallWeights",
    "SyncAgentMemory",
]
