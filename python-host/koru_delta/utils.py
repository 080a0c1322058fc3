"""Embedders from what people have: a function of one text, an OpenAI client, the name of a model.

Each returns something to give as ``embedder``. The packages that they need are imported when they
are first used, and are not dependencies of koru_delta.

    rag = RAG(db, openai_embedder(AsyncOpenAI(), "text-embedding-3-small"))
    memory = db.agent_memory("assistant", embedder=sentence_transformer("all-MiniLM-L6-v2"))
    rag = RAG(db, per_text(my_function_of_one_text))
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable, Iterator
from importlib import import_module
from typing import Any, Final, TypeVar, cast

from koru_delta.errors import ValidationError

__all__ = ["openai_embedder", "per_text", "sentence_transformer"]

_T = TypeVar("_T")

_OPENAI_BATCH: Final = 256
_OPENAI_MAX_BATCH: Final = 2048
_LOCAL_BATCH: Final = 64


def per_text(function: Callable[[str], Any], *, concurrency: int = 1) -> Callable[[list[str]], Any]:
    """An embedder of lists of texts from a function of one text.

    Args:
        function: Takes a text and returns its vector; it may be async. A ``model`` or
            ``model_name`` that it has as an attribute names the model.
        concurrency: Most calls of an async function that wait at the same time.

    Returns:
        A function of a list of texts that returns their vectors; async if ``function`` is. If one
        call fails, what it raised is raised, and the others are cancelled.

    Raises:
        ValidationError: If ``function`` cannot be called, or ``concurrency`` is not a whole number
            of at least 1, or more than 1 for a function that blocks.

    Example:
        >>> embedder = per_text(lambda text: [float(len(text)), 1.0])
        >>> embedder(["a", "four"])
        [[1.0, 1.0], [4.0, 1.0]]
    """
    if not callable(function):
        raise ValidationError(
            f"the function is of type {type(function).__name__}",
            suggestion="give a function that takes a text and returns its vector",
        )
    _check_count("concurrency", concurrency)
    if _is_async(function):

        async def embed_later(texts: list[str]) -> list[Any]:
            return await _gather(function, texts, concurrency)

        return _named_like(function, embed_later)
    if concurrency > 1:
        raise ValidationError(
            f"concurrency is {concurrency} for a function that blocks",
            suggestion="give an async function, or leave concurrency out",
        )

    def embed(texts: list[str]) -> list[Any]:
        return [function(text) for text in texts]

    return _named_like(function, embed)


def openai_embedder(
    client: Any, model: str, *, dimensions: int | None = None, batch_size: int = _OPENAI_BATCH
) -> Callable[[list[str]], Any]:
    """An embedder that asks OpenAI, or a server with the same interface.

    Args:
        client: An ``OpenAI`` or ``AsyncOpenAI`` client, or one for Azure. With an async one the
            embedder is async.
        model: Name of the model, such as ``text-embedding-3-small``.
        dimensions: Components of the vectors, for models that can shorten them; None for all.
        batch_size: Most texts of one request, up to 2,048.

    Returns:
        A function of a list of texts that returns their vectors.

    Raises:
        ValidationError: If the client has no ``embeddings.create``, or another argument is not as
            described. The function raises it if the answer does not have one vector for each text;
            what the client raises it passes on.

    Example:
        >>> from openai import AsyncOpenAI  # doctest: +SKIP
        >>> embedder = openai_embedder(AsyncOpenAI(), "text-embedding-3-small")  # doctest: +SKIP
    """
    create = getattr(getattr(client, "embeddings", None), "create", None)
    if not callable(create):
        raise ValidationError(
            f"the client is of type {type(client).__name__}, without embeddings.create",
            suggestion="give openai.OpenAI() or openai.AsyncOpenAI()",
        )
    _check_model(model)
    _check_count("batch_size", batch_size, _OPENAI_MAX_BATCH)
    options: dict[str, Any] = {"model": model}
    if dimensions is not None:
        _check_count("dimensions", dimensions)
        options["dimensions"] = dimensions

    def batches(texts: list[str]) -> Iterator[list[str]]:
        return (texts[at : at + batch_size] for at in range(0, len(texts), batch_size))

    def embed(texts: list[str]) -> list[Any]:
        rows: list[Any] = []
        for batch in batches(texts):
            rows += _in_order(create(input=batch, **options), len(batch))
        return rows

    async def embed_later(texts: list[str]) -> list[Any]:
        rows: list[Any] = []
        for batch in batches(texts):
            reply: Any = await cast("Awaitable[Any]", create(input=batch, **options))
            rows += _in_order(reply, len(batch))
        return rows

    is_async = _is_async(create) or type(client).__name__.startswith("Async")
    embedder: Any = embed_later if is_async else embed
    embedder.model, embedder.batch_size = model, batch_size
    embedder.__name__ = f"openai_embedder({model!r})"
    return cast("Callable[[list[str]], Any]", embedder)


def sentence_transformer(
    model: str, *, batch_size: int = _LOCAL_BATCH, normalize: bool = True, **options: Any
) -> Callable[[list[str]], Any]:
    """An embedder that runs a model of sentence-transformers on this machine.

    The model is loaded, and downloaded if need be, when the first text is embedded.

    Args:
        model: Name or path of the model, such as ``all-MiniLM-L6-v2``.
        batch_size: Texts that the model works on at a time.
        normalize: Whether vectors get length 1.
        **options: For the constructor of ``SentenceTransformer``: ``device``, ``cache_folder``,
            ``revision`` and so on.

    Returns:
        A function of a list of texts that returns a NumPy array of one row for each. It may be
        called from several threads.

    Raises:
        ValidationError: If ``model`` is not a name, or ``batch_size`` not a whole number of at
            least 1.
        ImportError: From the function, if sentence-transformers is not installed.

    Example:
        >>> embedder = sentence_transformer("all-MiniLM-L6-v2", device="cpu")
    """
    _check_model(model)
    _check_count("batch_size", batch_size)
    loaded: list[Any] = []
    lock = threading.Lock()

    def embed(texts: list[str]) -> Any:
        with lock:
            if not loaded:
                loaded.append(_sentence_transformers().SentenceTransformer(model, **options))
        return loaded[0].encode(
            texts,
            batch_size=batch_size,
            convert_to_numpy=True,
            normalize_embeddings=normalize,
            show_progress_bar=False,
        )

    embedder: Any = embed
    embedder.model, embedder.batch_size = model, batch_size
    embedder.__name__ = f"sentence_transformer({model!r})"
    return cast("Callable[[list[str]], Any]", embedder)


def _sentence_transformers() -> Any:
    try:
        return import_module("sentence_transformers")
    except ModuleNotFoundError as error:
        if error.name != "sentence_transformers":
            raise  # It is installed, and something that it needs is not.
        raise ImportError(
            "sentence_transformer() needs a package that is not installed; "
            "run: pip install sentence-transformers",
            name=error.name,
        ) from error


async def _gather(
    function: Callable[[str], Awaitable[_T]], texts: list[str], concurrency: int
) -> list[_T]:
    """The results for all texts, in their order, with so many calls at a time."""
    results: dict[int, _T] = {}
    waiting = iter(enumerate(texts))

    async def work() -> None:
        for index, text in waiting:
            results[index] = await function(text)

    workers = [asyncio.ensure_future(work()) for _ in range(min(concurrency, len(texts)))]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    return [results[index] for index in range(len(texts))]


def _in_order(reply: Any, count: int) -> list[Any]:
    """The vectors of an answer in the order of the texts."""
    items = sorted(reply.data, key=lambda item: item.index)
    if [item.index for item in items] != list(range(count)):
        raise ValidationError(
            f"the answer has {len(items)} vectors for {count} texts, or not one for each",
            suggestion="look at what the server does with a list of texts",
        )
    return [item.embedding for item in items]


def _named_like(
    function: Callable[[str], Any], embedder: Callable[[list[str]], Any]
) -> Callable[[list[str]], Any]:
    embedder.__name__ = f"per_text({getattr(function, '__name__', 'function')})"
    for attribute in ("model_name", "model"):
        name = getattr(function, attribute, None)
        if isinstance(name, str):
            setattr(embedder, attribute, name)
    return embedder


def _is_async(call: Any) -> bool:
    method: Any = getattr(call, "__call__", None)  # noqa: B004 - it is looked at, not for
    return inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(method)


def _check_model(model: object) -> None:
    if not isinstance(model, str) or not model:
        raise ValidationError(
            f"the model is {model!r:.60}", suggestion="give the name of a model as a str"
        )


def _check_count(what: str, number: object, most: int | None = None) -> None:
    is_count = isinstance(number, int) and not isinstance(number, bool) and number >= 1
    if not is_count or (most is not None and cast("int", number) > most):
        limit = "" if most is None else f" and at most {most}"
        raise ValidationError(
            f"{what} is {number!r:.60}", suggestion=f"give a whole number of at least 1{limit}"
        )
