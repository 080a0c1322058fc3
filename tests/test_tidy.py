"""The house rules that no other tool checks: who imports whom, and what is in the files."""

from __future__ import annotations

import ast
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
ENGINE = ROOT / "core-wasm" / "src"
PACKAGE = ROOT / "python-host" / "koru_delta"
MAX_LINES = 600
SOURCES = {".rs", ".py", ".sh", ".js", ".mjs", ".ts"}
TEXTS = SOURCES | {".md", ".toml", ".json", ".html", ".css", ".yml", ".yaml", ".txt", ""}

# A folder of the engine may use those of a lower rank, and itself.
ENGINE_RANKS = {
    "abi": 7, "dispatch": 6, "db": 5, "text": 4, "index": 4, "query": 3, "vector": 3, "log": 2,
    "codec": 1,
}  # fmt: skip
ENGINE_LEAVES = {"error", "float", "limits", "protocol", "sort"}


@cache
def tracked_files() -> list[Path]:
    """The files under version control that are there."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("this is not a repository")
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def tracked_texts(suffixes: set[str]) -> Iterator[tuple[str, str]]:
    """Names and contents of tracked files of some kinds."""
    for path in tracked_files():
        if path.suffix in suffixes and "seeds" not in path.parts:
            yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")


# Who imports whom.


def engine_folder(path: Path) -> str:
    return path.relative_to(ENGINE).parts[0].removesuffix(".rs")


def uses_of_the_engine(path: Path) -> set[str]:
    """The top folders that a file names in its code, not in its documentation."""
    code = re.sub(r"//.*", "", path.read_text(encoding="utf-8"))
    found = set(re.findall(r"\bcrate::(\w+)", code))
    for group in re.findall(r"\bcrate::\{([^;]*)\}", code):
        found |= set(re.findall(r"(?:^|,)\s*(\w+)", re.sub(r"\{[^}]*\}", "", group)))
    return found


def test_the_folders_of_the_engine_import_one_way() -> None:
    def may_use(folder: str, used: str) -> bool:
        return folder not in ENGINE_LEAVES and ENGINE_RANKS[used] < ENGINE_RANKS[folder]

    wrong = [
        f"{path.relative_to(ROOT)} uses {used}"
        for path in sorted(ENGINE.rglob("*.rs"))
        if (folder := engine_folder(path)) != "lib" and "tests" not in path.parts
        for used in uses_of_the_engine(path) - ENGINE_LEAVES - {folder}
        if not may_use(folder, used)
    ]
    assert wrong == []


def test_every_folder_of_the_engine_has_a_rank() -> None:
    folders = {engine_folder(path) for path in ENGINE.rglob("*.rs")} - {"lib"}
    assert folders <= ENGINE_RANKS.keys() | ENGINE_LEAVES


def test_unsafe_code_stands_in_the_abi_and_the_kernels_only() -> None:
    unsafe = {
        str(path.relative_to(ENGINE))
        for path in ENGINE.rglob("*.rs")
        if re.search(r"\bunsafe\b", re.sub(r"//.*", "", path.read_text(encoding="utf-8")))
    }
    assert {name for name in unsafe if not name.startswith(("abi/", "vector/kernels/"))} == set()


MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
    for path in PACKAGE.rglob("*.py")
    if path.stem != "__init__"
}
LEAVES = {"config", "errors", "results"}


def layer(module: str) -> str:
    """Where a module of the package stands."""
    first = module.split(".")[0]
    if first == "storage":  # The public name of what _storage holds.
        return "_storage"
    if first in ("_loading", "_fetching"):  # Parts of an open database.
        return "_session"
    named = ("_hosts", "_storage", "_session", "_upkeep", "_operations", "_memory", "_rag")
    if first in named:
        return first
    return "leaf" if first in LEAVES or first.startswith("_") else "public"


# What each layer may import, besides itself.
ALLOWED = {
    "leaf": set[str](),
    "_storage": {"leaf"},
    "_hosts": {"leaf"},
    "_session": {"leaf", "_storage", "_hosts"},
    "_upkeep": {"leaf", "_storage", "_hosts", "_session"},
    "_operations": {"leaf", "_session", "_upkeep"},
    # On top of the database's public methods, which they are given an object with.
    "_memory": {"leaf"},
    "_rag": {"leaf"},
    "public": {"leaf", "_session", "_upkeep", "_operations", "_memory", "_rag"},
}


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """What a module imports, and whether only to check types."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    checked = [
        node
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    ]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node in checked
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node in checked


def imported_module(name: str) -> str | None:
    """The module of the package that an imported name is, or is in; None for others."""
    if not name.startswith("koru_delta."):
        return None
    parts = name.split(".")[1:]
    candidates = (".".join(parts[:end]) for end in range(len(parts), 0, -1))
    return next((module for module in candidates if module in MODULES), "__init__")


def test_the_modules_of_the_package_import_one_way() -> None:
    wrong = []
    for module, path in sorted(MODULES.items()):
        for name, only_types in imports(path):
            used = imported_module(name)
            if used is None or only_types:
                continue
            if layer(used) not in ALLOWED[layer(module)] | {layer(module)}:
                wrong.append(f"{module} imports {used}")
    assert wrong == []


def test_only_hosts_know_wasmtime() -> None:
    wrong = [
        module
        for module, path in MODULES.items()
        if layer(module) != "_hosts"
        for name, _ in imports(path)
        if name.split(".")[0] == "wasmtime"
    ]
    assert wrong == []


def test_storage_and_hosts_know_nothing_of_those_above() -> None:
    for module, path in MODULES.items():
        if layer(module) in ("_hosts", "_storage"):
            used = {imported_module(name) for name, _ in imports(path)} - {None}
            assert {layer(name) for name in used if name} <= {layer(module), "leaf"}, module


@pytest.mark.parametrize("file", ["core-wasm/src/lib.rs", "python-host/koru_delta/__init__.py"])
def test_the_front_doors_hold_documentation_and_names_only(file: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    definition = re.compile(
        r"^\s*(def|class|async def|(pub )?(fn|struct|enum|impl)) ", re.MULTILINE
    )
    assert definition.search(text) is None


# What is in the files.


def test_no_source_file_is_too_long() -> None:
    texts = tracked_texts(SOURCES)
    written = {name: text for name, text in texts if not text.startswith("//! Generated")}
    lines = {name: text.count("\n") for name, text in written.items()}
    assert {name: count for name, count in lines.items() if count > MAX_LINES} == {}
    assert len(lines) > 50


def test_functions_of_the_engine_are_kept_short_by_clippy() -> None:
    assert "too-many-lines-threshold = 70" in (ROOT / "core-wasm" / "clippy.toml").read_text()
    assert 'too_many_lines = "deny"' in (ROOT / "core-wasm" / "Cargo.toml").read_text()


def test_no_file_names_a_place_of_somebodys_machine() -> None:
    place = re.compile(r"(?<![\w.*])/(?:work|root|Users|home)/\w[^\s\"'`)]*|[A-Z]:\\Users\\")
    found = {name: m[0] for name, text in tracked_texts(TEXTS) if (m := place.search(text))}
    assert found == {}


def test_nothing_is_left_to_be_done() -> None:
    marks = ("TO" + "DO", "FIX" + "ME", "XX" + "X")
    mark = re.compile(rf"\b(?:{'|'.join(marks)})\b")
    found = {
        name: m[0] for name, text in tracked_texts(SOURCES | {".md"}) if (m := mark.search(text))
    }
    assert found == {}


def test_every_command_of_the_documents_is_in_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][\w-]*):", makefile, re.MULTILINE))
    for document in ("README.md", "ARCHITECTURE.md"):
        text = (ROOT / document).read_text(encoding="utf-8")
        named = set(re.findall(r"(?:`|^ {4}|^\$ )make\s+([a-z][\w-]*)", text, re.MULTILINE))
        assert named, document
        assert named <= targets, document


def test_every_target_that_is_listed_is_in_the_readme() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    listed = set(re.findall(r"^([a-z][\w-]*):.*## ", makefile, re.MULTILINE)) - {"help"}
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert {target for target in listed if f"make {target}" not in readme} <= {"module"}
