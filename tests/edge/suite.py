"""The module on many runtimes: the conformance vectors, and a database that goes there and back.

`make edge` runs this after it has set the runtimes up. With KORU_WRITE_TABLE what passed is written
into the README.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

import pytest
from runtimes import HOSTS, ROOT, RUNTIMES, Runtime

from koru_delta import SyncDatabase

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_HOST_LINES = 150
NOTES = {
    "mars": ("red planet", [1, 0, 0.5]),
    "venus": ("bright planet planet", [0.5, 1, 0]),
    "jazz": ("blue note", [0, -1, 2]),
}
Rows = dict[str, dict[str, str]]


@pytest.fixture(scope="module")
def rows() -> Iterator[Rows]:
    """What was found of each runtime; at the end a table of it."""
    found: Rows = {}
    yield found
    if os.environ.get("KORU_WRITE_TABLE"):
        write_table(found)


@pytest.mark.parametrize("runtime", RUNTIMES, ids=str)
def test_the_vectors_hold(runtime: Runtime, rows: Rows) -> None:
    found = runtime.run_vectors()
    assert found["wrong"] == []
    documents = list((ROOT / "tests" / "vectors").glob("*.json"))
    assert found["files"] == len(documents)
    row = rows.setdefault(runtime.name, {"version": runtime.version().strip()})
    row["vectors"] = f"{found['steps']} of {found['steps']}"


@pytest.mark.parametrize("runtime", [one for one in RUNTIMES if one.visit], ids=str)
def test_a_database_goes_there_and_back(runtime: Runtime, rows: Rows, tmp_path: Path) -> None:
    source, target = tmp_path / "from-python.koru", tmp_path / "from-host.koru"
    with SyncDatabase(source) as db:
        db.put("users", "alice", {"age": 30})
        db.put("users", "alice", {"age": 31})
        for key, (text, vector) in NOTES.items():
            db.embed("notes", key, vector, text)
        before = db.head
    assert runtime.visit is not None
    found = runtime.visit(source, target)
    assert found == {
        "user": {"age": 31}, "search": ["venus", "mars"], "similar": ["mars", "venus", "jazz"]
    }  # fmt: skip
    with SyncDatabase(target) as db:
        assert db.verify().ok
        ages = [version.value for version in db.history("users", "alice")]
        assert ages[:2] == [{"age": 30}, {"age": 31}]
        assert ages[2]["age"] == 31
        assert len(ages) == 3
        assert db.head != before
        db.put("users", "alice", {"age": 32})  # Python goes on where the host ended.
    rows.setdefault(runtime.name, {"version": runtime.version().strip()})["back"] = "yes"


def test_each_host_is_short() -> None:
    shared = ["koru.mjs"]
    hosts: list[list[str]] = [[*shared, "node.mjs"], [*shared, "deno.ts"], [*shared, "worker.mjs"]]
    for files in [*hosts, ["wasmtime_host.py"], ["go/main.go"]]:
        lines = sum(len((HOSTS / file).read_text("utf-8").splitlines()) for file in files)
        assert lines < MAX_HOST_LINES, files


def write_table(rows: Rows) -> None:
    """Put what was found into the README's table; rows of what did not run stay as they are."""
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    mark = re.compile(r"(<!-- made by make edge -->\n).*?(<!-- end -->)", re.DOTALL)
    place = mark.search(text)
    assert place, "the README has no place for the table"
    before = re.findall(
        r"^\| ([\w ]+) \| ([^|]*) \| (\d[^|]*) \| (\w*) *\|$", place[0], re.MULTILINE
    )
    found = {name: {"version": v, "vectors": n, "back": back} for name, v, n, back in before} | rows
    lines = ["| runtime | version | vectors | a file from CPython, there and back |"]
    lines.append("|---|---|---|---|")
    for runtime in RUNTIMES:
        row: dict[str, Any] = found.get(runtime.name, {})
        cells = [row.get(name, "") for name in ("version", "vectors", "back")]
        lines.append(f"| {' | '.join([runtime.name, *cells])} |")
    table = "\n".join(lines)
    readme.write_text(mark.sub(rf"\g<1>\n{table}\n\n\g<2>", text), encoding="utf-8")
