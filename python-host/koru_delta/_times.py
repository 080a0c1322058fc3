"""Times as people give them, in whole microseconds since 1970."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import TYPE_CHECKING, Final, TypeAlias

from koru_delta._protocol import NOW
from koru_delta.errors import ValidationError

if TYPE_CHECKING:
    from koru_delta._results.versions import Version

    Time: TypeAlias = datetime | str | float | Version

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_MAX_US: Final = 253_402_300_800_000_000 - 1


def to_datetime(timestamp_us: int) -> datetime:
    """The UTC moment of a time in microseconds."""
    return _EPOCH + timedelta(microseconds=timestamp_us)


def to_microseconds(time: Time | None) -> int:
    """The microseconds of a time argument; ``NOW`` for None.

    Args:
        time: A datetime (naive means UTC), an ISO 8601 string, POSIX seconds, or a Version.

    Raises:
        ValidationError: If it is none of these, malformed, or past the year 9999.
    """
    if time is None:
        return NOW
    stamp = getattr(time, "timestamp_us", None)
    if isinstance(stamp, int):
        return stamp
    if isinstance(time, str):
        try:
            time = datetime.fromisoformat(time)
        except ValueError:
            raise _refuse(repr(time)) from None
    if isinstance(time, datetime):
        aware = time if time.tzinfo is not None else time.replace(tzinfo=UTC)
        return max(0, (aware - _EPOCH) // _MICROSECOND)
    if isinstance(time, bool) or not isinstance(time, int | float):
        raise _refuse(repr(time))
    if isinstance(time, float) and not isfinite(time):
        raise _refuse(repr(time))
    microseconds = time * 1_000_000 if isinstance(time, int) else round(time * 1e6)
    if microseconds > _MAX_US:
        if microseconds.bit_length() > 128:
            raise _refuse("an integer of that size")
        raise _refuse(f"{time!r} seconds since 1970, which is past the year 9999,")
    return max(0, microseconds)


def _refuse(what: str) -> ValidationError:
    return ValidationError(
        f"{what} is not a time",
        suggestion="give a datetime, an ISO 8601 string, POSIX seconds or a Version",
    )
