"""Sizes, health, and whether everything is as it was written."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, BinaryIO

from koru_delta import _protocol as op
from koru_delta._operations.base import Operations
from koru_delta.config import check_retention
from koru_delta.errors import (
    CorruptionError,
    DatabaseClosedError,
    DatabaseLockedError,
    KoruDeltaError,
)

if TYPE_CHECKING:
    from datetime import timedelta

    from koru_delta._results.reports import (
        CompactReport,
        ExportReport,
        Health,
        Stats,
        VerifyReport,
    )
    from koru_delta._session import Session
    from koru_delta._upkeep.copies import FileCheck


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
        from koru_delta._results import reports  # Here: making classes takes a while.

        session = self._session
        reply = await session.read(op.STATS, long=True)
        engine: dict[str, Any] = json.loads(reply[2])
        storage = session.storage
        return reports.Stats(
            keys=engine["keys"],
            versions=engine["versions"],
            namespaces=engine["namespaces"],
            memory_bytes=await session.in_thread(session.memory_bytes),
            memory_used_bytes=engine["memory_used"],
            record_bytes=engine["record_bytes"],
            versions_on_disk=engine["aside"],
            record_bytes_on_disk=engine["aside_bytes"],
            disk_bytes=0 if storage is None else storage.size,
            max_memory_bytes=self._config.max_memory_bytes,
            max_disk_bytes=self._config.max_disk_bytes,
            storage="memory" if storage is None else storage.kind,
            path=None if self._config.path is None else str(self._config.file_path),
            recovered_bytes=session.recovered_bytes,
            vector_index=self._config.vector_index,
            vectors=tuple(reports.vector_stats(held) for held in engine["vectors"]),
            indexes=tuple(reports.IndexStats(**index) for index in engine["indexes"]),
            versions_dropped=engine["dropped"],
            last_compaction=self._upkeep.last,
        )

    async def health(self) -> Health:
        """Whether the database can do its work: cheap enough to ask often.

        A file that was removed or replaced while it is open for writing is an issue too.
        """
        from koru_delta._results.reports import Health

        session = self._session
        issues = session.issues
        try:
            await session.read(op.HEAD)
        except (DatabaseClosedError, DatabaseLockedError):
            raise
        except KoruDeltaError as error:
            issues = (error.message, *issues)
        return Health(healthy=not issues, issues=issues)

    async def persist(self) -> bool:
        """Ask that the data be kept until somebody deletes it.

        A browser may throw away the data of sites when the disk runs short, unless it has agreed
        to this. A page can ask; a worker cannot, and is told only whether the page has.

        Returns:
            Whether it will be kept: always of a file, never of a database in memory.

        Raises:
            StorageError: If a browser cannot be asked from here.
        """
        await self._session.read(op.HEAD)
        storage = self._session.storage
        ask: Callable[[], Awaitable[bool]] | None = getattr(storage, "persist", None)
        if ask is not None:
            return await ask()
        return storage is not None and storage.kind != "memory"

    async def verify(self) -> VerifyReport:
        """Rehash every version, and read the whole file again with every link checked.

        Versions whose values are in the file only are fetched for it, some at a time. Takes linear
        time.
        """
        from koru_delta._results.reports import VerifyReport

        session = self._session
        memory: dict[str, Any]
        try:
            memory = json.loads((await session.read(op.VERIFY, long=True))[2])
        except CorruptionError as error:
            # A value that was to be fetched: the file is looked at next.
            memory = {"versions": 0, "commits": 0, "head": self.head, "problems": [error.message]}
        problems: list[str] = memory["problems"]
        await session.log.reach()
        file = await session.in_thread(_verify_file, session)
        if file.problem is not None:
            problems.append(f"in the file: {file.problem}")
        return VerifyReport(
            ok=not problems,
            versions=memory["versions"],
            commits=max(memory["commits"], file.commits),
            head=memory["head"],
            problems=tuple(problems),
        )

    async def compact(
        self,
        *,
        keep_versions: int | None = None,
        keep_history: float | timedelta | None = None,
    ) -> CompactReport:
        """Write everything anew: a shorter file, and memory for what is held only.

        What was erased is really gone after it. Reads and writes go on meanwhile. It takes room for
        a second copy of what stays, in memory and on disk, also past ``Config.max_disk_mb``.

        Versions go only by rules. Each rule keeps, so a version goes if no rule that is given keeps
        it. The latest version of a key stays, unless it is a deletion that no rule keeps. Reading a
        key as of a time of which the version is gone is as reading it before it was first written;
        history and lineage pass over it. Rules count what was written before compaction began.

        Args:
            keep_versions: Keep the last so many versions of each key.
            keep_history: Keep what was some key's value at any moment of so many seconds, or of a
                ``timedelta``, before now. Without either, the rules of the config hold.

        Raises:
            ValidationError: For a rule that cannot be meant.
            StorageError: If it is open read-only, if a file could not be written, or if the storage
                has no ``begin_replacement``.
            LimitExceededError: If memory or time did not suffice.
            DatabaseClosedError: If it was closed meanwhile.
            CorruptionError: If a version in memory is not what its id says.

        After any of these the database is as it was before, and in use.

        Example:
            >>> report = await db.compact(keep_versions=10)
            >>> report.versions_dropped
            0
        """
        check_retention(keep_versions, keep_history)
        rules = None
        if keep_versions is not None or keep_history is not None:
            from koru_delta._upkeep.snapshots import Retention  # Here: few need it at once.

            rules = Retention.of(keep_versions, keep_history)
        session = self._session
        # What a deferred storage has to be given is given before and after, not meanwhile.
        await session.log.settle()
        report = await session.in_thread(self._upkeep.compact, rules)
        await session.log.settle()
        return report

    async def export_to(
        self, target: str | os.PathLike[str] | BinaryIO, *, overwrite: bool = False
    ) -> ExportReport:
        """Write everything to one file, with all history: a database by itself.

        ``Database(path)`` opens it as :meth:`Database.import_from` reads it. Reads and writes go on
        meanwhile; the file has one moment during the call. With a path it appears when it is whole.

        Args:
            target: A path, or a file that is open for writing in binary.
            overwrite: Whether a file at that path may be replaced.

        Raises:
            StorageError: If something is there already, or cannot be written.
            ValidationError: For the database's own path, or a file that takes no bytes.
            CorruptionError: If a version in memory is not what its id says.

        Example:
            >>> report = await db.export_to("backup.koru", overwrite=True)
            >>> report.head == db.head
            True
        """
        from koru_delta._upkeep.copies import export_to

        return await self._session.in_thread(export_to, self._session, target, overwrite=overwrite)


def _verify_file(session: Session) -> FileCheck:
    from koru_delta._upkeep.copies import verify_file  # Here: few need it at once.

    return verify_file(session)
