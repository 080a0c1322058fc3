"""Search the docstrings of Python's standard library, as they are and as they were.

    python 06_search_docstrings.py [--quick] [DIRECTORY] [QUERY ...]

A query is words, any of which may match; "a phrase", as one argument; +required; -excluded;
prefix*; and kind:class, kind:function, kind:module or module:NAME, which keeps that module and
those below it. For instance:

    python 06_search_docstrings.py temporary director* module:tempfile
    python 06_search_docstrings.py "context manager" +timeout -deprecated

Without a query it takes you round: searches, an index and queries by it, an aggregate, a view, an
entry that is rewritten while a watch looks on, and what was there before. With a directory the
docstrings stay in a file there, and the next query is answered at once; without one they are
collected anew, into a temporary one. With --quick a few modules have to do.
"""

from __future__ import annotations

import ast
import asyncio
import os
import pkgutil
import re
import sys
import sysconfig
import tempfile
import textwrap
import time
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from koru_delta import Change, Database, Match, Record

STDLIB = Path(sysconfig.get_path("stdlib"))
NOT_DOCUMENTATION = {"idlelib", "test", "tests", "turtledemo"}
SELDOM_ASKED_FOR = {"distutils", "encodings", "lib2to3", "pydoc_data"}
QUICK = {"asyncio", "heapq", "json", "queue", "shutil", "tempfile", "textwrap", "threading"}
KINDS = {ast.Module: "module", ast.ClassDef: "class"}
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
BATCH = 1000

FIELDS = {"name": 3.0, "summary": 2.0, "doc": 1.0}
"""What is searched. A word in the name of something counts three times as much as one far below."""
SEARCHES = [
    ("Any of some words", ["priority", "queue"]),
    ("A phrase, with a word that must be there", ["context manager", "+timeout"]),
    ("Words that begin so, of classes only", ["thread*", "kind:class"]),
    ("In one package, without a word", ["cancel", "-future", "module:asyncio"]),
]
EDITED = "textwrap.dedent"
REWRITTEN = "Take away the indentation that all lines share."
BEFORE = ["common leading whitespace"]
DEPRECATED = {"doc": {"$regex": "(?i)deprecated"}}

IN_COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ
BOLD, PLAIN = ("\x1b[1m", "\x1b[0m") if IN_COLOUR else ("[", "]")
WIDTH = 96


def say(line: str) -> None:
    print(f"  {line}")


@contextmanager
def step(title: str) -> Iterator[None]:
    """Print a title, what the block prints, and how long the block took."""
    print(f"\n{title}")
    start = time.perf_counter()
    yield
    say(f"took {(time.perf_counter() - start) * 1000:,.1f} ms")


# Collecting.


def is_public(name: str) -> bool:
    return not name.startswith("_") or name.endswith("__")


def modules(directory: Path = STDLIB, package: str = "") -> Iterator[tuple[str, Path]]:
    """Names and source files of the standard library's public modules."""
    for found in pkgutil.iter_modules([str(directory)]):
        known = package or found.name in sys.stdlib_module_names
        hidden = NOT_DOCUMENTATION | SELDOM_ASKED_FOR
        if not known or found.name in hidden or not is_public(found.name):
            continue
        name = f"{package}.{found.name}" if package else found.name
        inside = directory / found.name
        source = inside / "__init__.py" if found.ispkg else inside.with_suffix(".py")
        if source.is_file():  # Others are compiled from C.
            yield name, source
        if found.ispkg:
            yield from modules(inside, name)


def entries(node: Documented, key: str, about: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Keys and values of everything public with a docstring in a part of a module."""
    doc = ast.get_docstring(node)
    if doc:
        value = {
            **about,
            "name": key.rpartition(".")[2],
            "kind": KINDS.get(type(node), "function"),
            "summary": " ".join(doc.partition("\n\n")[0].split()),
            "doc": doc,
            "line": getattr(node, "lineno", 1),
        }
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            named = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            value["arguments"] = [one.arg for one in named if one.arg not in ("self", "cls")]
        yield key, value
    for part in ast.iter_child_nodes(node):
        name = getattr(part, "name", "_")
        if isinstance(part, Documented) and is_public(name):
            yield from entries(part, f"{key}.{name}", about)


def collect(*, quick: bool) -> dict[str, dict[str, Any]]:
    """Docstrings of the standard library by dotted name. Nothing is imported or run."""
    found: dict[str, dict[str, Any]] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Old sources have old escapes in their strings.
        for name, source in modules():
            if not quick or name.partition(".")[0] in QUICK:
                about = {"module": name, "file": str(source.relative_to(STDLIB))}
                found.update(entries(ast.parse(source.read_bytes()), name, about))
    return found


async def bring_up_to_date(db: Database, *, quick: bool) -> None:
    """Write what is new or different, unless this Python's docstrings are all there."""
    wanted = {"python": sys.version, "quick": quick}
    if await db.get("about", "docs", None) == wanted:
        return
    texts = collect(quick=quick)
    present = await db.namespace("docs").all()
    changed = [("docs", key, value) for key, value in texts.items() if present.get(key) != value]
    for start in range(0, len(changed), BATCH):
        await db.put_batch(changed[start : start + BATCH])
    await db.put("about", "docs", wanted)
    say(f"{len(changed):,} of {len(texts):,} docstrings had to be written")


# Searching.


def understood(arguments: list[str]) -> tuple[str, dict[str, Any]]:
    """The text to search for and the filter that a query's arguments come to."""
    words: list[str] = []
    where: dict[str, Any] = {}
    for argument in arguments:
        field, _, value = argument.partition(":")
        if field == "kind" and value:
            where["kind"] = value
        elif field == "module" and value:
            where["module"] = {"$regex": rf"^{re.escape(value)}(\.|$)"}
        elif " " in argument and '"' not in argument:
            words.append(f'"{argument}"')
        else:
            words.append(argument)
    return " ".join(words), where


def marked(match: Match) -> str:
    """The snippet, with what was found in bold; the summary, if only the name was found."""
    if match.snippet is None or match.snippet == match.value["name"]:
        return str(match.value["summary"])
    text, place = "", 0
    for start, end in match.highlights:
        text += f"{match.snippet[place:start]}{BOLD}{match.snippet[start:end]}{PLAIN}"
        place = end
    return " ".join((text + match.snippet[place:]).split())


async def answer(db: Database, arguments: list[str], top_k: int = 3, **options: Any) -> list[Match]:
    """Search, and print what was found."""
    text, where = understood(arguments)
    start = time.perf_counter()
    found = await db.search("docs", text, top_k, fields=FIELDS, where=where or None, **options)
    taken = (time.perf_counter() - start) * 1000
    say(f"{' '.join([text, *(one for one in arguments if ':' in one)])}  ({taken:.2f} ms)")
    for match in found:
        place = f"{match.value['file']}:{match.value['line']}"
        say(f"  {match.score:6.2f}  {match.key}  ({match.value['kind']}, {place})")
        for line in textwrap.wrap(marked(match), WIDTH - 12):
            say(f"          {line}")
    if not found:
        say("  nothing")
    return found


# The tour.


def show(records: list[Record]) -> None:
    for record in records:
        say(f"  {record.key}: {textwrap.shorten(record.value['summary'], 60, placeholder=' ...')}")


async def tour(db: Database) -> None:
    for title, arguments in SEARCHES:
        with step(title):
            await answer(db, arguments)
    with step("Which functions take a timeout? An index of a list knows each of its elements"):
        await take_a_timeout(db)
    with step("Where are the most functions?"):
        await count_functions(db)
    with step("A view of what is deprecated: every write keeps it up to date"):
        await db.create_view("deprecated", "docs", DEPRECATED)
        held = await db.view("deprecated")
        say(f"{len(held)} entries; the first are")
        show(held[:3])
    await rewrite(db)
    with step("A thousand searches"):
        queries = [understood(arguments) for _, arguments in SEARCHES]
        for turn in range(1000):
            text, where = queries[turn % len(queries)]
            await db.search("docs", text, fields=FIELDS, where=where or None)


async def take_a_timeout(db: Database) -> None:
    await db.create_index("docs", "arguments")
    where = {"arguments": "timeout", "module": {"$not": {"$regex": "^asyncio"}}}
    found = await db.query("docs", where, order_by="-line", select=["summary", "line"])
    how = await db.explain("docs", where)
    say(f"{len(found)} outside asyncio. By the {how.path}, {how.examined} of")
    say(
        f"{await db.count('docs'):,} entries were looked at. Those furthest down in their files are"
    )
    show(found[:3])


async def count_functions(db: Database) -> None:
    groups = await db.aggregate(
        "docs",
        {"functions": {"$count": True}, "with arguments": {"$count": "arguments.0"}},
        group_by="module",
        where={"kind": "function"},
    )
    for group in sorted(groups, key=lambda group: -group["functions"])[:4]:
        of_them = f"{group['functions']} functions, {group['with arguments']} with arguments"
        say(f"{group['module']}: {of_them}")


async def rewrite(db: Database) -> None:
    """Change an entry and put it back, while a watch looks on; search before, after and between."""
    docs = db.namespace("docs")
    [original] = await docs.history(EDITED, limit=1)
    moment = datetime.now(UTC)
    with step(f"{EDITED} is found by what it says"):
        before = await answer(db, BEFORE, 1)
    following = asyncio.create_task(follow(docs.watch(where=DEPRECATED)))
    with step("Somebody rewrites it, and a watch on what is deprecated tells"):
        changed = {**original.value, "summary": REWRITTEN, "doc": f"{REWRITTEN}\n\nDeprecated."}
        await docs.put(EDITED, changed)
        await asyncio.sleep(0.01)  # The watch has its say.
        say(f"the view: {len(await db.view('deprecated'))} entries")
    with step("Now the same question does not find it"):
        await answer(db, BEFORE, 1)
    with step(f"As of {moment:%H:%M:%S.%f} it finds what it found, with the same score"):
        assert await answer(db, BEFORE, 1, at=moment) == before
    with step("The old version is written again; the watch tells what leaves its selection, too"):
        await docs.restore(EDITED, original)
        await following
    with step("What it said, and when"):
        for version in await docs.history(EDITED):
            say(f"{version.timestamp:%H:%M:%S.%f}  {version.value['summary']}")


async def follow(changes: AsyncIterator[Change]) -> None:
    """Tell of changes until something is not deprecated any more."""
    async for change in changes:
        is_so = change.version is not None and "Deprecated" in change.version.value["doc"]
        say(f"the watch: {change.key} is {'' if is_so else 'not '}deprecated")
        if not is_so:
            break


async def work(path: Path, query: list[str], *, quick: bool) -> None:
    async with Database(path) as db:
        with step(f"Collecting docstrings into {path.name}, if need be"):
            await bring_up_to_date(db, quick=quick)
        if not query:
            await tour(db)
            return
        with step("Searching (the first search makes the index)"):
            await answer(db, query, 8)


def main(directory: Path, arguments: list[str]) -> None:
    """Take what comes before the query from the arguments."""
    quick = arguments[:1] == ["--quick"]
    query = arguments[quick:]
    if query and Path(query[0]).is_dir():
        directory, *query = Path(query[0]).absolute(), *query[1:]
    name = "docstrings-quick.koru" if quick else "docstrings.koru"
    asyncio.run(work(directory / name, query, quick=quick))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="koru-delta-") as temporary:
        main(Path(temporary), sys.argv[1:])
