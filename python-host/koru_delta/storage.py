"""Where a database's log lives, for those who bring a place of their own.

:class:`Storage` is what a place has to do; with a :class:`Replacement` it can be compacted as well;
:class:`MemoryStorage` is the reference. A file is the
default: see ``Config.path``. The bytes are the same in every place.

    place = MemoryStorage()
    async with Database(Config(storage=place)) as db:
        await db.put("users", "alice", {"age": 30})
    Path("users.koru").write_bytes(place.data)  # a database file
"""

from __future__ import annotations

from koru_delta._storage.base import Replacement, Storage
from koru_delta._storage.memory import MemoryStorage

__all__ = ["MemoryStorage", "Replacement", "Storage"]
