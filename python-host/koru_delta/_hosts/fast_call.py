"""Two ways to call a function of an instance.

wasmtime-py's own ``Func.__call__`` looks the function's type up at every call, which takes 25 to
50 microseconds. :class:`FastCall` uses ``wasmtime_func_call_unchecked`` of the same library,
through wasmtime-py's own bindings, which takes about one. Those bindings are not a public
interface, so a self-test (a known result and a known trap) decides whether to use them;
:class:`PublicCall` is the way that always works.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any, Final

import wasmtime

_TEST_MODULE: Final = bytes.fromhex(
    # (module (func (export "f") (param i32 i32) (result i32)
    #   local.get 0 i32.eqz if unreachable end local.get 0 local.get 1 i32.sub))
    "0061736d0100000001070160027f7f017f03020100070501016600000a10010e00"
    "2000450440000b200020016b0b"
)


class CallError(Exception):
    """The guest trapped, or the runtime refused the call."""

    def __init__(self, message: str, *, timed_out: bool = False) -> None:
        super().__init__(message)
        self.timed_out = timed_out


def _call_error(error: BaseException) -> CallError:
    if isinstance(error, wasmtime.Trap):
        if error.trap_code is wasmtime.TrapCode.INTERRUPT:
            return CallError("the operation took longer than its deadline", timed_out=True)
        return CallError(error.message.splitlines()[-1])
    return CallError(str(error))


class PublicCall:
    """A call through wasmtime-py's public interface."""

    def __init__(self, store: wasmtime.Store, function: wasmtime.Func) -> None:
        """Prepare to call ``function``."""
        self._store = store
        self._function = function

    def __call__(self, first: int, second: int) -> int:
        """The function's result.

        Raises:
            CallError: If the guest traps.
        """
        try:
            result: int = self._function(self._store, first, second)
        except (wasmtime.Trap, wasmtime.WasmtimeError) as error:
            raise _call_error(error) from error
        return result


class FastCall:
    """A call of a function of two 32-bit integers to one, without looking up its type."""

    def __init__(self, store: wasmtime.Store, function: wasmtime.Func) -> None:
        """Prepare the arguments' memory and the pointers once."""
        from wasmtime import _ffi as ffi

        self._store = store  # The pointers below live as long as it does.
        self._function = ffi.wasmtime_func_t.from_buffer_copy(function._func)
        self._values = (ffi.wasmtime_val_raw_t * 2)()
        self._trap = ctypes.POINTER(ffi.wasm_trap_t)()
        self._arguments = (
            ctypes.cast(store._context(), ctypes.c_void_p),
            ctypes.cast(ctypes.pointer(self._function), ctypes.c_void_p),
            ctypes.cast(self._values, ctypes.c_void_p),
            ctypes.c_size_t(2),
            ctypes.cast(ctypes.pointer(self._trap), ctypes.c_void_p),
        )
        # Of its own prototype, so that prepared pointers are passed as they are.
        prototype = ctypes.CFUNCTYPE(ctypes.c_void_p, *[ctypes.c_void_p] * 3, ctypes.c_size_t, ctypes.c_void_p)
        address = ctypes.cast(ffi._wasmtime_func_call_unchecked, ctypes.c_void_p).value
        self._call: Any = prototype(address or 0)
        # A raw value is 16 bytes: the words at 0 and 4 are the low halves of the two.
        self._words = memoryview(self._values).cast("B").cast("i")

    def __call__(self, first: int, second: int) -> int:
        """The function's result.

        Raises:
            CallError: If the guest traps.
        """
        words = self._words
        words[0] = first
        words[4] = second
        error = self._call(*self._arguments)
        if error or self._trap:
            raise self._failure(error)
        return words[0]

    def _failure(self, error: int | None) -> CallError:
        if self._trap:
            trap = wasmtime.Trap._from_ptr(self._trap)
            # The trap belongs to the Python object now.
            ctypes.memset(ctypes.byref(self._trap), 0, ctypes.sizeof(self._trap))
            return _call_error(trap)
        from wasmtime import _ffi as ffi

        pointer = ctypes.cast(error or 0, ctypes.POINTER(ffi.wasmtime_error_t))
        failure = wasmtime.WasmtimeError._from_ptr(pointer)
        return _call_error(failure)


def fast_calls_work(engine: wasmtime.Engine) -> bool:
    """Whether fast calls give a known result and a known trap with this release of wasmtime-py."""
    try:
        store = wasmtime.Store(engine)
        store.set_epoch_deadline(1 << 62)
        instance = wasmtime.Instance(store, wasmtime.Module(engine, _TEST_MODULE), [])
        function = instance.exports(store)["f"]
        if not isinstance(function, wasmtime.Func):
            return False
        fast = FastCall(store, function)
        if fast(2**31 - 1, -5) != -(2**31) + 4 or fast(7, 5) != 2:
            return False
        try:
            fast(0, 1)
        except CallError as error:
            return "unreachable" in str(error) and fast(9, 4) == 5
        return False
    except (AttributeError, TypeError, ValueError, ctypes.ArgumentError, wasmtime.WasmtimeError):
        return False


if TYPE_CHECKING:
    View = memoryview[int]


def memory_view(memory: wasmtime.Memory, store: wasmtime.Store) -> View:
    """The linear memory as writable bytes. It dangles once the memory grows or the store closes."""
    return memoryview(memory.get_buffer_ptr(store)).cast("B")
