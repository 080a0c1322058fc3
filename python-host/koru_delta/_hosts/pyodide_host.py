"""The host under Pyodide: the runtime is the browser's, or node's.

Compiling is asynchronous and done once (:func:`prepare`); instances are made at once from what was
compiled. Python reaches the memory through windows, typed arrays of fixed size, because making one
costs several times what copying through it does: one for requests, one for the reply header, and
one for each page that replies were read from. A memory that grows detaches them all; the next use
of one raises, and they are made anew.

As on CPython, nothing that the guest returns is trusted: ranges are checked against the memory's
true size, bytes are copied out at once, and an instance that trapped is never called again. There
is no deadline: the engine runs on the interpreter's own thread, and nothing can stop it there.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any, Final

from koru_delta._hosts.base import InstanceLostError
from koru_delta._hosts.memory_cap import with_memory_cap
from koru_delta._hosts.module import module_bytes
from koru_delta._javascript import JsException, error_text, ffi, js
from koru_delta._protocol import ABI_VERSION, REPLY_HEADER, Reply
from koru_delta.errors import KoruDeltaError, LimitExceededError, ValidationError

_MASK: Final = 0xFFFF_FFFF
_EXPORTS: Final = {
    "memory": "memory",
    "koru_abi_version": "function",
    "koru_request": "function",
    "koru_call": "function",
}
_WINDOW_BYTES: Final = 4096
"""Requests and replies up to this size go through windows."""
_PAGE_SHIFT: Final = 12
_MAX_PAGES: Final = 1024
"""Windows on pages that are kept: 4 MiB of records that can be read without a new one."""
_KEPT_REQUEST_BYTES: Final = 1 << 21
"""A request longer than this makes the module give its buffer back; the engine's own bound."""
_MAX_COMPILED: Final = 4

_compiled: OrderedDict[int, Any] = OrderedDict()
"""Modules by their memory cap: they differ in nothing else."""


async def prepare(max_memory_bytes: int, module: Any = None) -> Any:
    """The module, compiled: once for each memory cap, or as it was given.

    Args:
        max_memory_bytes: Cap of an instance's memory.
        module: A ``WebAssembly.Module`` of ``koru_delta_core.wasm``. Its memory may grow as far as
            it says; the engine itself keeps its data below the cap.

    Raises:
        KoruDeltaError: If it is not the module that this release speaks to.
        ValidationError: If ``module`` is no ``WebAssembly.Module``.
    """
    if module is not None:
        _check_module(module)
        return module
    found = _compiled.get(max_memory_bytes)
    if found is None:
        code = ffi.to_js(with_memory_cap(module_bytes(), max_memory_bytes))
        try:
            found = await js.WebAssembly.compile(code)
        except JsException as error:
            raise KoruDeltaError(
                f"the engine could not be compiled: {error_text(error)}",
                suggestion="the page needs 'wasm-unsafe-eval' in its policy and a browser with "
                "WebAssembly SIMD; where compiling is forbidden, give Config.module",
            ) from error
        _check_exports(found)
        _compiled[max_memory_bytes] = found
        if len(_compiled) > _MAX_COMPILED:
            _compiled.popitem(last=False)
    return found


def _check_module(module: Any) -> None:
    try:
        if str(js.Object.prototype.toString.call(module)) == "[object WebAssembly.Module]":
            _check_exports(module)
            return
    except (JsException, TypeError):
        pass
    raise ValidationError(
        f"Config.module is {module!r:.80}",
        suggestion="give a WebAssembly.Module of koru_delta_core.wasm",
    )


def _check_exports(module: Any) -> None:
    exports = {entry.name: entry.kind for entry in js.WebAssembly.Module.exports(module)}
    if len(js.WebAssembly.Module.imports(module)) or exports != _EXPORTS:
        raise _foreign_module()


def _foreign_module() -> KoruDeltaError:
    return KoruDeltaError(
        "the module imports something or exports other names than it should",
        suggestion="install koru-delta again: the module is not the engine",
    )


class PyodideHost:
    """One instance. See :class:`koru_delta._hosts.base.Host`."""

    def __init__(self, module: Any, *, max_memory_bytes: int) -> None:
        """Instantiate what :func:`prepare` returned."""
        try:
            exports = js.WebAssembly.Instance.new(module).exports
        except JsException as error:
            raise LimitExceededError(
                f"the engine could not be started: {error_text(error)}",
                suggestion="close what is not needed, or lower Config.max_memory_mb",
            ) from error
        if (found := exports.koru_abi_version()) != ABI_VERSION:
            raise KoruDeltaError(
                f"the module speaks protocol {found}, this package {ABI_VERSION}",
                suggestion="install koru-delta again: its parts are of different releases",
            )
        self._max_memory_bytes = max_memory_bytes
        self._memory: Any = exports.memory
        self._ask: Any = exports.koru_request
        self._invoke: Any = exports.koru_call
        self._lost: InstanceLostError | None = None
        self._buffer = self._capacity = 0
        self._header_address = -1
        self._size = 0
        self._bytes: Any = None
        self._request: Any = None
        self._header: Any = None
        self._pages: dict[int, Any] = {}
        self._look()

    @property
    def memory_bytes(self) -> int:
        """Bytes of linear memory taken."""
        if self._size:
            self._look()
        return self._size

    def call(self, opcode: int, request: bytes) -> Reply:
        """Carry out one request: one call, and a copy in each direction."""
        size = len(request)
        if size > self._capacity or size > _WINDOW_BYTES or self._request is None:
            self._put(request)
        else:
            try:
                self._request.assign(request.ljust(_WINDOW_BYTES, b"\0"))
            except JsException:
                self._put(request)
        return self._enter(opcode, size)

    def call_reading(
        self, opcode: int, head: bytes, size: int, read: Callable[[memoryview], int]
    ) -> Reply | None:
        """Carry out a request whose last bytes are read to where it is handed over."""
        request = bytearray(len(head) + size)
        request[: len(head)] = head
        with memoryview(request) as whole, whole[len(head) :] as window:
            if read(window) != size:
                return None
        self._put(request)
        return self._enter(opcode, len(request))

    def read_ahead(self, read_into: Callable[[int, memoryview], int], size: int) -> None:
        """Nothing: there are no threads."""

    def fill(self, address: int, parts: Iterable[memoryview]) -> None:
        """Copy bytes, one part after the other, to an address that the module gave."""
        for part in parts:
            end = address + len(part)
            self._require(end)
            if len(part):
                self._window(address, end).assign(part)
            address = end

    def close(self) -> None:
        """Free the instance and its memory, which the garbage collector of JavaScript takes."""
        if self._size:
            self._lose("it was closed")
            self._size = 0
            self._forget_windows()
            self._memory = self._ask = self._invoke = self._bytes = None

    def _put(self, request: bytes | bytearray) -> None:
        """Copy a request to the module's buffer, asking for a longer one if it needs one."""
        size = len(request)
        if size > self._capacity:
            self._reserve(max(size, _WINDOW_BYTES))
        elif self._lost is not None:
            raise self._lost
        self._window(self._buffer, self._buffer + size).assign(request)

    def _reserve(self, size: int) -> None:
        """Ask the module for a longer request buffer."""
        if self._lost is not None:
            raise self._lost
        try:
            buffer = self._ask(size) & _MASK
        except JsException as error:
            raise self._lose(error_text(error)) from error
        if buffer == 0:
            raise LimitExceededError(
                f"a request of {size} bytes does not fit the engine's memory",
                suggestion="raise Config.max_memory_mb, or send less at a time",
            )
        self._look()
        self._require(buffer + size)
        self._buffer, self._capacity = buffer, size
        self._request = self._window(buffer, buffer + _WINDOW_BYTES)

    def _enter(self, opcode: int, size: int) -> Reply:
        """Call with the request in the buffer, and copy out what came of it."""
        try:
            header = self._invoke(opcode, size) & _MASK
        except JsException as error:
            raise self._lose(error_text(error)) from error
        if size > _KEPT_REQUEST_BYTES:
            self._capacity = 0
            self._request = None
        status, flags, payload, payload_len, journal, journal_len, sequence = REPLY_HEADER.unpack(
            self._read_header(header)
        )
        data = self._copy(payload, payload_len) if payload_len else b""
        frames = self._copy(journal, journal_len) if journal_len else b""
        return status, flags, data, frames, sequence

    def _read_header(self, address: int) -> bytes:
        """The reply header. Where its window is detached, the memory has grown."""
        if address == self._header_address and self._header is not None:
            try:
                found: bytes = self._header.to_bytes()
            except JsException:
                pass
            else:
                return found
        self._look()
        end = address + REPLY_HEADER.size
        self._require(end)
        self._header_address = address
        self._header = self._window(address, end)
        again: bytes = self._header.to_bytes()
        return again

    def _copy(self, start: int, size: int) -> bytes:
        """Bytes of the memory; through the window of their page, if they lie in one."""
        end = start + size
        self._require(end)
        page = start >> _PAGE_SHIFT
        if (end - 1) >> _PAGE_SHIFT != page:
            data: bytes = self._window(start, end).to_bytes()
            return data
        window = self._pages.get(page)
        base = page << _PAGE_SHIFT
        if window is None:
            if len(self._pages) >= _MAX_PAGES:
                self._pages.clear()
            # Memory is whole pages of 64 KiB, so a page of ours never passes its end.
            window = self._pages[page] = self._window(base, base + _WINDOW_BYTES)
        whole: bytes = window.to_bytes()
        return whole[start - base : end - base]

    def _window(self, start: int, end: int) -> Any:
        return self._bytes.subarray(start, end)

    def _require(self, end: int) -> None:
        """Lose an instance that points outside its memory, looked at anew if it may have grown."""
        if end > self._size:
            if self._lost is None:
                self._look()
            if end > self._size:
                raise self._lose("it points outside its memory")

    def _look(self) -> None:
        """Look at the memory anew, and give up what stood for it before."""
        buffer = self._memory.buffer
        size = int(buffer.byteLength)
        self._forget_windows()
        self._bytes = js.Uint8Array.new(buffer)
        self._size = size
        if self._capacity:
            self._request = self._window(self._buffer, self._buffer + _WINDOW_BYTES)
        if size > self._max_memory_bytes:
            raise self._lose("its memory grew past Config.max_memory_mb")

    def _forget_windows(self) -> None:
        self._request = self._header = None
        self._pages = {}

    def _lose(self, reason: str) -> InstanceLostError:
        self._lost = InstanceLostError(f"the engine stopped: {reason}")
        self._capacity = 0
        return self._lost
