"""The same requests give the same log and the same replies, whoever runs the module."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from golden_requests import (
    GOLDEN,
    REQUESTS,
    Run,
    fixture_text,
    golden_run,
    new_host,
    replay_requests,
)
from log_format import COMMIT, ERASURE, VERSION, crc32c, parse_log

from koru_delta import SyncDatabase
from koru_delta import _protocol as op

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def run() -> Iterator[Run]:
    """The requests of the fixture, carried out."""
    host = new_host()
    yield replay_requests(host)
    host.close()


def test_the_log_is_the_one_of_a_native_run(run: Run) -> None:
    assert bytes(run.log) == GOLDEN.read_bytes()


def test_the_replies_are_those_of_a_native_run(run: Run) -> None:
    assert crc32c(bytes(run.replies)) == json.loads(REQUESTS.read_text())["replies_crc32c"]


def test_a_second_instance_does_the_same(run: Run) -> None:
    host = new_host()
    again = replay_requests(host)
    host.close()
    assert (again.log, again.replies) == (run.log, run.replies)


def test_the_fixture_is_what_its_script_makes() -> None:
    host = new_host()
    assert fixture_text(golden_run(host)) == REQUESTS.read_text()
    host.close()


def test_the_requests_use_every_opcode_that_writes_and_every_frame(run: Run) -> None:
    opcodes = {opcode for opcode, _ in run.requests}
    assert {op.OPEN, op.PUT, op.PUT_BATCH, op.DELETE, op.RESTORE, op.ERASE} <= opcodes
    kinds = {frame.kind for frame in parse_log(bytes(run.log)).frames}
    assert kinds == {VERSION, COMMIT, ERASURE}


def test_the_golden_log_opens_as_a_database(tmp_path: Path) -> None:
    path = tmp_path / "golden.koru"
    path.write_bytes(GOLDEN.read_bytes())
    with SyncDatabase(path) as db:
        assert db.list_namespaces() == ["a", "large", "notes", "users", "\U0001f600"]
        assert db.namespace("a").all() == {"x": 2, "y": b"\0\1"}
        assert db.get("users", "user-1") == {"i": 1, "text": "\u00e9\U0001f600", "x": [0.5, None]}
        assert db.get("users", "new") == 2**64 - 1
        (derived,) = db.history("notes", "derived")
        assert len(db.lineage(derived.version_id)) == 2
        assert db.verify().ok
    assert path.read_bytes() == GOLDEN.read_bytes()
