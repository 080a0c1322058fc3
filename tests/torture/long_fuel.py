"""The engine stopped at thousands of places of every kind of operation."""

from __future__ import annotations

import pytest
import test_fuel
from crash_workload import state_of
from fuel import amounts, count_fuel
from test_fuel import READS, WRITES

from koru_delta.storage import MemoryStorage


def run(count: int, seed: int) -> str:
    """That many stops, spread over all operations."""
    patch = pytest.MonkeyPatch()
    count_fuel(patch)
    points = count // (len(WRITES) + len(READS)) + 1
    stops = 0
    log = test_fuel.prepared()
    for name, step in {**WRITES, **READS}.items():
        used = test_fuel.needed(log, step)
        for amount in amounts(used, points):
            place = MemoryStorage(log)
            with test_fuel.opened(place) as db:
                before = state_of(db)
                if test_fuel.stopped(db, step, amount):
                    stops += 1
                    found = state_of(db)
                    assert found == before, (name, amount)
                    assert bytes(place.data) == log, (name, amount)
                    step(db)
                else:
                    assert amount > used - test_fuel.UNCHECKED, (name, amount)
                assert db.verify().ok
    patch.undo()
    return f"{stops} stops in {len(WRITES) + len(READS)} operations: the state before, each time"
