"""The engine may stop at any instruction: what is found is before or after, never between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from crash_workload import commits_of, state_of
from fuel import PLENTY, Tank, amounts, count_fuel, fuel_left, give_fuel

from koru_delta import Config, KoruDeltaError, SyncDatabase
from koru_delta.storage import MemoryStorage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

POINTS = 8
UNCHECKED = (
    1_000  # Fuel is looked at where functions begin and loops go round: not at the very end.
)
VECTORS = [[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]]

WRITES: dict[str, Callable[[SyncDatabase], Any]] = {
    "put": lambda db: db.put("a", "key", {"n": 7, "text": "x" * 300}),
    "put_batch": lambda db: db.put_batch([("a", f"{i}", {"n": i}) for i in range(30)]),
    "delete": lambda db: db.delete("a", "key"),
    "erase": lambda db: db.erase("a", "key"),
    "restore": lambda db: db.restore("a", "key", db.history("a", "key")[0].version_id),
    "embed": lambda db: db.embed("v", "key", [1.0, 0.5]),
    "embed_batch": lambda db: db.embed_batch("v", ["x", "y", "z"], VECTORS),
    "create_index": lambda db: db.create_index("a", "n"),
    "drop_index": lambda db: db.drop_index("a", "text"),
    "create_view": lambda db: db.create_view("few", "a", {"n": {"$lt": 2}}),
}
READS: dict[str, Callable[[SyncDatabase], Any]] = {
    "get": lambda db: db.get("a", "other"),
    "history": lambda db: db.history("a", "key"),
    "list_keys": lambda db: db.list_keys("a"),
    "query": lambda db: db.query("a", {"n": {"$gte": 1}}, order_by="n"),
    "aggregate": lambda db: db.aggregate("a", {"sum": {"$sum": "n"}}),
    "search": lambda db: db.search("a", "words"),
    "similar": lambda db: db.similar("v", [1.0, 0.2], 2),
    "verify": lambda db: db.verify(),
}


@pytest.fixture(autouse=True)
def counted(monkeypatch: pytest.MonkeyPatch) -> None:
    count_fuel(monkeypatch)


def prepared() -> bytes:
    """A log with something of everything."""
    place = MemoryStorage()
    with SyncDatabase(Config(storage=place)) as db:
        db.put("a", "key", {"n": 1, "text": "some words"})
        db.put("a", "key", {"n": 2, "text": "other words"})
        db.put("a", "other", {"n": 3})
        db.embed_batch("v", ["one", "two"], VECTORS[:2])
        db.create_index("a", "text")
    return bytes(place.data)


@pytest.fixture
def log() -> bytes:
    return prepared()


def opened(place: MemoryStorage) -> SyncDatabase:
    # Nothing is remembered on the Python side: every read enters the engine.
    return SyncDatabase(Config(storage=place, max_memory_mb=16, hot_cache_size=0))


def needed(log: bytes, step: Callable[[SyncDatabase], Any]) -> int:
    """How much fuel a step takes."""
    with opened(MemoryStorage(log)) as db:
        give_fuel(db, PLENTY)
        step(db)
        return PLENTY - fuel_left(db)


def without_heads(state: dict[str, Any]) -> dict[str, Any]:
    """What does not depend on the moment of the write."""
    seen = {name: value for name, value in state.items() if name != "head"}
    for name, value in seen.items():
        if "/" in name:
            seen[name] = [(content, deleted) for _, content, deleted, _ in value]
    return seen


def stopped(db: SyncDatabase, step: Callable[[SyncDatabase], Any], amount: int) -> bool:
    """Carries out a step on so much fuel; whether the engine stopped."""
    give_fuel(db, amount)
    try:
        step(db)
    except KoruDeltaError as error:
        if "fuel" not in str(error):
            raise
        return True
    give_fuel(db, PLENTY)
    return False


@pytest.mark.parametrize("name", WRITES)
def test_a_write_that_stops_anywhere_is_not_there(log: bytes, name: str) -> None:
    step = WRITES[name]
    used = needed(log, step)
    with opened(MemoryStorage(log)) as db:
        before = state_of(db)
        step(db)
        after = without_heads(state_of(db))
    for amount in amounts(used, POINTS):
        place = MemoryStorage(log)
        with opened(place) as db:
            if stopped(db, step, amount):
                assert state_of(db) == before, amount
                assert place.data == log
                step(db)
            else:
                assert amount > used - UNCHECKED, amount
            assert without_heads(state_of(db)) == after, amount
            assert db.verify().ok
        heads = [head for _, head in commits_of(bytes(place.data))]
        assert heads[:-1] == [head for _, head in commits_of(log)]


@pytest.mark.parametrize("name", READS)
def test_a_read_that_stops_anywhere_changes_nothing(log: bytes, name: str) -> None:
    step = READS[name]
    used = needed(log, step)
    with opened(MemoryStorage(log)) as db:
        expected = step(db)
    for amount in amounts(used, POINTS):
        # One database for each: a second search finds the index of the first, and takes less.
        with opened(MemoryStorage(log)) as db:
            assert stopped(db, step, amount) or amount > used - UNCHECKED, amount
            if name not in ("query", "aggregate", "verify"):  # These say how long they took.
                assert repr(step(db)) == repr(expected), amount
            db.put("a", "after", amount)
            assert db.get("a", "after") == amount


def replays(log: bytes, points: int) -> Iterator[int]:
    """Amounts on which a log cannot be read to its end."""
    with opened(MemoryStorage(log)) as db:
        used = PLENTY - fuel_left(db)
    yield from amounts(used, points)


def test_an_opening_that_stops_anywhere_changes_nothing(
    log: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(MemoryStorage(log)) as db:
        state = state_of(db)
    torn, stops = log + b"torn tail", 0
    for amount in replays(log, POINTS):
        place = MemoryStorage(torn)
        monkeypatch.setattr(Tank, "new_instances", amount)
        db = opened(place)
        try:
            db.__enter__()
        except KoruDeltaError:
            stops += 1
            assert not db._database._session.is_open, "nobody could close it"
        else:
            db.close()
        monkeypatch.setattr(Tank, "new_instances", PLENTY)
        assert bytes(place.data) in (torn, log)
        with opened(place) as db:
            assert state_of(db) == state
    assert stops >= POINTS - 1


def test_a_rebuild_that_stops_is_tried_again(log: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    for amount in replays(log, POINTS):
        with opened(MemoryStorage(log)) as db:
            state = state_of(db)
            monkeypatch.setattr(Tank, "new_instances", amount)
            for work in (stop, stop_again, stop_again):
                with pytest.raises(KoruDeltaError):
                    work(db)
            monkeypatch.setattr(Tank, "new_instances", PLENTY)
            assert state_of(db) == state, amount
            db.put("a", "key", "new")
            assert db.get("a", "key") == "new"


def stop(db: SyncDatabase) -> None:
    """Makes the engine stop."""
    give_fuel(db, 0)
    db.put("a", "key", "never")


def stop_again(db: SyncDatabase) -> None:
    """Meets an engine that cannot be made anew."""
    db.put("a", "key", "never")


def test_a_database_in_memory_refuses_from_then_on() -> None:
    with SyncDatabase() as db:
        db.put("a", "key", 1)
        with pytest.raises(KoruDeltaError):
            stop(db)
        for step in (*WRITES.values(), *READS.values()):
            with pytest.raises(KoruDeltaError, match="engine stopped"):
                step(db)
