"""Why a value is there: causes, lineage and effects, across keys and namespaces."""

from __future__ import annotations

from typing import Any

import pytest

from koru_delta import Database, KoruDeltaError, ValidationError, Version

CAUSES_MAX = 1024


def ids(versions: list[Version]) -> set[str]:
    return {version.version_id for version in versions}


async def chain_of(db: Database, length: int) -> list[Version]:
    """Versions of which each was caused by the one before."""
    chain = [await db.put("chain-0", "v0", 0)]
    for i in range(1, length):
        chain.append(await db.put(f"chain-{i % 3}", f"v{i}", i, caused_by=[chain[-1]]))
    return chain


async def test_causes_are_given_as_versions_or_ids(db: Database) -> None:
    a = await db.put("facts", "a", 1)
    b = await db.put("facts", "b", 2)
    c = await db.put("conclusions", "c", 3, caused_by=[a, b.version_id])
    assert list(c.caused_by) == [a.version_id, b.version_id]
    assert list((await db.version(c.version_id)).caused_by) == [a.version_id, b.version_id]
    assert list((await db.history("conclusions", "c"))[0].caused_by) == [a.version_id, b.version_id]


async def test_causes_may_be_any_iterable(db: Database) -> None:
    causes = [await db.put("facts", f"f{i}", i) for i in range(3)]
    by_tuple = await db.put("conclusions", "t", 0, caused_by=tuple(causes))
    by_generator = await db.put("conclusions", "g", 0, caused_by=(cause for cause in causes))
    assert list(by_tuple.caused_by) == list(by_generator.caused_by)
    assert len(by_tuple.caused_by) == 3


async def test_lineage_walks_to_the_causes_and_effects_to_the_consequences(db: Database) -> None:
    chain = await chain_of(db, 5)
    await db.put("facts", "unrelated", 0)
    for i, version in enumerate(chain):
        assert ids(await db.lineage(version.version_id)) == ids(chain[:i])
        assert ids(await db.effects(version.version_id)) == ids(chain[i + 1 :])


async def test_lineage_returns_whole_versions(db: Database) -> None:
    chain = await chain_of(db, 3)
    assert sorted(await db.lineage(chain[2].version_id), key=lambda v: v.timestamp) == chain[:2]
    assert sorted(await db.effects(chain[0].version_id), key=lambda v: v.timestamp) == chain[1:]


@pytest.mark.parametrize("depth", [1, 2, 3, 100])
async def test_depth_bounds_the_walk(db: Database, depth: int) -> None:
    chain = await chain_of(db, 6)
    expected_causes = chain[max(0, 5 - depth) : 5]
    assert ids(await db.lineage(chain[5].version_id, depth=depth)) == ids(expected_causes)
    assert ids(await db.effects(chain[0].version_id, depth=depth)) == ids(chain[1 : depth + 1])


@pytest.mark.parametrize("depth", [-1, 1.5, "1"], ids=repr)
async def test_a_bad_depth_is_refused(db: Database, depth: Any) -> None:
    version = await db.put("facts", "a", 1)
    with pytest.raises(ValidationError, match="depth"):
        await db.lineage(version.version_id, depth=depth)
    with pytest.raises(ValidationError, match="depth"):
        await db.effects(version.version_id, depth=depth)


async def test_a_cause_reached_by_two_ways_is_listed_once(db: Database) -> None:
    top = await db.put("facts", "top", 0)
    left = await db.put("facts", "left", 1, caused_by=[top])
    right = await db.put("facts", "right", 2, caused_by=[top])
    bottom = await db.put("facts", "bottom", 3, caused_by=[left, right, top])
    causes = await db.lineage(bottom.version_id)
    assert len(causes) == 3
    assert ids(causes) == ids([top, left, right])
    consequences = await db.effects(top.version_id)
    assert len(consequences) == 3
    assert ids(consequences) == ids([left, right, bottom])
    assert ids(await db.lineage(bottom.version_id, depth=1)) == ids([top, left, right])


async def test_a_version_without_causes_or_effects_has_none(db: Database) -> None:
    version = await db.put("facts", "a", 1)
    await db.put("facts", "a", 2)
    assert await db.lineage(version.version_id) == []
    assert await db.effects(version.version_id) == []


async def test_the_previous_version_of_a_key_is_no_cause(db: Database) -> None:
    await db.put("facts", "a", 1)
    second = await db.put("facts", "a", 2)
    assert await db.lineage(second.version_id) == []


async def test_a_version_can_be_caused_by_an_earlier_one_of_its_key(db: Database) -> None:
    first = await db.put("facts", "a", 1)
    second = await db.put("facts", "a", 2, caused_by=[first])
    assert ids(await db.lineage(second.version_id)) == {first.version_id}


async def test_causes_outlive_the_deletion_of_their_key(db: Database) -> None:
    cause = await db.put("facts", "a", 1)
    effect = await db.put("conclusions", "b", 2, caused_by=[cause])
    await db.delete("facts", "a")
    await db.delete("conclusions", "b")
    assert ids(await db.lineage(effect.version_id)) == {cause.version_id}
    assert ids(await db.effects(cause.version_id)) == {effect.version_id}


async def test_an_overwritten_version_can_still_be_a_cause(db: Database) -> None:
    old = await db.put("facts", "a", 1)
    await db.put("facts", "a", 2)
    effect = await db.put("conclusions", "b", 3, caused_by=[old])
    assert [version.value for version in await db.lineage(effect.version_id)] == [1]


@pytest.mark.parametrize(
    "causes",
    [["0" * 32], ["not an id"], [""], [1], [None], ["0" * 33], 5, ["\ud800"]],
    ids=ascii,
)
async def test_an_unknown_cause_is_refused_and_nothing_is_written(
    db: Database, causes: Any
) -> None:
    known = await db.put("facts", "a", 1)
    head = db.head
    with pytest.raises((ValidationError, TypeError)):
        await db.put("conclusions", "b", 2, caused_by=causes)
    if isinstance(causes, list):
        with pytest.raises(ValidationError):
            await db.put("conclusions", "b", 2, caused_by=[known, *causes])
    assert db.head == head
    assert not await db.contains("conclusions", "b")


async def test_the_message_names_the_unknown_cause(db: Database) -> None:
    known = await db.put("facts", "a", 1)
    with pytest.raises(ValidationError, match=r"e{32}"):
        await db.put("conclusions", "b", 2, caused_by=[known, "e" * 32])


async def test_the_number_of_causes_is_limited(db: Database) -> None:
    await db.put_batch([("facts", f"{i}", i) for i in range(CAUSES_MAX + 1)])
    causes = [(await db.history("facts", f"{i}"))[0].version_id for i in range(CAUSES_MAX + 1)]
    effect = await db.put("conclusions", "b", 2, caused_by=causes[:CAUSES_MAX])
    assert len(await db.lineage(effect.version_id)) == CAUSES_MAX
    with pytest.raises(KoruDeltaError, match=str(CAUSES_MAX)):
        await db.put("conclusions", "c", 2, caused_by=causes)
    assert not await db.contains("conclusions", "c")


@pytest.mark.parametrize("version_id", ["0" * 32, "not an id", ""])
async def test_walks_from_an_unknown_version_are_refused(db: Database, version_id: str) -> None:
    await db.put("facts", "a", 1)
    with pytest.raises(KoruDeltaError):
        await db.lineage(version_id)
    with pytest.raises(KoruDeltaError):
        await db.effects(version_id)


async def test_a_long_chain_is_walked_to_its_end(db: Database) -> None:
    chain = await chain_of(db, 2000)
    assert len(await db.lineage(chain[-1].version_id)) == 1999
    assert len(await db.effects(chain[0].version_id)) == 1999


@pytest.mark.parametrize("causes", [None, 7, 1.5])
async def test_causes_are_versions(db: Database, causes: Any) -> None:
    with pytest.raises(ValidationError, match=f"caused_by is of type {type(causes).__name__}"):
        await db.put("conclusions", "a", 1, caused_by=causes)
    assert await db.history("conclusions", "a") == []
