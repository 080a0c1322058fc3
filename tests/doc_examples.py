"""The examples in docstrings, read and run: with ``await`` at their top level."""

from __future__ import annotations

import ast
import contextlib
import doctest
import inspect
import io
from typing import Any


async def run(source: str, names: dict[str, Any]) -> str:
    """What an example prints."""
    printed = io.StringIO()
    code = compile(source, "<example>", "single", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    with contextlib.redirect_stdout(printed):
        result = eval(code, names)
        if inspect.isawaitable(result):
            await result
    return printed.getvalue()


def examples(documented: Any) -> list[doctest.Example]:
    """The examples of something's docstring, in order."""
    return doctest.DocTestParser().get_examples(inspect.getdoc(documented) or "")
