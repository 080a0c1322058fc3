"""Every write is kept: histories, versions, restoring."""

from __future__ import annotations

import pytest
from clocks import stop_clock_at
from hypothesis import given
from hypothesis import strategies as st
from json_values import same, values

from koru_delta import Database, KeyNotFoundError, KoruDeltaError, Version


async def test_history_is_oldest_first_and_linked(db: Database) -> None:
    written = [await db.put("users", "alice", i) for i in range(5)]
    history = await db.history("users", "alice")
    assert history == written
    assert [version.value for version in history] == [0, 1, 2, 3, 4]
    assert [version.previous for version in history] == [None] + [
        version.version_id for version in written[:-1]
    ]
    times = [version.timestamp_us for version in history]
    assert times == sorted(set(times))


async def test_history_holds_deletions(db: Database) -> None:
    await db.put("users", "alice", 1)
    await db.delete("users", "alice")
    await db.put("users", "alice", None)
    history = await db.history("users", "alice")
    assert [version.deleted for version in history] == [False, True, False]
    assert [version.value for version in history] == [1, None, None]
    assert history[2].previous == history[1].version_id
    assert await db.version(history[1].version_id) == history[1]


async def test_a_deletion_that_wrote_nothing_is_not_in_the_history(db: Database) -> None:
    await db.put("users", "alice", 1)
    await db.delete("users", "alice")
    await db.delete("users", "alice")
    assert len(await db.history("users", "alice")) == 2


@pytest.mark.parametrize("limit", [1, 2, 4, 5, 6, 10**9])
async def test_history_with_a_limit_is_its_newest_part(db: Database, limit: int) -> None:
    written = [await db.put("users", "alice", i) for i in range(5)]
    assert await db.history("users", "alice", limit=limit) == written[-limit:]


async def test_histories_of_keys_are_apart(db: Database) -> None:
    for i in range(3):
        await db.put("users", "alice", i)
        await db.put("users", "bob", -i)
    assert [version.value for version in await db.history("users", "alice")] == [0, 1, 2]
    assert {version.key for version in await db.history("users", "bob")} == {"bob"}


async def test_a_long_history_is_read_in_pieces(db: Database) -> None:
    written = [await db.put("a", "k", turn) for turn in range(10)]
    pieces: list[list[int]] = []
    before: Version | None = None
    while piece := await db.history("a", "k", limit=4, before=before):
        pieces.insert(0, [version.value for version in piece])
        before = piece[0]
    assert pieces == [[0, 1], [2, 3, 4, 5], [6, 7, 8, 9]]
    assert await db.history("a", "k", before=written[0]) == []
    assert await db.history("a", "k", before=0) == []
    moment = written[4].timestamp
    assert await db.history("a", "k", before=moment) == written[:4]
    assert await db.namespace("a").history("k", limit=1, before=moment) == [written[3]]


@given(written=st.lists(values(), min_size=1, max_size=6))
async def test_history_gives_back_every_value_exactly(db: Database, written: list[object]) -> None:
    await db.erase("values", "key")
    for value in written:
        await db.put("values", "key", value)
    history = await db.history("values", "key")
    assert same([version.value for version in history], written)
    assert history[0].previous is None


async def test_restore_writes_the_old_value_as_a_new_version(db: Database) -> None:
    first = await db.put("users", "alice", {"age": 1})
    second = await db.put("users", "alice", {"age": 2})
    restored = await db.restore("users", "alice", first.version_id)
    assert isinstance(restored, Version)
    assert restored.value == {"age": 1}
    assert restored.version_id not in {first.version_id, second.version_id}
    assert restored.previous == second.version_id
    assert await db.get("users", "alice") == {"age": 1}
    assert await db.history("users", "alice") == [first, second, restored]


async def test_restore_brings_back_what_was_deleted(db: Database) -> None:
    first = await db.put("users", "alice", b"\x00\xff")
    await db.delete("users", "alice")
    restored = await db.restore("users", "alice", first.version_id)
    assert same(await db.get("users", "alice"), b"\x00\xff")
    assert restored.deleted is False
    assert await db.list_keys("users") == ["alice"]
    assert len(await db.history("users", "alice")) == 3


async def test_restore_of_another_keys_version_is_refused(db: Database) -> None:
    other = await db.put("users", "bob", 1)
    await db.put("users", "alice", 2)
    head = db.head
    with pytest.raises(KoruDeltaError) as caught:
        await db.restore("users", "alice", other.version_id)
    assert other.version_id in str(caught.value)
    with pytest.raises(KoruDeltaError):
        await db.restore("other", "bob", other.version_id)
    with pytest.raises(KoruDeltaError):
        await db.restore("users", "alice", "0" * 32)
    assert db.head == head
    assert await db.get("users", "alice") == 2


async def test_the_past_of_a_deleted_key_can_be_read(db: Database) -> None:
    first = await db.put("users", "alice", 1)
    await db.delete("users", "alice")
    deletion = (await db.history("users", "alice"))[-1]
    assert await db.get_at("users", "alice", first) == 1
    with pytest.raises(KeyNotFoundError):
        await db.get_at("users", "alice", deletion)


async def test_timestamps_increase_over_the_whole_database(db: Database) -> None:
    written = [await db.put(f"ns-{i % 3}", f"key-{i % 5}", i) for i in range(50)]
    times = [version.timestamp_us for version in written]
    assert times == sorted(set(times))


async def test_timestamps_increase_when_the_clock_goes_back(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await db.put("users", "alice", 1)
    with monkeypatch.context() as patch:
        stop_clock_at(patch, seconds=1)
        during = await db.put("users", "alice", 2)
    after = await db.put("users", "alice", 3)
    assert before.timestamp_us < during.timestamp_us < after.timestamp_us
    assert during.timestamp_us == before.timestamp_us + 1
    assert await db.get_at("users", "alice", during) == 2
