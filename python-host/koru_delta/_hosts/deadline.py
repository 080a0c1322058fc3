"""A clock that code inside an instance cannot ignore.

wasmtime checks an epoch counter in every loop and function of the guest. One thread a process
raises it every :data:`TICK_SECONDS` while any instance is open; each instance sets, at the first
call after a tick, how many ticks it may live through.
"""

from __future__ import annotations

import os
import threading
from typing import Final

import wasmtime

TICK_SECONDS: Final = 0.02


class EpochClock:
    """Ticks for one engine while somebody holds it."""

    def __init__(self, engine: wasmtime.Engine) -> None:
        """Prepare; the thread starts with the first ``acquire``."""
        self.ticks = 0
        self._engine = engine
        self._holders = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget_thread)

    def acquire(self) -> None:
        """Keep the clock ticking until ``release``."""
        with self._lock:
            self._holders += 1
            if self._holders == 1:
                self._stop = threading.Event()
                thread = threading.Thread(
                    target=self._run, args=(self._stop,), name="koru-delta-epoch", daemon=True
                )
                thread.start()

    def release(self) -> None:
        """Let the clock stop if nobody else holds it."""
        with self._lock:
            self._holders -= 1
            if self._holders == 0:
                self._stop.set()

    def _run(self, stop: threading.Event) -> None:
        while not stop.wait(TICK_SECONDS):
            self._engine.increment_epoch()
            self.ticks += 1

    def _forget_thread(self) -> None:
        # Threads do not survive a fork. Instances of the parent are refused in the child, so
        # nobody holds the clock there.
        self._lock = threading.Lock()
        self._holders = 0
