"""The log in IndexedDB, where there is no worker: chunks of bytes, a transaction for each group.

Nothing there can be waited for without the event loop, so this is a deferred storage: methods take
note, and :meth:`IndexedDbStorage.settle` writes what was noted in one transaction, of strict
durability unless syncs were not asked for. The browser carries a transaction out whole or not at
all.

The object store ``log`` holds the chunks under ``[generation, index]`` and, under ``current``,
which generation is the log and how long it is. A log that is replaced is a new generation; the
old one goes in the same transaction. Between transactions only the last, unfinished chunk is kept
in memory here; :meth:`IndexedDbStorage.load` fetches the rest when it is to be read.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from koru_delta._javascript import JsException, ffi, has, js, js_object
from koru_delta._storage.base import UncleanError
from koru_delta._storage.quota import ask_to_persist, quota_or
from koru_delta._storage.web_lock import WebLock
from koru_delta.errors import StorageError

_PREFIX: Final = "koru-delta:"
_STORE: Final = "log"
_CURRENT: Final = "current"
_CHUNK_BYTES: Final = 16 * 1024
"""A group rewrites the last chunk: this much at most beside its own bytes."""
_CHUNKS_READ: Final = 256


def is_here() -> bool:
    """Whether there is IndexedDB."""
    return has("indexedDB", "open")


async def _events(target: Any, success: str, failures: tuple[str, ...]) -> None:
    """Return when an event of that name comes.

    Raises:
        JsException: If one of the others comes first.
    """
    happened: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def on_success(_event: Any) -> None:
        if not happened.done():
            happened.set_result(None)

    def on_failure(_event: Any) -> None:
        if not happened.done():
            happened.set_exception(_exception(target.error))

    proxies = [ffi.create_proxy(on_success), ffi.create_proxy(on_failure)]
    setattr(target, f"on{success}", proxies[0])
    for name in failures:
        setattr(target, f"on{name}", proxies[1])
    try:
        await happened
    finally:
        for name in (success, *failures):
            setattr(target, f"on{name}", None)
        for proxy in proxies:
            proxy.destroy()


def _exception(error: Any) -> Exception:
    """An error of IndexedDB as one that can be raised: what is no ``Error`` itself, as one."""
    if isinstance(error, JsException):
        return error
    made: Exception = js.Error.new(error.message if error else "it was stopped")
    if error:
        js.Object.assign(made, js_object(name=error.name))
    return made


async def _result(request: Any) -> Any:
    await _events(request, "success", ("error",))
    return request.result


async def open_connection(path: str, *, create: bool) -> Any:
    """A connection to the IndexedDB database of a path; None if there is none and none is made."""
    if not is_here():
        return None
    request = js.indexedDB.open(_PREFIX + path, 1)
    is_new = False

    def on_upgrade(_event: Any) -> None:
        nonlocal is_new
        is_new = True
        if create:
            request.result.createObjectStore(_STORE)
        else:
            request.transaction.abort()

    proxy = ffi.create_proxy(on_upgrade)
    request.onupgradeneeded = proxy
    try:
        return await _result(request)
    except JsException as error:
        if is_new and not create:
            return None
        raise quota_or(error, "open", path) from error
    finally:
        proxy.destroy()


async def read_whole(path: str) -> bytes | None:
    """The log as it is now, for reading only; None if there is none. Takes no lock."""
    database = await open_connection(path, create=False)
    if database is None:
        return None
    try:
        _generation, _size, data = await _read(database)
        return data or None
    except JsException as error:
        raise quota_or(error, "read", path) from error
    finally:
        database.close()


async def _read(database: Any) -> tuple[int, int, bytes]:
    """Generation, size and bytes of the log, as of one moment.

    A transaction ends with the turn of the event loop in which nothing more was asked of it, so
    everything is asked for at once, and the size is found by a transaction before that.
    """
    while True:
        generation, size = await _current(database)
        transaction = database.transaction(_STORE, "readonly")
        store = transaction.objectStore(_STORE)
        now = store.get(_CURRENT)
        requests = [
            store.getAll(_keys(generation, first, first + _CHUNKS_READ - 1))
            for first in range(0, -(-size // _CHUNK_BYTES), _CHUNKS_READ)
        ]
        await _events(transaction, "complete", ("abort", "error"))
        # Replaced meanwhile, as a reader without the lock may see it: the chunks are gone.
        if _parsed(now.result)[0] == generation:
            chunks = (chunk for request in requests for chunk in request.result)
            return generation, size, b"".join(chunk.to_bytes() for chunk in chunks)[:size]


async def _current(database: Any) -> tuple[int, int]:
    store = database.transaction(_STORE, "readonly").objectStore(_STORE)
    return _parsed(await _result(store.get(_CURRENT)))


def _parsed(current: Any) -> tuple[int, int]:
    """Generation and size of the log; zeros for none."""
    if not isinstance(current, str):
        return 0, 0
    generation, size = current.split()
    return int(generation), int(size)


def _keys(generation: int, first: int, last: float) -> Any:
    return js.IDBKeyRange.bound(ffi.to_js([generation, first]), ffi.to_js([generation, last]))


class IndexedDbStorage:
    """A log in IndexedDB. Made by :func:`open_indexeddb`; a deferred storage."""

    kind = "indexeddb"

    def __init__(self, path: str, lock: WebLock, database: Any, *, strict: bool) -> None:
        """Take a connection over; :meth:`load` finds what there is."""
        self.path = path
        self._lock = lock
        self._database = database
        self._durability = "strict" if strict else "relaxed"
        self._generation = 0
        self._stored = 0
        self._tail = b""
        # What was noted: how much of the stored bytes stays, what comes behind, and whether all of
        # it is a new generation.
        self._kept = 0
        self._new = bytearray()
        self._replaces = False
        self._loaded: bytes | None = None
        self._turn = asyncio.Lock()
        self._closed = False

    @property
    def exists(self) -> bool:
        """Whether there is a log."""
        return self._generation > 0 or self._replaces

    @property
    def size(self) -> int:
        """Bytes of log, with what is noted."""
        return self._kept + len(self._new)

    async def load(self) -> None:
        """Bring the log within reach of ``read``, until something is settled."""
        async with self._turn:
            try:
                generation, size, data = await _read(self._database)
            except JsException as error:
                raise quota_or(error, "read", self.path) from error
            if size != len(data):
                raise StorageError(
                    f"chunks of {self.path} are missing: {len(data)} of {size} bytes are there",
                    suggestion="restore the database from a copy",
                )
            if self._stored == self._kept and not self._new and not self._replaces:
                self._kept = size
                self._tail = data[size - size % _CHUNK_BYTES :]
            self._generation, self._stored, self._loaded = generation, size, data

    def read(self, offset: int, size: int) -> bytes:
        """Bytes from ``offset`` on, of what was loaded and what is noted."""
        if self._loaded is None and offset < self._kept:
            raise StorageError(f"{self.path} was read before it was loaded")
        stored = (self._loaded or b"")[: self._kept][offset : offset + size]
        start = max(offset - self._kept, 0)
        return stored + bytes(self._new[start : start + size - len(stored)])

    def append(self, data: bytes) -> None:
        """Note bytes to add at the end."""
        self._check_open()
        self._new += data

    def sync(self) -> None:
        """Nothing to do: :meth:`settle` does it."""

    def truncate(self, size: int) -> None:
        """Note that the log is to be cut. The log was loaded."""
        self._check_open()
        if size >= self._kept:
            del self._new[size - self._kept :]
            return
        self._new.clear()
        start = size - size % _CHUNK_BYTES
        self._tail = self.read(start, size - start)
        self._kept = size

    def create(self, data: bytes | bytearray) -> None:
        """Note that the log is to consist of ``data``."""
        self._check_open()
        self._kept, self._tail, self._replaces = 0, b"", True
        self._new[:] = data

    def begin_replacement(self) -> IndexedDbReplacement:
        """Bytes that are to be the log."""
        return IndexedDbReplacement(self)

    async def settle(self) -> None:
        """Write what is noted in one transaction, and return when it is durable."""
        async with self._turn:
            self._loaded = None
            if not self._new and not self._replaces and self._kept == self._stored:
                return
            fresh = bytes(self._new)
            try:
                transaction = self._begin(fresh)
                await _events(transaction, "complete", ("abort", "error"))
            except JsException as error:
                self._new.clear()
                self._kept, self._replaces = self._stored, False
                raise quota_or(error, "write to", self.path) from error
            self._generation += self._replaces
            self._replaces = False
            self._stored = self._kept = self._kept + len(fresh)
            whole = self._tail + fresh
            self._tail = whole[len(whole) - self._stored % _CHUNK_BYTES :]
            del self._new[: len(fresh)]

    def _begin(self, fresh: bytes) -> Any:
        """Have the browser carry out what is noted."""
        options = js_object(durability=self._durability)
        transaction = self._database.transaction(_STORE, "readwrite", options)
        store = transaction.objectStore(_STORE)
        generation = self._generation + self._replaces
        size = self._kept + len(fresh)
        if self._replaces:
            # Arrays sort behind everything else, and by their items.
            old = js.IDBKeyRange.bound(ffi.to_js([0]), ffi.to_js([generation]), False, True)
            store.delete(old)
        elif self._kept < self._stored:
            store.delete(_keys(generation, -(-size // _CHUNK_BYTES), float("inf")))
        first = self._kept // _CHUNK_BYTES
        whole = self._tail + fresh
        for index in range(-(-len(whole) // _CHUNK_BYTES)):
            chunk = whole[index * _CHUNK_BYTES : (index + 1) * _CHUNK_BYTES]
            store.put(ffi.to_js(chunk), ffi.to_js([generation, first + index]))
        store.put(f"{generation} {size}", _CURRENT)
        return transaction

    async def persist(self) -> bool:
        """Ask the browser to keep this site's data; whether it will."""
        return await ask_to_persist()

    def abandon(self) -> None:
        """Let go without touching the log."""
        self.close()

    def close(self) -> None:
        """Close the connection, and unlock. A second call does nothing."""
        if not self._closed:
            self._closed = True
            self._database.close()
            self._lock.release()

    def _check_open(self) -> None:
        if self._closed:
            raise UncleanError(
                f"cannot write to {self.path}: it was let go of when the page was left",
                suggestion="reload the page and open the database again",
            )


class IndexedDbReplacement:
    """Bytes that are to take the place of a log."""

    def __init__(self, storage: IndexedDbStorage) -> None:
        """Begin with nothing."""
        self._storage = storage
        self._data = bytearray()

    def append(self, data: bytes) -> None:
        """Add bytes at the end."""
        self._data += data

    def commit(self) -> None:
        """Note that the log is to consist of these; settling makes it so."""
        self._storage.create(self._data)
        self._data = bytearray()

    def abandon(self) -> None:
        """Forget the bytes."""
        self._data = bytearray()


async def open_indexeddb(path: str, lock: WebLock, *, strict: bool) -> IndexedDbStorage:
    """Open, or prepare, the database of a path, loaded; the lock is held already.

    Raises:
        StorageError: If the browser refuses.
    """
    database = await open_connection(path, create=True)
    if database is None:
        raise StorageError(f"cannot open {path}: there is no IndexedDB")
    storage = IndexedDbStorage(path, lock, database, strict=strict)
    try:
        await storage.load()
    except BaseException:
        database.close()
        raise
    return storage
