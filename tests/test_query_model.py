"""Any documents, filter, order and aggregates: queries answer as plain Python does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from json_values import equal_as_json, same
from query_oracle import (
    PATHS,
    Order,
    Row,
    Where,
    aggregate,
    documents,
    filters,
    matches,
    orders,
    paths,
    query,
    select,
)

from koru_delta import SyncDatabase

if TYPE_CHECKING:
    from collections.abc import Iterator

KEYS = ["a", "b", "c", "aa", "ab", "B", "1", "\u00e9", "e\u0301", "\uffff", "\U0001f600", "z"]
filled = st.lists(documents, max_size=len(KEYS))
slices = st.tuples(st.none() | st.integers(0, 6), st.integers(0, 6))
aggregates = st.dictionaries(
    st.sampled_from(["one", "two", "three"]),
    st.one_of(
        st.fixed_dictionaries({"$count": st.sampled_from([True, {}]) | paths}),
        *(
            st.fixed_dictionaries({operator: paths})
            for operator in ("$sum", "$avg", "$min", "$max", "$first", "$last")
        ),
    ),
    min_size=1,
)


@pytest.fixture(scope="module")
def shared() -> Iterator[SyncDatabase]:
    """One database; each example writes a namespace of its own."""
    with SyncDatabase() as db:
        yield db


class Writer:
    """Gives every example a new namespace."""

    count = 0

    @classmethod
    def write(cls, db: SyncDatabase, values: list[Any]) -> tuple[str, list[Row]]:
        cls.count += 1
        namespace = f"n{cls.count}"
        rows = []
        # Not in the order of the keys, so that $timestamp is another order than $key.
        for key, value in sorted(zip(KEYS, values, strict=False), key=lambda item: item[0][::-1]):
            version = db.put(namespace, key, value)
            rows.append(Row(key, value, version.timestamp_us))
        return namespace, rows


def assert_same_rows(found: list[Any], wanted: list[Row]) -> None:
    assert [record.key for record in found] == [row.key for row in wanted]
    for record, row in zip(found, wanted, strict=True):
        assert same(record.value, row.value)


@given(values=filled, where=filters)
def test_filters(shared: SyncDatabase, values: list[Any], where: Where) -> None:
    namespace, rows = Writer.write(shared, values)
    wanted = query(rows, where)
    assert_same_rows(shared.query(namespace, where), wanted)
    assert shared.count(namespace, where) == len(wanted)
    everything = shared.query(namespace)
    assert_same_rows(everything, query(rows))
    assert [r.key for r in everything if matches(r.value, where)] == [row.key for row in wanted]


@given(values=filled, where=filters, order=orders, part=slices)
def test_orders_and_slices(
    shared: SyncDatabase,
    values: list[Any],
    where: Where,
    order: Order,
    part: tuple[int | None, int],
) -> None:
    namespace, rows = Writer.write(shared, values)
    given_order = [(path, "desc" if descending else "asc") for path, descending in order]
    limit, offset = part
    for condition in (None, where):
        found = shared.query(namespace, condition, order_by=given_order, limit=limit, offset=offset)
        assert_same_rows(found, query(rows, condition, order, limit, offset))


@given(values=filled, chosen=st.lists(st.sampled_from([*PATHS, "x"]), min_size=1, max_size=4))
def test_selections(shared: SyncDatabase, values: list[Any], chosen: list[str]) -> None:
    namespace, rows = Writer.write(shared, values)
    found = shared.query(namespace, select=chosen)
    wanted = [Row(row.key, select(row.value, chosen)) for row in query(rows)]
    assert_same_rows(found, wanted)


@given(
    values=filled,
    spec=aggregates,
    groups=st.none() | st.lists(paths, min_size=1, max_size=2, unique=True),
    where=st.none() | filters,
    order=orders,
)
def test_aggregates(
    shared: SyncDatabase,
    values: list[Any],
    spec: dict[str, dict[str, Any]],
    groups: list[str] | None,
    where: Where | None,
    order: Order,
) -> None:
    namespace, rows = Writer.write(shared, values)
    given_order = [(path, "desc" if descending else "asc") for path, descending in order]
    wanted = aggregate(rows, spec, groups, where, order)
    found = shared.aggregate(namespace, spec, group_by=groups, where=where, order_by=given_order)
    assert equal_as_json(found, wanted), (found, wanted)
    assert [list(group) for group in found] == [list(group) for group in wanted]
