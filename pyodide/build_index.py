"""Puts one folder together from which Pyodide runs without a network.

    build_index.py FOLDER --runtime node_modules/pyodide --wheels FOLDER WHEEL...

The folder then holds Pyodide's runtime, the wheels, a `pyodide-lock.json` that lists them with
their hashes (for `loadPyodide({packages: [...]})`), and `simple/`, an index as PEP 503 has it (for
`micropip.install`). `tests.zip` has the suites of this project. Pyodide's own lock file knows its
own distribution's wheels only; the part of it that says which runtime it is for is kept.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shutil
import sys
import zipfile
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

RUNTIME = ["pyodide.asm.mjs", "pyodide.asm.wasm", "pyodide.mjs", "python_stdlib.zip"]
NAME_END = re.compile(r"[^A-Za-z0-9._-]")


def normalized(name: str) -> str:
    """A name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def dependencies(requirements: list[str]) -> list[str]:
    """What a wheel needs under Emscripten: its requirements without a condition."""
    found = []
    for requirement in requirements:
        name, _, marker = requirement.partition(";")
        if "extra" in marker or "sys_platform" in marker or "python_version" in marker:
            continue
        if "platform_" in marker or "implementation" in marker:
            continue
        found.append(normalized(NAME_END.split(name.strip())[0]))
    return found


def describe(wheel: Path) -> dict[str, Any]:
    """A wheel's entry of the lock file."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = [name for name in names if name.endswith(".dist-info/METADATA")]
        headers = HeaderParser().parsestr(archive.read(metadata).decode())
    imports = sorted(
        {
            name.split("/")[0].removesuffix(".py")
            for name in names
            if name.endswith(".py") and ".dist-info" not in name and ".data/" not in name
        }
    )
    return {
        "name": normalized(headers["Name"]),
        "version": headers["Version"],
        "file_name": wheel.name,
        "install_dir": "site",
        "sha256": hashlib.sha256(wheel.read_bytes()).hexdigest(),
        "package_type": "package",
        "imports": imports,
        "depends": dependencies(headers.get_all("Requires-Dist") or []),
        "unvendored_tests": False,
    }


def write_lock(folder: Path, runtime: Path, entries: list[dict[str, Any]]) -> None:
    """The lock file of the wheels here; a dependency that is not here is an error."""
    packages = {entry["name"]: entry for entry in sorted(entries, key=lambda entry: entry["name"])}
    for entry in entries:
        if missing := set(entry["depends"]) - packages.keys():
            sys.exit(
                f"build_index: {entry['name']} needs {', '.join(sorted(missing))}: add a wheel"
            )
    info = json.loads((runtime / "pyodide-lock.json").read_text(encoding="utf-8"))["info"]
    text = json.dumps({"info": info, "packages": packages}, indent=1)
    (folder / "pyodide-lock.json").write_text(text + "\n", encoding="utf-8")


def write_simple_index(folder: Path, entries: list[dict[str, Any]]) -> None:
    """Pages of an index: one for each package, with a link to its wheel."""
    for entry in entries:
        place = folder / "simple" / entry["name"]
        place.mkdir(parents=True, exist_ok=True)
        link = f"../../{entry['file_name']}#sha256={entry['sha256']}"
        page = f'<!DOCTYPE html>\n<a href="{link}">{entry["file_name"]}</a>\n'
        (place / "index.html").write_text(page, encoding="utf-8")


def write_tests(folder: Path, root: Path) -> None:
    """The suites and what they read, for the interpreter to unpack."""
    files = [
        *root.glob("tests/*.py"),
        *root.glob("tests/vectors/*.json"),
        *(path for path in root.glob("tests/fixtures/**/*") if path.is_file()),
        *root.glob("core-wasm/src/*.rs"),
        *(root / "pyodide" / name for name in ("entry.py", "suite.py", "pytest.ini")),
    ]
    with zipfile.ZipFile(folder / "tests.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(files):
            archive.write(path, path.relative_to(root))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runtime", type=Path, required=True)
    parser.add_argument("--wheels", type=Path, required=True)
    parser.add_argument("wheel", type=Path, nargs="+")
    options = parser.parse_args()
    shutil.rmtree(options.folder, ignore_errors=True)
    options.folder.mkdir(parents=True)
    for name in RUNTIME:
        shutil.copy(options.runtime / name, options.folder)
    entries = []
    for wheel in [*sorted(options.wheels.glob("*.whl")), *options.wheel]:
        shutil.copy(wheel, options.folder)
        entries.append(describe(wheel))
    write_lock(options.folder, options.runtime, entries)
    write_simple_index(options.folder, entries)
    write_tests(options.folder, Path(__file__).parent.parent)


if __name__ == "__main__":
    main()
