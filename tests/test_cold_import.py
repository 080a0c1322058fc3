"""Importing the package costs little: what only some users need is loaded by those."""

from __future__ import annotations

import pytest
from processes import run_python


@pytest.mark.parametrize(
    "module",
    [
        *("numpy", "sqlite3", "multiprocessing"),
        *("koru_delta.memory", "koru_delta._results.reports", "koru_delta._results.changes"),
    ],
)
def test_importing_the_package_does_not_import(module: str) -> None:
    source = f"import sys, koru_delta; print({module!r} in sys.modules)"
    assert run_python(source) == "False"


def test_using_the_key_value_part_does_not_import_numpy() -> None:
    printed = run_python(
        """
        import sys
        from koru_delta import SyncDatabase
        with SyncDatabase() as db:
            db.put("a", "key", {"x": [1.5, None]})
            db.put("a", "bytes", b"x")
            assert db.get("a", "key") == {"x": [1.5, None]}
        print("numpy" in sys.modules)
        """
    )
    assert printed == "False"


def test_importing_writes_nothing_and_prints_nothing() -> None:
    assert run_python("import koru_delta") == ""


@pytest.mark.parametrize("enabled", [True, False])
def test_importing_leaves_the_collection_of_garbage_as_it_was(enabled: bool) -> None:
    source = "import gc, sys; gc.enable() if int(sys.argv[1]) else gc.disable()"
    assert run_python(f"{source}; import koru_delta; print(gc.isenabled())", f"{enabled:d}") == str(
        enabled
    )


@pytest.mark.parametrize("frozen", [True, False])
def test_what_importing_makes_is_not_looked_through(frozen: bool) -> None:
    printed = run_python(
        """
        import gc, sys
        import asyncio
        if int(sys.argv[1]):
            gc.freeze()
        before = gc.get_freeze_count()
        seen = []
        gc.callbacks.append(lambda phase, info: seen.append(len(gc.get_objects(0))))
        import koru_delta
        loops = [[] for _ in range(2000)]
        assert gc.get_freeze_count() == before
        print(bool(before) or max(seen, default=0) < 10_000)
        """,
        f"{frozen:d}",
    )
    assert printed == "True"
