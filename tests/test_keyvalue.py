"""Put, get, delete, contains, listings, and the shorter ways to say them."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from parameters import shown

from koru_delta import Database, KeyNotFoundError, KoruDeltaError, ValidationError, Version

# In the order of their UTF-8 bytes, which is neither that of UTF-16 nor that of any locale.
KEYS_IN_ORDER = ["A", "Z", "a", "a/b", "a0", "aa", "b", "\u00e9", "\uffff", "\U0001f600"]


async def test_get_returns_what_was_put_last(db: Database) -> None:
    await db.put("users", "alice", {"age": 1})
    await db.put("users", "alice", {"age": 2})
    assert await db.get("users", "alice") == {"age": 2}


async def test_put_returns_the_version_that_it_wrote(db: Database) -> None:
    before = datetime.datetime.now(datetime.UTC)
    version = await db.put("users", "alice", {"age": 1})
    assert isinstance(version, Version)
    assert (version.namespace, version.key, version.value) == ("users", "alice", {"age": 1})
    assert len(version.version_id) == 32
    assert version.version_id == version.version_id.lower()
    assert bytes.fromhex(version.version_id)
    assert version.previous is None
    assert list(version.caused_by) == []
    assert version.deleted is False
    assert version.embedding is None
    assert version.model == ""
    assert version.timestamp.utcoffset() == datetime.timedelta(0)
    assert version.timestamp >= before.replace(microsecond=0) - datetime.timedelta(seconds=1)
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    assert version.timestamp == epoch + datetime.timedelta(microseconds=version.timestamp_us)


async def test_the_same_value_twice_is_two_versions(db: Database) -> None:
    first = await db.put("users", "alice", 1)
    second = await db.put("users", "alice", 1)
    assert second.version_id != first.version_id
    assert second.previous == first.version_id
    assert second.timestamp_us > first.timestamp_us


async def test_version_finds_a_version_by_its_id(db: Database) -> None:
    written = [await db.put("users", f"user-{i}", {"i": i}) for i in range(3)]
    for version in written:
        assert await db.version(version.version_id) == version


@pytest.mark.parametrize("version_id", ["0" * 32, "f" * 32])
async def test_an_unknown_version_is_not_found(db: Database, version_id: str) -> None:
    await db.put("users", "alice", 1)
    with pytest.raises(KoruDeltaError, match=version_id):
        await db.version(version_id)


@pytest.mark.parametrize("version_id", ["", "xyz", "0" * 31, "0" * 33, "g" * 32, "\ud800" * 32])
async def test_a_malformed_version_id_is_refused(db: Database, version_id: str) -> None:
    with pytest.raises(ValidationError, match="version"):
        await db.version(version_id)


async def test_a_missing_key_is_not_found(db: Database) -> None:
    await db.put("users", "alice", 1)
    with pytest.raises(KeyNotFoundError):
        await db.get("users", "bob")
    with pytest.raises(KeyNotFoundError):
        await db.get("nobody", "alice")


@pytest.mark.parametrize("default", [None, 0, False, {"a": 1}, object()], ids=shown)
async def test_a_default_stands_in_for_a_missing_key_only(db: Database, default: Any) -> None:
    await db.put("users", "null", None)
    assert await db.get("users", "nobody", default) is default
    assert await db.get("users", "nobody", default=default) is default
    assert await db.get("users", "null", "unused") is None


async def test_namespaces_are_apart(db: Database) -> None:
    await db.put("a", "key", 1)
    await db.put("b", "key", 2)
    await db.delete("a", "key")
    assert await db.get("b", "key") == 2
    assert not await db.contains("a", "key")
    assert len(await db.history("b", "key")) == 1


async def test_namespace_and_key_are_not_run_together(db: Database) -> None:
    await db.put("ab", "c", 1)
    await db.put("a", "bc", 2)
    await db.put("a", "b/c", 3)
    await db.put("a/b", "c", 4)
    assert await db.get("ab", "c") == 1
    assert await db.get("a", "bc") == 2
    assert await db.get("a", "b/c") == 3
    assert await db.get("a/b", "c") == 4


async def test_delete_says_whether_there_was_something(db: Database) -> None:
    await db.put("users", "alice", 1)
    assert await db.delete("users", "alice") is True
    head = db.head
    assert await db.delete("users", "alice") is False
    assert await db.delete("users", "nobody") is False
    assert await db.delete("nowhere", "alice") is False
    assert db.head == head, "a delete of nothing writes nothing"


async def test_a_deleted_key_is_gone_from_the_present(db: Database) -> None:
    await db.put_batch([("users", "alice", 1), ("users", "bob", 2)])
    await db.delete("users", "alice")
    with pytest.raises(KeyNotFoundError):
        await db.get("users", "alice")
    assert await db.get("users", "alice", "gone") == "gone"
    assert await db.contains("users", "alice") is False
    assert await db.get_many("users", ["alice", "bob"]) == {"bob": 2}
    assert await db.list_keys("users") == ["bob"]
    assert await db.namespace("users").all() == {"bob": 2}


async def test_a_deleted_key_can_be_written_again(db: Database) -> None:
    await db.put("users", "alice", 1)
    await db.delete("users", "alice")
    await db.put("users", "alice", 2)
    assert await db.get("users", "alice") == 2
    assert await db.contains("users", "alice") is True


async def test_get_many_returns_present_keys_only(db: Database) -> None:
    await db.put_batch([("users", "alice", 1), ("users", "bob", None)])
    found = await db.get_many("users", ["bob", "nobody", "alice", "bob"])
    assert found == {"alice": 1, "bob": None}
    assert await db.get_many("users", []) == {}
    assert await db.get_many("nowhere", ["alice"]) == {}


async def test_get_many_takes_any_iterable_of_keys(db: Database) -> None:
    await db.put("users", "alice", 1)
    assert await db.get_many("users", (key for key in ("alice", "bob"))) == {"alice": 1}


async def test_keys_are_listed_in_the_order_of_their_bytes(db: Database) -> None:
    for key in reversed(KEYS_IN_ORDER):
        await db.put("keys", key, 0)
    assert await db.list_keys("keys") == KEYS_IN_ORDER
    assert await db.list_keys("nowhere") == []


@pytest.mark.parametrize("prefix", ["", "a", "a/", "aa", "\u00e9", "\U0001f600", "none", "\uffff"])
async def test_keys_are_listed_by_prefix(db: Database, prefix: str) -> None:
    await db.put_batch([("keys", key, 0) for key in KEYS_IN_ORDER])
    expected = [key for key in KEYS_IN_ORDER if key.startswith(prefix)]
    assert await db.list_keys("keys", prefix=prefix) == expected


async def test_pages_of_keys_join_to_the_whole_listing(db: Database) -> None:
    await db.put_batch([("keys", key, 0) for key in KEYS_IN_ORDER])
    found: list[str] = []
    while page := await db.list_keys("keys", start_after=found[-1] if found else None, limit=3):
        assert len(page) <= 3
        found += page
    assert found == KEYS_IN_ORDER


async def test_start_after_is_exclusive_and_need_not_exist(db: Database) -> None:
    await db.put_batch([("keys", key, 0) for key in ("a", "b", "c")])
    assert await db.list_keys("keys", start_after="a") == ["b", "c"]
    assert await db.list_keys("keys", start_after="aa") == ["b", "c"]
    assert await db.list_keys("keys", start_after="c") == []
    assert await db.list_keys("keys", prefix="b", start_after="a") == ["b"]
    assert await db.list_keys("keys", prefix="a", start_after="b") == []
    assert await db.list_keys("keys", limit=100) == ["a", "b", "c"]


@pytest.mark.parametrize("limit", [-1, 1.5, "2"], ids=repr)
async def test_a_bad_limit_is_refused(db: Database, limit: Any) -> None:
    await db.put("keys", "a", 0)
    with pytest.raises(ValidationError, match="limit"):
        await db.list_keys("keys", limit=limit)
    with pytest.raises(ValidationError, match="limit"):
        await db.history("keys", "a", limit=limit)


async def test_namespaces_are_listed_in_order(db: Database) -> None:
    assert await db.list_namespaces() == []
    for name in ("b", "\U0001f600", "a", "\uffff"):
        await db.put(name, "key", 0)
    assert await db.list_namespaces() == ["a", "b", "\uffff", "\U0001f600"]


async def test_a_namespace_object_says_the_same_with_one_argument_less(db: Database) -> None:
    users = db.namespace("users")
    first = await users.put("alice", {"age": 1})
    await users.put("bob", {"age": 2})
    assert first == await db.version(first.version_id)
    assert await users.get("alice") == await db.get("users", "alice")
    assert await users.get("nobody", None) is None
    assert await users.get_many(["alice", "nobody"]) == {"alice": {"age": 1}}
    assert await users.contains("alice")
    assert await users.list_keys(prefix="b") == ["bob"]
    assert await users.all() == {"alice": {"age": 1}, "bob": {"age": 2}}
    assert await users.history("alice") == await db.history("users", "alice")
    second = await users.put("alice", {"age": 3}, expected_version=first)
    assert await users.diff("alice") == [{"op": "replace", "path": "/age", "value": 3}]
    assert await users.get_at("alice", first) == {"age": 1}
    assert (await users.restore("alice", first.version_id)).previous == second.version_id
    assert await users.delete("bob") is True
    assert await users.erase("bob") == 2
    assert await db.namespace("nowhere").all() == {}


async def test_a_namespace_object_reads_the_past(db: Database) -> None:
    users = db.namespace("users")
    first = await users.put("alice", 1)
    await users.put("alice", 2)
    assert await users.get("alice", at=first) == 1
    assert await users.list_keys(at=first) == ["alice"]


async def test_a_path_is_awaited_to_its_value(db: Database) -> None:
    await db.put("users", "alice", {"age": 1})
    await db.put("docs", "a/b/c", "deep")
    assert await db["users/alice"] == {"age": 1}
    assert await db["docs/a/b/c"] == "deep"
    with pytest.raises(KeyNotFoundError):
        await db["users/nobody"]


@pytest.mark.parametrize("path", ["", "users", "/alice", "users/", "/"])
async def test_a_path_without_both_names_is_refused(db: Database, path: str) -> None:
    with pytest.raises(ValidationError):
        await db[path]


async def test_the_head_changes_with_every_commit_and_with_nothing_else(db: Database) -> None:
    heads = [db.head]
    await db.put("users", "alice", 1)
    heads.append(db.head)
    await db.put_batch([("users", "bob", 1), ("users", "carol", 1)])
    heads.append(db.head)
    await db.delete("users", "alice")
    heads.append(db.head)
    assert len(set(heads)) == 4
    assert all(bytes.fromhex(head) for head in heads)
    await db.get("users", "bob")
    await db.list_keys("users")
    assert db.head == heads[-1]


async def test_stats_count_what_is_there(db: Database) -> None:
    empty = await db.stats()
    assert (empty.keys, empty.versions, empty.namespaces) == (0, 0, 0)
    await db.put("a", "x", 1)
    await db.put("a", "x", 2)
    await db.put("b", "y", "long" * 1000)
    full = await db.stats()
    assert (full.keys, full.versions, full.namespaces) == (2, 3, 2)
    assert full.memory_bytes > 0
    await db.delete("b", "y")
    assert ((await db.stats()).keys, (await db.stats()).versions) == (1, 4)


async def test_health_of_a_sound_database_is_good(db: Database) -> None:
    await db.put("a", "x", 1)
    health = await db.health()
    assert health.healthy is True
    assert list(health.issues) == []


async def test_verify_walks_everything(db: Database) -> None:
    await db.put("a", "x", 1)
    await db.put_batch([("a", "x", 2), ("b", "y", 3)])
    await db.delete("b", "y")
    report = await db.verify()
    assert report.ok is True
    assert report.versions == 4
    assert report.commits == 3
