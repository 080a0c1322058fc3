"""The diff of two versions is an RFC 6902 patch from the one to the other."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from json_patch import PatchError, apply_patch
from json_values import equal_as_json, json_values

from koru_delta import Database, KeyNotFoundError, KoruDeltaError


@given(old=json_values(), new=json_values())
@example(old={"a/b": 1, "m~n": 2, "": 3}, new={"a/b": 2, "m~n": 3, "": 4})
@example(old={"~1": 1, "~01": 2}, new={"~1": 2})
@example(old=[1, 2, 3, 4], new=[4, 3, 2, 1])
@example(old=[1, 2, 3], new=[2, 3])
@example(old=[[1], [2]], new=[[2]])
@example(old=[], new={})
@example(old={}, new=None)
@example(old=1, new=True)
@example(old=[0], new=[False])
@example(old={"a": None}, new={})
@example(old={"n": 2**53}, new={"n": 2**53 + 1})
@example(old={"0": 1}, new=["0", 1])
async def test_the_patch_leads_from_the_old_to_the_new_value(
    db: Database, old: Any, new: Any
) -> None:
    await db.put("docs", "doc", old)
    await db.put("docs", "doc", new)
    patch = await db.diff("docs", "doc")
    assert equal_as_json(apply_patch(old, patch), new), patch


@given(document=json_values(), data=st.data())
async def test_equal_documents_have_an_empty_patch(
    db: Database, document: Any, data: st.DataObject
) -> None:
    await db.put("docs", "doc", document)
    if isinstance(document, dict):
        keys = data.draw(st.permutations(list(document)))
        document = {key: document[key] for key in keys}
    await db.put("docs", "doc", document)
    assert await db.diff("docs", "doc") == []


@pytest.mark.parametrize(
    ("old", "new", "patch"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, [{"op": "add", "path": "/b", "value": 2}]),
        ({"a": 1, "b": 2}, {"a": 1}, [{"op": "remove", "path": "/b"}]),
        ({"a": 1}, {"a": 2}, [{"op": "replace", "path": "/a", "value": 2}]),
        (
            {"a": {"b/c~d": 1}},
            {"a": {"b/c~d": 2}},
            [{"op": "replace", "path": "/a/b~1c~0d", "value": 2}],
        ),
        ({"x": [1, 2]}, {"x": [1, 2, 3]}, [{"op": "add", "path": "/x/2", "value": 3}]),
        ({"x": [1, 2]}, {"x": [1]}, [{"op": "remove", "path": "/x/1"}]),
        ("old", "new", [{"op": "replace", "path": "", "value": "new"}]),
    ],
    ids=["add", "remove", "replace", "escapes", "append", "pop", "root"],
)
async def test_a_small_change_is_a_small_patch(
    db: Database, old: Any, new: Any, patch: list[dict[str, Any]]
) -> None:
    await db.put("docs", "doc", old)
    await db.put("docs", "doc", new)
    assert await db.diff("docs", "doc") == patch


async def test_a_change_deep_in_a_large_document_touches_nothing_else(db: Database) -> None:
    document = {f"field-{i}": {"items": list(range(20))} for i in range(50)}
    await db.put("docs", "doc", document)
    document["field-7"]["items"][3] = -1
    await db.put("docs", "doc", document)
    assert await db.diff("docs", "doc") == [
        {"op": "replace", "path": "/field-7/items/3", "value": -1}
    ]


async def test_the_default_is_the_last_two_versions(db: Database) -> None:
    for i in range(4):
        await db.put("docs", "doc", {"i": i})
    assert await db.diff("docs", "doc") == [{"op": "replace", "path": "/i", "value": 3}]


async def test_any_two_versions_are_compared_in_the_given_order(db: Database) -> None:
    written = [await db.put("docs", "doc", {"i": i, str(i): i}) for i in range(4)]
    for old in written:
        for new in written:
            patch = await db.diff("docs", "doc", old.version_id, new.version_id)
            assert equal_as_json(apply_patch(old.value, patch), new.value)
            assert patch == await db.diff("docs", "doc", v1=old.version_id, v2=new.version_id)


async def test_a_diff_with_an_unknown_version_is_refused(db: Database) -> None:
    version = await db.put("docs", "doc", 1)
    await db.put("docs", "doc", 2)
    with pytest.raises(KoruDeltaError, match=r"f{32}"):
        await db.diff("docs", "doc", version.version_id, "f" * 32)
    with pytest.raises(KoruDeltaError):
        await db.diff("docs", "doc", "not an id", version.version_id)


async def test_a_diff_with_another_keys_version_is_refused(db: Database) -> None:
    version = await db.put("docs", "doc", 1)
    other = await db.put("docs", "other", 2)
    with pytest.raises(KoruDeltaError, match=other.version_id):
        await db.diff("docs", "doc", version.version_id, other.version_id)


async def test_a_diff_of_a_missing_key_is_not_found(db: Database) -> None:
    with pytest.raises(KeyNotFoundError):
        await db.diff("docs", "nothing")


@pytest.mark.parametrize(
    "patch",
    [
        [{"op": "remove", "path": "/missing"}],
        [{"op": "add", "path": "/a/2", "value": 0}],
        [{"op": "replace", "path": "/a/01", "value": 0}],
        [{"op": "test", "path": "/a/0", "value": True}],
        [{"op": "move", "from": "/a", "path": "/a/0"}],
        [{"op": "add", "path": "a", "value": 0}],
        [{"op": "merge", "path": "/a", "value": 0}],
    ],
)
def test_the_oracle_refuses_a_wrong_patch(patch: list[dict[str, Any]]) -> None:
    with pytest.raises(PatchError):
        apply_patch({"a": [1]}, patch)


def test_the_oracle_applies_the_examples_of_the_standard() -> None:
    document = {"foo": ["bar", "baz"], "a": {"b": 1}}
    patch: list[dict[str, Any]] = [
        {"op": "test", "path": "/foo/0", "value": "bar"},
        {"op": "add", "path": "/foo/1", "value": "qux"},
        {"op": "add", "path": "/foo/-", "value": ["end"]},
        {"op": "remove", "path": "/foo/0"},
        {"op": "copy", "from": "/a", "path": "/c"},
        {"op": "move", "from": "/a/b", "path": "/d"},
        {"op": "replace", "path": "/c/b", "value": 2},
    ]
    assert apply_patch(document, patch) == {
        "foo": ["qux", "baz", ["end"]],
        "a": {},
        "c": {"b": 2},
        "d": 1,
    }
    assert document == {"foo": ["bar", "baz"], "a": {"b": 1}}
