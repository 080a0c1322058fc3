"""The code in the documents runs, in order, as it stands; what they name is there."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import textwrap
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted((ROOT / "docs").glob("*.md"))
FENCED = re.compile(r"^ *```python\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


def blocks(document: Path) -> list[tuple[int, str]]:
    """The python blocks of a document, each with the line that it begins on."""
    text = document.read_text(encoding="utf-8")
    return [
        (text[: m.start(1)].count("\n") + 1, textwrap.dedent(m[1])) for m in FENCED.finditer(text)
    ]


def test_there_are_documents_with_code_to_run() -> None:
    assert any(blocks(document) for document in DOCUMENTS)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_every_block_runs_after_the_ones_before(
    document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    names: dict[str, Any] = {"__name__": "__document__"}
    with asyncio.Runner() as runner:
        for line, block in blocks(document):
            source = "\n" * (line - 1) + block
            code = compile(source, str(document), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            if code.co_flags & inspect.CO_COROUTINE:
                runner.run(eval(code, names))
            else:
                exec(code, names)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_the_readme_leads_to_every_document(document: Path) -> None:
    assert f"(docs/{document.name})" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_the_tests_that_a_document_names_are_there(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    files = {path.name for path in (ROOT / "tests").rglob("*.py")}
    assert set(re.findall(r"\b(test_\w+\.py)\b", text)) <= files
    sources = "".join(path.read_text() for path in (ROOT / "core-wasm" / "src").rglob("*.rs"))
    for name in re.findall(r"`(a_\w+)` in `[\w/]+\.rs`", text):
        assert f"fn {name}()" in sources, name


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_the_commands_of_a_document_are_in_the_makefile(document: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][\w-]*):", makefile, re.MULTILINE))
    text = document.read_text(encoding="utf-8")
    assert set(re.findall(r"`make ([a-z][\w-]*)", text)) <= targets
