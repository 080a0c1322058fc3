"""Vectors as people give them, as little-endian float32 bytes.

Lists, tuples, ``array.array``, any buffer of numbers and NumPy arrays are taken. A C-contiguous
float32 one is not copied on the Python side. NumPy is never imported here: an array that was
passed in brings it along.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence
from struct import unpack
from typing import Any, Final

from koru_delta.errors import ValidationError

_ITEM_BYTES: Final = 4
_CODES: Final = "fdebhilqHILQ"
"""Formats of numbers in buffers. Without ``B``: a buffer of bytes may hold anything."""
_ORDERS: Final = ("", "@", "=", "<", ">", "!")
_ADVICE: Final = "give a list, array.array or NumPy array of numbers"

if sys.byteorder != "little":  # pragma: no cover
    raise ImportError("koru_delta needs a little-endian machine")


def vector_bytes(vector: Any, what: str = "the embedding") -> memoryview:
    """The bytes of one vector.

    Raises:
        ValidationError: If it is not one row of numbers, or empty.
    """
    data = _row_bytes(vector, what)
    if len(data) == 0:
        raise ValidationError(f"{what} is empty: it has 0 components", suggestion=_ADVICE)
    return data


def _is_numpy(value: Any) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, (numpy.ndarray, numpy.generic))


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _is_other_array(value: Any) -> bool:
    """Whether it is an ``array.array`` of other numbers than float32."""
    return isinstance(value, array) and value.typecode != "f"


def _row_bytes(vector: Any, what: str) -> memoryview:
    if _is_numpy(vector):
        return _numpy_bytes(vector, what, dimensions=1)
    if _is_list(vector) or _is_other_array(vector):
        return _floats(vector, what)
    try:
        view = memoryview(vector)
    except TypeError:
        raise ValidationError(
            f"{what} is of type {type(vector).__name__}", suggestion=_ADVICE
        ) from None
    if view.ndim != 1:
        raise ValidationError(
            f"{what} has {view.ndim} dimensions, shape {view.shape}; it must have one",
            suggestion="give one vector; embed_batch and similar_batch take several",
        )
    return _buffer_bytes(view, what)


def _buffer_bytes(view: memoryview, what: str) -> memoryview:
    """The bytes of a buffer of numbers, whatever its shape, order of bytes and layout."""
    if view.format in ("f", "<f") and view.c_contiguous and view.nbytes:
        return view.cast("B")
    order, code = view.format[:-1], view.format[-1:]
    if order not in _ORDERS or code not in _CODES:
        raise ValidationError(
            f"{what} is a buffer of format {view.format!r}; those of numbers that are taken are "
            f"{' '.join(_CODES)}",
            suggestion=_ADVICE,
        )
    return _floats(unpack(f"{order}{view.nbytes // view.itemsize}{code}", view.tobytes()), what)


def _floats(items: Sequence[Any], what: str) -> memoryview:
    try:
        return memoryview(array("f", items)).cast("B")
    except (TypeError, OverflowError):
        pass
    for index, item in enumerate(items):
        if _is_list(item) or getattr(item, "ndim", None):
            raise ValidationError(
                f"{what} has more than one dimension: component {index} is a {type(item).__name__}",
                suggestion="give one vector; embed_batch and similar_batch take several",
            )
        try:
            array("f", (item,))
        except (TypeError, OverflowError) as error:
            raise ValidationError(
                f"component {index} of {what} is {item!r:.50}, which is no float32: {error}",
                suggestion=_ADVICE,
            ) from None
    raise ValidationError(f"{what} cannot be read as numbers", suggestion=_ADVICE)


def _numpy_bytes(vector: Any, what: str, *, dimensions: int) -> memoryview:
    numpy = sys.modules["numpy"]
    if vector.ndim != dimensions:
        raise ValidationError(
            f"{what} has {vector.ndim} dimensions, shape {vector.shape}; it must have {dimensions}",
            suggestion="one vector has one dimension, a matrix of vectors two",
        )
    if vector.dtype.str == "<f4" and vector.flags.c_contiguous and vector.size:
        return memoryview(vector).cast("B")
    if vector.dtype.kind == "O" and dimensions == 1:
        return _floats(vector.tolist(), what)
    if vector.dtype.kind not in "fiub":
        raise ValidationError(
            f"{what} is an array of dtype {vector.dtype}, which is not of real numbers",
            suggestion=_ADVICE,
        )
    with numpy.errstate(over="ignore"):
        data = numpy.ascontiguousarray(vector, dtype="<f4")
    return memoryview(data.reshape(-1).view("u1"))


class Matrix:
    """Rows of float32, whole or row by row, of one dimension."""

    def __init__(self, rows: Any, what: str = "the embeddings") -> None:
        """Take a two-dimensional array, or a list of vectors.

        Raises:
            ValidationError: If it is neither, or its rows differ in length; the message names the
                row.
        """
        self._parts: list[memoryview] = []
        self.count: int
        self.dimension: int
        if _is_numpy(rows) and rows.dtype.kind == "O" and rows.ndim:
            rows = list(rows)  # Of numbers, or of one vector a row.
        if _is_numpy(rows):
            if rows.ndim != 2:
                _numpy_bytes(rows, what, dimensions=2)
            self.count, self.dimension = rows.shape
            data = _numpy_bytes(rows, what, dimensions=2)
            self._parts.append(data)
        elif _is_list(rows):
            self._parts = [vector_bytes(row, f"row {i} of {what}") for i, row in enumerate(rows)]
            self.count = len(self._parts)
            self.dimension = len(self._parts[0]) // _ITEM_BYTES if self._parts else 0
            for index, part in enumerate(self._parts):
                if len(part) != _ITEM_BYTES * self.dimension:
                    raise ValidationError(
                        f"row {index} of {what} has {len(part) // _ITEM_BYTES} components, "
                        f"row 0 has {self.dimension}",
                        suggestion="all rows must come from one model",
                    )
        else:
            self._take_buffer(rows, what)
        if self.count and not self.dimension:
            raise ValidationError(f"{what} have 0 components", suggestion=_ADVICE)

    def _take_buffer(self, rows: Any, what: str) -> None:
        try:
            view = memoryview(rows)
        except TypeError:
            raise ValidationError(
                f"{what} are of type {type(rows).__name__}",
                suggestion="give a list of vectors, or a two-dimensional array",
            ) from None
        if view.ndim != 2:
            raise ValidationError(
                f"{what} are a buffer of shape {view.shape} and format {view.format!r}",
                suggestion="give a matrix of two dimensions, or a list of vectors",
            )
        self.count, self.dimension = view.shape or (0, 0)
        self._parts.append(_buffer_bytes(view, what))

    def read(self, start: int, size: int) -> list[memoryview]:
        """The bytes from ``start`` on, ``size`` of them, in one piece or several."""
        if len(self._parts) == 1:
            return [self._parts[0][start : start + size]]
        row = _ITEM_BYTES * self.dimension
        return self._parts[start // row : (start + size) // row]

    def joined(self) -> bytes | memoryview:
        """All bytes in one piece."""
        return self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)


def to_array(data: bytes) -> Any:
    """float32 bytes as a NumPy array if NumPy was imported, else as an ``array.array``."""
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        return numpy.frombuffer(data, dtype="<f4").copy()
    return array("f", data)
