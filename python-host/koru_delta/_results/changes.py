"""Changes, as a feed tells them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from struct import Struct
from typing import Final, Literal, NamedTuple

from koru_delta._results.versions import Version, version_from_record
from koru_delta._times import to_datetime

_PAGE: Final = Struct("<QQI")
_CHANGE: Final = Struct("<IIII")
_ERASURE: Final = Struct("<QHH")


@dataclass(frozen=True, slots=True)
class Change:
    """One committed change, as :meth:`Database.watch` tells it.

    Attributes:
        kind: ``put`` (anything that wrote a value), ``delete`` or ``erase``.
        namespace: Namespace of the key.
        key: The key.
        timestamp: When it was committed, UTC.
        version: The version that was written; None for an erasure.
        previous: The key's version before it; None if there was none, or it is not held any more.
        missed: Versions of any key that were committed between the change before and this one and
            are not held any more: erased, or dropped by retention, before the reader came to them.
            After a compaction they may be counted with a change that comes somewhat later.
    """

    kind: Literal["put", "delete", "erase"]
    namespace: str
    key: str
    timestamp: datetime
    version: Version | None
    previous: Version | None
    missed: int


class ChangesPage(NamedTuple):
    """Some changes, and where the next page begins: a time and entries of the commit then."""

    changes: list[Change]
    timestamp: int
    taken: int


def changes_from_payload(payload: bytes) -> ChangesPage:
    """The changes of a reply."""
    timestamp, taken, count = _PAGE.unpack_from(payload)
    place = _PAGE.size
    start = place + count * _CHANGE.size
    changes: list[Change] = []
    for _ in range(count):
        kind, missed, length, before = _CHANGE.unpack_from(payload, place)
        place += _CHANGE.size
        body = payload[start : start + length]
        start += length
        if kind == 1:
            changes.append(_erasure(body, missed))
            continue
        version = version_from_record(body)
        previous = version_from_record(payload[start : start + before]) if before else None
        start += before
        changes.append(
            Change(
                "delete" if version.deleted else "put",
                version.namespace,
                version.key,
                version.timestamp,
                version,
                previous,
                missed,
            )
        )
    return ChangesPage(changes, timestamp, taken)


def _erasure(body: bytes, missed: int) -> Change:
    timestamp, namespace, _ = _ERASURE.unpack_from(body)
    names = body[_ERASURE.size :]
    return Change(
        "erase",
        names[:namespace].decode(),
        names[namespace:].decode(),
        to_datetime(timestamp),
        None,
        None,
        missed,
    )
