"""Embedders as people have them, behind one adapter.

:func:`embedder_for` looks once at what it was given and picks the calls for documents and for
queries. :class:`Embedder` makes them: a blocking call in a worker thread, a coroutine on the loop
it was awaited on. The way back from a thread through the event loop takes longer than some calls
do: where the last one was quick, this one's answer is waited for, but no longer than the loop may
stand still. All that comes back is checked before any of it is handed out. What an embedder
raises keeps its type, which is what its users catch; a note says for which texts.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
import time
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar, cast

from koru_delta._arguments import check_text
from koru_delta._vectors import Matrix
from koru_delta._workers import embedder_threads, run_to_the_end
from koru_delta.errors import ValidationError

__all__ = ["Embedder", "embedder_for"]

_T = TypeVar("_T")
Vectors: TypeAlias = Any
"""A two-dimensional NumPy array, or a list of buffers of float32."""

_BATCH_SIZE: Final = 64
_QUICK_SECONDS: Final = 0.0001
_WAIT_SECONDS: Final = 0.00025
_LIST: Final[Any] = list
"""To compare types with, by which a type checker is not to narrow what it knows."""
_HAS_THREADS: Final = sys.platform != "emscripten"
_BY_NAME: Final = "for the name of a model give koru_delta.utils.sentence_transformer(name)"
_ACCEPTED: Final = (
    "give a function from a list of texts to as many vectors (it may be async), an object (not a "
    "class) with embed_documents and embed_query, or one with encode, or a Chroma embedding "
    "function; koru_delta.utils.per_text makes one of a function of one text"
)
_PER_TEXT: Final = (
    "an embedder takes a list of texts and returns one vector for each; if it takes one text at a "
    "time, wrap it: koru_delta.utils.per_text(function)"
)


@dataclass(frozen=True, slots=True)
class _Calls:
    """How one kind of embedder is called, with a list of texts for as many vectors."""

    documents: Callable[[list[str]], Any]
    queries: Callable[[list[str]], Any]
    is_async: bool = False


def embedder_for(
    source: object, *, blocking: bool = False, retries: int = 0, retry_delay: float = 1.0
) -> Embedder | None:
    """The adapter for what somebody gave as an embedder; None for None.

    Args:
        source: A function, blocking or async, from a list of texts to as many vectors, which may
            be called with ``input=`` as Chroma has it; an object with ``embed_documents`` and
            ``embed_query``, and perhaps coroutines ``aembed_documents`` and ``aembed_query``; an
            object with ``encode``; an :class:`Embedder`, which is returned as it is; or None.
        blocking: Call in this thread, for a database that blocks.
        retries: How often to call again after an exception.
        retry_delay: Seconds to wait before the first retry; twice as long before each further one.

    Raises:
        ValidationError: If it is none of these, or ``retries`` or ``retry_delay`` are no such
            numbers.
    """
    _check_count("retries", retries, 0)
    if source is None or isinstance(source, Embedder):
        return source
    if not isinstance(retry_delay, int | float) or not 0 <= retry_delay < inf:
        raise ValidationError(
            f"retry_delay is {retry_delay!r:.60}", suggestion="give a number of seconds"
        )
    return Embedder(source, blocking=blocking, retries=retries, retry_delay=retry_delay)


class Embedder:
    """Makes vectors of texts.

    Attributes:
        model: Name of the model; empty if the embedder does not tell. Vectors of different models
            must never be compared, so store and search with this name.
        dimension: Components of a vector; None before the first call that returned.
    """

    def __init__(self, source: object, *, blocking: bool, retries: int, retry_delay: float) -> None:
        """Adapt an embedder; see :func:`embedder_for`."""
        self._calls = _calls_of(source, prefer_async=not blocking)
        self._blocking = blocking
        self._retries = retries
        self._retry_delay = retry_delay
        self._name: str = getattr(source, "__name__", type(source).__name__)
        preferred: Any = getattr(source, "batch_size", None)
        is_size = isinstance(preferred, int) and preferred > 0
        self._batch_size: int = preferred if is_size else _BATCH_SIZE
        self.model: Final[str] = _model_of(source)
        self.dimension: int | None = None
        self._one_text = _Where(self._name, 0, 1, 1, 1)
        self._seconds = inf
        """How long the last call on a thread took."""

    def __repr__(self) -> str:
        """What it adapts."""
        return f"<Embedder {self._name} model={self.model!r} dimension={self.dimension}>"

    async def documents(
        self,
        texts: Iterable[str],
        *,
        batch_size: int | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> Vectors:
        """The vectors of texts that are to be found.

        Args:
            texts: The texts.
            batch_size: Most texts of one call; None for what the embedder has as its
                ``batch_size``, or 64.
            progress: Called after each batch with the number of texts done and of all.

        Returns:
            A two-dimensional NumPy array if the embedder returns one; else a list of rows, each a
            buffer of float32. Empty for no texts.

        Raises:
            ValidationError: If a text is no well-formed str, or the embedder returned too many or
                too few vectors, vectors of different lengths or of another length than before, or
                what is no finite number.
            Exception: What the embedder raised, with a note that names the texts.
        """
        if isinstance(texts, str | bytes) or not isinstance(texts, Iterable):
            raise ValidationError(
                f"texts is of type {type(texts).__name__}", suggestion="give a list of str"
            )
        items = [check_text(f"text {index}", text) for index, text in enumerate(texts)]
        size = self._batch_size if batch_size is None else batch_size
        _check_count("batch_size", size, 1)
        return await self._finish(self._run(self._calls.documents, items, size, progress))

    async def document(self, text: str) -> Any:
        """The vector of a text that is to be found: an array, or a buffer of float32.

        Raises:
            ValidationError: As for :meth:`documents`.
            Exception: What the embedder raised, with a note.
        """
        return await self._one(self._calls.documents, text)

    async def query(self, text: str) -> Any:
        """The vector of a text that is searched for, as :meth:`document`."""
        return await self._one(self._calls.queries, text)

    async def _one(self, call: Callable[[list[str]], Any], text: str) -> Any:
        work = self._attempts(call, [check_text("the text", text)], self._one_text)
        result = await (self._finish(work) if self._blocking else work)
        rows, self.dimension = self._accepted(result, self._one_text, self.dimension)
        return rows[0]

    async def _finish(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Wait for all calls at once: a client may use one event loop for them only."""
        if self._blocking and self._calls.is_async:
            return run_to_the_end(work, f"the embedder {self._name}")
        return await work

    async def _run(
        self,
        call: Callable[[list[str]], Any],
        texts: list[str],
        size: int,
        progress: Callable[[int, int], object] | None,
    ) -> Vectors:
        dimension = self.dimension
        results: list[Vectors] = []
        for start in range(0, len(texts), size):
            batch = texts[start : start + size]
            where = _Where(self._name, start, len(batch), len(texts), size)
            result = await self._attempts(call, batch, where)
            rows, dimension = self._accepted(result, where, dimension)
            results.append(rows)
            if progress is not None:
                progress(start + len(batch), len(texts))
        self.dimension = dimension
        return _joined(results)

    def _accepted(self, result: Any, where: _Where, before: int | None) -> tuple[Vectors, int]:
        """The vectors that a call returned, and their dimension: that of those before."""
        rows, dimension = _checked(result, where)
        if before is not None and dimension != before:
            raise ValidationError(
                f"vectors of {dimension} components, after others of {before}, from {where}",
                suggestion="use one embedder with one model for what is searched together",
            )
        return rows, dimension

    async def _attempts(
        self, call: Callable[[list[str]], Any], batch: list[str], where: _Where
    ) -> Any:
        attempt = 0
        while True:
            try:
                return await self._attempt(call, batch)
            except Exception as error:
                if attempt == self._retries:
                    error.add_note(_note(error, where, attempt + 1))
                    raise
            delay = self._retry_delay * 2**attempt
            attempt += 1
            if self._blocking and not self._calls.is_async:
                time.sleep(delay)  # noqa: ASYNC251 - the caller asked for what blocks
            else:
                await asyncio.sleep(delay)

    async def _attempt(self, call: Callable[[list[str]], Any], batch: list[str]) -> Any:
        if self._calls.is_async:
            return await call(list(batch))
        if self._blocking or not _HAS_THREADS:
            result = _call(call, list(batch))
        else:
            result = await self._on_a_thread(call, list(batch))
        if not inspect.isawaitable(result):
            return result
        # A plain function around a coroutine function.
        if self._blocking:
            return run_to_the_end(result, f"the embedder {self._name}")
        return await result

    async def _on_a_thread(self, call: Callable[[list[str]], Any], texts: list[str]) -> Any:
        work = embedder_threads().submit(copy_context().run, self._timed, call, texts)
        if self._seconds <= _QUICK_SECONDS:
            with suppress(TimeoutError):  # One of the call's own is raised again below.
                return work.result(_WAIT_SECONDS)
        return await asyncio.wrap_future(work)

    def _timed(self, call: Callable[[list[str]], Any], texts: list[str]) -> Any:
        start = time.perf_counter()
        try:
            return _call(call, texts)
        finally:
            self._seconds = time.perf_counter() - start


def _calls_of(source: Any, *, prefer_async: bool) -> _Calls:
    two_calls = _has(source, "embed_documents") and _has(source, "embed_query")
    encode: Any = getattr(source, "encode", None)
    if isinstance(source, str | bytes | type) or not (
        two_calls or callable(encode) or callable(source)
    ):
        raise ValidationError(
            f"the embedder is {source!r:.80}",
            suggestion=_BY_NAME if isinstance(source, str) else _ACCEPTED,
        )
    if two_calls:
        return _langchain_calls(source, prefer_async)
    if callable(encode):
        return _Calls(encode, encode, _is_async(encode))
    if not _takes_input(source):
        return _Calls(source, source, _is_async(source))
    queries: Any = getattr(source, "embed_query", source)
    return _Calls(
        lambda texts: source(input=texts), lambda texts: queries(input=texts), _is_async(source)
    )


def _langchain_calls(source: Any, prefer_async: bool) -> _Calls:
    documents: Any = source.embed_documents
    query: Any = source.embed_query
    if prefer_async and _is_async(getattr(source, "aembed_query", None)):
        later: Any = getattr(source, "aembed_documents", None)
        if _is_async(later):
            documents, query = later, source.aembed_query
    if not _is_async(documents):
        return _Calls(documents, lambda texts: [query(text) for text in texts])

    async def ask(texts: list[str]) -> Any:
        return [await query(text) for text in texts]

    return _Calls(documents, ask, is_async=True)


def _has(source: Any, name: str) -> bool:
    return callable(getattr(source, name, None))


def _is_async(call: Any) -> bool:
    method: Any = getattr(call, "__call__", None)  # noqa: B004 - it is looked at, not for
    return inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(method)


def _takes_input(call: Callable[..., Any]) -> bool:
    try:
        parameter = inspect.signature(call).parameters.get("input")
    except (TypeError, ValueError):  # Built in, without a signature.
        return False
    return parameter is not None and parameter.kind is not parameter.POSITIONAL_ONLY


def _model_of(source: Any) -> str:
    # A method is asked for its object, a partial for its function.
    for owner in (source, getattr(source, "__self__", None), getattr(source, "func", None)):
        for attribute in ("model_name", "model"):
            name = getattr(owner, attribute, None)
            if isinstance(name, str) and name:
                return name
    return ""


def _check_count(what: str, number: object, least: int) -> None:
    if not isinstance(number, int) or isinstance(number, bool) or number < least:
        raise ValidationError(
            f"{what} is {number!r:.60}", suggestion=f"give a whole number of at least {least}"
        )


def _call(call: Callable[[list[str]], Any], texts: list[str]) -> Any:
    try:
        result = call(texts)
        # Generators do their work here, in the worker thread.
        return list(cast("Iterable[Any]", result)) if inspect.isgenerator(result) else result
    except StopIteration as error:  # No future takes one: it would wait for ever.
        raise RuntimeError("the embedder raised StopIteration") from error


class _Where(NamedTuple):
    """Which texts a call was about."""

    name: str
    start: int
    texts: int
    total: int
    size: int

    def __str__(self) -> str:
        if self.total == 1:
            return f"embedder {self.name} for 1 text"
        place = f"embedder {self.name} for texts {self.start} to {self.start + self.texts - 1}"
        batches = -(-self.total // self.size)
        return f"{place} of {self.total} (batch {self.start // self.size + 1} of {batches})"


def _note(error: Exception, where: _Where, attempts: int) -> str:
    note = f"koru_delta: raised by {where}"
    if attempts > 1:
        note += f", in each of {attempts} attempts"
    if isinstance(error, AttributeError | TypeError) and "list" in str(error):
        note += f"; {_PER_TEXT}"
    return note


def _checked(result: Any, where: _Where) -> tuple[Vectors, int]:
    """The vectors of one call, and their dimension."""
    if dimension := _sound_dimension(result, where.texts):
        return result, dimension
    result = _plain(result)
    if not _is_array(result) or result.ndim < 2:
        result = _rows(result, where)
    matrix = Matrix(result, f"the vectors from {where}")
    if matrix.count != where.texts:
        raise ValidationError(
            f"{matrix.count} vectors for {where.texts} texts from {where}", suggestion=_PER_TEXT
        )
    parts = [part.cast("f") for part in matrix.read(0, sys.maxsize)]
    for index, part in enumerate(parts):
        if not _is_finite(part):
            place = next(place for place, number in enumerate(part) if not isfinite(number))
            row, column = divmod(place + index * matrix.dimension, matrix.dimension)
            raise ValidationError(
                f"component {column} of the vector of text {where.start + row} is {part[place]}, "
                f"from {where}",
                suggestion="find out what the embedder does with this text; is it an empty one?",
            )
    return result if _is_array(result) else parts, matrix.dimension


def _sound_dimension(result: Any, count: int) -> int:
    """The dimension of what most embedders return, if it is without fault; 0 means to look closer.

    That is a matrix of float32, or a list of rows of it, all of finite numbers.
    """
    if _is_float32(result, 2):
        return result.shape[1] if len(result) == count else 0
    if type(result) is not _LIST or len(result) != count:
        return 0
    dimensions = {len(row) if _is_float32(row, 1) else 0 for row in result}
    return dimensions.pop() if len(dimensions) == 1 else 0


def _is_float32(value: Any, dimensions: int) -> bool:
    """Whether it is an array of that, and of finite numbers whose squares do not overflow."""
    return (
        _is_array(value)
        and value.ndim == dimensions
        and value.dtype.str == "<f4"
        and isfinite(sys.modules["numpy"].vdot(value, value))
    )


def _rows(result: Any, where: _Where) -> list[Any]:
    is_rows = hasattr(result, "__iter__") and getattr(result, "ndim", 1) != 0
    if not is_rows or issubclass(type(result), str | bytes | dict):
        raise ValidationError(
            f"a {type(result).__name__} was returned by {where}", suggestion=_PER_TEXT
        )
    rows: list[Any] = [_plain(row) for row in result]
    if rows and (isinstance(rows[0], int | float) or getattr(rows[0], "ndim", None) == 0):
        raise ValidationError(
            f"{len(rows)} numbers, and no vectors, for {where.texts} texts from {where}",
            suggestion=_PER_TEXT,
        )
    return rows


def _is_finite(numbers: memoryview[float]) -> bool:
    numpy = sys.modules.get("numpy")
    return all(map(isfinite, numbers)) if numpy is None else numpy.isfinite(numbers).all()


def _plain(result: Any) -> Any:
    """A tensor as a NumPy array; anything else as it is."""
    if hasattr(result, "detach"):  # Of PyTorch: it may be on a device, or of bfloat16.
        result = result.detach().cpu().float()
    return result.__array__() if hasattr(result, "__array__") and not _is_array(result) else result


def _is_array(value: Any) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.ndarray)


def _joined(results: list[Vectors]) -> Vectors:
    """The vectors of several calls as those of one."""
    if len(results) == 1:
        return results[0]
    if results and all(map(_is_array, results)):
        return sys.modules["numpy"].concatenate(results)
    return [row for rows in results for row in rows]
