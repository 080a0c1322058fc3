"""Names whose modules are imported when they are first asked for."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def later(names: Mapping[str, tuple[str, ...]]) -> Callable[[str], Any]:
    """A module's ``__getattr__`` for names of other modules."""
    modules = {name: module for module, of_module in names.items() for name in of_module}

    def find(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module 'koru_delta' has no attribute {name!r}")
        return getattr(importlib.import_module(modules[name]), name)

    return find
