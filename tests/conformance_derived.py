"""Conformance vectors of what is derived from versions: indexes, views, the feed of changes."""

from __future__ import annotations

from struct import pack
from typing import Any

from conformance import Script
from conformance_scripts import BOOKS, INVALID, NOT_FOUND, batch, definition
from conformance_spec import DELETED, YES, Reply, Version, compact, versions_payload

from koru_delta import _protocol as op


def defining() -> Script:
    """Views, which are versions of the engine's own, and dropping them as indexes."""
    do = Script("defining", "views: stored, kept up to date, read, listed, dropped; an index too")
    do.open()
    spec = do.spec
    for key, value in BOOKS.items():
        do.put("books", key, value)
    where, order = compact({"year": {"$gte": 1850}}), [["year", True]]

    def view(about: str, *keys: str, **options: Any) -> None:
        request = do.request(op.VIEW, key="late", **options)
        do.expect(about, request, Reply(payload=versions_payload(spec.values("books", keys))))

    request = do.request(op.CREATE_VIEW, "books", "late", control={"order_by": order},
                         payload=where)  # fmt: skip
    value = compact({"view": {"name": "late", "namespace": "books", "filter": where.decode(),
                              "order_by": compact(order).decode()}})  # fmt: skip
    spec.write({"namespace": "\0", "key": "view\0late", "value": value})
    do.expect("a view", request, Reply(journal=spec.journal))
    spec.begin(0, spec.sequence, 0)
    view("what it has, in its order", "walden", "moby")
    view("a part of it", "moby", control={"offset": 1, "limit": 1})
    then = spec.time_us
    do.put("books", "emma", {"title": "Emma", "year": 1900})
    spec.begin(0, spec.sequence, 0)
    view("a write changes it", "emma", "walden", "moby")
    view("as of a time before", "walden", "moby", at=then)
    listed = [{"filter": where.decode(), "name": "late", "namespace": "books", "order_by": order}]
    do.expect("the views", do.request(op.LIST_VIEWS), Reply(payload=compact(listed)))
    request = do.request(op.DROP_VIEW, key="late")
    spec.write({"namespace": "\0", "key": "view\0late", "kind": DELETED})
    do.expect("drop it", request, Reply(flags=YES, journal=spec.journal))
    do.expect("there is none now", do.request(op.DROP_VIEW, key="late"), Reply())
    do.expect("no view of that name", do.request(op.VIEW, key="late"), Reply(NOT_FOUND))
    request = do.request(op.CREATE_INDEX, "books", "year")
    do.expect("an index", request, definition(do, "books", "year"))
    do.expect("there is one", do.request(op.CREATE_INDEX, "books", "year"), Reply())
    request = do.request(op.DROP_INDEX, "books", "year")
    spec.write({"namespace": "\0", "key": "index\0books\0year", "kind": DELETED})
    do.expect("drop it", request, Reply(flags=YES, journal=spec.journal))
    do.expect("there is none", do.request(op.DROP_INDEX, "books", "year"), Reply())
    do.expect("refused: no field", do.request(op.CREATE_INDEX, "books", ""), Reply(INVALID))
    return do


Event = tuple[int, int, bytes, bytes]


def following() -> Script:
    """Every change once, in the order of commits."""
    do = Script("following", "changes: from a moment on, of a key, by a filter, after an erasure")
    do.open()
    spec = do.spec
    do.put("users", "alice", {"age": 30})
    do.put("users", "alice", {"age": 31})
    items = batch(("users", "bob", b"1", 0), ("a", "b", b"2", 0))
    request = do.request(op.PUT_BATCH, payload=items)
    spec.write({"namespace": "users", "key": "bob", "value": b"1"},
               {"namespace": "a", "key": "b", "value": b"2"})  # fmt: skip
    do.expect("a batch", request, Reply(journal=spec.journal))
    request = do.request(op.DELETE, "users", "alice")
    spec.write({"namespace": "users", "key": "alice", "kind": DELETED})
    do.expect("a deletion", request, Reply(flags=YES, journal=spec.journal))
    first, second, bob, other, deleted = spec.versions
    spec.begin(0, spec.sequence, 0)

    def event(version: Version, missed: int = 0) -> Event:
        before = spec.by_id(version.previous)
        return 0, missed, version.record, b"" if before is None else before.record

    def changes(about: str, *events: Event, namespace: str = "", key: str = "",
                where: bytes = b"", **control: Any) -> None:  # fmt: skip
        request = do.request(op.CHANGES, namespace, key, control=control, payload=where)
        payload = pack("<QQI", spec.time_us + 1, 0, len(events))
        for kind, missed, new, before in events:
            payload += pack("<4I", kind, missed, len(new), len(before))
        payload += b"".join(new + before for *_, new, before in events)
        do.expect(about, request, Reply(payload=payload))

    everything = [event(one) for one in spec.versions]
    changes("all of them", *everything, timestamp=0)
    changes("of a namespace", *map(event, (first, second, bob, deleted)), namespace="users",
            timestamp=0)  # fmt: skip
    changes("of a key", *map(event, (first, second, deleted)), namespace="users", key="alice",
            timestamp=0)  # fmt: skip
    where = compact({"age": 31})
    changes("what matches, or matched before", *map(event, (second, deleted)), where=where,
            timestamp=0)  # fmt: skip
    changes("from a time on", *everything[2:], timestamp=bob.time_us)
    changes("after the first entry of a commit", *everything[3:], timestamp=bob.time_us, taken=1)
    changes("after a version", *everything[4:], timestamp=other.time_us, after=other.id.hex())
    changes("from now on")
    request = do.request(op.ERASE, "users", "alice")
    gone = spec.erase("users", "alice")
    do.expect("an erasure", request, Reply(payload=compact(gone), journal=spec.journal))
    erasure = pack("<QHH", spec.time_us, 5, 5) + b"usersalice"
    spec.begin(0, spec.sequence, 0)
    changes("what is gone is counted, and told", event(bob, 2), event(other),
            (1, 1, erasure, b""), timestamp=0)  # fmt: skip
    return do


SCRIPTS = [defining, following]
