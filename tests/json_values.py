"""What a value may be: a strategy for arbitrary JSON, and equality that forgives nothing."""

from __future__ import annotations

import struct
from typing import Any

from hypothesis import strategies as st

INTEGER_MIN = -(2**63)
INTEGER_MAX = 2**64 - 1

# Values on which codecs are known to differ.
EDGE_CASES: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    -1,
    2**53 + 1,
    -(2**53) - 1,
    2**63 - 1,
    2**63,
    INTEGER_MIN,
    INTEGER_MAX,
    0.0,
    -0.0,
    1.0,
    5e-324,
    1e308,
    -1.7976931348623157e308,
    0.1,
    1e16,
    1e22,
    123456789012345680.0,
    "",
    "\u0000",
    "a\u0000b",
    "\u001f\u007f\u0080\u2028\u2029",
    '"\\/\b\f\n\r\t',
    "\ufeff\uffff",
    "\U0001f600\U0010ffff",
    "\u00e9e\u0301",
    [],
    {},
    [[]],
    [{}],
    {"": {}},
    {"": ""},
    {"a": [], "b": {}, "c": None},
    {"\u0000": 1, "\U0001f600": 2, "$.a[0]": 3, "__proto__": 4},
    [1, 1.0, True, "1", None],
    {"b": 1, "a": 2, "c": 3},
]

_scalars = (
    st.none()
    | st.booleans()
    | st.integers(INTEGER_MIN, INTEGER_MAX)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
)


def json_values(max_leaves: int = 12) -> st.SearchStrategy[Any]:
    """Arbitrary JSON: every scalar, lists and objects, nested."""
    nested: st.SearchStrategy[Any] = st.recursive(
        _scalars,
        lambda inner: (
            st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5)
        ),
        max_leaves=max_leaves,
    )
    return nested


def values() -> st.SearchStrategy[Any]:
    """Everything that can be stored: JSON or bytes."""
    return st.sampled_from(EDGE_CASES) | json_values() | st.binary(max_size=64)


def same(left: Any, right: Any) -> bool:
    """Equal in type, sign, bits, length and order, all the way down."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, float):
        return struct.pack("<d", left) == struct.pack("<d", right)
    return bool(left == right)


def equal_as_json(left: Any, right: Any) -> bool:
    """Equal as JSON documents: numbers by value, objects without order, booleans not numbers."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(
            equal_as_json(left[key], right[key]) for key in left
        )
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(equal_as_json, left, right))
    return bool(left == right)


def nested_lists(depth: int) -> list[Any]:
    """A list in a list in a list: `depth` of them."""
    value: list[Any] = []
    for _ in range(depth - 1):
        value = [value]
    return value


def nested_objects(depth: int) -> dict[str, Any]:
    """An object in an object in an object: `depth` of them."""
    value: dict[str, Any] = {}
    for _ in range(depth - 1):
        value = {"a": value}
    return value


def deep_document(leaf: int) -> dict[str, Any]:
    """Half a megabyte whose every field lies at the end of a path of half a megabyte."""
    document: dict[str, Any] = {f"{i}": leaf for i in range(5000)}
    for _ in range(100):
        document = {"k" * 5000: document}
    return document
