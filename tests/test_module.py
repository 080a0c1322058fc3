"""The built module: what it has and has not, where it is kept, and how it is called."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import wasmtime
from clocks import stop_clock_at
from guests import guest, host_of

from koru_delta import Config, Database, KoruDeltaError
from koru_delta import _protocol as op
from koru_delta._hosts import module as module_file
from koru_delta._hosts.compile_cache import cache_directory
from koru_delta._hosts.fast_call import CallError, FastCall, PublicCall, call
from koru_delta._hosts.module import module_bytes, recorded_digest
from koru_delta._hosts.wasmtime_host import Runtime, WasmtimeHost, shared_runtime
from koru_delta._protocol import REQUEST_HEADER, Status

MIB = 1 << 20
ROOT = Path(__file__).parent.parent


# What the module is.


def test_the_module_imports_nothing_and_exports_four_things() -> None:
    module = shared_runtime().module
    assert list(module.imports) == []
    kinds = {export.name: type(export.type) for export in module.exports}
    assert kinds == {
        "memory": wasmtime.MemoryType,
        "koru_abi_version": wasmtime.FuncType,
        "koru_request": wasmtime.FuncType,
        "koru_call": wasmtime.FuncType,
    }
    assert len(module.exports) == len(kinds)


def test_the_functions_take_and_return_32_bit_integers() -> None:
    types: dict[str, Any] = {export.name: export.type for export in shared_runtime().module.exports}
    counts = {"koru_abi_version": 0, "koru_request": 1, "koru_call": 2}
    for name, parameters in counts.items():
        assert [str(kind) for kind in types[name].params] == ["i32"] * parameters
        assert [str(kind) for kind in types[name].results] == ["i32"]


def test_the_module_needs_no_feature_that_hosts_may_lack() -> None:
    config = wasmtime.Config()
    config.wasm_relaxed_simd = False
    config.wasm_threads = False
    config.wasm_memory64 = False
    config.wasm_tail_call = False
    config.wasm_gc = False
    config.wasm_exceptions = False
    config.wasm_multi_memory = False
    wasmtime.Module.validate(wasmtime.Engine(config), module_bytes())


def test_the_check_for_relaxed_simd_would_see_it() -> None:
    config = wasmtime.Config()
    config.wasm_relaxed_simd = False
    relaxed = wasmtime.wat2wasm(
        "(module (func (param v128 v128 v128) (result v128)"
        " (f32x4.relaxed_madd (local.get 0) (local.get 1) (local.get 2))))"
    )
    with pytest.raises(wasmtime.WasmtimeError, match="relaxed"):
        wasmtime.Module.validate(wasmtime.Engine(config), relaxed)


def copied_module(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the module and its hash, in the place of the real ones."""
    copy = directory / module_file._MODULE.name
    for suffix in ("", ".sha256"):
        shutil.copy(f"{module_file._MODULE}{suffix}", f"{copy}{suffix}")
    monkeypatch.setattr(module_file, "_MODULE", copy)
    return copy


def test_a_module_that_is_not_the_one_that_was_built_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = copied_module(tmp_path, monkeypatch)
    whole = module_bytes()
    for changed in (whole[:-1], whole + b"\0", b"", whole[:9] + b"\x7f" + whole[10:]):
        copy.write_bytes(changed)
        with pytest.raises(KoruDeltaError, match="SHA-256") as caught:
            module_bytes()
        assert caught.value.suggestion
    copy.unlink()
    with pytest.raises(KoruDeltaError, match="missing") as caught:
        module_bytes()
    assert caught.value.suggestion


def test_a_module_without_its_hash_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = copied_module(tmp_path, monkeypatch)
    copy.with_name(copy.name + ".sha256").unlink()
    with pytest.raises(KoruDeltaError, match="missing"):
        module_bytes()


def test_releases_of_wasmtime_with_known_vulnerabilities_are_not_taken() -> None:
    import tomllib
    from importlib.metadata import version

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (floor,) = (line for line in project["dependencies"] if line.startswith("wasmtime"))
    assert floor.startswith("wasmtime>=50.0.1;")
    assert tuple(map(int, version("wasmtime").split("."))) >= (50, 0, 1)


# Where its compiled code is kept.


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the cache is not at XDG_CACHE_HOME")
class TestCompileCache:
    """Compiled code comes from a directory that nobody else may write to, or from nowhere."""

    @pytest.fixture(autouse=True)
    def cache_home(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A cache directory of the test's own."""
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        return tmp_path / "koru-delta"

    def test_a_private_directory_is_used(
        self, cache_home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        directory = cache_directory()
        assert directory == cache_home / "compiled"
        for private in (directory, directory.parent):
            assert private.stat().st_mode & 0o022 == 0
        assert host_works(Runtime(module_bytes()))
        kept = {path.name.partition(".")[0] for path in directory.iterdir()}
        assert hashlib.sha256(module_bytes()).hexdigest() in kept, "compiled code was kept"
        monkeypatch.delattr(wasmtime.Module, "__init__")  # What compiles.
        assert host_works(Runtime(module_bytes()))
        assert host_works(Runtime(lambda: pytest.fail("it was read"), recorded_digest()))

    def test_a_module_is_read_and_checked_before_it_is_compiled(
        self, cache_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        copied_module(tmp_path, monkeypatch).write_bytes(b"")
        with pytest.raises(KoruDeltaError, match="SHA-256"):
            Runtime(module_bytes, recorded_digest())

    def test_the_code_of_another_module_is_not_taken(self, cache_home: Path) -> None:
        Runtime(guest())
        assert host_works(Runtime(module_bytes()))

    @pytest.mark.parametrize("damage", [b"", b"no code", b"\x7fELF"])
    def test_what_is_no_compiled_module_is_replaced(self, cache_home: Path, damage: bytes) -> None:
        Runtime(module_bytes())
        whole = {path: path.stat().st_size for path in (cache_home / "compiled").iterdir()}
        for path in whole:
            path.write_bytes(damage)
        assert host_works(Runtime(module_bytes()))
        assert {path: path.stat().st_size for path in whole} == whole

    def entry_of_the_engine(self, cache_home: Path) -> Path:
        """The compiled engine, which a runtime has kept."""
        Runtime(module_bytes())
        digest = hashlib.sha256(module_bytes()).hexdigest()
        (entry,) = (cache_home / "compiled").glob(f"{digest}.*")
        return entry

    @pytest.mark.parametrize("where", [0.1, 0.5, 0.9, 1.0])
    def test_a_changed_byte_of_compiled_code_is_refused(
        self, cache_home: Path, monkeypatch: pytest.MonkeyPatch, where: float
    ) -> None:
        entry = self.entry_of_the_engine(cache_home)
        whole = entry.read_bytes()
        at = int(where * (len(whole) - 1))
        entry.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        loaded: list[str] = []
        real = wasmtime.Module.deserialize_file
        monkeypatch.setattr(
            wasmtime.Module,
            "deserialize_file",
            lambda engine, path: loaded.append(path) or real(engine, path),
        )
        assert host_works(Runtime(module_bytes()))
        assert str(entry) not in loaded
        assert entry.read_bytes() == whole, "it was compiled anew and replaced"
        assert host_works(Runtime(module_bytes()))
        assert str(entry) in loaded

    def test_other_code_under_the_name_of_the_engine_is_refused(self, cache_home: Path) -> None:
        entry = self.entry_of_the_engine(cache_home)
        Runtime(guest())
        foreign = next(p for p in entry.parent.iterdir() if p.name[:64] != entry.name[:64])
        entry.write_bytes(foreign.read_bytes())
        assert host_works(Runtime(module_bytes()))

    @pytest.mark.parametrize("mode", [0o602, 0o620, 0o666])
    def test_an_entry_that_others_may_write_to_is_refused(
        self, cache_home: Path, mode: int
    ) -> None:
        entry = self.entry_of_the_engine(cache_home)
        entry.chmod(mode)
        assert host_works(Runtime(module_bytes()))
        assert entry.stat().st_mode & 0o022 == 0, "it was replaced"

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
    def test_an_entry_of_somebody_else_is_refused(self, cache_home: Path) -> None:
        entry = self.entry_of_the_engine(cache_home)
        os.chown(entry, 12345, -1)
        assert host_works(Runtime(module_bytes()))
        assert entry.stat().st_uid == os.geteuid(), "it was replaced"

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names here")
    def test_a_pipe_in_the_place_of_an_entry_blocks_nothing(self, cache_home: Path) -> None:
        entry = self.entry_of_the_engine(cache_home)
        entry.unlink()
        os.mkfifo(entry, 0o600)
        assert host_works(Runtime(module_bytes()))

    def test_a_directory_in_the_place_of_an_entry_is_left_alone(self, cache_home: Path) -> None:
        entry = self.entry_of_the_engine(cache_home)
        entry.unlink()
        entry.mkdir()
        assert host_works(Runtime(module_bytes()))
        assert entry.is_dir()

    def test_a_link_to_compiled_code_is_not_followed(
        self, cache_home: Path, tmp_path: Path
    ) -> None:
        Runtime(module_bytes())
        for path in (cache_home / "compiled").iterdir():
            path.rename(tmp_path / path.name)
            path.symlink_to(tmp_path / path.name)
        assert host_works(Runtime(module_bytes()))
        assert not any(path.is_symlink() for path in (cache_home / "compiled").iterdir())

    def test_old_entries_go(self, cache_home: Path) -> None:
        directory = cache_directory()
        assert directory is not None
        for number in range(20):
            (directory / str(number)).write_bytes(b"")
            os.utime(directory / str(number), (number, number))
        Runtime(module_bytes())
        left = {path.name for path in directory.iterdir()}
        assert len(left) == 16
        assert "19" in left
        assert "0" not in left

    @pytest.mark.parametrize("mode", [0o777, 0o770, 0o707, 0o702, 0o720])
    @pytest.mark.parametrize("part", ["", "compiled"])
    def test_a_directory_that_others_may_write_to_is_not(
        self, cache_home: Path, part: str, mode: int
    ) -> None:
        (cache_home / "compiled").mkdir(parents=True, mode=0o700)
        (cache_home / part).chmod(mode)
        assert cache_directory() is None
        assert host_works(Runtime(guest()))
        assert list((cache_home / "compiled").iterdir()) == []

    def test_a_link_in_the_place_of_the_parent_is_not(
        self, cache_home: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "elsewhere" / "compiled").mkdir(parents=True, mode=0o700)
        cache_home.symlink_to(tmp_path / "elsewhere")
        assert cache_directory() is None

    def test_a_link_to_a_directory_is_not(self, cache_home: Path, tmp_path: Path) -> None:
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir(mode=0o700)
        cache_home.mkdir(mode=0o700)
        (cache_home / "compiled").symlink_to(elsewhere)
        assert cache_directory() is None

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
    def test_a_directory_of_somebody_else_is_not(self, cache_home: Path) -> None:
        (cache_home / "compiled").mkdir(parents=True, mode=0o700)
        os.chown(cache_home / "compiled", 12345, -1)
        assert cache_directory() is None

    def test_a_file_in_its_place_is_not(self, cache_home: Path) -> None:
        cache_home.write_text("not a directory")
        assert cache_directory() is None
        assert host_works(Runtime(guest()))


def host_works(runtime: Runtime) -> bool:
    """Whether an instance answers at all."""
    with contextlib.closing(
        WasmtimeHost(max_memory_bytes=16 * MIB, timeout=5, runtime=runtime)
    ) as host:
        return host.call(op.HEAD, bytes(REQUEST_HEADER.size))[0] in (0, Status.INTERNAL)


# How it is called.


def test_the_fast_way_to_call_is_the_one_in_use() -> None:
    assert shared_runtime().call_path is FastCall


async def workload(path: Path | None, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Something of everything; what it answers."""
    stop_clock_at(monkeypatch, 1_700_000_000)
    monkeypatch.setattr(os, "urandom", lambda size: b"\x5a" * size)
    async with Database(Config(path=path, hot_cache_size=0)) as db:
        answers: list[Any] = []
        for i in range(20):
            version = await db.put("a", f"{i % 7}", {"i": i, "text": "x" * i * 100})
            answers.append(version.version_id)
        answers.append(await db.put_batch([("b", f"{i}", bytes([i])) for i in range(100)]))
        answers.append(await db.delete("a", "3"))
        answers.append(await db.erase("a", "4"))
        answers += [await db.get("a", f"{i}", None) for i in range(7)]
        answers.append(await db.namespace("b").all())
        answers.append(await db.diff("a", "2"))
        answers.append(await db.list_keys("b", prefix="1"))
        answers += [str(version.value) for version in await db.history("a", "5")]
        answers.append(await db.put("large", "value", "y" * 3 * MIB) is not None)
        answers.append(len(await db.get("large", "value")))
        answers.append(str(await error_of(db.get("a", "missing"))))
        answers.append(str(await error_of(db.put("a", "", 1))))
        answers.append((await db.verify()).ok)
        answers.append(db.head)
        return answers


async def error_of(work: Any) -> KoruDeltaError:
    """The error that it ends in."""
    with pytest.raises(KoruDeltaError) as caught:
        await work
    return caught.value


@pytest.mark.parametrize("stored", [False, True], ids=["memory", "file"])
async def test_both_ways_to_call_give_the_same_answers(
    stored: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers, logs = [], []
    for path_class in (FastCall, PublicCall):
        with monkeypatch.context() as patch:
            patch.setattr(shared_runtime(), "call_path", path_class)
            path = tmp_path / path_class.__name__ if stored else None
            answers.append(await workload(path, patch))
            logs.append(path.read_bytes() if path else b"")
    assert answers[0] == answers[1]
    assert logs[0] == logs[1]
    assert bool(logs[0]) is stored


@pytest.mark.parametrize("path_class", [FastCall, PublicCall])
def test_a_trap_twice_in_a_row_is_told_twice(path_class: type[FastCall | PublicCall]) -> None:
    runtime = Runtime(
        guest(
            call="(if (i32.eqz (local.get 0)) (then unreachable))"
            "(i32.div_s (local.get 0) (local.get 1))"
        )
    )
    store = wasmtime.Store(runtime.engine)
    store.set_epoch_deadline(1 << 40)
    function = wasmtime.Instance(store, runtime.module, []).exports(store)["koru_call"]
    assert isinstance(function, wasmtime.Func)
    prepared = path_class(store, function)
    for _ in range(3):
        with pytest.raises(CallError, match="unreachable"):
            call(prepared, 0, 1)
        with pytest.raises(CallError, match="divide by zero"):
            call(prepared, 1, 0)
        with pytest.raises(CallError, match="overflow"):
            call(prepared, -(2**31), -1)
    assert call(prepared, -7, 2) == -3


class Trapping:
    """A host whose next call traps, as many times as it is told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
        self.left = times
        real = WasmtimeHost.call

        def trapping(host: WasmtimeHost, opcode: int, request: bytes, behind: int = 0) -> op.Reply:
            if self.left and opcode == op.GET:
                self.left -= 1
                raise host._lose("it trapped")
            return real(host, opcode, request, behind)

        monkeypatch.setattr(WasmtimeHost, "call", trapping)


async def test_a_database_with_a_file_outlives_traps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Database(Config(path=tmp_path / "data.koru", hot_cache_size=0)) as db:
        await db.put("a", "key", 1)
        trapping = Trapping(monkeypatch, 2)
        for _ in range(2):
            with pytest.raises(KoruDeltaError, match="trapped"):
                await db.get("a", "key")
        assert trapping.left == 0
        assert await db.get("a", "key") == 1
        await db.put("a", "key", 2)
        assert await db.get("a", "key") == 2
        assert (await db.verify()).ok


async def test_a_database_in_memory_refuses_after_a_trap(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Database(Config(hot_cache_size=0)) as db:
        await db.put("a", "key", 1)
        Trapping(monkeypatch, 1)
        for _ in range(3):
            with pytest.raises(KoruDeltaError, match="trapped"):
                await db.get("a", "key")
        with pytest.raises(KoruDeltaError, match="trapped"):
            await db.put("a", "key", 2)


def test_a_guest_that_trapped_is_not_called_again() -> None:
    calls = """
        (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))
        unreachable"""
    with contextlib.closing(host_of(guest(call=calls))) as host:
        for _ in range(3):
            with pytest.raises(KoruDeltaError, match="unreachable"):
                host.call(op.GET, b"")
        assert host._view[0] == 1


def test_the_module_speaks_the_protocol_of_this_package() -> None:
    store = wasmtime.Store(shared_runtime().engine)
    store.set_epoch_deadline(1 << 40)
    version = wasmtime.Instance(store, shared_runtime().module, []).exports(store)[
        "koru_abi_version"
    ]
    assert isinstance(version, wasmtime.Func)
    assert version(store) == op.ABI_VERSION
