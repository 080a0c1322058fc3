"""Searches that leave most postings out find what naive BM25 over everything finds."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from text_oracle import assert_finds, hits

from koru_delta import SyncDatabase

if TYPE_CHECKING:
    from collections.abc import Iterator

    from koru_delta import Version

DOCUMENTS = 3_000
COMMON = ["the", "of", "for", "library", "data", "tools"]
RARE = [f"word{number}" for number in range(40)]
QUERIES = [
    "the",
    "the of for",
    "word3 the library",
    "library data tools word1 word2 the of",
    "+word5 the",
    "the -of data",
    '"the library" word7',
    "word1* data",
    "nowhere the",
    "the the the data",
    "word9",
]


def document(generator: random.Random) -> dict[str, Any]:
    """Short and of few words, so that many score the same."""
    words = generator.choices(COMMON, weights=[9, 7, 5, 3, 2, 1], k=generator.randint(1, 6))
    if generator.random() < 0.1:
        words.insert(generator.randint(0, len(words)), generator.choice(RARE))
    if generator.random() < 0.01:
        words *= generator.randint(2, 30)
    return {"text": " ".join(words), "group": generator.randrange(4)}


class Collection:
    """A database, what it holds now, and what it held at a moment."""

    def __init__(self, db: SyncDatabase) -> None:
        generator = random.Random(11)
        keys = [f"{generator.randrange(10**9):09d}" for _ in range(DOCUMENTS)]
        self.db = db
        self.now = {key: document(generator) for key in keys}
        db.put_batch([("n", key, value) for key, value in self.now.items()])
        self.past = dict(self.now)
        [self.moment] = db.history("n", keys[-1])
        # The index is there before anything is overwritten.
        assert db.search("n", "the")
        changes = {key: document(generator) for key in generator.sample(keys, DOCUMENTS // 5)}
        db.put_batch([("n", key, value) for key, value in changes.items()])
        self.now.update(changes)
        for key in generator.sample(keys, 50):
            if db.delete("n", key):
                del self.now[key]

    def check(self, query: str, top_k: int, at: Version | None, **options: Any) -> None:
        values = self.past if at else self.now
        group = options.get("where", {}).get("group")
        expected = [
            hit
            for hit in hits(values, query, options.get("fields"))
            if group is None or values[hit.key]["group"] == group
        ]
        assert_finds(self.db.search("n", query, top_k, at=at, **options), expected, top_k)


@pytest.fixture(scope="module")
def collection() -> Iterator[Collection]:
    with SyncDatabase() as db:
        yield Collection(db)


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize(
    "options", [{}, {"where": {"group": 2}}, {"fields": {"text": 2.5}}], ids=["", "where", "fields"]
)
def test_the_best_are_those_of_naive_bm25(
    collection: Collection, query: str, options: dict[str, Any]
) -> None:
    for top_k in (1, 10, 200):
        collection.check(query, top_k, None, **options)
    collection.check(query, 10, collection.moment, **options)


def test_the_past_is_not_mixed_up_with_another_moment() -> None:
    """What is kept of one moment is not used for the next one, nor after an erasure."""
    with SyncDatabase() as db:
        values: dict[str, Any] = {}
        moments = []
        for number in range(4):
            values[f"k{number}"] = {"text": f"the data {'of ' * number}"}
            moments.append(db.put("n", f"k{number}", values[f"k{number}"]))
        db.put("n", "k0", {"text": "other"})
        for _ in range(2):
            for number, moment in enumerate(moments):
                then = dict(list(values.items())[: number + 1])
                for _ in range(2):
                    assert_finds(db.search("n", "the of", at=moment), hits(then, "the of"), 10)
        db.erase("n", "k1")
        del values["k1"]
        assert_finds(db.search("n", "the of", at=moments[3]), hits(values, "the of"), 10)
