"""Whatever is done with vectors, in whatever order: searches answer as a plain list does."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from vector_oracle import INDEXES, METRICS, scores

from koru_delta import Config, SyncDatabase, ValidationError, Version

KEYS = st.sampled_from(["a", "b", "c", "d", "\u00e9"])
# Products of these are exact in float32, so scores and ties are the same everywhere but in cosine.
COMPONENTS = st.lists(st.integers(-3, 3), min_size=3, max_size=3).filter(any)
GROUPS = st.integers(0, 2)
Entry = tuple[int, str, Any, "list[int] | None"]  # Time, id, value (None: deleted), vector.


class VectorMachine(RuleBasedStateMachine):
    """A database and the versions that it should hold, side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.versions: dict[str, list[Entry]] = {}
        self.moments: list[int] = []

    @initialize(index=st.sampled_from(INDEXES), metric=st.sampled_from(METRICS))
    def open(self, index: Any, metric: Any) -> None:
        path = Path(self.directory.name) / "data.koru"
        self.config = Config(
            path=path, vector_index=index, vector_metric=metric, sync_on_write=False
        )
        self.db = SyncDatabase.create(self.config)

    def teardown(self) -> None:
        if hasattr(self, "db"):
            assert self.db.verify().ok
            self.db.close()
        self.directory.cleanup()

    def note(self, version: Version, value: Any, vector: list[int] | None) -> None:
        assert version.value == value
        entry = (version.timestamp_us, version.version_id, value, vector)
        self.versions.setdefault(version.key, []).append(entry)
        self.moments.append(version.timestamp_us)

    def value_of(self, key: str) -> Any:
        history = self.versions.get(key)
        return history[-1][2] if history else None

    @rule(key=KEYS, vector=COMPONENTS, group=GROUPS)
    def embed(self, key: str, vector: list[int], group: int) -> None:
        self.note(self.db.embed("n", key, vector, {"g": group}), {"g": group}, vector)

    @rule(key=KEYS, vector=COMPONENTS)
    def embed_keeping(self, key: str, vector: list[int]) -> None:
        value = self.value_of(key)
        if value is not None:
            self.note(self.db.embed("n", key, vector), value, vector)

    @rule(rows=st.lists(st.tuples(KEYS, COMPONENTS, GROUPS), min_size=1, max_size=5))
    def embed_batch(self, rows: list[tuple[str, list[int], int]]) -> None:
        rows = list({row[0]: row for row in rows}.values())
        keys, vectors, groups = zip(*rows, strict=True)
        self.db.embed_batch("n", keys, vectors, [{"g": g} for g in groups])
        for key, vector, group in rows:
            self.note(self.db.history("n", key)[-1], {"g": group}, vector)

    @rule(key=KEYS, vector=COMPONENTS)
    def embed_badly(self, key: str, vector: list[int]) -> None:
        bad = [*vector[:2], float("nan")]
        with pytest.raises(ValidationError):
            self.db.embed_batch("n", [key, key], [vector, bad])
        with pytest.raises(ValidationError):
            self.db.embed_batch("n", [key], [vector], [{"g": {1}}])
        with pytest.raises(ValidationError):
            self.db.embed("n", key, bad)

    @rule(key=KEYS, group=GROUPS)
    def put(self, key: str, group: int) -> None:
        self.note(self.db.put("n", key, {"g": group}), {"g": group}, None)

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        if self.db.delete("n", key):
            self.note(self.db.history("n", key)[-1], None, None)

    @rule(key=KEYS)
    def erase(self, key: str) -> None:
        assert self.db.erase("n", key) == len(self.versions.pop(key, []))

    @rule(key=KEYS, data=st.data())
    def restore(self, key: str, data: st.DataObject) -> None:
        entries = [entry for entry in self.versions.get(key, []) if entry[2] is not None]
        if entries:
            _, version_id, value, vector = data.draw(st.sampled_from(entries))
            self.note(self.db.restore("n", key, version_id), value, vector)

    @rule()
    def reopen(self) -> None:
        self.db.close()
        self.db = SyncDatabase.create(self.config)

    def check(self, query: list[int], top_k: int, group: int | None, at: int | None) -> None:
        seen: list[Entry] = []
        for history in self.versions.values():
            past = [entry for entry in history if at is None or entry[0] <= at]
            if past and past[-1][3] is not None and group in (None, past[-1][2]["g"]):
                seen.append(past[-1])
        where = None if group is None else {"g": group}
        moment = None if at is None else at / 1e6
        if at is not None and round(at / 1e6 * 1e6) != at:
            return
        found = self.db.similar("n", query, top_k, where=where, at=moment, exact=True)
        everything = self.db.similar("n", query, 100, where=where, at=moment)
        assert {m.version_id for m in everything} == {entry[1] for entry in seen}
        truth = {}
        if seen:
            rows = np.array([entry[3] for entry in seen], "f4")
            points = scores(self.config.vector_metric, rows, query)
            truth = {entry[1]: float(p) for entry, p in zip(seen, points, strict=True)}
        wanted = sorted(truth.values(), reverse=True)[:top_k]
        assert [m.score for m in found] == pytest.approx(wanted, abs=1e-5)
        for match in found:
            assert match.score == pytest.approx(truth[match.version_id], abs=1e-5)
        assert found == sorted(found, key=lambda m: (-m.score, m.key.encode()))

    @rule(query=COMPONENTS, top_k=st.integers(1, 6), group=st.none() | GROUPS)
    def search(self, query: list[int], top_k: int, group: int | None) -> None:
        self.check(query, top_k, group, None)

    @precondition(lambda self: self.moments)
    @rule(query=COMPONENTS, top_k=st.integers(1, 6), group=st.none() | GROUPS, data=st.data())
    def search_the_past(
        self, query: list[int], top_k: int, group: int | None, data: st.DataObject
    ) -> None:
        self.check(query, top_k, group, data.draw(st.sampled_from(self.moments)))

    @rule(key=KEYS)
    def vector(self, key: str) -> None:
        history = self.versions.get(key)
        if history and history[-1][3] is not None:
            assert list(self.db.vector("n", key)) == history[-1][3]


TestVectorModel = VectorMachine.TestCase
TestVectorModel.settings = settings(stateful_step_count=30)
