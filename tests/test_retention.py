"""Retention: what compaction keeps, against the rules as they are written down."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from koru_delta import Config, Database, SyncDatabase, ValidationError, Version

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from conftest import FileOpener

KEYS = [f"k{i}" for i in range(5)]
STEP_US = 1_000_000


def kept_of(
    history: Sequence[Version], now_us: int, keep_versions: int | None, keep_history_us: int | None
) -> list[Version]:
    """What stays of a key's versions, oldest first, each rule taken at its word."""
    if keep_versions is None and keep_history_us is None:
        return list(history)
    kept = []
    for i, version in enumerate(history):
        later = history[i + 1 :]
        by_count = keep_versions is not None and len(later) < keep_versions
        begin = now_us - (keep_history_us or 0)
        ends = later[0].timestamp_us if later else now_us + 1
        by_time = keep_history_us is not None and ends > begin
        if version.deleted and not later:
            # A deletion is nobody's value: what it says counts from when it was written.
            by_time = keep_history_us is not None and version.timestamp_us > begin
        if by_count or by_time or (not later and not version.deleted):
            kept.append(version)
    return kept


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """A second passes with each look; the time of the last look."""
    now = [1_700_000_000 * STEP_US]

    def look() -> int:
        now[0] += STEP_US
        return now[0] * 1000

    for module in ("_operations.writing", "_session", "_upkeep.snapshots"):
        monkeypatch.setattr(f"koru_delta.{module}.time_ns", look)
    return lambda: now[0]


@pytest.mark.parametrize("seed", range(12))
def test_what_stays_is_what_the_rules_keep(seed: int, clock: Callable[[], int]) -> None:
    random = Random(seed)
    keep_versions = random.choice([None, 1, 2, 3, 100])
    keep_history = random.choice([None, 0, 3, 10, 30, 1000])
    with SyncDatabase() as db:
        for _ in range(4):
            for _ in range(30):
                key = random.choice(KEYS)
                chance = random.random()
                if chance < 0.6:
                    db.put("a", key, random.randrange(100))
                elif chance < 0.8:
                    db.delete("a", key)
                elif chance < 0.85:
                    db.erase("a", key)
                else:
                    db.put_batch([("a", key, 1), ("a", random.choice(KEYS), 2)])
            written = {key: list(db.history("a", key)) for key in KEYS if _has(db, key)}
            head, values = db.head, _values(db)
            report = db.compact(keep_versions=keep_versions, keep_history=keep_history)
            history_us = None if keep_history is None else keep_history * STEP_US
            dropped = 0
            for key, history in written.items():
                expected = kept_of(history, clock(), keep_versions, history_us)
                found = list(db.history("a", key)) if _has(db, key) else []
                assert found == expected, (key, keep_versions, keep_history)
                dropped += len(history) - len(expected)
            assert report.versions_dropped == dropped
            assert (db.head, _values(db)) == (head, values)
            assert db.verify().ok
            # Every version that stays is found at its own time.
            for key in written:
                history = list(db.history("a", key)) if _has(db, key) else []
                for version in {one.timestamp_us: one for one in history}.values():
                    assert db.get("a", key, None, at=version) == version.value


def _has(db: SyncDatabase, key: str) -> bool:
    try:
        return bool(db.history("a", key))
    except KeyError:
        return False


def _values(db: SyncDatabase) -> dict[str, Any]:
    return db.get_many("a", KEYS)


async def test_definitions_stay(open_file: FileOpener, reopen: Callable[..., Any]) -> None:
    db = await open_file(keep_versions=1, keep_history=0)
    for i in range(5):
        await db.put("a", "key", {"n": i})
        await db.create_index("a", "n")
        await db.create_view("v", "a", {"n": {"$gte": i}})
        await db.drop_index("a", "n")
    await db.create_index("a", "n")
    await db.compact()
    for again in (False, True):
        if again:
            db = await reopen(db)
        assert [index.field for index in await db.list_indexes()] == ["n"]
        assert [record.value for record in await db.view("v")] == [{"n": 4}]
        assert (await db.stats()).versions == 3


async def test_rules_of_the_call_stand_in_place_of_those_of_the_config() -> None:
    async with Database(Config(keep_versions=2)) as db:
        for i in range(6):
            await db.put("a", "key", i)
        await db.compact(keep_versions=4)
        assert len(await db.history("a", "key")) == 4
        await db.compact()
        assert len(await db.history("a", "key")) == 2
        await db.compact(keep_history=timedelta(days=1))
        assert len(await db.history("a", "key")) == 2


async def test_without_rules_nothing_goes(db: Database) -> None:
    for i in range(5):
        await db.put("a", "key", i)
    await db.delete("a", "key")
    assert (await db.compact()).versions_dropped == 0
    assert len(await db.history("a", "key")) == 6


BAD_COUNTS: list[Any] = [0, -1, True, 1.5, "3", 2**32]
BAD_TIMES: list[Any] = [-1, True, "1d", float("nan"), 1e12, timedelta(days=-1)]
BAD = [("keep_versions", value) for value in BAD_COUNTS]
BAD += [("keep_history", value) for value in BAD_TIMES]


@pytest.mark.parametrize(("name", "value"), BAD, ids=str)
async def test_a_rule_that_cannot_be_meant_is_refused(db: Database, name: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=rf"Config\.{name}"):
        Config(**{name: value})
    await db.put("a", "key", 1)
    await db.put("a", "key", 2)
    with pytest.raises(ValidationError, match=name):
        await db.compact(**{name: value})
    assert len(await db.history("a", "key")) == 2
