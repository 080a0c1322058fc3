"""The system's own record: every acknowledgement follows a successful fdatasync that covers it."""

from __future__ import annotations

import shutil

from system_record import trace_of


def run(count: int, seed: int) -> str:
    """That many puts under strace."""
    strace = shutil.which("strace")
    if strace is None:
        return "skipped: strace is not installed (Debian: apt-get install strace)"
    trace = trace_of(strace, count, "sync")
    if isinstance(trace, str):
        return trace
    assert len(trace.acknowledged) >= count, "acknowledgements are missing from the record"
    assert trace.syncs > count // 16
    return (
        f"{len(trace.acknowledged)} acknowledgements, each after a sync that covers it; "
        f"{trace.written} writes, {trace.syncs} syncs"
    )
