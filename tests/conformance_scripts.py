"""The steps of the conformance vectors, a function for each file."""

from __future__ import annotations

import json
from math import log
from struct import pack
from typing import Any

from conformance import START_US, Script
from conformance_spec import (
    DELETED,
    YES,
    Reply,
    Version,
    compact,
    file_header,
    hits_payload,
    versions_payload,
)

from koru_delta import _protocol as op

NOT_FOUND, CONFLICT, INVALID, SERIALIZATION, CORRUPT, UNSUPPORTED, INTERNAL = 3, 4, 1, 2, 6, 7, 8


def floats(*numbers: float) -> bytes:
    return pack(f"<{len(numbers)}f", *numbers)


def batch(*items: tuple[str, str, bytes, int]) -> bytes:
    """The payload of a batch."""
    parts = []
    for namespace, key, value, flags in items:
        space, name = namespace.encode(), key.encode()
        parts += [op.BATCH_ITEM.pack(len(space), len(name), len(value), flags), space, name, value]
    return b"".join(parts)


def writing() -> Script:
    """Every way to write, with the frames of each."""
    do = Script("writing", "each write's record and frames, what it is refused for, and its time")
    do.open()
    spec = do.spec
    first = do.put("users", "alice", {"age": 30})
    do.put("users", "alice", {"age": 31, "name": "Al\u00efce \U0001f600"}, about="a second version")
    do.put("files", "logo", bytes(range(256)), about="a value of bytes")
    do.put("numbers", "large", [2**64 - 1, -(2**63), 0.1], about="integers of 64 bits are kept")
    do.put("users", "bob", 1, later_us=-50_000, about="the host's clock went back: time does not")
    do.put("users", "bob", 2, synced=2, about="frames say what the host has synced")
    do.put("notes", "derived", None, control={"caused_by": [first.hex(), first.hex()]},
           about="a cause, named twice, counts once")  # fmt: skip
    do.put("users", "alice", "x" * 1_100, about="a value over a chunk of BLAKE3")
    refused_writes(do, first)
    items = [("a", "x", b"1", 0), ("a", "y", b"\0\1", op.FLAG_BYTES), ("a", "x", b"[2]", 0)]
    request = do.request(op.PUT_BATCH, payload=batch(*items))
    spec.write(*(
        {"namespace": space, "key": key, "value": value, "kind": flags}
        for space, key, value, flags in items
    ))  # fmt: skip
    do.expect("a batch is one commit", request, Reply(journal=spec.journal))
    bad = batch(("a", "x", b"1", 0), ("a", "z", b"nan", 0))
    request = do.request(op.PUT_BATCH, payload=bad)
    do.expect("of a batch all or none", request, Reply(SERIALIZATION, details={"index": 1}))
    do.expect("an empty batch", do.request(op.PUT_BATCH), Reply())
    deletions = batch(("a", "y", b"", op.FLAG_DELETE), ("a", "none", b"", op.FLAG_DELETE))
    request = do.request(op.PUT_BATCH, payload=deletions)
    spec.write({"namespace": "a", "key": "y", "kind": DELETED})
    do.expect("a batch deletes what is there", request, Reply(journal=spec.journal))
    deleting(do, first)
    return do


def refused_writes(do: Script, first: bytes) -> None:
    """Writes that leave nothing behind."""
    latest = do.spec.versions[-1].id.hex()
    refused: list[tuple[str, tuple[str, str], dict[str, Any], int, dict[str, Any]]] = [
        ("expected an older version", ("users", "alice"),
         {"payload": b"1", "control": {"expected": first.hex()}}, CONFLICT, {"current": latest}),
        ("expected no value", ("users", "bob"), {"payload": b"1", "control": {"expected": ""}},
         CONFLICT, {}),
        ("no JSON", ("users", "bad"), {"payload": b"[1,"}, SERIALIZATION, {}),
        ("two values", ("users", "bad"), {"payload": b"1 2"}, SERIALIZATION, {}),
        ("no key", ("users", ""), {"payload": b"1"}, INVALID, {}),
        ("a key with NUL", ("users", "a\0b"), {"payload": b"1"}, INVALID, {}),
        ("a key that is too long", ("users", "k" * 1025), {"payload": b"1"}, INVALID, {}),
        ("an unknown cause", ("users", "bad"),
         {"payload": b"1", "control": {"caused_by": ["0" * 32]}}, INVALID, {}),
    ]  # fmt: skip
    for about, (namespace, key), options, status, details in refused:
        request = do.request(op.PUT, namespace, key, **options)
        do.expect(f"refused: {about}", request, Reply(status, details=details))


def deleting(do: Script, first: bytes) -> None:
    """Deleting, restoring and erasing."""
    spec = do.spec
    request = do.request(op.DELETE, "users", "alice")
    spec.write({"namespace": "users", "key": "alice", "kind": DELETED})
    do.expect("a deletion is a version", request, Reply(flags=YES, journal=spec.journal))
    do.expect("nothing to delete", do.request(op.DELETE, "users", "alice"), Reply())
    request = do.request(op.RESTORE, "users", "alice", payload=first.hex().encode())
    [version] = spec.write(
        {"namespace": "users", "key": "alice", "value": b'{"age": 30}', "causes": (first,)}
    )
    reply = Reply(payload=version.record, journal=spec.journal)
    do.expect("an old value is restored", request, reply)
    request = do.request(op.RESTORE, "users", "bob", payload=first.hex().encode())
    do.expect("refused: a version of another key", request, Reply(INVALID))
    request = do.request(op.ERASE, "files", "logo")
    count = spec.erase("files", "logo")
    reply = Reply(payload=compact(count), journal=spec.journal)
    do.expect("an erasure has a frame of its own", request, reply)
    do.expect("nothing to erase", do.request(op.ERASE, "files", "logo"), Reply(payload=b"0"))
    do.put("files", "logo", b"new", about="the key begins anew, without a previous version")


def reading() -> Script:
    """Every way to read, now, in the past, and before an acknowledgement."""
    do = Script(
        "reading", "what reads answer now, as of a time, and before a write is acknowledged"
    )
    do.open()
    spec = do.spec
    first = do.put("users", "alice", {"age": 30})
    second = do.put("users", "alice", {"age": 31, "city": "Paris"})
    do.put("users", "bob", [1, 2.5, None], control={"caused_by": [first.hex()]})
    do.put("users", "zo\u00eb", "umlaut", control={"caused_by": [second.hex()]})
    do.put("files", "logo", b"\x00\xff")
    request = do.request(op.DELETE, "users", "bob")
    spec.write({"namespace": "users", "key": "bob", "kind": DELETED})
    do.expect("delete users/bob", request, Reply(flags=YES, journal=spec.journal))
    deleted = spec.versions[-1]
    for at in (op.NOW, spec.versions[2].time_us, START_US):
        look(do, at)
    acknowledged = spec.sequence
    do.put("users", "alice", {"age": 32})
    when = "before the write is acknowledged"
    request = do.request(op.GET, "users", "alice", acknowledged=acknowledged)
    do.expect(f"get {when}", request, spec.get("users", "alice"))
    request = do.request(op.HISTORY, "users", "alice", acknowledged=acknowledged)
    reply = Reply(payload=versions_payload(spec.history("users", "alice")))
    do.expect(f"history {when}", request, reply)
    request = do.request(op.GET, "users", "alice")
    do.expect("get after it", request, spec.get("users", "alice"))
    versions_of(do, first, second, deleted)
    ending(do)
    return do


def look(do: Script, at: int) -> None:
    """Reads as of a time."""
    spec = do.spec
    when = "now" if at == op.NOW else f"as of {at}"
    for namespace, key in (("users", "alice"), ("users", "bob"), ("files", "logo")):
        request = do.request(op.GET, namespace, key, at=at)
        do.expect(f"get {namespace}/{key} {when}", request, spec.get(namespace, key, at))
        request = do.request(op.CONTAINS, namespace, key, at=at)
        reply = Reply(flags=YES if spec.current(namespace, key, at) else 0)
        do.expect(f"contains {namespace}/{key} {when}", request, reply)
    request = do.request(op.GET, "users", "nobody", at=at, flags=op.FLAG_QUIET)
    do.expect(f"get quietly what is not there {when}", request, Reply())
    keys = ["zo\u00eb", "nobody", "alice"]
    request = do.request(op.GET_MANY, "users", payload=compact(keys), at=at)
    found = spec.values("users", keys, at)
    do.expect(f"get_many {when}", request, Reply(payload=versions_payload(found)))
    present = spec.present("users", at)
    request = do.request(op.GET_MANY, "users", at=at)
    do.expect(f"get all {when}", request, Reply(payload=versions_payload(present)))
    request = do.request(op.LIST_KEYS, "users", at=at)
    names = compact([one.key for one in present])
    do.expect(f"list_keys {when}", request, Reply(payload=names))
    control = {"prefix": "", "start_after": "alice", "limit": 1}
    request = do.request(op.LIST_KEYS, "users", control=control, at=at)
    names = compact([one.key for one in present if one.key > "alice"][:1])
    do.expect(f"a page of list_keys {when}", request, Reply(payload=names))
    request = do.request(op.LIST_NAMESPACES, at=at)
    do.expect(f"list_namespaces {when}", request, Reply(payload=compact(spec.namespaces(at))))


def versions_of(do: Script, first: bytes, second: bytes, deleted: Version) -> None:
    """Histories, versions by id, causes and differences."""
    spec = do.spec
    alice = spec.history("users", "alice")
    request = do.request(op.HISTORY, "users", "alice")
    do.expect("history, oldest first", request, Reply(payload=versions_payload(alice)))
    request = do.request(op.HISTORY, "users", "alice", control={"limit": 2})
    do.expect("the last two", request, Reply(payload=versions_payload(alice[-2:])))
    request = do.request(op.HISTORY, "users", "bob")
    bob = spec.history("users", "bob")
    do.expect("a history with a deletion", request, Reply(payload=versions_payload(bob)))
    for one in (alice[0], deleted):
        request = do.request(op.VERSION, payload=one.id.hex().encode())
        do.expect("a version by its id", request, Reply(payload=one.record))
    request = do.request(op.VERSION, payload=b"0" * 32)
    do.expect("an unknown version", request, Reply(NOT_FOUND))
    request = do.request(op.LINEAGE, payload=bob[0].id.hex().encode())
    do.expect("causes of users/bob", request, Reply(payload=versions_payload([alice[0]])))
    request = do.request(op.EFFECTS, payload=second.hex().encode())
    [umlaut] = spec.history("users", "zo\u00eb")
    do.expect("what came of a version", request, Reply(payload=versions_payload([umlaut])))
    patch = [
        {"op": "replace", "path": "/age", "value": 31},
        {"op": "add", "path": "/city", "value": "Paris"},
    ]
    control = {"from": first.hex(), "to": second.hex()}
    request = do.request(op.DIFF, "users", "alice", control=control)
    do.expect("a difference is a JSON Patch", request, Reply(payload=compact(patch)))
    request = do.request(op.GET, "users", "alcie")
    do.expect("near keys of a missing one", request,
              Reply(NOT_FOUND, details={"suggestions": ["alice"]}))  # fmt: skip


def ending(do: Script) -> None:
    """The chain of commits."""
    spec = do.spec
    head = spec.head.hex()
    do.expect("the head of the chain", do.request(op.HEAD), Reply(payload=head.encode()))
    commits = sum(one.kind == 2 for one in frames(do))
    verified = {"versions": len(spec.versions), "commits": commits, "head": head, "problems": []}
    do.expect("everything rehashed", do.request(op.VERIFY), Reply(payload=compact(verified)))
    request = do.request(99)
    do.expect("an opcode that there is not", request, Reply(INTERNAL))


def frames(do: Script) -> Any:
    from log_format import parse_log

    return parse_log(do.log).frames


def a_log() -> Script:
    """A small log of four commits, made as `writing` makes its."""
    do = Script("", "")
    do.open()
    do.put("users", "alice", {"age": 30})
    do.put("users", "alice", {"age": 31}, synced=0)
    do.put("files", "logo", b"\x89PNG")
    do.put("notes", "mars", "red", vector=floats(1, 0, 0.5))
    return do


def opening() -> Script:
    """A file handed over in pieces, and what it may come to."""
    do = Script("opening", "a log is taken in by pieces, and appended to")
    source = a_log()
    content = source.log
    cut = 64 + 100
    control = {
        "open": {"database_id": "00" * 16, "journal": True, "memory_budget": 0},
        "writable": True, "verify": False,
    }  # fmt: skip
    spec = do.spec = source.spec
    length = len(content)
    first = do.request(op.REPLAY, control={**control, "offset": 0}, payload=content[:cut])
    spec_sequence, spec.sequence = spec.sequence, 0
    do.expect("the file begins in the middle of a frame", first,
              Reply(payload=compact({"offset": 64, "want": 128})))  # fmt: skip
    last = do.request(op.REPLAY, control={**control, "offset": 64}, payload=content[64:],
                      flags=op.FLAG_END)  # fmt: skip
    spec.sequence = spec_sequence
    outcome = {"dropped_bytes": 0, "lost": [], "valid_bytes": length}
    do.expect("the rest, from where it asked", last, Reply(payload=compact(outcome)))
    request = do.request(op.HEAD)
    do.expect("the chain goes on", request, Reply(payload=spec.head.hex().encode()))
    request = do.request(op.GET, "users", "alice")
    do.expect("what was written is there", request, spec.get("users", "alice"))
    request = do.request(op.VECTOR, "notes", "mars")
    do.expect("and its vector", request, Reply(flags=YES, payload=floats(1, 0, 0.5)))
    do.put("users", "alice", {"age": 32}, about="frames go on where the file ended")
    request = do.request(op.OPEN, control=control["open"])
    do.expect("an instance has one database", request, Reply(INTERNAL))
    return do


def verifying() -> Script:
    """A file whose hashes are all computed again."""
    do = Script("verifying", "a replay that verifies recomputes every hash and keeps nothing")
    source = a_log()
    do.spec.sequence = source.spec.sequence
    control = {
        "open": {"database_id": "00" * 16, "journal": False, "memory_budget": 0},
        "writable": False, "verify": True, "offset": 0,
    }  # fmt: skip
    request = do.request(op.REPLAY, control=control, payload=source.log, flags=op.FLAG_END)
    outcome = {"dropped_bytes": 0, "lost": [], "valid_bytes": len(source.log)}
    do.expect("a sound file", request, Reply(payload=compact(outcome)))
    head = source.spec.head.hex().encode()
    do.expect("the head that the hashes come to", do.request(op.HEAD), Reply(payload=head))
    do.expect("nothing was kept", do.request(op.LIST_NAMESPACES), Reply(payload=b"[]"))
    return do


def torn_tail() -> Script:
    """A file that ends in the middle of a write."""
    do = Script("torn_tail", "what a crash left of a write is cut off, and nothing else")
    source = a_log()
    control = {
        "open": {"database_id": "00" * 16, "journal": True, "memory_budget": 0},
        "writable": True, "verify": False, "offset": 0,
    }  # fmt: skip
    groups = [one.offset for one in frames(source) if one.kind == 1]
    content = source.log[:-8]
    request = do.request(op.REPLAY, control=control, payload=content, flags=op.FLAG_END)
    outcome = {"dropped_bytes": len(content) - groups[-1], "lost": [], "valid_bytes": groups[-1]}
    do.spec.sequence = 6
    do.expect("half a group at the end", request, Reply(payload=compact(outcome)))
    request = do.request(op.CONTAINS, "notes", "mars")
    do.expect("is not there", request, Reply())
    request = do.request(op.CONTAINS, "files", "logo")
    do.expect("what came before is", request, Reply(flags=YES))
    return do


def damage() -> list[Script]:
    """Files that are refused, each in an instance of its own."""
    content = a_log().log
    middle = bytearray(content)
    middle[64 + 60] ^= 1
    newer = bytearray(content)
    newer[8] = 2
    cases: list[tuple[str, str, bytes, int, dict[str, Any]]] = [
        ("damaged", "acknowledged data that is damaged", bytes(middle), CORRUPT, {"offset": 64}),
        ("foreign", "a file of something else", b"SQLite format 3\0" * 8, UNSUPPORTED, {}),
        ("newer", "a file of a later format", bytes(newer), UNSUPPORTED, {}),
        ("empty", "a file of no bytes", b"", CORRUPT, {"offset": 0}),
    ]
    scripts = []
    for name, about, data, status, details in cases:
        do = Script(f"refused_{name}", f"{about} is refused")
        control = {
            "open": {"database_id": "00" * 16, "journal": True, "memory_budget": 0},
            "writable": True, "verify": False, "offset": 0,
        }  # fmt: skip
        request = do.request(op.REPLAY, control=control, payload=data, flags=op.FLAG_END)
        do.expect(about, request, Reply(status, details=details))
        scripts.append(do)
    return scripts


def vectors() -> Script:
    """Vectors whose scores are exact in float32."""
    do = Script("vectors", "vectors: their frames, searches with filters and of the past")
    do.open(metric="dot")
    spec = do.spec
    rows = {"mars": (1, 0, 0.5), "venus": (0.5, 1, 0), "jazz": (0, -1, 2)}
    for key, row in rows.items():
        value = {"moons": {"mars": 2, "venus": 0}.get(key), "name": key}
        control = {"model": "small"}
        do.put("notes", key, value, vector=floats(*row), control=control)
    query = (1, 0.5, 0.25)

    def similar(about: str, reply: Reply, **options: Any) -> None:
        control = {"model": None, "queries": 1, "top_k": 10, "threshold": None}
        control |= options.pop("control", {})
        namespace = options.pop("namespace", "notes")
        vector = options.pop("vector", floats(*query))
        request = do.request(op.SIMILAR, namespace, control=control, vector=vector, **options)
        do.expect(about, request, reply)

    def hits(*keys: str, at: int = op.NOW) -> Reply:
        found = []
        for key in keys:
            version = spec.current("notes", key, at)
            assert version is not None
            score = sum(a * b for a, b in zip(rows[key], query, strict=True))
            found.append((score, version))
        return Reply(payload=hits_payload(found))

    do.spec.begin(0, spec.sequence, 0)
    similar("best first", hits("mars", "venus", "jazz"))
    similar("the best one", hits("mars"), control={"top_k": 1})
    similar("in all namespaces", hits("mars", "venus", "jazz"), namespace="")
    similar("those that reach a score", hits("mars", "venus"), control={"threshold": 0.5})
    where = compact({"moons": {"$lt": 1}})
    similar("those that match a filter", hits("venus"), payload=where)
    similar("without loss", hits("mars", "venus", "jazz"), control={"exact": True})
    similar("refused: another dimension", Reply(INVALID), vector=floats(1, 2))
    similar("refused: no such model", Reply(INVALID), control={"model": "large"})
    request = do.request(op.VECTOR, "notes", "jazz")
    do.expect("a vector", request, Reply(flags=YES, payload=floats(*rows["jazz"])))
    then = spec.time_us
    request = do.request(op.PUT, "notes", "mars", flags=op.FLAG_KEEP, vector=floats(0, 0, 1),
                         control={"model": "small"})  # fmt: skip
    old = spec.versions[0].value
    [version] = spec.write(
        {"namespace": "notes", "key": "mars", "value": old, "vector": floats(0, 0, 1),
         "model": "small"}
    )  # fmt: skip
    reply = Reply(payload=version.record, journal=spec.journal)
    do.expect("another vector for the same value", request, reply)
    do.spec.begin(0, spec.sequence, 0)
    similar("vectors of the past are found in the past", hits("mars", "venus", "jazz", at=then),
            at=then)  # fmt: skip
    rows["mars"] = (0, 0, 1)
    similar("and those of now, now", hits("venus", "mars", "jazz"))
    bad = [("not a number", floats(float("nan"), 0, 1)), ("another dimension", floats(1, 2))]
    for about, row in bad:
        request = do.request(op.PUT, "notes", "bad", payload=b"1", vector=row,
                             control={"model": "small"})  # fmt: skip
        do.expect(f"refused: {about}", request, Reply(INVALID))
    return do


BOOKS = {
    "emma": {"title": "Emma", "year": 1815, "tags": ["novel"]},
    "moby": {"title": "Moby-Dick", "year": 1851, "tags": ["novel", "whale"]},
    "walden": {"title": "Walden", "year": 1854, "tags": ["essay"]},
}


def querying() -> Script:
    """Filters, orders, aggregates, indexes and views."""
    do = Script("querying", "filters, orders, aggregates; with and without an index")
    do.open()
    spec = do.spec
    for key, value in BOOKS.items():
        do.put("books", key, value)

    def versions(*keys: str) -> Reply:
        return Reply(payload=versions_payload(spec.values("books", keys)))

    cases: list[tuple[str, Any, dict[str, Any], tuple[str, ...]]] = [
        ("all, by key", None, {}, ("emma", "moby", "walden")),
        ("a range", {"year": {"$gte": 1850}}, {}, ("moby", "walden")),
        ("an element of an array", {"tags": "novel"}, {}, ("emma", "moby")),
        ("descending", None, {"order_by": [["year", True]], "limit": 2}, ("walden", "moby")),
        ("or", {"$or": [{"title": "Emma"}, {"year": 1854}]}, {}, ("emma", "walden")),
        ("a pattern", {"title": {"$regex": "^M"}}, {}, ("moby",)),
        ("nothing", {"year": {"$in": []}}, {}, ()),
    ]
    for indexed in (False, True):
        if indexed:
            request = do.request(op.CREATE_INDEX, "books", "year")
            made = definition(do, "books", "year")
            do.expect("an index of a field", request, made)
        for about, where, control, keys in cases:
            payload = b"" if where is None else compact(where)
            request = do.request(op.QUERY, "books", control=control, payload=payload)
            do.spec.begin(0, spec.sequence, 0)
            do.expect(about, request, versions(*keys))
            if control:
                continue
            request = do.request(op.COUNT, "books", payload=payload)
            do.expect(f"count: {about}", request, Reply(payload=compact(len(keys))))
    request = do.request(op.QUERY, "books", payload=compact({"year": {"$near": 1}}))
    do.expect("refused: an operator that there is not", request, Reply(INVALID))
    spec_text = json.dumps({"spec": {"n": {"$count": True}, "first": {"$min": "year"}},
                            "group_by": None})  # fmt: skip
    request = do.request(op.AGGREGATE, "books", control={"aggregation": spec_text})
    reply = Reply(payload=compact([{"n": 3, "first": 1815}]))
    do.expect("aggregates", request, reply)
    return do


def definition(do: Script, namespace: str, field: str) -> Reply:
    """What making an index writes: a value in the engine's own namespace."""
    key = f"index\0{namespace}\0{field}"
    value = compact({"index": {"namespace": namespace, "field": field}})
    do.spec.write({"namespace": "\0", "key": key, "value": value})
    return Reply(flags=YES, journal=do.spec.journal)


TEXTS = {"mars": "red planet", "venus": "bright planet planet", "jazz": "blue note"}


def searching() -> Script:
    """BM25, by its formula."""
    do = Script("searching", "full text: order, scores, snippets and highlights")
    do.open()
    spec = do.spec
    for key, value in TEXTS.items():
        do.put("notes", key, value)

    def search(about: str, text: str, *hits: tuple[str, str]) -> None:
        control = {"text": text, "top_k": 10, "fields": None}
        request = do.request(op.SEARCH, "notes", control=control)
        found, snippets = [], []
        for key, word in hits:
            version = spec.current("notes", key)
            assert version is not None
            found.append((bm25(word, key), version))
            snippets.append([TEXTS[key], places(TEXTS[key], word)])
        payload = hits_payload(found, compact(snippets).decode())
        do.expect(about, request, Reply(payload=payload))

    search("the more often, the better", "planet", ("venus", "planet"), ("mars", "planet"))
    search("whatever the case", "RED", ("mars", "red"))
    search("nothing", "saturn")
    return do


def bm25(word: str, key: str) -> float:
    """The score of a word in one of `TEXTS`."""
    documents = {name: text.split() for name, text in TEXTS.items()}
    having = sum(word in text for text in documents.values())
    average = sum(map(len, documents.values())) / len(documents)
    idf = log(1 + (len(documents) - having + 0.5) / (having + 0.5))
    times = documents[key].count(word)
    length = 1.2 * (1 - 0.75 + 0.75 * len(documents[key]) / average)
    return idf * times * (1.2 + 1) / (times + length)


def places(text: str, word: str) -> list[list[int]]:
    """From where to where a word is in a text."""
    found, start = [], text.find(word)
    while start >= 0:
        found.append([start, start + len(word)])
        start = text.find(word, start + 1)
    return found


def malformed() -> Script:
    """Requests that do not follow the protocol: a defect of the host, told and survived."""
    do = Script("malformed", "requests that do not follow the protocol are errors, never traps")
    short = do.request(op.GET, "users", "alice")
    do.expect("before anything is open", short, Reply(INTERNAL))
    do.open()
    cases = [
        ("no bytes", ""),
        ("half a header", "00" * 20),
        ("lengths that do not add up", do.request(op.GET, "a", "b")["bytes"] + "00"),
        ("a length of 4 GiB", "00" * 24 + "ffffffff" + "00" * 28),
    ]
    for about, text in cases:
        request = {**do.request(op.GET), "bytes": text}
        do.expect(about, request, Reply(INTERNAL))
    request = do.request(op.HISTORY, "a", "b", control={"limit": 1, "more": 2})
    do.expect("a control object with an unknown name", request, Reply(INTERNAL))
    request = do.request(op.PUT_BATCH, payload=b"\1\0\0\0")
    do.expect("half an item of a batch", request, Reply(INTERNAL))
    request = do.request(op.EMBED_BATCH)
    do.expect("vectors for which no room was made", request, Reply(INTERNAL))
    header = file_header(do.spec.database_id)
    control = {
        "open": {"database_id": "00" * 16, "journal": True, "memory_budget": 0},
        "writable": True, "verify": False, "offset": 0,
    }  # fmt: skip
    request = do.request(op.REPLAY, control=control, payload=header, flags=op.FLAG_END)
    do.expect("a log for a database that is open", request, Reply(INTERNAL))
    do.put("users", "alice", 1, about="the instance goes on")
    return do


SCRIPTS = [
    writing, reading, opening, verifying, torn_tail, vectors, querying, searching, malformed,
    *[lambda script=script: script for script in damage()],
]  # fmt: skip
