"""What the page asks for, in terms of koru_delta's public API.

The worker calls :meth:`Playground.call` with a method's name and arguments and hands the answer to
the page as JSON. Nothing here knows of a browser, so it runs on CPython too.
"""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Any

from koru_delta import AgentMemory, Change, Database, KoruDeltaError, Version

AGENT = "playground"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BATCH = 50
"""Facts of the corpus that are learned at a time; the page's progress bar moves after each."""


class Playground:
    """One agent's memory, and what the page shows of it.

    Args:
        db: The open database.
        embedder: See `embedder.py`.
        tell: Called with what the page should know at once, as JSON.
    """

    def __init__(self, db: Database, embedder: Any, tell: Callable[[str], Any]) -> None:
        self.db = db
        self.memory = AgentMemory(db, AGENT, embedder, min_cosine=0.45)
        self.namespace = self.memory.namespace
        self._tell = tell
        self._moments: list[int] = []
        self._places: dict[str, tuple[float, float]] = {}
        self._watching = asyncio.ensure_future(self._watch())

    async def call(self, method: str, arguments: str) -> str:
        """Carry out a public method; its answer and how long it took, or its error, as JSON."""
        start = perf_counter()
        try:
            value = await getattr(self, "do_" + method)(**json.loads(arguments))
        except KoruDeltaError as error:
            return json.dumps({"error": error.message, "hint": error.suggestion})
        return json.dumps({"value": value, "ms": (perf_counter() - start) * 1000})

    async def close(self) -> None:
        """Let go of the database."""
        self._watching.cancel()
        await self.db.close()

    async def _watch(self) -> None:
        """Note the moment of every commit, those of before included."""
        async for change in self.db.watch(self.namespace, since=0):
            moment = _moment(change)
            if not self._moments or self._moments[-1] != moment:
                self._moments.append(moment)
                self._tell(json.dumps({"moment": moment}))

    # Writing.

    async def do_remember(self, content: str, importance: float, tags: list[str]) -> str:
        """Remember an episode."""
        return await self.memory.remember(content, importance, tags)

    async def do_learn(
        self, key: str, content: str, importance: float, tags: list[str], caused_by: list[str]
    ) -> str:
        """Learn a fact, or learn it anew."""
        return await self.memory.facts.learn(
            key, content, tags, importance=importance, caused_by=caused_by
        )

    async def do_forget(self, memory_id: str, erase: bool) -> bool:
        """Forget a memory."""
        return await self.memory.forget(memory_id, erase=erase)

    async def do_restore(self, memory_id: str, version: str) -> str:
        """Bring an earlier version of a memory back."""
        return (await self.db.restore(self.namespace, memory_id, version)).version_id

    async def do_load(self, corpus: list[dict[str, str]]) -> int:
        """Learn a corpus, telling how far it has come."""
        source = await self.memory.remember(
            f"Read what Python's standard library says of {len(corpus)} functions and classes",
            0.5, ["corpus"],
        )  # fmt: skip
        for begin in range(0, len(corpus), BATCH):
            await asyncio.gather(
                *(
                    self.memory.facts.learn(
                        fact["key"], fact["content"], [fact["module"]],
                        importance=0.5, caused_by=source,
                    )
                    for fact in corpus[begin : begin + BATCH]
                )
            )  # fmt: skip
            self._tell(json.dumps({"progress": min(begin + BATCH, len(corpus)), "of": len(corpus)}))
            await asyncio.sleep(0)  # What the page asks meanwhile is answered.
        return len(corpus)

    async def do_consolidate(self, similarity: float) -> dict[str, int]:
        """Merge near-duplicates among the notes."""
        report = await self.memory.consolidate(similarity=similarity)
        return {"merged": sum(len(group.merged) for group in report.merged)}

    # Reading.

    async def do_recall(self, query: str, limit: int, at: int | None) -> list[dict[str, Any]]:
        """What fits a question best, now or as of a moment, with the parts of each score."""
        hits = await self.memory.recall(query, limit, at=_seconds(at))
        return [
            {
                "id": hit.id,
                "content": hit.content,
                "type": hit.memory_type,
                "score": hit.score,
                "relevance": hit.relevance,
                "recency": hit.recency,
                "importance": hit.importance,
                "accesses": hit.access_count,
                "tags": hit.tags,
                "updated": _microseconds(hit.updated_at),
            }
            for hit in hits
        ]

    async def do_newest(self, limit: int, at: int | None) -> list[dict[str, Any]]:
        """What was written last."""
        records = await self.db.query(
            self.namespace, order_by=[("$timestamp", "desc")], limit=limit, at=_seconds(at)
        )
        return [
            {
                "id": record.key,
                "content": record.value["content"],
                "type": record.value["type"],
                "importance": record.value["importance"],
                "tags": record.value["tags"],
                "updated": _microseconds(record.timestamp),
            }
            for record in records
        ]

    async def do_map(self, at: int | None) -> list[list[Any]]:
        """Id, kind and place on the map of every memory: its vector's first two components."""
        points = []
        records = await self.db.query(self.namespace, at=_seconds(at))
        for record in records:
            place = self._places.get(record.version_id)
            if place is None:
                vector = await self.db.vector(self.namespace, record.key, at=_seconds(at))
                place = self._places[record.version_id] = (float(vector[0]), float(vector[1]))
            points.append([record.key, record.value["type"], *place, record.value["content"][:80]])
        return points

    async def do_entry(self, memory_id: str) -> dict[str, Any]:
        """A memory's versions, what changed from each to the next, and where it comes from."""
        versions = await self.memory.history(memory_id)
        told = []
        for before, version in zip([None, *versions], versions, strict=False):
            patch = []
            if before is not None and not before.deleted and not version.deleted:
                patch = await self.db.diff(
                    self.namespace, memory_id, before.version_id, version.version_id
                )
            told.append({**_told(version), "patch": patch})
        newest = versions[-1]
        causes = await self.db.lineage(newest.version_id, depth=3)
        effects = await self.db.effects(newest.version_id, depth=1)
        nodes = {one.version_id: one for one in (newest, *causes, *effects[:12])}
        edges = [
            [cause, one.version_id]
            for one in nodes.values()
            for cause in one.caused_by
            if cause in nodes
        ]
        return {
            "versions": told,
            "nodes": [{**_told(one), "key": one.key} for one in nodes.values()],
            "edges": edges,
            "effects": len(effects),
        }

    async def do_moments(self) -> list[int]:
        """The time of every commit, in microseconds."""
        return self._moments

    async def do_stats(self) -> dict[str, Any]:
        """Counts and sizes."""
        memory, stats = await self.memory.stats(), await self.db.stats()
        return {
            "episodes": memory.episodes,
            "facts": memory.facts,
            "versions": stats.versions,
            "memory": stats.memory_bytes,
            "disk": stats.disk_bytes,
            "storage": stats.storage,
        }

    async def export(self) -> bytes:
        """The whole database as one file."""
        file = io.BytesIO()
        await self.db.export_to(file)
        return file.getvalue()


async def open_playground(
    name: str, embedder: Any, tell: Callable[[str], Any], file: Any = None
) -> Playground:
    """Open a database, or one with the contents of a file, and its agent.

    Args:
        name: Where the database is kept.
        embedder: See `embedder.py`.
        tell: See :class:`Playground`.
        file: The bytes of a database file, as `export` gives them.
    """
    if file is None:
        db = await Database.create(name)
    else:
        db = await Database.import_from(io.BytesIO(bytes(file)), name)
    return Playground(db, embedder, tell)


def _told(version: Version) -> dict[str, Any]:
    return {
        "id": version.version_id,
        "time": version.timestamp_us,
        "deleted": version.deleted,
        "content": None if version.deleted else version.value["content"],
        "importance": None if version.deleted else version.value["importance"],
    }


def _moment(change: Change) -> int:
    return _microseconds(change.timestamp)


def _microseconds(time: datetime) -> int:
    return (time - _EPOCH) // timedelta(microseconds=1)


def _seconds(at: int | None) -> datetime | None:
    return None if at is None else _EPOCH + timedelta(microseconds=at)
