"""The code in the README runs, in order, as it stands."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

README = Path(__file__).parent.parent / "README.md"
FENCED = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks() -> list[tuple[int, str]]:
    """The python blocks of the README, each with the line that it begins on."""
    text = README.read_text(encoding="utf-8")
    return [(text[: m.start(1)].count("\n") + 1, m[1]) for m in FENCED.finditer(text)]


def test_the_readme_has_code_to_run() -> None:
    assert len(blocks()) > 0


def test_every_block_runs_after_the_ones_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    names: dict[str, Any] = {"__name__": "__readme__"}
    with asyncio.Runner() as runner:
        for line, block in blocks():
            source = "\n" * (line - 1) + block
            code = compile(source, str(README), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            if code.co_flags & inspect.CO_COROUTINE:
                runner.run(eval(code, names))
            else:
                exec(code, names)
