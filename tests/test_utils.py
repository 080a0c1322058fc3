"""Embedders from functions of one text, OpenAI clients and names of models, all of them fakes."""

from __future__ import annotations

import asyncio
import doctest
import functools
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from processes import run_python

from koru_delta import ValidationError, utils
from koru_delta._embedders import embedder_for
from koru_delta.utils import openai_embedder, per_text, sentence_transformer


def vector(text: str) -> list[float]:
    return [float(len(text)), 1.0]


async def vector_later(text: str) -> list[float]:
    await asyncio.sleep(0)
    return vector(text)


def test_importing_it_imports_no_package_of_others() -> None:
    printed = run_python(
        """
        import sys
        from koru_delta import utils, _embedders
        from koru_delta import _rag
        utils.sentence_transformer("name")
        print({"numpy", "openai", "sentence_transformers"} & set(sys.modules))
        """
    )
    assert printed == "set()"


def test_the_examples_of_the_documentation_run() -> None:
    results = doctest.testmod(utils)
    assert results.failed == 0
    assert results.attempted > 0


# One text at a time.


@pytest.mark.parametrize("function", [vector, vector_later, functools.partial(vector_later)])
async def test_a_function_of_one_text_becomes_an_embedder(function: Any) -> None:
    adapter = embedder_for(per_text(function))
    assert adapter is not None
    found = await adapter.documents(["a", "four"])
    assert [list(row) for row in found] == [[1.0, 1.0], [4.0, 1.0]]
    assert list(await adapter.query("four")) == [4.0, 1.0]


@pytest.mark.parametrize("concurrency", [1, 3, 100])
async def test_so_many_calls_wait_at_a_time_and_the_order_stays(concurrency: int) -> None:
    now = most = 0

    async def function(text: str) -> list[float]:
        nonlocal now, most
        now += 1
        most = max(most, now)
        for _ in range(10 - int(text)):
            await asyncio.sleep(0)
        now -= 1
        return [float(text)]

    texts = [str(n) for n in range(10)]
    found = await per_text(function, concurrency=concurrency)(texts)
    assert found == [[float(n)] for n in range(10)]
    assert most == min(concurrency, 10)
    assert await per_text(function)([]) == []


async def test_one_failure_ends_the_others_and_keeps_its_type() -> None:
    ended: list[str] = []

    async def function(text: str) -> list[float]:
        if text == "bad":
            raise LookupError("no such word")
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(text)
        return []

    with pytest.raises(LookupError, match="no such word"):
        await per_text(function, concurrency=3)(["a", "b", "bad", "d"])
    assert ended == ["a", "b"]


def test_the_model_of_the_function_is_that_of_the_embedder() -> None:
    def function(text: str) -> list[float]:
        return vector(text)

    function.model = "mine"  # type: ignore[attr-defined]
    adapter = embedder_for(per_text(function))
    assert adapter is not None
    assert adapter.model == "mine"
    assert "per_text" in repr(adapter)
    assert "function" in repr(adapter)


def test_what_is_no_function_or_number_is_refused() -> None:
    with pytest.raises(ValidationError, match="of type list"):
        per_text([vector])  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="concurrency is 0"):
        per_text(vector_later, concurrency=0)
    with pytest.raises(ValidationError, match="concurrency is 4 for a function that blocks"):
        per_text(vector, concurrency=4)


# OpenAI.


class Embeddings:
    """Answers as OpenAI does, but in reverse order."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.lost = 0

    def create(self, **request: Any) -> Any:
        self.requests.append(request)
        items = [
            SimpleNamespace(index=index, embedding=vector(text))
            for index, text in enumerate(request["input"])
        ]
        return SimpleNamespace(data=items[::-1][self.lost :])


class AsyncEmbeddings(Embeddings):
    async def create(self, **request: Any) -> Any:
        await asyncio.sleep(0)
        return super().create(**request)


class OpenAI:
    def __init__(self, embeddings: Embeddings) -> None:
        self.embeddings = embeddings


class AsyncOpenAI(OpenAI):
    """Its function is not known to be async, as one in a wrapper is not."""

    def __init__(self) -> None:
        inner = AsyncEmbeddings()
        super().__init__(inner)
        self.embeddings = SimpleNamespace(  # type: ignore[assignment]
            create=lambda **request: inner.create(**request), requests=inner.requests
        )


@pytest.mark.parametrize(
    "make",
    [lambda: OpenAI(Embeddings()), lambda: OpenAI(AsyncEmbeddings()), AsyncOpenAI],
    ids=["blocking", "async", "async in a wrapper"],
)
async def test_an_openai_client_embeds_in_the_order_of_the_texts(make: Any) -> None:
    client = make()
    adapter = embedder_for(openai_embedder(client, "small", dimensions=2, batch_size=2))
    assert adapter is not None
    assert adapter.model == "small"
    found = await adapter.documents(["a", "bb", "ccc"])
    assert [row[0] for row in found] == [1.0, 2.0, 3.0]
    assert client.embeddings.requests == [
        {"model": "small", "input": ["a", "bb"], "dimensions": 2},
        {"model": "small", "input": ["ccc"], "dimensions": 2},
    ]
    assert (await adapter.query("dddd"))[0] == 4.0


def test_it_asks_for_its_own_batches_when_called_directly() -> None:
    client = OpenAI(Embeddings())
    embed = openai_embedder(client, "small", batch_size=2)
    assert len(embed(["a"] * 5)) == 5
    assert [request["input"] for request in client.embeddings.requests] == [["a"] * 2] * 2 + [["a"]]
    assert "dimensions" not in client.embeddings.requests[0]


def test_an_answer_with_less_is_refused() -> None:
    client = OpenAI(Embeddings())
    client.embeddings.lost = 1
    with pytest.raises(ValidationError, match="2 vectors for 3 texts"):
        openai_embedder(client, "small")(["a", "b", "c"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"client": object()}, "the client is of type object"),
        ({"client": OpenAI}, "the client is of type type"),
        ({"model": ""}, "the model is ''"),
        ({"model": None}, "the model is None"),
        ({"dimensions": 0}, "dimensions is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"batch_size": True}, "batch_size is True"),
        ({"batch_size": 2049}, "batch_size is 2049.*at most 2048"),
    ],
)
def test_bad_arguments_for_openai_are_named(options: dict[str, Any], message: str) -> None:
    given = {"client": OpenAI(Embeddings()), "model": "small", **options}
    with pytest.raises(ValidationError, match=message):
        openai_embedder(given.pop("client"), given.pop("model"), **given)


# sentence-transformers.


class SentenceTransformer:
    loaded: list[tuple[str, dict[str, Any]]] = []  # noqa: RUF012 - all of them share it
    encoded: list[dict[str, Any]] = []  # noqa: RUF012

    def __init__(self, name: str, **options: Any) -> None:
        self.loaded.append((name, options))

    def encode(self, texts: list[str], **options: Any) -> Any:
        self.encoded.append(options)
        return np.array([vector(text) for text in texts], dtype=np.float32)


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> type[SentenceTransformer]:
    module = ModuleType("sentence_transformers")
    module.SentenceTransformer = SentenceTransformer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sentence_transformers", module)
    monkeypatch.setattr(SentenceTransformer, "loaded", [])
    monkeypatch.setattr(SentenceTransformer, "encoded", [])
    return SentenceTransformer


async def test_a_model_is_loaded_once_when_it_is_first_used(
    package: type[SentenceTransformer],
) -> None:
    adapter = embedder_for(sentence_transformer("mini", batch_size=8, device="cpu"))
    assert adapter is not None
    assert adapter.model == "mini"
    assert package.loaded == []
    found, _ = await asyncio.gather(adapter.documents(["a"] * 9), adapter.query("b"))
    assert isinstance(found, np.ndarray)
    assert package.loaded == [("mini", {"device": "cpu"})]
    assert (
        package.encoded
        == [
            {
                "batch_size": 8,
                "convert_to_numpy": True,
                "normalize_embeddings": True,
                "show_progress_bar": False,
            }
        ]
        * 3
    )
    sentence_transformer("mini", normalize=False)(["a"])
    assert package.encoded[-1]["normalize_embeddings"] is False


async def test_a_missing_package_is_named_with_the_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(utils, "import_module", missing("sentence_transformers"))
    adapter = embedder_for(sentence_transformer("mini"))
    assert adapter is not None
    with pytest.raises(ImportError, match="pip install sentence-transformers") as caught:
        await adapter.query("a")
    assert caught.value.name == "sentence_transformers"


def test_a_package_that_misses_another_says_so_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(utils, "import_module", missing("torch"))
    with pytest.raises(ModuleNotFoundError, match="No module named 'torch'"):
        sentence_transformer("mini")(["a"])


def missing(name: str) -> Any:
    def import_module(_: str) -> Any:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    return import_module


@pytest.mark.parametrize("model", ["", None, 5])
def test_a_model_is_a_name(model: Any) -> None:
    with pytest.raises(ValidationError, match="the model is"):
        sentence_transformer(model)
    with pytest.raises(ValidationError, match="batch_size is"):
        sentence_transformer("mini", batch_size=0)
