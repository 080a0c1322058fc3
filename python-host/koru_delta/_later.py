"""Importing: what is asked for later, when it is; and the rest without looking for garbage."""

from __future__ import annotations

import gc
import importlib
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any


def later(names: Mapping[str, tuple[str, ...]]) -> Callable[[str], Any]:
    """A module's ``__getattr__`` for names of other modules."""
    modules = {name: module for module, of_module in names.items() for name in of_module}

    def find(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module 'koru_delta' has no attribute {name!r}")
        return getattr(importlib.import_module(modules[name]), name)

    return find


@contextmanager
def uncollected() -> Generator[None]:
    """Nothing is looked through for garbage meanwhile.

    What importing makes is there to stay. Looking through it again and again took 3 ms of 48, and
    looking through it once, as soon as that was allowed again, 2. So it is handed over as old:
    freezing and unfreezing does that without a look at it.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if gc.get_freeze_count() == 0:  # Else a program has frozen what is to stay so.
            gc.freeze()
            gc.unfreeze()
        if was_enabled:
            gc.enable()
