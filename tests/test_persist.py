"""What `persist` says where nothing needs to be asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from koru_delta import Config, Database
from koru_delta.storage import MemoryStorage

if TYPE_CHECKING:
    from pathlib import Path


async def test_a_file_is_kept_and_memory_is_not(tmp_path: Path) -> None:
    async with Database(tmp_path / "data.koru") as db:
        assert await db.persist() is True
    for config in (Config(), Config(storage=MemoryStorage())):
        async with Database(config) as db:
            assert await db.persist() is False
