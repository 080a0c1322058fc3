"""Every public method, called: found by inspection, so that a new one is covered at once."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# An acceptable argument for each required parameter; anything else gets a string.
ARGUMENTS: dict[str, Any] = {
    "items": [],
    "keys": ["key"],
    "timestamp": "2024-01-01",
    "version_id": "0" * 32,
    "embedding": [1.0, 0.0],
    "embeddings": [[1.0, 0.0]],
    "query": [1.0, 0.0],
    "queries": [[1.0, 0.0]],
    "aggregates": {"n": {"$sum": "n"}},
}

# Methods that open or close, or that only make an object and do nothing yet.
NOT_OPERATIONS = {
    "close",
    "create",
    "namespace",
    "for_agent",
    "import_from",
    "salvage",
    "agent_memory",
}


def public_methods(cls: type) -> Iterator[tuple[str, Callable[..., Any]]]:
    """The public methods of a class, its own and inherited ones."""
    for name, member in inspect.getmembers(cls, callable):
        if not name.startswith("_"):
            yield name, member


def operations(cls: type) -> list[str]:
    """The names of the methods that need an open database."""
    return [name for name, _ in public_methods(cls) if name not in NOT_OPERATIONS]


def call(instance: Any, name: str) -> Any:
    """Calls a method with an acceptable argument for each required parameter."""
    method = getattr(instance, name)
    arguments = [
        ARGUMENTS.get(parameter.name, "text")
        for parameter in inspect.signature(method).parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    return method(*arguments)


async def call_async(instance: Any, name: str) -> Any:
    """The same for a coroutine or an asynchronous iterator."""
    result = call(instance, name)
    if hasattr(result, "__anext__"):
        return await anext(result)
    return await result
