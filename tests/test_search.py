"""Text search: what is a word, which queries find it, and what is shown of it."""

from __future__ import annotations

import asyncio
import itertools
import random
from typing import TYPE_CHECKING, Any

import pytest
from text_oracle import assert_finds, assert_snippet, hits
from turns import give_a_turn

from koru_delta import Database, LimitExceededError, Match, ValidationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import FileOpener, Opener


def keys(matches: list[Match]) -> list[str]:
    return [match.key for match in matches]


async def found(db: Database, text: str, **options: Any) -> set[str]:
    return set(keys(await db.search("n", text, 100, **options)))


async def put_all(db: Database, values: dict[str, Any], namespace: str = "n") -> None:
    await db.put_batch([(namespace, key, value) for key, value in values.items()])


FOLDED = [
    (
        "R\u00e9sum\u00e9",
        ["resume", "r\u00e9sum\u00e9", "RE\u0301SUME\u0301", "resum*", '"Resume"'],
    ),
    ("Stra\u00dfe", ["strasse", "STRASSE", "stra\u00dfe", "STRA\u1e9eE", "stras*"]),
    ("\u0130stanbul", ["istanbul", "\u0130STANBUL", "ISTANBUL", "\u0131stanbul"]),
    (
        "\u039f\u0394\u03a5\u03a3\u03a3\u0395\u03a5\u03a3",
        ["\u03bf\u03b4\u03c5\u03c3\u03c3\u03b5\u03c5\u03c2"],
    ),
    (
        "\u03bb\u03cc\u03b3\u03bf\u03c2",
        ["\u03bb\u03bf\u03b3\u03bf\u03c3", "\u039b\u039f\u0393\u039f\u03a3"],
    ),
    ("e\u0301le\u0300ve", ["eleve", "\u00e9l\u00e8ve"]),
    ("a\u0328\u0301b", ["ab", "\u0105b"]),
    ("\ufb01n \uff2b\uff4f\uff52\uff55", ["fin", "koru"]),
    ("\u00c6on \u0152uvre \u00d8rsted", ["aeon", "oeuvre", "orsted"]),
    (
        "\u0401\u043b\u043a\u0430 \u0418\u0419",
        ["\u0435\u043b\u043a\u0430", "\u0438\u0438", "\u0439*"],
    ),
    ("snake_case.name v2_0", ["snake", "case", "name", "v2", '"v2 0"', "+snake_case"]),
    ("don't stop", ["don", "t", "don't", '"don t"']),
    ("soft\u00adhyphen zero\u200dwidth", ["softhyphen", "zerowidth"]),
    ("No. 2024-11", ["2024", "11", "no", "202*"]),
]


@pytest.mark.parametrize(("text", "queries"), FOLDED, ids=[ascii(text) for text, _ in FOLDED])
async def test_words_are_found_whatever_their_case_and_accents(
    db: Database, text: str, queries: list[str]
) -> None:
    await put_all(db, {"it": {"text": f"before {text} after"}, "other": "nothing of the kind"})
    for query in queries:
        (match,) = await db.search("n", query)
        assert match.key == "it", query
        assert match.snippet == f"before {text} after"
        assert match.highlights, query
        for start, end in match.highlights:
            assert 7 <= start < end <= 7 + len(text)
    assert await db.search("n", "befor") == []
    assert await db.search("n", "kin text") == [], "names of members are no text"


async def test_scripts_without_spaces_are_found_by_parts(db: Database) -> None:
    values = {
        "tokyo": "\u6771\u4eac\u90fd\u306b\u4f4f\u3080",
        "kyoto": "\u4eac\u90fd\u306e\u5bfa",
        "seoul": "\ud55c\uad6d\uc5b4\ub97c \ubc30\uc6b0\ub2e4",
        "thai": "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35\u0e0a\u0e32\u0e27\u0e42\u0e25\u0e01",
        "kana": "\u30c7\u30fc\u30bf\u30d9\u30fc\u30b9",
        "mixed": "Rust\u8a00\u8a9e 2.0",
    }
    await put_all(db, values)
    for query, expected in (
        ("\u6771\u4eac", {"tokyo"}),
        ("+\u4eac\u90fd", {"tokyo", "kyoto"}),
        ("\u6771", {"tokyo"}),
        ("\u90fd", {"tokyo", "kyoto"}),
        ("\ud55c\uad6d", {"seoul"}),
        ("\ubc30\uc6b0", {"seoul"}),
        ("\u0e0a\u0e32\u0e27", {"thai"}),
        ("+\u30d9\u30fc\u30b9", {"kana"}),
        ("rust \u5bfa", {"mixed", "kyoto"}),
        ("+\u8a00\u8a9e", {"mixed"}),
        ("\u6cd5", set()),
    ):
        assert await found(db, query) == expected, query
    (match,) = await db.search("n", "+\u6771\u4eac\u90fd")
    assert match.snippet == values["tokyo"]
    assert match.highlights[0][0] == 0


async def test_emoji_and_other_symbols_are_no_words(db: Database) -> None:
    flags = (
        "\U0001f1e9\U0001f1ea \U0001f469\u200d\U0001f469\u200d\U0001f467 \u2764\ufe0f \U0010ffff"
    )
    await put_all(db, {"a": f"{flags} sea {flags}", "b": flags, "c": "\u0000\u0001 sea\u2028sky"})
    assert await found(db, "sea") == {"a", "c"}
    assert await found(db, "sky") == {"c"}
    (match,) = await db.search("n", f"sea {flags}", where={}, fields="$", top_k=1)
    assert match.snippet is not None
    assert [match.snippet[start:end] for start, end in match.highlights] == ["sea"]


NOTHING = [
    "", " ", "\t\n\u3000", "...", '"', '""', "+", "-", "*", "+ - *", '+"" -""', "-sea", "-sea -sky",
    '-"sea sky"', "\U0001f600", "\u0301", "\u2028\u00ad", "'", "\\", "\x00", "nowhere",
]  # fmt: skip


@pytest.mark.parametrize("query", NOTHING, ids=ascii)
async def test_a_query_without_anything_to_look_for_finds_nothing(db: Database, query: str) -> None:
    await put_all(db, {"a": "sea", "b": {"text": "sky * + -"}, "c": 1})
    assert await db.search("n", query) == []
    assert await db.search("nowhere", query) == []


NOTES = {
    "a": {"title": "Red planet", "body": "Mars is the red planet, fourth from the sun"},
    "b": {"title": "Blue planet", "body": "Earth. The sea is blue, the planet too"},
    "c": {"title": "Sea", "body": ["Salt water", "red tides"], "tags": [{"name": "red sea"}]},
    "d": "planet red",
    "e": {"n": 7, "title": None, "deep": {"er": {"text": "Planets"}}},
    "f": b"red planet",
    "g": ["red", ["planet"]],
}
QUERIES = [
    ("red", "acdg"), ("red planet", "abcdg"), ("+red planet", "acdg"), ("+red +planet", "adg"),
    ("planet -red", "b"), ('"red planet"', "a"), ('"planet red"', "d"), ('+"red planet" mars', "a"),
    ('planet -"red planet"', "bdg"), ("plan*", "abdeg"), ("planets", "e"), ("+plan* -planet", "e"),
    ("pla net", ""), ('"the red"', "a"), ('"is blue the planet"', "b"), ('"water red"', ""),
    ('"red sea', "c"), ("RED-sea", "abcdg"), ("+red-sea", "c"), ("(sun)", "a"), ("7 n title", ""),
]  # fmt: skip


async def test_words_phrases_signs_and_prefixes(db: Database) -> None:
    await put_all(db, NOTES)
    for query, expected in QUERIES:
        assert await found(db, query) == set(expected), query


async def test_fields_restrict_and_weigh(db: Database) -> None:
    await put_all(db, NOTES)
    for fields, query, expected in (
        ("title", "red sea planet", "abc"),
        (["title"], "mars", ""),
        (("title", "body"), "red", "ac"),
        ("tags", "sea", "c"),
        ("tags.name", "sea", "c"),
        ("deep", "planets", "e"),
        ("deep.er", "planets", "e"),
        ("deep.er.text", "planets", "e"),
        ("deep.e", "planets", ""),
        ("$", "red", "dg"),
        ({"$": 2.0, "title": 1}, "planet", "abdg"),
        ({"body": 1e-300, "title": 1e300}, "red", "ac"),
        ("nothing", "red", ""),
    ):
        assert await found(db, query, fields=fields) == set(expected), (fields, query)
    await put_all(
        db, {"x": {"title": "moon", "body": "a a"}, "y": {"title": "a a", "body": "moon"}}
    )
    for heavy, light in (("title", "body"), ("body", "title")):
        best = await db.search("n", "moon", fields={heavy: 5.0, light: 1.0})
        assert keys(best) == (["x", "y"] if heavy == "title" else ["y", "x"])


async def test_scores_are_those_of_bm25(db: Database) -> None:
    source = random.Random(7)
    vocabulary = [f"w{int(source.paretovariate(0.6)) % 300}" for _ in range(3000)]
    values: dict[str, Any] = {}
    for i in range(150):
        words = source.choices(vocabulary, k=source.randrange(30))
        values[f"{i:03}"] = {"title": " ".join(words[:3]), "body": ", ".join(words[3:]), "g": i % 3}
    await put_all(db, values)
    boosts = {"title": 2.5, "body": 1.0}
    for query in ("w1", "w1 w2 w3", "w1 w1 w9", '"w1 w1"', "+w2 w5 -w3", "w1*", "+w4* w8", "w299"):
        for fields in (None, boosts, {"title": 1.0}):
            expected = hits(values, query, fields)
            for top_k in (1, 10, 1000):
                matches = await db.search("n", query, top_k, fields=fields)
                assert_finds(matches, expected, top_k)
            for match in matches:
                assert_snippet(match, query)
    scores = {hit.key: hit.score for hit in hits(values, "w1 w5")}
    for match in await db.search("n", "w1 w5", 1000, where={"g": 1}):
        assert match.value["g"] == 1
        assert match.score == pytest.approx(scores[match.key], rel=1e-4), "filters leave scores"


async def test_equal_scores_go_by_key(db: Database) -> None:
    names = ["b", "a", "\U0001f600", "\uffff", "\u00e9", "B", "aa", "10", "9"]
    for name in names:
        await db.put("n", name, "sea sky")
    await db.put("n", "Z", "nothing")
    assert keys(await db.search("n", "sky")) == sorted(names)
    for top_k in range(1, 9):
        assert keys(await db.search("n", "sky sea", top_k)) == sorted(names)[:top_k]


async def test_the_past_and_what_changed(open_file: FileOpener, reopen: Callable[..., Any]) -> None:
    db = await open_file()
    first = await db.put("n", "a", "red sea")
    second = await db.put("n", "b", {"text": "blue sea"})
    third = await db.put("n", "a", "green sky")
    await db.delete("n", "b")
    fourth = (await db.history("n", "b"))[-1]
    await db.restore("n", "a", first)
    for _ in range(2):
        assert await found(db, "sea", at=first) == {"a"}
        assert await found(db, "sea", at=second) == {"a", "b"}
        assert await found(db, "sea", at=third) == {"b"}
        assert await found(db, "sea", at=fourth) == set()
        assert await found(db, "sky green", at=fourth) == {"a"}
        assert await found(db, "sea") == {"a"}
        assert await found(db, "sky") == set()
        assert await found(db, "sea", at=first.timestamp.replace(year=1999)) == set()
        (match,) = await db.search("n", "red", at=second, where={"x": {"$exists": False}})
        assert (match.version_id, match.value) == (first.version_id, "red sea")
        db = await reopen(db)
    await db.erase("n", "a")
    for at in (None, first, second):
        assert await found(db, "red", at=at) == set()
    assert await found(db, "sea", at=second) == {"b"}
    await db.put("n", "a", "red star")
    assert await found(db, "red") == {"a"}


async def test_namespaces_are_searched_apart(db: Database) -> None:
    await put_all(db, {"a": "sea"}, "one")
    await put_all(db, {"a": "sea sky"}, "two")
    (one,) = await db.search("one", "sea")
    (two,) = await db.namespace("two").search("sea", 5, fields="$", where={})
    assert (one.namespace, one.value) == ("one", "sea")
    assert (two.namespace, two.value) == ("two", "sea sky")
    assert await db.search("one", "sky") == []


# What is shown.


async def test_a_snippet_shows_the_words_in_a_long_text(db: Database) -> None:
    filler = " ".join(f"word{i}" for i in range(5000))
    text = f"{filler} the needle in \u00e9t\u00e9 haystack {filler}"
    await put_all(db, {"a": {"more": "nothing", "text": text}, "b": {"text": f"{filler} needle"}})
    match = (await db.search("n", "+haystack needle"))[0]
    assert match.key == "a"
    assert match.snippet is not None
    assert match.snippet in text
    assert len(match.snippet) < 1000
    shown = [match.snippet[start:end] for start, end in match.highlights]
    assert shown == ["needle", "haystack"]
    assert_snippet((await db.search("n", '"needle in" word5*', 1))[0], '"needle in" word5*')
    both = await db.search("n", "needle")
    assert all(m.snippet and "needle" in m.snippet for m in both)


async def test_a_snippet_is_of_the_fields_that_were_searched(db: Database) -> None:
    await put_all(db, {"a": {"title": "sea title", "body": ["x", "the sea body"]}})
    for fields, snippet in (("title", "sea title"), ("body", "the sea body")):
        (match,) = await db.search("n", "sea", fields=fields)
        assert match.snippet == snippet
    (match,) = await db.search("n", "sea body -nothing")
    assert match.snippet == "the sea body"
    assert [match.snippet[start:end] for start, end in match.highlights] == ["sea", "body"]


# Size.


async def test_words_are_cut_at_sixty_four_characters(db: Database) -> None:
    long = "x" * 64
    await put_all(db, {"a": long, "b": long + "y", "c": "x" * 63, "d": "z" * 1_000_000})
    assert await found(db, long) == {"a", "b"}
    assert await found(db, long + "z") == {"a", "b"}
    assert await found(db, "x" * 63) == {"c"}
    assert await found(db, "x" * 60 + "*") == {"a", "b", "c"}
    assert await found(db, "z" * 4096) == {"d"}


async def test_a_prefix_of_too_many_words_is_refused(db: Database) -> None:
    text = " ".join(f"w{i}" for i in range(10_001))
    await put_all(db, {"a": text, "b": "w sea"})
    with pytest.raises(ValidationError, match="10000"):
        await db.search("n", "w*")
    assert await found(db, "w1*") == {"a"}
    assert await found(db, "sea w") == {"b"}


async def test_huge_values_are_searched(db: Database) -> None:
    unit = "lorem ipsum dolor sit amet "
    await put_all(
        db, {"a": {"text": unit * 100_000 + "needle"}, "b": {"text": ["needle"] * 30_000}}
    )
    await put_all(db, {f"c{i}": {f"f{j}": "needle" for j in range(2000)} for i in range(3)})
    assert await found(db, "needle") == {"a", "b", "c0", "c1", "c2"}
    (match,) = await db.search("n", '"amet needle"')
    assert match.snippet is not None
    assert match.snippet.endswith("needle")
    assert await found(db, "needle", fields=["text", "f1999"]) == {"a", "b", "c0", "c1", "c2"}


async def test_thousands_of_hits(db: Database) -> None:
    await put_all(db, {f"{i:05}": {"text": "sea", "i": i} for i in range(10_500)})
    assert keys(await db.search("n", "sea", 10_000)) == [f"{i:05}" for i in range(10_000)]
    some = await db.search("n", "sea", 10_000, where={"i": {"$gte": 10_400}})
    assert keys(some) == [f"{i:05}" for i in range(10_400, 10_500)]


async def test_a_full_memory_is_said_and_survived(open_database: Opener) -> None:
    db = await open_database(max_memory_mb=8)
    written = 0

    async def write_on() -> None:
        nonlocal written
        for i in itertools.count():
            await db.put_batch([("n", f"{i}-{j}", f"w{i} w{j} {'x' * 40}") for j in range(200)])
            written += 1

    await db.put("n", "first", "w1")
    assert await found(db, "w1") == {"first"}
    with pytest.raises(LimitExceededError):
        await write_on()
    for text in ("w0", "w0 w1", "x*"):
        try:
            matches = await db.search("n", text, 10_000)
        except LimitExceededError:
            continue
        assert len(matches) >= 200
    assert await db.count("n") == 200 * written + 1
    assert await db.get("n", "0-0") == f"w0 w0 {'x' * 40}"
    assert await db.delete("n", "0-0")
    assert (await db.verify()).ok


async def test_searches_see_whole_batches_only(db: Database) -> None:
    done = asyncio.Event()

    async def write() -> None:
        for turn in range(15):
            await put_all(db, {f"{i:02}": f"sea turn{turn}" for i in range(30)})
            await asyncio.sleep(0)
        done.set()

    async def read() -> int:
        reads = 0
        while not done.is_set():
            await give_a_turn()
            matches = await db.search("n", "sea", 100)
            assert len(matches) in (0, 30)
            assert len({match.value for match in matches}) <= 1
            assert len({match.score for match in matches}) <= 1
            reads += 1
        return reads

    reads = await asyncio.gather(write(), read())
    assert reads[1] > 0
    assert len(await db.search("n", "turn14", 100)) == 30
    assert await db.search("n", "turn13") == []


async def test_stats_tell_of_indexes_by_namespace_and_kind(db: Database) -> None:
    await put_all(db, {"a": {"x": "red sea"}, "b": {"x": "blue sea"}, "c": {"y": "sky"}})
    assert (await db.stats()).indexes == ()
    await db.search("n", "sea")
    await db.create_index("n", "x")
    await db.delete("n", "c")
    field, text = (await db.stats()).indexes
    assert (field.namespace, field.kind, field.field, field.documents) == ("n", "field", "x", 2)
    assert (text.namespace, text.kind, text.field, text.documents) == ("n", "text", None, 2)
    assert field.bytes > 0
    assert text.bytes > 0
