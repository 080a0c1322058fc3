"""A small database file with what it holds after each commit: the ground truth of recovery."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from log_format import HEADER_BYTES

from koru_delta import SyncDatabase

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

State = dict[tuple[str, str], Any]


def state_of(db: SyncDatabase) -> State:
    """Every value, and every history, that a database shows."""
    state: State = {}
    for namespace in db.list_namespaces():
        for key in db.list_keys(namespace):
            history = db.history(namespace, key)
            values = [(version.value, version.deleted, version.previous) for version in history]
            state[namespace, key] = (db.get(namespace, key), values)
    return state


@dataclass(frozen=True)
class SmallLog:
    """A file's bytes; after each commit, where the file ended and what the database showed."""

    content: bytes
    ends: list[int]
    states: list[State]
    heads: list[str]

    def commits_within(self, size: int) -> int:
        """How many commits are whole in the first `size` bytes."""
        return sum(end <= size for end in self.ends[1:])


def build_small_log(path: Path) -> SmallLog:
    """Writes commits of every kind, each in a session of its own."""
    ends, states, heads = [], [], []

    def note() -> None:
        ends.append(path.stat().st_size)
        with SyncDatabase(path) as db:
            states.append(state_of(db))
            heads.append(db.head)
        assert path.stat().st_size == ends[-1], "opening and closing writes nothing"

    with SyncDatabase(path):
        pass
    note()
    assert ends == [HEADER_BYTES]
    steps: list[Callable[[SyncDatabase], object]] = [
        lambda db: db.put("users", "alice", {"age": 1}),
        lambda db: db.put_batch([("users", "bob", [1, 2]), ("docs", "d", b"\x00\xff")]),
        lambda db: db.put("users", "alice", {"age": 2}),
        lambda db: db.delete("users", "bob"),
        lambda db: db.erase("docs", "d"),
        lambda db: db.put("users", "carol", None),
    ]
    for step in steps:
        with SyncDatabase(path) as db:
            step(db)
        note()
    assert ends == sorted(set(ends))
    return SmallLog(path.read_bytes(), ends, states, heads)
