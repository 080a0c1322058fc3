"""The SIMD kernels inside a module: the suite that also runs on their portable twins."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import wasmtime

MODULE = Path(__file__).parent.parent / ".build" / "selftest.wasm"
IN_NODE = """
const bytes = require("fs").readFileSync(process.argv[1]);
WebAssembly.instantiate(bytes, {}).then(({ instance }) => {
  console.log(instance.exports.koru_selftest());
});
"""


def test_the_kernels_equal_their_oracles_on_wasmtime() -> None:
    store = wasmtime.Store()
    module = wasmtime.Module.from_file(store.engine, str(MODULE))
    run = wasmtime.Instance(store, module, []).exports(store)["koru_selftest"]
    assert isinstance(run, wasmtime.Func)
    assert run(store) == 0


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_the_kernels_equal_their_oracles_on_node() -> None:
    command = ["node", "-e", IN_NODE, str(MODULE)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout.strip() == "0"
