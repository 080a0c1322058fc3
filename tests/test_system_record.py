"""By the system's own record, every acknowledgement follows a sync that covers it."""

from __future__ import annotations

import shutil

import pytest
from system_record import Trace, trace_of

STRACE = shutil.which("strace")
PUTS = 64


def record(mode: str) -> Trace:
    if STRACE is None:
        pytest.skip("strace is not installed")
    trace = trace_of(STRACE, PUTS, mode)
    if isinstance(trace, str):
        pytest.skip(trace)
    return trace


def test_each_acknowledgement_follows_a_sync_that_covers_it() -> None:
    trace = record("sync")
    assert trace.acknowledged == set(range(PUTS))
    assert PUTS // 16 < trace.syncs <= trace.written + 2


def test_the_record_shows_an_acknowledgement_without_a_sync() -> None:
    with pytest.raises(AssertionError, match="was acknowledged before its sync"):
        record("no-sync")
