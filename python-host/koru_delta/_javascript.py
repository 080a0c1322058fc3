"""The JavaScript around the interpreter. Imported under Pyodide only."""

from __future__ import annotations

import importlib
from typing import Any, Final

js: Final[Any] = importlib.import_module("js")
"""The global scope: a page's window, a worker's, or node's."""
ffi: Final[Any] = importlib.import_module("pyodide.ffi")
JsException: Final[type[Exception]] = ffi.JsException
"""What a JavaScript error is in Python."""


def has(*path: str) -> bool:
    """Whether the global scope has something, such as ``navigator``, ``locks``."""
    place = js
    for name in path:
        place = getattr(place, name, None)
        if not place:  # Undefined, or null.
            return False
    return True


def js_object(**fields: Any) -> Any:
    """A JavaScript object."""
    return ffi.to_js(fields, dict_converter=js.Object.fromEntries)


def error_name(error: BaseException) -> str:
    """What JavaScript calls an error, such as ``QuotaExceededError``."""
    return str(getattr(error, "name", type(error).__name__))


def error_text(error: BaseException) -> str:
    """What an error says, with its name."""
    message = str(getattr(error, "message", "") or error)
    name = error_name(error)
    return message if message.startswith(name) else f"{name}: {message}"
