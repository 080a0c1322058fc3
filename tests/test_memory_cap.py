"""The module with a lower cap of its memory: what Pyodide's host compiles."""

from __future__ import annotations

import pytest
import wasmtime

from koru_delta._hosts.memory_cap import with_memory_cap
from koru_delta._hosts.module import module_bytes

MIB = 1 << 20


@pytest.mark.parametrize("megabytes", [4, 512, 4095, 4096, 5000])
def test_a_runtime_holds_the_module_to_the_cap(megabytes: int) -> None:
    module = with_memory_cap(module_bytes(), megabytes * MIB)
    assert len(module) == len(module_bytes())
    (memory,) = [
        export.type
        for export in wasmtime.Module(wasmtime.Engine(), module).exports
        if isinstance(export.type, wasmtime.MemoryType)
    ]
    assert memory.limits.max == min(megabytes, 4096) * MIB // 65536


def test_nothing_else_of_the_module_changes() -> None:
    before, after = module_bytes(), with_memory_cap(module_bytes(), 64 * MIB)
    changed = [i for i, (old, new) in enumerate(zip(before, after, strict=True)) if old != new]
    assert changed
    assert changed[-1] - changed[0] < 3


@pytest.mark.parametrize(
    "module",
    [
        "(module)",
        "(module (memory 1))",
    ],
)
def test_a_module_without_a_maximum_is_refused(module: str) -> None:
    with pytest.raises(ValueError, match="memory"):
        with_memory_cap(bytes(wasmtime.wat2wasm(module)), 64 * MIB)
