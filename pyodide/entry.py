"""What the drivers for node and for Chromium run inside Pyodide: suites of `tests/`.

    result = await run(["quick"], storage="opfs", name="chromium-opfs")

The suites are functions of (host, storage); `KORU_KEPT_IN`, which the drivers set, is the storage.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from suite import run_suites

ROOT = "/repo"
# What CI runs on every host and storage, in about a minute each.
QUICK = [
    "test_batch", "test_causality", "test_conflict", "test_conformance", "test_erase",
    "test_golden_log", "test_keyvalue", "test_limits", "test_vector_buffers", "test_watch",
]  # fmt: skip
# The suites over (host, storage) that need neither numpy nor wasmtime.
SHARED = [
    *QUICK, "test_aggregate", "test_as_of", "test_concurrency", "test_diff", "test_equal_values",
    "test_found", "test_history", "test_hybrid", "test_indexes", "test_memory",
    "test_memory_consolidation", "test_memory_recall", "test_memory_undoing", "test_names",
    "test_query", "test_query_errors", "test_rag_refusals", "test_rag_retrieval", "test_search",
    "test_values", "test_views",
]  # fmt: skip
SETS = {"quick": QUICK, "shared": SHARED}


def _is_of_a_backend(kept_only: bool) -> Any:
    """Which tests a run takes: those over a database, and in a browser's storage only its own."""

    def only(item: Any) -> bool:
        names = set(item._fixtureinfo.names_closure)
        if kept_only:
            return "open_file" in names or (
                "backend" in names and "memory" not in str(item.callspec.params["backend"])
            )
        return bool(names & {"backend", "host"}) or "db" in names

    return only


async def run(suites: list[str], *, name: str, kept_only: bool = False) -> dict[str, Any]:
    """Run sets of suites, or suites by their name; counts, a summary and junit XML.

    Args:
        suites: Names of `SETS`, or of files without their suffix.
        name: Of the run, in the XML.
        kept_only: Leave out what runs in memory.
    """
    sys.dont_write_bytecode = True
    os.chdir(f"{ROOT}/tests")
    names = [file for suite in suites for file in SETS.get(suite, [suite])]
    files = [f"{file}.py" for file in dict.fromkeys(names)]
    options = ["-c", f"{ROOT}/pyodide/pytest.ini", f"--rootdir={ROOT}"]
    report = await run_suites([*options, *files], only=_is_of_a_backend(kept_only))
    return {
        "passed": report.count("passed"),
        "failed": report.count("failed"),
        "skipped": report.count("skipped"),
        "summary": report.summary(),
        "junit": report.junit(name),
    }
