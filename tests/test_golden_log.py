"""The same requests give the same bytes under every host: the log of a native run is the measure.

`test_determinism.py` has more of it, for wasmtime; this one runs wherever the package does.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from golden_requests import GOLDEN, REQUESTS, replay_requests
from log_format import crc32c

from koru_delta import Config
from koru_delta._hosts.choice import new_host, prepare_module

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from koru_delta._hosts.base import Host


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    """An instance of the host of this platform."""
    config = Config(max_memory_mb=64)
    instance = new_host(config, await prepare_module(config))
    yield instance
    instance.close()


async def test_the_log_and_the_replies_are_those_of_a_native_run(host: Host) -> None:
    run = replay_requests(host)
    assert bytes(run.log) == GOLDEN.read_bytes()
    assert crc32c(bytes(run.replies)) == json.loads(REQUESTS.read_text())["replies_crc32c"]


async def test_the_same_again_is_the_same(host: Host) -> None:
    again = replay_requests(host)
    assert bytes(again.log) == GOLDEN.read_bytes()
