"""Whatever is done, in whatever order: the database answers as a plain dict of lists does."""

from __future__ import annotations

import datetime
import io
import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from json_values import same, values
from model import Entry, Model, Name

from koru_delta import Config, ConflictError, KeyNotFoundError, SyncDatabase, Version, _loading

NAMES = st.tuples(
    st.sampled_from(["a", "b", "\U0001f600"]),
    st.sampled_from(["k", "k1", "k2", "l", "\u00e9", "e\u0301", "\uffff", "\U0001f600"]),
)
PREFIXES = st.sampled_from(["", "k", "k1", "l", "e", "\u00e9", "x"])
MISSING = object()


class Machine(RuleBasedStateMachine):
    """A database and its model, side by side. Subclasses say where the bytes are kept."""

    directory: tempfile.TemporaryDirectory[str] | None = None
    path: Path | None = None

    def made(self, value: Any) -> Any:
        """What is written in the place of a value."""
        return value

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.moments: list[int] = []

    @initialize(hot_cache_size=st.sampled_from([0, 2, 1000]))
    def open(self, hot_cache_size: int) -> None:
        self.config = Config(path=self.path, hot_cache_size=hot_cache_size)
        self.db = SyncDatabase(self.config).__enter__()

    def teardown(self) -> None:
        if hasattr(self, "db"):
            report = self.db.verify()
            assert report.ok
            assert report.versions == self.model.count()
            self.db.close()

    def note(self, version: Version) -> None:
        """Takes a version that the database says it wrote into the model."""
        name = (version.namespace, version.key)
        before = self.model.history(name)
        if before:
            assert version.previous == before[-1].version_id
        assert not self.moments or version.timestamp_us > self.moments[-1]
        self.moments.append(version.timestamp_us)
        self.model.write(
            name,
            Entry(version.version_id, version.timestamp_us, version.value, version.deleted),
        )

    @rule(name=NAMES, value=values())
    def put(self, name: Name, value: Any) -> None:
        value = self.made(value)
        version = self.db.put(*name, value)
        assert same(version.value, value)
        self.note(version)

    @rule(name=NAMES, value=values(), data=st.data())
    def put_expecting(self, name: Name, value: Any, data: st.DataObject) -> None:
        value = self.made(value)
        history = self.model.history(name)
        choices = [None, "0" * 32, *(entry.version_id for entry in history)]
        expected = data.draw(st.sampled_from(choices))
        newest = history[-1] if history else None
        holds = (
            self.model.current(name) is None
            if expected is None
            else newest is not None and newest.version_id == expected
        )
        if holds:
            self.note(self.db.put(*name, value, expected_version=expected))
            return
        with pytest.raises(ConflictError) as caught:
            self.db.put(*name, value, expected_version=expected)
        if newest is not None:
            assert newest.version_id in str(caught.value)

    @rule(items=st.lists(st.tuples(NAMES, values()), max_size=6))
    def put_batch(self, items: list[tuple[Name, Any]]) -> None:
        items = [(name, self.made(value)) for name, value in items]
        assert self.db.put_batch([(*name, value) for name, value in items]) == len(items)
        times: set[int] = set()
        for name in {name: None for name, _ in items}:
            written = [value for other, value in items if other == name]
            history = self.db.history(*name)[-len(written) :]
            assert same([version.value for version in history], written)
            for version in history:
                times.add(version.timestamp_us)
                self.model.write(
                    name, Entry(version.version_id, version.timestamp_us, version.value, False)
                )
        assert len(times) == (1 if items else 0), "a batch is one moment"
        self.moments.extend(times)

    @rule(name=NAMES)
    def delete(self, name: Name) -> None:
        present = self.model.current(name) is not None
        assert self.db.delete(*name) is present
        if present:
            self.note(self.db.history(*name)[-1])

    @rule(name=NAMES, data=st.data())
    def restore(self, name: Name, data: st.DataObject) -> None:
        written = [entry for entry in self.model.history(name) if not entry.deleted]
        if written:
            entry = data.draw(st.sampled_from(written))
            version = self.db.restore(*name, entry.version_id)
            assert same(version.value, entry.value)
            self.note(version)

    @rule(name=NAMES)
    def erase(self, name: Name) -> None:
        assert self.db.erase(*name) == self.model.erase(name)

    @rule(name=NAMES)
    def get(self, name: Name) -> None:
        self.compare(name, None)

    @precondition(lambda self: self.moments)
    @rule(name=NAMES, data=st.data(), shift=st.integers(-1, 1))
    def get_as_of(self, name: Name, data: st.DataObject, shift: int) -> None:
        self.compare(name, data.draw(st.sampled_from(self.moments)) + shift)

    def compare(self, name: Name, at_us: int | None) -> None:
        at = None if at_us is None else moment(at_us)
        entry = self.model.current(name, at_us)
        assert self.db.contains(*name, at=at) is (entry is not None)
        if entry is None:
            assert self.db.get(*name, MISSING, at=at) is MISSING
            with pytest.raises(KeyNotFoundError):
                self.db.get(*name, at=at)
            assert self.db.get_many(name[0], [name[1]], at=at) == {}
        else:
            assert same(self.db.get(*name, at=at), entry.value)
            assert same(self.db.get_many(name[0], [name[1]], at=at), {name[1]: entry.value})

    @rule(
        namespace=st.sampled_from(["a", "b", "\U0001f600", "nowhere"]),
        prefix=PREFIXES,
        start_after=st.none() | PREFIXES.filter(bool),
        limit=st.none() | st.integers(1, 5),
        data=st.data(),
    )
    def list_keys(
        self,
        namespace: str,
        prefix: str,
        start_after: str | None,
        limit: int | None,
        data: st.DataObject,
    ) -> None:
        at_us = data.draw(st.none() | st.sampled_from(self.moments)) if self.moments else None
        found = self.db.list_keys(
            namespace,
            prefix=prefix,
            start_after=start_after,
            limit=limit,
            at=None if at_us is None else moment(at_us),
        )
        expected = [
            key
            for key in self.model.keys(namespace, at_us)
            if key.startswith(prefix)
            and (start_after is None or key.encode("utf-8") > start_after.encode("utf-8"))
        ]
        assert found == expected[:limit]

    @rule(name=NAMES, limit=st.none() | st.integers(1, 4), data=st.data())
    def history(self, name: Name, limit: int | None, data: st.DataObject) -> None:
        if not (expected := self.model.history(name)):
            return
        before_us = data.draw(st.none() | st.sampled_from(self.moments))
        before = None if before_us is None else moment(before_us)
        found = self.db.history(*name, limit=limit, before=before)
        expected = [entry for entry in expected if before_us is None or entry.time_us < before_us]
        expected = expected if limit is None else expected[-limit:]
        assert [version.version_id for version in found] == [e.version_id for e in expected]
        assert [version.deleted for version in found] == [e.deleted for e in expected]
        assert same([version.value for version in found], [e.value for e in expected])

    @rule(name=NAMES, data=st.data())
    def version(self, name: Name, data: st.DataObject) -> None:
        if history := self.model.history(name):
            entry = data.draw(st.sampled_from(history))
            version = self.db.version(entry.version_id)
            assert (version.namespace, version.key) == name
            assert same(version.value, entry.value)

    @precondition(lambda self: self.path is not None)
    @rule()
    def reopen(self) -> None:
        head = self.db.head
        self.db.close()
        self.db = SyncDatabase(self.config).__enter__()
        assert self.db.head == head

    @rule()
    def compact(self) -> None:
        head = self.db.head
        assert self.db.compact().versions_dropped == 0
        assert self.db.head == head

    @rule(keep=st.integers(1, 4))
    def compact_by_rule(self, keep: int) -> None:
        gone = self.model.keep_last(keep)
        assert self.db.compact(keep_versions=keep).versions_dropped == gone

    @precondition(lambda self: self.path is None)
    @rule()
    def export_and_import(self) -> None:
        head = self.db.head
        file = io.BytesIO()
        self.db.export_to(file)
        self.db.close()
        file.seek(0)
        self.db = SyncDatabase.import_from(file, self.config)
        assert self.db.head == head

    @invariant()
    def the_counts_agree(self) -> None:
        if hasattr(self, "db"):
            stats = self.db.stats()
            assert stats.versions == self.model.count()
            assert stats.keys == sum(len(self.model.keys(ns)) for ns in self.model.namespaces())
            assert self.db.list_namespaces() == self.model.namespaces()


def moment(time_us: int) -> datetime.datetime:
    """The time as a datetime."""
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    return epoch + datetime.timedelta(microseconds=time_us)


class MemoryMachine(Machine):
    """In memory."""


class FileMachine(Machine):
    """In a file, which is closed and opened again among the steps."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.path = Path(self.directory.name) / "data.koru"

    def teardown(self) -> None:
        super().teardown()
        assert self.directory is not None
        self.directory.cleanup()


class LeanMachine(FileMachine):
    """In a file, with no value of the past in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = patch.object(_loading, "OLD_VALUES_SHARE", 0.0)
        self.patch.start()

    def made(self, value: Any) -> Any:
        # Short ones would stay in memory.
        if isinstance(value, bytes):
            return value + bytes(100)
        return {"value": value, "long": "x" * 60}

    def teardown(self) -> None:
        super().teardown()
        self.patch.stop()


TestMemory = MemoryMachine.TestCase
TestFile = FileMachine.TestCase
TestLean = LeanMachine.TestCase
TestMemory.settings = settings(max_examples=60, stateful_step_count=40)
TestFile.settings = settings(max_examples=60, stateful_step_count=40)
TestLean.settings = settings(max_examples=60, stateful_step_count=40)
