"""Where a browser keeps a database: chosen by what is there, and by where it is already.

A worker writes to the private file system (OPFS); anything else writes to IndexedDB. A database
stays where it was made: one that a worker made cannot be written from a page's own thread, which is
an error that says so, and never a second, empty database of the same name.
"""

from __future__ import annotations

from koru_delta._javascript import ffi, has, js
from koru_delta._storage import indexeddb, opfs
from koru_delta._storage.base import Storage
from koru_delta._storage.memory import MemoryStorage
from koru_delta._storage.quota import ask_to_persist
from koru_delta._storage.web_lock import WebLock
from koru_delta.errors import StorageError


class Snapshot(MemoryStorage):
    """A log as it was when it was opened for reading."""

    def __init__(self, data: bytes, kind: str) -> None:
        """Take the bytes, and the name of the storage that they are from."""
        super().__init__(data)
        self.kind = kind

    async def persist(self) -> bool:
        """Ask the browser to keep this site's data; whether it will."""
        return await ask_to_persist()


async def open_kept(path: str, *, read_only: bool, lock_timeout: float, strict: bool) -> Storage:
    """The browser's storage of the database with that name.

    Args:
        path: Name of the database, in the form of a path.
        read_only: Take no lock, and see the log as it is now.
        lock_timeout: Seconds to wait for another tab or worker that has it.
        strict: Whether a commit waits until it would survive power loss.

    Raises:
        DatabaseLockedError: If another tab or worker has it open.
        StorageError: If there is no such storage here, or it refuses.
    """
    if not indexeddb.is_here() and not has("navigator", "storage", "getDirectory"):
        raise StorageError(
            f"there is no storage here that would keep {path}: neither OPFS nor IndexedDB",
            suggestion="run in a browser, in a page by https or from localhost; or leave the path "
            "out for a database in memory, or give Config.storage",
        )
    if read_only:
        return await _read_only(path)
    lock = WebLock(f"koru-delta:{path}")
    await lock.acquire(lock_timeout)
    try:
        storage = await _open(path, lock, strict=strict)
    except BaseException:
        lock.release()
        raise
    _let_go_on_pagehide(storage)
    return storage


async def _open(path: str, lock: WebLock, *, strict: bool) -> Storage:
    if opfs.is_here():
        if not await _is_in_indexeddb(path):
            return await opfs.open_opfs(path, lock)
    elif await opfs.read_whole(path) is not None:
        raise StorageError(
            f"{path} is kept in the private file system, which only a worker can write",
            suggestion="open it in a Web Worker, or with read_only=True",
        )
    return await indexeddb.open_indexeddb(path, lock, strict=strict)


async def _is_in_indexeddb(path: str) -> bool:
    connection = await indexeddb.open_connection(path, create=False)
    if connection is None:
        return False
    connection.close()
    return True


async def _read_only(path: str) -> Storage:
    for kind, read_whole in (("opfs", opfs.read_whole), ("indexeddb", indexeddb.read_whole)):
        data = await read_whole(path)
        if data is not None:
            return Snapshot(data, kind)
    raise StorageError(
        f"there is no database {path} in this browser",
        suggestion="check the name, or open it for writing once to create it",
    )


def _let_go_on_pagehide(storage: Storage) -> None:
    """A page that is left gives handles and lock back at once; workers end with their page."""

    def on_pagehide(_event: object) -> None:
        storage.close()

    if has("document"):
        js.addEventListener("pagehide", ffi.create_once_callable(on_pagehide))
