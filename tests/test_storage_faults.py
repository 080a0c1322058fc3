"""An I/O error is a clean error: nothing acknowledged is lost, nothing half-written is seen."""

from __future__ import annotations

import errno
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest
from faulty_os import OTHERS, SYNCS, WRITES, faulty_os
from files import content_of, write_content
from json_values import deep_document
from opening import open_and_close_async
from processes import run_python

from koru_delta import Config, Database, KoruDeltaError, StorageError

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="files are told apart by /proc/self/fd"
)

BATCH_ITEMS = 20


async def stored(path: Path) -> dict[str, object]:
    """What a fresh handle finds."""
    async with Database(path) as db:
        assert (await db.verify()).ok
        return await db.namespace("a").all()


async def workload(path: Path, acknowledged: dict[str, object]) -> None:
    """Opens, puts one by one and in a batch, closes; notes what was acknowledged."""
    async with Database(path) as db:
        for i in range(4):
            await db.put("a", f"put-{i}", "x" * 100 * i)
            acknowledged[f"put-{i}"] = "x" * 100 * i
        await db.put_batch([("a", f"batch-{i}", b"\xff" * i) for i in range(BATCH_ITEMS)])
        acknowledged.update({f"batch-{i}": b"\xff" * i for i in range(BATCH_ITEMS)})
        await db.put("a", "large", "y" * 3_000_000)
        acknowledged["large"] = "y" * 3_000_000


async def error_of(work: Coroutine[Any, Any, None]) -> str:
    """The message of the storage error that ends the work; empty if none does."""
    try:
        await work
    except StorageError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("names", "error", "short"),
    [
        (WRITES, errno.EIO, False),
        (WRITES, errno.ENOSPC, False),
        (WRITES, errno.ENOSPC, True),
        (SYNCS, errno.EIO, False),
        (SYNCS, errno.ENOSPC, False),
        (OTHERS, errno.EIO, False),
        (OTHERS, errno.ENOSPC, True),
    ],
    ids=[
        "write EIO",
        "write ENOSPC",
        "short write",
        "sync EIO",
        "sync ENOSPC",
        "others EIO",
        "others ENOSPC, short",
    ],
)
async def test_a_fault_at_every_call_loses_nothing_acknowledged(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    names: tuple[str, ...],
    error: int,
    short: bool,
) -> None:
    whole: dict[str, object] = {}
    await workload(tmp_path / "reference.koru", whole)
    order = list(whole)
    with faulty_os(monkeypatch, tmp_path) as faulty:
        for index in range(200):
            path = tmp_path / f"fault-{index}.koru"
            acknowledged: dict[str, object] = {}
            faulty.arm(index, names, error, short)
            reported = await error_of(workload(path, acknowledged))
            faulty.disarm()
            if not faulty.fired:
                assert (index > 0, reported) == (True, "")
                break
            assert os.strerror(error) in reported or (not reported and names == OTHERS)
            found = await stored(path)
            assert acknowledged.items() <= found.items() <= whole.items(), index
            assert set(found) == set(order[: len(found)]), "a prefix of what was attempted"
            assert sum(key.startswith("batch") for key in found) in (0, BATCH_ITEMS)
        else:
            raise AssertionError("the fault went on for ever")


@pytest.mark.parametrize("names", [WRITES, SYNCS, OTHERS], ids=["write", "sync", "others"])
async def test_a_fault_at_every_call_of_a_recovery_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...]
) -> None:
    path = tmp_path / "data.koru"
    async with Database(path) as db:
        await db.put("a", "first", 1)
    torn = content_of(path) + b"torn tail"
    with faulty_os(monkeypatch, tmp_path) as faulty:
        for index in range(50):
            write_content(path, torn)
            faulty.arm(index, names)
            reported = await error_of(write_second(path))
            faulty.disarm()
            found = await stored(path)
            assert found in ({"first": 1}, {"first": 1, "second": 2})
            assert reported or found == {"first": 1, "second": 2}
            if not faulty.fired:
                assert index > 0
                break
        else:
            raise AssertionError("the fault went on for ever")


async def write_second(path: Path) -> None:
    async with Database(path) as db:
        await db.put("a", "second", 2)


async def test_after_a_failed_sync_the_handle_refuses_every_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "data.koru"
    with faulty_os(monkeypatch, tmp_path) as faulty:
        async with Database(path) as db:
            await db.put("a", "before", 1)
            faulty.arm(0, SYNCS)
            with pytest.raises(StorageError):
                await db.put("a", "during", 2)
            assert faulty.fired
            faulty.disarm()
            for write in (
                lambda: db.put("a", "after", 3),
                lambda: db.put_batch([("a", "after", 3)]),
                lambda: db.delete("a", "before"),
                lambda: db.erase("a", "before"),
            ):
                with pytest.raises(StorageError) as caught:
                    await write()
                assert caught.value.suggestion
            assert await db.get("a", "before") == 1
            assert not await db.contains("a", "after")
            assert (await db.health()).healthy is False
    found = await stored(path)
    assert found in ({"before": 1}, {"before": 1, "during": 2})


async def test_a_handle_that_refuses_writes_goes_on_refusing_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with faulty_os(monkeypatch, tmp_path) as faulty:
        async with Database(tmp_path / "data.koru") as db:
            await db.put("a", "doc", deep_document(1))
            await db.put("a", "doc", deep_document(2))
            faulty.arm(0, SYNCS)
            with pytest.raises(StorageError):
                await db.put("a", "during", 1)
            faulty.disarm()
            with pytest.raises(KoruDeltaError):  # More than the memory holds.
                await db.diff("a", "doc")
            assert await db.get("a", "during", None) is None
            with pytest.raises(StorageError):
                await db.put("a", "after", 2)
            assert await db.list_keys("a") == ["doc"]


async def test_what_was_not_acknowledged_is_not_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with faulty_os(monkeypatch, tmp_path) as faulty:
        async with Database(tmp_path / "data.koru") as db:
            await db.put("a", "key", "old")
            faulty.arm(0, SYNCS)
            with pytest.raises(StorageError):
                await db.put("a", "key", "new")
            faulty.disarm()
            assert await db.get("a", "key") == "old"
            assert [version.value for version in await db.history("a", "key")] == ["old"]
            assert await db.list_keys("a") == ["key"]


@pytest.mark.parametrize("short", [False, True], ids=["nothing written", "half written"])
async def test_when_the_disk_has_room_again_writing_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, short: bool
) -> None:
    path = tmp_path / "data.koru"
    with faulty_os(monkeypatch, tmp_path) as faulty:
        async with Database(path) as db:
            await db.put("a", "before", 1)
            head = db.head
            faulty.arm(0, WRITES, errno.ENOSPC, short)
            with pytest.raises(StorageError, match=os.strerror(errno.ENOSPC)):
                await db.put("a", "during", 2)
            faulty.disarm()
            assert await db.namespace("a").all() == {"before": 1}
            assert (await db.stats()).versions == 1
            assert db.head == head, "the head is that of the last acknowledged commit"
            await db.put("a", "after", 3)
            assert await db.namespace("a").all() == {"before": 1, "after": 3}
            assert (await db.verify()).ok
    assert await stored(path) == {"before": 1, "after": 3}


async def test_the_sync_comes_before_the_acknowledgement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with faulty_os(monkeypatch, tmp_path) as faulty:
        async with Database(tmp_path / "data.koru") as db:
            for i in range(5):
                faulty.calls.clear()
                await db.put("a", f"key-{i}", i)
                kinds = [
                    "w" if name in WRITES else "s" for name in faulty.calls if name not in OTHERS
                ]
                assert "".join(kinds).endswith("ws"), faulty.calls


async def test_without_sync_on_write_nothing_is_synced_by_a_put(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "data.koru"
    with faulty_os(monkeypatch, tmp_path) as faulty:
        async with Database(Config(path=path, sync_on_write=False)) as db:
            faulty.calls.clear()
            for i in range(5):
                await db.put("a", f"key-{i}", i)
            assert not set(faulty.calls) & set(SYNCS)
            assert set(faulty.calls) & set(WRITES), "it is in the hands of the system"
    assert await stored(path) == {f"key-{i}": i for i in range(5)}


DYING = """
    import os, sys
    from koru_delta import Config, SyncDatabase
    db = SyncDatabase(Config(path=sys.argv[1], sync_on_write=sys.argv[2] == "sync")).__enter__()
    for i in range(100):
        db.put("a", f"{i:03}", i)
    os._exit(0)
"""


@pytest.mark.parametrize("mode", ["sync", "no-sync"])
async def test_an_acknowledged_write_survives_the_death_of_the_process(
    tmp_path: Path, mode: str
) -> None:
    path = tmp_path / "data.koru"
    run_python(DYING, path, mode)
    assert await stored(path) == {f"{i:03}": i for i in range(100)}


FULL_DISK = """
    import resource, sys
    from koru_delta import StorageError, SyncDatabase
    with SyncDatabase(sys.argv[1]) as db:
        db.put("a", "000000", "x" * 1000)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
        for i in range(1, 1000):
            try:
                db.put("a", f"{i:06}", "x" * 1000)
            except StorageError as error:
                assert error.suggestion
                break
        else:
            sys.exit("the limit never took effect")
        assert len(db.list_keys("a")) == i
        assert all(db.get("a", f"{j:06}") == "x" * 1000 for j in range(i))
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    print(i)
"""


async def test_a_file_that_cannot_grow_is_a_clean_error(tmp_path: Path) -> None:
    path = tmp_path / "data.koru"
    acknowledged = int(run_python(FULL_DISK, path))
    assert 100 < acknowledged < 200
    found = await stored(path)
    assert list(found)[:acknowledged] == [f"{i:06}" for i in range(acknowledged)]
    assert len(found) <= acknowledged + 1


async def test_an_unreadable_file_is_a_storage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "data.koru"
    async with Database(path) as db:
        await db.put("a", "key", 1)
    real_open = os.open

    def refuse(target: str, *arguments: int, **keywords: int) -> int:
        if str(target).endswith("data.koru"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(target))
        return real_open(target, *arguments, **keywords)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        with pytest.raises(StorageError, match=r"data\.koru"):
            await open_and_close_async(path)
    assert await stored(path) == {"key": 1}


async def test_a_path_below_a_file_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="file"):
        await open_and_close_async(tmp_path / "file" / "data.koru")
