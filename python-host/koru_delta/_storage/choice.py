"""Which storage and which log a database has, by its configuration and by where it runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from koru_delta._storage.base import DeferredStorage, Storage
from koru_delta._storage.commit_log import CommitLog, Listeners
from koru_delta._workers import HAS_THREADS, worker_threads

if TYPE_CHECKING:
    from koru_delta.config import Config


async def prepare_storage(config: Config) -> Storage | None:
    """A browser's storage of the database, which can only be awaited; None for any other."""
    path = config.file_path
    if path is None or HAS_THREADS:
        return None
    from koru_delta._storage.browser import open_kept

    return await open_kept(
        str(path),
        read_only=config.read_only,
        lock_timeout=config.lock_timeout,
        strict=config.sync_on_write,
    )


def open_storage(config: Config, prepared: Storage | None) -> Storage | None:
    """Where the log is, or will be; None in memory."""
    path = config.file_path
    if path is None or prepared is not None:
        return prepared or config.storage
    from koru_delta._storage.file import FileStorage  # Here: browsers have no use for it.

    return FileStorage(
        path,
        read_only=config.read_only,
        preallocate=config.enable_wal and config.sync_on_write,
        lock_timeout=config.lock_timeout,
    )


def open_log(
    storage: Storage,
    sequence: int,
    config: Config,
    on_failure: Callable[[], None],
    listeners: Listeners,
) -> CommitLog:
    """The end of a storage, ready to append after a frame; what recovery kept is durable."""
    if isinstance(storage, DeferredStorage):
        from koru_delta._storage.deferred_log import DeferredLog

        return DeferredLog(
            storage,
            sequence,
            wait=config.enable_wal,
            on_failure=on_failure,
            listeners=listeners,
        )
    log = CommitLog(
        storage,
        sequence,
        sync=config.enable_wal and config.sync_on_write,
        wait=config.enable_wal,
        executor=worker_threads() if HAS_THREADS else None,
        on_failure=on_failure,
        listeners=listeners,
    )
    log.sync()
    return log
