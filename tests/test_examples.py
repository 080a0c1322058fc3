"""The examples run from the first line to the last."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


def test_there_are_examples() -> None:
    assert (EXAMPLES / "01_quickstart.py").is_file()


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("[0-9]*.py")), ids=lambda p: p.name)
def test_an_example_runs(example: Path, tmp_path: Path) -> None:
    finished = subprocess.run(
        [sys.executable, str(example), str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.strip()
