"""Embedders of every kind behind one adapter: how they are called, and what they may return."""

from __future__ import annotations

import asyncio
import functools
import threading
from array import array
from contextvars import ContextVar
from typing import Any

import numpy as np
import pytest
from parameters import shown

from koru_delta import KoruDeltaError, ValidationError, _embedders
from koru_delta._embedders import Embedder, embedder_for

TEXTS = ["one", "three", "fifteen"]


def vector(text: str) -> list[float]:
    return [float(len(text)), 1.0]


def embed(texts: list[str]) -> list[list[float]]:
    return [vector(text) for text in texts]


async def embed_later(texts: list[str]) -> list[list[float]]:
    await asyncio.sleep(0)
    return embed(texts)


class OldStyle:
    """As LangChain has them."""

    model = "old"

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return embed(texts)

    def embed_query(self, text: str) -> list[float]:
        return vector(text)


class LangChain(OldStyle):
    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        return [[*row[:1], 2.0] for row in embed(texts)]

    async def aembed_query(self, text: str) -> list[float]:
        return [vector(text)[0], 2.0]


class OnlyAsync:
    async def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return embed(texts)

    async def embed_query(self, text: str) -> list[float]:
        return vector(text)


class Encoder:
    """As sentence-transformers has them, which can be called for something else, too."""

    model_name = "mini"

    def encode(self, texts: list[str]) -> Any:
        assert isinstance(texts, list)
        return np.array(embed(texts), dtype=np.float32)

    def __call__(self, features: dict[str, Any]) -> Any:
        raise AssertionError(features)


class Chroma:
    def __call__(self, input: list[str]) -> Any:  # noqa: A002 - its name is what it is known by
        return [np.array(row, dtype=np.float32) for row in embed(input)]


class NewChroma:
    def __call__(self, *, input: list[str]) -> Any:  # noqa: A002
        return embed(input)

    def embed_query(self, input: list[str]) -> Any:  # noqa: A002
        return [[-row[0], row[1]] for row in embed(input)]


class AsyncCallable:
    async def __call__(self, texts: list[str]) -> Any:
        return embed(texts)


class Bound:
    model = "bound"

    def run(self, texts: list[str]) -> Any:
        yield from map(np.array, embed(texts))


KINDS: dict[str, Any] = {
    "function": embed,
    "async function": embed_later,
    "lambda around an async function": lambda texts: embed_later(texts),
    "partial of an async function": functools.partial(embed_later),
    "async callable": AsyncCallable(),
    "LangChain without coroutines": OldStyle(),
    "LangChain, only coroutines": OnlyAsync(),
    "encode": Encoder(),
    "Chroma": Chroma(),
    "generator method": Bound().run,
    "tuples": lambda texts: tuple(map(tuple, embed(texts))),
    "arrays": lambda texts: [array("d", row) for row in embed(texts)],
}


def adapt(source: object, **options: Any) -> Embedder:
    adapter = embedder_for(source, **options)
    assert adapter is not None
    return adapter


def rows(vectors: Any) -> list[list[float]]:
    return [[float(number) for number in row] for row in vectors]


@pytest.mark.parametrize("source", KINDS.values(), ids=KINDS.keys())
@pytest.mark.parametrize("batch_size", [1, 2, 64])
async def test_every_kind_embeds(source: Any, batch_size: int) -> None:
    adapter = adapt(source)
    assert adapter.dimension is None
    assert rows(await adapter.documents(TEXTS, batch_size=batch_size)) == embed(TEXTS)
    assert [float(number) for number in await adapter.query("four")] == [4.0, 1.0]
    assert adapter.dimension == 2


@pytest.mark.parametrize("source", KINDS.values(), ids=KINDS.keys())
def test_every_kind_embeds_for_a_blocking_database(source: Any) -> None:
    adapter = adapt(source, blocking=True)
    assert rows(finish(adapter.documents(TEXTS, batch_size=2))) == embed(TEXTS)
    assert finish(adapter.query("four"))[0] == 4.0


def finish(work: Any) -> Any:
    """The result of a coroutine that never waits."""
    with pytest.raises(StopIteration) as stop:
        work.send(None)
    return stop.value.value


async def test_coroutines_of_langchain_are_preferred_unless_it_has_to_block() -> None:
    assert rows(await adapt(LangChain()).documents(["a"])) == [[1.0, 2.0]]
    assert (await adapt(LangChain()).query("a"))[1] == 2.0
    assert rows(finish(adapt(LangChain(), blocking=True).documents(["a"]))) == [[1.0, 1.0]]


async def test_a_chroma_function_with_queries_of_its_own_is_asked_for_them() -> None:
    adapter = adapt(NewChroma())
    assert rows(await adapter.documents(["a"])) == [[1.0, 1.0]]
    assert (await adapter.query("a"))[0] == -1.0


def test_none_is_none_and_an_adapter_itself() -> None:
    assert embedder_for(None) is None
    adapter = adapt(embed)
    assert embedder_for(adapter) is adapter


@pytest.mark.parametrize("source", [5, object(), {}, [embed], Encoder, dict, b"x"], ids=shown)
def test_anything_else_is_refused_with_what_is_accepted(source: Any) -> None:
    with pytest.raises(ValidationError, match="the embedder is") as caught:
        embedder_for(source)
    for accepted in ("list of texts", "embed_documents", "encode", "Chroma", "per_text"):
        assert accepted in caught.value.suggestion


def test_the_name_of_a_model_is_refused_with_what_takes_it() -> None:
    with pytest.raises(ValidationError, match="all-MiniLM") as caught:
        embedder_for("all-MiniLM-L6-v2")
    assert "sentence_transformer" in caught.value.suggestion


@pytest.mark.parametrize(
    "options",
    [
        {"retries": -1},
        {"retries": 1.5},
        {"retries": True},
        {"retry_delay": -1},
        {"retry_delay": float("nan")},
        {"retry_delay": float("inf")},
        {"retry_delay": "1"},
    ],
    ids=str,
)
def test_bad_options_are_named(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(options))):
        embedder_for(embed, **options)


# Where it is called.


async def test_a_blocking_function_runs_in_a_worker_thread() -> None:
    threads: list[int] = []

    def source(texts: list[str]) -> Any:
        threads.append(threading.get_ident())
        return embed(texts)

    await adapt(source).documents(["a"])
    await adapt(source, blocking=True).documents(["a"])
    assert threads[0] != threading.get_ident() == threads[1]


async def test_a_quick_one_is_waited_for_without_a_turn_of_the_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_embedders, "_QUICK_SECONDS", 60.0)
    monkeypatch.setattr(_embedders, "_WAIT_SECONDS", 60.0)
    threads: list[int] = []
    asked: ContextVar[str] = ContextVar("asked")

    def source(texts: list[str]) -> Any:
        threads.append(threading.get_ident())
        if texts == ["bad"]:
            raise TimeoutError(asked.get())
        return embed(texts)

    adapter = adapt(source)
    await adapter.document("how long it takes is not known yet")
    with pytest.raises(StopIteration):
        adapter.document("a").__await__().send(None)
    asked.set("of whoever called")
    with pytest.raises(TimeoutError, match="of whoever called"):
        await adapter.query("bad")
    assert len(threads) == 3
    assert threading.get_ident() not in threads


async def test_one_that_was_quick_and_waits_for_the_loop_gets_its_answer() -> None:
    loop = asyncio.get_running_loop()
    turns: list[str] = []

    async def on_the_loop(text: str) -> None:
        turns.append(text)
        await asyncio.sleep(0.01)

    def source(texts: list[str]) -> Any:
        if texts == ["slow"]:
            asyncio.run_coroutine_threadsafe(on_the_loop("slow"), loop).result(60)
        return embed(texts)

    adapter = adapt(source)
    for text in ("quick", "quick", "slow", "slow", "quick", "quick", "slow"):
        assert len(await adapter.query(text)) == len(embed(["a"])[0])
    assert turns == ["slow"] * 3


async def test_without_threads_it_runs_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_embedders, "_HAS_THREADS", False)
    here: list[int] = []

    def source(texts: list[str]) -> Any:
        here.append(threading.get_ident())
        return embed(texts)

    await adapt(source).documents(["a"])
    assert here == [threading.get_ident()]


@pytest.mark.parametrize("kind", ["async function", "lambda around an async function"])
async def test_a_blocking_database_cannot_wait_inside_an_event_loop(kind: str) -> None:
    adapter = adapt(KINDS[kind], blocking=True)
    with pytest.raises(ValidationError, match="an event loop runs") as caught:
        await adapter.query("a")
    assert "Database" in caught.value.suggestion


def test_all_batches_share_one_event_loop() -> None:
    loops: list[Any] = []

    async def source(texts: list[str]) -> Any:
        loops.append(asyncio.get_running_loop())
        return embed(texts)

    finish(adapt(source, blocking=True).documents(TEXTS, batch_size=1))
    assert len(loops) == 3
    assert len(set(map(id, loops))) == 1


# Batches.


@pytest.mark.parametrize("blocking", [False, True])
async def test_texts_are_given_in_batches(blocking: bool) -> None:
    batches: list[list[str]] = []
    reports: list[tuple[int, int]] = []

    def source(texts: list[str]) -> Any:
        batches.append(list(texts))
        result = embed(texts)
        texts.clear()
        return result

    adapter = adapt(source, blocking=blocking)
    found = await adapter.documents(
        (str(n) for n in range(7)), batch_size=3, progress=lambda *done: reports.append(done)
    )
    assert len(found) == 7
    assert [len(batch) for batch in batches] == [3, 3, 1]
    assert reports == [(3, 7), (6, 7), (7, 7)]


async def test_the_size_of_batches_is_that_of_the_embedder_or_64() -> None:
    sizes: list[int] = []

    def source(texts: list[str]) -> Any:
        sizes.append(len(texts))
        return embed(texts)

    await adapt(source).documents(["a"] * 65)
    source.batch_size = 50  # type: ignore[attr-defined]
    await adapt(source).documents(["a"] * 65)
    assert sizes == [64, 1, 50, 15]


async def test_no_texts_need_no_call() -> None:
    adapter = adapt(lambda _: 1 / 0)
    assert list(await adapter.documents([])) == []
    assert adapter.dimension is None


async def test_a_matrix_is_passed_through() -> None:
    matrix = np.ones((3, 4), dtype=np.float16)
    assert await adapt(lambda _: matrix).documents(TEXTS) is matrix
    joined = await adapt(Encoder()).documents(TEXTS, batch_size=2)
    assert isinstance(joined, np.ndarray)
    assert joined.shape == (3, 2)


class Tensor:
    """What of PyTorch's tensors is used."""

    def __init__(self, numbers: Any) -> None:
        self._numbers = np.asarray(numbers)

    def detach(self) -> Tensor:
        return self

    cpu = float = detach

    def __array__(self, *_: Any, **__: Any) -> Any:
        return self._numbers

    def __iter__(self) -> Any:
        return map(Tensor, self._numbers)


async def test_tensors_are_taken() -> None:
    whole = await adapt(lambda texts: Tensor(embed(texts))).documents(TEXTS)
    by_row = await adapt(lambda texts: list(map(Tensor, embed(texts)))).documents(TEXTS)
    assert rows(whole) == rows(by_row) == embed(TEXTS)


@pytest.mark.parametrize("texts", ["text", b"text", 5, None, ["a", 5], ["a", "\ud800"]], ids=repr)
async def test_texts_are_a_list_of_str(texts: Any) -> None:
    with pytest.raises(ValidationError, match="text"):
        await adapt(lambda _: 1 / 0).documents(texts)


async def test_a_query_is_a_str_and_a_batch_has_a_size() -> None:
    with pytest.raises(ValidationError, match="the text is of type list"):
        await adapt(embed).query(["a"])  # type: ignore[arg-type]
    for size in (0, -1, True, 2.0):
        with pytest.raises(ValidationError, match="batch_size is"):
            await adapt(embed).documents(["a"], batch_size=size)  # type: ignore[arg-type]


# What it raises.


class UnavailableError(Exception):
    pass


class Failing:
    """Fails a number of times, then embeds."""

    def __init__(self, times: int, error: BaseException | None = None) -> None:
        self.left = times
        self.calls = 0
        self.error = error or UnavailableError("try later")

    def __call__(self, texts: list[str]) -> Any:
        self.calls += 1
        if self.left and "bad" in texts:
            self.left -= 1
            raise self.error
        return embed(texts)


@pytest.mark.parametrize("blocking", [False, True])
async def test_what_it_raises_keeps_its_type_and_says_for_which_texts(blocking: bool) -> None:
    source = Failing(1)
    adapter = adapt(source, blocking=blocking)
    with pytest.raises(UnavailableError, match="try later") as caught:
        await adapter.documents(["a", "b", "bad", "d", "e"], batch_size=2)
    assert caught.value.__notes__ == [
        "koru_delta: raised by embedder Failing for texts 2 to 3 of 5 (batch 2 of 3)"
    ]
    assert source.calls == 2
    assert adapter.dimension is None


@pytest.mark.parametrize("blocking", [False, True])
async def test_retries_are_made_where_they_are_asked_for(blocking: bool) -> None:
    source = Failing(2)
    adapter = adapt(source, blocking=blocking, retries=2, retry_delay=0.001)
    assert len(await adapter.documents(["bad"])) == 1
    assert source.calls == 3
    source.left = 5
    with pytest.raises(UnavailableError) as caught:
        await adapter.documents(["bad"])
    assert "3 attempts" in caught.value.__notes__[0]


async def test_the_delay_doubles(monkeypatch: pytest.MonkeyPatch) -> None:
    delays: list[float] = []

    async def sleep(seconds: float) -> None:
        delays.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    monkeypatch.setattr(_embedders.time, "sleep", lambda seconds: delays.append(-seconds))
    await adapt(Failing(3), retries=3, retry_delay=0.5).query("bad")
    await adapt(Failing(2), blocking=True, retries=3, retry_delay=0.5).query("bad")
    assert delays == [0.5, 1.0, 2.0, -0.5, -1.0]


@pytest.mark.parametrize("error", [asyncio.CancelledError(), KeyboardInterrupt(), SystemExit()])
def test_what_ends_the_program_is_not_tried_again(error: BaseException) -> None:
    source = Failing(1, error)
    with pytest.raises(type(error)):
        adapt(source, blocking=True, retries=5, retry_delay=0).query("bad").send(None)
    assert source.calls == 1


async def test_a_wait_can_be_cancelled() -> None:
    started = asyncio.Event()

    async def source(_: list[str]) -> Any:
        started.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(adapt(source, retries=5).query("a"))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_the_end_of_an_iterator_does_not_hang() -> None:
    empty: Any = iter(())
    with pytest.raises(RuntimeError, match="StopIteration"):
        await adapt(lambda _: next(empty)).query("a")


async def test_a_function_of_one_text_that_fails_on_a_list_gets_the_advice() -> None:
    with pytest.raises(AttributeError) as caught:
        await adapt(lambda text: [len(text.lower())]).documents(TEXTS)
    assert "koru_delta.utils.per_text" in caught.value.__notes__[0]


# What it returns.

NAN, INF = float("nan"), float("inf")
WRONG: list[tuple[Any, str]] = [
    ([[1.0], [2.0]], "2 vectors for 3 texts"),
    ([[1.0]] * 4, "4 vectors for 3 texts"),
    ([], "0 vectors for 3 texts"),
    (np.ones((2, 5)), "2 vectors for 3 texts"),
    ([1.0, 2.0, 3.0], "3 numbers, and no vectors, for 3 texts"),
    ([1.0] * 384, "384 numbers, and no vectors"),
    (np.ones(384, dtype=np.float32), "384 numbers, and no vectors"),
    (None, "a NoneType was returned"),
    (5.0, "a float was returned"),
    ("vectors", "a str was returned"),
    ({"data": []}, "a dict was returned"),
    (np.array(1.0), "a ndarray was returned"),
    ([[1.0, 2.0], [1.0], [1.0, 2.0]], "row 1 .* has 1 components, row 0 has 2"),
    ([[], [], []], "is empty"),
    (np.ones((3, 0)), "0 components"),
    (np.ones((3, 2, 1)), r"3 dimensions, shape \(3, 2, 1\)"),
    (np.array([["a"]] * 3), "not of real numbers"),
    ([["a"], ["b"], ["c"]], "component 0 of row 0 .* is 'a'"),
    ([[1.0], None, [1.0]], "row 1 .* is of type NoneType"),
    ([[1.0], "b", [1.0]], "row 1 .* is of type str"),
    ([[1.0, 2.0], [1.0, NAN], [1.0, 2.0]], "component 1 of the vector of text 1 is nan"),
    ([[1.0, 2.0], [1.0, 2.0], [-INF, INF]], "component 0 of the vector of text 2 is -inf"),
    (np.array([[1, 2], [1, INF], [NAN, 2]]), "component 1 of the vector of text 1 is inf"),
    (np.array([[1, 2], [1, 2], [1, 1e300]]), "component 1 of the vector of text 2 is inf"),
    (
        np.array([[1, 2], [1, NAN], [1, 2]], np.float32),
        "component 1 of the vector of text 1 is nan",
    ),
    (np.ones((4, 2), np.float32), "4 vectors for 3 texts"),
    ([np.ones(2, np.float32), np.ones(1, np.float32), np.ones(2, np.float32)], "row 1 .* 1 comp"),
    ([np.ones(2, np.float32), np.full(2, INF, np.float32)] * 2, "4 vectors for 3 texts"),
]


@pytest.mark.parametrize(("result", "message"), WRONG, ids=[message for _, message in WRONG])
@pytest.mark.parametrize("has_numpy", [True, False])
async def test_a_wrong_result_is_refused_with_the_numbers(
    result: Any, message: str, has_numpy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_numpy:
        if isinstance(result, np.ndarray):
            pytest.skip("there are no arrays without NumPy")
        monkeypatch.delitem(_embedders.sys.modules, "numpy")
    adapter = adapt(lambda _: result)
    with pytest.raises(ValidationError, match=message) as caught:
        await adapter.documents(TEXTS)
    assert caught.value.suggestion
    assert adapter.dimension is None


@pytest.mark.parametrize("form", [np.asarray, list], ids=["matrix", "rows"])
@pytest.mark.parametrize("number", [0.0, 1.5, 3.0e38])  # The squares of the last are infinite.
async def test_float32_of_any_finite_size_is_taken(form: Any, number: float) -> None:
    given = np.full((3, 4), number, np.float32)
    taken = await adapt(lambda _: form(given)).documents(TEXTS)
    assert np.array_equal(np.array([np.frombuffer(row, np.float32) for row in taken]), given)


async def test_a_function_of_one_text_is_told_of_per_text() -> None:
    with pytest.raises(ValidationError, match="numbers") as caught:
        await adapt(lambda text: [float(len(text)), 1.0]).documents(TEXTS)
    assert "koru_delta.utils.per_text" in caught.value.suggestion
    with pytest.raises(ValidationError, match="numbers"):
        await adapt(lambda text: [float(len(text))]).query("one text, one number")


async def test_the_dimension_must_not_change_between_batches_or_calls() -> None:
    lengths = iter([3, 3, 4, 3, 5])
    adapter = adapt(lambda texts: [[1.0] * next(lengths)] * len(texts))
    with pytest.raises(ValidationError, match=r"of 4 components, after others of 3.*batch 3 of 3"):
        await adapter.documents(TEXTS, batch_size=1)
    assert len(await adapter.query("a")) == 3
    with pytest.raises(ValidationError, match="of 5 components, after others of 3"):
        await adapter.query("a")
    assert adapter.dimension == 3


async def test_a_wrong_result_is_not_asked_for_again() -> None:
    calls: list[int] = []
    with pytest.raises(KoruDeltaError):
        await adapt(lambda _: calls.append(1), retries=3).query("a")
    assert calls == [1]


# What it is called.


def test_the_model_is_named_by_the_embedder() -> None:
    def named(texts: list[str]) -> Any:
        return embed(texts)

    named.model = "attribute"  # type: ignore[attr-defined]
    sources = [named, functools.partial(named), Bound().run, Encoder(), OldStyle(), embed]
    names = ["attribute", "attribute", "bound", "mini", "old", ""]
    assert [adapt(source).model for source in sources] == names
    named.model = 5  # type: ignore[attr-defined]
    assert adapt(named).model == ""


async def test_a_bound_method_or_lambda_is_named_in_what_it_raises() -> None:
    with pytest.raises(ValidationError, match="from embedder <lambda> for 1 text"):
        await adapt(lambda _: []).query("a")


def test_an_adapter_shows_what_it_adapts() -> None:
    assert repr(adapt(Encoder())) == "<Embedder Encoder model='mini' dimension=None>"
