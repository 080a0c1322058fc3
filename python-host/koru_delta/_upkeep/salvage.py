"""What is intact of a damaged file, as a new file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import BinaryIO

from koru_delta import _protocol as op
from koru_delta._protocol import pack
from koru_delta._results.reports import SalvageReport
from koru_delta._session import Session
from koru_delta._storage.file import FileStorage
from koru_delta._upkeep.copies import existing_file, new_file, snapshot_of
from koru_delta.config import Config


def salvage(
    source: str | os.PathLike[str], target: str | os.PathLike[str], max_memory_mb: int
) -> SalvageReport:
    """Write what is intact to a new file. See :meth:`koru_delta.Database.salvage`."""
    session = Session(Config(max_memory_mb=max_memory_mb))
    path = Path(source).expanduser().resolve()
    storage = existing_file(path)
    try:
        with new_file(Path(target).expanduser().resolve(), overwrite=None) as file:
            return _salvage(session, storage, file)
    finally:
        storage.close()


def _salvage(session: Session, storage: FileStorage, file: BinaryIO) -> SalvageReport:
    host = session._new_host()
    try:
        _, progress = session._feed_all(host, storage, {"salvage": True})
        stats = json.loads(session._checked(host, op.STATS, pack())[2])
        written = sum(file.write(data) for data in snapshot_of(host, storage))
        lost = tuple((begin, end) for begin, end in progress["lost"])
        return SalvageReport(
            bytes_read=storage.size,
            bytes_written=written,
            bytes_lost=progress["dropped_bytes"],
            lost=lost,
            keys=stats["keys"],
            versions=stats["versions"],
        )
    finally:
        host.close()
