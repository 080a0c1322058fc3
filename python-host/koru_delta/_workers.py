"""The process's worker threads: one pool for all databases."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

_executor_lock = threading.Lock()
_executor: ThreadPoolExecutor | None = None


def worker_threads() -> ThreadPoolExecutor:
    """The process's worker threads, started when first needed."""
    from concurrent.futures import ThreadPoolExecutor

    global _executor
    with _executor_lock:
        if _executor is None:
            _executor = ThreadPoolExecutor(thread_name_prefix="koru-delta")
        return _executor


def forget_workers() -> None:
    """In a forked child: threads did not come along."""
    global _executor
    _executor = None
