"""Whatever is written, in whatever order: a search scores and sorts as naive BM25 does."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from text_oracle import assert_finds, assert_snippet, hits

from koru_delta import Config, SyncDatabase, Version

KEYS = st.sampled_from(["a", "b", "c", "d", "e", "\u00e9", "f", "g"])
VOCABULARY = ["red", "reed", "re", "green", "grey", "sea", "the", "1", "12"]
WORDS = st.sampled_from(VOCABULARY)
TEXTS = st.lists(WORDS | st.sampled_from(["Red", "SEA"]), max_size=8).flatmap(
    lambda words: st.sampled_from([" ", "  ", ", ", "-", "_", "\n"]).map(
        lambda gap: gap.join(words)
    )
)
FIELDS = st.sampled_from(["title", "body", "group"])
VALUES: st.SearchStrategy[Any] = st.one_of(
    *[
        st.fixed_dictionaries(
            {"title": TEXTS, "group": st.integers(0, 2)},
            optional={
                "body": TEXTS | st.lists(TEXTS, max_size=3),
                "more": st.fixed_dictionaries({"title": TEXTS}),
            },
        )
    ]
    * 3,
    TEXTS,
    st.lists(TEXTS | st.fixed_dictionaries({"body": TEXTS}), max_size=3),
    st.sampled_from([7, None, b"red sea", {"n": 1}, {}]),
)
TERMS = st.one_of(
    WORDS,
    WORDS,
    WORDS,
    st.lists(WORDS, min_size=1, max_size=3).map(lambda words: f'"{" ".join(words)}"'),
    st.sampled_from(["r*", "re*", "gre*", "1*", "x*"]),
    st.just("nowhere"),
)
SIGNED = st.tuples(st.sampled_from(["", "", "", "+", "-"]), TERMS).map("".join)
QUERIES = st.lists(SIGNED, min_size=1, max_size=4).map(" ".join)
BOOSTS = st.none() | st.dictionaries(
    st.sampled_from(["title", "body", "more", "$"]),
    st.sampled_from([0.5, 1.0, 2.0, 3.5]),
    min_size=1,
)
Entry = tuple[int, str, Any]  # Time, id, value (None: deleted).
DELETED = object()


class SearchMachine(RuleBasedStateMachine):
    """A database and the texts that it should hold, side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.versions: dict[str, list[Entry]] = {}
        self.moments: list[Version] = []

    @initialize()
    def open(self) -> None:
        path = Path(self.directory.name) / "data.koru"
        self.config = Config(path=path, sync_on_write=False)
        self.db = SyncDatabase.create(self.config)

    def teardown(self) -> None:
        if hasattr(self, "db"):
            assert self.db.verify().ok
            self.db.close()
        self.directory.cleanup()

    def note(self, version: Version, value: Any) -> None:
        entry = (version.timestamp_us, version.version_id, value)
        self.versions.setdefault(version.key, []).append(entry)
        self.moments.append(version)

    def present(self, at_us: int | None = None) -> dict[str, Any]:
        """The values of now, or of a time."""
        found = {}
        for key, history in self.versions.items():
            past = [entry for entry in history if at_us is None or entry[0] <= at_us]
            if past and past[-1][2] is not DELETED:
                found[key] = past[-1][2]
        return found

    @rule(key=KEYS, value=VALUES)
    def put(self, key: str, value: Any) -> None:
        self.note(self.db.put("n", key, value), value)
        self.db.put("other", key, value)

    @rule(items=st.dictionaries(KEYS, VALUES, min_size=2))
    def put_batch(self, items: dict[str, Any]) -> None:
        self.db.put_batch([("n", key, value) for key, value in items.items()])
        for key, value in items.items():
            self.note(self.db.history("n", key)[-1], value)

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        if self.db.delete("n", key):
            self.note(self.db.history("n", key)[-1], DELETED)

    @rule(key=KEYS)
    def erase(self, key: str) -> None:
        assert self.db.erase("n", key) == len(self.versions.pop(key, []))

    @rule(key=KEYS, data=st.data())
    def restore(self, key: str, data: st.DataObject) -> None:
        entries = [entry for entry in self.versions.get(key, []) if entry[2] is not DELETED]
        if entries:
            _, version_id, value = data.draw(st.sampled_from(entries))
            self.note(self.db.restore("n", key, version_id), value)

    @rule()
    def reopen(self) -> None:
        self.db.close()
        self.db = SyncDatabase.create(self.config)

    @rule(
        query=QUERIES,
        top_k=st.integers(1, 10),
        fields=BOOSTS,
        group=st.none() | st.integers(0, 2),
    )
    def search(
        self, query: str, top_k: int, fields: dict[str, float] | None, group: int | None
    ) -> None:
        self.check(query, top_k, fields, group, None)

    @precondition(lambda self: self.moments)
    @rule(query=QUERIES, fields=BOOSTS, group=st.none() | st.integers(0, 2), data=st.data())
    def search_the_past(
        self, query: str, fields: dict[str, float] | None, group: int | None, data: st.DataObject
    ) -> None:
        self.check(query, 10, fields, group, data.draw(st.sampled_from(self.moments)))

    def check(
        self,
        query: str,
        top_k: int,
        fields: dict[str, float] | None,
        group: int | None,
        at: Version | None,
    ) -> None:
        values = self.present(at.timestamp_us if at else None)
        where = None if group is None else {"group": group}
        expected = [
            hit
            for hit in hits(values, query, fields)
            if group is None
            or (isinstance(values[hit.key], dict) and values[hit.key].get("group") == group)
        ]
        found = self.db.search("n", query, top_k, fields=fields, where=where, at=at)
        assert_finds(found, expected, top_k)
        for match in found:
            assert match.value == values[match.key]
            assert match.namespace == "n"
            assert_snippet(match, query)


TestSearchModel = SearchMachine.TestCase
TestSearchModel.settings = settings(
    max_examples=settings().max_examples // 2, stateful_step_count=30
)
