"""Arguments as people give them, checked and made into requests."""

from __future__ import annotations

import operator
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from math import isfinite, nan
from typing import Any, Final, Literal, SupportsIndex, TypeAlias, cast

from koru_delta import _json
from koru_delta._protocol import BATCH_ITEM, FLAG_DELETE, FLAG_KEEP, FLAG_PLAIN
from koru_delta._results.versions import Version
from koru_delta.errors import LimitExceededError, ValidationError


class Missing:
    """Marks an argument that was not given, where None means something."""

    def __repr__(self) -> str:
        """As the documentation spells it."""
        return "<not given>"


MISSING: Final = Missing()
UNSET: Final = Missing()

VersionLike: TypeAlias = Version | str
Item: TypeAlias = tuple[str, str, Any]

_MAX_BATCH_ITEMS: Final = 100_000
_MAX_NAME_BYTES: Final = 1024
_MAX_VALUE_BYTES: Final = 8 * 1024 * 1024
_MAX_TOP_K: Final = 10_000
_MAX_THRESHOLD: Final = 3.0e38
_EMBED_BYTES: Final = 4 * 1024 * 1024
"""Vectors and values of one commit of a batch of vectors."""
PLAIN: Final = frozenset({str, int, bool, type(None)})
"""Types of which encoding changes nothing: it takes a value as it is, or refuses it."""
_DICT: Final[Any] = dict
_MAPPING: Final[Any] = Mapping
"""To compare types with, by which a type checker is not to narrow what it knows."""
_VERSION_ID: Final = re.compile("[0-9a-f]{32}")


def encode_batch(
    items: list[Item], start: int, payload: bytearray, *, stop: int = 2**62, extra: int = 0
) -> int:
    """Add items from ``start`` on to the payload of a batch, until it has ``stop`` bytes.

    ``extra`` is flags that all of them get.

    One growing payload and not a list of parts: small objects that all live at once cost more to
    allocate than their bytes to copy.

    Returns:
        The index of the first item that was not added.
    """
    for index in range(start, len(items)):
        item = items[index]
        try:
            if not isinstance(item, tuple | list):
                raise TypeError(f"it is of type {type(item).__name__}")
            namespace, key, value = item
            space, name = namespace.encode(), key.encode()
            flags, data = _json.encode(value)
        except ValidationError as error:
            message = f"item {index}: {error.message}"
            raise type(error)(message, suggestion=error.suggestion) from None
        except (TypeError, ValueError, AttributeError) as error:
            raise ValidationError(
                f"item {index} is not a (namespace, key, value) tuple of proper names: {error}",
                suggestion="give namespace and key as str, and three parts an item",
            ) from None
        payload += BATCH_ITEM.pack(len(space), len(name), len(data), flags | extra) + (
            space + name + data
        )
        if len(payload) > stop:
            return index + 1
    return len(items)


def encode_deletions(keys: Iterable[tuple[str, str]], payload: bytearray) -> None:
    """Add the deletion of keys, given with their namespaces, to the payload of a batch."""
    for namespace, key in keys:
        space, name = namespace.encode(), key.encode()
        payload += (
            BATCH_ITEM.pack(len(space), len(name), 0, FLAG_DELETE | FLAG_PLAIN) + space + name
        )


def check_batch(items: Iterable[Any]) -> list[Any]:
    """The items of a batch as a list, if they are not too many."""
    if not isinstance(items, Iterable):
        raise ValidationError(
            f"the batch is of type {type(items).__name__}", suggestion="give a list of tuples"
        )
    batch = list(items)
    if len(batch) > _MAX_BATCH_ITEMS:
        raise LimitExceededError(
            f"{len(batch)} items in a batch; the limit is {_MAX_BATCH_ITEMS}",
            suggestion="split it into smaller batches; nothing was written",
        )
    return batch


def bind_batch(namespace: str, items: Iterable[Any]) -> list[Any]:
    """Pairs of key and value as the items of a batch; what is no pair is left for it to name."""
    return [
        (namespace, *item) if isinstance(item, tuple | list) else item
        for item in check_batch(items)
    ]


def put_control(
    caused_by: VersionLike | Iterable[VersionLike], expected: VersionLike | Missing | None
) -> dict[str, Any]:
    if not isinstance(caused_by, str | Version | Iterable):
        raise ValidationError(
            f"caused_by is of type {type(caused_by).__name__}",
            suggestion="give a version or its id, or several of them; leave it out for none",
        )
    causes = [caused_by] if isinstance(caused_by, str | Version) else list(caused_by)
    control: dict[str, Any] = {"caused_by": [version_id_bytes(cause).decode() for cause in causes]}
    if not isinstance(expected, Missing):
        control["expected"] = "" if expected is None else version_id_bytes(expected).decode()
    return control


def version_id_bytes(version: VersionLike) -> bytes:
    text = version.version_id if isinstance(version, Version) else version
    if not isinstance(text, str) or _VERSION_ID.fullmatch(text) is None:
        raise ValidationError(
            f"{text!r:.100} is not a version id",
            suggestion="give a Version, or the 32 hexadecimal digits of its version_id",
        )
    return text.encode()


def check_limit(
    limit: int | None, what: Literal["limit", "depth", "offset"] = "limit"
) -> int | None:
    if limit is None:
        return None
    number = whole(limit)
    if number is None or number < 0:
        raise ValidationError(f"{what} is {limit!r}", suggestion="give a whole number, or None")
    return min(number, 2**32 - 1)


def whole(number: object) -> int | None:
    """An int, which may have come as one of NumPy's; None for what is no whole number."""
    if type(number) is int:
        return number
    try:
        return None if isinstance(number, bool) else operator.index(cast("SupportsIndex", number))
    except TypeError:
        return None


def check_text(what: str, text: str) -> str:
    if not isinstance(text, str):
        raise ValidationError(f"{what} is of type {type(text).__name__}", suggestion="give a str")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValidationError(
            f"{what} {text!r} contains a lone surrogate", suggestion="give well-formed text"
        ) from None
    return text


def check_name(what: str, name: str) -> str:
    """A namespace or key that is not left out by mistake; the engine checks the rest."""
    if not check_text(what, name):
        raise ValidationError(f"the {what} is empty", suggestion="name one, or give None for all")
    return name


def check_keys(keys: Iterable[str]) -> list[str]:
    """Keys as a list, if each is well-formed text."""
    if isinstance(keys, str) or not isinstance(keys, Iterable):
        raise ValidationError(
            f"keys is of type {type(keys).__name__}", suggestion="give a list of keys"
        )
    return [check_text(f"row {index}: the key", key) for index, key in enumerate(keys)]


def encode_embed_items(
    keys: list[str], values: list[Any] | None, vector_size: int
) -> Iterator[bytes]:
    """Payloads of keys and values for rows of vectors, each of a bounded size.

    All items are checked and encoded before the first payload is given out.
    """
    payloads: list[bytearray] = [bytearray()]
    size = 0
    for index, key in enumerate(keys):
        name = key.encode()
        if not name or len(name) > _MAX_NAME_BYTES or b"\0" in name:
            raise ValidationError(
                f"row {index}: the key {key!r:.60} is empty, too long, or contains NUL",
                suggestion=f"give a key of 1 to {_MAX_NAME_BYTES} bytes of UTF-8 without NUL",
            )
        flags, data = FLAG_KEEP, b""
        if values is not None and values[index] is not None:
            try:
                flags, data = _json.encode(values[index])
            except ValidationError as error:
                message = f"row {index}: {error.message}"
                raise type(error)(message, suggestion=error.suggestion) from None
            if len(data) > _MAX_VALUE_BYTES:
                raise LimitExceededError(
                    f"row {index}: {len(data)} value bytes; the limit is {_MAX_VALUE_BYTES}",
                    suggestion="store large values under keys of their own",
                )
        if size > _EMBED_BYTES:
            payloads.append(bytearray())
            size = 0
        payloads[-1] += BATCH_ITEM.pack(0, len(name), len(data), flags) + name + data
        size += vector_size + len(data)
    return map(bytes, payloads)


def with_progress(
    payloads: Iterator[bytes], total: int, report: Callable[[int, int], object] | None
) -> Iterator[bytes]:
    """The payloads, with a report of what was written before each, once it was handed over.

    The last is not among them: it is written when whoever takes the payloads says so.
    """
    done = 0
    for payload in payloads:
        yield payload
        if report is not None:
            if done:
                report(done, total)
            done += _count_items(payload)


def _count_items(payload: bytes) -> int:
    count = position = 0
    while position < len(payload):
        namespace, key, value, _ = BATCH_ITEM.unpack_from(payload, position)
        position += BATCH_ITEM.size + namespace + key + value
        count += 1
    return count


def print_progress(done: int, total: int) -> None:
    """Say on standard error how far a batch is."""
    end = "\n" if done == total else ""
    sys.stderr.write(f"\r{done:,} of {total:,} vectors ({100 * done // total} %){end}")
    sys.stderr.flush()


def similar_control(
    queries: int, top_k: int, threshold: float | None, model: str | None, exact: bool
) -> dict[str, Any]:
    """The control object of a search by vector."""
    control: dict[str, Any] = {"queries": queries, "top_k": check_top_k(top_k)}
    if threshold is not None:
        # Scores are float32: past its range all thresholds are the same.
        finite = _finite("the threshold", threshold)
        control["threshold"] = max(-_MAX_THRESHOLD, min(_MAX_THRESHOLD, finite))
    if model is not None:
        control["model"] = check_text("model", model)
    if exact:
        control["exact"] = True
    return control


def check_top_k(top_k: int) -> int:
    """A number of hits that may be asked for."""
    number = whole(top_k)
    if number is None or not 0 < number <= _MAX_TOP_K:
        raise ValidationError(
            f"top_k is {top_k!r}; it must be 1 to {_MAX_TOP_K}",
            suggestion="ask for that many hits",
        )
    return number


def where_bytes(where: Any) -> bytes:
    """The JSON of a filter."""
    if type(where) is _DICT and len(where) == 1:
        for name, value in where.items():
            if type(name) is str and type(value) in PLAIN:
                try:
                    return _json.dumps(where)
                except (TypeError, ValueError):
                    pass  # The place of what it refuses is found below.
    if not isinstance(where, dict):
        if isinstance(where, _MAPPING):
            return where_bytes(dict(where))
        raise ValidationError(
            f"where is of type {type(where).__name__}, which is no dict",
            suggestion='give a filter such as {"year": {"$gte": 1990}}',
        )
    return _json.encode(where, "where")[1]


def real(number: Any) -> float:
    """A float, which may have come as one of NumPy's; NaN for what is no number."""
    try:
        return nan if isinstance(number, bool | str | bytes) else float(number)
    except (TypeError, ValueError, OverflowError):
        return nan


def _finite(what: str, number: Any) -> float:
    value = real(number)
    if not isfinite(value):
        raise ValidationError(f"{what} is {number!r:.60}", suggestion="give a finite number")
    return value
