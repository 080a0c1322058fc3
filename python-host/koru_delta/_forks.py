"""Sessions that are open in this process, and what becomes of them in a forked child."""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING

from koru_delta._workers import forget_workers

if TYPE_CHECKING:
    from koru_delta._session import Session

open_sessions: weakref.WeakSet[Session] = weakref.WeakSet()


def _abandon_sessions() -> None:
    # Memory is copied by a fork; locks, threads and the right to write are not.
    for session in list(open_sessions):
        session.abandon()
    forget_workers()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_abandon_sessions)
