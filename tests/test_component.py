"""The engine as a component: the same module, called through the component model."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import wasmtime
from conformance import VECTORS, can_run_without_memory, run_document
from wasmtime import component

from koru_delta._hosts.module import module_bytes

ROOT = Path(__file__).parent.parent
COMPONENT = ROOT / "core-wasm" / "component"
sys.path.insert(0, str(COMPONENT))
from build import component_of  # noqa: E402


@pytest.fixture(scope="module")
def engine() -> wasmtime.Engine:
    config = wasmtime.Config()
    config.wasm_component_model = True
    return wasmtime.Engine(config)


@pytest.fixture(scope="module")
def compiled(engine: wasmtime.Engine) -> component.Component:
    return component.Component(engine, component_of(module_bytes()))


def new_call(engine: wasmtime.Engine, compiled: component.Component) -> Any:
    """A new instance's way to be called."""
    store = wasmtime.Store(engine)
    function: Any = component.Linker(engine).instantiate(store, compiled).get_func(store, "call")

    def call(opcode: int, request: bytes) -> tuple[int, int, bytes, bytes, int]:
        reply = function(store, opcode, request)
        payload, journal = bytes(reply.payload), bytes(reply.journal)
        return reply.status, reply.flags, payload, journal, reply.sequence

    return call


def test_it_passes_the_vectors(engine: wasmtime.Engine, compiled: component.Component) -> None:
    for path in sorted(VECTORS.glob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        if can_run_without_memory(document):
            assert run_document(document, new_call(engine, compiled)) == []


def test_it_has_what_the_wit_says(engine: wasmtime.Engine, compiled: component.Component) -> None:
    wit = (COMPONENT / "koru-delta.wit").read_text(encoding="utf-8")
    wat = (COMPONENT / "component.wat").read_text(encoding="utf-8")
    fields = re.findall(r"^    ([\w-]+): ([\w<>]+),$", wit, re.MULTILINE)
    assert fields == [
        (name, kind.replace("(list u8)", "list<u8>"))
        for name, kind in re.findall(r'\(field "([\w-]+)" (\(list u8\)|\w+)\)', wat)
    ]
    store = wasmtime.Store(engine)
    instance = component.Linker(engine).instantiate(store, compiled)
    for name in re.findall(r"export ([\w-]+): func", wit):
        assert instance.get_func(store, name) is not None
    version: Any = instance.get_func(store, "abi-version")
    assert version(store) == 1
