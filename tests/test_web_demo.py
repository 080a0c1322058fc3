"""The demo's Python, which the page's worker calls, and the folder that the page is served from."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest

from koru_delta import Database

HERE = Path(__file__).parents[1] / "web-demo"
pytestmark = pytest.mark.asyncio


def module(name: str) -> Any:
    """A file of the demo, which is no package."""
    spec = importlib.util.spec_from_file_location(f"web_demo_{name}", HERE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@pytest.fixture(scope="module")
def embedder() -> Any:
    data = HERE / "data"
    table, codes = (data / "words.json").read_text("utf-8"), (data / "words.i8").read_bytes()
    return module("embedder").WordVectors(table, codes)


class Page:
    """What the page does: methods by name, arguments and answers as JSON."""

    def __init__(self, playground: Any) -> None:
        self.playground = playground

    async def ask(self, method: str, **arguments: Any) -> Any:
        answer = json.loads(await self.playground.call(method, json.dumps(arguments)))
        assert "error" not in answer, answer
        return answer["value"]


async def test_what_the_page_does(embedder: Any) -> None:
    told: list[dict[str, Any]] = []
    opening = module("playground").open_playground
    playground = await opening(None, embedder, lambda text: told.append(json.loads(text)))
    page = Page(playground)
    corpus = json.loads((HERE / "data" / "corpus.json").read_text("utf-8"))[:120]
    assert await page.ask("load", corpus=corpus) == 120
    assert [one["progress"] for one in told if "progress" in one] == [50, 100, 120]
    note = await page.ask("remember", content="Alice wants a report", importance=0.8, tags=["a"])
    learned = {"key": "due", "importance": 0.9, "tags": [], "caused_by": [note]}
    fact = await page.ask("learn", content="The report is due on Friday", **learned)
    await page.ask("learn", content="The report is due on Monday", **learned)
    hits = await page.ask("recall", query="when is the report due", limit=5, at=None)
    assert hits[0]["content"] == "The report is due on Monday"
    assert {"score", "relevance", "recency", "importance"} <= hits[0].keys()

    await asyncio.sleep(0.05)
    moments = await page.ask("moments")
    assert moments == sorted(set(moments))
    assert len(moments) == 1 + 120 + 3
    then = await page.ask("recall", query="when is the report due", limit=1, at=moments[-2])
    assert then[0]["content"] == "The report is due on Friday"
    assert len(await page.ask("map", at=moments[0])) == 1
    assert len(await page.ask("map", at=None)) == 1 + 120 + 2

    entry = await page.ask("entry", memory_id=fact)
    assert [one["content"] for one in entry["versions"]] == [
        "due: The report is due on Friday",
        "due: The report is due on Monday",
    ]
    assert entry["versions"][1]["patch"][0]["op"] == "replace"
    assert entry["edges"] == [[entry["nodes"][1]["id"], entry["nodes"][0]["id"]]]
    await page.ask("restore", memory_id=fact, version=entry["versions"][0]["id"])
    assert (await page.ask("newest", limit=1, at=None))[0]["content"].endswith("Friday")
    assert await page.ask("forget", memory_id=fact, erase=False)
    stats = await page.ask("stats")
    assert (stats["episodes"], stats["facts"]) == (2, 120)

    file = await playground.export()
    await playground.close()
    again = Page(await opening(None, embedder, told.append, file))
    assert len(await again.ask("map", at=None)) == 2 + 120
    await again.playground.close()


async def test_an_error_says_what_to_do_next(embedder: Any) -> None:
    async with Database() as db:
        playground = module("playground").Playground(db, embedder, print)
        answer = await playground.call("remember", '{"content": "", "importance": 1, "tags": []}')
        assert {"error", "hint"} == json.loads(answer).keys()
        await playground.close()


async def test_word_vectors(embedder: Any) -> None:
    near, far = embedder.embed("compress a file"), embedder.embed("gzip archive")
    other = embedder.embed("the weather in Lisbon")

    def cosine(one: Any, two: Any) -> float:
        return sum(a * b for a, b in zip(one, two, strict=True))

    assert cosine(near, far) > cosine(near, other)
    unknown = embedder.embed("xyzzyplugh")
    assert cosine(unknown, embedder.embed("xyzzyplugh")) == pytest.approx(1)
    assert abs(cosine(unknown, near)) < 0.5
    assert len(embedder.embed("")) == embedder.dimension


async def test_the_folder_holds_what_the_page_asks_for(tmp_path: Path) -> None:
    wheel = tmp_path / "koru_delta-0-py3-none-any.whl"
    wheel.write_bytes(b"")
    folder = tmp_path / "site"
    module("site").assemble(folder, wheel)
    site = json.loads((folder / "site.json").read_text())
    assert site["wheel"] == wheel.name
    assert {"index.html", "worker.js", "data/words.i8", wheel.name} <= set(site["files"])
    asked = set()
    for path in (*folder.glob("*.js"), folder / "index.html"):
        text = path.read_text("utf-8")
        asked |= set(
            re.findall(r'(?:from|src=|href=|Worker\(|register\(|fetch\() ?"([^"#\s]+)"', text)
        )
    local = {name.removeprefix("./") for name in asked if "://" not in name}
    assert {"app.js", "style.css", "worker.js", "sw.js", "data/corpus.json"} <= local
    runtime = {name for name in local if name.startswith("pyodide/")}
    assert runtime == {"pyodide/pyodide.mjs"}
    for name in local - runtime:
        assert (folder / name).is_file(), name
