"""Two ways to call a function of an instance.

wasmtime-py's own ``Func.__call__`` looks the function's type up at every call, which takes 25 to
50 microseconds. :class:`FastCall` uses ``wasmtime_func_call_unchecked`` of the same library,
through wasmtime-py's own bindings, which takes about one. Those bindings are not a public
interface, so a self-test (a known result and a known trap) decides whether to use them;
:class:`PublicCall` is the way that always works.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

import wasmtime

from koru_delta._hosts.compile_cache import compiled

_TEST_MODULE: Final = bytes.fromhex(
    # (module (func (export "f") (param i32 i32) (result i32)
    #   local.get 0 i32.eqz if unreachable end local.get 0 local.get 1 i32.sub))
    "0061736d0100000001070160027f7f017f03020100070501016600000a10010e002000450440000b200020016b0b"
)


_memory_at: Final[Any] = ctypes.pythonapi.PyMemoryView_FromMemory
_memory_at.restype = ctypes.py_object
_memory_at.argtypes = [ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_int]
_WRITABLE: Final = 0x200

if TYPE_CHECKING:
    Words = memoryview[int]


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


class Call(Protocol):
    """A function of two 32-bit integers to one, prepared to be called often.

    The caller puts the arguments into ``words[0]`` and ``words[4]``, calls ``invoke()``, and finds
    the result in ``words[0]``. If ``invoke`` returned something true, or ``trap`` has become true,
    it raises :meth:`failure` of what was returned instead.
    """

    words: Words
    trap: Any

    @property
    def invoke(self) -> Callable[[], Any]:
        """Call the function; something true if that failed."""
        ...

    def failure(self, error: Any) -> CallError:
        """What went wrong."""
        ...


class PublicCall:
    """A call through wasmtime-py's public interface."""

    trap = None

    def __init__(self, store: wasmtime.Store, function: wasmtime.Func) -> None:
        """Prepare to call ``function``."""
        self.words: Words = memoryview(bytearray(32)).cast("i")
        self._store = store
        self._function = function

    def invoke(self) -> CallError | None:
        """Call, and return what went wrong."""
        try:
            self.words[0] = self._function(self._store, self.words[0], self.words[4])
        except (wasmtime.Trap, wasmtime.WasmtimeError) as error:
            return _call_error(error)
        return None

    def failure(self, error: Any) -> CallError:
        """What went wrong."""
        return error if isinstance(error, CallError) else CallError(str(error))


class FastCall:
    """A call without looking up the function's type, with all pointers prepared."""

    def __init__(self, store: wasmtime.Store, function: wasmtime.Func) -> None:
        """Prepare the arguments' memory and the pointers once."""
        from wasmtime import _ffi as ffi

        self._store = store  # The pointers below live as long as it does.
        self._function = ffi.wasmtime_func_t.from_buffer_copy(function._func)
        self._values = (ffi.wasmtime_val_raw_t * 2)()
        self.trap = ctypes.POINTER(ffi.wasm_trap_t)()
        # A raw value is 16 bytes: the words at 0 and 4 are the low halves of the two.
        self.words: Words = memoryview(self._values).cast("B").cast("i")
        # A function object of our own, so that prepared arguments are passed as they are.
        library: Any = vars(ffi)["dll"]
        call = ctypes.CDLL(None, handle=library._handle).wasmtime_func_call_unchecked
        call.restype = ctypes.c_void_p
        self.invoke = functools.partial(
            call,
            _pointer(store._context()),
            _pointer(ctypes.pointer(self._function)),
            _pointer(self._values),
            ctypes.c_size_t.from_param(2),
            _pointer(ctypes.pointer(self.trap)),
        )

    def failure(self, error: Any) -> CallError:
        """What went wrong."""
        if self.trap:
            # The trap belongs to the Python object from here on: it gets a pointer of its own.
            trap = wasmtime.Trap._from_ptr(ctypes.cast(self.trap, type(self.trap)))
            ctypes.memset(ctypes.byref(self.trap), 0, ctypes.sizeof(self.trap))
            return _call_error(trap)
        from wasmtime import _ffi as ffi

        pointer = ctypes.cast(error, ctypes.POINTER(ffi.wasmtime_error_t))
        return _call_error(wasmtime.WasmtimeError._from_ptr(pointer))


def _pointer(target: Any) -> Any:
    """A pointer, or the address of an array, as an argument that a call passes on as it is."""
    return ctypes.c_void_p.from_param(ctypes.cast(target, ctypes.c_void_p).value)


def call(function: Call, first: int, second: int) -> int:
    """Call once.

    Raises:
        CallError: If the guest traps.
    """
    function.words[0] = first
    function.words[4] = second
    if (error := function.invoke()) or function.trap:
        raise function.failure(error)
    return function.words[0]


def fast_calls_work(engine: wasmtime.Engine) -> bool:
    """Whether fast calls give a known result and a known trap with this release of wasmtime-py."""
    try:
        store = wasmtime.Store(engine)
        store.set_epoch_deadline(1 << 62)
        instance = wasmtime.Instance(store, compiled(engine, _TEST_MODULE), [])
        function = instance.exports(store)["f"]
        if not isinstance(function, wasmtime.Func):
            return False
        fast = FastCall(store, function)
        if call(fast, 2**31 - 1, -5) != -(2**31) + 4 or call(fast, 7, 5) != 2:
            return False
        try:
            call(fast, 0, 1)
        except CallError as error:
            return "unreachable" in str(error) and call(fast, 9, 4) == 5
        return False
    except (AttributeError, TypeError, ValueError, ctypes.ArgumentError, wasmtime.WasmtimeError):
        return False


def bytes_at(address: int, size: int) -> Words:
    """Writable bytes of the process, wherever they are: nobody looks whether they are there."""
    # A ctypes array of that length would be of a type made for it.
    view: Words = _memory_at(address, size, _WRITABLE)
    return view


def memory_address(memory: wasmtime.Memory, store: wasmtime.Store) -> int:
    """Where the linear memory is in the process. It stays there until the store closes."""
    address: Any = ctypes.cast(memory.data_ptr(store), ctypes.c_void_p).value
    return int(address)
