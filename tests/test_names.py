"""Names are byte-exact UTF-8 of 1 to 1,024 bytes, and never paths."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from files import names_in
from hypothesis import given
from hypothesis import strategies as st

from koru_delta import Database, ValidationError

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import FileOpener

NAME_BYTES_MAX = 1024
COMPOSED, DECOMPOSED = "\u00e9", "e\u0301"

ORDINARY = [
    "../x",
    "../../../../etc/passwd",
    "/etc/x",
    "C:\\x",
    "CON",
    "nul.txt",
    ".",
    "..",
    "~",
    " ",
    " leading and trailing ",
    "\n",
    "\x01\x7f",
    "a\u200bb",
    "\ufeff",
    "\uffff",
    "\U0001f600",
    "%00",
    "$ne",
    "{}",
    '"quoted"',
    "a" * NAME_BYTES_MAX,
    COMPOSED * (NAME_BYTES_MAX // 2),
    "\U0001f600" * (NAME_BYTES_MAX // 4),
]

REFUSED: dict[str, Any] = {
    "empty": "",
    "NUL": "\0",
    "NUL inside": "a\0b",
    "high surrogate": "a\ud800",
    "low surrogate": "\udfff",
    "surrogate pair as two": "\ud83d\ude00",
    "1 KiB + 1 in ASCII": "a" * (NAME_BYTES_MAX + 1),
    "1 KiB + 1 in two-byte letters": "a" + COMPOSED * (NAME_BYTES_MAX // 2),
    "1 KiB + 2 in two-byte letters": COMPOSED * (NAME_BYTES_MAX // 2 + 1),
    "1 KiB + 1 in four-byte letters": "a" + "\U0001f600" * (NAME_BYTES_MAX // 4),
    "a million": "a" * 1_000_000,
    "None": None,
    "int": 5,
    "bytes": b"name",
    "list": ["name"],
}


@pytest.mark.parametrize("name", ORDINARY, ids=lambda name: ascii(name)[:30])
async def test_an_odd_name_is_an_ordinary_name(db: Database, name: str) -> None:
    await db.put(name, "key", 1)
    version = await db.put("namespace", name, 2)
    assert version.key == name
    assert await db.get(name, "key") == 1
    assert await db.get("namespace", name) == 2
    assert await db.list_keys("namespace") == [name]
    assert name in await db.list_namespaces()
    assert [v.key for v in await db.history("namespace", name)] == [name]
    assert await db.delete("namespace", name)


async def test_names_are_never_paths(open_file: FileOpener, tmp_path: Path) -> None:
    db = await open_file()
    before = names_in(tmp_path)
    for name in ORDINARY:
        await db.put(name, name, 1)
    assert names_in(tmp_path) == before


async def test_composed_and_decomposed_letters_are_two_names(db: Database) -> None:
    await db.put("names", COMPOSED, "composed")
    await db.put("names", DECOMPOSED, "decomposed")
    assert await db.get("names", COMPOSED) == "composed"
    assert await db.get("names", DECOMPOSED) == "decomposed"
    assert await db.list_keys("names") == [DECOMPOSED, COMPOSED]


async def test_case_and_spaces_tell_names_apart(db: Database) -> None:
    names = [" a", "A", "a", "a ", "a\u00a0"]
    await db.put_batch([("names", name, name) for name in names])
    assert await db.list_keys("names") == names
    assert [await db.get("names", name) for name in names] == names


@pytest.mark.parametrize("name", REFUSED.values(), ids=REFUSED.keys())
async def test_a_bad_namespace_is_refused_by_that_word(db: Database, name: Any) -> None:
    for call in (
        lambda: db.put(name, "key", 1),
        lambda: db.get(name, "key"),
        lambda: db.get(name, "key", None),
        lambda: db.delete(name, "key"),
        lambda: db.contains(name, "key"),
        lambda: db.history(name, "key"),
        lambda: db.list_keys(name),
        lambda: db.get_many(name, ["key"]),
        lambda: db.erase(name, "key"),
    ):
        with pytest.raises(ValidationError, match="namespace") as caught:
            await call()
        assert str(caught.value).encode("utf-8")
        assert len(str(caught.value)) < 4000
    assert await db.list_namespaces() == []


@pytest.mark.parametrize("name", REFUSED.values(), ids=REFUSED.keys())
async def test_a_bad_key_is_refused_by_that_word(db: Database, name: Any) -> None:
    await db.put("namespace", "kept", 1)
    for call in (
        lambda: db.put("namespace", name, 1),
        lambda: db.get("namespace", name),
        lambda: db.get("namespace", name, None),
        lambda: db.delete("namespace", name),
        lambda: db.contains("namespace", name),
        lambda: db.history("namespace", name),
        lambda: db.get_many("namespace", ["kept", name]),
        lambda: db.erase("namespace", name),
        lambda: db.diff("namespace", name),
    ):
        with pytest.raises(ValidationError, match="key") as caught:
            await call()
        assert str(caught.value).encode("utf-8")
        assert len(str(caught.value)) < 4000
    assert await db.list_keys("namespace") == ["kept"]


@given(names=st.lists(st.text(min_size=1, max_size=30), min_size=1, max_size=8, unique=True))
async def test_any_names_are_kept_apart_and_in_order(db: Database, names: list[str]) -> None:
    names = [name for name in names if "\0" not in name]
    for i, name in enumerate(names):
        await db.put("names", name, i)
    assert await db.get_many("names", names) == {name: i for i, name in enumerate(names)}
    listed = await db.list_keys("names")
    assert listed == sorted(listed, key=lambda name: name.encode("utf-8"))
    assert set(names) <= set(listed)
