"""Opening a database that is expected to be refused: if it is not, nothing stays open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from koru_delta import Config, Database, SyncDatabase

if TYPE_CHECKING:
    import os


def open_and_close(target: Config | str | os.PathLike[str]) -> None:
    """Opens a database with the blocking API and closes it at once."""
    with SyncDatabase(target):
        pass


async def open_and_close_async(target: Config | str | os.PathLike[str]) -> None:
    """The same with the asynchronous API."""
    async with Database(target):
        pass
