"""Conformance vectors of what ranks by several things, and of vectors that come in bulk.

Scores are exact: those of vectors by their choice, those of words by the rounding of docs/abi.md.
"""

from __future__ import annotations

from math import floor, log, log2
from struct import pack, unpack
from typing import TYPE_CHECKING, Any

from conformance import Script
from conformance_scripts import INTERNAL, INVALID, TEXTS, batch, bm25, floats, places
from conformance_spec import DELETED, YES, Reply, compact, hits_payload

from koru_delta import _protocol as op

if TYPE_CHECKING:
    from collections.abc import Iterable

DAY_US = 24 * 3600 * 1_000_000
QUERY = (1, 0.5, 0.25)
ROWS = {"mars": (1, 0, 0.5), "venus": (0.5, 1, 0), "jazz": (0, -1, 2)}


def single(number: float) -> float:
    """A number as float32 has it."""
    found: float = unpack("<f", pack("<f", number))[0]
    return found


def dot(one: Iterable[float], other: Iterable[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def hybrid() -> Script:
    """Text and vectors, each brought to 0 to 1 and added up."""
    do = Script("hybrid", "hybrid: scores of text and of vectors in one")
    do.open(metric="dot")
    spec = do.spec
    for key, text in TEXTS.items():
        do.put("notes", key, text, vector=floats(*ROWS[key]), control={"model": "small"})

    def search(about: str, weight: float, word: str = "planet", **options: Any) -> None:
        control = {"text": word, "top_k": options.pop("top_k", 10), "fields": None,
                   "weight": weight, "model": None}  # fmt: skip
        request = do.request(op.HYBRID, "notes", control=control, vector=floats(*QUERY))
        fused: dict[str, float] = {}
        by_text = {key: single(bm25(word, key)) for key in TEXTS if word in TEXTS[key]}
        if weight < 1 and by_text:
            best = max(by_text.values())
            fused = {key: (1 - weight) * (score / best) for key, score in by_text.items()}
        if weight > 0:
            by_vector = {key: dot(ROWS[key], QUERY) for key in TEXTS}
            worst, best = min(by_vector.values()), max(by_vector.values())
            for key, score in by_vector.items():
                part = (score - worst) / (best - worst) if best > worst else 1.0
                fused[key] = fused.get(key, 0.0) + weight * part
        ranked = sorted(fused, key=lambda key: (-fused[key], key))[: control["top_k"]]
        found, snippets = [], []
        for key in ranked:
            version = spec.current("notes", key)
            assert version is not None
            found.append((single(fused[key]), version))
            marks = places(TEXTS[key], word)
            snippets.append([TEXTS[key], marks] if marks else None)
        do.expect(about, request, Reply(payload=hits_payload(found, compact(snippets).decode())))

    search("both count the same", 0.5)
    search("vectors count more", 0.75)
    search("text alone", 0.0)
    search("vectors alone", 1.0)
    search("a word that nothing has", 0.5, "saturn")
    search("the best one", 0.5, top_k=1)
    control = {"text": "planet", "top_k": 10, "fields": None, "weight": 0.5, "model": None}
    request = do.request(op.HYBRID, "notes", control=control, vector=floats(1, 2))
    do.expect("refused: another dimension", request, Reply(INVALID))
    request = do.request(op.HYBRID, "notes", control={**control, "top_k": 0}, vector=floats(*QUERY))
    do.expect("refused: no hits", request, Reply(INVALID))
    return do


MEMORIES: dict[str, tuple[str, float, tuple[float, ...]]] = {
    "episode/1": ("the nightly backup failed", 0.5, (1, 1, 1, 1)),
    "episode/2": ("backup to the second disk", 1.0, (1, 0, 0, 0)),
    "fact/disk": ("disks are replaced every year", 0.25, (0, 1, 0, 0)),
    "episode/3": ("a call with the plumber", 0.75, (0, 0, 1, 0)),
}
"""Two and four of them: numbers of which every library has the same logarithms, to the bit."""
SETTINGS: dict[str, Any] = {
    "limit": 10, "min_relevance": 0.0, "half_life": 86_400, "weights": [2, 1, 1],
    "vector_share": 0.5, "min_cosine": 0.5, "model": None,
}  # fmt: skip


def relevance_of_word(word: str, content: str, contents: list[str]) -> float:
    """BM25 as a share of the most there could be, with parts rounded so that sums are exact."""
    texts = [text.split() for text in contents]
    having = sum(word in text for text in texts)
    most = log(1 + (len(texts) - having + 0.5) / (having + 0.5)) * (1.2 + 1)
    times = content.split().count(word)
    per_word = 1.2 * 0.75 / (sum(map(len, texts)) / len(texts))
    part = most * times / (times + (1.2 * (1 - 0.75) + per_word * len(content.split())))
    rounder = 4.0 * 2.0 ** floor(log2(most))
    return ((part + rounder) - rounder) / most


def recalling() -> Script:
    """Memories by relevance, recency and importance."""
    do = Script(
        "recalling", "recall: words, vectors, age and importance; ages are whole half-lives"
    )
    do.open()
    spec = do.spec
    for key, (content, importance, row) in MEMORIES.items():
        value = {"content": content, "importance": importance}
        do.put("memory/a", key, value, vector=floats(*row), control={"model": "small"},
               later_us=DAY_US)  # fmt: skip
    first = {one.key: one.time_us for one in spec.versions}
    asked_us = spec.time_us + DAY_US

    def recall(about: str, word: str = "backup", **options: Any) -> None:
        at = options.pop("at", op.NOW)
        vector = options.pop("vector", ())
        keys = options.pop("keys", list(MEMORIES))
        filter_ = options.pop("payload", b"")
        control = {"text": word, "now": asked_us, **SETTINGS, **options}
        request = do.request(op.RECALL, "memory/a", control=control, payload=filter_, at=at,
                             vector=floats(*vector), later_us=1)  # fmt: skip
        seen = [one for one in spec.present("memory/a", at) if one.key in keys]
        everything = [MEMORIES[one.key][0] for one in spec.present("memory/a", at)]
        now_us = max(control["now"], max(one.time_us for one in spec.versions if one.time_us <= at))
        ranked = []
        for one in seen:
            content, importance, row = MEMORIES[one.key]
            by_words = relevance_of_word(word, content, everything)
            relevance = by_words
            if vector:
                cosine = dot(row, vector) / (dot(row, row) * dot(vector, vector)) ** 0.5
                matches = by_words > 0 or cosine >= control["min_cosine"]
                share = control["vector_share"]
                relevance = (1 - share) * by_words + share * max(0.0, cosine) if matches else 0
            if relevance <= 0 or relevance < control["min_relevance"]:
                continue
            recency = 0.5 ** ((now_us - one.time_us) / 1e6 / control["half_life"])
            weights = control["weights"]
            lift = dot(weights, (1, recency, importance)) / sum(weights)
            ranked.append(
                (-relevance * lift, one, [relevance, recency, importance, first[one.key]])
            )
        ranked.sort(key=lambda found: (found[0], found[1].key))
        ranked = ranked[: control["limit"]]
        parts = compact([part for _, _, part in ranked]).decode()
        hits = [(-score, one) for score, one, _ in ranked]
        do.expect(about, request, Reply(payload=hits_payload(hits, parts)))

    query = (1.0, 0.0, 0.0, 0.0)
    recall("by words")
    recall("by words, by age alone", weights=[0, 1, 0])
    recall("by words, by importance alone", weights=[0, 0, 1])
    recall("by words and vectors", vector=query)
    recall("by vectors, with no such word", "saturn", vector=query)
    recall("what is far is not recalled", "saturn", vector=query, min_cosine=0.75)
    recall("the best one", vector=query, limit=1)
    recall("those relevant enough", vector=query, min_relevance=0.5)
    recall("those that match a filter", vector=query, keys=["episode/1"],
           payload=compact({"importance": {"$lt": 1}}))  # fmt: skip
    recall("those written by a time", until=first["episode/1"], keys=["episode/1"])
    recall("those written from a time on", since=first["episode/2"], keys=["episode/2"])
    recall("as of a time", at=first["episode/2"], now=first["episode/2"])
    recall("a clock that is behind what was written", now=0)
    recall("nothing", "saturn")
    control = {"text": "backup", "now": asked_us, **SETTINGS}
    request = do.request(op.RECALL, "memory/b", control=control)
    do.expect("nobody's memories", request, Reply(payload=hits_payload([], "[]")))
    for name, bad in [("half_life", 0), ("weights", [0, 0, 0]), ("vector_share", 2)]:
        request = do.request(op.RECALL, "memory/a", control={**control, name: bad})
        do.expect(f"refused: {name}", request, Reply(INVALID))
    return do


def embedding() -> Script:
    """Vectors that are written straight into the engine's memory."""
    do = Script(
        "embedding", "embed_reserve and embed_batch: rows, what is written with them, refusals"
    )
    do.open(metric="dot")
    spec = do.spec
    do.put("notes", "mars", "red planet", about="a value without a vector")
    do.put("tasks", "done", True)

    def reserve(about: str, *rows: tuple[float, ...]) -> None:
        control = {"model": "small", "dimension": 3, "count": len(rows)}
        request = do.request(op.EMBED_RESERVE, "notes", control=control)
        do.expect(about, request, Reply(), fill=b"".join(floats(*row) for row in rows))

    def write(
        about: str, items: list[tuple[str, str, bytes, int]], *drafts: dict[str, Any]
    ) -> None:
        request = do.request(op.EMBED_BATCH, payload=batch(*items))
        spec.write(*drafts)
        do.expect(about, request, Reply(journal=spec.journal))

    def draft(key: str, value: bytes, row: tuple[float, ...]) -> dict[str, Any]:
        return {"namespace": "notes", "key": key, "value": value, "vector": floats(*row),
                "model": "small"}  # fmt: skip

    def found(about: str, *keys: str) -> None:
        control = {"model": None, "queries": 1, "top_k": 10, "threshold": None}
        request = do.request(op.SIMILAR, "notes", control=control, vector=floats(*QUERY))
        versions = [one for key in keys if (one := spec.current("notes", key))]
        hits = [(dot(ROWS[one.key], QUERY), one) for one in versions]
        do.expect(about, request, Reply(payload=hits_payload(hits)))

    reserve("room for two vectors", ROWS["venus"], ROWS["mars"])
    write("a value with one, and a value that is kept",
          [("", "venus", b'"bright"', 0), ("", "mars", b"", op.FLAG_KEEP)],
          draft("venus", b'"bright"', ROWS["venus"]),
          draft("mars", b'"red planet"', ROWS["mars"]))  # fmt: skip
    found("both are found", "mars", "venus")
    request = do.request(op.VECTOR, "notes", "mars")
    do.expect("a vector", request, Reply(flags=YES, payload=floats(*ROWS["mars"])))
    reserve("room for one more", ROWS["jazz"])
    plain = op.FLAG_PLAIN
    write("with it a value of another namespace, and two deletions, of which one deletes nothing",
          [("tasks", "next", b"1", plain), ("", "jazz", b"null", 0),
           ("tasks", "done", b"", plain | op.FLAG_DELETE),
           ("tasks", "never", b"", plain | op.FLAG_DELETE)],
          {"namespace": "tasks", "key": "next", "value": b"1"},
          draft("jazz", b"null", ROWS["jazz"]),
          {"namespace": "tasks", "key": "done", "kind": DELETED})  # fmt: skip
    found("all are found", "mars", "venus", "jazz")
    items = batch(("", "bad", b"1", 0))
    reserve("room for a vector that is none", (1, float("nan"), 0))
    request = do.request(op.EMBED_BATCH, payload=items)
    do.expect("refused: not a number; nothing was written", request, Reply(INVALID))
    reserve("room that is not used", (1, 2, 3))
    request = do.request(op.CONTAINS, "notes", "bad")
    do.expect("another request gives it back", request, Reply())
    request = do.request(op.EMBED_BATCH, payload=items)
    do.expect("refused: there is no room", request, Reply(INTERNAL))
    control = {"model": "small", "dimension": 4, "count": 1}
    request = do.request(op.EMBED_RESERVE, "notes", control=control)
    do.expect("refused: another dimension", request, Reply(INVALID))
    return do


SCRIPTS = [hybrid, recalling, embedding]
