"""The npm package, from outside: what is in it, and that it and CPython share their files.

`make edge` runs this after it has installed the package in `.build/npm/user`.
"""

from __future__ import annotations

import json
import subprocess
import tarfile
from pathlib import Path

import pytest

from koru_delta import SyncDatabase

ROOT = Path(__file__).resolve().parents[2]
USER = ROOT / ".build" / "npm" / "user"
PACKAGE = ROOT / "dist" / "koru-delta-2.0.0.tgz"
MAX_BYTES = 450_000
UNTYPED = {"arguments", "instance", "load", "protocol", "short", "web"}
"""Modules that nobody can import, of whose types no other speaks."""


def test_the_package_holds_what_it_needs_and_nothing_else() -> None:
    with tarfile.open(PACKAGE) as archive:
        names = {name.removeprefix("package/") for name in archive.getnames()}
        manifest = json.load(archive.extractfile("package/package.json") or b"")  # type: ignore[arg-type]
    sources = {path.name.split(".")[0] for path in (ROOT / "core-wasm/js/src").glob("*.ts")}
    modules = sources - {"glue", "koru_delta_core"}
    expected = {"package.json", "README.md", "LICENSE-MIT", "LICENSE-APACHE"}
    expected |= {"dist/glue.js", "dist/koru_delta_core.wasm"}
    expected |= {f"dist/{name}.js" for name in modules}
    expected |= {f"dist/{name}.d.ts" for name in modules - UNTYPED}
    expected |= {
        f"dist/entry/{name}{suffix}"
        for name in ("node", "browser", "workerd")
        for suffix in (".js", ".d.ts")
    }
    assert names == expected
    assert "devDependencies" not in manifest
    assert "dependencies" not in manifest
    targets = json.dumps(manifest["exports"])
    named = {part for part in targets.split('"') if part.startswith("./dist")}
    assert {part.removeprefix("./") for part in named} <= names
    conditions = list(manifest["exports"]["."])
    assert conditions == ["types", "workerd", "deno", "bun", "node", "browser", "default"]


def test_the_package_is_small() -> None:
    assert PACKAGE.stat().st_size <= MAX_BYTES


@pytest.mark.parametrize("kind", ["opfs", "indexeddb"])
def test_the_log_of_a_browser_is_a_file(kind: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy.koru"
    copy.write_bytes((ROOT / ".build" / "npm" / "browser" / f"{kind}.koru").read_bytes())
    with SyncDatabase(copy) as db:
        assert db.verify().ok
        assert db.get("users", "alice") == {"age": 31, "id": 2**60}
        assert db.get("users", "bob") == 1
        assert len(db.list_keys("many")) == 500


def test_a_database_goes_from_cpython_to_node_and_back(tmp_path: Path) -> None:
    source, target = tmp_path / "python.koru", tmp_path / "node.koru"
    with SyncDatabase(source) as db:
        db.put("values", "large", [2**64 - 1, -(2**63), 2**53 - 1, 0.1])
        db.put("values", "bytes", b"\0\xff")
        db.embed("notes", "mars", [1, 0, 0.5], {"text": "red planet"})
        db.embed("notes", "venus", [0.5, 1, 0], {"text": "bright planet planet"})
        memory = db.agent_memory("assistant")
        memory.facts.learn("alice.home", "Alice lives in Berlin")
        memory.recall("Alice")
        memory.recall("Where is Berlin?")
    done = subprocess.run(
        ["node", "exchange.mjs", str(source), str(target)], cwd=USER, capture_output=True,
        text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    with SyncDatabase(target) as db:
        assert db.verify().ok
        assert db.head == told["head"]
        assert db.get("values", "from node") == {"id": 2**63, "float": 1.5, "text": "\U0001f600"}
        assert [match.key for match in db.similar("notes", [-1.0, 0.0, 0.0], top_k=1)] == ["pluto"]
        memory = db.agent_memory("assistant")
        [home] = memory.recall("Where does Alice live?", memory_type="fact")
        assert home.content == "Alice lives in Lisbon"
        assert home.access_count == 4  # Counted on both sides.
        assert home.tags == ["home"]
        assert [version.key for version in memory.lineage(home)] == [told["said"]]
        [greet] = memory.recall("hello", memory_type="procedure")
        assert (greet.steps, greet.success_rate) == (["say hello"], 0.5)
        assert memory.procedures.record_outcome("greet", True) == 0.75
