"""Running a piece of Python in another process, and talking with it."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TIMEOUT_SECONDS = 60
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork")


def run_python(source: str, *arguments: str | Path) -> str:
    """Runs a script to its end, which must be a good one, and returns what it printed."""
    finished = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(source), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.strip()


@contextmanager
def another_process_holding(path: Path) -> Iterator[int]:
    """Another process has the database at `path` open; gives its pid."""
    source = """
        import os, sys
        from koru_delta import SyncDatabase
        with SyncDatabase(sys.argv[1]) as db:
            db.put("held", "by", os.getpid())
            print("open", flush=True)
            sys.stdin.read()
    """
    child = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(source), str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "open\n"
        yield child.pid
    finally:
        child.communicate(timeout=TIMEOUT_SECONDS)
    assert child.returncode == 0
