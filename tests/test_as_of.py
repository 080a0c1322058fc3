"""Reading the past: what is seen as of a moment, and every way to say the moment."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from parameters import shown

from koru_delta import Database, KeyNotFoundError, ValidationError, Version, _loading

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

ONE_US = datetime.timedelta(microseconds=1)
YEAR_SECONDS = 31_556_952


def iso(moment: datetime.datetime) -> str:
    return moment.isoformat(timespec="microseconds")


def shortly(at: object) -> str:
    """A test's name for a moment; an int may be too long to be written out."""
    return hex(at)[:40] if isinstance(at, int) else shown(at)[:40]


def in_zone(hours: float) -> datetime.timezone:
    return datetime.timezone(datetime.timedelta(hours=hours))


# Every way to name the moment of a version.
MOMENTS: dict[str, Callable[[Version], Any]] = {
    "the version": lambda version: version,
    "aware datetime": lambda version: version.timestamp,
    "datetime in another zone": lambda version: version.timestamp.astimezone(in_zone(5.75)),
    "naive datetime": lambda version: version.timestamp.replace(tzinfo=None),
    "ISO with Z": lambda version: iso(version.timestamp.replace(tzinfo=None)) + "Z",
    "ISO with +00:00": lambda version: iso(version.timestamp),
    "ISO with a positive offset": lambda version: iso(version.timestamp.astimezone(in_zone(2))),
    "ISO with a negative offset": lambda version: iso(version.timestamp.astimezone(in_zone(-9.5))),
    "ISO without an offset": lambda version: iso(version.timestamp.replace(tzinfo=None)),
    "ISO with a space": lambda version: iso(version.timestamp).replace("T", " "),
    "POSIX float": lambda version: version.timestamp.timestamp(),
}


@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS.keys())
async def test_every_way_to_say_a_moment_finds_what_was_written_then(
    db: Database, moment: Callable[[Version], Any]
) -> None:
    written = [await db.put("users", "alice", i) for i in range(20)]
    for version in written:
        at = moment(version)
        assert await db.get("users", "alice", at=at) == version.value
        assert await db.get_at("users", "alice", at) == version.value
        assert await db.get_many("users", ["alice", "bob"], at=at) == {"alice": version.value}
        assert await db.contains("users", "alice", at=at)
        assert await db.list_keys("users", at=at) == ["alice"]


async def test_a_microsecond_before_a_write_it_is_not_seen(db: Database) -> None:
    first = await db.put("users", "alice", 1)
    before = first.timestamp - ONE_US
    with pytest.raises(KeyNotFoundError):
        await db.get("users", "alice", at=before)
    assert await db.get("users", "alice", None, at=before) is None
    assert await db.contains("users", "alice", at=before) is False
    assert await db.get_many("users", ["alice"], at=before) == {}
    assert await db.list_keys("users", at=before) == []


async def test_whole_posix_seconds_are_moments(db: Database) -> None:
    version = await db.put("users", "alice", 1)
    second = version.timestamp_us // 1_000_000
    with pytest.raises(KeyNotFoundError):
        await db.get_at("users", "alice", second - 1)
    assert await db.get_at("users", "alice", second + 1) == 1


async def test_the_future_sees_the_present(db: Database) -> None:
    version = await db.put("users", "alice", 1)
    for at in (
        version.timestamp + datetime.timedelta(days=365),
        "9999-12-31T23:59:59Z",
        datetime.datetime.max,
    ):
        assert await db.get_at("users", "alice", at) == 1


@pytest.mark.parametrize(
    "at",
    [
        "1999-12-31T23:59:59Z",
        "1999-12-31",
        "1969-12-31T23:59:59.999999+00:00",
        "0001-01-01T00:00:00Z",
        datetime.datetime(1999, 1, 1),
        datetime.datetime.min,
        datetime.datetime.min.replace(tzinfo=in_zone(14)),
        0,
        0.0,
        -1,
        -62_135_596_800.0,
    ],
    ids=str,
)
async def test_before_any_version_there_is_nothing(db: Database, at: Any) -> None:
    await db.put("users", "alice", 1)
    with pytest.raises(KeyNotFoundError):
        await db.get_at("users", "alice", at)
    assert await db.list_keys("users", at=at) == []
    assert await db.get_many("users", ["alice"], at=at) == {}


@pytest.mark.parametrize(
    "at",
    [
        "",
        "yesterday",
        "2024-13-01",
        "2024-02-30T00:00:00Z",
        "2024-01-01T25:00:00Z",
        "2024-01-01T00:00:00+99:00",
        "2024-01-01T00:00:00Z trailing",
        "1000000000-01-01T00:00:00Z",
        "\ud800",
        "2024-01-01\u0000",
        "9" * 5000,
        10**9 * YEAR_SECONDS,
        float(10**9 * YEAR_SECONDS),
        1e300,
        10**400,
        10**5000,
        float("nan"),
        float("inf"),
        float("-inf"),
        datetime.date(2024, 1, 1),
        datetime.timedelta(days=1),
        b"2024-01-01",
        [2024, 1, 1],
        object(),
    ],
    ids=shortly,
)
async def test_a_malformed_moment_is_refused_everywhere(db: Database, at: Any) -> None:
    await db.put("users", "alice", 1)
    reads: list[Callable[[], Any]] = [
        lambda: db.get("users", "alice", at=at),
        lambda: db.get("users", "alice", "default", at=at),
        lambda: db.get_at("users", "alice", at),
        lambda: db.get_many("users", ["alice"], at=at),
        lambda: db.contains("users", "alice", at=at),
        lambda: db.list_keys("users", at=at),
    ]
    for read in reads:
        with pytest.raises(ValidationError):
            await read()
    assert await db.get("users", "alice") == 1


async def test_listings_of_the_past_show_what_was_there(db: Database) -> None:
    a = await db.put("users", "a", 1)
    b = await db.put("users", "b", 2)
    await db.delete("users", "a")
    deletion = (await db.history("users", "a"))[-1]
    c = await db.put("users", "c", 3)
    again = await db.put("users", "a", 4)
    listings = [await db.list_keys("users", at=v) for v in (a, b, deletion, c, again)]
    assert listings == [["a"], ["a", "b"], ["b"], ["b", "c"], ["a", "b", "c"]]
    assert await db.get_many("users", ["a", "b", "c"], at=b) == {"a": 1, "b": 2}
    assert await db.contains("users", "a", at=deletion) is False
    assert await db.contains("users", "a", at=b) is True


async def test_paging_and_prefixes_work_in_the_past(db: Database) -> None:
    await db.put_batch([("keys", key, 0) for key in ("a1", "a2", "a3", "b1")])
    then = await db.put("other", "mark", 0)
    await db.delete("keys", "a2")
    await db.put("keys", "a4", 0)
    assert await db.list_keys("keys", prefix="a", at=then) == ["a1", "a2", "a3"]
    assert await db.list_keys("keys", start_after="a1", limit=2, at=then) == ["a2", "a3"]
    assert await db.list_keys("keys", prefix="a") == ["a1", "a3", "a4"]


async def test_a_version_of_another_key_is_a_moment_too(db: Database) -> None:
    await db.put("users", "alice", 1)
    mark = await db.put("elsewhere", "mark", 0)
    await db.put("users", "alice", 2)
    assert await db.get("users", "alice", at=mark) == 1


async def test_a_moment_between_two_writes_sees_the_earlier(db: Database) -> None:
    first = await db.put("users", "alice", 1)
    second = await db.put("users", "alice", 2)
    assert await db.get_at("users", "alice", second.timestamp - ONE_US) == 1
    assert await db.get_at("users", "alice", second.timestamp) == 2
    assert first.timestamp < second.timestamp


async def test_the_past_is_the_same_out_of_the_file(
    open_database: Callable[..., Awaitable[Database]],
) -> None:
    with patch.object(_loading, "OLD_VALUES_SHARE", 0.0):
        db = await open_database()
        values = [{"turn": turn, "text": f"a red fish at turn {turn} " * 40} for turn in range(30)]
        written = [await db.put("a", "k", value) for value in values]
        for version, value in zip(written, values, strict=True):
            assert await db.get("a", "k", at=version) == value
            assert [record.value for record in await db.query("a", at=version)] == [value]
            assert [match.key for match in await db.search("a", "fish", at=version)] == ["k"]
        assert [version.value for version in await db.history("a", "k")] == values
        assert (await db.restore("a", "k", written[2])).value == values[2]
        stats = await db.stats()
        # In memory there is no file, and one in IndexedDB can only be awaited.
        assert (stats.versions_on_disk > 20) is (stats.storage in ("file", "opfs"))
        assert (await db.compact()).versions_after == 31
    assert await db.get("a", "k", at=written[7]) == values[7]
    assert (await db.verify()).ok
