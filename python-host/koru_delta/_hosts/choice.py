"""Which host runs the module here, and making one for a database."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from koru_delta._hosts.base import Host
    from koru_delta.config import Config

if sys.platform == "emscripten":
    from koru_delta._hosts.pyodide_host import PyodideHost, prepare

    async def prepare_module(config: Config) -> Any:
        """Compile the module, which takes turns of the event loop; what :func:`new_host` takes."""
        return await prepare(config.max_memory_bytes, config.module)

    def new_host(config: Config, module: Any) -> Host:
        """A new instance."""
        return PyodideHost(module, max_memory_bytes=config.max_memory_bytes)
else:
    from koru_delta._hosts.wasmtime_host import WasmtimeHost

    async def prepare_module(config: Config) -> Any:
        """Nothing: the module is compiled where instances are made, on any thread."""

    def new_host(config: Config, module: Any) -> Host:
        """A new instance."""
        return WasmtimeHost(
            max_memory_bytes=config.max_memory_bytes,
            timeout=config.operation_timeout,
        )
