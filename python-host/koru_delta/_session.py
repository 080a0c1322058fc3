"""An open database: one instance of the engine, one lock, one log.

Every operation is one request of :mod:`koru_delta._protocol`, carried out by :meth:`Session.read`
or :meth:`Session.write`: on the calling thread if it is short and nobody else holds the instance,
else on a worker thread, so that the event loop never waits. A write's frames enter the log in the
engine's order, under the lock of the instance, and the write is acknowledged when its group has
settled.
"""

from __future__ import annotations

import functools
import json
import math
import os
import threading
from collections.abc import Callable, Iterable
from time import time_ns
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeAlias, TypeVar

from koru_delta import _json
from koru_delta import _protocol as op
from koru_delta._fetching import Fetcher, can_fetch
from koru_delta._forks import open_sessions
from koru_delta._heads import Heads
from koru_delta._hosts.answers import check_frames
from koru_delta._hosts.base import Host, InstanceLostError, what_stopped
from koru_delta._hosts.choice import prepare_module
from koru_delta._hot_cache import HotCache
from koru_delta._loading import Loading
from koru_delta._maintenance import Maintenance
from koru_delta._protocol import NOW, REQUEST_HEADER, Reply, Status, pack
from koru_delta._refusal import Refusal, closed, refuse_names
from koru_delta._replies import raise_error, raise_refused
from koru_delta._storage.base import DISPLACED, Storage
from koru_delta._storage.choice import open_log, open_storage, prepare_storage
from koru_delta._storage.commit_log import CommitLog, Group, NoLog
from koru_delta._workers import HAS_THREADS, OneBehind, worker_threads
from koru_delta.config import Config
from koru_delta.errors import DatabaseLockedError, KoruDeltaError, LimitExceededError, StorageError

if TYPE_CHECKING:
    from koru_delta._upkeep.upkeep import Upkeep
    from koru_delta._vectors import Matrix

_FRAME_OVERHEAD_BYTES: Final = 256
EmbedItems: TypeAlias = Callable[[], Iterable[bytes]]
P = ParamSpec("P")
T = TypeVar("T")
_pack = REQUEST_HEADER.pack
_SHRINKING: Final = frozenset({op.DELETE, op.ERASE})


class Session(Loading):
    """One database, from open to close. Methods block unless they say otherwise."""

    def __init__(self, config: Config, *, blocking: bool = False) -> None:
        """Prepare; nothing is opened. ``blocking`` lets every method stand still."""
        self.config = config
        self.blocking = blocking
        self.storage: Storage | None = None
        self.recovered_bytes = 0
        self.hot = HotCache(config.hot_cache_size)
        self._host: Host = closed("not open yet")
        self.listeners: list[Callable[[], None]] = []
        self.log: CommitLog | NoLog = NoLog(self.listeners)
        self._lock = threading.Lock()
        self._stale = False
        self._heads = Heads()
        self._maintenance = Maintenance(self._maintain, lambda: self.is_open)
        self.upkeep: Upkeep | None = None
        self._module: Any = None
        self._prepared: Storage | None = None
        self._fetcher: Fetcher | None = None
        self._guarded = config.path is not None or config.storage is not None
        limit = config.max_disk_bytes
        self._disk_room = math.inf if limit is None else limit - _FRAME_OVERHEAD_BYTES
        """What the log may come to with a request that is about to be written."""

    # Opening and closing.

    @property
    def is_open(self) -> bool:
        """Whether there is an instance, in this process."""
        return not isinstance(self._host, Refusal)

    async def prepare(self) -> None:
        """Do what takes turns of the event loop, before :meth:`open`."""
        self._module = await prepare_module(self.config)
        self._prepared = await prepare_storage(self.config)

    def open(self, load: Callable[[], tuple[Host, int]] | None = None) -> None:
        """Open the storage, take its log in, or what ``load`` makes, and be ready."""
        config = self.config
        path = config.file_path
        try:
            self.storage = open_storage(config, self._prepared)
            self._prepared = None
            if self.storage is not None and can_fetch(self.storage):
                self._fetcher = Fetcher(self.storage, self._flush_log)
            host, sequence = (load or self._load)()
            try:
                self._open_log(sequence)
            except BaseException:
                host.close()
                raise
        except BaseException as error:
            if self.storage is not None:
                self.storage.close()
                self.storage = None
            if path is not None and isinstance(error, KoruDeltaError):
                error.name_file(str(path))
            raise
        self._host = host
        open_sessions.add(self)
        if self.upkeep is not None:
            self.upkeep.opened()
        try:
            is_maintained = self._maintain(0)
        except BaseException:
            self.close()  # Nobody has the handle of an opening that failed.
            raise
        if not is_maintained:
            self.maintain_in_background()

    def _open_log(self, sequence: int) -> None:
        """Be ready to append after a frame."""
        config = self.config
        if self.storage is None or config.read_only:
            self.log = NoLog(self.listeners)
            self.log.acknowledged = sequence
            return
        self.log = open_log(self.storage, sequence, config, self._mark_stale, self.listeners)

    def _flush_log(self) -> None:
        """Have what was acknowledged without being written be in the file."""
        if isinstance(self.log, CommitLog):
            self.log.flush_all()

    def _mark_stale(self) -> None:
        """The engine holds versions that the file does not: the next call rebuilds it."""
        self._stale = True

    def close(self) -> None:
        """Write what is left, free the instance and unlock. A second call does nothing."""
        if self.upkeep is not None:
            self.upkeep.stop()
        with self._lock:
            if not self.is_open:
                return
            host, self._host = self._host, closed("closed")
            host.close()
            self.hot.clear()
            open_sessions.discard(self)
        try:
            self.log.close()
        finally:
            if self.storage is not None:
                self.storage.close()
            for tell in list(self.listeners):
                tell()

    # Calling.

    def request(
        self,
        namespace: str,
        key: str,
        at: int,
        control: bytes,
        payload: bytes,
        flags: int,
        now: int = 0,
        vector: bytes | memoryview = b"",
    ) -> bytes:
        """The bytes of a request, as :mod:`koru_delta._protocol` lays them out."""
        log = self.log
        try:
            space = namespace.encode()
            name = key.encode()
        except (UnicodeEncodeError, AttributeError):
            refuse_names(namespace, key)
        head = _pack(
            now, log.acknowledged, at, len(space), len(name), len(control), len(payload), flags,
            len(vector), log.synced,
        ) + space + name + control + payload  # fmt: skip
        return head + vector if vector else head

    async def read(
        self,
        opcode: int,
        namespace: str = "",
        key: str = "",
        *,
        at: int = NOW,
        control: dict[str, Any] | None = None,
        payload: bytes = b"",
        flags: int = 0,
        vector: bytes | memoryview = b"",
        long: bool = False,
    ) -> Reply:
        """Carry out an operation that changes nothing.

        Args:
            opcode: Which operation.
            namespace: Namespace, or nothing.
            key: Key, or nothing.
            at: As-of time in microseconds.
            control: Options, as the opcode takes them.
            payload: Keys, id or bytes, as the opcode takes them.
            flags: Flags, as the opcode takes them.
            vector: float32 bytes.
            long: Whether it may take longer than the event loop should stand still.

        Raises:
            KoruDeltaError: Whatever the operation came to.
        """
        options = _json.options(control)
        request = self.request(namespace, key, at, options, payload, flags, 0, vector)
        reply = None if long else self.try_call(opcode, request)
        if reply is None:
            reply = await self.in_thread(self.call, opcode, request)
        if reply[0]:
            reply = await self.fetched(reply, opcode, request)
            if reply[0]:
                raise_error(reply, namespace, key, item="query")
        return reply

    def read_now(
        self,
        opcode: int,
        namespace: str = "",
        key: str = "",
        *,
        control: dict[str, Any] | None = None,
        payload: bytes = b"",
    ) -> Reply:
        """:meth:`read` without an event loop: waits for whoever holds the instance."""
        options = _json.options(control)
        reply = self.call(opcode, self.request(namespace, key, NOW, options, payload, 0))
        if reply[0]:
            raise_error(reply, namespace, key)
        return reply

    async def write(
        self,
        opcode: int,
        namespace: str = "",
        key: str = "",
        *,
        control: dict[str, Any] | None = None,
        payload: bytes = b"",
        flags: int = 0,
        vector: bytes | memoryview = b"",
        long: bool = False,
    ) -> Reply:
        """Carry out an operation that may change something, and wait until it is acknowledged.

        Args:
            opcode: Which operation.
            namespace: Namespace, or nothing.
            key: Key, or nothing.
            control: Options, as the opcode takes them.
            payload: Value, items or id, as the opcode takes them.
            flags: Flags, as the opcode takes them.
            vector: float32 bytes.
            long: Whether it may take longer than the event loop should stand still.

        Raises:
            KoruDeltaError: Whatever the operation came to.
        """
        options = _json.options(control)
        now = time_ns() // 1000
        request = self.request(namespace, key, NOW, options, payload, flags, now, vector)
        done = None if long else self.try_append(opcode, request)
        if done is None:
            done = await self.in_thread(self.append, opcode, request)
        reply, group = done
        if reply[0]:
            if reply[0] == Status.FETCH:
                reply, group = await self._append_fetched(opcode, request, reply)
            if reply[0]:
                await raise_refused(reply, group, namespace, key, blocking=self.blocking)
        if group is not None:
            if self.blocking:
                group.wait()
            else:
                await group
        return reply

    async def _append_fetched(
        self, opcode: int, request: bytes, reply: Reply
    ) -> tuple[Reply, Group | None]:
        """As :meth:`fetched`, of a write."""
        done = self._try_append_fetched(opcode, request, reply)
        if done is None:
            done = await self.in_thread(self.append, opcode, request)
        return done

    async def fetched(self, reply: Reply, opcode: int, request: bytes) -> Reply:
        """What a request comes to that had no answer yet.

        That is the same error, or the answer if it takes values of the past from the file.
        """
        if reply[0] != Status.FETCH:
            return reply
        found: Reply | None = None
        if self._lock.acquire(False):
            try:
                found = self._fetch_quickly(opcode, request, reply)
            finally:
                self._lock.release()
        if found is None:
            found = await self.in_thread(self.call, opcode, request)
        return found

    def _fetch_quickly(self, opcode: int, request: bytes, reply: Reply) -> Reply | None:
        """Fetch what a request takes if that is quick. The caller holds the instance."""
        fetcher = self._fetcher
        if fetcher is None or not fetcher.is_quick or self._stale:
            return None
        try:
            return fetcher.answer_quickly(self._host, opcode, request, reply)
        except InstanceLostError as error:
            raise self._lose(error) from error

    def try_call(self, opcode: int, request: bytes) -> Reply | None:
        """Call the instance now; None if that would mean to wait."""
        if self._stale or not self._lock.acquire(False):
            return None
        try:
            return self._host.call(opcode, request)
        except InstanceLostError as error:
            raise self._lose(error) from error
        finally:
            self._lock.release()

    def try_ask(self, opcode: int, namespace: str, payload: bytes) -> Reply | None:
        """:meth:`try_call` about what a namespace holds now, by the shortest way."""
        if self._stale or not self._lock.acquire(False):
            return None
        try:
            heads = self._heads
            moment = self.log.acknowledged
            if moment != heads.moment:
                heads.restart(moment)
            try:
                head = heads.kept[namespace][len(payload)]
            except KeyError:
                head = heads.make(namespace, len(payload))
            return self._host.call(opcode, head + payload)
        except InstanceLostError as error:
            raise self._lose(error) from error
        finally:
            self._lock.release()

    def call(self, opcode: int, request: bytes) -> Reply:
        """Call the instance, however long that takes."""
        with self._lock:
            if self._stale:
                self._rebuild()
            return self.call_held(self._host, opcode, request)

    def call_held(self, host: Host, opcode: int, request: bytes) -> Reply:
        """Call an instance that the caller holds, and fetch what that takes."""
        try:
            if self._fetcher is None:
                return host.call(opcode, request)
            return self._fetcher.answer(host, opcode, request)
        except InstanceLostError as error:
            raise self._lose(error) from error

    def try_append(self, opcode: int, request: bytes) -> tuple[Reply, Group | None] | None:
        """Carry out a write now; None if that would mean to wait."""
        if self._guarded:
            self._check_writable(opcode, len(request))
        if self._stale or not self._lock.acquire(False):
            return None
        try:
            return self._append(opcode, request)
        finally:
            self._lock.release()

    def append(self, opcode: int, request: bytes) -> tuple[Reply, Group | None]:
        """Carry out a write, however long that takes."""
        self._check_writable(opcode, len(request))
        with self._lock:
            if self._stale:
                self._rebuild()
            done = self._append(opcode, request)
            if done[0][0] == Status.FETCH:
                done = self._take(self.call_held(self._host, opcode, request))
            return done

    def _try_append_fetched(
        self, opcode: int, request: bytes, reply: Reply
    ) -> tuple[Reply, Group | None] | None:
        """Carry out a write that takes values of the past; None if that would mean to wait."""
        if not self._lock.acquire(False):
            return None
        try:
            found = self._fetch_quickly(opcode, request, reply)
            return None if found is None else self._take(found)
        finally:
            self._lock.release()

    def _take(self, reply: Reply) -> tuple[Reply, Group | None]:
        """Put a write's frames into the log. The caller has held the instance since."""
        if reply[3]:
            try:
                check_frames(reply, self.log.taken)
            except InstanceLostError as error:
                raise self._lose(error) from error
        if reply[0] == Status.CONFLICT:
            return reply, self.log.pending
        return reply, self.log.append(reply[3], reply[4])

    def _append(self, opcode: int, request: bytes) -> tuple[Reply, Group | None]:
        """Call the instance, and put a write's frames into the log in the engine's order."""
        try:
            reply = self._host.call(opcode, request)
        except InstanceLostError as error:
            raise self._lose(error) from error
        return self._take(reply)

    async def in_thread(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function that may take long: on a worker thread, if there are any, or blocking."""
        if self._stale and not self.blocking:
            await self.log.reach()
        if self.blocking or not HAS_THREADS:
            return function(*args, **kwargs)
        import asyncio  # Here: it takes longer to import than everything else of ours.

        loop = asyncio.get_running_loop()
        call = functools.partial(function, *args, **kwargs)
        return await loop.run_in_executor(worker_threads(), call)

    def _check_writable(self, opcode: int, size: int) -> None:
        log = self.log
        if isinstance(log, CommitLog) and not log.poisoned and log.end + size <= self._disk_room:
            return  # The way of nearly every write; if it is closed, the call itself says so.
        if not self.is_open:
            return
        if self.config.read_only:
            raise StorageError(
                f"{self.config.file_path} is open read-only",
                suggestion="open it without read_only to write",
            )
        if not isinstance(log, CommitLog):
            return
        self._refuse_poisoned()
        if opcode not in _SHRINKING:
            limit = self.config.max_disk_bytes
            raise LimitExceededError(
                f"the file would grow past Config.max_disk_mb, {limit} bytes; it has {log.end}",
                suggestion="raise Config.max_disk_mb; nothing was written",
            )

    # Vectors.

    def embed_rows(
        self, namespace: str, model: str, matrix: Matrix, items: EmbedItems
    ) -> Group | None:
        """Write versions with the rows of a matrix, in commits of bounded size.

        Each row is copied once, to where it will live. All are checked before the first is
        written. While a commit is synced, the next is made. Blocks, and holds the instance until
        everything is written; the last group is to be awaited.
        """
        group = None
        control = {"model": model, "dimension": matrix.dimension, "count": matrix.count}
        self._check_writable(op.EMBED_BATCH, 4 * matrix.count * matrix.dimension)
        with self._lock:
            if self._stale:
                self._rebuild()
            options = json.dumps(control).encode()
            request = self.request(namespace, "", NOW, options, b"", 0)
            try:
                reply = self._host.call(op.EMBED_RESERVE, request)
            except InstanceLostError as error:
                raise self._lose(error) from error
            if reply[0]:
                raise_error(reply, namespace)
            words = memoryview(reply[2]).cast("I").tolist()
            done = 0
            for address, size in zip(words[::2], words[1::2], strict=True):
                self._host.fill(address, matrix.read(done, size))
                done += size
            # Without a sync there is nothing to wait for on another thread.
            syncs = HAS_THREADS and isinstance(self.log, CommitLog) and self.log.waits_for_sync
            with OneBehind(worker_threads() if syncs else None) as written:
                for payload in items():
                    now = time_ns() // 1000
                    request = self.request("", "", NOW, b"", payload, 0, now)
                    reply, group = self._append(op.EMBED_BATCH, request)
                    if reply[0]:
                        raise_error(reply, namespace, item="row")
                    if group is not None:
                        written.add(group.wait)
        return group

    async def embed(self, namespace: str, model: str, matrix: Matrix, items: EmbedItems) -> None:
        """:meth:`embed_rows` on a worker thread, and until everything is acknowledged."""
        group = await self.in_thread(self.embed_rows, namespace, model, matrix, items)
        if group is not None and not group.done:
            await group
        self.maintain_in_background()

    def maintain_in_background(self) -> None:
        """Let what searches gain from be done in the background, soon, unless it is being done."""
        self._maintenance.begin()

    def _maintain(self, budget: int) -> bool:
        control = json.dumps({"budget": budget}).encode()
        reply = self.call(op.MAINTAIN, self.request("", "", NOW, control, b"", 0))
        return reply[0] != 0 or bool(reply[1] & op.REPLY_TRUE)

    # After a failure.

    def _refuse_poisoned(self) -> None:
        log = self.log
        if isinstance(log, CommitLog) and log.poisoned and log.failure is not None:
            raise StorageError(
                f"nothing is written after a failure: {log.failure.message}",
                suggestion="close the database and open it again: what was acknowledged is there",
            )

    def _lose(self, error: InstanceLostError) -> KoruDeltaError:
        """Give up an instance that trapped. With a file, the next call makes a new one."""
        self._host.close()
        lost = what_stopped(error, self.config.operation_timeout, in_memory=self.storage is None)
        if self.storage is not None:
            self._stale = True
        else:
            self._host = Refusal(KoruDeltaError(lost.message, suggestion=lost.suggestion))
        return lost

    def _rebuild(self) -> None:
        """Replace the instance by one with what the file holds.

        Raises:
            StorageError: If a sync failed before: what the file holds is not known.
        """
        self._refuse_poisoned()
        if isinstance(self.log, CommitLog):
            self.log.flush()  # What the lost instance handed over is written first.
        self._host.close()
        self.hot.clear()  # Sequences that were lost are given out again.
        self._host, sequence = self._load()
        if isinstance(self.log, CommitLog):
            self.log.restart(sequence)
        self._stale = False

    def adopt(self, host: Host, sequence: int) -> None:
        """Go on with another instance that holds the same. The caller holds the lock."""
        old, self._host = self._host, host
        old.close()
        self.hot.clear()
        self.log.restart(sequence)

    @property
    def head(self) -> str:
        """Hash of the latest commit."""
        reply = self.call(op.HEAD, pack())
        if reply[0]:
            raise_error(reply)
        return reply[2].decode()

    def memory_bytes(self) -> int:
        """Bytes of linear memory taken."""
        with self._lock:
            return self._host.memory_bytes

    @property
    def issues(self) -> tuple[str, ...]:
        """What keeps the database from doing its work, in words."""
        log = self.log
        issues = [] if self.upkeep is None else self.upkeep.issues
        if isinstance(log, CommitLog) and log.failure is not None:
            issues = [f"writing failed: {log.failure.message}", *issues]
        if getattr(self.storage, "is_displaced", False):
            issues = [DISPLACED, *issues]
        return tuple(issues)

    def abandon(self) -> None:
        """In a forked child: let go, and refuse."""
        error = DatabaseLockedError(
            f"the database was opened before a fork, by process {os.getppid()}",
            suggestion="open it in the process that uses it, after the fork",
        )
        self._lock = threading.Lock()
        self.log = NoLog()
        if self.upkeep is not None:
            self.upkeep.abandon()
        self._host = Refusal(error)
        if self.storage is not None:
            self.storage.abandon()
