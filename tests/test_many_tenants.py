"""Many databases in one process: each for itself, and all of it given back."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from koru_delta import Config, Database, LimitExceededError, SyncDatabase

if TYPE_CHECKING:
    from pathlib import Path

TENANTS = 30
MIB = 1 << 20


@contextlib.contextmanager
def tenants(directory: Path | None, count: int = TENANTS, **fields: Any) -> Any:
    """Databases that are open at one time."""
    with contextlib.ExitStack() as stack:
        paths = [directory and directory / f"{i}.koru" for i in range(count)]
        yield [stack.enter_context(SyncDatabase(Config(path=path, **fields))) for path in paths]


def fill(db: SyncDatabase) -> None:
    """Writes until something is full."""
    for i in range(1000):
        db.put("a", f"{i}", "x" * 50_000)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def address_space_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("place", ["memory", "file"])
def test_tenants_see_nothing_of_each_other(tmp_path: Path, place: str) -> None:
    with tenants(tmp_path if place == "file" else None) as databases:
        for i, db in enumerate(databases):
            db.put("a", "key", i)
            db.put("a", f"own-{i}", "x" * i)
        for i, db in enumerate(databases):
            assert db.list_keys("a") == sorted(["key", f"own-{i}"])
            assert db.get("a", "key") == i
        heads = {db.head for db in databases}
        assert len(heads) == TENANTS, "each has its own chain"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_closing_gives_everything_back(tmp_path: Path) -> None:
    def round_() -> tuple[int, int, int]:
        with tenants(tmp_path) as databases:
            for db in databases:
                db.put("a", "key", "x" * 1000)
        gc.collect()
        return open_files(), threading.active_count(), address_space_bytes()

    round_()
    before = round_()
    for _ in range(3):
        after = round_()
    assert after[:2] <= before[:2]
    # An instance reserves gigabytes of addresses: one that stayed would show.
    assert after[2] - before[2] < 64 * MIB


def test_a_tenant_at_its_memory_cap_disturbs_no_other() -> None:
    with tenants(None, max_memory_mb=8) as databases:
        full = databases[0]
        with pytest.raises(LimitExceededError):
            fill(full)
        for i, db in enumerate(databases[1:]):
            db.put("a", "key", "y" * 100_000)
            assert len(db.get("a", "key")) == 100_000, i
        assert len(full.list_keys("a")) > 10, "and what it has it can read"


def test_a_tenant_at_its_disk_cap_disturbs_no_other(tmp_path: Path) -> None:
    with tenants(tmp_path, 5, max_disk_mb=1) as databases:
        with pytest.raises(LimitExceededError):
            fill(databases[0])
        for db in databases[1:]:
            db.put("a", "key", "y" * 50_000)


async def test_a_tenant_at_its_deadline_disturbs_no_other() -> None:
    values = [("a", f"{i:05}", {"text": "a" * 200}) for i in range(20_000)]
    async with Database(Config(operation_timeout=0.02)) as slow, Database() as other:
        stopped = False
        for _ in range(20):
            try:
                await slow.put_batch(values)
                await slow.query("a", {"text": {"$regex": "(a|aa)+(a|aa)+b"}})
            except LimitExceededError as error:
                stopped = "operation_timeout" in str(error)
                break
            await other.put("a", "meanwhile", 1)
        assert stopped
        await other.put("a", "key", 2)
        assert await other.get("a", "key") == 2
        assert (await other.verify()).ok


def test_a_tenant_whose_engine_stopped_disturbs_no_other() -> None:
    with tenants(None, 6) as databases:
        for db in databases:
            db.put("a", "key", 1)
        host: Any = databases[0]._database._session._host
        host._lose("a trap, as far as the host can tell")
        with pytest.raises(Exception, match="engine stopped"):
            databases[0].list_keys("a")
        for db in databases[1:]:
            db.put("a", "key", 2)
            assert db.get("a", "key") == 2
