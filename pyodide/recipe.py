"""Writes the recipe (meta.yaml) by which Pyodide's distribution takes a released wheel in.

    recipe.py WHEEL URL >meta.yaml

URL is where that wheel can be downloaded. pyodide-build reads the result with
`MetaConfig.from_yaml`; the wheel is pure, so there is nothing to build.
"""

from __future__ import annotations

import sys
from pathlib import Path

from build_index import describe

RECIPE = """\
package:
  name: {name}
  version: {version}
  top-level:
    - koru_delta
source:
  url: {url}
  sha256: {sha256}
test:
  imports:
    - koru_delta
about:
  summary: {summary}
  license: MIT OR Apache-2.0
"""
SUMMARY = (
    '"An embedded, versioned database for AI agents: every write kept, with its time and its cause"'
)


def recipe(wheel: Path, url: str) -> str:
    """The recipe of a wheel that can be downloaded from a place."""
    entry = describe(wheel)
    fields = {name: entry[name] for name in ("name", "version", "sha256")}
    return RECIPE.format(url=url, summary=SUMMARY, **fields)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    print(recipe(Path(sys.argv[1]), sys.argv[2]), end="")
