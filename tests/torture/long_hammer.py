"""Processes, forks and threads at one file, for long."""

from __future__ import annotations

import tempfile
from pathlib import Path

from processes import run_python
from test_fork_and_cancel import FORKS
from test_linearizable import hammer


def run(count: int, seed: int) -> str:
    """That many rounds of five processes, some of which die, and of forks among threads."""
    operations = 0
    with tempfile.TemporaryDirectory() as directory:
        for round_ in range(count):
            operations += hammer(Path(directory) / f"{round_}.koru", processes=5, rounds=10)
            assert run_python(FORKS, Path(directory) / f"forks-{round_}.koru", "10") == "done"
    return (
        f"{operations} operations of {5 * count} processes, every key's history linearizable; "
        f"{10 * count} forks among writing threads"
    )
