"""An engine that stops at any instruction: wasmtime's fuel, given out by the drop.

The host of the package is used as it is. Only the runtime's settings and its stores are exchanged
for ones that count fuel, so what is stopped is the module that is shipped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import wasmtime

from koru_delta._hosts import wasmtime_host
from koru_delta._hosts.module import module_bytes
from koru_delta._hosts.wasmtime_host import Runtime, WasmtimeHost
from koru_delta._session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from koru_delta import SyncDatabase

PLENTY = 1 << 60


class Tank:
    """How much fuel new instances get."""

    new_instances = PLENTY


class CountingConfig(wasmtime.Config):
    """Settings with fuel."""

    def __init__(self) -> None:
        super().__init__()
        self.consume_fuel = True


class CountingStore(wasmtime.Store):
    """A store that begins with what the tank says."""

    def __init__(self, engine: wasmtime.Engine) -> None:
        super().__init__(engine)
        self.set_fuel(Tank.new_instances)


def count_fuel(patch: pytest.MonkeyPatch) -> None:
    """From now on every instance counts its fuel."""
    patch.setattr(Tank, "new_instances", PLENTY)
    patch.setattr(wasmtime, "Config", CountingConfig)
    patch.setattr(wasmtime, "Store", CountingStore)
    runtime = Runtime(module_bytes())
    patch.setattr(wasmtime_host, "shared_runtime", lambda: runtime)
    # A worker thread at the engine would take of the fuel that is counted.
    patch.setattr(Session, "maintain_in_background", lambda session: None)


def _store(db: SyncDatabase) -> Any:
    host = db._database._session._host
    assert isinstance(host, WasmtimeHost)
    return host._store


def fuel_left(db: SyncDatabase) -> int:
    """What the instance of a database has."""
    left: int = _store(db).get_fuel()
    return left


def give_fuel(db: SyncDatabase, amount: int) -> None:
    """What the instance has from now on."""
    _store(db).set_fuel(amount)


def amounts(used: int, count: int) -> Iterator[int]:
    """Amounts that are too little: the smallest, the largest, and some in between, evenly."""
    yield from sorted({0, 1, used - 1, *(used * i // count for i in range(count))})
