"""The host on CPython: wasmtime, one store and one linear memory a database.

Nothing that the guest returns is trusted: integers are masked to 32 bits, every range is checked
against the memory's true size, bytes are copied out at once, and an instance that trapped or
misbehaved is never called again.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable
from typing import Final

import wasmtime

from koru_delta._forks import COMPILING, NO_FORK
from koru_delta._hosts.base import InstanceLostError
from koru_delta._hosts.compile_cache import compiled
from koru_delta._hosts.deadline import TICK_SECONDS, EpochClock
from koru_delta._hosts.fast_call import (
    Call,
    CallError,
    FastCall,
    PublicCall,
    bytes_at,
    fast_calls_work,
    memory_address,
)
from koru_delta._hosts.module import module_bytes, recorded_digest
from koru_delta._hosts.read_ahead import HEAD_BYTES, WINDOW_BYTES, ReadAhead, can_read_ahead
from koru_delta._protocol import ABI_VERSION, REPLY_HEADER, Reply
from koru_delta.errors import KoruDeltaError, LimitExceededError

_MASK: Final = 0xFFFF_FFFF
_REPLY_HEADER_BYTES: Final = REPLY_HEADER.size
_unpack_reply: Final = REPLY_HEADER.unpack_from
_EXPORTS: Final = {
    "memory": None,
    "koru_abi_version": ("", "i32"),
    "koru_request": ("i32", "i32"),
    "koru_call": ("i32 i32", "i32"),
}
_KEPT_REQUEST_BYTES: Final = 1 << 21
"""A request longer than this makes the module give its buffer back; the engine's own bound."""
_TABLE_ELEMENTS: Final = 10_000
"""The engine's table of functions has some hundreds, and never grows."""
_NEVER: Final = 1 << 62
_LOST: Final = -2
"""No tick of the clock: a lost instance finds its deadline out of date at every call."""


class Runtime:
    """One engine and one compiled module, shared by all databases of a process."""

    def __init__(self, module: bytes | Callable[[], bytes], digest: str | None = None) -> None:
        """Compile the module, or take it from the compile cache.

        Args:
            module: The module, or what reads it where it has to be compiled.
            digest: Its SHA-256 in hexadecimal digits, if that is known.

        Raises:
            KoruDeltaError: If it is not the module that this release speaks to.
        """
        config = wasmtime.Config()
        config.epoch_interruption = True
        config.wasm_relaxed_simd = False
        config.memory_may_move = False
        self.engine = wasmtime.Engine(config)
        self.clock = EpochClock(self.engine)
        self.call_path = FastCall if fast_calls_work(self.engine) else PublicCall
        try:
            self.module = compiled(self.engine, module, digest)
        except wasmtime.WasmtimeError as error:
            raise _foreign_module() from error
        exports = {export.name: _signature(export.type) for export in self.module.exports}
        if list(self.module.imports) or exports != _EXPORTS:
            raise _foreign_module()


def _signature(kind: object) -> tuple[str, str] | None:
    """Parameters and results of a function; None for anything else."""
    if not isinstance(kind, wasmtime.FuncType):
        return None
    return " ".join(map(str, kind.params)), " ".join(map(str, kind.results))


def _foreign_module() -> KoruDeltaError:
    return KoruDeltaError(
        "the module imports something or exports other names than it should",
        suggestion="install koru-delta again: the module is not the engine",
    )


def _function(function: object) -> wasmtime.Func:
    if not isinstance(function, wasmtime.Func):
        raise _foreign_module()
    return function


@functools.cache
def shared_runtime() -> Runtime:
    """The process's runtime, made when first needed."""
    with COMPILING:
        return Runtime(module_bytes, recorded_digest())


class WasmtimeHost:
    """One instance. See :class:`koru_delta._hosts.base.Host`."""

    def __init__(
        self,
        *,
        max_memory_bytes: int,
        timeout: float,
        runtime: Runtime | None = None,
    ) -> None:
        """Instantiate the module with a memory cap and a deadline for each call."""
        runtime = runtime or shared_runtime()
        self._clock = runtime.clock
        self._timeout_ticks = math.ceil(timeout / TICK_SECONDS) + 1 if timeout else _NEVER
        self._armed_at = -1
        self._lost: InstanceLostError | None = None
        self._store = store = wasmtime.Store(runtime.engine)
        store.set_limits(
            memory_size=max_memory_bytes,
            table_elements=_TABLE_ELEMENTS,
            instances=1,
            memories=1,
            tables=1,
        )
        store.set_epoch_deadline(self._timeout_ticks)
        runtime.clock.acquire()
        try:
            with NO_FORK:
                exports = wasmtime.Instance(store, runtime.module, []).exports(store)
            memory = exports["memory"]
            if not isinstance(memory, wasmtime.Memory):
                raise _foreign_module()
            self._ask = _function(exports["koru_request"])
            call = _function(exports["koru_call"])
            if (found := _function(exports["koru_abi_version"])(store)) != ABI_VERSION:
                raise KoruDeltaError(
                    f"the module speaks protocol {found}, this package {ABI_VERSION}",
                    suggestion="install koru-delta again: its parts are of different releases",
                )
        except (wasmtime.WasmtimeError, wasmtime.Trap) as error:
            runtime.clock.release()
            raise LimitExceededError(
                f"the engine could not be started: {error}", suggestion="raise Config.max_memory_mb"
            ) from error
        except BaseException:
            runtime.clock.release()
            raise
        self._memory = memory
        self._address = memory_address(memory, store)
        self._size = memory.data_len(store)
        self._view = bytes_at(self._address, self._size)
        self._last_header = self._size - _REPLY_HEADER_BYTES
        """Where a reply header can be at most."""
        self._buffer = 0
        self._capacity = 0
        self._function: Call = runtime.call_path(store, call)
        self._words = self._function.words
        self._invoke = self._function.invoke

    @property
    def memory_bytes(self) -> int:
        """Bytes of linear memory taken."""
        if self._size:
            self._refresh(0)
        return self._size

    def call(self, opcode: int, request: bytes, behind: int = 0) -> Reply:
        """Carry out one request: one call, and a copy in each direction.

        ``behind`` bytes of it are in the request buffer already, after where ``request`` will be.
        """
        size = len(request)
        if self._armed_at != self._clock.ticks:
            self._arm()
        if size > self._capacity:
            self._reserve(size)
        start = self._buffer
        self._view[start : start + size] = request
        size += behind
        words = self._words
        words[0] = opcode
        words[4] = size
        if (error := self._invoke()) or self._function.trap:
            raise self._lose(self._function.failure(error))
        if size > _KEPT_REQUEST_BYTES:
            self._capacity = 0
        header = words[0] & _MASK
        if header > self._last_header:
            self._refresh(header + _REPLY_HEADER_BYTES)
        status, flags, start, length, journal, journal_len, sequence = _unpack_reply(
            self._view, header
        )
        end = start + length
        if end > self._size:
            self._refresh(end)
        payload = self._view[start:end].tobytes()
        if not journal_len:
            return status, flags, payload, b"", sequence
        end = journal + journal_len
        if end > self._size:
            self._refresh(end)
        return status, flags, payload, self._view[journal:end].tobytes(), sequence

    def call_reading(
        self, opcode: int, head: bytes, size: int, read: Callable[[memoryview], int]
    ) -> Reply | None:
        """Carry out a request whose last bytes are read to where it is handed over."""
        if self._armed_at != self._clock.ticks:
            self._arm()
        whole = len(head) + size
        if whole > self._capacity:
            self._reserve(whole)
        start = self._buffer
        with self._view[start + len(head) : start + whole] as window:
            if read(window) != size:
                return None
        return self.call(opcode, head, size)

    def read_ahead(
        self, read_into: Callable[[int, memoryview], int], size: int
    ) -> ReadAhead | None:
        """Begin to read a file ahead of its opening, where that is worth it."""
        if not can_read_ahead(size):
            return None
        self._arm()
        try:
            self._reserve(HEAD_BYTES + WINDOW_BYTES)
        except LimitExceededError:
            return None  # Without it, less is needed at a time.
        start = self._address + self._buffer + HEAD_BYTES
        window = bytes_at(start, WINDOW_BYTES)
        return ReadAhead((self.call, self._place), window, read_into, size)

    def _place(self) -> tuple[int, int]:
        """Where the memory is in the process, which does not change, and how long it is."""
        return self._address, self.memory_bytes

    def fill(self, address: int, parts: Iterable[memoryview]) -> None:
        """Copy bytes, one part after the other, to an address that the module gave."""
        for part in parts:
            end = address + len(part)
            if end > self._size:
                self._refresh(end)
            self._view[address:end] = part
            address = end

    def close(self) -> None:
        """Free the instance and its memory."""
        if self._size:
            self._lose("it was closed")
            self._view.release()
            self._size = 0
            del self._invoke, self._function, self._words
            self._store.close()
            self._clock.release()

    def _arm(self) -> None:
        """Give the calls until the next tick their deadline, unless there may be none."""
        if self._lost is not None:
            raise self._lost
        self._armed_at = self._clock.ticks
        self._store.set_epoch_deadline(self._timeout_ticks)

    def _reserve(self, size: int) -> None:
        """Ask the module for a longer request buffer."""
        try:
            buffer = self._ask(self._store, size) & _MASK
        except (wasmtime.WasmtimeError, wasmtime.Trap) as error:
            raise self._lose(error) from error
        if buffer == 0:
            raise LimitExceededError(
                f"a request of {size} bytes does not fit the engine's memory",
                suggestion="raise Config.max_memory_mb, or send less at a time",
            )
        self._refresh(buffer + size)
        self._buffer, self._capacity = buffer, size

    def _refresh(self, end: int) -> None:
        """Look at the memory anew: it may have grown, so that ``end`` lies inside."""
        size = self._memory.data_len(self._store)
        if size != self._size:
            self._view.release()
            self._view = bytes_at(self._address, size)
            self._size = size
            self._last_header = size - _REPLY_HEADER_BYTES
        if end > size:
            raise self._lose("it points outside its memory")

    def _lose(self, reason: object) -> InstanceLostError:
        timed_out = isinstance(reason, CallError) and reason.timed_out
        self._lost = InstanceLostError(f"the engine stopped: {reason}", timed_out=timed_out)
        self._armed_at = _LOST
        return self._lost
