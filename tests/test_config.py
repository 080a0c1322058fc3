"""Every field of Config does what it says, and a bad value is refused by the field's name."""

from __future__ import annotations

import math
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import pytest
from files import names_in
from opening import open_and_close_async
from parameters import shown

from koru_delta import Config, Database, KoruDeltaError, StorageError, SyncDatabase, ValidationError

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Opener

DEFAULTS = {
    "path": None,
    "max_memory_mb": 512,
    "max_disk_mb": 10240,
    "enable_wal": True,
    "sync_on_write": True,
    "hot_cache_size": 1000,
    "read_only": False,
    "operation_timeout": 30.0,
    "lock_timeout": 0.0,
    "module": None,
}

BAD_FIELDS: list[tuple[str, Any]] = [
    ("path", 5),
    ("path", ["data.koru"]),
    ("path", "data\0.koru"),
    ("path", "data\ud800.koru"),
    ("path", PurePath("data\0.koru")),
    ("path", ""),
    ("max_memory_mb", -1),
    ("max_memory_mb", "512"),
    ("max_memory_mb", math.nan),
    ("max_memory_mb", None),
    ("max_disk_mb", -1),
    ("max_disk_mb", "10"),
    ("max_disk_mb", math.inf),
    ("enable_wal", "yes"),
    ("enable_wal", None),
    ("sync_on_write", "no"),
    ("sync_on_write", 2),
    ("hot_cache_size", -1),
    ("hot_cache_size", 1.5),
    ("hot_cache_size", "1000"),
    ("read_only", "false"),
    ("read_only", None),
    ("operation_timeout", -1.0),
    ("operation_timeout", math.nan),
    ("operation_timeout", "30"),
    ("lock_timeout", -1),
    ("lock_timeout", True),
    ("module", b"\0asm"),
]


def test_the_defaults_are_as_documented() -> None:
    config = Config()
    assert {name: getattr(config, name) for name in DEFAULTS} == DEFAULTS


@pytest.mark.parametrize(("field", "value"), BAD_FIELDS, ids=[ascii(row) for row in BAD_FIELDS])
def test_a_bad_field_is_refused_by_its_name(field: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=rf"\b{field}\b") as caught:
        Config(**{field: value})
    assert caught.value.suggestion


def test_an_unknown_field_is_refused() -> None:
    fields: dict[str, Any] = {"no_such_field": 1}
    with pytest.raises(TypeError, match="no_such_field"):
        Config(**fields)


def test_configs_with_the_same_fields_are_equal() -> None:
    assert Config(path="a", max_memory_mb=64) == Config(path="a", max_memory_mb=64)
    assert Config(path="a") != Config(path="b")


@pytest.mark.parametrize("argument", [5, 1.5, ["path"], object()], ids=shown)
async def test_a_database_opens_on_a_path_or_a_config_only(argument: Any) -> None:
    with pytest.raises(ValidationError):
        await open_and_close_async(argument)


async def test_a_path_may_be_a_str_or_path_like(tmp_path: Path) -> None:
    class Elsewhere:
        def __fspath__(self) -> str:
            return str(tmp_path / "c")

    for path in (str(tmp_path / "a"), tmp_path / "b", Elsewhere()):
        async with Database(path) as db:
            await db.put("a", "key", 1)
        async with Database(Config(path=path)) as db:
            assert await db.get("a", "key") == 1
    assert all((tmp_path / name).is_file() for name in "abc")


async def test_a_tilde_is_the_home_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    async with Database("~/.myapp/db") as db:
        await db.put("a", "key", 1)
    assert (tmp_path / ".myapp" / "db").is_file()
    async with Database(Config(path="~/.myapp/db")) as db:
        assert await db.get("a", "key") == 1


async def test_a_home_that_cannot_be_found_is_refused() -> None:
    with pytest.raises(KoruDeltaError, match="no_such_user"):
        await open_and_close_async("~no_such_user/data.koru")


@pytest.mark.parametrize("size", [0, 1, 3, 1000])
async def test_the_hot_cache_changes_no_answer(open_database: Opener, size: int) -> None:
    db = await open_database(hot_cache_size=size)
    for i in range(10):
        await db.put("a", f"key-{i % 5}", [i])
    for _ in range(2):
        for i in range(5):
            assert await db.get("a", f"key-{i}") == [i + 5]
    first = (await db.history("a", "key-0"))[0]
    assert await db.get("a", "key-0", at=first) == [0]
    await db.delete("a", "key-0")
    assert await db.get("a", "key-0", None) is None
    await db.put_batch([("a", "key-0", ["new"]), ("a", "key-1", ["new"])])
    assert await db.get("a", "key-0") == ["new"]
    assert await db.get("a", "key-1") == ["new"]
    await db.restore("a", "key-0", first.version_id)
    assert await db.get("a", "key-0") == [0]
    await db.erase("a", "key-0")
    assert await db.get("a", "key-0", None) is None


async def test_read_only_reads_and_refuses_every_write(tmp_path: Path) -> None:
    path = tmp_path / "data.koru"
    async with Database(path) as db:
        first = await db.put("a", "key", 1)
        await db.put("a", "key", 2)
        head = db.head
    before = path.read_bytes()
    async with Database(Config(path=path, read_only=True)) as db:
        assert db.head == head
        assert await db.get("a", "key") == 2
        assert await db.get("a", "key", at=first) == 1
        assert len(await db.history("a", "key")) == 2
        assert (await db.verify()).ok
        for write in (
            lambda: db.put("a", "key", 3),
            lambda: db.put_batch([("a", "key", 3)]),
            lambda: db.delete("a", "key"),
            lambda: db.restore("a", "key", first.version_id),
            lambda: db.erase("a", "key"),
        ):
            with pytest.raises(StorageError, match=r"read.only"):
                await write()
        assert await db.get("a", "key") == 2
    assert path.read_bytes() == before


async def test_read_only_needs_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "data.koru"
    async with Database(path) as writer:
        await writer.put("a", "key", 1)
        async with (
            Database(Config(path=path, read_only=True)) as reader,
            Database(Config(path=path, read_only=True)) as another,
        ):
            assert await reader.get("a", "key") == 1
            assert await another.get("a", "key") == 1
        await writer.put("a", "key", 2)
        async with Database(Config(path=path, read_only=True)) as reader:
            assert await reader.get("a", "key") == 2


async def test_read_only_creates_nothing(tmp_path: Path) -> None:
    path = tmp_path / "new" / "data.koru"
    with pytest.raises(StorageError, match=r"data\.koru"):
        await open_and_close_async(Config(path=path, read_only=True))
    assert names_in(tmp_path) == []


async def test_read_only_leaves_a_torn_tail_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "data.koru"
    async with Database(path) as db:
        await db.put("a", "key", 1)
    whole = path.read_bytes()
    async with Database(path) as db:
        await db.put("a", "key", 2)
    torn = path.read_bytes()[:-3]
    assert len(torn) > len(whole)
    path.write_bytes(torn)
    async with Database(Config(path=path, read_only=True)) as db:
        assert await db.get("a", "key") == 1
    assert path.read_bytes() == torn


def test_config_works_for_the_blocking_api(tmp_path: Path) -> None:
    config = Config(path=tmp_path / "data.koru", sync_on_write=False)
    with SyncDatabase(config) as db:
        db.put("a", "key", 1)
    with SyncDatabase(config) as db:
        assert db.get("a", "key") == 1


def test_a_storage_has_the_methods_of_one() -> None:
    with pytest.raises(ValidationError, match=r"Config\.storage is 5.*'kind' is missing"):
        Config(storage=5)  # type: ignore[arg-type]
