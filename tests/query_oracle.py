"""What queries should find: filters, orders, selections and aggregates, on plain values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from hypothesis import strategies as st
from json_values import equal_as_json

Where = dict[str, Any]
Order = list[tuple[str, bool]]
"""Fields, each with whether it is descending."""


@dataclass(frozen=True)
class Row:
    """A key and its value; bytes, as all that is no dict, have no fields."""

    key: str
    value: Any
    timestamp_us: int = 0


# Values: one total order, equality by meaning, and what a path leads to.

MISSING: tuple[int, ...] = (0,)
EMPTY: tuple[int, ...] = (1,)


def rank(value: Any) -> tuple[Any, ...]:
    """A tuple that compares as the value does; Python compares ints and floats exactly."""
    if value is None:
        return (2,)
    if isinstance(value, bool):
        return (3, value)
    if isinstance(value, int | float):
        return (4, value)
    if isinstance(value, str):
        return (5, value)
    if isinstance(value, list):
        return (6, [rank(element) for element in value])
    return (7, sorted((name, rank(member)) for name, member in value.items()))


def _is_index(part: str) -> bool:
    return part.isascii() and part.isdigit() and (part == "0" or part[0] != "0")


def _follow(value: Any, parts: list[str]) -> tuple[list[Any], bool]:
    """What the parts lead to, and whether they went through the elements of an array."""
    if not parts:
        return [value], False
    part, rest = parts[0], parts[1:]
    if isinstance(value, dict):
        return _follow(value[part], rest) if part in value else ([], False)
    if not isinstance(value, list):
        return [], False
    if _is_index(part):
        index = int(part)
        return _follow(value[index], rest) if index < len(value) else ([], False)
    objects = [element for element in value if isinstance(element, dict) and part in element]
    return [found for element in objects for found in _follow(element[part], rest)[0]], True


def resolve(value: Any, path: str) -> list[Any]:
    """All values that a path leads to."""
    return _follow(value, path.split("."))[0] if isinstance(value, dict) else []


# Filters.


def matches(value: Any, where: Where | None) -> bool:
    """Whether a value matches a filter."""
    if not where:
        return True
    return all(_member(value, name, operand) for name, operand in where.items())


def _member(value: Any, name: str, operand: Any) -> bool:
    if name == "$and":
        return all(matches(value, part) for part in operand)
    if name == "$or":
        return any(matches(value, part) for part in operand)
    if name == "$not":
        return not matches(value, operand)
    return _field(resolve(value, name), operand)


def _field(found: list[Any], operand: Any) -> bool:
    if isinstance(operand, dict) and any(name.startswith("$") for name in operand):
        return all(_operator(found, name, wanted) for name, wanted in operand.items())
    return _operator(found, "$eq", operand)


def _operator(found: list[Any], name: str, operand: Any) -> bool:
    each = [*found, *(element for value in found if isinstance(value, list) for element in value)]
    if name == "$eq":
        return any(equal_as_json(value, operand) for value in each)
    if name == "$in":
        return any(equal_as_json(value, one) for value in each for one in operand)
    if name in ("$ne", "$nin"):
        return not _operator(found, {"$ne": "$eq", "$nin": "$in"}[name], operand)
    if name == "$not":
        return not _field(found, operand)
    if name == "$exists":
        return bool(found) is operand
    if name == "$contains":
        return any(_contains(value, operand) for value in found)
    if name == "$regex":
        return any(isinstance(value, str) and bool(re.search(operand, value)) for value in each)
    return any(_ordered(rank(value), name, rank(operand)) for value in each)


def _contains(value: Any, operand: Any) -> bool:
    if isinstance(value, str):
        return isinstance(operand, str) and operand in value
    return isinstance(value, list) and any(equal_as_json(element, operand) for element in value)


def _ordered(left: tuple[Any, ...], name: str, right: tuple[Any, ...]) -> bool:
    if left[0] != right[0]:
        return False
    return {"$gt": left > right, "$gte": left >= right, "$lt": left < right, "$lte": left <= right}[
        name
    ]


# Queries.


def _sort_key(row: Row, path: str, descending: bool) -> tuple[Any, ...]:
    if path == "$key":
        return rank(row.key)
    if path == "$timestamp":
        return rank(row.timestamp_us)
    ranks: list[tuple[Any, ...]] = []
    for value in resolve(row.value, path):
        each = value if isinstance(value, list) else [value]
        ranks += [rank(element) for element in each] or [EMPTY]
    best = max if descending else min
    return best(ranks, default=MISSING)


def query(
    rows: list[Row],
    where: Where | None = None,
    order: Order | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> list[Row]:
    """The rows that a query should give, in its order."""
    found = sorted((row for row in rows if matches(row.value, where)), key=lambda row: row.key)
    for path, descending in reversed(order or []):
        # Sorting is stable, reversed too.
        found.sort(key=lambda row: _sort_key(row, path, descending), reverse=descending)
    return found[offset:] if limit is None else found[offset : offset + limit]


def select(value: Any, paths: list[str]) -> dict[str, Any]:
    """The part of a value that some paths without indexes lead to."""
    found = _select(value, [path.split(".") for path in paths]) if isinstance(value, dict) else None
    return found or {}


def _select(value: Any, paths: list[list[str]]) -> Any:
    """The selected part of an object or array; None if nothing is selected."""
    if [] in paths:
        return value
    if isinstance(value, list):
        parts = [_select(element, paths) for element in value if isinstance(element, dict)]
        return [part or {} for part in parts] if any(part is not None for part in parts) else None
    if not isinstance(value, dict):
        return None
    chosen = {}
    for name, member in value.items():
        below = [path[1:] for path in paths if path[0] == name]
        if below:
            if [] in below:
                chosen[name] = member
            elif (part := _select(member, below)) is not None:
                chosen[name] = part
    return chosen or None


# Aggregates.


def _whole(row: Row, path: str) -> Any:
    """What a document is grouped by: a value, the list of several, or None."""
    if path in ("$key", "$timestamp"):
        return row.key if path == "$key" else row.timestamp_us
    if not isinstance(row.value, dict):
        return None
    found, several = _follow(row.value, path.split("."))
    return found if several else (found or [None])[0]


def _sum(numbers: list[int | float]) -> int | float:
    if all(isinstance(number, int) for number in numbers):
        return sum(numbers)
    return float(sum(map(Fraction, numbers)))


def _aggregate(rows: list[Row], operator: str, path: Any) -> Any:
    if operator == "$count":
        if path is True or path == {}:
            return len(rows)
        return sum(any(found is not None for found in resolve(row.value, path)) for row in rows)
    if operator in ("$first", "$last"):
        return _whole(rows[0 if operator == "$first" else -1], path) if rows else None
    values = [found for row in rows for found in resolve(row.value, path)]
    if operator in ("$min", "$max"):
        return (min if operator == "$min" else max)(values, key=rank, default=None)
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    if operator == "$sum":
        return _sum(numbers)
    return float(sum(map(Fraction, numbers)) / len(numbers)) if numbers else None


def aggregate(
    rows: list[Row],
    spec: dict[str, dict[str, Any]],
    group_by: list[str] | None = None,
    where: Where | None = None,
    order: Order | None = None,
) -> list[dict[str, Any]]:
    """The groups that an aggregation should give, in their order."""
    groups: list[tuple[list[Any], list[Row]]] = [([], [])] if group_by is None else []
    for row in query(rows, where, order):
        values = [_whole(row, path) for path in group_by or []]
        for known, found in groups:
            if all(map(equal_as_json, values, known)):
                found.append(row)
                break
        else:
            groups.append((values, [row]))
    groups.sort(key=lambda group: [rank(value) for value in group[0]])
    return [
        dict(zip(group_by or [], values, strict=True))
        | {name: _aggregate(found, *next(iter(one.items()))) for name, one in spec.items()}
        for values, found in groups
    ]


# What to ask of them.

INTEGERS = [0, 1, -1, 2, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, 2**63, -(2**63), 2**64 - 1]
FLOATS = [0.5, 1.0, -1.5, -0.0, 1e300, -1e300, 5e-324, float(2**53), float(2**63), float(2**64)]
TEXTS = ["", "a", "ab", "b", "B", "1", "\u00e9", "e\u0301", "\uffff", "\U0001f600"]
PATHS = ["a", "b", "c", "a.a", "a.b", "b.a", "a.b.c", "a.b.a", "b.b"]
INDEXED = ["a.0", "b.1", "a.0.b", "b.a.0", "c.1.a", "a.01"]
scalars = st.sampled_from([None, True, False, *INTEGERS, *FLOATS, *TEXTS])
_names = st.sampled_from(["a", "b", "c", "0"])
values: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names, inner, max_size=3),
    max_leaves=6,
)
documents: st.SearchStrategy[Any] = st.one_of(
    *[st.dictionaries(_names, values, max_size=3)] * 5, values, st.binary(max_size=3)
)
paths = st.sampled_from([*PATHS, *PATHS, *INDEXED])
_patterns = st.sampled_from(["a", "^a", "b$", "(?i)^B", "^$", "[0-9]+", "a|b", "^.$"])
_conditions: st.SearchStrategy[Any] = st.one_of(
    values,
    st.fixed_dictionaries({"$eq": values}),
    st.fixed_dictionaries({"$ne": values}),
    st.dictionaries(
        st.sampled_from(["$gt", "$gte", "$lt", "$lte"]),
        st.sampled_from([*INTEGERS, *FLOATS, *TEXTS]),
        min_size=1,
        max_size=2,
    ),
    st.fixed_dictionaries({"$in": st.lists(values, max_size=4)}),
    st.fixed_dictionaries({"$nin": st.lists(values, max_size=4)}),
    st.fixed_dictionaries({"$exists": st.booleans()}),
    st.fixed_dictionaries({"$contains": values}),
    st.fixed_dictionaries({"$regex": _patterns}),
)
_fields = st.dictionaries(
    paths,
    _conditions
    | st.fixed_dictionaries(
        {"$not": _conditions.filter(lambda c: isinstance(c, dict) and any("$" in n for n in c))}
    ),
    min_size=1,
    max_size=2,
)
filters: st.SearchStrategy[Where] = st.recursive(
    st.just(dict[str, Any]()) | _fields,
    lambda inner: st.one_of(
        st.fixed_dictionaries({"$and": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"$or": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"$not": inner}),
    ),
    max_leaves=4,
)
orders: st.SearchStrategy[Order] = st.lists(
    st.tuples(paths | st.sampled_from(["$key", "$timestamp"]), st.booleans()),
    max_size=3,
    unique_by=lambda part: part[0],
)
