"""Values to bytes and back, with nothing silently changed.

One rule does it: a value is stored only if decoding its bytes gives an equal value. An encoder
that writes NaN as null, a tuple as an array or a date as a string is found out by that, at the
speed of C, whichever encoder it is. Only then does :func:`plain` look for the place. (Looking at
the type of every part first, to spare the decoding, was measured to take longer than that.)

orjson encodes and decodes where it is installed (everywhere but under Pyodide); the standard
library's C encoder does elsewhere, and decodes the first few values in either case: importing
orjson takes longer than it saves there.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from math import isfinite
from typing import Any, Final

from koru_delta._protocol import FLAG_BYTES
from koru_delta._workers import HAS_THREADS
from koru_delta.errors import SerializationError

MAX_DEPTH: Final = 128
MIN_INT: Final = -(2**63)
MAX_INT: Final = 2**64 - 1
_MAPPING: Final[Any] = dict
_CONTAINERS: Final[tuple[type, ...]] = (_MAPPING, list, tuple)

dumps: Callable[[Any], bytes]
loads: Callable[[bytes], Any]


def _text_encoder() -> Callable[[Any], str]:
    """The standard library's encoder; the one that ``JSONEncoder`` makes for each value, made once.

    It keeps what it is inside of in one dict, so that only one thread may use it.
    """
    encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    make: Any = getattr(json.encoder, "c_make_encoder", None)
    if make is None or HAS_THREADS:
        return encoder.encode
    inside: dict[int, Any] = {}
    quote: Any = vars(json.encoder)["encode_basestring"]
    chunks = make(inside, encoder.default, quote, None, ":", ",", False, False, False)

    def encode(value: Any) -> str:
        _check_depth(value)
        try:
            return "".join(chunks(value, 0))
        except BaseException:
            inside.clear()
            raise

    return encode


def _check_depth(value: Any) -> None:
    """Refuse what is nested more deeply than is stored, before C code recurses into it.

    Under Pyodide the stack is JavaScript's, and using it up ends the interpreter.

    Raises:
        RecursionError: If it is.
    """
    level: dict[int, Any] = {id(value): value} if _is_container(value) else {}
    for _ in range(MAX_DEPTH + 1):
        if not level:
            return
        # By identity: one object in many places is looked into once.
        level = {
            id(item): item
            for part in level.values()
            for item in (part.values() if isinstance(part, _MAPPING) else part)
            if _is_container(item)
        }
    raise RecursionError


def _is_container(value: Any) -> bool:
    return isinstance(value, _CONTAINERS)


def _standard_codec() -> tuple[Callable[[Any], bytes], Callable[[bytes], Any]]:
    to_text = _text_encoder()
    decoder = json.JSONDecoder()
    digits_to_zeros = bytes(48 if 48 <= byte < 58 else 32 for byte in range(256))
    wide = b"0" * len(str(MAX_INT // 10))

    def encode(value: Any) -> bytes:
        data = to_text(value).encode()
        # It takes wider integers and deeper nesting than the engine: a walk says where they are.
        if (
            wide in data.translate(digits_to_zeros)
            or data.count(b"[") + data.count(b"{") > MAX_DEPTH
        ):
            plain(value)
        return data

    def decode(data: bytes) -> Any:
        return decoder.decode(data.decode())

    return encode, decode


_FIRST_VALUES: Final = 200
"""Values that are decoded before orjson is imported."""
_standard: Final = _standard_codec()


def _settle() -> None:
    """Have orjson from here on, or what there is in its place."""
    global dumps, loads
    try:
        import orjson
    except ImportError:
        dumps, loads = _standard
    else:
        dumps, loads = orjson.dumps, orjson.loads


def _first_dumps(value: Any) -> bytes:
    _settle()
    return dumps(value)


def _first_loads() -> Callable[[bytes], Any]:
    left = iter(range(_FIRST_VALUES))
    decode = _standard[1]

    def loads_one(data: bytes) -> Any:
        if next(left, None) is None:
            _settle()
        return decode(data)

    return loads_one


dumps, loads = _first_dumps, _first_loads()


def encode(value: Any, path: str = "$") -> tuple[int, bytes]:
    """The flags and the bytes of a value; ``path`` is what an error calls it.

    Raises:
        SerializationError: With the place, if the value is not JSON or ``bytes``.
    """
    if type(value) is bytes:
        return FLAG_BYTES, value
    try:
        data = dumps(value)
        if loads(data) == value:
            return 0, data
    except (TypeError, ValueError, RecursionError):
        pass  # The reason is found below, with its place.
    return 0, dumps(plain(value, path))


def options(control: dict[str, Any] | None) -> bytes:
    """The bytes of a control object; nothing for none."""
    if control is None:
        return b""
    if dumps is _first_dumps:
        return json.dumps(control).encode()
    try:
        return dumps(control)
    except TypeError:
        # orjson refuses subclasses of float, such as NumPy's; the standard library takes them.
        return json.dumps(control).encode()


def decode(data: bytes, is_bytes: bool) -> Any:
    """The value that :func:`encode` made bytes of."""
    return data if is_bytes else loads(data)


def plain(value: Any, path: str = "$", depth: int = 0) -> Any:
    """A copy in which subclasses of JSON's types have become those types.

    Raises:
        SerializationError: For anything that is not JSON, with its place.
    """
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        return _plain_str(value, path)
    if isinstance(value, int):
        if MIN_INT <= value <= MAX_INT:
            return int(value)
        raise _refuse(path, "an integer outside the 64-bit range", "write it as a string")
    if isinstance(value, float):
        if isfinite(value):
            return float(value)
        raise _refuse(path, f"the float {float(value)}", "use None, or a string, instead")
    is_dict = issubclass(type(value), dict)
    if not is_dict and not issubclass(type(value), list):
        raise _refuse_type(path, value)
    if depth == MAX_DEPTH:
        raise _refuse(
            _shorten(path),
            f"nested deeper than {MAX_DEPTH} levels, or contains itself",
            "keep the parts under keys of their own",
        )
    if is_dict:
        members: dict[Any, Any] = value
        return {
            _plain_key(key, path): plain(item, f"{path}.{key}", depth + 1)
            for key, item in members.items()
        }
    items: list[Any] = value
    return [plain(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(items)]


def _plain_key(key: object, path: str) -> str:
    if isinstance(key, str):
        return _plain_str(key, path)
    raise _refuse(
        path,
        f"a dict with the key {key!r} of type {type(key).__name__}",
        "JSON has string keys only: convert it with str()",
    )


def _plain_str(text: str, path: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise _refuse(
            path,
            f"a lone surrogate, {text[error.start]!r}, at character {error.start}",
            "it is not text: decode the source with the right encoding, or keep bytes",
        ) from None
    return str(text)


_ADVICE: Final = {
    "tuple": "convert it with list()",
    "set": "convert it with sorted() or list()",
    "frozenset": "convert it with sorted() or list()",
    "bytes": "keep bytes as a value of their own, or encode them as base64 text",
    "bytearray": "convert it with bytes() and keep it as a value of its own",
    "memoryview": "convert it with bytes() and keep it as a value of its own",
    "datetime": "convert it with .isoformat()",
    "date": "convert it with .isoformat()",
    "time": "convert it with .isoformat()",
    "Decimal": "convert it with str()",
    "UUID": "convert it with str()",
    "ndarray": "convert it with .tolist(), or give it as an embedding",
}


def _refuse_type(path: str, value: object) -> SerializationError:
    kind = type(value)
    advice = _ADVICE.get(kind.__name__)
    if advice is None and hasattr(value, "item"):
        advice = "convert it with .item()"
    what = f"a value of type {kind.__module__}.{kind.__qualname__}".replace("builtins.", "")
    return _refuse(path, what, advice or "convert it to a dict, list, str, int, float or bool")


def _refuse(path: str, what: str, advice: str) -> SerializationError:
    begin = "cannot store " if path.startswith("$") else ""  # Else it is an argument.
    return SerializationError(f"{begin}{path}: it is {what}", suggestion=advice)


def _shorten(path: str) -> str:
    return path if len(path) <= 80 else f"{path[:60]}…"
