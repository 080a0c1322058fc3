"""The conformance vectors are those of the specification, and this host passes them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from blake3_reference import blake3
from conformance import OPCODE_NAMES, VECTORS, all_scripts, run_document, text_of

from koru_delta import Config
from koru_delta._hosts.choice import new_host, prepare_module

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from koru_delta._hosts.base import Host

NAMES = sorted(path.stem for path in VECTORS.glob("*.json"))


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    """An instance of the host of this platform."""
    config = Config(max_memory_mb=64)
    instance = new_host(config, await prepare_module(config))
    yield instance
    instance.close()


@pytest.mark.parametrize("name", NAMES)
async def test_the_host_passes(name: str, host: Host) -> None:
    document = json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))

    def fill(address: int, content: bytes) -> None:
        host.fill(address, [memoryview(content)])

    assert run_document(document, host.call, fill) == []


def test_the_files_are_those_that_the_specification_makes() -> None:
    made = {script.name: text_of(script.document()) for script in all_scripts()}
    found = {name: (VECTORS / f"{name}.json").read_text(encoding="utf-8") for name in NAMES}
    assert found == made, "the vectors are out of date: run python tests/conformance.py"


def test_most_operations_are_in_the_vectors() -> None:
    documents = [script.document() for script in all_scripts()]
    used = {step["request"]["opcode"] for document in documents for step in document["steps"]}
    left_out = {OPCODE_NAMES[number] for number in OPCODE_NAMES.keys() - used}
    # What they answer depends on the host's memory, or on how the engine goes about its work.
    assert left_out <= {"stats", "maintain", "explain", "list_indexes", "snapshot_size"}


def test_the_reference_of_blake3_is_blake3() -> None:
    # The algorithm's own test vectors: bytes that count up to 250 and begin again.
    hashes = {
        0: "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
        1025: "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444",
        3073: "7124b49501012f81cc7f11ca069ec9226cecb8a2c850cfe644e327d22d3e1cd3",
    }
    for length, expected in hashes.items():
        assert blake3(bytes(index % 251 for index in range(length))).hex() == expected
