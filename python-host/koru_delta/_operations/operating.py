"""Sizes, health, and whether everything is as it was written."""

from __future__ import annotations

import json
from typing import Any

from koru_delta import _protocol as op
from koru_delta._operations.base import Operations
from koru_delta._results.reports import Health, Stats, VerifyReport, vector_stats


class Operating(Operations):
    """What tells how a database is."""

    @property
    def head(self) -> str:
        """Hash of the latest commit: 64 hexadecimal digits.

        The chain of commits shows damage. It shows tampering by someone who can write the file only
        if this hash was noted elsewhere.
        """
        return self._session.head

    async def stats(self) -> Stats:
        """Sizes, counts and limits. Linear in the number of keys."""
        session = self._session
        reply = await session.read(op.STATS, long=True)
        engine: dict[str, Any] = json.loads(reply[2])
        storage = session.storage
        return Stats(
            keys=engine["keys"],
            versions=engine["versions"],
            namespaces=engine["namespaces"],
            memory_bytes=await session.in_thread(session.memory_bytes),
            memory_used_bytes=engine["memory_used"],
            record_bytes=engine["record_bytes"],
            disk_bytes=0 if storage is None else storage.size,
            max_memory_bytes=self._config.max_memory_bytes,
            max_disk_bytes=self._config.max_disk_bytes,
            storage="memory" if storage is None else storage.kind,
            path=None if self._config.path is None else str(self._config.file_path),
            recovered_bytes=session.recovered_bytes,
            vector_index=self._config.vector_index,
            vectors=tuple(vector_stats(held) for held in engine["vectors"]),
        )

    async def health(self) -> Health:
        """Whether the database can do its work: cheap enough to ask often."""
        session = self._session
        await session.read(op.HEAD)
        issues = session.issues
        return Health(healthy=not issues, issues=issues)

    async def verify(self) -> VerifyReport:
        """Rehash every version in memory, and read the whole file again with every link checked.

        Takes memory for a second copy of the data while it runs, and linear time.
        """
        session = self._session
        memory = json.loads((await session.read(op.VERIFY, long=True))[2])
        problems: list[str] = memory["problems"]
        file = await session.in_thread(session.verify_file)
        if file.problem is not None:
            problems.append(f"in the file: {file.problem}")
        return VerifyReport(
            ok=not problems,
            versions=memory["versions"],
            commits=max(memory["commits"], file.commits),
            head=memory["head"],
            problems=tuple(problems),
        )
