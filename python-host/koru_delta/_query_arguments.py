"""Arguments of queries and text searches as people give them, made into control objects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from typing import Any, Final, TypeAlias, cast

from koru_delta import _json
from koru_delta._arguments import check_limit, check_text, check_top_k, real, where_bytes
from koru_delta.errors import LimitExceededError, ValidationError

OrderBy: TypeAlias = str | Sequence[str | tuple[str, str]] | Mapping[str, int]
"""A field, ``"-field"`` for descending, several of them or pairs with ``"asc"`` or ``"desc"``, or a
mapping from fields to 1 or -1."""
Fields: TypeAlias = str | Iterable[str] | Mapping[str, float]

_MAX_TEXT_BYTES: Final = 4096
_DIRECTIONS: Final = {"asc": False, "desc": True, 1: False, -1: True}


def filter_bytes(where: Mapping[str, Any] | None) -> bytes:
    """The JSON of a filter; nothing for none."""
    return b"" if where is None else where_bytes(where)


def order_list(order_by: OrderBy | None) -> list[tuple[str, bool]]:
    """Fields to order by, each with whether it is descending."""
    if order_by is None:
        return []
    if isinstance(order_by, str):
        return [_signed("order_by", order_by)]
    if isinstance(order_by, Mapping):
        return [_directed(f"order_by[{path!r}]", path, way) for path, way in order_by.items()]
    if not isinstance(order_by, Iterable):
        raise ValidationError(
            f"order_by is of type {type(order_by).__name__}",
            suggestion='give a field such as "age", "-age" for descending, or a list of them',
        )
    order: list[tuple[str, bool]] = []
    for index, part in enumerate(order_by):
        place = f"order_by[{index}]"
        if isinstance(part, str):
            order.append(_signed(place, part))
        elif isinstance(part, tuple | list) and len(part) == 2:
            order.append(_directed(place, *part))
        else:
            raise ValidationError(
                f"{place} is {part!r:.60}",
                suggestion='give a field such as "age" or "-age", or a pair ("age", "desc")',
            )
    return order


def _signed(place: str, part: str) -> tuple[str, bool]:
    check_text(place, part)
    return (part[1:], True) if part.startswith("-") else (part, False)


def _directed(place: str, path: Any, way: Any) -> tuple[str, bool]:
    check_text(place, path)
    descending = _DIRECTIONS.get(way) if isinstance(way, int | str) else None
    if descending is None or isinstance(way, bool):
        raise ValidationError(
            f"{place}: the direction is {way!r:.60}",
            suggestion='give "asc" or "desc" in a pair, 1 or -1 in a mapping',
        )
    return path, descending


def query_control(
    order_by: OrderBy | None, limit: int | None, offset: int, select: Iterable[str] | None = None
) -> dict[str, Any] | None:
    """The control object of a query; None for one without any options."""
    if order_by is None and limit is None and select is None and type(offset) is int and not offset:
        return None
    paths = None if select is None else path_list("select", select)
    start = check_limit(offset, "offset")
    if start is None:
        raise ValidationError("offset is None", suggestion="give a whole number; 0 is the default")
    return {
        "order_by": order_list(order_by),
        "limit": check_limit(limit),
        "offset": start,
        "select": paths,
    }


def path_list(what: str, paths: Iterable[str]) -> list[str]:
    """Dotted paths as a list."""
    if isinstance(paths, str) or not isinstance(paths, Iterable):
        raise ValidationError(
            f"{what} is of type {type(paths).__name__}", suggestion="give a list of dotted paths"
        )
    return [check_text(f"{what}[{index}]", path) for index, path in enumerate(paths)]


def aggregate_control(
    aggregates: Mapping[str, Any], group_by: str | Iterable[str] | None, order_by: OrderBy | None
) -> dict[str, Any]:
    """The control object of an aggregation."""
    if not isinstance(aggregates, Mapping):
        raise ValidationError(
            f"the aggregates are of type {type(aggregates).__name__}",
            suggestion='give a dict such as {"total": {"$sum": "amount"}}',
        )
    groups = [group_by] if isinstance(group_by, str) else group_by
    aggregation = {
        "spec": dict(aggregates),
        "group_by": None if groups is None else path_list("group_by", groups),
    }
    return {
        "aggregation": _json.encode(aggregation)[1].decode(),
        "order_by": order_list(order_by),
    }


def search_control(text: str, top_k: int, fields: Fields | None) -> dict[str, Any]:
    """The control object of a text search."""
    size = len(check_text("the text", text).encode())
    if size > _MAX_TEXT_BYTES:
        raise LimitExceededError(
            f"the text has {size} bytes; the limit is {_MAX_TEXT_BYTES}",
            suggestion="search for fewer words",
        )
    return {"text": text, "top_k": check_top_k(top_k), "fields": _boosts(fields)}


def _boosts(fields: Fields | None) -> list[tuple[str, float]] | None:
    if fields is None:
        return None
    if isinstance(fields, str):
        return [(check_text("fields", fields), 1.0)]
    if not isinstance(fields, Mapping):
        return [(path, 1.0) for path in path_list("fields", fields)]
    boosts = cast("Mapping[str, object]", fields)
    return [(check_text("fields", path), _boost(path, boost)) for path, boost in boosts.items()]


def _boost(path: str, boost: object) -> float:
    if isfinite(number := real(boost)) and number > 0:
        return number
    raise ValidationError(
        f"fields[{path!r:.60}]: the boost is {boost!r:.60}",
        suggestion="give a positive number; 1.0 leaves a field as it is",
    )


def hybrid_control(
    text: str, top_k: int, fields: Fields | None, weight: float, model: str | None
) -> dict[str, Any]:
    """The control object of a search by text and vector."""
    share = real(weight)
    if not 0 <= share <= 1:
        raise ValidationError(
            f"the weight is {weight!r:.60}; it must be 0 to 1",
            suggestion="0 is text alone, 1 is vectors alone",
        )
    return {
        **search_control(text, top_k, fields),
        "weight": share,
        "model": None if model is None else check_text("model", model),
    }
