"""koru-delta beside its peers, in one run.

    python tests/bench/run.py [--quick] [--only kv,start] [--json FILE]

koru_delta is used as installed (or from PYTHONPATH); the peers come from
tests/bench-requirements.txt, and one that is missing is left out and named. Every figure depends on
the machine; what counts are the ratios, taken side by side: see harness.py for how. Options:

--quick         fewer rounds and shorter loops, to see that everything runs; not for judging
--only NAMES    some sections, by name, separated by commas
--json FILE     writes every sample and every verdict to FILE as well
--scratch DIR   where database files go (a real disk: syncing to memory proves nothing)
--embeddings DIR  base.npy and queries.npy for the vector sections (or KORU_BENCH_EMBEDDINGS);
                without it, what vector_data.py finds
--million       lets the section on growth go on to 1,000,000 vectors (some 4 GB of memory)
--seed N        for the documents, the keys and the order of the contestants

A section is a module with `async def run(context: Context) -> Section`, named in SECTIONS.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import kv
import memory
import query
import retrieval
import start
import text
import vector_growth
import vector_serving
import vectors
from harness import Context, Section, render
from machine import machine_lines

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

SECTIONS: dict[str, Callable[[Context], Awaitable[Section]]] = {
    "kv": kv.run,
    "start": start.run,
    "vectors": vectors.run,
    "serving": vector_serving.run,
    "growth": vector_growth.run,
    "query": query.run,
    "text": text.run,
    "retrieval": retrieval.run,
    "memory": memory.run,
}

SEED = 20_260_101
EMBEDDINGS_VARIABLE = "KORU_BENCH_EMBEDDINGS"
LASTING = Path("/var/tmp")
"""Where files are kept across restarts, by convention: so not in memory."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Measures koru-delta beside its peers and prints the ratios.",
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds; not for judging")
    parser.add_argument(
        "--only",
        default=",".join(SECTIONS),
        metavar="NAMES",
        help=f"sections, separated by commas (of {', '.join(SECTIONS)})",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write samples as JSON")
    parser.add_argument(
        "--scratch",
        type=Path,
        metavar="DIR",
        help="where database files go",
        default=LASTING if LASTING.is_dir() else Path(tempfile.gettempdir()),
    )
    named = os.environ.get(EMBEDDINGS_VARIABLE)
    parser.add_argument(
        "--embeddings",
        type=Path,
        metavar="DIR",
        help="base.npy and queries.npy for the vector sections",
        default=Path(named) if named else None,
    )
    parser.add_argument("--million", action="store_true", help="grow to 1,000,000 vectors")
    parser.add_argument("--seed", type=int, default=SEED)
    given = parser.parse_args()
    unknown = [name for name in given.only.split(",") if name not in SECTIONS]
    if unknown:
        parser.error(f"no section named {', '.join(unknown)}; there are {', '.join(SECTIONS)}")
    return given


def say(text: str) -> None:
    print(text, flush=True)


async def measure(given: argparse.Namespace, scratch: Path) -> dict[str, object]:
    """Runs the sections, prints each as it ends, and returns all of it for JSON."""
    context = Context(
        quick=given.quick,
        seed=given.seed,
        scratch=scratch,
        koru_delta_present=importlib.util.find_spec("koru_delta") is not None,
        embeddings=given.embeddings,
        million=given.million,
    )
    heading = machine_lines(scratch, given.seed)
    say("# koru-delta benchmarks" + (" (quick: not for judging)" if given.quick else ""))
    say("\n".join(f"- {line}" for line in heading))
    if not context.koru_delta_present:
        say("\nkoru_delta is not importable: peers only.")
    sections: dict[str, object] = {}
    for name in given.only.split(","):
        began = time.perf_counter()
        section = await SECTIONS[name](context)
        say("\n" + render(section))
        say(f"\nTook {time.perf_counter() - began:.0f} s.")
        sections[name] = section.as_json()
    return {"heading": heading, "quick": given.quick, "seed": given.seed, "sections": sections}


def main() -> int:
    given = arguments()
    with tempfile.TemporaryDirectory(prefix="koru-bench-", dir=given.scratch) as scratch:
        result = asyncio.run(measure(given, Path(scratch)))
    if given.json is not None:
        given.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
