"""Erasing a key takes all its versions away for good."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from koru_delta import Database, KeyNotFoundError, KoruDeltaError

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import FileOpener


async def test_erase_counts_the_versions_that_are_gone(db: Database) -> None:
    for i in range(3):
        await db.put("users", "alice", i)
    await db.delete("users", "alice")
    assert await db.erase("users", "alice") == 4
    head = db.head
    assert await db.erase("users", "alice") == 0
    assert await db.erase("users", "nobody") == 0
    assert await db.erase("nowhere", "alice") == 0
    assert db.head == head, "erasing nothing writes nothing"


async def test_no_way_leads_to_an_erased_key(db: Database) -> None:
    first = await db.put("users", "alice", 1)
    second = await db.put("users", "alice", 2)
    assert await db.erase("users", "alice") == 2
    for version in (first, second):
        with pytest.raises(KeyNotFoundError):
            await db.get("users", "alice", at=version)
        with pytest.raises(KoruDeltaError):
            await db.version(version.version_id)
        with pytest.raises(KoruDeltaError):
            await db.restore("users", "alice", version.version_id)
        assert await db.list_keys("users", at=version) == []
        assert not await db.contains("users", "alice", at=version)
    with pytest.raises(KeyNotFoundError):
        await db.get("users", "alice")
    assert await db.get_many("users", ["alice"]) == {}
    assert await db.list_keys("users") == []
    assert await db.list_namespaces() == []
    stats = await db.stats()
    assert (stats.keys, stats.versions, stats.namespaces) == (0, 0, 0)


async def test_erase_leaves_the_others_alone(db: Database) -> None:
    await db.put("users", "alice", 1)
    bob = await db.put("users", "bob", 2)
    other = await db.put("other", "alice", 3)
    await db.erase("users", "alice")
    assert await db.get("users", "bob") == 2
    assert await db.history("users", "bob") == [bob]
    assert await db.history("other", "alice") == [other]
    assert await db.list_keys("users") == ["bob"]


async def test_an_erased_key_starts_anew(db: Database) -> None:
    await db.put("users", "alice", 1)
    await db.erase("users", "alice")
    again = await db.put("users", "alice", 2, expected_version=None)
    assert again.previous is None
    assert await db.history("users", "alice") == [again]


async def test_an_erased_key_is_not_suggested(db: Database) -> None:
    await db.put("users", "alice", 1)
    await db.erase("users", "alice")
    with pytest.raises(KeyNotFoundError) as caught:
        await db.get("users", "alicia")
    assert list(caught.value.suggestions) == []


async def test_walks_go_around_what_was_erased(db: Database) -> None:
    top = await db.put("facts", "top", 0)
    middle = await db.put("facts", "middle", 1, caused_by=[top])
    bottom = await db.put("facts", "bottom", 2, caused_by=[middle, top])
    await db.erase("facts", "middle")
    assert await db.lineage(bottom.version_id) == [top]
    assert await db.effects(top.version_id) == [bottom]
    with pytest.raises(KoruDeltaError):
        await db.put("facts", "late", 3, caused_by=[middle])


async def test_a_database_with_erasures_verifies(db: Database) -> None:
    await db.put_batch([("users", "alice", 1), ("users", "bob", 2)])
    await db.put("users", "alice", 2)
    head = db.head
    await db.erase("users", "alice")
    assert db.head != head
    report = await db.verify()
    assert report.ok is True
    assert report.versions == 1


async def test_an_erasure_survives_reopening(
    open_file: FileOpener, reopen: Callable[..., Any]
) -> None:
    db = await open_file()
    first = await db.put("users", "alice", 1)
    bob = await db.put("users", "bob", 2, caused_by=[first])
    await db.erase("users", "alice")
    head = db.head
    db = await reopen(db)
    assert db.head == head
    assert not await db.contains("users", "alice", at=first)
    with pytest.raises(KoruDeltaError):
        await db.version(first.version_id)
    assert await db.get("users", "bob") == 2
    assert await db.lineage(bob.version_id) == []
    again = await db.put("users", "alice", 3)
    db = await reopen(db)
    assert await db.history("users", "alice") == [again]
    assert (await db.verify()).ok
